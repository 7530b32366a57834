"""The test photographs of an evaluation: the run's own, wherever they lie now, or others.

A run on a fold was tested on photographs of the data's train part. Its own are those that it recorded; others of that
part may be among those that it was trained on, and so are never evaluated in their place.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.prepare import prepare
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data, load_data
from foodjax.data.sources.base import Source
from foodjax.data.sources.find import create_source, select_classes
from foodjax.data.split import all_rows
from foodjax.system.console import say, track
from foodjax.system.errors import UserError
from foodjax.workdir import data_changes, data_check, data_record
from foodjax.workdir.description import read_description


class TestSet(NamedTuple):
    """Test photographs.

    Attributes:
        data: the prepared set.
        name: of the source, for photographs that are not the run's own; "" for its own.
        rows: of the set, in the order in which they are evaluated.
        whole: the run's whole data, where the photographs are a fold of it.
    """

    __test__ = False  # no test class

    data: Prepared
    name: str
    rows: np.ndarray
    whole: Data | None = None


def open_test_set(config: Config, workdir: Path, class_names: tuple[str, ...]) -> TestSet:
    """Prepares the test photographs that a config names, and says where they are others under the run's own path.

    Args:
        config: of the evaluation.
        workdir: of the run.
        class_names: of the run, in label order.

    Raises:
        UserError: the photographs cannot be used.
    """
    source, stored = create_source(config), read_description(workdir)[0]
    is_there = data_check.is_same_place(config, stored)
    _check_fold(config, stored, workdir)
    if config.data.fold and (own := _own_fold(config, workdir, class_names, is_there=is_there)) is not None:
        return TestSet(own.test, "", own.parts.test, own)
    if not is_there:
        found = None if stored.data.fold else _moved(source, config, workdir, class_names)
        if found is not None:
            return _all_of(found, "")
        return _all_of(prepare(source.for_everything(), "test", config, track, class_names), source.name)
    data = prepare(source, "test", config, track, class_names)
    if stored.data.fold:
        say(f"the test part of the data, and not the fold {stored.data.fold} that {workdir} was tested on")
        return _all_of(data, "test")
    changes = data_check.changes_of_test(workdir, data, all_rows(data.ids, data.labels))
    if changes is None and data_check.has_trained(workdir):
        say(f"{workdir}: {data_check.UNKNOWN}")
    if changes:
        say(
            f"the test photographs have changed since {workdir} was trained: {changes}; this evaluation is of these, "
            f"and is kept apart"
        )
    return _all_of(data, source.name if changes else "")


def _all_of(data: Prepared, name: str) -> TestSet:
    return TestSet(data, name, all_rows(data.ids, data.labels))


def _check_fold(config: Config, stored: Config, workdir: Path) -> None:
    """Raises UserError where an evaluation asks for a fold that is not the run's own."""
    fold, own = config.data.fold, stored.data.fold
    if fold and fold != own:
        needs = f"data.fold={own}, or data.fold='' for the test part" if own else "data.fold=''"
        trained = f"tested on the fold {own}" if own else "trained without folds"
        raise UserError(
            f"data.fold is {fold}, but {workdir} was {trained}: it has seen photographs of that fold: needs {needs}"
        )


def _own_fold(config: Config, workdir: Path, class_names: tuple[str, ...], *, is_there: bool) -> Data | None:
    """Returns the data of a run on a fold; None where the photographs in another place are not its own.

    Raises:
        UserError: the photographs in the run's own place are others now.
    """
    recorded, own, why = data_record.read(workdir), None, data_check.UNKNOWN
    try:
        data = load_data(config)
        if recorded is not None:
            own = data_record.as_recorded(recorded, data) if data.train.class_names == class_names else None
            why = data_changes.describe(recorded, data)
    except UserError:
        if is_there:
            raise
    if own is None and is_there:
        raise UserError(
            f"the photographs are not those of {workdir} ({why}): a fold of others may hold some that it was trained "
            f"on: put the old ones back, or evaluate the test part with data.fold=''"
        )
    return own


def _moved(source: Source, config: Config, workdir: Path, class_names: tuple[str, ...]) -> Prepared | None:
    """Returns the test set if a source in another place has the run's own; None if it has others."""
    recorded = data_record.read(workdir)
    if recorded is None:
        return None
    try:
        listed = len(select_classes(source.listing(), 0, class_names).test)
        if listed != recorded.digests["test"]["images"] and config.data.on_error == "stop":
            return None
        data = prepare(source, "test", config, track, class_names)
    except UserError:
        return None
    same = data_record.is_same(recorded.digests["test"], data, all_rows(data.ids, data.labels))
    return data if same else None
