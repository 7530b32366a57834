"""Feature maps and Grad-CAM of any network whose activations pass `layers.tap`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from foodjax.config.keys import Config
from foodjax.data.augment.apply import view
from foodjax.data.images import check_images
from foodjax.models.summary import walk
from foodjax.steps.devices import compiler_options
from foodjax.steps.step import rescale


class Explanation(NamedTuple):
    """Probabilities, feature maps and Grad-CAM of B photographs.

    Attributes:
        probabilities: float32 (B, K).
        maps: name of each tap, first to last -> its feature maps (B, h, w, C), after the activation.
        cams: name of each tap -> its Grad-CAM, float32 (B, h, w); the maximum is 1, or all are 0.
        seen: the photographs as the network gets them, on which maps and cams lie: uint8 (B, S, S, 3), cropped to
            eval.crop_area and resized to S = eval.size.
    """

    probabilities: np.ndarray
    maps: dict[str, np.ndarray]
    cams: dict[str, np.ndarray]
    seen: np.ndarray


def grad_cam(maps: jax.Array, grads: jax.Array) -> jax.Array:
    """Returns the Grad-CAM of a class (Selvaraju et al. 2017, equations 1 and 2).

        alpha_k = mean over pixels of d logit / d A_k,    CAM = relu(sum_k alpha_k A_k)

    Args:
        maps: A, feature maps (B, h, w, C).
        grads: gradient of the class's logit with respect to A, (B, h, w, C).

    Returns:
        (B, h, w), divided by each example's maximum; all 0 where no pixel supports the class.
    """
    weights = grads.mean(axis=(1, 2))  # (B, C)
    cam = jax.nn.relu(jnp.einsum("bhwc,bc->bhw", maps, weights))
    top = cam.max(axis=(1, 2), keepdims=True)
    return jnp.where(top > 0, cam / jnp.where(top > 0, top, 1), 0)


def as_seen(config: Config, images: np.ndarray) -> np.ndarray:
    """Returns what the network gets of prepared pictures in an evaluation, before it is scaled to 0..1.

    Args:
        config: the experiment; reads eval.size and eval.crop_area.
        images: uint8 (B, H, H, 3).

    Returns:
        uint8 (B, h, h, 3) with h = config.eval_size, rounded.

    Raises:
        TypeError: the images are not uint8.
        ValueError: they have another shape.
    """
    return np.asarray(_seen(jnp.asarray(check_images(images)), config.eval_size, config.eval.crop_area))


def _seen(images: jax.Array, size: int, area: float) -> jax.Array:
    return jnp.clip(jnp.round(view(images, size, area)), 0, 255).astype(jnp.uint8)


class Explainer:
    """Computes feature maps and Grad-CAM of one network; compiled once for each number of photographs.

    Attributes:
        names: names of the taps, first to last.
    """

    def __init__(self, config: Config, model: nn.Module, variables: Mapping[str, Any]):
        """Takes an experiment, its network, and the variables that evaluation uses."""
        self._variables, self._model = dict(variables), model
        self._size, self._area = config.eval_size, config.eval.crop_area
        self.names: list[str] = []
        self._side = side = config.data.image_size
        jax.eval_shape(self._maps_of, self._variables, jax.ShapeDtypeStruct((1, side, side, 3), np.uint8))
        self._run = jax.jit(self._explain, compiler_options=compiler_options())

    def _apply(self, variables, images, collection):
        images = rescale(view(images, self._size, self._area))
        return self._model.apply(variables, images, train=False, mutable=[collection])

    def _maps_of(self, variables, images):
        logits, state = self._apply(variables, images, "maps")
        found = [(name, value[0]) for name, value in walk(dict(state).get("maps", {}))]
        self.names = [name for name, _ in found]
        return logits, [value for _, value in found]

    def _explain(self, variables, images, labels):
        shapes = jax.eval_shape(lambda: self._apply(variables, images, "perturbations")[1])
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

        def logit_sum(perturbations):
            logits, maps = self._maps_of({**variables, **perturbations}, images)
            # Examples are independent, so the gradient of the sum contains each example's own gradient.
            return jnp.take_along_axis(logits, labels[:, None], axis=1).sum(), (logits, maps)

        grads, (logits, maps) = jax.grad(logit_sum, has_aux=True)(zeros)
        by_name = dict(walk(grads.get("perturbations") or {}))
        cams = [grad_cam(a, by_name[name]) for name, a in zip(self.names, maps, strict=True)]
        return jax.nn.softmax(logits), maps, cams, _seen(images, self._size, self._area)

    def __call__(self, images: np.ndarray, labels: np.ndarray) -> Explanation:
        """Explains the classes `labels` (B,) of `images`, uint8 (B, H, H, 3) with H = data.image_size.

        Raises:
            TypeError: the images are not uint8.
            ValueError: they have another shape.
        """
        images = check_images(images, self._side)
        labels = np.asarray(labels, np.int32)
        probabilities, maps, cams, seen = jax.device_get(self._run(self._variables, images, labels))
        maps, cams = (dict(zip(self.names, arrays, strict=True)) for arrays in (maps, cams))
        return Explanation(probabilities, maps, cams, seen)
