"""Checkpoints with orbax: the latest and the one with the best validation loss. The only import of orbax.

A workdir describes itself: config.json and dataset.json (class names) lie beside checkpoints/.
"""

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from foodjax import config as config_lib
from foodjax.early_stopping import EarlyStopping
from foodjax.errors import UserError, first_line
from foodjax.metrics import Metrics
from foodjax.train_state import TrainState

logging.getLogger("absl").setLevel(logging.ERROR)  # orbax tells every step of every save


def _rank(metrics: Any) -> float:
    # The highest rank is kept. Orbax would take NaN for the best, so that is ranked last.
    loss = float(metrics["val_loss"])
    return -loss if loss == loss else float("-inf")


class Progress(NamedTuple):
    """What a checkpoint holds beside the state.

    Attributes:
        stopping: the early stopping after the last whole epoch.
        total: the sums over the steps that were taken since; a continued epoch has the numbers of an unbroken one.
    """

    stopping: EarlyStopping
    total: Metrics


class Checkpoints:
    """The checkpoints of one workdir, named by step."""

    def __init__(self, workdir: Path):
        self.folder = workdir.resolve() / "checkpoints"
        # BestN's n counts those it keeps; the last of equals would win, so only improvements carry metrics.
        policy = AnyPreservationPolicy(
            [LatestN(1), BestN(get_metric_fn=_rank, n=1, keep_checkpoints_without_metrics=False)]
        )
        self._manager = ocp.CheckpointManager(
            self.folder,
            # Named handlers let a fresh process read the stored shapes before it restores.
            item_handlers={"state": ocp.StandardCheckpointHandler(), "progress": ocp.JsonCheckpointHandler()},
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policy, best_fn=_rank, best_mode="max", create=True
            ),
        )

    def save(self, state: TrainState, progress: Progress, val_loss: float | None = None) -> None:
        """Starts to write a checkpoint; what the step makes of `state` next does not touch it.

        Args:
            state: to be saved.
            progress: that belongs to it.
            val_loss: after an epoch, its validation loss; within an epoch None.
        """
        stopping = progress.stopping
        # Ties keep the newest in orbax and the oldest in Keras: what is no improvement has no metric to win with.
        # An imported model, of epoch 0, is the best until the first epoch, which always improves.
        improved = val_loss is not None and (stopping.improved or not stopping.epoch)
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(state),  # pyright: ignore
            progress=ocp.args.JsonSave(_to_json(progress)),  # pyright: ignore
        )
        self._manager.save(int(state.step), args=args, metrics={"val_loss": float(val_loss)} if improved else None)  # pyright: ignore

    def wait(self) -> None:
        """Returns when everything saved is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Finishes writing and frees the manager's threads."""
        self._manager.close()

    def latest_step(self) -> int | None:
        """Returns the step of the newest checkpoint."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """Returns the step of the checkpoint with the lowest validation loss."""
        # Only improvements carry metrics: the newest of them is the best, whatever a first loss of NaN compares to.
        return max((step for step in self._manager.all_steps() if self._manager.metrics(step)), default=None)

    def restore(self, step: int, like: TrainState, mesh: Mesh) -> TrainState:
        """Restores the state of `step` onto the devices of `mesh`.

        Args:
            step: which checkpoint.
            like: shapes and dtypes (jax.eval_shape's result is enough).
            mesh: where to put it, replicated; another device count than at saving is fine.

        Raises:
            UserError: the checkpoint is of another model, or cannot be read.
        """
        sharding = NamedSharding(mesh, PartitionSpec())
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), like)
        stored, needed = self._stored_shapes(step), _shapes(abstract)
        # The parameters first: what does not fit there explains the rest.
        for name in sorted(stored.keys() | needed.keys(), key=lambda name: (not name.startswith("params/"), name)):
            if stored.get(name) != needed.get(name):
                raise UserError(
                    f"checkpoint {self.folder}/{step} does not fit the model: {name} is "
                    f"{stored.get(name, 'absent')} there, needs {needed.get(name, 'absent')}"
                )
        try:
            restored = self._manager.restore(
                step,
                args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract)),  # pyright: ignore
            )
        except Exception as error:  # a damaged file can raise anything
            raise UserError(f"cannot read checkpoint {self.folder}/{step}: {first_line(error)}") from None
        return restored["state"]

    def restore_best(self, like: TrainState, mesh: Mesh) -> tuple[int, TrainState]:
        """Restores the checkpoint with the lowest validation loss; returns its step too.

        Raises:
            UserError: there is no checkpoint, or `restore` cannot use it.
        """
        step = self.best_step()
        if step is None:
            raise UserError(f"workdir {self.folder.parent} has no checkpoint yet: needs one whole epoch of training")
        return step, self.restore(step, like, mesh)

    def restore_progress(self, step: int, patience: int) -> Progress:
        """Restores what belongs to the state of `step`."""
        restored = self._manager.restore(step, args=ocp.args.Composite(progress=ocp.args.JsonRestore()))  # pyright: ignore
        return _from_json(restored["progress"], patience)

    def _stored_shapes(self, step: int) -> dict[str, tuple]:
        try:
            return _shapes(self._manager.item_metadata(step)["state"].tree)
        except Exception as error:
            raise UserError(f"cannot read checkpoint {self.folder}/{step}: {first_line(error)}") from None


def _to_json(progress: Progress) -> dict[str, Any]:
    stopping, total = progress
    return {
        **{name: getattr(stopping, name) for name in ("best_loss", "best_epoch", "num_bad", "epoch")},
        "total": {name: float(value) for name, value in vars(total).items()},  # a float holds a float32 exactly
    }


def _from_json(stored: dict[str, Any], patience: int) -> Progress:
    stopping = {name: stored[name] for name in ("best_loss", "best_epoch", "num_bad", "epoch")}
    total = stored.get("total")  # of a run before there were checkpoints within an epoch: absent
    sums = {name: jnp.float32(value) for name, value in total.items()} if total else vars(Metrics.zeros())
    return Progress(EarlyStopping(patience, **stopping), Metrics(**sums))


def _shapes(tree: Any) -> dict[str, tuple]:
    def name(path):
        return "/".join(str(getattr(k, "name", None) or getattr(k, "key", None) or getattr(k, "idx", k)) for k in path)

    return {name(path): tuple(x.shape) for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def write_description(
    workdir: Path, config: Any, class_names: tuple[str, ...], origin: dict[str, str] | None = None
) -> None:
    """Writes what a checkpoint needs to be used: the config and the class names.

    Args:
        workdir: new, or of the same experiment; a workdir that only holds an imported model takes any experiment
            that its weights and random keys fit.
        config: the experiment.
        class_names: in label order.
        origin: of an imported model, kept in imported.json.

    Raises:
        UserError: the workdir holds another experiment, or cannot be written.
    """
    if (workdir / "config.json").exists():
        stored, names = read_description(workdir)
        imported = (workdir / "imported.json").exists() and not (workdir / "metrics.jsonl").exists()
        if imported:
            found = config_lib.difference(config_lib.of_state(stored), config_lib.of_state(config))
        else:
            found = config_lib.difference(stored, config)
        if found is None and names != class_names:
            found = f"class_names is {names} here and {class_names} there"
        if found:
            raise UserError(f"workdir {workdir} holds a different experiment: {found} (now); needs another --workdir")
    elif workdir.exists() and any(workdir.iterdir()):
        raise UserError(f"workdir {workdir} is not empty and holds no foodjax run: needs another --workdir")
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if origin is not None:
            (workdir / "imported.json").write_text(json.dumps(origin, indent=2) + "\n")
        (workdir / "dataset.json").write_text(json.dumps({"class_names": class_names}, indent=2) + "\n")
        (workdir / "config.json").write_text(config_lib.to_json(config))
    except OSError as error:
        raise UserError(f"cannot write to workdir {workdir}: {error.strerror}") from None


@contextlib.contextmanager
def lock(workdir: Path) -> Iterator[None]:
    """Keeps the workdir for this process inside the context; the system frees it too when the process dies.

    Raises:
        UserError: another process trains in it.
    """
    taken = filelock.FileLock(workdir / ".lock")
    try:
        taken.acquire(blocking=False)
    except filelock.Timeout:
        raise UserError(f"another process trains in workdir {workdir}: needs its end, or another --workdir") from None
    except OSError as error:
        raise UserError(f"cannot write to workdir {workdir}: {error.strerror}") from None
    try:
        yield
    finally:
        taken.release()


def read_description(workdir: Path) -> tuple[Any, tuple[str, ...]]:
    """Returns (config, class names) of a workdir; reads data only, never code.

    Raises:
        UserError: the workdir holds no run, or its files are damaged.
    """
    try:
        config = config_lib.from_json((workdir / "config.json").read_text())
        names = json.loads((workdir / "dataset.json").read_text())["class_names"]
    except FileNotFoundError:
        raise UserError(f"workdir {workdir} holds no run: needs one that training has written") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"workdir {workdir} is damaged: {first_line(error)}") from None
    return config, tuple(names)
