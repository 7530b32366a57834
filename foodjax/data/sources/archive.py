"""Source that reads an archive, .zip or .tar.*, as a stream. It extracts nothing and limits every size."""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from foodjax.data.sources.base import Example, Listing, Missing, Source, file_stats, signature_of
from foodjax.data.sources.folders import read_table
from foodjax.data.sources.food101 import LISTS
from foodjax.data.sources.layouts import Options, list_tree
from foodjax.data.sources.tree import Folder, from_files
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import to_path

MAX_MEMBER_BYTES = 256 * 2**20  # of one file in an archive
MAX_HEADER_BYTES = 2**16  # of one extended header of a tar: long names and the like
MAX_HEADERS_BYTES = 2**18  # of all headers before one member
MAX_GLOBAL_FIELDS = 100  # of the extended headers that count for all members; git archive writes one
MAX_EXPANSION = 20  # times the archive's size; photographs are compressed already
MAX_NAME = 4096  # characters of a path, as on Linux
MAX_TREE_BYTES = 2**27  # of memory for the names of a small archive; a larger archive gets twice its size more
_BYTES_OF_A_NAME = 400  # of memory for each folder of a path, and for its file


class _Header(tarfile.TarInfo):
    """The header of a member of a tar; a size above the limit is refused before anything is read."""

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
    """An archive of photographs in any layout, read as a stream; nothing is extracted."""

    def __init__(self, path: Path, options: Options = Options()):  # noqa: B008, it is immutable
        self.name, self.path, self.where, self._options = path.name.split(".")[0], path, str(path), options
        self._tree: Folder | None = None
        self._paths: set[str] = set()
        self._texts: dict[str, bytes] = {}

    def fingerprint(self) -> Any:  # noqa: D102
        labels = self._options.labels
        name = os.path.basename(labels) if to_path(labels).is_file() else labels
        return [[stats[:2] for stats in self._stats()], self._options._replace(labels=name).of_pictures()]

    def signature(self) -> str | None:  # noqa: D102
        return signature_of(self._stats())

    def _stats(self) -> list[tuple[int, int, int]]:
        table = [str(to_path(self._options.labels))] if self._options.labels else []
        return file_stats([self.where, *table])

    def for_everything(self) -> Source:  # noqa: D102
        other = Archive(self.path, self._options._replace(everything=True, group=""))
        other._tree, other._paths, other._texts = self._tree, self._paths, self._texts
        return other

    def listing(self) -> Listing:  # noqa: D102
        if self.listed is None:
            if self._tree is None:
                self._scan()
            assert self._tree
            self.listed = list_tree(self._tree, self.where, self._text, self._options)
        return self.listed

    def _scan(self) -> None:
        # The lists of Food-101 are read in the same pass.
        lists = tuple(f"/meta/{name}" for name in LISTS)
        for path, content in self._members(lambda path: f"/{path}".endswith(lists)):
            self._paths.add(path)
            if content is not None:
                self._texts[path] = content  # of two members of one name the last counts, as for tar
        self._tree = from_files(self.where, self._paths)

    def read(self, examples: Iterable[Example]) -> Iterator[tuple[Example, bytes]]:  # noqa: D102
        wanted = {example.location: example for example in examples}
        for path, content in self._members(wanted.__contains__):
            if content is not None and path in wanted:  # a second member of one name counts for nothing
                yield wanted.pop(path), content
        for example in wanted.values():
            if not isinstance(example.location, Missing):
                raise UserError(f"{self.path} holds {example.file!r} no longer: needs an archive that does not change")
            yield example, b""  # a list names it: the decoder reports it

    def _text(self, path: str) -> bytes:
        """Returns the content of a member, or of a table of labels that lies elsewhere."""
        if path in self._texts:
            return self._texts[path]
        if path not in self._paths:
            return read_table(path, self.where)
        return next(content for _, content in self._members(path.__eq__) if content is not None)

    def _members(self, wants: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
        """Yields the path of every file, and its content if `wants` accepts the path; checks all members."""
        try:
            packed = self.path.stat().st_size
            total, limit = 0, MAX_EXPANSION * packed + MAX_MEMBER_BYTES
            tree, tree_limit = 0, MAX_TREE_BYTES + 2 * packed
            of_kind = _zip_members if zipfile.is_zipfile(self.path) else _tar_members
            for name, size, kind, read in of_kind(self.path):
                # Nothing is extracted, so nothing can be overwritten; but such an archive was made to do harm.
                name = name.replace("\\", "/")  # of some programs on Windows
                if len(name) > MAX_NAME:
                    raise UserError(
                        f"{self._member(name)} has a name of {len(name):,} characters: refused (at most {MAX_NAME:,})"
                    )
                parts = PurePosixPath(name).parts
                tree += len(name) + _BYTES_OF_A_NAME * len(parts)
                if tree > tree_limit:
                    raise UserError(f"{self.path} has more members than an archive of photographs of its size: refused")
                if name.startswith("/") or ".." in parts:
                    raise UserError(f"{self._member(name)} points outside the archive: refused")
                if kind not in ("file", "folder"):
                    raise UserError(f"{self._member(name)} is {kind}: refused")
                total += size
                if total > limit:
                    raise UserError(f"{self.path} expands to more than {MAX_EXPANSION} times its size: refused")
                if size > MAX_MEMBER_BYTES:  # of a tar, set by an extended header
                    raise UserError(f"{self._member(name)} has {size:,} bytes: refused (at most {MAX_MEMBER_BYTES:,})")
                if kind == "file":
                    path = "/".join(parts)
                    yield path, read() if wants(path) else None
        except UserError:
            raise
        except Exception as error:  # the archives' modules and broken numbers in headers raise a dozen types
            if isinstance(error, OSError) and error.errno:  # gzip and bz2 raise OSError too, without a number
                raise UserError(
                    f"cannot read {self.path} ({error.strerror}): needs the right to read and a working disk"
                ) from None
            if foreign := _foreign(self.path):
                raise UserError(
                    f"{self.path} is a {foreign} archive, which is not read: needs .zip or .tar.*, or the folder "
                    f"that it holds"
                ) from None
            raise UserError(
                f"{self.path} is not a whole tar archive or zip file ({first_line(error)}): download it again, or set "
                f"data.dir to a folder"
            ) from None

    def _member(self, name: str) -> str:
        return f"{self.path}: the member {ascii(name[:80])}"


def _foreign(path: Path) -> str:
    """Returns the kind of an archive that is not read, by its first bytes; "" for none."""
    kinds = {b"7z\xbc\xaf": "7z", b"Rar!": "RAR", b"\x28\xb5\x2f\xfd": "Zstandard", b"PAR1": "Parquet"}
    return _by_start(path, kinds) or ""


def _by_start(path: Path, kinds: dict[bytes, Any]) -> Any:
    """Returns the value of the bytes that a file begins with; None where it begins with none of them."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((kind for magic, kind in kinds.items() if start.startswith(magic)), None)


# Name, size, kind (file, folder, or what is refused) and a function that returns the content.
_Member = tuple[str, int, str, Callable[[], bytes]]


def _tar_members(path: Path) -> Iterator[_Member]:
    with _Unpacked(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_Header) as tar:  # pyright: ignore
        while member := tar.next():
            if len(tar.pax_headers) > MAX_GLOBAL_FIELDS:
                raise UserError(f"{path} has more than {MAX_GLOBAL_FIELDS} fields for all of its members: refused")
            kind = "file" if member.isreg() else "folder" if member.isdir() else "a link or a device"
            if member.issparse():
                kind = "a sparse file"
            unpacked.allow(member.size)
            yield member.name, member.size, kind, lambda member=member: tar.extractfile(member).read()  # pyright: ignore
            tar.members.clear()  # tarfile keeps every header


class _Unpacked:
    """The bytes of a tar archive of any compression, unpacked in small pieces, for tarfile's stream.

    tarfile reads any number of headers before it returns a member. Here `read` raises UserError when the headers are
    longer than MAX_HEADERS_BYTES.
    """

    def __init__(self, path: Path):
        kinds = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open, b"\x5d\0\0\x80": lzma.open}
        unpack = _by_start(path, kinds) or open
        # These modules unpack no more than is read; tarfile's own unpacking expands 10 KB at once, whatever it becomes.
        self._file: IO[bytes] = unpack(path, "rb")
        self._path, self._count = path, 0
        self.allow(0)

    def allow(self, size: int) -> None:
        """Lets a member of `size` bytes be read, and the headers after it."""
        self._allowed = self._count + size + MAX_HEADERS_BYTES

    def read(self, size: int) -> bytes:
        """Returns the next bytes, at most `size`."""
        content = self._file.read(size)
        self._count += len(content)
        if self._count > self._allowed:
            raise UserError(f"{self._path} has headers of more than {MAX_HEADERS_BYTES:,} bytes: refused")
        return content

    def __enter__(self) -> "_Unpacked":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _zip_members(path: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            mode = stat.S_IFMT(member.external_attr >> 16)  # 0: made on another system
            kind = "file" if mode in (0, stat.S_IFREG) else "a link or a device"
            if member.is_dir():
                kind = "folder"
            elif member.flag_bits & 1:
                kind = "encrypted"
            yield member.filename, member.file_size, kind, lambda member=member: _unzip(file, member)


def _unzip(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with file.open(member) as stream:
        return stream.read(member.file_size + 1)  # the size was checked; a longer content fails its checksum
