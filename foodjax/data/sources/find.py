"""Creates the source that a config names, and selects classes."""

from foodjax.config.keys import Config
from foodjax.data.sources.base import Listing, Source, select_names
from foodjax.data.sources.drawn import DrawnSource
from foodjax.data.sources.folders import ClassFolders
from foodjax.data.sources.food101 import Food101Folder
from foodjax.system.errors import UserError
from foodjax.system.files import to_path
from foodjax.system.imports import import_problem


def select_classes(listing: Listing, num_classes: int, names: tuple[str, ...]) -> Listing:
    """Keeps the named classes, or the first `num_classes` (0: all).

    Raises:
        UserError: a class does not exist or has no images, or fewer than two are left.
    """
    chosen = select_names(listing.class_names, num_classes, names)
    kept = set(chosen)
    train = [i for i in listing.train if i.split("/")[0] in kept]
    test = [i for i in listing.test if i.split("/")[0] in kept]
    if len(chosen) < 2:
        raise UserError(f"the number of classes is {len(chosen)}: needs at least 2")
    for part, ids in (("train", train), ("test", test)):
        empty = sorted(kept - {i.split("/")[0] for i in ids})
        # One set may be missing altogether (evaluation alone); a class missing from a set is a mistake.
        if ids and empty:
            raise UserError(f"class {empty[0]!r} has no {part} images: needs at least one")
    return Listing(chosen, train, test)


def create_source(config: Config) -> Source:
    """Returns the source that `config.data` names.

    Raises:
        UserError: `data.dir` is neither an archive nor a Food-101 folder nor a folder of classes, or it is empty and
            TFDS, or what data.tfds_name names, cannot be used.
    """
    data = config.data
    if not data.dir and data.source == "drawn":
        return DrawnSource(data.drawn_train, data.drawn_test, seed=0)
    if not data.dir:
        if problem := import_problem("tensorflow", "tensorflow_datasets"):
            raise UserError(
                f"data.dir is empty, and TensorFlow Datasets, which data.source=tfds needs, cannot be imported "
                f"({problem}): install tensorflow and tensorflow-datasets, or set data.dir"
            )
        from foodjax.data.sources.tfds import TfdsSource

        return TfdsSource(data.tfds_name, data.tfds_dir)
    path = to_path(data.dir).resolve()
    if path.is_file():
        from foodjax.data.sources.archive import Archive

        return Archive(path)
    if (path / "meta").is_dir() or (path / "images").is_dir():
        return Food101Folder(path)
    if (path / "train").is_dir() or (path / "test").is_dir():
        return ClassFolders(path)
    what = "has neither images/ and meta/ nor train/ and test/" if path.is_dir() else "does not exist"
    raise UserError(
        f"data.dir={data.dir} {what}: needs food-101.tar.gz, an extracted food-101/, or a folder with "
        f"train/<class>/ and test/<class>/"
    )
