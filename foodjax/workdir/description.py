"""A workdir describes itself: config.json and dataset.json (class names) lie beside checkpoints/. Imports no jax."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from foodjax.config import stored as stored_lib
from foodjax.config.check import difference, replace, state_values
from foodjax.config.keys import Config
from foodjax.config.training_keys import Train
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.system import files, hosts
from foodjax.system.errors import UserError, first_line
from foodjax.system.ownership import Owner
from foodjax.workdir.metrics import read_metrics

IN_USE = "is in use by another training"  # a sweep knows a refused training by it
_MAX_CONFIG = 2**20  # bytes; a config of a hundred blocks has 20 KB
# What a process that died at its very start, or refused its photographs, may have left, and the pictures of a smoke
# test.
_OWN = {
    "config.json", "dataset.json", "imported.json", ".lock", ".lock.owner", "inspect", "labels", "photographs.csv",
    "prepared",
}  # fmt: skip


def check(workdir: Path, config: Config) -> bool:
    """Returns whether the workdir holds this experiment already; False: it is new.

    A workdir that only holds an imported model takes any experiment that its weights and random keys fit.

    Raises:
        UserError: it holds another experiment, or something else, or is damaged.
    """
    if (workdir / "config.json").exists():
        stored, _ = read_description(workdir)
        if _is_imported_only(workdir):
            found = difference(state_values(stored), state_values(config), ())
        else:
            found = difference(stored, config)
        if found:
            raise UserError(f"workdir {workdir} holds a different experiment: {found} (now): choose another --workdir")
        return True
    try:
        foreign = workdir.exists() and any(not _is_own(path.name) for path in workdir.iterdir())
    except OSError as error:
        raise UserError(f"cannot read workdir {workdir}: {error.strerror}") from None
    if (workdir / "checkpoints").is_dir():
        raise UserError(_missing(workdir, "config.json"))
    if foreign:
        raise UserError(f"workdir {workdir} is not empty and holds no foodjax run: choose another --workdir")
    return False


def continued(workdir: Path, config: Config) -> Config:
    """Returns the config that continues the run of a workdir: what changes its bits stays as the run began.

    Decoding is "plain" where the run began with that, as those of older versions did; a config that leaves
    data.decoding at its default still names the same experiment. model.convolutions=auto takes the run's own.

    Args:
        workdir: of a run, or a new one.
        config: the experiment.

    Raises:
        UserError: the workdir is damaged.
    """
    if not (workdir / "config.json").exists() or _is_imported_only(workdir):
        return config
    stored = read_description(workdir)[0]
    if config.model.convolutions == "auto":
        config = replace(config, {"model.convolutions": stored.model.convolutions})
    elif config.model.convolutions != stored.model.convolutions != "auto":
        print(
            f"{workdir} continues with model.convolutions={config.model.convolutions} and began with "
            f"{stored.model.convolutions}: the last digits differ from those of a run that goes on as it began"
        )
    decoding = stored.data.decoding
    if decoding == config.data.decoding or decoding != "plain":
        return config
    print(f"{workdir} continues with data.decoding=plain, as it began")
    return replace(config, {"data.decoding": decoding})


def _is_imported_only(workdir: Path) -> bool:
    return (workdir / "imported.json").exists() and not (workdir / "metrics.jsonl").exists()


def _is_own(name: str) -> bool:
    return name in _OWN or (name.startswith(".") and name.endswith(".tmp") and name[1:-4] in _OWN)


def write_description(
    workdir: Path, config: Config, class_names: tuple[str, ...], origin: dict[str, str] | None = None
) -> None:
    """Writes what a checkpoint needs to be used: the config and the class names.

    Args:
        workdir: that `check` accepts.
        config: the experiment.
        class_names: in label order.
        origin: of an imported model, kept in imported.json.

    Raises:
        UserError: the workdir holds another experiment, or cannot be written.
    """
    if check(workdir, config):
        names = read_description(workdir)[1]
        if names != class_names:
            found = f"class_names is {names} here and {class_names} there"
            raise UserError(f"workdir {workdir} holds a different experiment: {found} (now): choose another --workdir")
    # The config comes last: with it, the others are there.
    texts = {"imported.json": json.dumps(origin, indent=2) + "\n"} if origin is not None else {}
    texts["dataset.json"] = json.dumps({"class_names": class_names}, indent=2) + "\n"
    texts["config.json"] = stored_lib.to_json(config)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = workdir / name
            if not path.exists() or files.read_text(path) != text:
                files.write_text(path, text)
    except OSError as error:
        raise UserError(f"cannot write to workdir {workdir}: {error.strerror}") from None


def read_description(workdir: files.PathLike) -> tuple[Config, tuple[str, ...]]:
    """Returns (config, class names) of a workdir; reads data only, never code.

    Raises:
        UserError: the workdir holds no run, or its files are damaged, or this foodjax cannot use its config.
    """
    workdir = files.to_path(workdir)
    try:
        config = stored_lib.parse(files.read_text(workdir / "config.json", most=_MAX_CONFIG))
        names = files.read_json(workdir / "dataset.json")["class_names"]
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ValueError("dataset.json holds no class names")
    except FileNotFoundError as error:
        if (workdir / "checkpoints").is_dir():
            raise UserError(_missing(workdir, Path(error.filename).name)) from None
        raise UserError(f"workdir {workdir} holds no run: needs the workdir of a training") from None
    except (UserError, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"workdir {workdir} is damaged: {first_line(error)}") from None
    try:
        return stored_lib.complete(config), tuple(names)
    except UserError as error:
        raise UserError(
            f"workdir {workdir} was made by another foodjax, or its config.json was changed: {error}: "
            f"needs the foodjax that made it (its revision is in run.json), or another --workdir"
        ) from None


def _missing(workdir: Path, name: str) -> str:
    return f"workdir {workdir} is damaged: it has checkpoints and no {name}: needs a copy of it, or another --workdir"


@contextlib.contextmanager
def lock(workdir: Path) -> Iterator[None]:
    """Locks the workdir for this process, or for all processes of a run; it is free again if the process dies.

    Raises:
        UserError: another training has it, on this or another machine, or it cannot be written, or a link leads out of
            it.
    """
    taken = Owner(workdir / ".lock")

    def acquire() -> None:
        files.refuse_links(workdir)
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            owner = taken.acquire()
        except OSError as error:
            raise UserError(f"cannot write to workdir {workdir}: {error.strerror}") from None
        if owner:
            raise UserError(f"workdir {workdir} {IN_USE}, {owner}: wait for it, stop it, or choose another --workdir")

    hosts.by_first(acquire)
    try:
        yield
    finally:
        taken.release()


LAST_EPOCH, EARLY = "last epoch", "early stopping"  # reasons of an end that is no observer's


class Finished(NamedTuple):
    """The end of a training: the reason, and the number of its last epoch."""

    reason: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.reason} after epoch {self.epoch}"


def read_finished(workdir: Path, train: Train) -> Finished | None:
    """Returns how the training ended, or None if it goes on.

    Args:
        workdir: of a run.
        train: with more epochs, or more patience, than the run ended with, it goes on.
    """
    try:
        found = Finished(**files.read_json(workdir / "finished.json"))
        if type(found.reason) is not str or type(found.epoch) is not int:
            return None
    except (OSError, ValueError, TypeError):
        return None  # without it, or with a damaged one, the run ends once more in the same way
    if found.reason == LAST_EPOCH and found.epoch < train.num_epochs:
        return None
    if found.reason == EARLY and found.epoch < train.num_epochs and not _stops(workdir, train, found.epoch):
        return None
    return found


def _stops(workdir: Path, train: Train, epoch: int) -> bool:
    """Returns whether a run with this patience stops after its `epoch` epochs; True where its values are not known."""
    stopping = EarlyStopping(train.patience, monitor=train.monitor)
    try:
        for row in read_metrics(workdir / "metrics.jsonl")[:epoch]:
            stopping = stopping.update(row[train.monitor])
    except (UserError, KeyError, TypeError):
        return True
    return stopping.epoch < epoch or stopping.should_stop


def write_finished(workdir: Path, finished: Finished) -> None:
    """Marks a run as finished: trained and evaluated."""
    files.write_text(workdir / "finished.json", json.dumps(finished._asdict()) + "\n")
