"""The cache of prepared photographs: decoded to RGB, resized and stored as uint8 once, then memory-mapped.

A prepared set is a folder with images.npy (N, H, H, 3) and info.json (class names, ids, labels, digests of the files,
skipped photographs, what was found of the whole data, and a checksum of all of it). Its name contains a hash of
everything that it depends on, but not of the place: a moved folder is known again, see verified.py. It is written under
a temporary name and renamed when complete; a damaged set is prepared again.
"""

import hashlib
import json
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
from foodjax.data.decode import decode_as
from foodjax.data.identity import Photograph, digest
from foodjax.data.prepared import Found, Prepared
from foodjax.data.sources.base import PARTS, Example, Listing, Source, Unused
from foodjax.data.sources.find import select_classes, select_classes_of_run
from foodjax.data.space import create_array, is_full, no_room
from foodjax.data.verified import is_verified, write_verified
from foodjax.system.errors import UserError, first_line
from foodjax.system.ordered_map import ordered_map

# Of the cache's format, of finding the photographs and of the decoding. Up to 2 a test photograph whose file name was
# also one in train/ was read from there.
VERSION = 3
Track = Callable[[str, int, Iterator], Iterator]


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
        UserError: a photograph does not decode and data.on_error is "stop"; a class is missing or empty;
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
    folder = next(cache_root(config).glob(f"*{end}"), cache_root(config) / f"{source.name}{end}")

    def select() -> Listing:
        if class_names:
            return select_classes_of_run(source.listing(), names, data.num_classes, tuple(data.class_names))
        return select_classes(source.listing(), num_classes, names)

    def examples() -> list[Example]:
        return getattr(select(), part)

    def open_own() -> Prepared | None:
        found = _open_whole(folder)
        return _as_found_now(found, source) if found and is_verified(folder, source, part, examples, track) else None

    if found := open_own():
        return found
    listing = select()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Waits for a process that prepares the same set.
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if found := open_own():
                return found
            _write(folder, source, part, listing, data, track)
    except OSError as error:
        if is_full(error):
            raise no_room(folder.parent, 3 * data.image_size**2 * len(getattr(listing, part)), error) from None
        reason = error.strerror or error
        raise UserError(
            f"cannot write the prepared cache {folder} ({reason}): set data.cache_dir to a writable folder"
        ) from None
    return open_prepared(folder)


def _write(folder: Path, source: Source, part: str, listing: Listing, data: Any, track: Track) -> None:
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
        bad: dict[str, str] = {}
        found = np.zeros(len(ids), bool)
        digests: dict[str, str] = {}

        def one(item):
            example, encoded = item
            file_digest = digest(encoded)
            try:
                return example, file_digest, decode_as(data, encoded), ""
            except ValueError as error:
                return example, file_digest, None, str(error)

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            decoded = ordered_map(pool, one, source.read(examples))
            for example, file_digest, image, problem in track(f"preparing {part}", len(ids), decoded):
                digests[example.id] = file_digest
                if image is None:
                    bad[example.id] = problem
                else:
                    images[row_of[example.id]] = image
                    found[row_of[example.id]] = True
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
            "digests": [digests[ids[row]] for row in kept],
            "skipped": bad,
            "counts": {name: len(getattr(listing, name)) for name in PARTS},
            "notes": listing.notes,
            "unused": listing.unused,
            "where": source.where,
        }
        if isinstance(images, np.memmap):
            images.flush()
        info["checksum"] = _checksum(info, temporary / "images.npy")
        (temporary / "info.json").write_text(json.dumps(info))
        seen = [Photograph(e.id, e.class_name, digests[e.id]) for e in examples if e.id in digests]
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
        print(f"{error}: preparing it again")
        return None


def _as_found_now(prepared: Prepared, source: Source) -> Prepared:
    """Returns a set of the cache with the notes and the unused files of its source as they are now."""
    found, now = prepared.found, source.listed
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
        trusted: its pixels are not read to compare their checksum, and what was left out of it is not told again.

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
        unused = tuple(Unused(*row) for row in info["unused"])
        found = Found(info["counts"], tuple(info["notes"]), unused, info["where"])
        digests = tuple(info["digests"])
        if len(digests) != len(ids):
            raise ValueError(f"{len(digests)} digests for {len(ids)} ids")
        prepared = Prepared(names, images, labels, ids, found, digests, checksum, folder.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"the prepared cache {folder} is damaged ({first_line(error)})") from None
    if info["skipped"] and not trusted:
        print(f"left out {len(info['skipped'])} images that do not decode, first {next(iter(info['skipped']))}")
    return prepared
