"""Source that reads food-101.tar.gz as a stream. It trusts no archive: it extracts nothing and limits every size."""

import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from foodjax.data.sources.base import Listing, Source, file_stats
from foodjax.data.sources.food101 import parse_meta
from foodjax.system.errors import UserError, first_line

MAX_MEMBER_BYTES = 256 * 2**20  # of one file in an archive
MAX_HEADER_BYTES = 2**20  # of one extended header: long names and the like
MAX_EXPANSION = 20  # times the archive's size; photographs are compressed already


class _Header(tarfile.TarInfo):
    """The header of a member; a size above the limit is refused before anything is read."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        limit = MAX_MEMBER_BYTES if header.type in tarfile.REGULAR_TYPES else MAX_HEADER_BYTES
        if header.size > limit:
            raise UserError(
                f"the archive's member {ascii(header.name[:80])} has {header.size:,} bytes: refused (at most {limit:,})"
            )
        return header  # pyright: ignore[reportReturnType]


class Archive(Source):
    """food-101.tar.gz, read as a stream; nothing is extracted."""

    def __init__(self, path: Path):
        self.name, self.path = path.name.split(".")[0], path

    def fingerprint(self) -> Any:  # noqa: D102
        return file_stats([self.path])

    def listing(self) -> Listing:  # noqa: D102
        found = self._members(lambda name: name.startswith("meta/") and name.endswith((".json", ".txt")))
        return parse_meta({name: text.decode("utf-8", errors="replace") for name, text in found}, str(self.path))

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        wanted = {f"images/{i}.jpg": i for i in ids}
        for name, encoded in self._members(wanted.__contains__):
            yield wanted.pop(name), encoded
        for i in wanted.values():
            yield i, b""  # listed but missing: the decoder reports it

    def _members(self, wants: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
        """Yields name and content of the files below food-101/ that `wants` accepts; checks all others too."""
        total, limit = 0, MAX_EXPANSION * self.path.stat().st_size + MAX_MEMBER_BYTES
        try:
            with tarfile.open(self.path, "r|*", tarinfo=_Header) as tar:
                for member in tar:
                    parts = PurePosixPath(member.name).parts
                    # Nothing is extracted, so nothing can be overwritten; but such an archive was made to do harm.
                    if member.name.startswith("/") or ".." in parts:
                        raise UserError(f"{self._member(member)} points outside the archive: refused")
                    if not (member.isreg() or member.isdir()):
                        raise UserError(f"{self._member(member)} is a link or a device: refused")
                    total += member.size
                    if total > limit:
                        raise UserError(f"{self.path} expands to more than {MAX_EXPANSION} times its size: refused")
                    if member.size > MAX_MEMBER_BYTES:  # set by an extended header
                        raise UserError(
                            f"{self._member(member)} has {member.size:,} bytes: refused (at most {MAX_MEMBER_BYTES:,})"
                        )
                    if member.isreg() and "food-101" in parts:
                        inside = "/".join(parts[parts.index("food-101") + 1 :])
                        if wants(inside):
                            yield inside, tar.extractfile(member).read()  # pyright: ignore[reportOptionalMemberAccess]
        except UserError:
            raise
        except Exception as error:  # tarfile, the decompressors and broken numbers in headers raise a dozen types
            raise UserError(
                f"{self.path} is not a whole tar archive ({first_line(error)}): download it again"
            ) from None

    def _member(self, member: tarfile.TarInfo) -> str:
        return f"{self.path}: the member {ascii(member.name[:80])}"
