"""Reads Keras files (.keras, .weights.h5) as data: JSON and arrays, checked before they are read.

The file may come from anybody. Keras is not imported, no class that the file names is instantiated, no link in it is
followed, and an array is read only after its shape has been checked.
"""

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from foodjax.exchange import keras_hdf5
from foodjax.system import memory
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import MAX_JSON

_KINDS = {
    "InputLayer": "input",
    "Conv2D": "conv2d",
    "MaxPooling2D": "max_pooling2d",
    "Flatten": "flatten",
    "GlobalAveragePooling2D": "global_average_pooling2d",
    "Dense": "dense",
    "Dropout": "dropout",
    "Activation": "activation",
    "ReLU": "re_lu",
    "Softmax": "softmax",
}  # class -> name of its group in the HDF5 file
_Found = tuple[list[tuple[np.ndarray, np.ndarray]], list[str]]  # weights, and remarks
_SLACK = 2**25  # bytes beyond the weights, for zip and HDF5
_NEEDS = "needs a Sequential model of Conv2D, MaxPooling2D, Flatten or GlobalAveragePooling2D, Dense and Dropout"


class Layer(NamedTuple):
    """A layer of a network; activation and dropout layers are merged into the layer before them.

    Attributes:
        name: name in its model.
        kind: a value of _KINDS.
        facts: properties that must agree, such as kernel=(3, 3, 3, 32) and padding="same".
        dropout: fraction dropped after it in training.
    """

    name: str
    kind: str
    facts: dict[str, Any]
    dropout: float = 0.0


def check(path: Path) -> None:
    """Raises UserError unless `path` exists and ends with .keras or .weights.h5."""
    if not path.is_file():
        problem = "is not a regular file" if path.exists() else "does not exist"
        raise UserError(f"--keras {path} {problem}: needs a .keras or .weights.h5 file")
    if not path.name.endswith((".keras", ".weights.h5")):
        raise UserError(f"--keras is {path}: needs a file that ends with .keras or .weights.h5")


def read(path: Path, needed: list[Layer]) -> _Found:
    """Reads the weights of a file whose layers match `needed`.

    A .weights.h5 file contains kernel shapes, but no other properties; those are assumed to match.

    Args:
        path: a `.keras` or `.weights.h5` file.
        needed: the layers, from "input" to the last dense one.

    Returns:
        (kernel, bias), float32, for each needed layer with weights, and remarks for the user.

    Raises:
        UserError: the architecture differs (the message names the first such layer), or Keras did not write the file.
    """
    check(path)
    weighted = [layer for layer in needed if "kernel" in layer.facts]
    size = sum(4 * int(np.prod(layer.facts["kernel"])) for layer in weighted)
    try:
        # HDF5 takes what the lengths in a file's headers say: a file of 5 KB may ask for all memory.
        with memory.limited(4 * size + _SLACK):
            return _read(path, needed, weighted, size)
    except UserError:
        raise
    # A damaged or forged file can make zipfile, json and h5py raise nearly anything.
    except Exception as error:
        raise UserError(f"{path} is not a whole file that Keras wrote: {first_line(error)}") from None


def _read(path: Path, needed: list[Layer], weighted: list[Layer], size: int) -> _Found:
    """As `read`; `weighted` are the needed layers with weights, which take `size` bytes."""
    if path.name.endswith(".weights.h5"):
        with h5py.File(path, "r") as file:
            layers = _layers_of_groups(path, file)
            _compare(path, layers, weighted)
            return _arrays(path, file, layers), []
    with zipfile.ZipFile(path) as archive, _weights(path, archive, 16 * size + 2**24) as file:
        layers = _layers_of_config(path, json.loads(_text(path, archive, "config.json")), file)
        _compare(path, layers, needed)
        return _arrays(path, file, layers), _remarks(layers, needed)


def _text(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    if name not in archive.namelist():
        raise UserError(f"{path} holds no {name}: needs a model that Keras 3 saved")
    with archive.open(name) as file:
        text = file.read(MAX_JSON + 1)
    if len(text) > MAX_JSON:
        raise UserError(f"{path} holds a {name} above {MAX_JSON} bytes: needs a model that Keras saved")
    return text


@contextlib.contextmanager
def _weights(path: Path, archive: zipfile.ZipFile, limit: int) -> Iterator[h5py.File]:
    name = "model.weights.h5"
    if name not in archive.namelist():
        raise UserError(f"{path} holds no {name}: needs a model that Keras 3 saved")
    # The same file holds the optimizer's state, a few times the weights; a much larger file is not such a model.
    if archive.getinfo(name).file_size > limit:
        raise UserError(
            f"{path} is too large: its weights take {archive.getinfo(name).file_size:,} bytes, needs at most {limit:,}"
        )
    with tempfile.TemporaryFile() as unpacked:
        with archive.open(name) as packed:
            shutil.copyfileobj(packed, unpacked)  # zipfile stops at the size that was checked
        with h5py.File(unpacked, "r") as file:
            yield file


def _layers_of_config(path: Path, model: Any, file: h5py.File) -> list[Layer]:
    if model["class_name"] != "Sequential":
        raise UserError(f"{path} is a {_quote(model['class_name'])} model: {_NEEDS} (or its .weights.h5)")
    layers: list[Layer] = []
    shape = model["config"].get("build_input_shape")
    if shape and model["config"]["layers"][0]["class_name"] != "InputLayer":
        layers.append(Layer("input", "input", {"shape": tuple(shape[1:])}))
    seen: Counter[str] = Counter()
    for entry in model["config"]["layers"]:
        config, kind = entry["config"], _KINDS.get(entry["class_name"])
        name = str(config["name"])
        if kind is None or entry.get("registered_name") or not str(entry.get("module", "keras")).startswith("keras"):
            raise UserError(f"{path} has a {_quote(entry['class_name'])} layer, {_quote(name)}: {_NEEDS}")
        group = kind if not seen[kind] else f"{kind}_{seen[kind]}"
        seen[kind] += 1
        if kind in ("activation", "re_lu", "softmax"):
            plain = kind != "re_lu" or not (config.get("max_value") or config["negative_slope"] or config["threshold"])
            activation = {"activation": config.get("activation"), "re_lu": "relu", "softmax": "softmax"}[kind]
            _activate(path, layers, name, activation if plain else "a ReLU with a limit or a slope")
        elif kind == "dropout":
            kept = (1 - layers[-1].dropout) * (1 - float(config["rate"]))
            layers[-1] = layers[-1]._replace(dropout=1 - kept)
        else:
            layers.append(Layer(name, kind, _facts(kind, config, group, file)))
    if layers[-1].facts.get("activation") == "linear":
        layers[-1].facts["activation"] = "softmax"  # a model of logits, for a loss with from_logits=True
    return layers


def _activate(path: Path, layers: list[Layer], name: str, activation: Any) -> None:
    """Merges an activation layer into the layer before it."""
    facts = layers[-1].facts
    if facts.get("activation") == "linear":
        facts["activation"] = activation
    elif not activation == "relu" == facts.get("activation"):  # a second ReLU changes nothing: the tutorial has one
        raise UserError(f"{path} has an activation after {_quote(layers[-1].name)}, {_quote(name)}: {_NEEDS}")


def _facts(kind: str, config: dict[str, Any], group: str, file: h5py.File) -> dict[str, Any]:
    if kind == "input":
        return {"shape": tuple((config.get("batch_shape") or config["batch_input_shape"])[1:])}
    facts: dict[str, Any] = {}
    if config.get("data_format") is not None:
        facts["data_format"] = config["data_format"]
    if kind in ("conv2d", "dense"):
        facts |= {"kernel": keras_hdf5.kernel_shape(file, group), "use_bias": config["use_bias"], "group": group}
        facts["activation"] = config["activation"]
    if kind in ("conv2d", "max_pooling2d"):
        facts |= {"padding": config["padding"], "strides": tuple(config["strides"])}
    if kind == "conv2d":
        facts |= {"dilation_rate": tuple(config["dilation_rate"]), "groups": config["groups"]}
    if kind == "max_pooling2d":
        facts["pool_size"] = tuple(config["pool_size"])
    return facts


def _layers_of_groups(path: Path, file: h5py.File) -> list[Layer]:
    """Returns the layers of a weights file with their kernel shapes, ordered by class and number."""
    container = keras_hdf5.container(file)
    found = []
    for group in container:
        kind, _, number = str(group).rpartition("_")
        if not number.isdigit():
            kind, number = str(group), "0"  # the first layer of a class has no number
        if kind not in _KINDS.values() and kind != "input_layer":
            raise UserError(f"{path} has a layer {_quote(group)}: {_NEEDS}")
        if kind in ("conv2d", "dense"):
            found.append((kind, int(number), group))
    return [Layer(g, kind, {"kernel": keras_hdf5.kernel_shape(file, g), "group": g}) for kind, _, g in sorted(found)]


def _compare(path: Path, layers: list[Layer], needed: list[Layer]) -> None:
    """Raises UserError at the first layer that differs."""
    for i in range(max(len(layers), len(needed))):
        theirs, ours = (x[i] if i < len(x) else None for x in (layers, needed))
        if theirs is None or ours is None or theirs.kind != ours.kind:
            had = f"{_quote(theirs.name)} is a {theirs.kind}{_words(theirs)}" if theirs else "the model ends"
            wanted = f"a {ours.kind}{_words(ours)} for {ours.name}" if ours else "the end of the model"
            raise UserError(f"{path} has another architecture: {had}, needs {wanted}")
        for key, value in theirs.facts.items():
            want = ours.facts.get(key, value)
            # A model of convolutions alone takes any picture size: Keras writes None.
            if value != want and not (key == "shape" and value[:2] == (None, None) and value[2:] == want[2:]):
                raise UserError(
                    f"{path} has another architecture: {_quote(theirs.name)} has {key} {_show(value)}, "
                    f"needs {_show(want)} for {ours.name}"
                )


def _remarks(layers: list[Layer], needed: list[Layer]) -> list[str]:
    return [
        f"dropout after {ours.name} is {theirs.dropout:g} in the file; training uses the config's {ours.dropout:g}"
        for theirs, ours in zip(layers, needed, strict=True)
        if abs(theirs.dropout - ours.dropout) > 1e-9
    ]


def _arrays(path: Path, file: h5py.File, layers: list[Layer]) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = []
    for layer in layers:
        if "kernel" in layer.facts:
            shape, variables = layer.facts["kernel"], keras_hdf5.variables(file, layer.facts["group"])
            if len(variables) != 2 or variables[1].shape != shape[-1:]:
                raise UserError(f"{path} holds {len(variables)} arrays for {_quote(layer.name)}: needs kernel and bias")
            pairs.append(tuple(keras_hdf5.values(x) for x in variables))
    return pairs


def _quote(text: Any) -> str:
    return ascii(str(text)[:60])  # no control characters of the file reach the terminal


def _show(value: Any) -> str:
    return " x ".join(map(str, value))[:60] if isinstance(value, tuple) else _quote(value)


def _words(layer: Layer) -> str:
    return f" ({_show(layer.facts['kernel'])})" if "kernel" in layer.facts else ""
