"""The layer table of every backbone against rows that are worked out here, from the papers' tables of blocks."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import random_variables

from foodjax.config.backbones import BACKBONES
from foodjax.config.check import checked, default_config
from foodjax.models import summary
from foodjax.models.convnet import create_model, init_variables

# ConvNeXt has convolutions and dense layers; test_backbones.py has its rows.
CONVOLUTIONAL = [name for name in BACKBONES if not BACKBONES[name].has_token and name != "convnext_tiny"]
ODD = 75  # pixels, of which the strides leave rests on the way
TRANSFORMERS = [name for name in BACKBONES if BACKBONES[name].has_token]

# Multiply-adds for 1,000 classes and the side each was trained on, and how they are rounded. The ResNets: torchvision's
# table of weights. ViT-S/16: Touvron et al. 2021, "DeiT-S".
PUBLISHED = {
    "resnet18": (1.81e9, 0.01e9), "resnet34": (3.66e9, 0.01e9), "resnet50": (4.09e9, 0.01e9),
    "vit_small_patch16_224": (4.6e9, 0.05e9),
}  # fmt: skip

# Worked out by hand: r += (k - 1) j, and the jump j doubles with every stride of 2.
LAST_FIELD = {
    "resnet18": 435, "resnet34": 899, "resnet50": 427, "efficientnet_lite0": 851, "efficientnet_lite1": 1115,
    "efficientnet_lite2": 1115,
}  # fmt: skip

# Kernel, stride, expansion; then features and depth of Lite0, 1 and 2.
LITE = [
    (3, 1, 1, (16, 16, 16), (1, 1, 1)),
    (3, 2, 6, (24, 24, 24), (2, 3, 3)),
    (5, 2, 6, (40, 40, 48), (2, 3, 3)),
    (3, 2, 6, (80, 80, 88), (3, 4, 4)),
    (5, 1, 6, (112, 112, 120), (3, 4, 4)),
    (5, 2, 6, (192, 192, 208), (4, 5, 5)),
    (3, 1, 6, (320, 320, 352), (1, 1, 1)),
]


def model_of(name, side, num_classes=7):
    config = default_config()
    config.model.backbone, config.data.image_size = name, side
    config.model.head.pooling = "token" if BACKBONES[name].has_token else "average"
    return create_model(checked(config), num_classes)


@functools.cache
def modules_of(name, side):
    """Traces a network once for several tests."""
    return summary.modules(model_of(name, side), side)


class Walk:
    """Follows convolutions through a picture, and notes a row for each."""

    def __init__(self, side):
        self.side, self.channels, self.field, self.jump, self.rows = side, 3, 1, 1, []

    def window(self, kernel, stride):
        self.field += (kernel - 1) * self.jump
        self.jump *= stride
        self.side = math.ceil(self.side / stride)

    def conv(self, name, kernel, features, stride=1, depthwise=False):
        self.window(kernel, stride)
        products = kernel**2 * features * (1 if depthwise else self.channels)
        output = (self.side, self.side, features)
        self.rows.append((f"backbone/{name}", output, self.field, products * self.side**2))
        self.channels = features


def resnet(depth, side):
    walk = Walk(side)
    walk.conv("conv1", 7, 64, 2)
    walk.window(3, 2)
    depths = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}[depth]
    for i, (width, number) in enumerate(zip((64, 128, 256, 512), depths, strict=True), start=1):
        for j in range(number):
            name, stride, before, field = f"layer{i}_{j}", 2 if i > 1 and j == 0 else 1, walk.channels, walk.field
            if depth == 50:
                walk.conv(f"{name}/conv1", 1, width)
                walk.conv(f"{name}/conv2", 3, width, stride)
                walk.conv(f"{name}/conv3", 1, 4 * width)
            else:
                walk.conv(f"{name}/conv1", 3, width, stride)
                walk.conv(f"{name}/conv2", 3, width)
            if before != walk.channels:  # the shortcut sees what the block sees
                output = (walk.side, walk.side, walk.channels)
                products = walk.side**2 * before * walk.channels
                walk.rows.append((f"backbone/{name}/downsample_0", output, field, products))
    return walk.rows


def lite(number, side):
    walk = Walk(side)
    walk.conv("conv_stem", 3, 32, 2)
    for i, (kernel, stride, expansion, features, depth) in enumerate(LITE):
        for j in range(depth[number]):
            name = f"blocks_{i}_{j}"
            if expansion > 1:
                walk.conv(f"{name}/conv_pw", 1, walk.channels * expansion)
            walk.conv(f"{name}/conv_dw", kernel, walk.channels, stride if j == 0 else 1, depthwise=True)
            walk.conv(f"{name}/conv_pwl" if expansion > 1 else f"{name}/conv_pw", 1, features[number])
    walk.conv("conv_head", 1, 1280)
    return walk.rows


def by_hand(name, side):
    return resnet(int(name[6:]), side) if name.startswith("resnet") else lite(int(name[-1]), side)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_every_convolution_has_its_output_field_and_cost(name):
    rows = [row for row in summary.leaves(modules_of(name, ODD)) if len(row.kernel) == 4]
    found = [(row.name, row.output, row.receptive_field, row.multiply_adds) for row in rows]
    assert found == by_hand(name, ODD)
    assert rows[-1].receptive_field == LAST_FIELD[name.removeprefix("tf_")]


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_other_rows_see_what_the_convolution_before_them_sees(name):
    *rows, head = summary.leaves(modules_of(name, ODD))
    fields = [row.receptive_field for row in rows]
    for row, before, field in zip(rows[1::2], fields[::2], fields[1::2], strict=True):
        assert not row.kernel  # a normalisation after every convolution
        assert row.multiply_adds == 0
        assert field == before
    assert head.receptive_field is None
    assert head.multiply_adds == head.kernel[0] * 7


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformers_rows_by_hand(name):
    patch, side = BACKBONES[name].stride, BACKBONES[name].stride * 3
    rows = {row.name: row for row in summary.leaves(modules_of(name, side))}
    tokens, c = 1 + 9, 384
    own = {"patch_embed/proj": patch**2 * 3 * c * 9, "cls_token": 0, "pos_embed": 0, "norm": 0}
    for i in range(12):
        block = f"blocks_{i}"
        own |= {f"{block}/norm1": 0, f"{block}/attn/qkv": tokens * c * 3 * c}
        own |= {f"{block}/attn/products": 2 * tokens**2 * c, f"{block}/attn/proj": tokens * c * c}
        own |= {f"{block}/norm2": 0, f"{block}/mlp/fc1": tokens * c * 4 * c, f"{block}/mlp/fc2": tokens * c * 4 * c}
        own |= {f"{block}/ls1": 0, f"{block}/ls2": 0} if name.endswith("dinov2") else {}
    assert {key: row.multiply_adds for key, row in rows.items() if key != "logits"} == {
        f"backbone/{key}": value for key, value in own.items()
    }
    assert rows["logits"].multiply_adds == c * 7
    fields = {key: row.receptive_field for key, row in rows.items() if row.receptive_field is not None}
    assert fields == {"backbone/patch_embed/proj": patch, "backbone/cls_token": 0, "backbone/pos_embed": 0}
    assert rows["backbone/patch_embed/proj"].output == (3, 3, c)
    assert rows["backbone/blocks_11/mlp/fc1"].output == (tokens, 4 * c)
    assert [summary.cells(rows[f"backbone/{key}"])[4] for key in ("patch_embed/proj", "cls_token", "norm")] == [
        str(patch), "none", "all",
    ]  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_all_multiply_adds_are_those_that_are_published(name):
    side, (expected, rounding) = BACKBONES[name].size, PUBLISHED[name]
    rows = summary.layers(model_of(name, side, 1000), side)
    assert sum(row.multiply_adds for row in rows) == pytest.approx(expected, abs=rounding)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_rows_sum_to_the_parameters_and_blocks_to_the_rows(name):
    side = 3 * BACKBONES[name].stride if BACKBONES[name].divides else ODD
    model = model_of(name, side)
    variables = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), side))
    modules = modules_of(name, side)
    layers, blocks = summary.leaves(modules), summary.blocks(modules)
    assert sum(row.num_params for row in layers) == sum(x.size for x in jax.tree.leaves(variables["params"]))
    assert summary.totals(blocks) == summary.totals(layers)
    assert len({row.name for row in layers}) == len(layers)
    assert [row.name for row in blocks][-1] == "logits"
    assert len(blocks) <= 30
    inside = [
        sum(layer.name == block.name or layer.name.startswith(f"{block.name}/") for layer in layers) for block in blocks
    ]
    assert min(inside) == 1
    assert sum(inside) == len(layers)
    for block, last, count in zip(blocks, np.cumsum(inside), inside, strict=True):
        own = layers[last - count : last]
        # A block's output has the shape of its last layer's, but for a learned factor of each channel.
        assert block.output == [layer.output for layer in own if layer.output or count == 1][-1]
        fields = [layer.receptive_field for layer in own]
        assert block.receptive_field == (None if None in fields else max(fields))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name,tap",
    [
        ("resnet50", "backbone/layer1_1/activation"),
        ("tf_efficientnet_lite0", "backbone/blocks_2_0/activation"),
    ],
)
def test_the_receptive_field_is_what_gradients_say(name, tap):
    """The rows of the picture with a derivative of one entry in the middle: exactly as many as the table has."""
    side = 96
    model = model_of(name, side)
    images = jax.random.uniform(jax.random.PRNGKey(1), (1, side, side, 3))
    variables = random_variables(model, side)

    def entry(images, variables):
        _, state = model.apply(variables, images, train=False, mutable=["maps"])
        maps = dict(summary.walk(dict(state)["maps"]))[tap][0]
        return maps[0, maps.shape[1] // 2, maps.shape[2] // 2].sum()

    gradients = jax.jit(jax.grad(entry))(images, variables)
    rows = jnp.flatnonzero(jnp.abs(gradients).sum(axis=(0, 2, 3)))
    block = {row.name: row for row in summary.modules(model, side)}[tap.rsplit("/", 1)[0]]
    assert int(rows[-1] - rows[0]) + 1 == block.receptive_field
