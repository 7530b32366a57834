"""The cache of prepared photographs: decoded to RGB, resized and stored as uint8 once, then memory-mapped.

A prepared set is a folder with images.npy (N, H, H, 3) and info.json (class names, ids, labels, files and their sizes,
photographs left out, what was found of the whole data, and a checksum of all of it). Its name contains a hash of
everything that it depends on. It is written under a temporary name and renamed when complete; a damaged set is prepared
again.
"""

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from foodjax.config.keys import Config
from foodjax.data.decode import decode_as
from foodjax.data.found import Found, UndecodedError, decoders, of_broken, of_other_classes
from foodjax.data.images import check_images
from foodjax.data.sources.base import PARTS, Listing, Source, Unused
from foodjax.data.sources.find import select_classes, select_classes_of_run
from foodjax.data.space import create_array, is_full, no_room
from foodjax.system.console import say
from foodjax.system.errors import UserError, first_line
from foodjax.system.text import cut

# Of the cache's format, of finding the photographs and of the decoding. Up to 2 a test photograph whose file name was
# also one in train/ was read from there.
VERSION = 3
Track = Callable[[str, int, Iterator], Iterator]


@dataclass(frozen=True)
class Prepared:
    """One prepared set; row i of every field is the same photograph.

    Attributes:
        class_names: names of the classes in label order.
        images: uint8 (N, H, H, 3), memory-mapped.
        labels: int64 (N,).
        ids: N ids, unique in this set.
        found: what was found of the whole data.
        checksum: of all of this; "" for a set that is not in the cache.
        folder: its name in the cache; "" for a set that is not there.

    Raises:
        TypeError: the images are not uint8.
        ValueError: the images have another shape.
    """

    class_names: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    ids: list[str]
    found: Found = field(default_factory=Found)
    checksum: str = ""
    folder: str = ""

    def __post_init__(self) -> None:
        check_images(self.images)  # of whoever makes a set without photographs on disk


def cache_root(config: Config) -> Path:
    """Returns the folder of all prepared sets: data.cache_dir, or foodjax/ in the user's cache folder."""
    if config.data.cache_dir:
        return Path(config.data.cache_dir).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foodjax"


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
    folder = cache_root(config) / f"{cut(source.name, 100)}-{part}-{data.image_size}px-{key}"
    if found := _open_whole(folder):
        return found
    whole = source.listing()
    if class_names:
        listing = select_classes_of_run(whole, names, data.num_classes, tuple(data.class_names))
    else:
        listing = select_classes(whole, num_classes, names)
    others = of_other_classes(part, whole, listing)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Waits for a process that prepares the same set.
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if found := _open_whole(folder):
                return found
            _write(folder, source, part, listing, others, data, track)
    except OSError as error:
        if is_full(error):
            raise no_room(folder.parent, 3 * data.image_size**2 * len(getattr(listing, part)), error) from None
        reason = error.strerror or error
        raise UserError(
            f"cannot write the prepared cache {folder} ({reason}): set data.cache_dir to a writable folder"
        ) from None
    return open_prepared(folder)


def _write(
    folder: Path, source: Source, part: str, listing: Listing, others: list[Unused], data: Any, track: Track
) -> None:
    examples = sorted(getattr(listing, part), key=lambda example: example.id)
    ids = [example.id for example in examples]
    row_of = {example_id: row for row, example_id in enumerate(ids)}
    if len(row_of) != len(ids):
        raise UserError(f"{source.name} lists an image twice in its {part} set: needs distinct ids")
    size = data.image_size
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed
    temporary.mkdir()
    try:
        shape = (len(ids), size, size, 3)
        images = create_array(temporary / "images.npy", shape) if ids else np.zeros(shape, np.uint8)
        bad: dict[int, str] = {}
        sizes = np.full(len(ids), -1)

        def one(item):
            example, encoded = item
            try:
                return row_of[example.id], len(encoded), decode_as(data, encoded), ""
            except ValueError as error:
                return row_of[example.id], len(encoded), None, first_line(error)

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            decoded = _map(pool, one, source.read(examples))
            for row, num_bytes, image, problem in track(f"preparing {part}", len(ids), decoded):
                sizes[row] = num_bytes
                if image is None:
                    bad[row] = problem
                else:
                    images[row] = image
        broken, broken_sizes = of_broken(part, examples, bad, sizes)
        if broken and data.on_error == "stop":
            raise UndecodedError(broken, broken_sizes, part, len(ids))
        kept = np.delete(np.arange(len(ids)), sorted(bad))
        having = {examples[row].class_name for row in kept}
        for name in dict.fromkeys(e.class_name for e in examples if part != "validation"):
            if name not in having:
                raise UserError(
                    f"class {name!r} has no {part} image that decodes: needs at least one, or data.class_names without "
                    f"it"
                )
        label_of = {name: label for label, name in enumerate(listing.class_names)}
        if len(kept) < len(ids) or not ids:
            np.save(temporary / "images.npy", images[kept])
        info = {
            "class_names": listing.class_names,
            "ids": [ids[row] for row in kept],
            "labels": [label_of[examples[row].class_name] for row in kept],
            "files": [examples[row].file for row in kept],
            "sizes": sizes[kept].tolist(),
            "left_out": [*broken, *others],
            "broken_sizes": broken_sizes,
            "decoders": decoders() if broken else None,
            "counts": {name: len(getattr(listing, name)) for name in PARTS},
            "notes": listing.notes,
            "unused": listing.unused,
        }
        if isinstance(images, np.memmap):
            images.flush()
        info["checksum"] = _checksum(info, temporary / "images.npy")
        (temporary / "info.json").write_text(json.dumps(info))
        if folder.exists():
            shutil.rmtree(folder)  # damaged
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _map(pool: ThreadPoolExecutor, function: Callable, items: Iterator, ahead: int = 64) -> Iterator:
    """Maps in threads and in order; reads at most `ahead` items in advance, as an archive may not fit in memory."""
    items = iter(items)
    waiting = [pool.submit(function, item) for item in itertools.islice(items, ahead)]
    while waiting:
        yield waiting.pop(0).result()
        waiting += [pool.submit(function, item) for item in itertools.islice(items, 1)]


def _open_whole(folder: Path) -> Prepared | None:
    """Returns a prepared set, or None if it is missing or damaged; prints the damage."""
    if not folder.exists():
        return None
    try:
        return open_prepared(folder)
    except UserError as error:
        say(f"{error}: preparing it again")
        return None


def _checksum(info: dict[str, Any], images: Path) -> str:
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    with images.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()


def open_prepared(folder: Path, *, trusted: bool = False) -> Prepared:
    """Opens a prepared set of the cache, memory-mapped, without the photographs themselves.

    Args:
        folder: of the set.
        trusted: its pixels are not read to compare their checksum.

    Raises:
        UserError: the set is damaged.
    """
    try:
        info = json.loads((folder / "info.json").read_text())
        checksum = info.pop("checksum")
        if not trusted and checksum != _checksum(info, folder / "images.npy"):
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
        prepared = Prepared(names, images, labels, ids, Found.from_info(info), checksum, folder.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"the prepared cache {folder} is damaged ({first_line(error)})") from None
    return prepared
