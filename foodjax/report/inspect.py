"""The inspect page: photographs of the data, class counts, channels, and the pictures that training steps get."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from foodjax.config.check import checked, flatten
from foodjax.config.keys import Config
from foodjax.data import photographs
from foodjax.data.originals import Originals
from foodjax.data.sets import Data
from foodjax.report import duplicates, figures, pictures, templating
from foodjax.report.augmented import Versions, augmented, first_batches
from foodjax.report.unused import unused_files
from foodjax.run.chosen import load_chosen, with_stored
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import UserError

_PER_CLASS = 5
_IN_FIGURE = 20  # classes that samples.png shows; the page shows all


class Inspection(NamedTuple):
    """The data of an experiment, as the inspect page shows it.

    Attributes:
        page: inspect.html; the PNGs lie beside it.
        data: the prepared sets and their parts.
        counts: part -> number of images of each class, (K,).
        samples: class -> a few training photographs, uint8 (H, H, 3) each.
        photo: the first of them, as it was prepared: uint8 (H, H, 3).
        original: the same before, in its own shape, uint8 (h, w, 3), at most 256 pixels long; None where its file
            cannot be read.
        channels: "red", "green" and "blue" -> that part of the photo, uint8 (H, H, 3), in its own colour.
        augmented: the photo, augmented twelve times as training does.
        figures: samples, channels, augmented and class_counts, drawn.
    """

    page: Path
    data: Data
    counts: dict[str, np.ndarray]
    samples: dict[str, list[np.ndarray]]
    photo: np.ndarray
    original: np.ndarray | None
    channels: dict[str, np.ndarray]
    augmented: Versions
    figures: dict[str, Figure]

    def __repr__(self) -> str:
        counts = ", ".join(f"{int(numbers.sum()):,} {part}" for part, numbers in self.counts.items())
        return f"Inspection(page={str(self.page)!r}, {len(self.samples)} classes, {counts})"


def inspect_workdir(config: Config | ConfigDict, workdir: files.PathLike) -> Inspection:
    """Writes PNGs, a page and photographs.csv of an experiment's data to workdir/inspect.

    Raises:
        UserError: the data cannot be used, or the folder cannot be written.
    """
    config, data = load_chosen(with_stored(checked(config), files.to_path(workdir)))
    files.refuse_links(files.to_path(workdir))
    folder = files.to_path(workdir) / "inspect"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        originals = Originals(config)
        found = look(config, data, originals, folder / "inspect.html")
        for name, figure in found.figures.items():
            files.write_bytes(folder / f"{name}.png", figures.to_png(figure, dpi=80))
        files.write_text(found.page, to_page(config, found, originals))
        files.write_all(folder, photographs.to_files(photographs.of_data(data)))
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from None
    if data.duplicates:
        print(f"data: {data.duplicates}")
    say(f"inspect.html and {len(found.figures)} PNGs in {folder}")
    return found


def class_counts(data: Data) -> dict[str, np.ndarray]:
    """Returns the number of images of each class, (K,), for each part."""
    sets = {"train": data.train, "validation": data.validation, "test": data.test}
    k = len(data.train.class_names)
    return {part: np.bincount(of.labels[getattr(data.parts, part)], minlength=k) for part, of in sets.items()}


def samples(data: Data, seed: int) -> dict[str, list[np.ndarray]]:
    """Returns a few training photographs of each class, uint8 (H, H, 3), chosen by the seed."""
    return {
        name: [np.asarray(data.train.images[row]) for row in rows] for name, rows in _sample_rows(data, seed).items()
    }


def _sample_rows(data: Data, seed: int) -> dict[str, np.ndarray]:
    rng, found = np.random.default_rng(seed), {}
    labels = data.train.labels[data.parts.train]
    for label, name in enumerate(data.train.class_names):
        found[name] = rng.permutation(data.parts.train[labels == label])[:_PER_CLASS]
    return found


def look(config: Config, data: Data, originals: Originals, page: Path) -> Inspection:
    """Returns what the page shows.

    Args:
        config: the experiment.
        data: its data.
        originals: reads photographs as they were before they were prepared.
        page: path that the page will have.
    """
    counts, whole = class_counts(data), samples(data, config.seed)
    shown = list(whole.items())[:_IN_FIGURE]
    photo = shown[0][1][0]
    titles = [name if k == 0 else "" for name, images in shown for k in range(len(images))]
    parts = pictures.channels(photo)
    versions = augmented(config, photo, _firsts(whole))
    drawn = {
        "samples": figures.photo_grid([image for _, images in shown for image in images], titles, _PER_CLASS),
        "channels": figures.photo_grid([photo, *parts.values()], ["photograph", *parts], 4),
        "augmented": figures.photo_grid([photo, *versions.images], ["photograph", *versions.shares], 5),
        "class_counts": figures.class_counts(data.train.class_names, counts),
    }
    row = int(next(iter(_sample_rows(data, config.seed).values()))[0])
    original = originals.read(data.train, [row]).get(row)
    return Inspection(page, data, counts, whole, photo, original, parts, versions, drawn)


def _firsts(found: dict[str, list[np.ndarray]]) -> np.ndarray:
    """Returns the first photograph of every class but the first, uint8 (K - 1, H, H, 3), to mix others with."""
    return np.stack([images[0] for images in list(found.values())[1:] if images])


def to_page(config: Config, found: Inspection, originals: Originals) -> str:
    """Returns the page as HTML.

    Args:
        config: the experiment.
        found: what `look` returned.
        originals: those that `look` read; the page says what they could not read.
    """
    data, counts, photo, versions = found.data, found.counts, found.photo, found.augmented
    names, batches = data.train.class_names, first_batches(config, data)

    def uri(image):
        return pictures.data_uri(pictures.enlarge(image, 192))

    return templating.render(
        "inspect.html.j2",
        name=config.name,
        total={part: int(numbers.sum()) for part, numbers in counts.items()},
        counts=figures.to_svg(found.figures["class_counts"], "images of each class in each part"),
        rows=[(name, *(int(numbers[k]) for numbers in counts.values())) for k, name in enumerate(names)],
        samples={name: [uri(image) for image in images] for name, images in found.samples.items()},
        duplicates=duplicates.section(data.duplicates, originals),
        shape=photo.shape,
        original="" if found.original is None else pictures.photo_uri(found.original),
        photo=uri(photo),
        photo_class=names[0],
        corner=photo[:4, :4, 0].tolist(),
        channels={name: uri(image) for name, image in found.channels.items()},
        sizes=sorted({batch.size for batch in batches}),
        eval_size=config.eval_size,
        batches=[(b, [(uri(x), text) for x, text in zip(b.images, b.captions, strict=True)]) for b in batches],
        augmented=[(uri(x), text) for x, text in zip(versions.images, versions.shares, strict=True)],
        mixed=versions.mixed,
        versions_size=config.input_size,
        missing=originals.sentence(),
        unused=unused_files(photographs.of_data(data)),
        augment=[(key, str(value)) for key, value in flatten(config.augment)],
    )
