"""Optimizers from config, with Keras' arithmetic where the tutorial asks for it."""

from typing import Any

import optax

from foodjax.errors import UserError


def create_optimizer(config: Any) -> optax.GradientTransformation:
    """Builds the optax chain of `config.optimizer`.

    RMSprop is Keras': v = decay v + (1 - decay) g^2, w -= learning_rate g / sqrt(v + epsilon), v_0 = 0.

    Raises:
        UserError: `optimizer.name` is not known.
    """
    optimizer = config.optimizer
    if optimizer.name == "rmsprop":
        return optax.rmsprop(optimizer.learning_rate, decay=optimizer.decay, eps=optimizer.epsilon, eps_in_sqrt=True)
    raise UserError(f"optimizer.name is {optimizer.name!r}: needs 'rmsprop'")
