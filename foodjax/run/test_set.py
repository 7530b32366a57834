"""The test photographs of an evaluation: the run's own, wherever they lie now, or others."""

from pathlib import Path
from typing import NamedTuple

from foodjax.config.keys import Config
from foodjax.data.prepare import prepare
from foodjax.data.prepared import Prepared
from foodjax.data.sources.base import Source
from foodjax.data.sources.find import create_source, select_classes
from foodjax.data.split import all_rows
from foodjax.system.console import say, track
from foodjax.system.errors import UserError
from foodjax.workdir import data_check, data_record
from foodjax.workdir.description import read_description


class TestSet(NamedTuple):
    """Test photographs.

    Attributes:
        data: the prepared set.
        name: of the source, for photographs that are not the run's own; "" for its own.
    """

    __test__ = False  # no test class

    data: Prepared
    name: str


def open_test_set(config: Config, workdir: Path, class_names: tuple[str, ...]) -> TestSet:
    """Prepares the test photographs that a config names, and says where they are others under the run's own path.

    Args:
        config: of the evaluation.
        workdir: of the run.
        class_names: of the run, in label order.

    Raises:
        UserError: the photographs cannot be used.
    """
    source = create_source(config)
    if not data_check.is_same_place(config, read_description(workdir)[0]):
        own = _moved(source, config, workdir, class_names)
        if own is not None:
            return TestSet(own, "")
        return TestSet(prepare(source.for_everything(), "test", config, track, class_names), source.name)
    data = prepare(source, "test", config, track, class_names)
    changes = data_check.changes_of_test(workdir, data, all_rows(data.ids, data.labels))
    if changes is None and data_check.has_trained(workdir):
        say(f"{workdir}: {data_check.UNKNOWN}")
    if changes:
        say(
            f"the test photographs have changed since {workdir} was trained: {changes}; this evaluation is of these, "
            f"and is kept apart"
        )
    return TestSet(data, source.name if changes else "")


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
