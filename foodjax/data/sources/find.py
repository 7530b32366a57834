"""Creates the source that a config names, and selects classes."""

import os
from collections.abc import Sequence

from foodjax.config.keys import Config
from foodjax.data.formats import is_picture
from foodjax.data.sources import alike
from foodjax.data.sources.base import PARTS, Listing, Source, Unused, select_names
from foodjax.data.sources.drawn import DrawnSource
from foodjax.data.sources.folders import FolderSource
from foodjax.data.sources.layouts import options_of
from foodjax.system.errors import UserError
from foodjax.system.files import to_path
from foodjax.system.imports import import_problem

_NEEDS = "needs food-101.tar.gz, a folder of photographs sorted by class, or an archive of one (.zip, .tar.*)"


def select_classes(listing: Listing, num_classes: int, names: tuple[str, ...]) -> Listing:
    """Keeps the named classes, or the first `num_classes` (0: all) of those with training images.

    A class without test images stays, and is told. The images of a class without training images are not used, each
    with this reason.

    Raises:
        UserError: a named class does not exist or has no training images, or fewer than two classes are left.
    """
    trained = {e.class_name for e in listing.train}
    known = _known(listing, names)
    chosen = select_names(known, num_classes, names)
    if len(chosen) < 2:
        raise _too_few(num_classes, names, known)
    if not names and len(chosen) < len(known):
        note = f"{len(chosen)} of {len(known)} classes: the first by name (--config.data.num_classes=0 takes all)"
        listing = listing._replace(notes=(*listing.notes, note))
    # One part may be missing altogether: evaluation alone.
    if empty := [name for name in chosen if trained and name not in trained]:
        like = alike.hint(empty[0], listing.class_names)
        raise UserError(
            f"class {empty[0]!r} has no train images: needs at least one, or data.class_names without it{like}"
        )
    found = _keep(listing, chosen, set(listing.class_names) - set(known), "its class has no train images")
    return _tell(found, listing.class_names)


def select_classes_of_run(
    listing: Listing, names: tuple[str, ...], num_classes: int, chosen: tuple[str, ...]
) -> Listing:
    """Keeps the classes of a run for an evaluation: those that the data has too, with the labels of the run.

    Args:
        listing: of the data to evaluate.
        names: the run's classes, in label order.
        num_classes: data.num_classes of the run.
        chosen: data.class_names of the run. Where these two select the run's classes among those of the data, the
            others are left out on purpose; else each image of another class is told.

    Raises:
        UserError: the data has test images, but of none of the run's classes.
    """
    known = _known(listing, chosen)
    own = (chosen or known[: num_classes or len(known)]) == names
    more = set(listing.class_names) - set(known if own else names)
    if listing.test and not {e.class_name for e in listing.test} & set(names):
        theirs = sorted({e.class_name for e in listing.test})
        raise UserError(
            f"none of the run's {len(names)} classes ({_first(names)}) is among the {len(theirs)} with test images "
            f"({_first(theirs)}): needs photographs of classes with the same names"
        )
    known = tuple(dict.fromkeys((*names, *listing.class_names)))
    return _tell(_keep(listing, names, more, "its class is none of the run's"), known)


def _known(listing: Listing, named: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the classes that can be chosen: those that are named, and those with training images if any has some."""
    trained = {e.class_name for e in listing.train}
    return tuple(name for name in listing.class_names if name in trained or not trained or name in named)


def _keep(listing: Listing, names: tuple[str, ...], told: set[str], reason: str) -> Listing:
    """Returns the listing of some classes; the images of the classes `told` become unused, for this reason."""
    kept = set(names)
    parts = {part: [e for e in getattr(listing, part) if e.class_name in kept] for part in PARTS}
    unused = [
        Unused(part, e.class_name, e.file, reason)
        for part in PARTS
        for e in getattr(listing, part)
        if e.class_name in told
    ]
    return listing._replace(class_names=names, **parts, unused=(*listing.unused, *unused))


def _tell(listing: Listing, known: Sequence[str]) -> Listing:
    """Adds notes of the classes without test images, where others have some, and of known names that look alike."""
    notes, having = alike.notes(known), {e.class_name for e in listing.test}
    lacking = [name for name in listing.class_names if name not in having]
    if having and lacking:
        notes.append(f"no test images of {len(lacking)} of the {len(listing.class_names)} classes: {_first(lacking)}")
    return listing._replace(notes=(*listing.notes, *notes))


def _first(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _too_few(num_classes: int, names: tuple[str, ...], known: tuple[str, ...]) -> UserError:
    if len(known) < 2:
        return UserError(
            f"the data has {len(known)} classes ({', '.join(map(repr, known))}): needs photographs of at least 2"
        )
    if names:
        more = ",".join(dict.fromkeys((*names, *known[:2])))
        return UserError(f"data.class_names has {len(names)} class: needs at least 2, such as {more}")
    return UserError(f"data.num_classes is {num_classes}: needs at least 2, or 0 for all {len(known)} classes")


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
    place = data.dir or (str(to_path(data.labels).parent) if data.labels else "")
    if not place and data.source == "drawn":
        return DrawnSource(data.drawn_train, data.drawn_test, seed=0)
    if not place and not data.tfds_name:
        raise UserError(f"data.dir is empty: {_NEEDS}; or data.tfds_name=food101:2.1.0, which downloads 5 GB")
    if not place:
        if problem := import_problem("tensorflow", "tensorflow_datasets"):
            raise UserError(
                f"data.dir is empty, and TensorFlow Datasets, which data.source=tfds needs, cannot be imported "
                f"({problem}): install tensorflow and tensorflow-datasets, or set data.dir"
            )
        from foodjax.data.sources.tfds import TfdsSource

        return TfdsSource(data.tfds_name, data.tfds_dir, options)
    path = to_path(place).resolve()
    if data.labels and (table := to_path(data.labels)).is_file():
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
