"""The data of an experiment: prepared train and test sets and their split."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.data import exclude
from foodjax.data.balance import warnings
from foodjax.data.choose import choose, no_validation
from foodjax.data.duplicates import Pair
from foodjax.data.fold_split import groups_of, split_fold
from foodjax.data.leaks import Duplicates, apply, is_exempt, search
from foodjax.data.prepare import prepare
from foodjax.data.prepared import Prepared
from foodjax.data.sources.base import Source, Unused
from foodjax.data.sources.find import create_source
from foodjax.data.sources.joined import of_folds
from foodjax.data.split import Indices, all_rows, first_of_each, split
from foodjax.data.told import tell
from foodjax.system.console import say, track
from foodjax.system.errors import UserError


class Data(NamedTuple):
    """The prepared sets of an experiment, and the rows of its train, validation and test parts.

    Attributes:
        train: photographs to train on, and to validate on where there is no other place for that.
        test: photographs to test on; those of `train` where data.fold tests on a fold of them.
        parts: rows.
        own_validation: the data's own validation set; None where it has none or is not used.
        duplicates: among the photographs of all parts; None where these were not searched.
        left_out: the photographs of the data's own validation part where it is not used.
        more: sets of eval.more, by their names.
        groups: id -> group of training photographs, where data.group names them.
        exclusion: what data.exclude leaves out; None without it.
        exclusion_lines: the same, in words.
    """

    train: Prepared
    test: Prepared
    parts: Indices
    own_validation: Prepared | None = None
    duplicates: Duplicates | None = None
    left_out: tuple[Unused, ...] = ()
    more: tuple[tuple[str, Prepared], ...] = ()
    groups: Mapping[str, str] = {}
    exclusion: exclude.Exclusion | None = None
    exclusion_lines: tuple[str, ...] = ()

    @property
    def unused(self) -> list[Unused]:
        """The files that are in no prepared set, each with the reason."""
        return _unused(self.sets, self.left_out)

    @property
    def sets(self) -> dict[str, Prepared]:
        """The prepared sets by their parts in the data; of a fold, the train set alone."""
        return _sets(self.train, self.test, self.own_validation)

    @property
    def validation(self) -> Prepared:
        """The set that contains the rows `parts.validation`."""
        if self.parts.validation_is_given and self.own_validation is not None:
            return self.own_validation
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
    source = create_source(config)
    return load_source(source, choose(config, source))


def load_source(source: Source, config: Config) -> Data:
    """Prepares and splits the photographs of a source, as `load_data` does.

    Raises:
        UserError: the data cannot be used, or a part of it is empty.
    """
    if config.data.exclude:
        exclude.read(config.data.exclude)  # a mistake in it costs no preparation
    groups = groups_of(config, source := of_folds(source) if config.data.fold else source)
    train_set = prepare(source, "train", config, track)
    if config.data.fold:
        return _load_fold(config, train_set, groups)
    test_set = prepare(source, "test", config, track)
    for part, found in (("train", train_set), ("test", test_set)):
        if not len(found.images):
            raise UserError(
                f"the data has no {part} images: training needs both train and test images, at least two of each class "
                f"in one folder (CLASS/1.jpg, CLASS/2.jpg), or train/CLASS/ and test/CLASS/"
            )
    own_validation, left_out = None, ()
    if train_set.found.counts.get("validation"):
        if config.data.protocol == "tutorial":
            print("the data's own validation part is not used: data.protocol=tutorial takes it from test")
            reason = "data.protocol=tutorial validates on test"
            examples = source.listing().validation
            left_out = tuple(Unused("validation", e.class_name, e.file, reason) for e in examples)
        else:
            own_validation = prepare(source, "validation", config, track)
    sets = _sets(train_set, test_set, own_validation)
    tell(train_set.found, _unused(sets, left_out))
    pairs = None if is_exempt(config) else search(sets, config)
    data = split_data(config, train_set, test_set, own_validation, pairs)._replace(left_out=left_out)
    _warn(config, data)
    return data


def _load_fold(config: Config, train_set: Prepared, groups: Mapping[str, str] | None) -> Data:
    """Splits the photographs of folds; the test part of the data is not opened."""
    tell(train_set.found, _unused({"train": train_set}, ()))
    pairs = None if is_exempt(config) else search({"train": train_set}, config)
    data = split_data(config, train_set, train_set, None, pairs, groups)
    _warn(config, data)
    tested = f"{len(data.parts.test):,} of {len(train_set.ids):,} photographs"
    say(f"data.fold={config.data.fold}: tested on {tested}; the test part is not used")
    return data


def _warn(config: Config, data: Data) -> None:
    duplicates = data.duplicates.lines() if data.duplicates else []
    for line in (*data.exclusion_lines, *duplicates, *warnings(config, data.train, data.validation, data.parts)):
        say(line)


def _sets(train_set: Prepared, test_set: Prepared, own_validation: Prepared | None) -> dict[str, Prepared]:
    if test_set is train_set:  # its test images are a fold
        return {"train": train_set}
    given = {"validation": own_validation} if own_validation is not None else {}
    return {"train": train_set, **given, "test": test_set}


def _unused(sets: Mapping[str, Prepared], left_out: tuple[Unused, ...]) -> list[Unused]:
    rows = [row for prepared in sets.values() for row in prepared.found.left_out]
    return [*rows, *left_out, *sets["train"].found.unused]


def split_data(
    config: Config,
    train_set: Prepared,
    test_set: Prepared,
    own_validation: Prepared | None = None,
    pairs: Sequence[Pair] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Data:
    """Splits prepared sets as `config.data` says.

    Args:
        config: the experiment.
        train_set: photographs to train on.
        test_set: photographs to test on; with data.fold, those of `train_set` are taken.
        own_validation: photographs to validate on; None takes them from the others.
        pairs: the duplicates in these sets, of `leaks.search`; None searches them where data.duplicates is "drop", or
            for folds.
        groups: id -> group of training photographs, which stay in one fold; of `fold_split.groups_of`.

    Raises:
        UserError: a part is empty, or smaller than a batch, or the pictures have another size than data.image_size, or
            data.exclude cannot be used.
    """
    for prepared in (train_set, test_set):
        side = prepared.images.shape[1]
        if side != config.data.image_size:
            raise UserError(
                f"data.image_size is {config.data.image_size}, but the pictures have {side} x {side} pixels: needs "
                f"data.image_size={side}, or pictures prepared at {config.data.image_size}"
            )
    if config.data.fold:
        if pairs is None and not is_exempt(config):
            pairs = search({"train": train_set}, config)
        test_set, own_validation = train_set, None
        parts = split_fold(config, train_set, pairs or (), groups)
    else:
        parts = split(
            train_set.ids, train_set.labels, test_set.ids, test_set.labels,
            config.data.protocol, config.data.validation_fraction,
        )  # fmt: skip
    if own_validation is not None:
        parts = parts._replace(
            train=all_rows(train_set.ids, train_set.labels),
            validation=all_rows(own_validation.ids, own_validation.labels),
            validation_is_from_test=False,
            validation_is_given=True,
        )
    sets, duplicates = _sets(train_set, test_set, own_validation), None
    exclusion, lines = None, ()
    if place := config.data.exclude:
        exclusion, before = exclude.find(place, exclude.read(place), sets), parts
        parts = exclude.apply(exclusion, parts, train_set)
        lines = tuple(exclusion.lines(before, parts))
    if pairs is None and config.data.duplicates == "drop" and not is_exempt(config):
        pairs = search(sets, config)
    if pairs is not None:
        parts, duplicates = apply(config, parts, sets, pairs)
    elif config.data.train_per_class:
        parts = parts._replace(train=first_of_each(parts.train, train_set.labels, config.data.train_per_class))
    if not len(parts.validation):
        labels = test_set.labels if parts.validation_is_from_test else train_set.labels
        of = np.concatenate([parts.train, parts.validation]) if config.data.fold else slice(None)
        raise no_validation(config, np.bincount(labels[of], minlength=len(train_set.class_names)))
    if len(parts.train) < config.data.batch_size:
        raise UserError(
            f"data.batch_size is {config.data.batch_size}, but there are only {len(parts.train)} training images: "
            f"use at most {len(parts.train)}"
        )
    return Data(
        train_set, test_set, parts, own_validation, duplicates,
        groups=groups or {}, exclusion=exclusion, exclusion_lines=lines,
    )  # fmt: skip
