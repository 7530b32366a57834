"""The layout of the official Food-101 archive: images/<class>/<id>.jpg, and lists of the parts in meta/."""

import json
from pathlib import PurePosixPath

from foodjax.data.formats import is_picture, suffix_of, why_unused
from foodjax.data.sources import refuse
from foodjax.data.sources.base import Example, Listing, Missing, Unused
from foodjax.data.sources.tree import Folder
from foodjax.system.errors import UserError

LISTS = ("train.json", "test.json", "train.txt", "test.txt", "classes.txt")
_DEPTH = 2  # levels below the root in which the layout is searched


def find_layout(root: Folder) -> Folder | None:
    """Returns the folder with images/ and the lists in meta/, the root or a folder below it; None without one."""
    level = [root]
    for _ in range(_DEPTH + 1):
        for folder in level:
            meta = folder.folders.get("meta")
            if meta and (any(name in meta.files for name in LISTS)):
                return folder
        level = [inner for folder in level for inner in folder.folders.values()]
    return None


def lists_in(meta: Folder) -> list[str]:
    """Returns the lists in meta/ that `parse_meta` reads: of train.json and train.txt, the first."""
    found = [name for name in LISTS if meta.files.get(name) == ""]
    return [name for name in found if name.replace(".txt", ".json") not in found or name.endswith(".json")]


def parse_meta(texts: dict[str, bytes], root: Folder, where: str) -> Listing:
    """Returns the listing of meta/classes.txt and of train.json and test.json, or of train.txt and test.txt.

    Args:
        texts: content of the files, by their names in meta/.
        root: the folder with images/ and meta/.
        where: its path, for messages.

    Raises:
        UserError: a file is missing or does not contain {"class": ["class/name", ...]}, or lines of class/name.
    """
    found, parts = _pictures(root, where), {}
    for part in ("train", "test"):
        name = next((name for name in (f"{part}.json", f"{part}.txt") if name in texts), "")
        if not name:
            raise UserError(f"{where} has no meta/{part}.json: needs images/ and meta/ as in the published Food-101")
        try:
            table = _read_list(texts[name].decode("utf-8-sig", "surrogateescape"), name)
            parts[part] = [Example(i, label, _place(root, i, found)) for label, ids in table.items() for i in ids]
            if not all(len(PurePosixPath(e.id).parts) == 2 and ".." not in e.id for e in parts[part]):
                raise ValueError("an id is not 'class/name'")
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            needs = '{"class": ["class/name", ...]}' if name.endswith(".json") else "lines of class/name"
            raise UserError(f"{where}/meta/{name} is not a list of Food-101 ({error}): needs {needs}") from None
    listed = [
        line.strip() for line in texts.get("classes.txt", b"").decode("utf-8-sig", "surrogateescape").splitlines()
    ]
    names = tuple(filter(None, listed)) or tuple(sorted({e.class_name for part in parts.values() for e in part}))
    known = set(names)
    unused = [
        Unused(part, e.class_name, e.location, "its class is not in meta/classes.txt")
        for part, examples in parts.items()
        for e in examples
        if e.class_name not in known
    ]
    used = {e.location for examples in parts.values() for e in examples}
    unused += [Unused("", "", path, "in no list of meta/") for path in found.values() if path not in used]
    train, test = ([e for e in parts[part] if e.class_name in known] for part in ("train", "test"))
    return Listing(names, train, [], test, (), tuple(unused))


def _read_list(text: str, name: str) -> dict[str, list[str]]:
    """Returns class -> ids of a list, train.json or train.txt."""
    if name.endswith(".json"):
        return json.loads(text)
    table: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        table.setdefault(line.split("/")[0], []).append(line)
    return table


def _pictures(root: Folder, where: str) -> dict[str, str]:
    """Returns the pictures in images/ by their ids: their paths there, without suffix."""
    images, found = root.folders.get("images"), {}
    for folder in images.walk() if images else ():
        if folder.problem:
            raise refuse.unreadable(folder, where)
        for name, problem in folder.files.items():
            if is_picture(name) and not problem:
                path = folder.inside(name)
                key = path[len(root.inside("images")) + 1 : len(path) - len(suffix_of(name))]
                if key not in found or suffix_of(name) == ".jpg":
                    found[key] = path
    return found


def _place(root: Folder, example_id: str, found: dict[str, str]) -> str:
    """Returns the path of a picture, whether it is there or not; its id may have a suffix."""
    if not isinstance(example_id, str):
        raise ValueError("an id is not 'class/name'")
    bare = example_id[: len(example_id) - len(suffix_of(example_id))] if not why_unused(example_id) else example_id
    return found.get(example_id) or found.get(bare) or Missing(root.inside(f"images/{bare}.jpg"))
