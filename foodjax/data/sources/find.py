"""Creates the source that a config names, and selects classes."""

import os
from pathlib import Path

from foodjax.config.keys import Config
from foodjax.data.formats import is_picture
from foodjax.data.sources import alike
from foodjax.data.sources.base import PARTS, Listing, Source, select_names
from foodjax.data.sources.drawn import DrawnSource
from foodjax.data.sources.folders import FolderSource
from foodjax.data.sources.layouts import options_of
from foodjax.system.errors import UserError, first_line

_NEEDS = "needs food-101.tar.gz, a folder of photographs sorted by class, or an archive of one (.zip, .tar.*)"


def select_classes(listing: Listing, num_classes: int, names: tuple[str, ...]) -> Listing:
    """Keeps the named classes, or the first `num_classes` (0: all).

    Raises:
        UserError: a class does not exist or has no images, or fewer than two are left.
    """
    chosen = select_names(listing.class_names, num_classes, names)
    kept = set(chosen)
    if len(chosen) < 2:
        raise UserError(f"the number of classes is {len(chosen)}: needs at least 2")
    parts = {part: [e for e in getattr(listing, part) if e.class_name in kept] for part in PARTS}
    for part in ("train", "test"):
        empty = sorted(kept - {e.class_name for e in parts[part]})
        # One set may be missing altogether (evaluation alone); a class missing from a set is a mistake.
        if parts[part] and empty:
            like = alike.hint(empty[0], listing.class_names)
            raise UserError(f"class {empty[0]!r} has no {part} images: needs at least one{like}")
    notes = (*listing.notes, *alike.notes(listing.class_names))
    return listing._replace(class_names=chosen, notes=notes, **parts)


def create_source(config: Config, *, everything: bool = False) -> Source:
    """Returns the source that `config.data` names.

    Args:
        config: the experiment.
        everything: for an evaluation of photographs that are not the run's own: data without a test part is
            evaluated on all of it.

    Raises:
        UserError: `data.dir` is neither a folder nor an archive, or it is empty and TFDS, or what data.tfds_name names,
            cannot be used.
    """
    data = config.data
    options = options_of(config, everything=everything)
    place = data.dir or (str(Path(data.labels).expanduser().parent) if data.labels else "")
    if not place and data.source == "drawn":
        return DrawnSource(data.drawn_train, data.drawn_test, seed=0)
    if not place:
        try:
            import tensorflow  # noqa: F401, slow
            import tensorflow_datasets  # noqa: F401
        except Exception as error:  # a broken installation raises many types
            raise UserError(
                f"data.dir is empty, and TensorFlow Datasets, which data.source=tfds needs, cannot be imported "
                f"({first_line(error)}): install tensorflow and tensorflow-datasets, or set data.dir"
            ) from None
        from foodjax.data.sources.tfds import TfdsSource

        return TfdsSource(data.tfds_name, data.tfds_dir, options)
    path = Path(place).expanduser().resolve()
    if data.labels and (table := Path(data.labels).expanduser()).is_file():
        options = options._replace(labels=str(table.resolve()))
    if os.path.isdir(path):
        return FolderSource(path, options)
    if not os.path.exists(path):
        raise UserError(f"data.dir={place} does not exist: {_NEEDS}")
    if not os.path.isfile(path):
        raise UserError(f"data.dir={place} is neither a folder nor a file: {_NEEDS}")
    if path.suffix.lower() in (".csv", ".tsv"):
        raise UserError(f"data.dir={place} is a table: needs data.labels={place}, and data.dir set to the photographs")
    if is_picture(path.name):
        raise UserError(f"data.dir={place} is one picture: {_NEEDS}")
    from foodjax.data.sources.archive import Archive

    return Archive(path, options)
