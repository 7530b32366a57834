"""Finds the parts and classes of a data set in its tree of folders, whatever its layout.

A part is a folder named train, val, test and the like that holds folders with pictures. A class is a folder below a
part, or below the root where there are no parts; all pictures below it, at any depth, are its pictures. A folder that
directly holds pictures is a class whatever its name.
"""

from collections.abc import Iterator
from typing import NamedTuple

from foodjax.data.formats import SUFFIXES, is_picture, why_unused
from foodjax.data.sources import refuse
from foodjax.data.sources.base import PARTS, Example, Unused
from foodjax.data.sources.part_names import part_of, parts_among
from foodjax.data.sources.tree import Folder
from foodjax.system.errors import UserError

WHOLE = ""  # the name of the only part of data that has none
_DEPTH = 3  # levels below the root in which parts are searched
# Folders between a part and its classes, or between a class and its pictures, that mean nothing.
_PLAIN = {"images", "image", "imgs", "img", "photos", "photographs", "pictures", "pics", "data", "dataset", "raw"}


class Located(NamedTuple):
    """Photographs by part, found in folders.

    Attributes:
        parts: part -> its examples; the only key is WHOLE where the data has no parts.
        notes: lines that say what was found.
        unused: files that are not used.
    """

    parts: dict[str, list[Example]]
    notes: list[str]
    unused: list[Unused]


def locate(root: Folder, where: str, level: int = 0) -> Located:
    """Finds parts and classes.

    Args:
        root: the tree.
        where: its path, for messages.
        level: which folder below a part is the class, 1 or more; 0 finds out.

    Raises:
        UserError: nothing fits, or two things do: the line says what was found and what is needed.
    """
    top, named = _find_parts(root, where)
    if not named:
        top = _descend(root, where)
        named = {WHOLE: top}
    roots = {part: _class_root(folder) if part else folder for part, folder in named.items()}
    for part, folder in named.items():
        _check_readable(folder if part else top, where)
    found = Located({}, [], [])
    if not level and WHOLE in roots and (by_class := _parts_in_classes(top)):
        level, names = 1, ", ".join(sorted({part for parts in by_class.values() for part in parts}))
        found.notes.append(f"each class of {where} has its own folders of parts ({names})")
        for name, parts in by_class.items():
            for part, folder in parts.items():
                _take_class(found, part, name, folder, top)
    else:
        if not level:
            refuse.groups(roots, where, _PLAIN)
        for part, folder in roots.items():
            _take_part(found, part, folder, where, max(level, 1))
        if not any(found.parts.values()):
            raise UserError(f"data.class_level is {level}, but no folder so deep in {where} holds pictures: needs less")
    _take_beside(found, root, named, roots)
    if WHOLE in roots and (flat := [f.name for f in top.with_pictures if part_of(f.name)]):
        found.notes.append(f"{', '.join(map(repr, flat))} directly holds pictures: taken as a class, not as a part")
    if top is not root:
        found.notes.append(f"the data lies in {top.path!r} of {where}")
    return found


def _holds_classes(folder: Folder) -> bool:
    """Returns whether a folder named as a part is one: stray pictures in it count less than two classes."""
    inner = folder.with_pictures
    if len(inner) == 1 and inner[0].name.lower() in _PLAIN and not inner[0].with_pictures:
        return False  # val/images/, as in Tiny ImageNet
    return len(inner) >= (2 if folder.num_pictures else 1)


def _parts_in(folder: Folder, where: str) -> dict[str, Folder]:
    parts = {}
    for part, names in parts_among(folder.folders).items():
        for inner in (folder.folders[name] for name in names):
            if inner.problem:
                raise refuse.unreadable(inner, where)
        found = [folder.folders[name] for name in names if _holds_classes(folder.folders[name])]
        if len(found) > 1:
            raise UserError(
                f"{where} has two {part} parts, {found[0].path!r} and {found[1].path!r}: needs one, rename the other"
            )
        if found:
            parts[part] = found[0]
    return {part: parts[part] for part in PARTS if part in parts}


def _find_parts(root: Folder, where: str) -> tuple[Folder, dict[str, Folder]]:
    """Returns the folder that holds the parts, and the parts; none where there are none."""
    level, is_chain = [root], True
    for _ in range(_DEPTH + 1):
        hits = []
        for folder in level:
            parts = _parts_in(folder, where)
            others = [f for f in folder.with_pictures if f.num_pictures and not part_of(f.name)]
            # One part alone may be a class of that name.
            if len(parts) > 1 or (parts and is_chain and len(others) < 2):
                hits.append((folder, parts))
        if len(hits) > 1:
            raise UserError(
                f"{where} holds {len(hits)} sets of photographs, such as {hits[0][0].path!r} and {hits[1][0].path!r}, "
                f"each with its own parts: needs data.dir set to one of them"
            )
        if hits:
            return hits[0]
        level = [inner for folder in level for inner in folder.with_pictures]
        is_chain = is_chain and len(level) == 1
    return root, {}


def _descend(root: Folder, where: str) -> Folder:
    """Returns the folder whose folders are the classes, in data without parts."""
    folder = root
    while len(folder.with_pictures) == 1 and folder.with_pictures[0].with_pictures:
        folder = folder.with_pictures[0]
    classes = folder.with_pictures
    flat = parts_among(f.name for f in classes if f.num_pictures)
    if len(classes) < 2 or len(classes) == sum(map(len, flat.values())) and len(flat) > 1:
        raise refuse.nothing_fits(root, where)
    return folder


def _class_root(part: Folder) -> Folder:
    """Returns the folder of the classes of a part: itself, or one below it, as in train/train/ and train/images/."""
    folder = part
    while len(folder.with_pictures) == 1 and not folder.num_pictures:
        inner = folder.with_pictures[0]
        named = inner.name.lower() in _PLAIN or inner.name == part.name or part_of(inner.name)
        if not named or not inner.with_pictures:
            break
        folder = inner
    return folder


def _parts_in_classes(top: Folder) -> dict[str, dict[str, Folder]]:
    """Returns class -> part -> folder where every class holds folders named as parts, and nothing else; else none."""
    found = {}
    for folder in top.with_pictures:
        inner = folder.with_pictures
        parts = {part_of(f.name): f for f in inner}
        if folder.num_pictures or "" in parts or len(parts) < len(inner):
            return {}
        found[folder.name] = parts
    return found if any(len(parts) > 1 for parts in found.values()) else {}


def _check_readable(folder: Folder, where: str) -> None:
    for inner in folder.walk():
        if inner.problem:
            raise refuse.unreadable(inner, where)


def _at_level(folder: Folder, level: int) -> Iterator[Folder]:
    for inner in folder.folders.values():
        if level == 1:
            yield inner
        else:
            yield from _at_level(inner, level - 1)


def _take_part(found: Located, part: str, folder: Folder, where: str, level: int) -> None:
    found.parts.setdefault(part, [])
    for inner in _at_level(folder, level):
        if not inner.num_files_below and not is_picture(inner.name):
            raise UserError(
                f"class folder {where}/{inner.path} has no images: needs at least one ({' '.join(SUFFIXES[:6])} ...), "
                f"or to be removed"
            )
        before = len(found.parts[part])
        if not inner.num_pictures_below:
            what = "an empty folder" if not inner.num_files_below else "a folder without pictures, no class"
            found.unused.append(Unused(part, "", inner.path, what))
        else:
            _take_class(found, part, inner.name, inner, folder)
            if len(found.parts[part]) == before:
                reason = next(row.reason for row in reversed(found.unused) if is_picture(row.file))
                raise UserError(f"class folder {where}/{inner.path} has no images that can be read ({reason})")


def _take_class(found: Located, part: str, name: str, folder: Folder, above: Folder) -> None:
    """Adds all files below `folder` to a class; their ids are their paths below `above`."""
    examples, cut = found.parts.setdefault(part, []), len(above.path) + 1 if above.path else 0
    for inner in folder.walk():
        if is_picture(inner.name) and not inner.num_files_below and inner is not folder:
            found.unused.append(Unused(part, name, inner.path, "an empty folder, not a picture"))
        for file, problem in inner.files.items():
            path = inner.inside(file)
            if reason := problem or why_unused(file):
                found.unused.append(Unused(part, name, path, reason))
            else:
                examples.append(Example(path[cut:], name, path))


def _take_beside(found: Located, root: Folder, named: dict[str, Folder], roots: dict[str, Folder]) -> None:
    """Names the pictures that lie in no class."""
    used = {example.location for examples in found.parts.values() for example in examples}
    used |= {row.file for row in found.unused}
    places = {folder.path: part for part, folder in named.items() if part}
    for folder in root.walk():
        part = next((p for path, p in places.items() if f"{folder.path}/".startswith(f"{path}/")), "")
        for file, problem in folder.files.items():
            path = folder.inside(file)
            if is_picture(file) and path not in used:
                outside = "lies in no class folder" if part or WHOLE in roots else "lies in none of the parts"
                found.unused.append(Unused(part, "", path, problem or outside))
