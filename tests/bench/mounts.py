# SPDX-License-Identifier: MIT
"""Filesystems under test: mounting them empty, and removing them."""

import os
import shutil
import subprocess
import time
from pathlib import Path

SETTLE_S = 0.3
MOUNT_TIMEOUT_S = 20


def drop_caches():
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")
    time.sleep(SETTLE_S)


class Subject:
    """A filesystem under test: start() mounts it empty, stop() removes it."""

    def __init__(self, name, scratch):
        self.name = name
        self.home = scratch / name
        self.mountpoint = self.home
        self.daemon = None
        self.fsbench_options = []

    def command(self, mountpoint):
        """What to run; None: self.home is the filesystem."""
        return None

    def start(self):
        self.home.mkdir()
        mountpoint = self.home / "mnt"
        command = self.command(mountpoint)
        if command is None:
            return
        mountpoint.mkdir()
        self.mount(command, mountpoint)

    def mount(self, command, mountpoint):
        before = mountpoint.stat().st_dev
        self.mountpoint = mountpoint
        self.daemon = subprocess.Popen([str(word) for word in command])
        end = time.monotonic() + MOUNT_TIMEOUT_S
        while mountpoint.stat().st_dev == before:
            if self.daemon.poll() is not None or time.monotonic() > end:
                raise RuntimeError("%s did not mount" % self.name)
            time.sleep(0.002)

    def memory_mb(self):
        """Of the daemon, None when there is none: resident, of it anonymous, and
        the most that was resident since it was started."""
        if self.daemon is None:
            return None
        status = Path("/proc/%d/status" % self.daemon.pid).read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return [int(fields[f].split()[0]) * 1024 / 1e6
                for f in ("VmRSS", "RssAnon", "VmHWM")]

    def unmount(self):
        if self.daemon is not None:
            if self.daemon.poll() is None:
                subprocess.run(["umount", str(self.mountpoint)], check=False)
            try:
                self.daemon.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
            self.daemon = None

    def stop(self):
        self.unmount()
        shutil.rmtree(self.home, ignore_errors=True)


class Floor(Subject):
    def __init__(self, name, scratch, build, options=(), log=False):
        super().__init__(name, scratch)
        self.program = build / "tests/bench/floorfs"
        self.options = list(options)
        self.log = log

    def command(self, mountpoint):
        log = ["--log", self.home / "log"] if self.log else []
        return ([self.program, "--foreground"] + self.options + log
                + [mountpoint])


class Pass(Subject):
    """Holds a descriptor for each cached file, and limits are low."""

    def __init__(self, name, scratch, build):
        super().__init__(name, scratch)
        self.program = build / "tests/bench/passfs"
        self.fsbench_options = ["--files", "15000"]

    def command(self, mountpoint):
        behind = self.home / "behind"
        behind.mkdir()
        return [self.program, behind, mountpoint]


class Kvfs(Subject):
    def __init__(self, name, scratch, program, options=()):
        super().__init__(name, scratch)
        self.program = program
        self.options = list(options)

    def command(self, mountpoint):
        return ([self.program, self.home / "store", mountpoint, "-f"]
                + self.options)

    def remount(self):
        """Closes the store cleanly and opens it again; how long that took, in
        seconds, the start of the daemon included."""
        self.unmount()
        drop_caches()
        begin = time.monotonic()
        self.mount(self.command(self.mountpoint), self.mountpoint)
        return time.monotonic() - begin
