"""Which files a prepared set of the cache was made of.

The name of a prepared set comes from the names, sizes and times of the files, so that a folder is known again after it
was moved or copied. Other files may have the same ones: a set is used when its files are known by a state that no
program can set (the time of the last change of the file's record), or when their content is.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from foodjax.data.identity import Photograph, digest
from foodjax.data.sources.base import Example, Source
from foodjax.system import files
from foodjax.system.ordered_map import ordered_map

FILE = "verified.json"
Track = Callable[[str, int, Iterator], Iterator]


def write_verified(folder: Path, found: Iterable[Photograph], signature: str | None) -> None:
    """Writes verified.json: a digest of all examples of the set, and the signature of their source."""
    _write(folder, _fit(found), [signature] if signature else [])


def is_verified(folder: Path, source: Source, part: str, examples: Callable[[], list[Example]], track: Track) -> bool:
    """Returns whether a prepared set was made of the source's files; reads them where their state is a new one.

    Args:
        folder: of the prepared set, whose name the source's fingerprint gave.
        source: where the photographs come from.
        part: train, validation or test.
        examples: returns those of the part.
        track: as for `prepare`.

    Raises:
        UserError: a photograph cannot be read now.
    """
    signature = source.signature()
    if signature is None:
        return True
    try:
        stored = files.read_json(folder / FILE, math.inf)
        known, signatures = str(stored["examples"]), [str(one) for one in stored["signatures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if signature in signatures:
        return True
    wanted = examples()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        read = track(f"comparing {part}", len(wanted), ordered_map(pool, _identify, source.read(wanted)))
        if _fit(read) != known:
            print(f"{part}: photographs have changed, with sizes and times as before: preparing them again")
            return False
    try:
        _write(folder, known, [*signatures, signature])
    except OSError:
        pass  # a cache that others own: compared again the next time
    return True


def _identify(item: tuple[Example, bytes]) -> Photograph:
    example, encoded = item
    return Photograph(example.id, example.class_name, digest(encoded))


def _fit(found: Iterable[Photograph]) -> str:
    """Returns a digest of ids, classes and files: each row of a set is a certain photograph."""
    return digest(json.dumps(sorted(found)).encode())


def _write(folder: Path, known: str, signatures: list[str]) -> None:
    files.write_text(folder / FILE, json.dumps({"examples": known, "signatures": signatures}))
