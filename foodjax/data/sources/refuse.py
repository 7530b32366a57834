"""The lines that say why no layout fits a folder, what was found in it, and which folder or option would do."""

import re
from collections import Counter
from collections.abc import Collection

from foodjax.data.formats import is_picture, suffix_of
from foodjax.data.sources.tree import Folder
from foodjax.system.errors import UserError

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2")
_TABLES = (".csv", ".tsv")


def nothing_fits(root: Folder, where: str) -> UserError:
    """Returns the error for a tree in which no two classes are found."""
    for folder in root.walk():
        if folder.problem:
            return unreadable(folder, where)
    files = [folder.inside(file) for folder in root.walk() for file in folder.files]
    if not root.num_pictures_below:
        archives = [path for path in files if path.endswith(_ARCHIVES)]
        if archives:
            return UserError(
                f"{where} holds no pictures, but {len(archives)} archives, the first {archives[0]!r}: needs data.dir "
                f"set to one of them, or to a folder of classes"
            )
        kinds = Counter(suffix_of(path.rsplit("/", 1)[-1]) or "without a suffix" for path in files)
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))
        return UserError(f"{where} holds no pictures ({listed or 'it is empty'}): needs a folder for each class")
    flat = [folder for folder in root.walk() if folder.num_pictures]
    listed = ", ".join(f"{folder.num_pictures:,} in {folder.path or 'itself'!r}" for folder in flat[:3])
    more = f" and {len(flat) - 3} more folders" if len(flat) > 3 else ""
    first = next(path for path in files if is_picture(path.rsplit("/", 1)[-1]))
    tables = sorted((path for path in files if path.lower().endswith(_TABLES)), key=_likelihood)
    table = f"data.labels={tables[0]!r}" if tables else "data.labels=FILE.csv with the columns file,label"
    return UserError(
        f"{where} holds pictures ({listed}{more}; the first {first!r}), but no folders of two or more classes: needs a "
        f"folder for each class (bars/1.jpg, ring/1.jpg; perhaps below train/ and test/), or {table} where the class "
        f"stands in the file's name or in a table"
    )


def _likelihood(table: str) -> int:
    """Returns a number that is lower for tables that are likelier to hold labels, as train.csv is."""
    name = table.rsplit("/", 1)[-1].lower()
    return ("submission" in name or "test" in name) - ("train" in name or "label" in name)


def unreadable(folder: Folder, where: str) -> UserError:
    """Returns the error for a folder that cannot be listed."""
    return UserError(f"cannot read the folder {where}/{folder.path} ({folder.problem}): needs the right to read")


def groups(roots: dict[str, Folder], where: str, plain: Collection[str]) -> None:
    """Refuses folders that may be classes or groups of classes.

    Args:
        roots: part -> the folder of its classes.
        where: path of the data.
        plain: names of folders that are no classes, in lower case.

    Raises:
        UserError: a folder holds no pictures, but several folders of pictures with names that may be those of classes.
    """
    outer = [folder for root in roots.values() for folder in root.with_pictures if not folder.num_pictures]
    inner = [f for folder in map(_skip_single, outer) if not folder.num_pictures for f in folder.with_pictures]
    names = sorted({f.name for f in inner})
    numbered = {re.sub(r"\d+", "", name) for name in names}  # 2021-03-01 and 2021-03-02, day1 and day2
    if not names or len(numbered) == 1 < len(names) or all(name.lower() in plain for name in names):
        return
    first = sorted({folder.name for folder in outer})
    starts = [f"{root.path}/" if root.path else "" for root in roots.values()]
    above = next(start for start in starts if inner[0].path.startswith(start))
    level = inner[0].path.removeprefix(above).count("/") + 1
    raise UserError(
        f"the folders {_list(first)} of {where} hold no pictures themselves, but folders of pictures "
        f"({_list(names)}): needs data.class_level=1 if {first[0]!r} is a class, or data.class_level={level} if "
        f"{names[0]!r} is one, or data.dir set to one of the folders"
    )


def _skip_single(folder: Folder) -> Folder:
    while len(folder.with_pictures) == 1 and not folder.num_pictures:
        folder = folder.with_pictures[0]
    return folder


def _list(names: list[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
