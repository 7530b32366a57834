"""The data of a run, and photographs.csv in its workdir."""

from pathlib import Path

from foodjax.config.keys import Config
from foodjax.data import photographs
from foodjax.data.found import UndecodedError
from foodjax.data.sets import Data
from foodjax.run.chosen import load_chosen
from foodjax.run.more_sets import open_more
from foodjax.system import files, hosts
from foodjax.system.errors import UserError
from foodjax.workdir import data_check, data_record


def load_for(workdir: Path, config: Config, data: Data | None, *, begun: bool) -> tuple[Config, Data]:
    """Prepares the data of a run, as `load_chosen` does.

    Photographs that do not decode, where none may be left out, are all listed in the workdir, unless it holds a run.

    Args:
        workdir: of the run.
        config: the experiment.
        data: prepared sets; None prepares those that config names.
        begun: whether the workdir holds the run already: then the photographs must be its own.

    Raises:
        UserError: the data cannot be used, or the photographs are others.
    """
    try:
        config, data = load_chosen(config, data)
        data = data_check.check_data(workdir, config, data) if begun else data
        return config, data._replace(more=open_more(config, data.train.class_names))
    except UndecodedError as error:
        if begun:
            raise
        if hosts.is_first():
            _write(workdir, photographs.of_unused(error.unused, error.sizes))
        raise UserError(f"{error}; all are listed in {workdir / photographs.FILE}") from None


def write_data(workdir: Path, data: Data) -> None:
    """Writes what a workdir keeps of its photographs: their digests, and the list of all.

    Raises:
        UserError: the file cannot be written.
    """
    data_record.write(workdir, data)
    _write(workdir, photographs.of_data(data))


def _write(folder: Path, listed: list[photographs.Photograph]) -> None:
    files.write_all(folder, photographs.to_files(listed))
