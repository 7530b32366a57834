"""Duplicates between the photographs that a run was trained on and those that it is evaluated on.

A run names the prepared sets that it was trained on in run.json. As long as they are in the cache, they are opened
without the photographs themselves, and without reading their pixels where an earlier search knows the duplicates.
"""

from pathlib import Path

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.cache import cache_root
from foodjax.data.duplicates import Pair
from foodjax.data.leaks import Duplicates, among, is_exempt, originals, rows_of, search
from foodjax.data.prepare import open_prepared
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data, split_data
from foodjax.data.sources.base import PARTS
from foodjax.data.split import Indices, all_rows
from foodjax.system.errors import UserError
from foodjax.workdir import data_record, run_record


def open_data(workdir: Path, config: Config, cache: Path) -> Data | None:
    """Returns the data that a run was last trained on, or None where a set of it is not in the cache any more.

    Args:
        workdir: of the run.
        config: the run's own.
        cache: folder of the prepared sets.
    """
    names = next((s["prepared"] for s in reversed(run_record.read(workdir)["sessions"]) if "prepared" in s), None)
    try:
        sets = {part: open_prepared(cache / Path(name).name, trusted=True) for part, name in dict(names or {}).items()}
        if config.data.fold:
            return _of_fold(workdir, sets["train"])
        return split_data(config, sets["train"], sets["test"], sets.get("validation"))
    except (UserError, KeyError, TypeError, ValueError):
        return None


def _of_fold(workdir: Path, train: Prepared) -> Data | None:
    """Returns the data of a run on a fold by the ids that it recorded: a table that named groups may have changed."""
    recorded = data_record.read(workdir)
    if recorded is None or not recorded.photographs:
        return None
    row_of = {i: row for row, i in enumerate(train.ids)}
    rows = [np.array([row_of[one.id] for one in recorded.photographs[part]], np.int64) for part in PARTS]
    return Data(train, train, Indices(*rows, validation_is_from_test=False, test_is_from_train=True))


def duplicates_of_test(data: Data) -> Duplicates | None:
    """Returns those of a run's duplicates that a test image is one of; None where they were not searched."""
    found = data.duplicates
    return found and found._replace(
        pairs=tuple(p for p in found.pairs if "test" in (p.part, p.other_part)), num_dropped=0
    )


def find_duplicates_of(workdir: Path, stored: Config, config: Config, test_set: Prepared) -> Duplicates | None:
    """Returns the duplicates of test images, in the run's training and validation images and among themselves.

    Args:
        workdir: of the run.
        stored: the run's own config.
        config: of the evaluation.
        test_set: the photographs that are evaluated, all of them.

    Returns:
        The duplicates; None where the run's own sets are not in the cache, or are shapes that the program drew.
    """
    if is_exempt(stored) or is_exempt(config):
        return None
    data = open_data(workdir, stored, cache_root(config))
    if data is None or data.train.images.shape[1:] != test_set.images.shape[1:]:
        return None
    given = {} if data.own_validation is None else {"validation": data.own_validation}
    sets = {"train": data.train, **given, "test": test_set}
    parts = data.parts._replace(test=all_rows(test_set.ids, test_set.labels), test_is_from_train=False)
    searched = search(sets, config)
    pairs = among(searched, rows_of(parts), sets)

    def of_test(pair: Pair) -> bool:
        return "test" in (pair.part, pair.other_part)

    of_parts = {name: sets[of] for name, (of, _) in rows_of(parts).items()}
    return Duplicates(tuple(filter(of_test, pairs)), of_parts, originals=originals(searched, sets))
