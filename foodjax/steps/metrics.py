"""Metrics as sums that are merged over batches and divided once."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from foodjax.steps.losses import cross_entropy

SUMS = ("loss_sum", "num_correct", "num_examples")


@struct.dataclass
class Metrics:
    """Sums over the examples whose mask is 1; a pytree, so that steps can return it.

    Attributes:
        loss_sum: sum of the losses, in nats.
        num_correct: number of correct predictions (argmax).
        num_examples: number of these examples.
        norms: of a single training step with log.norms, by their names; sums of several have none.
    """

    loss_sum: jax.Array
    num_correct: jax.Array
    num_examples: jax.Array
    norms: dict[str, jax.Array] = struct.field(default_factory=dict)

    @classmethod
    def zeros(cls) -> "Metrics":
        """Returns the sums over no examples."""
        return cls(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))

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
        loss_sum, num_correct, num_examples = (getattr(self, name) + getattr(other, name) for name in SUMS)
        return Metrics(loss_sum, num_correct, num_examples)

    def compute(self) -> dict[str, float]:
        """Divides once: mean loss in nats and accuracy in 0..1."""
        loss_sum, num_correct, n = (float(x) for x in jax.device_get([getattr(self, name) for name in SUMS]))
        return {"loss": loss_sum / n, "accuracy": num_correct / n}
