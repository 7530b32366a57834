"""Finds the members of a zip file as torch.save writes it: stored without compression, no larger than the file.

Python's zipfile reads a directory of any size, and copies. Here a member is a view of the file's bytes.
"""

import struct
import zlib
from typing import NamedTuple

from foodjax.models.weights.unreadable import Unreadable
from foodjax.system.text import printable

MAX_MEMBERS = 2**16
_END, _END64, _LOCATOR, _ENTRY, _MEMBER = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
_END_SIZE, _LOCATOR_SIZE = 22, 20


class Member(NamedTuple):
    """Where the bytes of a member lie, their CRC-32, and whether they are stored as they are."""

    start: int
    size: int
    crc: int
    plain: bool


class Zip:
    """The members of a zip file by name.

    Raises:
        Unreadable: it is cut off or damaged, or a member lies outside it.
    """

    def __init__(self, content: bytes):
        self._content, self._unread = content, len(content)
        self.members: dict[str, Member] = {}
        try:
            count, at = self._directory()
            if count > MAX_MEMBERS:
                raise Unreadable(f"has {count:,} members: needs at most {MAX_MEMBERS:,}")
            for _ in range(count):
                at = self._entry(at)
        except struct.error:
            raise Unreadable("is damaged: a member of the zip file lies outside it") from None

    def read(self, name: str) -> memoryview:
        """Returns the bytes of a member; all that are read together are no more than the file's.

        Raises:
            Unreadable: there is none of this name, or it is compressed, changed, or in the place of others.
        """
        if name not in self.members:
            raise Unreadable(f"is damaged: the zip file has no {printable(name[:100])}")
        start, size, crc, plain = self.members[name]
        if not plain:
            raise Unreadable(
                f"has {printable(name[:100])} compressed or encrypted, which torch.save never writes: refused"
            )
        self._unread -= size
        if self._unread < 0:  # the checksums of many members in one place would take hours
            raise Unreadable("is damaged: members of the zip file lie in one place")
        found = memoryview(self._content)[start : start + size]
        if zlib.crc32(found) != crc:
            raise Unreadable(f"is damaged: the checksum of {printable(name[:100])} is another one")
        return found

    def _directory(self) -> tuple[int, int]:
        """Returns the number of members and where the directory begins."""
        end = len(self._content) - _END_SIZE
        if end < 0 or self._content[end : end + 4] != _END:  # torch.save writes no comment behind it
            raise Unreadable("is cut off: the zip file has no directory at its end")
        count, at = struct.unpack_from("<10xH4xI2x", self._content, end)
        locator = max(end - _LOCATOR_SIZE, 0)
        if self._content[locator : locator + 4] == _LOCATOR:
            (end64,) = struct.unpack_from("<8xQ4x", self._content, locator)
            signature, count, at = self._unpack("<4s28xQ8xQ", end64)
            if signature != _END64:
                raise Unreadable("is damaged: the zip file has no directory")
        return count, at

    def _unpack(self, form: str, at: int) -> tuple:
        if at > len(self._content):  # struct takes no larger numbers
            raise struct.error
        return struct.unpack_from(form, self._content, at)

    def _entry(self, at: int) -> int:
        """Adds the member of an entry of the directory; returns where the next one begins."""
        signature, flags, method, crc, packed, size, name_size, extra_size, comment_size, start = self._unpack(
            "<4s4xHH4xIIIHHH8xI", at
        )
        if signature != _ENTRY:
            raise Unreadable("is damaged: the zip file's directory is not whole")
        name_end = at + 46 + name_size
        end = name_end + extra_size
        name = self._content[at + 46 : name_end].decode("utf-8", "replace")
        packed, size, start = self._large(self._content[name_end:end], size, packed, start)
        own, *lengths = self._unpack("<4s22xHH", start)
        data = start + 30 + sum(lengths)
        if own != _MEMBER or data + packed > len(self._content):
            raise Unreadable(f"is damaged: {printable(name[:100])} lies outside the zip file")
        self.members[name] = Member(data, packed, crc, not method and not flags & 1 and packed == size)
        return end + comment_size

    def _large(self, extra: bytes, size: int, packed: int, start: int) -> tuple[int, int, int]:
        """Returns the numbers of an entry; those that do not fit in 32 bits stand in its extra field 1."""
        numbers = [size, packed, start]
        while len(extra) >= 4:
            kind, length = struct.unpack_from("<HH", extra)
            field, extra = extra[4 : 4 + length], extra[4 + length :]
            if kind == 1:
                for i, number in enumerate(numbers):
                    if number == 2**32 - 1:
                        (numbers[i],) = struct.unpack_from("<Q", field)
                        field = field[8:]
        size, packed, start = numbers
        return packed, size, start
