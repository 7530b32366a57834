"""What a network takes of the address space, where the system limits it (ulimit -v). Linear fits to measured peaks."""

from typing import Literal

import numpy as np

from foodjax.config.keys import Config
from foodjax.models.convnet import ConvNet
from foodjax.models.summary import layers
from foodjax.system import memory

_GIB = 2**30
# Bytes of an idle process, and factors of the parameters and of the activations. Peaks of the tutorial's network:
# predict 1.8 GiB with batches of 32, evaluate 2.5 GiB with 50; train 3.2, 3.3 and 4.4 GiB with 16, 32 and 64. Threads
# make them vary: evaluate worked in 2.6 GiB, and once failed in 2.8; a training with 32 failed at its end in 3.8 GiB.
_NEEDS = {"predict": (0.8 * _GIB, 8, 7), "evaluate": (0.8 * _GIB, 8, 10), "train": (2 * _GIB, 24, 6)}


def check(verb: Literal["predict", "evaluate", "train"], config: Config, model: ConvNet, batch_size: int) -> None:
    """Raises UserError if the limit of the address space is below what the network needs.

    Without a limit nothing is computed.

    Args:
        verb: what the network is used for.
        config: the experiment; reads the side of the pictures that the network gets.
        model: the network.
        batch_size: pictures in a batch.
    """
    if memory.limit() is None:
        return
    rows = layers(model, config.input_size if verb == "train" else config.eval_size)
    num_params = sum(row.num_params for row in rows)
    outputs = [int(np.prod(row.output)) for row in rows]  # of one picture
    # A training keeps all outputs for the gradient; otherwise the input and the output of one layer are there at once.
    kept = sum(outputs) if verb == "train" else max(map(sum, zip(outputs, outputs[1:], strict=False)), default=0)
    idle, per_param, per_output = _NEEDS[verb]
    needed = idle + 4 * (per_param * num_params + per_output * kept * batch_size)
    memory.check_limit(needed / _GIB, f"{verb} with {num_params:,} parameters and batches of {batch_size}")
