"""The data of an experiment: prepared train and test sets and their split."""

from typing import NamedTuple

from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.data.prepare import Prepared, prepare
from foodjax.data.sources.find import create_source
from foodjax.data.split import Indices, first_of_each, split
from foodjax.system.console import track
from foodjax.system.errors import UserError


class Data(NamedTuple):
    """The prepared sets of an experiment and which of their rows train, validate and test."""

    train: Prepared
    test: Prepared
    parts: Indices

    @property
    def validation(self) -> Prepared:
        """The set that `parts.validation` counts the rows of."""
        return self.test if self.parts.validation_is_from_test else self.train


def load_data(config: Config | ConfigDict) -> Data:
    """Prepares, or opens, the photographs of an experiment and splits them.

    Raises:
        UserError: the data cannot be used, or a part of it is empty.
    """
    config = checked(config)
    source = create_source(config)
    train_set = prepare(source, "train", config, track)
    test_set = prepare(source, "test", config, track)
    for part, found in (("train", train_set), ("test", test_set)):
        if not len(found.images):
            raise UserError(f"the data has no {part} images: training needs train and test")
    return split_data(config, train_set, test_set)


def split_data(config: Config, train_set: Prepared, test_set: Prepared) -> Data:
    """Splits prepared sets as `config.data` says.

    Raises:
        UserError: a part is empty, or smaller than a batch.
    """
    parts = split(
        train_set.ids, train_set.labels, test_set.ids, test_set.labels,
        config.data.protocol, config.data.validation_fraction,
    )  # fmt: skip
    if config.data.train_per_class:
        parts = parts._replace(train=first_of_each(parts.train, train_set.labels, config.data.train_per_class))
    if len(parts.train) < config.data.batch_size:
        raise UserError(f"data.batch_size is {config.data.batch_size}: the data has {len(parts.train)} images to train")
    if not len(parts.validation):
        raise UserError(f"data.validation_fraction={config.data.validation_fraction} leaves no validation images")
    return Data(train_set, test_set, parts)
