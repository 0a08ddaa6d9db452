/* SPDX-License-Identifier: MIT */

/*
 * What partitions count, and what that allows. Invariants:
 *	1. A partition's PARTITION record exists from the batch that makes its
 *	   directory one to the batch that takes that directory's name away. It
 *	   counts the inodes of the partition that have a name, and is set in
 *	   each batch that changes the sum.
 *	2. So the commits of a partition are in the order of its counts: they
 *	   are made under its lock. A sync is waited for without it.
 * Locks: partition->lock, behind inode locks; those of several by number of
 * inode.
 */

#include <errno.h>

#include "fs/fs_internal.h"

static struct txn_account *account_of(struct txn *txn,
				      struct partition *partition)
{
	struct txn_account **at = &txn->accounts;
	struct txn_account *account;

	while ((account = *at) && account->partition->ino < partition->ino)
		at = &account->next;
	if (account && account->partition == partition)
		return account;
	account = txn_alloc(txn, sizeof(*account));
	if (!account)
		return NULL;
	*account = (struct txn_account){ .next = *at, .partition = partition };
	*at = account;
	return account;
}

int partition_account(struct txn *txn, struct inode *inode)
{
	struct partition_counts counts;
	struct partition *partition;
	struct txn_account *account;

	if (!inode->partition) {
		txn->elsewhere = true;
		return 0;
	}
	partition = partition_find(txn->fs, inode->partition);
	if (!partition)
		return 0;
	account = account_of(txn, partition);
	if (!account)
		return -ENOMEM;
	counts = inode_counts(txn->fs, inode);
	account->keys += (int64_t)(counts.keys - inode->counted.keys);
	account->bytes += (int64_t)(counts.bytes - inode->counted.bytes);
	inode->counted = counts;
	return 0;
}

int partition_remove(struct txn *txn, const struct inode *dir)
{
	struct partition *partition;
	struct txn_account *account;

	if (dir->partition != dir->ino)
		return 0;
	partition = partition_find(txn->fs, dir->ino);
	if (!partition)
		return 0;
	account = account_of(txn, partition);
	if (!account)
		return -ENOMEM;
	account->removed = true;
	return 0;
}

/* What damage made too small does not become large. */
static uint64_t count_add(uint64_t count, int64_t added)
{
	if (added < 0 && count < (uint64_t)-added)
		return 0;
	return count + (uint64_t)added;
}

static int record_put(struct txn *txn, struct txn_account *account)
	REQUIRES(account->partition->lock)
{
	const struct partition *partition = account->partition;
	struct partition_counts counts = {
		count_add(partition->counts.keys, account->keys),
		count_add(partition->counts.bytes, account->bytes),
	};
	struct schema_key key;
	uint8_t *bytes;

	partition_key_encode(&key, partition->ino);
	if (account->removed)
		return txn_delete(txn, &key);
	if (account->keys == 0 && account->bytes == 0)
		return 0;
	bytes = txn_alloc(txn, PARTITION_RECORD_MAX);
	if (!bytes)
		return -ENOMEM;
	return txn_set(txn, &key,
		       slice_of(bytes, partition_encode(&counts, bytes)));
}

static int account_prepare(struct txn *txn, struct txn_account *account,
			   bool reserved) REQUIRES(account->partition->lock)
{
	const struct partition *partition = account->partition;
	uint64_t quota = partition->settings.quota_bytes;

	if (partition->gone)
		return 0;
	if (quota && account->bytes > 0 && !reserved &&
	    (partition->counts.bytes > quota ||
	     (uint64_t)account->bytes > quota - partition->counts.bytes))
		return -EDQUOT;
	if (partition->settings.compress_level)
		txn->batch.compress_level = partition->settings.compress_level;
	return record_put(txn, account);
}

static void account_done(struct fs *fs, struct txn_account *account)
	REQUIRES(account->partition->lock)
{
	struct partition *partition = account->partition;

	atomic_fetch_add(&partition->operations, 1);
	atomic_fetch_add(&partition->writes, 1);
	if (partition->gone)
		return;
	partition->counts.keys =
		count_add(partition->counts.keys, account->keys);
	partition->counts.bytes =
		count_add(partition->counts.bytes, account->bytes);
	partition->gone = account->removed;
	if (partition->gone)
		partition_table_remove(fs, partition);
}

/* The strictest of what holds for what the batch is about. */
static bool must_sync(const struct txn *txn) NO_THREAD_SAFETY_ANALYSIS
{
	const struct txn_account *account;
	bool always = txn->fs->durability == KV_DURABILITY_ALWAYS;
	bool must = txn->elsewhere && always;

	for (account = txn->accounts; account; account = account->next) {
		const struct partition_settings *settings =
			&account->partition->settings;

		must |= settings->has_durability ?
				settings->durability == KV_DURABILITY_ALWAYS :
				always;
	}
	return must;
}

static void accounts_lock(struct txn *txn) NO_THREAD_SAFETY_ANALYSIS
{
	struct txn_account *account;

	for (account = txn->accounts; account; account = account->next)
		mutex_lock(&account->partition->lock);
}

static void accounts_unlock(struct txn *txn) NO_THREAD_SAFETY_ANALYSIS
{
	struct txn_account *account;

	for (account = txn->accounts; account; account = account->next)
		mutex_unlock(&account->partition->lock);
}

/* The values of a batch about several count for the last: batches that are not
 * of one partition are few. */
static void values_count(struct txn *txn, const struct kv_committed *committed)
{
	struct txn_account *last = txn->accounts;

	while (last->next)
		last = last->next;
	atomic_fetch_add(&last->partition->value_bytes_raw,
			 committed->value_bytes_raw);
	atomic_fetch_add(&last->partition->value_bytes_stored,
			 committed->value_bytes_stored);
}

static int
commit_locked(struct txn *txn, unsigned int flags,
	      struct kv_committed *ret_committed) NO_THREAD_SAFETY_ANALYSIS
{
	bool reserved = flags & KV_COMMIT_RESERVED;
	struct txn_account *account;
	int error = 0;

	for (account = txn->accounts; account && !error;
	     account = account->next)
		error = account_prepare(txn, account, reserved);
	if (!error)
		error = store_error(kv_commit_measured(
			txn->fs->kv, &txn->batch, flags | KV_COMMIT_UNSYNCED,
			ret_committed));
	for (account = txn->accounts; account && !error;
	     account = account->next)
		account_done(txn->fs, account);
	return error;
}

int partitions_commit(struct txn *txn, unsigned int flags)
{
	struct kv_committed committed = { 0 };
	bool sync;
	int error;

	accounts_lock(txn);
	sync = must_sync(txn);
	error = commit_locked(txn, flags, &committed);
	accounts_unlock(txn);
	if (error)
		return error;
	values_count(txn, &committed);
	return sync ? store_error(kv_sync_now(txn->fs->kv, committed.lsn)) : 0;
}
