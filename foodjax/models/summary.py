"""The layer table: shape, parameters, receptive field and multiply-adds of every layer, without data."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.table import Table

from foodjax.models.convnet import ConvNet, init_variables
from foodjax.models.receptive_field import trace


class Layer(NamedTuple):
    """A row of the layer table.

    Attributes:
        name: path in the module tree, "block1/conv1".
        output: shape without the batch, (H, W, C) or (D,).
        kernel: shape of the kernel, or () for a layer without one.
        num_params: number of parameters of the layer.
        receptive_field: side of the receptive field of an output entry, in pixels (padding included); None if it is
            the whole picture.
    """

    name: str
    output: tuple[int, ...]
    kernel: tuple[int, ...]
    num_params: int
    receptive_field: int | None


def walk(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (path, leaf) of nested dicts in their own order; jax.tree would sort the names, block10 before block2."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from walk(value, f"{path}{name}/")
        else:
            yield path + name, value


def layers(model: ConvNet, image_size: int) -> list[Layer]:
    """Returns the table's rows for square RGB images of `image_size` pixels, without running the network."""
    images = jax.ShapeDtypeStruct((1, image_size, image_size, 3), np.float32)
    variables = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), image_size))
    names: list[str] = []

    def run(variables, images):
        _, state = model.apply(variables, images, train=False, capture_intermediates=True, mutable=["intermediates"])
        outputs = [(path.removesuffix("/__call__"), value[0]) for path, value in walk(dict(state)["intermediates"])]
        names[:] = [path for path, _ in outputs]
        return [jax.tree.leaves(value)[0] for _, value in outputs]  # a backbone's also has a class token

    outputs = jax.eval_shape(run, variables, images)
    params = {path: x.shape for path, x in walk(variables["params"])}
    rows = []
    for name, output, reach in zip(names, outputs, trace(run, variables, images), strict=True):
        if any(other.startswith(name + "/") for other in names) or name == "__call__":
            continue  # a module that contains others
        own = [shape for path, shape in params.items() if path.startswith(name + "/")]
        field = int(reach.size) if reach and output.ndim == 4 and reach.size < math.inf else None
        count = sum(int(np.prod(shape)) for shape in own)
        rows.append(Layer(name, output.shape[1:], params.get(f"{name}/kernel", ()), count, field))
    return rows


def multiply_adds(layer: Layer) -> int:
    """Returns the number of multiply-adds of a convolution or dense layer for one image; 0 for other layers."""
    places = int(np.prod(layer.output[:-1]))  # pixels or tokens; 1 of a dense layer after pooling
    return places * int(np.prod(layer.kernel)) if layer.kernel else 0


HEADER = ("layer", "output", "kernel", "parameters", "sees", "multiply-adds")


def cells(row: Layer) -> tuple[str, ...]:
    """Returns a row of the table as text, in the order of HEADER; "sees" is the receptive field in pixels."""
    output, kernel = (", ".join(map(str, shape)) for shape in (row.output, row.kernel))
    count, products = (f"{n:,}" if n else "" for n in (row.num_params, multiply_adds(row)))
    return (row.name, output, kernel, count, str(row.receptive_field or "all"), products)


def totals(rows: list[Layer]) -> tuple[str, ...]:
    """Returns the last row of the table: all parameters and all multiply-adds."""
    count, products = sum(row.num_params for row in rows), sum(map(multiply_adds, rows))
    return ("total", "", "", f"{count:,}", "", f"{products:,}")


def to_table(rows: list[Layer]) -> Table:
    """Returns the layer table for the terminal, with the totals."""
    table = Table(box=None, pad_edge=False)
    for name in HEADER:
        table.add_column(name, justify="left" if name in HEADER[:3] else "right")
    for row in (*map(cells, rows), totals(rows)):
        table.add_row(*row)
    return table


def to_markdown(rows: list[Layer]) -> str:
    """Returns the layer table for TensorBoard."""
    lines = [HEADER, ["---"] * len(HEADER), *map(cells, rows), totals(rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
