"""A tree of folders and files: of a folder on the disk, listed once, or of the members of an archive.

Junk (hidden files, folders of systems and notebooks) is left out. Paths are relative to the root, with "/" between
names; that of the root is "".
"""

import functools
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from foodjax.data.formats import is_junk, is_picture
from foodjax.system.errors import UserError

_MAX_LINKED = 100_000  # folders that are reached through links
MAX_DEPTH = 64  # folders, one in the other
# Files by which a folder is known that foodjax wrote: a run, its pages and evaluations, a comparison, a prepared set.
_OWN = (
    {"config.json", "dataset.json"},
    {"evaluation.json", "predictions.csv"},
    {"inspect.html", "samples.png"},
    {"find_lr.csv", "find_lr.png"},
    {"comparison.html", "accuracy.png"},
    {"info.json", "images.npy"},
)


@dataclass
class Folder:
    """A folder.

    Attributes:
        name: its last name; of the root, the one that the user gave.
        path: from the root, "" for the root itself.
        folders: by their names, sorted.
        files: name -> "" for a regular file, else why it cannot be opened; sorted.
        problem: why the folder cannot be listed; "" if it can.
        own: paths of folders that foodjax wrote: their pictures are no photographs. They are left out of the tree, and
            its root alone has this list.
    """

    name: str
    path: str
    folders: dict[str, "Folder"] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    own: list[str] = field(default_factory=list)

    def inside(self, name: str) -> str:
        """Returns the path of what has this name in the folder."""
        return f"{self.path}/{name}" if self.path else name

    @functools.cached_property
    def num_pictures(self) -> int:
        """Number of pictures directly in the folder."""
        return sum(not problem and is_picture(name) for name, problem in self.files.items())

    @functools.cached_property
    def num_pictures_below(self) -> int:
        """Number of pictures in the folder, at any depth."""
        return self.num_pictures + sum(folder.num_pictures_below for folder in self.folders.values())

    @functools.cached_property
    def num_files_below(self) -> int:
        """Number of files in the folder, at any depth."""
        return len(self.files) + sum(folder.num_files_below for folder in self.folders.values())

    @property
    def with_pictures(self) -> list["Folder"]:
        """The folders that hold a picture at any depth."""
        return [folder for folder in self.folders.values() if folder.num_pictures_below]

    def walk(self) -> Iterator["Folder"]:
        """Yields the folder and all folders below it, in the order of their names."""
        yield self
        for folder in self.folders.values():
            yield from folder.walk()

    def find(self, path: str) -> "Folder | None":
        """Returns the folder at a path below this one."""
        found: Folder | None = self
        for name in filter(None, path.split("/")):
            found = found.folders.get(name) if found else None
        return found

    def finish(self) -> None:
        """Sorts folders and files by their names, and leaves out what foodjax wrote."""
        self._leave_out_own(self.own)
        for folder in self.walk():
            folder.folders = dict(sorted(folder.folders.items()))
            folder.files = dict(sorted(folder.files.items()))

    def _leave_out_own(self, own: list[str]) -> None:
        for name, folder in list(self.folders.items()):
            if any(names <= folder.files.keys() for names in _OWN):
                own.append(folder.path)
                del self.folders[name]
                continue
            before = len(own)
            folder._leave_out_own(own)
            if len(own) > before and not folder.num_pictures_below:  # runs/ of runs/food10
                del self.folders[name]


def scan(root: str) -> Folder:
    """Lists a folder of the disk, and follows links.

    Nothing is asked of the disk that the listing gives: only links are looked at. A link to a folder that it lies in
    is a loop, and is kept as a file with a problem.

    Raises:
        UserError: the root cannot be listed.
    """
    top = Folder(os.path.basename(root), "")
    # Each with where it is on the disk, the real paths of the folders that it lies in, and whether a link led there.
    waiting: list[tuple[Folder, str, tuple[str, ...], bool]] = [(top, root, (os.path.realpath(root),), False)]
    num_linked = 0
    while waiting:
        folder, place, above, linked = waiting.pop()
        num_linked += linked
        if num_linked > _MAX_LINKED:
            raise UserError(f"links lead to more than {_MAX_LINKED:,} folders below {root}: needs fewer links")
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if not _is_folder(entry):
                        if not is_junk(entry.name, is_folder=False):
                            folder.files[entry.name] = _problem(entry)
                    elif not is_junk(entry.name, is_folder=True):
                        by_link = entry.is_symlink()
                        real = os.path.realpath(entry.path) if by_link else os.path.join(above[-1], entry.name)
                        if real in above:
                            folder.files[entry.name] = "a link to a folder that it lies in"
                        elif len(above) > MAX_DEPTH:
                            raise UserError(f"the folders in {root} lie more than {MAX_DEPTH} deep: needs fewer")
                        else:
                            inner = folder.folders[entry.name] = Folder(entry.name, folder.inside(entry.name))
                            waiting.append((inner, entry.path, (*above, real), linked or by_link))
        except OSError as error:
            if folder is top:
                raise UserError(f"cannot read the folder {root} ({error.strerror}): needs the right to read") from None
            folder.problem = error.strerror or "cannot be read"
    top.finish()
    return top


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where there is no right to look
        return False


def _problem(entry: os.DirEntry) -> str:
    """Returns why an entry that is no folder cannot be opened as a file; "" if it can."""
    try:
        if entry.is_file():
            return ""
        if entry.is_symlink() and not os.path.exists(entry.path):
            return "a link to a file that is not there"
        mode = os.stat(entry.path).st_mode
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    for test, kind in ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket")):
        if test(mode):
            return f"a {kind}, not a file"
    return "a device, not a file"


def from_files(name: str, paths: Iterable[str]) -> Folder:
    """Returns the tree of the regular files of an archive, given by their paths.

    Raises:
        UserError: the folders lie too deep.
    """
    top = Folder(name, "")
    for path in paths:
        *folders, last = [part for part in path.split("/") if part not in ("", ".")] or [""]
        if not last or is_junk(last, is_folder=False) or any(is_junk(part, is_folder=True) for part in folders):
            continue
        if len(folders) > MAX_DEPTH:
            raise UserError(f"the folders in {name} lie more than {MAX_DEPTH} deep: needs fewer")
        folder = top
        for part in folders:
            if part not in folder.folders:
                folder.folders[part] = Folder(part, folder.inside(part))
            folder = folder.folders[part]
        folder.files[last] = ""
    top.finish()
    return top
