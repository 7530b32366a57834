"""The layer table: shape, parameters, receptive field and multiply-adds of every layer or block, without data."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.table import Table

from foodjax.models.backbones.registry import NAME as BACKBONE
from foodjax.models.backbones.vit import DotProductAttention
from foodjax.models.convnet import ConvNet, init_variables
from foodjax.models.receptive_field import trace


class Layer(NamedTuple):
    """A row of the layer table: a layer, or a block of several.

    Attributes:
        name: path in the module tree, "block1/conv1".
        output: shape without the batch: (H, W, C), (N, C) of N tokens, or (D,).
        kernel: shape of the kernel, or () for a layer without one.
        num_params: number of parameters.
        receptive_field: side of the receptive field of an output entry, in pixels (padding included); 0 if it sees no
            pixel, such as a learned array; None if it is the whole picture, as after attention. The tokens before the
            first attention have None too: which pixels a token sees is not followed.
        multiply_adds: number of multiply-adds of convolutions, dense layers and attention for one image.
    """

    name: str
    output: tuple[int, ...]
    kernel: tuple[int, ...]
    num_params: int
    receptive_field: int | None
    multiply_adds: int


class LayerTable(list[Layer]):
    """The rows of a layer table, first layer first. A notebook shows them as a table."""

    @property
    def num_params(self) -> int:
        """Number of parameters of all rows."""
        return sum(row.num_params for row in self)

    @property
    def multiply_adds(self) -> int:
        """Number of multiply-adds of all rows, for one image."""
        return sum(row.multiply_adds for row in self)

    def _repr_markdown_(self) -> str:
        return to_markdown(self)


def walk(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (path, leaf) of nested dicts in their own order; jax.tree would sort the names, block10 before block2."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from walk(value, f"{path}{name}/")
        else:
            yield path + name, value


def modules(model: ConvNet, image_size: int) -> list[Layer]:
    """Returns a row for every module of a network, without running it; a module comes after those that it contains.

    Args:
        model: the network.
        image_size: of square RGB images, pixels.
    """
    images = jax.ShapeDtypeStruct((1, image_size, image_size, 3), np.float32)
    variables = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), image_size))
    names: list[str] = []
    attention: set[str] = set()

    def is_output(module, method):
        if isinstance(module, DotProductAttention):
            attention.add("/".join(module.path))
        return method == "__call__"

    def run(variables, images):
        _, state = model.apply(
            variables, images, train=False, capture_intermediates=is_output, mutable=["intermediates"]
        )
        outputs = [(path.removesuffix("/__call__"), value[0]) for path, value in walk(dict(state)["intermediates"])]
        names[:] = [path for path, _ in outputs]
        return [jax.tree.leaves(value)[0] for _, value in outputs]  # a backbone's also has a class token

    outputs = jax.eval_shape(run, variables, images)
    params = {path: x.shape for path, x in walk(variables["params"])}
    products = {name: 0 for name in names}
    for name, output in zip(names, outputs, strict=True):
        kernel, shape = params.get(f"{name}/kernel"), output.shape[1:]
        if kernel:  # it makes all channels of a pixel or token
            products[name] = math.prod(shape[:-1]) * math.prod(kernel)
        elif name in attention:  # queries by keys, then weights by values
            products[name] = 2 * shape[0] * math.prod(shape)
    rows = []
    for name, output, reach in zip(names, outputs, trace(run, variables, images), strict=True):
        if name == "__call__":
            continue  # the whole network
        field = int(reach.size) if reach and output.ndim == 4 and reach.size < math.inf else None
        count = sum(math.prod(shape) for path, shape in params.items() if path.startswith(f"{name}/"))
        made = sum(number for path, number in products.items() if f"{path}/".startswith(f"{name}/"))
        kernel = params.get(f"{name}/kernel", ())
        rows.append(Layer(name, output.shape[1:], kernel, count, field if reach else 0, made))
    return rows


def leaves(rows: Iterable[Layer]) -> list[Layer]:
    """Returns the rows of `modules` that contain no others: the layers."""
    listed = list(rows)
    parents = {"/".join(parts[:i]) for row in listed if (parts := row.name.split("/")) for i in range(1, len(parts))}
    return [row for row in listed if row.name not in parents]


def blocks(rows: Iterable[Layer]) -> list[Layer]:
    """Returns the rows of `modules` that a short table has: a block for its layers, "block1", "backbone/layer1_0"."""
    listed = list(rows)
    return [row for row in listed if row.name.count("/") == (row.name.split("/")[0] == BACKBONE)]


def layers(model: ConvNet, image_size: int) -> list[Layer]:
    """Returns a row for every layer of a network; as `modules`."""
    return leaves(modules(model, image_size))


HEADER = ("layer", "output", "kernel", "parameters", "sees", "multiply-adds")


def cells(row: Layer) -> tuple[str, ...]:
    """Returns a row of the table as text, in the order of HEADER; "sees" is the receptive field in pixels."""
    output, kernel = (", ".join(map(str, shape)) for shape in (row.output, row.kernel))
    count, products = (f"{n:,}" if n else "" for n in (row.num_params, row.multiply_adds))
    field = "all" if row.receptive_field is None else str(row.receptive_field or "none")
    return (row.name, output, kernel, count, field, products)


def totals(rows: list[Layer]) -> tuple[str, ...]:
    """Returns the last row of the table: all parameters and all multiply-adds."""
    count, products = sum(row.num_params for row in rows), sum(row.multiply_adds for row in rows)
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
    """Returns the layer table for TensorBoard and notebooks."""
    lines = [HEADER, ["---"] * len(HEADER), *map(cells, rows), totals(rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
