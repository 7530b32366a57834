"""The layer table: output shape, kernel and parameters of every layer, without touching data."""

from typing import Any, NamedTuple

import jax
import numpy as np
from rich.table import Table

from foodjax.model import ConvNet


class Layer(NamedTuple):
    """A row of the layer table.

    Attributes:
        name: path in the module tree, "block1/conv1".
        output: shape without the batch, (H, W, C) or (D,).
        kernel: shape of the kernel, or () for a layer without.
        num_params: kernel and bias together.
    """

    name: str
    output: tuple[int, ...]
    kernel: tuple[int, ...]
    num_params: int


def layers(model: ConvNet, image_size: int) -> list[Layer]:
    """Returns the rows for square RGB images of `image_size` pixels; nothing is computed."""
    images = jax.ShapeDtypeStruct((1, image_size, image_size, 3), np.float32)

    def run(images):
        return model.init_with_output(jax.random.PRNGKey(0), images, train=False, capture_intermediates=True)

    _, variables = jax.eval_shape(run, images)
    rows = []

    def visit(outputs: Any, params: Any, path: str) -> None:
        for name in outputs:
            if name == "__call__":
                continue
            here, inner = f"{path}{name}", outputs[name]
            children = [k for k in inner if k != "__call__"]
            if children:
                visit(inner, params.get(name, {}), here + "/")
                continue
            own = params.get(name, {})
            count = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(own))
            kernel = own["kernel"].shape if "kernel" in own else ()
            rows.append(Layer(here, inner["__call__"][0].shape[1:], kernel, count))

    visit(variables["intermediates"], variables["params"], "")
    return rows


def multiply_adds(layer: Layer) -> int:
    """Returns the multiplications of one image in a convolution or a dense layer; each comes with an addition."""
    pixels = int(np.prod(layer.output[:-1])) if len(layer.kernel) == 4 else 1
    return pixels * int(np.prod(layer.kernel)) if layer.kernel else 0


def to_table(rows: list[Layer]) -> Table:
    """Returns the layer table for the terminal, with the total."""
    table = Table(box=None, pad_edge=False)
    for name in ("layer", "output", "kernel", "parameters"):
        table.add_column(name, justify="right" if name == "parameters" else "left")
    for row in rows:
        output, kernel = (", ".join(map(str, shape)) for shape in (row.output, row.kernel))
        table.add_row(row.name, output, kernel, f"{row.num_params:,}" if row.num_params else "")
    table.add_row("total", "", "", f"{sum(row.num_params for row in rows):,}")
    return table
