"""Writes a prepared set: the decoded photographs, and what is known of each. `prepare` describes the files."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from foodjax.data.disk_space import create_array
from foodjax.data.found import UndecodedError, decoders, of_broken
from foodjax.data.identity import Photograph
from foodjax.data.shares import Decoded
from foodjax.data.sources.base import PARTS, Example, Listing, Source, Unused
from foodjax.data.verified import write_verified
from foodjax.system.errors import UserError


def in_order(source: Source, part: str, listing: Listing) -> list[Example]:
    """Returns the examples of a part in the order of the set's rows.

    Raises:
        UserError: two have one id.
    """
    examples = sorted(getattr(listing, part), key=lambda example: example.id)
    if len({example.id for example in examples}) != len(examples):
        raise UserError(f"{source.name} lists an image twice in its {part} set: needs distinct ids")
    return examples


def write_set(
    folder: Path,
    source: Source,
    part: str,
    listing: Listing,
    others: list[Unused],
    data: Any,
    decoded: Iterator[Decoded],
) -> None:
    """Writes a set under a temporary name, and renames it when it is complete.

    Args:
        folder: of the set; a damaged one is replaced.
        source: of the photographs.
        part: train, validation or test.
        listing: of the classes that are used.
        others: photographs of other classes.
        data: config.data.
        decoded: all photographs of the part, in any order.

    Raises:
        OSError: it cannot be written.
        UndecodedError: photographs do not decode and data.on_error is "stop".
        UserError: a class has no photograph that decodes.
    """
    examples = in_order(source, part, listing)
    ids = [example.id for example in examples]
    size = data.image_size
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed
    temporary.mkdir()
    try:
        shape = (len(ids), size, size, 3)
        images = create_array(temporary / "images.npy", shape) if ids else np.zeros(shape, np.uint8)
        bad: dict[int, str] = {}
        sizes, digests = np.full(len(ids), -1), [""] * len(ids)
        for row, num_bytes, file_digest, image, problem in decoded:
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
        info["checksum"] = checksum_of(info, temporary / "images.npy")
        (temporary / "info.json").write_text(json.dumps(info))
        seen = [Photograph(e.id, e.class_name, of) for e, of in zip(examples, digests, strict=True)]
        write_verified(temporary, seen, source.signature())
        if folder.exists():
            shutil.rmtree(folder)  # damaged
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def checksum_of(info: dict[str, Any], images: Path) -> str:
    """Returns the checksum of a set: of what is known of its photographs, and of their pixels."""
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    with images.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()
