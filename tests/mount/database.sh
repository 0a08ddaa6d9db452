#!/bin/sh
# SPDX-License-Identifier: MIT
# SQLite with a rollback journal and with a write-ahead log: two writers and a
# reader at a time, each transaction whole; integrity_check; all of it with the
# write-back cache, too; and a remount.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
python3 -c 'import sqlite3' 2>/dev/null || skip "no sqlite3 module"

use() {
	py <<'END'
import multiprocessing, sqlite3
ROUNDS = 60

def connect(path):
    db = sqlite3.connect(path, timeout=120, isolation_level=None)
    db.execute("pragma synchronous=full")
    return db

def write(path, who):
    db = connect(path)
    for i in range(ROUNDS):
        db.execute("begin immediate")
        taken = i % 7 + 1
        db.execute("update account set amount = amount - ? where name = ?",
                   (taken, who))
        db.execute("update account set amount = amount + ? where name = ?",
                   (taken, 1 - who))
        db.execute("insert into log values (?, ?, ?)",
                   (who, i, bytes([i]) * (i * 500)))
        db.execute("rollback" if i % 10 == 9 else "commit")
    db.close()

def read(path):
    db = connect(path)
    count = 0
    while count < 2 * (ROUNDS - ROUNDS // 10):
        total, = db.execute("select sum(amount) from account").fetchone()
        assert total == 2000, total
        count, = db.execute("select count(*) from log").fetchone()
    db.close()

for mode in "delete", "truncate", "persist", "wal":
    path = mode + ".db"
    db = connect(path)
    assert db.execute("pragma journal_mode=" + mode).fetchone() == (mode,)
    db.execute("create table account (name integer primary key, amount)")
    db.execute("insert into account values (0, 1000), (1, 1000)")
    db.execute("create table log (who, number, data)")
    db.execute("create index by_number on log (number, who)")
    workers = [multiprocessing.Process(target=write, args=(path, 0)),
               multiprocessing.Process(target=write, args=(path, 1)),
               multiprocessing.Process(target=read, args=(path,))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0, (mode, worker)
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    db.execute("delete from log where number % 2")
    db.execute("vacuum")
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
END
}

verify() {
	py <<'END'
import sqlite3
for mode in "delete", "truncate", "persist", "wal":
    db = sqlite3.connect(mode + ".db")
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    rows = db.execute("select who, number, length(data) from log").fetchall()
    assert sorted(rows) == sorted(
        (who, i, i * 500) for who in (0, 1) for i in range(0, 60, 2)), mode
    assert db.execute("select sum(amount) from account").fetchone() == (2000,)
END
}

start
use
restart -o writeback
verify
rm "${mnt:?}"/*
use
restart
verify
