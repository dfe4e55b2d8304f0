# SPDX-License-Identifier: MIT
"""Runs ON a machine without a file system: mounts one in RAM that the heap does not use, and that
a soft reset leaves as it is.

`RAM`: its address, set by who sends this. A file is a record: length of its path, length of its
data, path, data. The last one of a path counts; a path of no length ends the list. Nothing is ever
freed."""

import io
import struct
import sys

import uctypes
import vfs

_HEAD = "<HI"
_SIZE = 6
_FOLDER = 0xFFFFFFFF


def _bytes(address, size):
    return uctypes.bytearray_at(address, size)


class _File(io.IOBase):
    def ioctl(self, request, argument):
        return 0

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Read(_File):
    def __init__(self, address, size):
        self._data = memoryview(_bytes(address, size))
        self._at = 0

    def readinto(self, buf):
        part = self._data[self._at : self._at + len(buf)]
        buf[: len(part)] = part
        self._at += len(part)
        return len(part)

    def read(self, size=-1):
        part = self._data[self._at :] if size < 0 else self._data[self._at : self._at + size]
        self._at += len(part)
        return bytes(part)


class _Write(_File):
    def __init__(self, disk, path):
        self._disk = disk
        self._path = path
        self._size = 0
        self._at = disk.end + _SIZE + len(path)

    def write(self, data):
        size = len(data)
        _bytes(self._at + self._size, size)[:] = data
        self._size += size
        return size

    def close(self):
        self._disk.put(self._path, self._size)


class _Disk:
    def __init__(self, address):
        self._start = address
        self.end = self._find(None)[0]

    def _find(self, path):
        """Where the data of a path is, and its length; None: there is no such path. For the path
        None: the end of the list."""
        at = self._start
        found = None
        while True:
            length, size = struct.unpack(_HEAD, _bytes(at, _SIZE))
            if length == 0:
                return (at, 0) if path is None else found
            if length == len(path or "") and _bytes(at + _SIZE, length) == path:
                found = (at + _SIZE + length, size)
            at += _SIZE + length + (0 if size == _FOLDER else size)

    def put(self, path, size):
        head = _bytes(self.end, _SIZE + len(path))
        struct.pack_into(_HEAD, head, 0, len(path), size)
        head[_SIZE:] = path
        self.end += len(head) + (0 if size == _FOLDER else size)
        _bytes(self.end, _SIZE)[:] = bytes(_SIZE)

    def _found(self, path):
        path = path.strip("/").encode()
        found = self._find(path) if path else (0, _FOLDER)
        if found is None:
            raise OSError(2)
        return found

    def mount(self, readonly, mkfs):
        pass

    def open(self, path, mode):
        if "w" in mode:
            return _Write(self, path.strip("/").encode())
        return _Read(*self._found(path))

    def stat(self, path):
        size = self._found(path)[1]
        kind = 0x4000 if size == _FOLDER else 0x8000
        return (kind, 0, 0, 0, 0, 0, 0 if size == _FOLDER else size, 0, 0, 0)

    def mkdir(self, path):
        self.put(path.strip("/").encode(), _FOLDER)

    def chdir(self, path):
        pass


vfs.mount(_Disk(RAM), "/")  # noqa: F821  see above
sys.path.append("/lib")
