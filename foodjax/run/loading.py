"""The data of a run, and photographs.csv in its workdir."""

from pathlib import Path

from foodjax.config.keys import Config
from foodjax.data import photographs
from foodjax.data.found import UndecodedError
from foodjax.data.sets import Data
from foodjax.run.chosen import load_chosen
from foodjax.system import files
from foodjax.system.errors import UserError


def load_for(workdir: Path, config: Config, data: Data | None = None) -> tuple[Config, Data]:
    """Prepares the data of a run, as `load_chosen` does.

    Photographs that do not decode, where none may be left out, are all listed in the workdir, unless it holds a run.

    Raises:
        UserError: the data cannot be used.
    """
    try:
        return load_chosen(config, data)
    except UndecodedError as error:
        if (workdir / "config.json").exists():
            raise
        _write(workdir, photographs.of_unused(error.unused, error.sizes))
        raise UserError(f"{error}; all are listed in {workdir / photographs.FILE}") from None


def write_photographs(workdir: Path, data: Data) -> None:
    """Lists all photographs of a run in its workdir.

    Raises:
        UserError: the file cannot be written.
    """
    _write(workdir, photographs.of_data(data))


def _write(folder: Path, listed: list[photographs.Photograph]) -> None:
    files.write_all(folder, photographs.to_files(listed))
