"""Reads the arrays in a Keras HDF5 file without following links.

These functions raise ValueError and the errors of h5py; `keras_file` turns them into one line for the user.
"""

import math
from typing import Any

import h5py
import numpy as np

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")  # name of the layer list in Keras 3 and in late Keras 2


def container(file: h5py.File) -> h5py.Group:
    """Returns the group that contains one group for each layer."""
    name = next((name for name in _CONTAINERS if name in file), None)
    if name is None:
        raise ValueError("no layers in its HDF5 file")
    return _child(file, name)


def kernel_shape(file: h5py.File, group: str) -> tuple[int, ...]:
    """Returns the shape of a layer's kernel; its values are not read."""
    return tuple(variables(file, group)[0].shape)


def variables(file: h5py.File, group: str) -> list[h5py.Dataset]:
    """Returns a layer's arrays, kernel first; raises ValueError unless they are plain arrays of floats."""
    stored = _child(_child(container(file), group), "vars")
    datasets = [_child(stored, str(i)) for i in range(len(stored))]
    for dataset in datasets:
        # External and virtual data would read other files of this machine.
        if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual or dataset.dtype.kind != "f":
            raise ValueError(f"{dataset.name} is not a plain array of floats")
    return datasets


def values(dataset: h5py.Dataset) -> np.ndarray:
    """Returns an array, float32; raises ValueError where it is not stored as Keras does, uncompressed.

    HDF5 expands a compressed piece of an array to any size before it looks at the size of the array.
    """
    if dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"{dataset.name} is compressed: needs the file as Keras writes it")
    if dataset.chunks and math.prod(dataset.chunks) > math.prod(dataset.shape):
        raise ValueError(f"{dataset.name} is stored in pieces that are larger than the array")
    return np.asarray(dataset[...], np.float32)


def _child(group: Any, name: str) -> Any:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is absent or a link")
    return group[name]
