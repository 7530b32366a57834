"""The data of an experiment: prepared train and test sets and their split."""

from typing import NamedTuple

from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.data.prepare import Prepared, prepare
from foodjax.data.sources.base import Source
from foodjax.data.sources.find import create_source
from foodjax.data.split import Indices, first_of_each, split
from foodjax.system.console import track
from foodjax.system.errors import UserError


class Data(NamedTuple):
    """The prepared sets of an experiment, and the rows of its train, validation and test parts."""

    train: Prepared
    test: Prepared
    parts: Indices

    @property
    def validation(self) -> Prepared:
        """The set that contains the rows `parts.validation`."""
        return self.test if self.parts.validation_is_from_test else self.train


def load_data(config: Config | ConfigDict) -> Data:
    """Prepares the photographs of an experiment, or opens the prepared ones, and splits them.

    Raises:
        UserError: the data cannot be used, or a part of it is empty.

    Example:
        >>> import foodjax
        >>> config = foodjax.load_config("demo", "data.drawn_train=12", "data.drawn_test=5")
        >>> data = foodjax.load_data(config)
        >>> data.train.images.shape, data.train.images.dtype
        ((120, 32, 32, 3), dtype('uint8'))
        >>> len(data.parts.train), len(data.parts.validation), len(data.parts.test)
        (110, 10, 50)
    """
    config = checked(config)
    return load_source(create_source(config), config)


def load_source(source: Source, config: Config) -> Data:
    """Prepares and splits the photographs of a source, as `load_data` does.

    Raises:
        UserError: the data cannot be used, or a part of it is empty.
    """
    train_set = prepare(source, "train", config, track)
    test_set = prepare(source, "test", config, track)
    for part, found in (("train", train_set), ("test", test_set)):
        if not len(found.images):
            raise UserError(f"the data has no {part} images: training needs both train and test images")
    return split_data(config, train_set, test_set)


def split_data(config: Config, train_set: Prepared, test_set: Prepared) -> Data:
    """Splits prepared sets as `config.data` says.

    Raises:
        UserError: a part is empty, or smaller than a batch, or the pictures have another size than data.image_size.
    """
    for prepared in (train_set, test_set):
        side = prepared.images.shape[1]
        if side != config.data.image_size:
            raise UserError(
                f"data.image_size is {config.data.image_size}, but the pictures have {side} x {side} pixels"
            )
    parts = split(
        train_set.ids, train_set.labels, test_set.ids, test_set.labels,
        config.data.protocol, config.data.validation_fraction,
    )  # fmt: skip
    if config.data.train_per_class:
        parts = parts._replace(train=first_of_each(parts.train, train_set.labels, config.data.train_per_class))
    if len(parts.train) < config.data.batch_size:
        raise UserError(
            f"data.batch_size is {config.data.batch_size}, but there are only {len(parts.train)} training images: "
            f"use at most {len(parts.train)}"
        )
    if not len(parts.validation):
        raise UserError(
            f"data.validation_fraction is {config.data.validation_fraction}, less than one image of any class: "
            f"use a larger fraction"
        )
    return Data(train_set, test_set, parts)
