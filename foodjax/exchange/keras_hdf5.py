"""The arrays in an HDF5 file that Keras wrote, without following a link in it.

Nothing here says whose mistake a strange file is: ValueError and what h5py raises are turned into one line by
`keras_file`.
"""

from typing import Any

import h5py

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")  # Keras 3's and late Keras 2's name of the list of layers


def container(file: h5py.File) -> h5py.Group:
    """Returns the group that has one group for each layer."""
    name = next((name for name in _CONTAINERS if name in file), None)
    if name is None:
        raise ValueError("no layers in its HDF5 file")
    return _child(file, name)


def kernel_shape(file: h5py.File, group: str) -> tuple[int, ...]:
    """Returns the shape of a layer's kernel; its values are not read."""
    return tuple(variables(file, group)[0].shape)


def variables(file: h5py.File, group: str) -> list[h5py.Dataset]:
    """Returns a layer's arrays, kernel first; raises ValueError for what is no plain array of floats."""
    stored = _child(_child(container(file), group), "vars")
    datasets = [_child(stored, str(i)) for i in range(len(stored))]
    for dataset in datasets:
        # External and virtual data would read other files of this machine.
        if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual or dataset.dtype.kind != "f":
            raise ValueError(f"{dataset.name} is not a plain array of floats")
    return datasets


def _child(group: Any, name: str) -> Any:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is absent or a link")
    return group[name]
