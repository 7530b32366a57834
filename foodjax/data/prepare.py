"""The cache of prepared photographs: decoded to RGB, resized and stored as uint8 once, then memory-mapped.

A prepared set is a folder with images.npy (N, H, H, 3) and info.json (class names, ids, labels, digests of the files,
their paths and sizes, photographs left out, what was found of the whole data, and a checksum of all of it). Its name
contains a hash of everything that it depends on, but not of the place: a moved folder is known again, see verified.py.
It is written under a temporary name and renamed when complete; a damaged set is prepared again.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from foodjax.config.keys import Config
from foodjax.data.cache import cache_root
from foodjax.data.decode import decode_as
from foodjax.data.disk_space import create_array, is_full, no_room
from foodjax.data.found import Found, UndecodedError, decoders, of_broken, of_other_classes
from foodjax.data.identity import Photograph, digest
from foodjax.data.prepared import Prepared
from foodjax.data.sources.base import PARTS, Example, Listing, Source, Unused
from foodjax.data.sources.find import select_classes, select_classes_of_run
from foodjax.data.verified import is_verified, write_verified
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import UserError, first_line
from foodjax.system.ordered_map import ordered_map
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

    if found := open_own():
        return found
    listing = select()
    others = of_other_classes(part, source.listing(), listing)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Waits for a process that prepares the same set.
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if found := open_own():
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
        sizes, digests = np.full(len(ids), -1), [""] * len(ids)

        def one(item):
            example, encoded = item
            file_digest = digest(encoded)
            try:
                return row_of[example.id], len(encoded), file_digest, decode_as(data, encoded), ""
            except ValueError as error:
                return row_of[example.id], len(encoded), file_digest, None, first_line(error)
            except MemoryError:
                raise UserError(f"not enough memory to decode {example.file}: needs more free memory") from None

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            decoded = ordered_map(pool, one, source.read(examples))
            for row, num_bytes, file_digest, image, problem in track(f"preparing {part}", len(ids), decoded):
                sizes[row], digests[row] = num_bytes, file_digest
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
            "digests": [digests[row] for row in kept],
            "files": [examples[row].file for row in kept],
            "sizes": sizes[kept].tolist(),
            "left_out": [*broken, *others],
            "broken_sizes": broken_sizes,
            "decoders": decoders() if broken else None,
            "counts": {name: len(getattr(listing, name)) for name in PARTS},
            "notes": listing.notes,
            "unused": listing.unused,
            "where": source.where,
        }
        if isinstance(images, np.memmap):
            images.flush()
        info["checksum"] = _checksum(info, temporary / "images.npy")
        (temporary / "info.json").write_text(json.dumps(info))
        seen = [Photograph(e.id, e.class_name, of) for e, of in zip(examples, digests, strict=True)]
        write_verified(temporary, seen, source.signature())
        if folder.exists():
            shutil.rmtree(folder)  # damaged
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
        info = files.read_json(folder / "info.json", math.inf)
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
        digests = tuple(info["digests"])
        if len(digests) != len(ids):
            raise ValueError(f"{len(digests)} digests for {len(ids)} ids")
        prepared = Prepared(names, images, labels, ids, Found.from_info(info), digests, checksum, folder.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the prepared cache {folder} is damaged ({first_line(error)})") from None
    return prepared
