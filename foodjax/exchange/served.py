"""What every exported file computes: the probabilities of prepared pictures, with the view and the temperature."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from foodjax.config import stored
from foodjax.config.keys import Config
from foodjax.data.augment.apply import view
from foodjax.evaluation import temperature as temperature_lib
from foodjax.models.convnet import ConvNet
from foodjax.run.wiring import open_workdir
from foodjax.steps.step import rescale
from foodjax.system.files import PathLike, to_path
from foodjax.system.version import version

FACTS = "foodjax.json"  # name of the metadata in a zip archive


class Served(NamedTuple):
    """A trained network, ready to export.

    Attributes:
        config: the experiment.
        class_names: in label order.
        model: the network.
        variables: its weights, of NumPy.
        step: of the checkpoint.
        temperature: of its probabilities; 1.0 without eval.calibrate.
    """

    config: Config
    class_names: tuple[str, ...]
    model: ConvNet
    variables: Any
    step: int
    temperature: float

    def function(self, *, plain: bool) -> Callable[[jax.Array], jax.Array]:
        """Returns the function from prepared pictures, uint8 (B, S, S, 3), to probabilities, float32 (B, K).

        Args:
            plain: for a runtime that knows no bfloat16: a network of model.dtype=bfloat16 is computed in float32.
        """
        config, flip = self.config, self.config.eval.flip
        # Not as this machine computes it: kernels of its CPU are no part of a program for others.
        model: Any = self.model.clone(native="", dtype="float32" if plain else self.config.model.dtype)
        resize, variables = resizing(config), jax.tree.map(jnp.asarray, self.variables)

        def probabilities(images: jax.Array) -> jax.Array:
            x = rescale(images)
            if resize is not None:
                x = jnp.einsum("ih,jw,bhwc->bijc", resize, resize, x)
            logits = model.apply(variables, x, train=False)
            if flip:
                mirrored = jax.nn.softmax(model.apply(variables, jnp.flip(x, 2), train=False))
                logits = jnp.log((jax.nn.softmax(logits) + mirrored) / 2)
            return jax.nn.softmax(logits / self.temperature if self.temperature != 1 else logits)

        return probabilities

    def facts(self) -> dict[str, Any]:
        """Returns the metadata of a file: what somebody needs to use it without foodjax."""
        data = self.config.data
        return {
            "name": self.config.name,
            "class_names": list(self.class_names),
            "image_size": data.image_size,
            "geometry": data.geometry,
            "resize": data.resize,
            "input": f"images: uint8 (batch, {data.image_size}, {data.image_size}, 3), RGB, values 0..255",
            "output": "probabilities: float32 (batch, classes), in the order of class_names",
            "temperature": self.temperature,
            "step": self.step,
            "foodjax": version(),
            "config": json.loads(stored.to_json(self.config)),
        }


def open_served(config: Config, workdir: PathLike) -> Served:
    """Returns the best checkpoint of a workdir.

    Args:
        config: the workdir's own, perhaps with another view (eval.*).
        workdir: folder of a run.

    Raises:
        UserError: no checkpoint, or no temperature with eval.calibrate.
    """
    workdir = to_path(workdir)
    engine = open_workdir(workdir, config)
    step, variables = engine.load_weights(workdir)
    fitted = temperature_lib.of_checkpoint(config, workdir, step)
    return Served(
        config, engine.class_names, engine.model, jax.device_get(variables), step, fitted.temperature if fitted else 1.0
    )


def resizing(config: Config) -> np.ndarray | None:
    """Returns the matrix that makes the network's rows of a picture's rows, (S', S), and likewise the columns.

    The view of an evaluation (eval.size, eval.crop_area) is linear, and the same for rows and columns: two matrix
    products, in the place of a look-up for each pixel that few runtimes have. None if the network sees the picture as
    it is.
    """
    size = config.data.image_size
    if config.eval_size == size and config.eval.crop_area == 1:
        return None
    # One picture for each row, white there and black elsewhere.
    rows = np.zeros((size, size, size, 1), np.uint8)
    rows[range(size), range(size)] = 255
    seen = view(jnp.asarray(rows), config.eval_size, config.eval.crop_area)
    return np.asarray(seen)[:, :, 0, 0].T / np.float32(255)


def with_facts(content: bytes | bytearray, facts: dict[str, Any]) -> bytes:
    """Returns a file's content with its metadata added to it as an entry of a zip archive.

    Of a file that is no archive, the archive follows: programs and models are read from the start, archives from the
    end, and neither reader sees the other part.
    """
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        entry = zipfile.ZipInfo(FACTS)  # of 1980: the same network makes the same file
        archive.writestr(entry, json.dumps(facts, indent=1))
    return file.getvalue()
