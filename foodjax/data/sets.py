"""The data of an experiment: prepared train and test sets and their split."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.data import exclude
from foodjax.data.balance import warnings
from foodjax.data.choose import choose, share_for
from foodjax.data.duplicates import Pair
from foodjax.data.found import Found, group
from foodjax.data.leaks import Duplicates, apply, is_exempt, search
from foodjax.data.prepare import prepare
from foodjax.data.prepared import Prepared
from foodjax.data.sources.base import Source, Unused
from foodjax.data.sources.find import create_source
from foodjax.data.split import Indices, all_rows, first_of_each, split
from foodjax.system.console import say, track
from foodjax.system.errors import UserError

_LINES = 10  # on the terminal, about files that are not used


class Data(NamedTuple):
    """The prepared sets of an experiment, and the rows of its train, validation and test parts.

    Attributes:
        train: photographs to train on, and to validate on where there is no other place for that.
        test: photographs to test on.
        parts: rows.
        own_validation: the data's own validation set; None where it has none or is not used.
        duplicates: among the photographs of all parts; None where these were not searched.
        left_out: the photographs of the data's own validation part where it is not used.
        exclusion: what data.exclude leaves out; None without it.
        exclusion_lines: the same, in words.
    """

    train: Prepared
    test: Prepared
    parts: Indices
    own_validation: Prepared | None = None
    duplicates: Duplicates | None = None
    left_out: tuple[Unused, ...] = ()
    exclusion: exclude.Exclusion | None = None
    exclusion_lines: tuple[str, ...] = ()

    @property
    def unused(self) -> list[Unused]:
        """The files that are in no prepared set, each with the reason."""
        return _unused(_sets(self.train, self.test, self.own_validation), self.left_out)

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
    train_set = prepare(source, "train", config, track)
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
    for line in [
        *data.exclusion_lines,
        *(data.duplicates.lines() if data.duplicates else ()),
        *warnings(config, train_set, data.validation, data.parts),
    ]:
        say(line)
    return data


def _sets(train_set: Prepared, test_set: Prepared, own_validation: Prepared | None) -> dict[str, Prepared]:
    given = {"validation": own_validation} if own_validation is not None else {}
    return {"train": train_set, **given, "test": test_set}


def _unused(sets: Mapping[str, Prepared], left_out: tuple[Unused, ...]) -> list[Unused]:
    rows = [row for prepared in sets.values() for row in prepared.found.left_out]
    return [*rows, *left_out, *sets["train"].found.unused]


def tell(found: Found, unused: Sequence[Unused] | None = None) -> None:
    """Prints how the photographs were found, and the files that are not used, grouped by class and reason.

    Args:
        found: of one prepared set.
        unused: the files; None: those that `found` has.
    """
    for note in found.notes:
        say(note)
    unused = [*found.left_out, *found.unused] if unused is None else unused
    groups = group(unused)
    if groups:
        say(f"{len(unused):,} files are not used:")
    for part, name, reason, count, first in groups[:_LINES]:
        place = ", ".join(filter(None, (part, f"class '{name}'" if name else "")))
        say(f"  {place + ': ' if place else ''}{count:,}, {reason}; '{first}'")
    if len(groups) > _LINES:
        say(f"  and {len(groups) - _LINES} more groups")


def split_data(
    config: Config,
    train_set: Prepared,
    test_set: Prepared,
    own_validation: Prepared | None = None,
    pairs: Sequence[Pair] | None = None,
) -> Data:
    """Splits prepared sets as `config.data` says.

    Args:
        config: the experiment.
        train_set: photographs to train on.
        test_set: photographs to test on.
        own_validation: photographs to validate on; None takes them from the others.
        pairs: the duplicates in these sets, of `leaks.search`; None searches them where data.duplicates is "drop".

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
        raise _no_validation(config, test_set if parts.validation_is_from_test else train_set)
    if len(parts.train) < config.data.batch_size:
        raise UserError(
            f"data.batch_size is {config.data.batch_size}, but there are only {len(parts.train)} training images: "
            f"use at most {len(parts.train)}"
        )
    return Data(train_set, test_set, parts, own_validation, duplicates, exclusion=exclusion, exclusion_lines=lines)


def _no_validation(config: Config, of: Prepared) -> UserError:
    """Returns the error for a share that takes no picture of any class, with one that takes some of each."""
    counts = np.bincount(of.labels, minlength=len(of.class_names))
    fraction = config.data.validation_fraction
    if counts.max() < 2:
        return UserError(
            f"no class has a second image to validate on: needs at least 3 photographs of each class (one to train, to "
            f"validate and to test on), or a part val/ (data.validation_fraction is {fraction:g})"
        )
    share = share_for(counts[counts > 1].min())
    left = int(sum(counts) - sum(int(share * count) for count in counts))
    smaller = f" (with data.batch_size={left} at most)" if left < config.data.batch_size else ""
    return UserError(
        f"data.validation_fraction is {fraction:g}, less than one image of any class: needs at least "
        f"{share_for(counts.max()):g}, and {share:g} for an image of each class{smaller}"
    )
