"""A ResNet-18 of random numbers, in the layout of the public files, against plain PyTorch operations."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from safetensors.numpy import save_file

from experiments import food10_resnet18
from foodjax.config.check import checked
from foodjax.run.wiring import Engine
from foodjax.system.errors import UserError

WIDTHS = (8, 16, 24, 32)  # an eighth of the real one's at most: the layout is the same


def random_resnet18():
    """Returns the 122 arrays of a ResNet-18, `fc` of 1,000 classes included."""
    rng, arrays = np.random.default_rng(0), {}

    def conv(name, features, channels, kernel):
        shape = (features, channels, kernel, kernel)
        arrays[f"{name}.weight"] = rng.normal(0, (channels * kernel**2) ** -0.5, shape).astype(np.float32)

    def norm(name, features):
        for key, low, high in (("weight", 0.5, 1.5), ("bias", -1, 1), ("running_mean", -1, 1), ("running_var", 0.5, 2)):
            arrays[f"{name}.{key}"] = rng.uniform(low, high, features).astype(np.float32)
        arrays[f"{name}.num_batches_tracked"] = np.array(7)

    conv("conv1", WIDTHS[0], 3, 7)
    norm("bn1", WIDTHS[0])
    channels = WIDTHS[0]
    for stage, features in enumerate(WIDTHS, start=1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            conv(f"{name}.conv1", features, channels, 3)
            norm(f"{name}.bn1", features)
            conv(f"{name}.conv2", features, features, 3)
            norm(f"{name}.bn2", features)
            if channels != features:
                conv(f"{name}.downsample.0", features, channels, 1)
                norm(f"{name}.downsample.1", features)
            channels = features
    arrays["fc.weight"] = rng.normal(size=(1000, channels)).astype(np.float32)
    arrays["fc.bias"] = rng.normal(size=1000).astype(np.float32)
    return arrays


def features_of_torch(arrays, images):
    """Returns what the network has before `fc`, by torch.nn.functional; images (B, H, W, 3) in 0..1."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    w = {name: torch.from_numpy(array) for name, array in arrays.items() if array.ndim}

    def norm(x, name):
        return f.batch_norm(x, *(w[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")))

    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((torch.from_numpy(images) - mean) / deviation).permute(0, 3, 1, 2)
    x = f.max_pool2d(f.relu(norm(f.conv2d(x, w["conv1.weight"], stride=2, padding=3), "bn1")), 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = f.relu(norm(f.conv2d(x, w[f"{name}.conv1.weight"], stride=stride, padding=1), f"{name}.bn1"))
            y = norm(f.conv2d(y, w[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in w:
                x = norm(f.conv2d(x, w[f"{name}.downsample.0.weight"], stride=stride), f"{name}.downsample.1")
            x = f.relu(x + y)
    return x.mean(dim=(2, 3)).numpy()


class ResNet(NamedTuple):
    """An experiment whose network starts from a file, and the arrays of that file."""

    config: ConfigDict
    arrays: dict[str, np.ndarray]


@pytest.fixture
def resnet(tmp_path):
    config, arrays = food10_resnet18.get_config(), random_resnet18()
    for block, width in zip(config.model.blocks, (WIDTHS[0], *WIDTHS), strict=True):
        block.features = width
    config.model.init_from = str(tmp_path / "resnet18.safetensors")
    config.data.batch_size = 8
    save_file(arrays, config.model.init_from)
    return ResNet(config, arrays)


@pytest.mark.slow
def test_a_file_of_the_right_layout_gives_the_features_that_torch_computes(resnet):
    assert len(resnet.arrays) == 122  # as many as torchvision's ResNet-18 has
    engine = Engine(checked(resnet.config), ("a", "b", "c"))
    state = engine.create_state()
    images = np.random.default_rng(1).uniform(size=(2, 61, 61, 3)).astype(np.float32)
    logits = engine.model.apply(state.variables, jnp.asarray(images), train=False)
    head = state.params["logits"]
    assert head["kernel"].shape == (32, 3)
    expected = features_of_torch(resnet.arrays, images) @ np.asarray(head["kernel"]) + np.asarray(head["bias"])
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_another_network_is_refused(resnet):
    engine = Engine(checked(resnet.config), ("a", "b", "c"))
    short = {name: array for name, array in resnet.arrays.items() if name != "layer3.1.bn2.running_var"}
    save_file(short, resnet.config.model.init_from)
    with pytest.raises(UserError, match=r"batch_stats/block4/norm2_2/var is absent there, needs \(24,\)"):
        engine.create_state()
    save_file({"layer1.0.conv3.weight": resnet.arrays["conv1.weight"]}, resnet.config.model.init_from)
    with pytest.raises(UserError, match="has layer1.0.conv3.weight: needs a ResNet of basic blocks"):
        engine.create_state()
