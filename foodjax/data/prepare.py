"""The cache of prepared photographs: decoded to RGB, resized and stored as uint8 once, then memory-mapped.

A prepared set is a folder with images.npy (N, H, H, 3) and info.json (class names, ids, skipped photographs, and a
checksum of all of it). Its name contains a hash of everything that it depends on. It is written under a temporary
name and renamed when complete; a damaged set is prepared again.
"""

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from foodjax.config.keys import Config
from foodjax.data.decode import decode
from foodjax.data.images import check_images
from foodjax.data.sources.base import Listing, Source
from foodjax.data.sources.find import select_classes
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import to_path

VERSION = 2  # of the cache's format and of the decoding
Track = Callable[[str, int, Iterator], Iterator]


@dataclass(frozen=True)
class Prepared:
    """One prepared set; row i of every field is the same photograph.

    Attributes:
        class_names: names of the classes in label order.
        images: uint8 (N, H, H, 3), memory-mapped.
        labels: int64 (N,).
        ids: N ids, "class/name".

    Raises:
        TypeError: the images are not uint8.
        ValueError: the images have another shape.
    """

    class_names: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    ids: list[str]

    def __post_init__(self) -> None:
        check_images(self.images)  # of whoever makes a set without photographs on disk


def cache_root(config: Config) -> Path:
    """Returns the folder of all prepared sets: data.cache_dir, or foodjax/ in the user's cache folder."""
    if config.data.cache_dir:
        return to_path(config.data.cache_dir).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foodjax"


def prepare(source: Source, part: str, config: Config, track: Track, class_names: tuple[str, ...] = ()) -> Prepared:
    """Returns the prepared train or test set of `source`, from the cache if it is there.

    Args:
        source: where the photographs come from.
        part: "train" or "test".
        config: the experiment; reads `data`.
        track: track(title, total, iterator) yields the items of the iterator and shows the progress.
        class_names: exactly these classes in this label order (a checkpoint's); empty: those that config selects.

    Returns:
        The set; empty when the source has no such part.

    Raises:
        UserError: a photograph does not decode and data.on_error is "stop"; a class is missing or empty;
            the cache cannot be written.
    """
    data = config.data
    names = tuple(class_names) or tuple(data.class_names)
    num_classes = 0 if names else data.num_classes
    shape = [VERSION, part, names, num_classes, data.image_size, data.resize, data.on_error]
    key = hashlib.sha256(json.dumps([shape, source.fingerprint()]).encode()).hexdigest()[:16]
    folder = cache_root(config) / f"{source.name}-{part}-{data.image_size}px-{key}"
    if found := _open_whole(folder):
        return found
    listing = select_classes(source.listing(), num_classes, names)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Waits for a process that prepares the same set.
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if found := _open_whole(folder):
                return found
            _write(folder, source, part, listing, data, track)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"cannot write the prepared cache {folder} ({reason}): set data.cache_dir to a writable folder"
        ) from None
    return open_prepared(folder)


def _write(folder: Path, source: Source, part: str, listing: Listing, data: Any, track: Track) -> None:
    ids = sorted(getattr(listing, part))
    row_of = {example_id: row for row, example_id in enumerate(ids)}
    if len(row_of) != len(ids):
        raise UserError(f"{source.name} lists an image twice in its {part} set: needs distinct ids")
    size = data.image_size
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed
    temporary.mkdir()
    try:
        images: np.ndarray = (
            np.lib.format.open_memmap(
                temporary / "images.npy", mode="w+", dtype=np.uint8, shape=(len(ids), size, size, 3)
            )
            if ids
            else np.zeros((0, size, size, 3), np.uint8)
        )
        bad: dict[str, str] = {}
        found = np.zeros(len(ids), bool)

        def one(item):
            example_id, encoded = item
            try:
                return example_id, decode(encoded, size, data.resize), ""
            except ValueError as error:
                return example_id, None, str(error)

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for example_id, image, problem in track(f"preparing {part}", len(ids), _map(pool, one, source.read(ids))):
                if image is None:
                    bad[example_id] = problem
                else:
                    images[row_of[example_id]] = image
                    found[row_of[example_id]] = True
        for example_id in ids:
            if not found[row_of[example_id]]:
                bad.setdefault(example_id, "not in the source")
        if bad and data.on_error == "stop":
            first = next(iter(bad))
            raise UserError(
                f"{len(bad)} of {len(ids)} {part} images do not decode, first {first} ({bad[first]}): "
                f"repair them, or leave them out with data.on_error=skip"
            )
        kept = np.flatnonzero(found)
        for name in listing.class_names:
            if ids and not any(ids[row].startswith(name + "/") for row in kept):
                raise UserError(f"class {name!r} has no {part} image that decodes: needs at least one")
        if len(kept) < len(ids) or not ids:
            np.save(temporary / "images.npy", images[kept])
        info = {
            "class_names": listing.class_names,
            "ids": [ids[row] for row in kept],
            "skipped": bad,
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
        print(f"{error}: preparing it again")
        return None


def _checksum(info: dict[str, Any], images: Path) -> str:
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    with images.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()


def open_prepared(folder: Path) -> Prepared:
    """Opens a prepared set of the cache, memory-mapped, without the photographs themselves.

    Raises:
        UserError: the set is damaged.
    """
    try:
        info = json.loads((folder / "info.json").read_text())
        if info.pop("checksum") != _checksum(info, folder / "images.npy"):
            raise ValueError("its checksum is wrong")
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        names, ids = tuple(info["class_names"]), info["ids"]
        if len(images) != len(ids):
            raise ValueError(f"{len(images)} images for {len(ids)} ids")
        label_of = {name: label for label, name in enumerate(names)}
        labels = np.array([label_of[i.split("/")[0]] for i in ids], np.int64)
        prepared = Prepared(names, images, labels, ids)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"the prepared cache {folder} is damaged ({first_line(error)})") from None
    if info["skipped"]:
        print(f"left out {len(info['skipped'])} images that do not decode, first {next(iter(info['skipped']))}")
    return prepared
