"""Checkpoints with orbax: the best, the latest and the one before it."""

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from foodjax.steps.state import TrainState
from foodjax.system import hosts
from foodjax.system.console import say
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import PathLike, to_path
from foodjax.workdir.checkpoint_content import LoopState, from_json, monitor_of
from foodjax.workdir.checkpoint_items import ItemReader, read_loop_state, to_args
from foodjax.workdir.orbax_manager import LATEST, create_manager, mend


class Checkpoints:
    """The checkpoints of one workdir, named by step: the best, the latest, and the one before the latest."""

    def __init__(self, workdir: PathLike):
        """Looks at the folder; nothing is written before the first `save`."""
        self.folder = to_path(workdir).resolve() / "checkpoints"
        self._reader = ItemReader()
        self._manager: Any = None

    def save(self, state: TrainState, loop_state: LoopState, value: float | None = None) -> None:
        """Starts to write a checkpoint; what the step makes of `state` next does not touch it.

        Args:
            state: to be saved.
            loop_state: that belongs to it.
            value: after an epoch, its value of train.monitor; within an epoch None.

        Raises:
            UserError: this one, or the one before, cannot be written.
        """
        stopping, step = loop_state.stopping, int(state.step)
        # Ties keep the newest in orbax and the oldest in Keras: what is no improvement has no metric to win with.
        # An imported model, of epoch 0, is the best until the first epoch, which always improves.
        improved = value is not None and (stopping.improved or not stopping.epoch)
        args = to_args(state, loop_state)
        with self._writing():
            manager = self._manager = self._manager or create_manager(self.folder)
            saved = manager.save(step, args=args, metrics={stopping.monitor: float(value)} if improved else None)  # pyright: ignore
            assert saved, f"checkpoint {step} was there already"

    def wait(self) -> None:
        """Returns when everything saved is on disk.

        Raises:
            UserError: it cannot be written.
        """
        if self._manager is not None:
            with self._writing():
                self._manager.wait_until_finished()

    def close(self) -> None:
        """Finishes writing and frees the manager's threads."""
        self.wait()
        if self._manager is not None:
            self._manager.close()
        self._reader.close()

    def steps(self) -> list[int]:
        """Returns the steps of all checkpoints, oldest first. Orbax renames a checkpoint to its step when whole."""
        return sorted(int(p.name) for p in self.folder.glob("*") if p.name.isdecimal() and p.is_dir())

    def latest_step(self) -> int | None:
        """Returns the step of the newest checkpoint."""
        return max(self.steps(), default=None)

    def best_step(self) -> int | None:
        """Returns the step of the checkpoint with the best value of train.monitor."""
        # Only improvements carry metrics: the newest of them is the best, whatever a first loss of NaN compares to.
        return max((step for step in self.steps() if (self.folder / f"{step}/metrics").is_dir()), default=None)

    def restore(self, step: int, like: TrainState, mesh: Mesh) -> TrainState:
        """Restores the state of `step` onto the devices of `mesh` and verifies its checksums.

        Args:
            step: which checkpoint.
            like: shapes and dtypes (jax.eval_shape's result is enough).
            mesh: where to put it, replicated; another device count than at saving is fine.

        Raises:
            UserError: the checkpoint is of another model, or cannot be read, or was changed.
        """
        with self._reading(step):
            return self._reader.read_state(self.folder / str(step), like, mesh)

    def restore_weights(self, step: int, like: Any, mesh: Mesh) -> Any:
        """Restores what evaluation runs on, `TrainState.variables`, and reads nothing else; as `restore` does."""
        with self._reading(step):
            return self._reader.read_weights(self.folder / str(step), like, mesh)

    def restore_loop_state(self, step: int, patience: int, monitor: str = "") -> LoopState:
        """Restores what belongs to the state of `step`.

        Args:
            step: which checkpoint.
            patience: of the training that goes on from there.
            monitor: train.monitor of that training; "" keeps the one of then. An imported model takes any.

        Raises:
            UserError: it cannot be read.
        """
        with self._reading(step):
            return from_json(self._read_loop_state(step), patience, monitor)

    def restore_latest(self, like: TrainState, mesh: Mesh) -> tuple[int, TrainState] | None:
        """Restores the newest checkpoint that can be read and says which it is; None when there is no checkpoint.

        Newer ones, which are damaged, are moved to damaged/ in the workdir. The best one is verified too.

        Raises:
            UserError: there are checkpoints, and none, or not the best one, can be read.
        """
        problems: dict[int, UserError] = {}
        for step in reversed(hosts.by_first(self.steps)):
            try:
                state = self._restore_in_all(step, like, mesh)
            except UserError as error:
                problems[step] = error
                continue
            hosts.by_first(lambda: self._set_all_aside(problems, step))  # noqa: B023, called at once
            self._verify_best(step, like, mesh)
            hosts.by_first(self._tidy)
            return step, state
        if problems:
            raise UserError(f"{next(iter(problems.values()))}; no older one can be read: {self._ADVICE}")
        return None

    def _restore_in_all(self, step: int, like: TrainState, mesh: Mesh) -> TrainState:
        """Does what `restore` does, and raises in every process what it raises in one."""
        state, problem = None, ""
        try:
            state = self.restore(step, like, mesh)
        except UserError as error:
            problem = str(error)
        if problem := next(filter(None, hosts.gathered(problem)), ""):
            raise UserError(problem)
        assert state is not None
        return state

    def _set_all_aside(self, problems: dict[int, UserError], step: int) -> None:
        for damaged, problem in problems.items():
            say(f"{problem}: moved to {self._set_aside(damaged)}, going back to step {step}")

    def _tidy(self) -> None:
        """Removes what orbax was about to remove before a kill, and repairs the files that it reads."""
        for superseded in set(self.steps()[:-LATEST]) - {self.best_step()}:
            shutil.rmtree(self.folder / str(superseded), ignore_errors=True)
        best = self.best_step()
        metrics = {}
        if best is not None:
            with self._reading(best):
                stored = self._read_loop_state(best)
                metrics = {monitor_of(stored): stored["best_loss"]}
        try:
            mend(self.folder, self.steps(), best, metrics)
        except OSError as error:
            raise UserError(f"cannot repair {self.folder}: {error.strerror}: {self._ADVICE}") from None

    _ADVICE = "needs a copy of it, or another --workdir to train from the start"

    def _verify_best(self, latest: int, like: TrainState, mesh: Mesh) -> None:
        epochs, best_epoch = (self._read_loop_state(latest)[name] for name in ("epoch", "best_epoch"))
        best = hosts.by_first(self.best_step)
        if best is None:
            if epochs:
                raise UserError(f"the best checkpoint, of epoch {best_epoch}, is not in {self.folder}: {self._ADVICE}")
        elif best != latest:
            try:
                self._restore_in_all(best, like, mesh)
                best_of_best = self._read_loop_state(best)["epoch"]
            except UserError as error:
                raise UserError(f"{error}; it is the best so far: {self._ADVICE}") from None
            if best_of_best != best_epoch:
                raise UserError(f"the best checkpoint, of epoch {best_epoch}, is not in {self.folder}: {self._ADVICE}")

    def _set_aside(self, step: int) -> Path:
        folder = self.folder.parent / "damaged"
        try:
            folder.mkdir(exist_ok=True)
            free = next(path for n in itertools.count() if not (path := folder / f"{step}-{n}").exists())
            return (self.folder / str(step)).rename(free)
        except OSError as error:
            raise UserError(f"cannot move {self.folder}/{step} to {folder}: {error.strerror}") from None

    def _read_loop_state(self, step: int) -> dict[str, Any]:
        return read_loop_state(self.folder / str(step))

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # a damaged file can raise anything
            problem = first_line(error).split(". See full")[0]  # tensorstore's
            raise UserError(f"cannot read checkpoint {self.folder}/{step}: {problem}") from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a full disk is an OSError here and a ValueError of tensorstore's there
            self._manager = None  # what it still has to say is the same again
            raise UserError(
                f"cannot write a checkpoint to {self.folder}: {first_line(error)}; the ones before are kept: needs "
                f"space and the right to write, then the same command continues"
            ) from None


def load_best_weights(workdir: Path, like: Any, mesh: Mesh) -> tuple[int, Any]:
    """Returns the step of the checkpoint with the best value of train.monitor, and its weights.

    Args:
        workdir: of a run.
        like: shapes and dtypes of `TrainState.variables`.
        mesh: where to put them.

    Raises:
        UserError: there is no checkpoint, or `Checkpoints.restore_weights` cannot use it.
    """
    checkpoints = Checkpoints(workdir)
    try:
        step = hosts.by_first(checkpoints.best_step)
        if step is None:
            raise UserError(f"workdir {workdir.resolve()} has no checkpoint yet: train it for at least one epoch")
        return step, checkpoints.restore_weights(step, like, mesh)
    finally:
        checkpoints.close()
