"""Losses per example, and metrics as sums that are merged over batches and divided once."""

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int

from foodjax.system.errors import UserError


def cross_entropy(logits: Float[Array, "B K"], labels: Int[Array, "B"]) -> Float[Array, "B"]:
    """Returns -log softmax(logits)[label] for each example, in nats: (B, K), (B,) -> (B,)."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def training_losses(
    logits: Float[Array, "B K"], labels: Int[Array, "B"], smoothing: float, class_weights: tuple[float, ...]
) -> Float[Array, "B"]:
    """Returns the cross-entropy that training minimises for each example: (B, K), (B,) -> (B,), in nats.

    Args:
        logits: (B, K).
        labels: (B,).
        smoothing: a; the label gets the probability 1 - a + a / K, every other class a / K.
        class_weights: K factors, one for each class, or () for none.

    Raises:
        UserError: the number of weights is not K.
    """
    num_classes = logits.shape[-1]
    losses = cross_entropy(logits, labels)
    if smoothing:
        targets = optax.smooth_labels(jax.nn.one_hot(labels, num_classes), smoothing)
        losses = optax.softmax_cross_entropy(logits, targets)
    if class_weights:
        if len(class_weights) != num_classes:
            raise UserError(f"train.class_weights has {len(class_weights)} numbers: needs {num_classes}, one per class")
        losses = losses * jnp.asarray(class_weights, losses.dtype)[labels]
    return losses


@struct.dataclass
class Metrics:
    """Sums over the examples whose mask is 1; a pytree, so that steps can return it.

    Attributes:
        loss_sum: sum of the losses, in nats.
        num_correct: number of correct predictions (argmax).
        num_examples: number of these examples.
    """

    loss_sum: jax.Array
    num_correct: jax.Array
    num_examples: jax.Array

    @classmethod
    def zeros(cls) -> "Metrics":
        """Returns the sums over no examples."""
        return cls(*(jnp.zeros((), jnp.float32) for _ in range(3)))

    @classmethod
    def from_batch(cls, logits: Float[Array, "B K"], labels: Int[Array, "B"], mask: Float[Array, "B"]) -> "Metrics":
        """Sums over one batch; examples with mask 0 are padding and do not count."""
        return cls.from_losses(cross_entropy(logits, labels), logits, labels, mask)

    @classmethod
    def from_losses(
        cls, losses: Float[Array, "B"], logits: Float[Array, "B K"], labels: Int[Array, "B"], mask: Float[Array, "B"]
    ) -> "Metrics":
        """Sums given losses, such as those of smoothed or mixed labels, over one batch."""
        correct = jnp.argmax(logits, axis=-1) == labels
        return cls((losses * mask).sum(), (correct * mask).sum(), mask.sum())

    def merge(self, other: "Metrics") -> "Metrics":
        """Returns the sums over both sets of examples."""
        return jax.tree.map(lambda a, b: a + b, self, other)

    def compute(self) -> dict[str, float]:
        """Divides once: mean loss in nats and accuracy in 0..1."""
        loss_sum, num_correct, n = (float(x) for x in jax.device_get(jax.tree.leaves(self)))
        return {"loss": loss_sum / n, "accuracy": num_correct / n}
