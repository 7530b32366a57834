"""Feature maps and Grad-CAM of any network whose activations pass `layers.tap`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from foodjax.config.keys import Config
from foodjax.data.augment.apply import view
from foodjax.data.images import check_images
from foodjax.models.summary import walk
from foodjax.report import pictures
from foodjax.run.predict import Predictor
from foodjax.steps.devices import compiler_options
from foodjax.steps.step import rescale
from foodjax.system.errors import UserError


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

    def overlay(self, tap: str, i: int = 0) -> np.ndarray:
        """Returns photograph `i` in grey under its Grad-CAM at a tap, uint8 (224, 224, 3); bright supports the class.

        Raises:
            KeyError: there is no such tap.
        """
        return pictures.overlay(self.seen[i], self.cams[tap][i])

    def __repr__(self) -> str:
        return f"Explanation({len(self.seen)} photographs, taps: {', '.join(self.maps)})"


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


def explain(predictor: Predictor, images: np.ndarray, classes: Sequence[str] | None = None) -> Explanation:
    """Returns feature maps of photographs, and Grad-CAM: which places of them support a class.

    It compiles once in each call: give it all photographs together.

    Args:
        predictor: the network.
        images: uint8 (B, H, H, 3) with H = data.image_size, as `Predictor.decode` returns one; or a single one,
            (H, H, 3), of which B is 1.
        classes: the name of the class to explain, of each of the B photographs; None: the most probable one.

    Returns:
        Arrays of B photographs. Its probabilities are those of the network alone, without eval.flip and temperature.

    Raises:
        UserError: a name is no class of the run, or there is not one for each photograph.
        TypeError: the photographs are not uint8.
        ValueError: they have another shape.

    Example:
        >>> import foodjax
        >>> predictor = foodjax.Predictor("runs/demo")  # of the example of foodjax.train
        >>> images = foodjax.load_data(predictor.config).test.images[:2]
        >>> found = foodjax.explain(predictor, images)
        >>> tap = list(found.maps)[-1]
        >>> tap, found.maps[tap].shape, found.cams[tap].shape
        ('block3/activation2', (2, 8, 8, 128), (2, 8, 8))
        >>> found.overlay(tap).shape
        (224, 224, 3)
    """
    images = check_images(images, predictor.config.data.image_size, ndims=(3, 4))
    images = images[None] if images.ndim == 3 else images
    if classes is None:
        labels = predictor.probabilities(images).argmax(axis=1)
    else:
        names = predictor.class_names
        if len(classes) != len(images):
            raise UserError(f"classes has {len(classes)} names for {len(images)} photographs: needs one for each")
        if unknown := [name for name in classes if name not in names]:
            raise UserError(f"classes has {unknown[0]!r}: needs names of {', '.join(names)}")
        labels = np.array([names.index(name) for name in classes])
    return Explainer(predictor.config, predictor.model, predictor.variables)(images, labels)
