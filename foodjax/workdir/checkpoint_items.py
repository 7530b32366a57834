"""Items of a checkpoint, read and written with orbax.

    STEP/weights/    the weights for evaluation, `TrainState.variables`: averaged ones with train.ema_decay
    STEP/training/   the rest of the state; no array is in both
    STEP/progress/   the state of the loop as JSON, with a SHA-256 of each of the two

Evaluation reads the weights alone. Their checksum covers the step; that of the training covers the JSON too, and in it
the checksum of the weights. Older checkpoints have one item, `state`, and one checksum: they are read, never written.
"""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from foodjax.steps.state import TrainState
from foodjax.system import files
from foodjax.system.errors import UserError
from foodjax.workdir.bounded import check_growth
from foodjax.workdir.checkpoint_content import LoopState, digest, num_bytes, shapes, to_json


def to_args(state: TrainState, loop_state: LoopState) -> ocp.args.Composite:
    """Returns what orbax's manager takes to save a checkpoint."""
    weights, training = state.split()
    stored = to_json(loop_state)
    stored["weights"] = digest(weights, {"step": int(state.step)})
    stored["training"] = digest(training, stored)
    return ocp.args.Composite(
        weights=ocp.args.StandardSave(weights),  # pyright: ignore
        training=ocp.args.StandardSave(training),  # pyright: ignore
        progress=ocp.args.JsonSave(stored),  # pyright: ignore
    )


def read_loop_state(folder: Path) -> dict[str, Any]:
    """Returns the JSON of a checkpoint, for `from_json`; its checksums are in it."""
    return files.read_json(folder / "progress/metadata")


class ItemReader:
    """Reads the items of checkpoints of both forms and verifies their checksums.

    Each method takes the folder of a checkpoint, which is named after its step; the shapes and dtypes of what is read;
    and the mesh to put it on, replicated: another device count than at saving is fine. It raises UserError when the
    checkpoint is of another model, and an exception of any type when a file is damaged.
    """

    def __init__(self):
        """Starts orbax's threads."""
        self._reader = ocp.StandardCheckpointer()

    def close(self) -> None:
        """Ends them."""
        self._reader.close()

    def read_state(self, folder: Path, like: TrainState, mesh: Mesh) -> TrainState:
        """Reads all items."""
        stored = read_loop_state(folder)
        if "digest" in stored:  # the older form
            check_growth({folder / "state": num_bytes(like)})
            state = self._read(folder / "state", like, mesh)
            _verify(state, stored.pop("digest"), stored)
        else:
            like_weights, like_training = like.split()
            items = {folder / "weights": like_weights, folder / "training": like_training}
            check_growth({item: num_bytes(arrays) for item, arrays in items.items()})
            weights = self._read_weights(folder, stored, like_weights, mesh)
            training = self._read(folder / "training", like_training, mesh)
            _verify(training, stored.pop("training"), stored)
            state = training.join(weights)
        _check_step(folder, state.step)
        return state

    def read_weights(self, folder: Path, like: Any, mesh: Mesh) -> Any:
        """Reads what evaluation runs on, and no file of the rest; of an older checkpoint all, and drops the rest."""
        stored = read_loop_state(folder)
        if "digest" not in stored:
            check_growth({folder / "weights": num_bytes(like)})
            return self._read_weights(folder, stored, like, mesh)
        # The checkpoint itself knows its optimizer: the names of its arrays are all that the checksum needs. Beside the
        # weights it holds averaged ones, and two arrays of the optimizer at most for each.
        check_growth({folder / "state": 4 * num_bytes(like) + 2**20})
        whole = self._tree(folder / "state")
        _check_fit(folder, _variables(whole), like)
        state = self._reader.restore(folder / "state", _placed(whole, mesh))
        _verify(state, stored.pop("digest"), stored)
        _check_step(folder, state["step"])
        return _variables(state)

    def _read_weights(self, folder: Path, stored: dict[str, Any], like: Any, mesh: Mesh) -> Any:
        weights = self._read(folder / "weights", like, mesh)
        _verify(weights, stored["weights"], {"step": int(folder.name)})
        return weights

    def _read(self, path: Path, like: Any, mesh: Mesh) -> Any:
        _check_fit(path.parent, self._tree(path), like)
        return self._reader.restore(path, _placed(like, mesh))

    def _tree(self, path: Path) -> Any:
        """Returns the shapes and dtypes that an item has, as nested dicts and lists."""
        metadata: Any = self._reader.metadata(path).item_metadata
        if metadata is None:
            raise ValueError("the list of its arrays is damaged")
        return metadata.tree


def _variables(state: dict[str, Any]) -> dict[str, Any]:
    """Does for a state of nested dicts what `TrainState.variables` does."""
    return state["ema"] or {"params": state["params"], "batch_stats": state["batch_stats"]}


def _placed(like: Any, mesh: Mesh) -> Any:
    sharding = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), like)


def _check_fit(folder: Path, found: Any, like: Any) -> None:
    stored, needed = shapes(found), shapes(like)
    # The parameters first: what does not fit there explains the rest.
    for name in sorted(stored.keys() | needed.keys(), key=lambda name: (not name.startswith("params/"), name)):
        if stored.get(name) != needed.get(name):
            raise UserError(
                f"checkpoint {folder} does not fit the model: {name} is {stored.get(name, 'absent')} there, needs "
                f"{needed.get(name, 'absent')}"
            )


def _verify(tree: Any, checksum: str, facts: dict[str, Any]) -> None:
    if checksum != digest(tree, facts):
        raise ValueError("its checksum is another one: it was changed after it was written")


def _check_step(folder: Path, step: Any) -> None:
    if int(step) != int(folder.name):
        raise ValueError(f"it is of step {int(step)}")
