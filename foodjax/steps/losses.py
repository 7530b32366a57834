"""Losses per example: cross-entropy, which evaluation reports, and those that training can minimise."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from foodjax.config.keys import Train
from foodjax.system.errors import UserError


def cross_entropy(logits: Float[Array, "B K"], labels: Int[Array, "B"]) -> Float[Array, "B"]:
    """Returns -log softmax(logits)[label] for each example, in nats: (B, K), (B,) -> (B,)."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def binary_cross_entropy(logits: Float[Array, "B K"], targets: Float[Array, "B K"]) -> Float[Array, "B"]:
    """Returns the loss of K classifiers, one for each class against the rest, for each example, in nats.

    It is -mean_k [t_k log s(z_k) + (1 - t_k) log(1 - s(z_k))] with the sigmoid s, as in timm (Wightman et al. 2021).

    Args:
        logits: z, (B, K).
        targets: t, in 0..1, (B, K).
    """
    return optax.sigmoid_binary_cross_entropy(logits, targets).mean(axis=-1)


def focal_loss(logits: Float[Array, "B K"], targets: Float[Array, "B K"], gamma: float) -> Float[Array, "B"]:
    """Returns -sum_k t_k (1 - p_k)^gamma log p_k with p = softmax(logits) for each example, in nats (Lin et al. 2017).

    Args:
        logits: (B, K).
        targets: t, in 0..1, (B, K).
        gamma: of examples that are almost right, how little they count; 0 is cross-entropy.
    """
    log_p = jax.nn.log_softmax(logits)
    # 1 - p, from the other classes: exact where p is almost 1, and never 0, where a power below 1 has no gradient.
    rest = jnp.maximum(-jnp.expm1(log_p), jnp.finfo(logits.dtype).tiny)
    return -(targets * rest**gamma * log_p).sum(axis=-1)


# Of the targets, and the keys of train; cross-entropy of labels that are not smoothed needs no targets.
LOSSES: dict[str, Callable[[jax.Array, jax.Array, Train], jax.Array]] = {
    "cross_entropy": lambda logits, targets, train: optax.softmax_cross_entropy(logits, targets),
    "binary_cross_entropy": lambda logits, targets, train: binary_cross_entropy(logits, targets),
    "focal": lambda logits, targets, train: focal_loss(logits, targets, train.focal_gamma),
}


def training_losses(logits: Float[Array, "B K"], labels: Int[Array, "B"], train: Train) -> Float[Array, "B"]:
    """Returns the loss that training minimises for each example: (B, K), (B,) -> (B,), in nats.

    All of them are linear in the targets: a share of one label's loss and the rest of another's is that of mixed
    targets.

    Args:
        logits: (B, K).
        labels: (B,).
        train: reads loss; label_smoothing a, with which the label gets the probability 1 - a + a / K, and every other
            class a / K; and class_weights, K factors, one for each class, or () for none.

    Raises:
        UserError: the number of weights is not K.
    """
    num_classes = logits.shape[-1]
    if train.loss == "cross_entropy" and not train.label_smoothing:
        losses = cross_entropy(logits, labels)
    else:
        targets = optax.smooth_labels(jax.nn.one_hot(labels, num_classes), train.label_smoothing)
        losses = LOSSES[train.loss](logits, targets, train)
    if train.class_weights:
        if len(train.class_weights) != num_classes:
            raise UserError(
                f"train.class_weights has {len(train.class_weights)} numbers: needs {num_classes}, one per class"
            )
        losses = losses * jnp.asarray(train.class_weights, losses.dtype)[labels]
    return losses
