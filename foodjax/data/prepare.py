"""The cache of prepared photographs: decoded to RGB, resized and stored as uint8 once, then memory-mapped.

A prepared set is a folder with images.npy (N, H, H, 3) and info.json (class names, ids, labels, digests of the files,
their paths and sizes, photographs left out, what was found of the whole data, and a checksum of all of it). Its name
contains a hash of everything that it depends on, but not of the place: a moved folder is known again, see verified.py.
It is written under a temporary name and renamed when complete; a damaged set is prepared again.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from foodjax.config.keys import Config
from foodjax.data import shares
from foodjax.data.cache import cache_root
from foodjax.data.disk_space import is_full, no_room
from foodjax.data.found import Found, decoders, of_other_classes
from foodjax.data.prepared import Prepared
from foodjax.data.sources.base import Example, Listing, Source
from foodjax.data.sources.find import select_classes, select_classes_of_run
from foodjax.data.verified import is_verified
from foodjax.data.write_set import checksum_of, in_order, write_set
from foodjax.system import files, hosts
from foodjax.system.console import say
from foodjax.system.errors import UserError, first_line
from foodjax.system.ownership import owned
from foodjax.system.text import cut

# Of the cache's format, of finding the photographs and of the decoding. Up to 2 a test photograph whose file name was
# also one in train/ was read from there.
VERSION = 3
Track = Callable[[str, int, Iterator], Iterator]


def prepare(source: Source, part: str, config: Config, track: Track, class_names: tuple[str, ...] = ()) -> Prepared:
    """Returns the prepared train, validation or test set of `source`, from the cache if it is there.

    Args:
        source: where the photographs come from.
        part: "train", "validation" or "test".
        config: the experiment; reads `data`.
        track: track(title, total, iterator) yields the items of the iterator and shows the progress.
        class_names: for an evaluation: the classes of the run in label order, of which the data may lack some and have
            others beside; empty: those that config selects.

    Returns:
        The set; empty when the source has no such part.

    Raises:
        UndecodedError: photographs do not decode and data.on_error is "stop".
        UserError: a photograph cannot be read now; a class is missing or empty;
            the cache cannot be written.
    """
    data = config.data
    names = tuple(class_names) or tuple(data.class_names)
    num_classes = 0 if names else data.num_classes
    shape = [VERSION, part, names, num_classes, data.image_size, data.resize]
    shape += [data.geometry, data.decoding, data.on_error]
    if class_names:
        shape += ["evaluation", data.num_classes, data.class_names]
    key = hashlib.sha256(json.dumps([shape, source.fingerprint()]).encode()).hexdigest()[:16]
    end = f"-{part}-{data.image_size}px-{key}"
    # Of a folder that was renamed, the set still has the old name.
    folder = next(cache_root(config).glob(f"*{end}"), cache_root(config) / f"{cut(source.name, 100)}{end}")

    def select() -> Listing:
        if class_names:
            return select_classes_of_run(source.listing(), names, data.num_classes, tuple(data.class_names))
        return select_classes(source.listing(), num_classes, names)

    def examples() -> list[Example]:
        return getattr(select(), part)

    def open_own() -> Prepared | None:
        found = _open_whole(folder)
        if not found or not is_verified(folder, source, part, examples, track):
            return None
        return _as_found_now(found, source, select() if source.listed is not None else None)

    def write(decoded: Iterator[shares.Decoded], listing: Listing) -> None:
        others = of_other_classes(part, source.listing(), listing)
        write_set(folder, source, part, listing, others, data, track(f"preparing {part}", len(rows(listing)), decoded))

    def rows(listing: Listing) -> list[Example]:
        return in_order(source, part, listing)

    if shares.is_shared(folder.parent):
        with _writing(folder, data, lambda: len(examples())):
            _prepare_together(
                folder, source, data, open_own, lambda: rows(select()), lambda found: write(found, select())
            )
        return open_own() or open_prepared(folder)
    if found := open_own():
        return found
    listing = select()
    with _writing(folder, data, lambda: len(getattr(listing, part))), owned(_lock(folder)):
        if found := open_own():
            return found
        write(shares.decode(source, enumerate(rows(listing)), data), listing)
    return open_prepared(folder)


def _prepare_together(
    folder: Path,
    source: Source,
    data: Any,
    open_own: Callable[[], Prepared | None],
    rows: Callable[[], list[Example]],
    write: Callable[[Iterator[shares.Decoded]], None],
) -> None:
    """Prepares a set in several processes, each its share, if it is not there; the first one holds the lock."""
    with contextlib.ExitStack() as stack:

        def is_there() -> bool:
            if open_own() is not None:
                return True
            folder.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(owned(_lock(folder)))
            return open_own() is not None

        if not hosts.by_first(is_there):
            try:
                shares.write_own(folder, source, rows(), data)
                hosts.wait()
                hosts.by_first(lambda: write(shares.read_all(folder)))
            finally:
                shares.remove(folder)


def _lock(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.with_name(f".{folder.name}.lock")


@contextlib.contextmanager
def _writing(folder: Path, data: Any, count: Callable[[], int]) -> Iterator[None]:
    """Raises UserError for an OSError in writing a set of `count()` photographs."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise no_room(folder.parent, 3 * data.image_size**2 * count(), error) from None
        reason = error.strerror or error
        raise UserError(
            f"cannot write the prepared cache {folder} ({reason}): set data.cache_dir to a writable folder"
        ) from None


def _open_whole(folder: Path) -> Prepared | None:
    """Returns a prepared set, or None if it is missing or damaged; prints the damage."""
    if not folder.exists():
        return None
    try:
        return open_prepared(folder)
    except UserError as error:
        say(f"{error}: preparing it again")
        return None


def _as_found_now(prepared: Prepared, source: Source, now: Listing | None) -> Prepared:
    """Returns a set of the cache with the notes and the unused files as they are now, where these were listed."""
    found = prepared.found
    if now is not None:
        return replace(prepared, found=found._replace(notes=now.notes, unused=now.unused))
    notes = found.notes if not found.where else (note.replace(found.where, source.where) for note in found.notes)
    return replace(prepared, found=found._replace(notes=tuple(notes)))


def open_prepared(folder: Path, *, trusted: bool = False) -> Prepared:
    """Opens a prepared set of the cache, memory-mapped, without the photographs themselves.

    Args:
        folder: of the set.
        trusted: its pixels are not read to compare their checksum.

    Raises:
        UserError: the set is damaged.
    """
    try:
        info = files.read_json(folder / "info.json", math.inf)
        checksum = info.pop("checksum")
        if not trusted and checksum != checksum_of(info, folder / "images.npy"):
            raise ValueError("its checksum is wrong")
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        names, ids = tuple(info["class_names"]), info["ids"]
        if len(images) != len(ids):
            raise ValueError(f"{len(images)} images for {len(ids)} ids")
        labels = np.array(info["labels"], np.int64)
        if labels.shape != (len(ids),) or len(ids) and not 0 <= labels.min() <= labels.max() < len(names):
            raise ValueError("its labels do not fit its classes")
        if info["decoders"] not in (None, decoders()) and not trusted:
            raise ValueError("other formats are decoded now")
        digests = tuple(info["digests"])
        if len(digests) != len(ids):
            raise ValueError(f"{len(digests)} digests for {len(ids)} ids")
        prepared = Prepared(names, images, labels, ids, Found.from_info(info), digests, checksum, folder.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the prepared cache {folder} is damaged ({first_line(error)})") from None
    return prepared
