"""Per-example loss, and sums that are merged over batches and divided once."""

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int


def cross_entropy(logits: Float[Array, "B K"], labels: Int[Array, "B"]) -> Float[Array, "B"]:
    """Returns -log softmax(logits)[label] for each example, in nats: (B, K), (B,) -> (B,)."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


@struct.dataclass
class Metrics:
    """Sums over the examples whose mask is 1; a pytree, so that steps can return it.

    Attributes:
        loss_sum: sum of the losses, in nats.
        num_correct: how many predictions (argmax) were right.
        num_examples: how many examples counted.
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
        correct = jnp.argmax(logits, axis=-1) == labels
        return cls((cross_entropy(logits, labels) * mask).sum(), (correct * mask).sum(), mask.sum())

    def merge(self, other: "Metrics") -> "Metrics":
        """Returns the sums over both sets of examples."""
        return jax.tree.map(lambda a, b: a + b, self, other)

    def compute(self) -> dict[str, float]:
        """Divides once: mean loss in nats and accuracy in 0..1."""
        loss_sum, num_correct, n = (float(x) for x in jax.device_get(jax.tree.leaves(self)))
        return {"loss": loss_sum / n, "accuracy": num_correct / n}
