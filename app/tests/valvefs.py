"""A file system with one file, `disk`, whose reads and writes wait or fail for as long as its folder of wishes says.

    valvefs.py MOUNTPOINT BACKING WISHES

While WISHES holds a file `hold-writes`, `hold-reads` or `hold-flushes`, such a call waits; while it holds `fail-writes` or
`fail-reads`, it says EIO. Once a call has waited, WISHES holds `waits-writes` and so on. Prints "ready" when it is
mounted and ends when it is unmounted.
"""

import os
import stat
import sys
import time
from errno import EIO, ENOENT

from fusepy import FUSE, FuseOSError, Operations


class ValveFs(Operations):
    def __init__(self, backing, wishes):
        self.backing = os.open(backing, os.O_RDWR)
        self.wishes = wishes

    def init(self, path):
        print("ready", flush=True)

    def heed(self, calls):
        hold = os.path.join(self.wishes, "hold-" + calls)
        if os.path.exists(hold):
            open(os.path.join(self.wishes, "waits-" + calls), "w").close()
        while os.path.exists(hold):
            time.sleep(0.02)
        if os.path.exists(os.path.join(self.wishes, "fail-" + calls)):
            raise FuseOSError(EIO)

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path == "/disk":
            size = os.fstat(self.backing).st_size
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": size}
        raise FuseOSError(ENOENT)

    def readdir(self, path, fh):
        return [".", "..", "disk"]

    def read(self, path, size, offset, fh):
        self.heed("reads")
        return os.pread(self.backing, size, offset)

    def write(self, path, data, offset, fh):
        self.heed("writes")
        return os.pwrite(self.backing, data, offset)

    def fsync(self, path, datasync, fh):
        self.heed("flushes")
        return 0


def main():
    mountpoint, backing, wishes = sys.argv[1:]
    # direct_io: every read comes here, not from pages that the kernel kept; nor is the size from what it kept.
    # What waits does not keep others waiting.
    FUSE(ValveFs(backing, wishes), mountpoint, foreground=True, direct_io=True, big_writes=True, attr_timeout=0)


main()
