"""Feature maps and Grad-CAM of every backbone, with random weights."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import random_variables

from foodjax.config.backbones import BACKBONES
from foodjax.config.check import checked, default_config
from foodjax.models.backbones.vit import TransformerBlock
from foodjax.models.convnet import create_model, init_variables
from foodjax.report import explain
from foodjax.report.explain import Explainer, Explanation
from foodjax.report.layer_pictures import cam_taps

pytestmark = pytest.mark.slow

CONVOLUTIONAL = [name for name in BACKBONES if not BACKBONES[name].has_token]
TRANSFORMERS = [name for name in BACKBONES if BACKBONES[name].has_token]
K = 6  # classes
NUM_TAPS = {  # the stem and every block, of ConvNeXt blocks alone; of Lite also the last convolution
    "resnet18": 1 + 8, "resnet34": 1 + 16, "resnet50": 1 + 16, "lite0": 1 + 16 + 1, "lite1": 1 + 21 + 1,
    "lite2": 1 + 21 + 1, "vit_small_patch16_224": 12, "vit_small_patch14_dinov2": 12,
    "convnext_tiny": 3 + 3 + 9 + 3,
}  # fmt: skip


class Explained(NamedTuple):
    """A backbone with random weights, and what it sees in one picture for each class and in a second for the last."""

    name: str
    side: int
    variables: dict
    explainer: Explainer
    images: np.ndarray
    found: Explanation


@pytest.fixture(scope="module", params=BACKBONES)
def explained(request):
    """Every backbone in turn, without positions; compiled without optimisation, which is faster."""
    name = request.param
    expects = BACKBONES[name]
    side = 3 * expects.stride if expects.divides else 64
    config = default_config()
    config.model.backbone, config.data.image_size = name, side
    config.model.head.pooling = "token" if expects.has_token else "average"
    config = checked(config)
    model = create_model(config, K)
    variables = random_variables(model, side)
    if expects.has_token:  # a token's place is then where its pixels are, and nothing else
        variables["params"]["backbone"]["pos_embed"]["value"][:] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explain, "compiler_options", lambda: {"xla_backend_optimization_level": 0})
        explainer = Explainer(config, model, variables)
    photos = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    images = photos[[0] * K + [1]]
    return Explained(name, side, variables, explainer, images, explainer(images, np.array([*range(K), K - 1])))


def test_every_tap_has_maps_and_grad_cam_of_its_size(explained):
    name, found = explained.name, explained.found
    expects = BACKBONES[name]
    assert len(found.maps) == NUM_TAPS[name.split("efficientnet_")[-1]]
    assert list(found.cams) == list(found.maps) == explained.explainer.names
    sides = [maps.shape[1] for maps in found.maps.values()]
    last = math.ceil(explained.side / expects.stride)
    assert sides == sorted(sides, reverse=True)
    assert sides[-1] == last
    assert sides[0] == (last if expects.has_token else 16 if name == "convnext_tiny" else 32)
    for tap, maps in found.maps.items():
        cam = found.cams[tap]
        assert maps.shape[:3] == cam.shape == (K + 1, maps.shape[1], maps.shape[1]), tap
        assert np.isfinite(maps).all(), tap
        assert maps.std() > 0, tap
        assert np.isfinite(cam).all(), tap
        assert cam.min() >= 0, tap
        assert set(np.round(cam.max(axis=(1, 2)), 5)) <= {0, 1}, tap
    assert found.probabilities.shape == (K + 1, K)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found.seen, explained.images)


def test_grad_cam_changes_with_the_class_and_with_the_photograph(explained):
    for tap in cam_taps(explained.found):
        cams = explained.found.cams[tap]
        apart = max(np.abs(cams[i] - cams[j]).max() for i in range(K) for j in range(i))
        assert apart > 0.1, tap
        maps = explained.found.maps[tap]
        np.testing.assert_allclose(maps[0], maps[1], atol=1e-4 * np.abs(maps).max())  # of one photograph
        assert np.abs(maps[-1] - maps[0]).max() > 0.01 * np.abs(maps[0]).max(), tap


@pytest.mark.parametrize(
    "explained", [name for name in CONVOLUTIONAL if not BACKBONES[name].has_pooled_norm], indirect=True
)
def test_last_grad_cam_of_a_convolutional_one_is_its_class_activation_map(explained):
    """The average of the last maps and one dense layer: Grad-CAM is relu(sum_k w_kc A_k), of Zhou et al. 2016."""
    tap = explained.explainer.names[-1]
    weights = np.asarray(explained.variables["params"]["logits"]["kernel"])[:, [*range(K), K - 1]]  # (C, B)
    expected = np.maximum(np.einsum("bhwc,cb->bhw", explained.found.maps[tap], weights), 0)
    top = expected.max(axis=(1, 2), keepdims=True)
    assert top.max() > 0
    expected /= np.where(top > 0, top, 1)
    np.testing.assert_allclose(explained.found.cams[tap], expected, atol=1e-3)


@pytest.mark.parametrize("explained", TRANSFORMERS, indirect=True)
@pytest.mark.parametrize("row,column", [(0, 2), (2, 0)])
def test_tokens_lie_where_their_patches_are(explained, row, column):
    """Without positions, equal patches have equal tokens: one patch unlike the others stands out, in its place."""
    expects = BACKBONES[explained.name]
    images = np.full_like(explained.images, 90)
    y, x = row * expects.stride, column * expects.stride
    patch = explained.images[0, y : y + expects.stride, x : x + expects.stride]
    images[:, y : y + expects.stride, x : x + expects.stride] = patch
    found = explained.explainer(images, np.array([*range(K), 0]))
    for tap, maps in found.maps.items():
        others = np.delete(maps[0].reshape(9, -1), 3 * row + column, axis=0)
        np.testing.assert_allclose(others, others[[0] * 8], atol=1e-4)
        assert np.abs(maps[0, row, column] - others[0]).max() > 0.1, tap
    cams = found.cams[explained.explainer.names[-1]][:K]
    others = np.delete(cams.reshape(K, 9), 3 * row + column, axis=1)
    assert np.ptp(others, axis=1).max() < 1e-3
    here = cams[:, row, column]
    assert (here == 1).any()  # a class for which the corner speaks most ...
    assert others[here == 1].min() < 0.9
    assert np.abs(here[:, None] - others).max() > 0.1


def test_maps_of_a_cropped_view_lie_on_the_crop():
    """With eval.crop_area the network sees the middle of a photograph: so does whoever looks at its Grad-CAM."""
    config = default_config()
    config.model.blocks = (dict(kind="conv", features=4, kernel=3, padding=("SAME",), pool=1, dropout=0.0),)
    config.data.image_size, config.eval.size, config.eval.crop_area = 32, 16, 0.25
    config = checked(config)
    model = create_model(config, K)
    variables = init_variables(model, jax.random.PRNGKey(0), 32)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    found = Explainer(config, model, variables)(images, np.array([0, 1]))
    np.testing.assert_array_equal(found.seen, images[:, 8:24, 8:24])
    assert found.cams["block1/activation1"].shape == (2, 16, 16)


def test_what_is_watched_has_a_gradient_without_being_recorded():
    """Perturbations alone reach a transformer's block too."""
    block = TransformerBlock(num_heads=2, layer_scale=False, drop_path=0.0, grid=(2, 2))
    tokens = jax.random.normal(jax.random.PRNGKey(1), (1, 1 + 4, 8))
    variables = jax.jit(functools.partial(block.init, train=False))(jax.random.PRNGKey(0), tokens)
    params, zeros = {"params": variables["params"]}, {"perturbations": variables["perturbations"]}

    def first_channel(perturbations):
        return block.apply({**params, **perturbations}, tokens, train=False)[0, 0, 0]

    grads = jax.jit(jax.grad(first_channel))(zeros)["perturbations"]["activation"]
    assert grads.shape == (1, 2, 2, 8)
    assert float(jnp.abs(grads).min()) > 0
