"""Networks of every kind that foodjax builds, with random weights, and their probabilities by foodjax itself."""

import functools

import jax
import numpy as np

from experiments import demo
from foodjax.config.check import checked
from foodjax.evaluation.calibration import scale
from foodjax.exchange.served import Served
from foodjax.models.convnet import create_model, init_variables
from foodjax.steps.step import eval_step

STEM = {"kind": "stem", "features": 8, "patch": 2, "kernel": 3}
RESIDUAL = {"kind": "residual", "features": 16, "pool": 2, "depth": 2, "dropout": 0.1, "squeeze": 4}
RESNET_STEM = {"kind": "resnet_stem", "features": 8}
RESNET = {"kind": "resnet", "features": 16, "stride": 2, "depth": 2}


def conv(features=8, kernel=3, padding=("SAME", "VALID"), pool=2):
    """Returns a block of kind conv."""
    return {
        "kind": "conv", "features": features, "kernel": kernel, "padding": padding, "pool": pool, "dropout": 0.1
    }  # fmt: skip


HEAD = {"hidden": (), "pooling": "average"}
# Name -> side of the pictures, blocks, and other values of the config.
BLOCKS = {
    "conv": (19, [conv(), conv(kernel=2, pool=1)], {"model.head.pooling": "flatten", "model.head.hidden": (12,)}),
    "conv with batch normalisation": (16, [conv(), conv()], {"model.norm": "batch", "model.activation": "gelu"}),
    "conv with group normalisation": (16, [conv(), conv(pool=3)], {"model.norm": "group", "model.activation": "silu"}),
    "conv in Winograd's form": (16, [conv(64, 5, ("SAME", "SAME"))], {"model.head.pooling": "max"}),
    "conv of tiny maps": (8, [conv(pool=2), conv(pool=1, padding=("SAME",))], {}),
    "stem and residual": (21, [STEM, RESIDUAL], {"model.norm": "batch", "model.activation": "silu"}),
    "residual with group normalisation": (16, [RESIDUAL | {"squeeze": 0}], {"model.norm": "group"}),
    "residual without a branch": (16, [RESIDUAL | {"depth": 0}], {}),
    "resnet": (37, [RESNET_STEM, RESNET], {"model.norm": "batch"}),
    "resnet without normalisation": (32, [RESNET_STEM, RESNET | {"stride": 1}], {}),
    "another view": (20, [conv()], {"eval.size": 14, "eval.crop_area": 0.8}),
    "mirror images": (12, [conv()], {"eval.flip": True, "model.input_mean": (0.5, 0.4, 0.3)}),
}
BACKBONES = {
    "resnet18": (48, [], {"model.backbone": "resnet18"}),
    "resnet50": (33, [], {"model.backbone": "resnet50"}),
    "efficientnet_lite0": (45, [], {"model.backbone": "efficientnet_lite0"}),
    "tf_efficientnet_lite0": (50, [conv(padding=("SAME",), pool=1)], {"model.backbone": "tf_efficientnet_lite0"}),
    "vit_small_patch16_224": (
        32, [], {"model.backbone": "vit_small_patch16_224", "model.head.pooling": "token"}
    ),
    "vit_small_patch14_dinov2": (
        42, [], {"model.backbone": "vit_small_patch14_dinov2", "eval.size": 56}
    ),
}  # fmt: skip


def config_of(size, blocks, values):
    """Returns the config of a network."""
    config = demo.get_config()
    config.data.image_size = size
    config.model.blocks = tuple(blocks)
    config.model.head.update(HEAD)
    config.update_from_flattened_dict(values)
    return checked(config)


_made: dict[str, Served] = {}


def create(size, blocks, values, temperature=1.3, seed=0) -> Served:
    """Returns a network with random weights and running statistics; the same arguments return the same one."""
    key = repr((size, blocks, values, temperature, seed))
    if key not in _made:
        _made[key] = _create(size, blocks, values, temperature, seed)
    return _made[key]


def _create(size, blocks, values, temperature, seed) -> Served:
    config = config_of(size, blocks, values)
    names = tuple(f"class {k}" for k in range(7))
    model = create_model(config, len(names))
    rng = np.random.default_rng(seed)
    variables = jax.device_get(init_variables(model, jax.random.PRNGKey(seed), config.input_size))

    def shaken(path, x):
        noise = rng.normal(size=x.shape).astype(np.float32)
        name = path[-1].key
        if name == "var":
            return np.exp(noise / 4)
        if x.ndim < 2 or name == "value":
            return x + noise / 4
        # As large as keeps the values' size: the initial kernels of depthwise convolutions would let them die away.
        return x / 2 + noise * np.float32(np.sqrt(x.shape[-1] / x.size))

    variables = jax.tree_util.tree_map_with_path(shaken, variables)
    served = Served(config, names, model, variables, 3, temperature)
    # Logits that differ between pictures: the last layer is scaled, and its bias takes their mean away.
    logits = np.log(by_foodjax(served._replace(temperature=1.0), pictures(served)))
    last, factor = variables["params"]["logits"], np.float32(1.5 / logits.std(axis=0).mean())
    bias = (last["bias"] - logits.mean(axis=0)).astype(np.float32)
    variables["params"]["logits"] = {"kernel": last["kernel"] * factor, "bias": bias * factor}
    return served


def pictures(served, number=5):
    """Returns uint8 (number, S, S, 3): smooth patterns with noise, always the same."""
    size = served.config.data.image_size
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    waves = rng.uniform(-9, 9, (number, 3, 3))
    values = np.sin(
        waves[:, 0, None, None] * rows[..., None]
        + waves[:, 1, None, None] * columns[..., None]
        + waves[:, 2, None, None]
    )
    return np.clip(127 + 90 * values + rng.normal(0, 20, values.shape), 0, 255).astype(np.uint8)


def by_foodjax(served, images):
    """Returns the probabilities (B, K) as `Predictor.probabilities` computes them."""
    batch = {"image": images, "label": np.zeros(len(images), np.int32), "mask": np.ones(len(images), np.float32)}

    found = np.asarray(_step(served.config, served.model)(served.variables, batch))
    return scale(found, served.temperature)


@functools.cache
def _step(config, model):
    return jax.jit(lambda variables, batch: eval_step(variables, batch, config=config, model=model)[1])
