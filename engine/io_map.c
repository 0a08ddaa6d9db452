/* SPDX-License-Identifier: MIT */

/*
 * Mappings of files, to read from and to append through, and the guard that
 * turns SIGBUS into -EIO.
 *
 * A thread inside io_guarded() has a chain of struct guard on its stack, the
 * innermost first, each with the range of its map and a place to jump to:
 *
 *	guard_top -> { map B } -> { map A } -> NULL
 *
 * The signal of a failed page is delivered to the thread that touched it. The
 * handler looks for the innermost guard whose map has the faulting address,
 * makes the guard outside it the top and jumps; the frames between are
 * abandoned, as io.h's rule for guarded functions allows. A fault at any other
 * address is a bug of this process (or another library's business) and goes to
 * whatever handled SIGBUS before, by default to death.
 *
 * Invariants:
 *  1. guard_top's chain holds exactly the guards whose io_guarded() has not
 *     returned, in this thread.
 *  2. The handler calls async-signal-safe functions only.
 *  3. The bit of a piece is set before it is read and cleared before it is
 *     dropped: only who saw it set before may still read it after that.
 *
 * No locks: the chain is the thread's own, bits and their count are atomic, the
 * rest is set once.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "engine/bitset.h"
#include "engine/io.h"
#include "engine/io_readahead.h"

struct guard {
	sigjmp_buf jump;
	uintptr_t begin;
	uintptr_t end;
	struct guard *outer;
};

/* initial-exec: a handler must not be what first allocates the variable. */
static _Thread_local struct guard *guard_top
	__attribute__((tls_model("initial-exec")));

static atomic_uint_fast64_t touches;

static pthread_once_t handler_once = PTHREAD_ONCE_INIT;
static int handler_error;
static struct sigaction handler_before;

/* Hands a signal that is not ours to what was installed before us. */
static void pass_on(int signal_number, siginfo_t *info, void *context)
{
	if (handler_before.sa_flags & SA_SIGINFO) {
		handler_before.sa_sigaction(signal_number, info, context);
		return;
	}
	if (handler_before.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (handler_before.sa_handler != SIG_DFL &&
	    handler_before.sa_handler != SIG_IGN) {
		handler_before.sa_handler(signal_number);
		return;
	}
	/* A fault cannot be ignored: the same instruction would run again. */
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void on_sigbus(int signal_number, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	int saved_errno = errno;
	struct guard *guard = NULL;

	/* si_addr means something only when the kernel saw a fault. */
	if (info->si_code > 0)
		guard = guard_top;
	while (guard && (address < guard->begin || address >= guard->end))
		guard = guard->outer;
	if (guard) {
		const ucontext_t *interrupted = context;

		guard_top = guard->outer;
		pthread_sigmask(SIG_SETMASK, &interrupted->uc_sigmask, NULL);
		siglongjmp(guard->jump, 1);
	}
	pass_on(signal_number, info, context);
	errno = saved_errno;
}

/*
 * The jump out of the handler does not restore the signal mask, as saving it
 * would be a system call at every guard. So there is to be nothing to restore:
 * SA_NODEFER and an empty mask; and where the handler was entered with more
 * signals blocked all the same (ThreadSanitizer does that), it restores the
 * mask itself. SA_ONSTACK is for threads that want handlers on another stack.
 */
static void install_handler(void)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
	};

	sigemptyset(&action.sa_mask);
	/* Asked for first: the handler may run before sigaction returns. */
	if (sigaction(SIGBUS, NULL, &handler_before) < 0 ||
	    sigaction(SIGBUS, &action, NULL) < 0)
		handler_error = -errno;
}

static int ensure_handler(void)
{
	int error = -pthread_once(&handler_once, install_handler);

	return error ? error : handler_error;
}

static size_t piece_at(uint64_t offset)
{
	return (size_t)(offset / IO_MAP_PIECE_BYTES);
}

/* [offset, offset + size), within the map and not empty, is about to be read.
 * How many of its pieces are for the first time: nearly always none. */
static size_t note_touched(const struct io_map *map, uint64_t offset,
			   size_t size)
{
	size_t added = bitset_add(map->touched, piece_at(offset),
				  piece_at(offset + size - 1));

	if (added)
		atomic_fetch_add_explicit(&touches, added,
					  memory_order_relaxed);
	return added;
}

uint64_t io_map_touches(void)
{
	return atomic_load_explicit(&touches, memory_order_relaxed);
}

uint64_t io_map_resident_bytes(void)
{
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char line[128], *at = line;
	uint64_t pages = 0;
	ssize_t size = 0;

	if (fd >= 0) {
		size = read(fd, line, sizeof(line) - 1);
		close(fd);
	}
	if (size <= 0)
		return 0;
	line[size] = '\0';
	/* The third field of sizes in pages: in all, resident, shared. */
	for (int field = 0; field < 3; field++)
		pages = strtoull(at, &at, 10);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int io_map(struct io *io, int fd, size_t size, struct io_map *ret_map)
{
	_Atomic uint64_t *touched = NULL;
	void *address = NULL;
	int error = ensure_handler();

	if (error)
		return error;
	while (size > 0) {
		error = io->ops->map(io, fd, size, &address);
		if (!error)
			break;
		if (error != -EINTR)
			return error;
	}
	if (size > 0) {
		touched = calloc(bitset_words(piece_at(size - 1) + 1),
				 sizeof(*touched));
		if (!touched) {
			io->ops->unmap(io, address, size);
			return -ENOMEM;
		}
	}
	*ret_map = (struct io_map){ io, address, size, touched };
	return 0;
}

/* The map's bytes are const to its holders; to the kernel they are a place. */
static void *map_address(const struct io_map *map, size_t offset)
{
	return (void *)((uintptr_t)map->address + offset);
}

void io_unmap(struct io_map *map)
{
	if (map->size > 0)
		map->io->ops->unmap(map->io, map_address(map, 0), map->size);
	free(map->touched);
	*map = (struct io_map){ 0 };
}

/* All three are advice: when the system does not take it, nothing is lost. */

/* How much of [offset, offset + size) is within the map. */
static size_t clip(const struct io_map *map, uint64_t offset, size_t size)
{
	if (offset >= map->size)
		return 0;
	return size < map->size - offset ? size : map->size - (size_t)offset;
}

static void advise(const struct io_map *map, uint64_t offset, size_t size,
		   int advice)
{
	size_t skew;

	size = clip(map, offset, size);
	if (size == 0)
		return;
	skew = (size_t)offset % (size_t)sysconf(_SC_PAGESIZE);
	madvise(map_address(map, (size_t)offset - skew), size + skew, advice);
}

bool io_map_drop(const struct io_map *map, uint64_t offset, size_t size)
{
	size = clip(map, offset, size);
	if (size == 0 || bitset_remove(map->touched, piece_at(offset),
				       piece_at(offset + size - 1)) == 0)
		return false;
	advise(map, offset, size, MADV_DONTNEED);
	return true;
}

void io_map_prefetch(const struct io_map *map, uint64_t offset, size_t size)
{
	advise(map, offset, size, MADV_WILLNEED);
}

void io_map_populate(const struct io_map *map, uint64_t offset, size_t size)
{
#ifdef MADV_POPULATE_READ
	size = clip(map, offset, size);
	if (size > 0)
		note_touched(map, offset, size);
	advise(map, offset, size, MADV_POPULATE_READ);
#else
	(void)map;
	(void)offset;
	(void)size;
#endif
}

/* A range that ends in the piece `last` is about to be read, `added` pieces of it
 * for the first time. */
static void read_ahead(const struct io_map *map, size_t last, size_t added)
{
	size_t first = last + 1 - added;
	size_t count = readahead_pieces(first,
					bitset_run_below(map->touched, first),
					bitset_count_near(map->touched, first));

	if (count == 0 && added == 1)
		return;
	if (count < added)
		count = added;
	io_map_prefetch(map, first * IO_MAP_PIECE_BYTES,
			count * IO_MAP_PIECE_BYTES);
}

static int touch(const struct io_map *map, uint64_t offset, size_t size)
{
	size_t added;
	int error;

	if (offset > map->size || size > map->size - offset)
		return -EINVAL;
	if (size == 0)
		return 0;
	added = note_touched(map, offset, size);
	if (added)
		read_ahead(map, piece_at(offset + size - 1), added);
	if (!map->io->ops->touch)
		return 0;
	do
		error = map->io->ops->touch(map->io, map->address + offset,
					    size);
	while (error == -EINTR);
	return error;
}

/* fn(ctx), which touches [address, address + size). */
static int guarded(const void *address, size_t size, io_guarded_fn *fn,
		   void *ctx)
{
	struct guard guard;
	int result;

	guard.begin = (uintptr_t)address;
	guard.end = guard.begin + size;
	guard.outer = guard_top;
	/* Reached again by the handler, which has set guard_top by then. */
	if (sigsetjmp(guard.jump, 0))
		return -EIO;

	guard_top = &guard;
	atomic_signal_fence(memory_order_seq_cst);
	result = fn(ctx);
	atomic_signal_fence(memory_order_seq_cst);
	guard_top = guard.outer;
	return result;
}

int io_guarded(const struct io_map *map, uint64_t offset, size_t size,
	       io_guarded_fn *fn, void *ctx)
{
	int error = touch(map, offset, size);

	return error ? error : guarded(map->address, map->size, fn, ctx);
}

int io_window_open(struct io *io, int fd, uint64_t offset, size_t size,
		   struct io_window *ret_window)
{
	size_t skew = (size_t)(offset % (uint64_t)sysconf(_SC_PAGESIZE));
	void *address = NULL;
	int error = ensure_handler();

	if (error)
		return error;
	if (!io->ops->map_window)
		return -EOPNOTSUPP;
	error = io->ops->map_window(io, fd, offset - skew, size + skew,
				    &address);
	if (error)
		return error;
	*ret_window = (struct io_window){ io, fd, address, offset - skew,
					  size + skew };
	return 0;
}

bool io_window_covers(const struct io_window *window, uint64_t offset,
		      uint64_t size)
{
	return offset >= window->offset &&
	       offset + size <= window->offset + window->size;
}

struct store_job {
	uint8_t *dst;
	const struct iovec *iov;
	size_t count;
};

/* Under the guard. */
static int store_pieces(void *ctx)
{
	const struct store_job *job = ctx;
	uint8_t *dst = job->dst;

	for (size_t i = 0; i < job->count; i++) {
		memcpy(dst, job->iov[i].iov_base, job->iov[i].iov_len);
		dst += job->iov[i].iov_len;
	}
	return 0;
}

int io_window_store(const struct io_window *window, const struct iovec *iov,
		    size_t count, uint64_t offset)
{
	struct io *io = window->io;
	struct store_job job = { window->address + (offset - window->offset),
				 iov, count };
	int error = 0;

	if (io->ops->store)
		error = io->ops->store(io, window->fd, iov, (int)count, offset);
	return error ? error :
		       guarded(window->address, window->size, store_pieces,
			       &job);
}

void io_window_close(struct io_window *window)
{
	if (window->size > 0)
		window->io->ops->unmap(window->io, window->address,
				       window->size);
	*window = (struct io_window){ 0 };
}
