"""A folder of weights: model.safetensors, config.json and a model card, as the Hugging Face hub has them."""

import json
from typing import Any

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from foodjax.config import stored
from foodjax.exchange.card import to_card
from foodjax.exchange.known import Known
from foodjax.exchange.served import Served
from foodjax.models.convnet import create_model, init_variables
from foodjax.models.summary import walk
from foodjax.models.weights.safetensors_file import read_safetensors
from foodjax.models.weights.unreadable import Unreadable
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import PathLike, read_bytes, read_json, to_path

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def to_folder(served: Served, known: Known | None = None) -> dict[str, bytes]:
    """Returns the files of a folder by their names.

    An array's name is its path, "params/block1/conv1/kernel"; running statistics begin with "batch_stats/".

    Args:
        served: the network.
        known: facts of its run, for the card; None for a network without a workdir.
    """
    from safetensors.numpy import save

    arrays = {path: np.ascontiguousarray(array) for path, array in walk(served.variables)}
    facts = served.facts()
    return {
        WEIGHTS: save(arrays, {"format": "flax", "name": facts["name"], "foodjax": facts["foodjax"]}),
        CONFIG: (json.dumps(facts, indent=2) + "\n").encode(),
        CARD: to_card(served, known or Known()).encode(),
    }


def read_folder(folder: PathLike) -> Served:
    """Returns the network of a folder that `to_folder` filled.

    Raises:
        UserError: a file is missing or damaged, or the weights are of another network.
    """
    folder = to_path(folder)
    try:
        facts = read_json(folder / CONFIG)
        config = stored.complete(stored.parse(json.dumps(facts["config"])))
        names, step, temperature = tuple(facts["class_names"]), int(facts["step"]), float(facts["temperature"])
        arrays = read_safetensors(read_bytes(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, Unreadable) as error:
        raise UserError(f"{folder} holds no exported network: {first_line(error)}") from None
    model = create_model(config, len(names))
    wanted = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), config.input_size))
    _compare(folder, {path: x.shape for path, x in walk(wanted)}, {path: x.shape for path, x in arrays.items()})
    return Served(config, names, model, unflatten_dict(arrays, sep="/"), step, temperature)


def _compare(folder: Any, wanted: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> None:
    for path in sorted(wanted.keys() | found.keys()):
        if wanted.get(path) != found.get(path):
            raise UserError(
                f"{folder} holds weights of another network: {path[:100]!r} has shape {found.get(path)}, needs "
                f"{wanted.get(path)}"
            )
