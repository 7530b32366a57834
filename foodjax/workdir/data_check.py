"""Checks that the photographs of a run are still those that it trains on."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from foodjax.config.keys import Config
from foodjax.data import identity
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data, load_data
from foodjax.data.sources.base import PARTS
from foodjax.data.sources.find import create_source, select_classes
from foodjax.data.sources.joined import of_folds
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.files import to_path
from foodjax.workdir import data_changes, data_record, run_record
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.description import read_description
from foodjax.workdir.metrics import read_metrics
from foodjax.workdir.older_data import distrust

UNKNOWN = "its files hold no digests of the photographs, so it cannot be seen whether these are the same"


def check_data(workdir: Path, config: Config, data: Data) -> Data:
    """Checks that photographs are those of the run in a workdir, before anything is written.

    Args:
        workdir: of a run that has begun, or a new one.
        config: as the run is to continue.
        data: the photographs that it names.

    Returns:
        The data; with the parts and the order that the run has, whatever the names of the files are now.

    Raises:
        UserError: the run has trained on other photographs.
    """
    recorded = data_record.read(workdir)
    if recorded is None:
        _check_place(workdir, config)
        return data
    if (found := data_record.as_recorded(recorded, data)) is not None:
        return found
    changes = data_changes.describe(recorded, data)
    if not has_trained(workdir):
        say(f"the photographs have changed since the last start of {workdir}, which took no step: {changes}")
        return data
    if line := _read_wrongly(workdir, recorded, data):
        say(line)
        return data
    raise UserError(
        f"the photographs have changed since {workdir} began to train: {changes}: put the old ones back, or train on "
        f"these in another --workdir"
    )


def has_trained(workdir: Path) -> bool:
    """Returns whether a run has taken a step; the weights of an imported model are of step 0."""
    return bool(Checkpoints(workdir).latest_step() or read_metrics(workdir / "metrics.jsonl"))


def place_of(config: Config) -> dict[str, Any]:
    """Returns the values of a config that name its photographs; those of later keys only where they are set."""
    later = (key for key in ("labels", "class_level") if getattr(config.data, key))
    return {key: getattr(config.data, key) for key in ("dir", "source", "tfds_name", "tfds_dir", *later)}


def is_same_place(one: Config, other: Config) -> bool:
    """Returns whether two configs name photographs in one place, whether relative, by a link or with a slash."""
    return _real_place(one) == _real_place(other)


def _real_place(config: Config) -> dict[str, Any]:
    paths = ("dir", "labels", "tfds_dir")
    return {
        key: os.path.realpath(to_path(value)) if value and key in paths else value
        for key, value in place_of(config).items()
    }


def _check_place(workdir: Path, config: Config) -> None:
    """Prints that the photographs of a run are unknown; raises UserError where they are in another place, too."""
    if not has_trained(workdir):
        return
    if not is_same_place(read_description(workdir)[0], config):
        raise UserError(
            f"workdir {workdir} may hold a run on other photographs than those of data.dir={config.data.dir}: "
            f"{UNKNOWN}: give them as before, or choose another --workdir"
        )
    say(f"{workdir}: {UNKNOWN}")


def _read_wrongly(workdir: Path, recorded: data_record.Recorded, data: Data) -> str:
    """Returns a line if the test photographs alone differ, and an older foodjax may have read them wrongly."""
    if recorded.photographs:
        return ""
    sets = data_record.sets_of(data)
    changed = [part for part, of in sets.items() if not data_record.is_same(recorded.digests[part], *of)]
    same_names = recorded.digests["test"]["ids"] == run_record.digests(*sets["test"])["ids"]
    return distrust(workdir) if changed == ["test"] and same_names else ""


def own_data(config: Config, workdir: Path, class_names: tuple[str, ...]) -> Data:
    """Returns the data of a run, whose classes and validation photographs are the run's own.

    Args:
        config: the workdir's config; `data` names the photographs of the training.
        workdir: folder of the run.
        class_names: classes of the run.

    Raises:
        UserError: the data cannot be used, or is another.
    """
    data = load_data(config)
    if data.train.class_names != class_names:
        raise UserError(f"the classes of the data are {data.train.class_names}, those of the workdir {class_names}")
    return _as_fitted(workdir, data)


def _as_fitted(workdir: Path, data: Data) -> Data:
    """Returns data whose validation photographs are the run's own.

    Raises:
        UserError: they are others.
    """
    recorded = data_record.read(workdir)
    if recorded is None:
        return data
    found = data_record.as_recorded(recorded, data)
    if found is None and not data_record.is_same(
        recorded.digests["validation"], *data_record.sets_of(data)["validation"]
    ):
        raise UserError(f"they have changed since the training: {data_changes.describe(recorded, data)}")
    return found or data


def changes_of_test(workdir: Path, prepared: Prepared, rows: np.ndarray) -> str | None:
    """Returns how test photographs differ from those of the run; "" if they do not, None if that is unknown."""
    recorded = data_record.read(workdir)
    if recorded is None:
        return None
    known = recorded.digests["test"]
    if data_record.is_same(known, prepared, rows):
        return ""
    now = identity.photographs(prepared, rows)
    if recorded.photographs:
        return data_changes.compare({"test": recorded.photographs["test"]}, {"test": now})
    if known["ids"] == run_record.digests(prepared, rows)["ids"] and distrust(workdir):
        return ""  # the older foodjax read others under these names; every evaluation says so
    return data_changes.of_digests("test", known["images"], len(rows))


def changed_since_the_end(workdir: Path, config: Config) -> str:
    """Returns how the names of the photographs differ from those of a finished run; "" if they do not, or unknown.

    No photograph is read.
    """
    recorded, data = data_record.read(workdir), config.data
    if recorded is None or not recorded.is_whole or not (data.dir or data.labels):
        return ""
    try:
        source = create_source(config)
        listing = select_classes(
            (of_folds(source) if data.fold else source).listing(), data.num_classes, data.class_names
        )
    except UserError:
        return ""  # a finished run needs no photographs
    parts = ("train",) if data.fold else PARTS
    now = Counter((example.class_name, example.id) for part in parts for example in getattr(listing, part))
    then = Counter((one.class_name, one.id) for part in recorded.photographs.values() for one in part)
    counts = {"added": (now - then).total(), "removed": (then - now).total()}
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
