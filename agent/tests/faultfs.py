"""A file system with one file, `disk`, that fails where it is told to.

    faultfs.py MOUNTPOINT BACKING [fail-write=BYTE] [fail-read=BYTE] [lie=BYTE]

Data is kept in the file BACKING. A write that covers the byte of fail-write stores nothing and says EIO; a read
that covers the byte of fail-read says EIO; a read that covers the byte of lie gives it back with all bits inverted.
Prints "ready" when it is mounted and ends when it is unmounted.
"""

import os
import stat
import sys
from errno import EIO, ENOENT

from fusepy import FUSE, FuseOSError, Operations


class FaultFs(Operations):
    def __init__(self, backing, faults):
        self.backing = os.open(backing, os.O_RDWR)
        self.faults = faults

    def init(self, path):
        print("ready", flush=True)

    def hits(self, fault, offset, length):
        byte = self.faults.get(fault)
        return byte is not None and offset <= byte < offset + length

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
        if self.hits("fail-read", offset, size):
            raise FuseOSError(EIO)
        found = bytearray(os.pread(self.backing, size, offset))
        if self.hits("lie", offset, len(found)):
            found[self.faults["lie"] - offset] ^= 0xFF
        return bytes(found)

    def write(self, path, data, offset, fh):
        if self.hits("fail-write", offset, len(data)):
            raise FuseOSError(EIO)
        return os.pwrite(self.backing, data, offset)


def main():
    mountpoint, backing, *rest = sys.argv[1:]
    faults = {name: int(byte) for name, byte in (word.split("=") for word in rest)}
    # direct_io: every read comes here, not from pages that the kernel kept.
    FUSE(FaultFs(backing, faults), mountpoint, foreground=True, nothreads=True, direct_io=True, big_writes=True)


main()
