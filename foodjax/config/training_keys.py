"""The keys of training: optimizer, length and loss, checkpoints, and what is measured and shown meanwhile.

`keys` has the network and the whole config, `photo_keys` the photographs.
"""

from dataclasses import dataclass

from foodjax.config.key import key
from foodjax.config.listed import LOSSES, MONITORS, OPTIMIZERS
from foodjax.config.rules import (
    BOOL,
    FRACTION,
    POSITIVE,
    PROFILE,
    RATES,
    STAGES,
    UNIT,
    WRITER_NAMES,
    choice,
    integer,
    number,
    tuple_of,
)


@dataclass(frozen=True)
class Optimizer:
    """The optimizer and its learning rate."""

    name: str = key(
        "adamw", choice(*OPTIMIZERS), "", "its mathematics, and which keys it reads: docs/instruments.md",
        shapes_state=True,
    )  # fmt: skip
    learning_rate: float = key(1e-3, POSITIVE, "", "the highest of the schedule")
    rates: tuple[tuple[str, float], ...] = key(
        (), RATES, "of learning_rate",
        "of parameters, by patterns over their paths such as `block1/*`: the first that matches counts, 0 freezes, "
        "* matches / too; where none matches, 1", since=11, shapes_state=True,
    )  # fmt: skip
    layer_decay: float = key(
        1.0, number(0, 1, open_low=True), "",
        "of the rate, from each block to the one before it; the head has the full rate", since=11, shapes_state=True,
    )  # fmt: skip
    unfreeze: int = key(
        0, integer(0), "epochs",
        "from the start of the head to that of the last block, and so on down; 0: all start at once", since=11,
        shapes_state=True,
    )  # fmt: skip
    schedule: str = key(
        "constant", choice("constant", "cosine", "one_cycle"), "", "of the rate, over all `train.epochs`", since=3
    )
    warmup: float = key(0.0, FRACTION, "of the steps", "in which the rate rises", since=3)
    final_rate: float = key(0.0, UNIT, "of learning_rate", "where cosine and one_cycle end", since=3)
    momentum: float = key(0.9, FRACTION, "", "of rmsprop, sgd and muon; the others: beta 1", since=3, before=0.0)
    decay: float = key(0.999, FRACTION, "", "of the mean square; Keras: rho; the others: beta 2")
    epsilon: float = key(1e-8, POSITIVE, "", "rmsprop: added under the root, as Keras does; the others: to the root")
    weight_decay: float = key(0.0, number(0), "", "of kernels alone, times the learning rate", since=3)
    clip_norm: float = key(0.0, number(0), "", "longest gradient of all weights together; 0: any", since=3)


@dataclass(frozen=True)
class Train:
    """How long and on what loss."""

    epochs: int = key(100, integer(1), "epochs", "at most", scope="execution")
    steps_per_dispatch: int = key(
        8, integer(1, 10**4), "steps", "in one call of the accelerator, with `data.backend=device`; 1 on a CPU",
        since=5, scope="execution",
    )  # fmt: skip
    patience: int = key(10, integer(0), "epochs", "without a better `train.monitor` before training stops",
                        scope="execution")  # fmt: skip
    monitor: str = key(
        "val_loss", choice(*MONITORS), "", "validation value that chooses the best checkpoint and stops early", since=13
    )
    loss: str = key(
        "cross_entropy", choice(*LOSSES), "", "that training minimises; evaluation reports cross-entropy", since=13
    )
    focal_gamma: float = key(2.0, number(0), "", "focal: power of 1 - p; 0 is cross-entropy", since=13)
    freeze_batch_stats: bool = key(
        False, BOOL, "", "batch normalisation trains with its running statistics and does not update them", since=11
    )
    solver: str = key(
        "steps", choice("steps", "probe"), "",
        "steps of the optimizer, or a linear classifier on features: foodjax probe", since=11,
    )  # fmt: skip
    label_smoothing: float = key(0.0, FRACTION, "of the probability", "spread over all classes", since=3)
    class_weights: tuple[float, ...] = key(
        (), tuple_of(POSITIVE, "numbers > 0, one for each class"), "",
        "of the loss, one for each class in label order; () weighs all the same", since=3,
    )  # fmt: skip
    balance: str = key(
        "none", choice("none", "classes"), "", "classes: weigh the loss so that each class counts the same", since=10
    )
    ema_decay: float = key(
        0.0, FRACTION, "", "of averaged weights, which are then evaluated; 0 does not average", since=3,
        shapes_state=True,
    )  # fmt: skip
    profile: tuple[int, ...] = key(
        (), PROFILE, "steps", "(from, to): writes a trace of these steps for Perfetto and TensorBoard; (): none",
        since=13, scope="execution",
    )  # fmt: skip
    deterministic: bool = key(
        False, BOOL, "", "the same bits in every run on a GPU, more slowly: docs/instruments.md", since=13,
        scope="execution",
    )  # fmt: skip
    progressive_resizing: tuple[tuple[int, int], ...] = key(
        (), STAGES, "(epoch, pixels)", "side of the pictures from each epoch on; (): `model.input_size` always",
        since=3, was="train.sizes",
    )  # fmt: skip

    @property
    def num_epochs(self) -> int:
        """Epochs of a whole run, at most; the solution of a probe is one."""
        return 1 if self.solver == "probe" else self.epochs


@dataclass(frozen=True)
class Checkpoint:
    """When a checkpoint is written, besides after every epoch."""

    every_steps: int = key(0, integer(0), "steps", "between checkpoints within an epoch; 0: none", since=2,
                           scope="execution")  # fmt: skip
    every_minutes: float = key(10.0, number(0), "minutes", "between checkpoints within an epoch; 0: none", since=2,
                               scope="execution")  # fmt: skip


@dataclass(frozen=True)
class Log:
    """Where the numbers of a run are shown, besides its workdir's metrics.jsonl."""

    writers: tuple[str, ...] = key(("tensorboard",), WRITER_NAMES, "", "of the numbers and pictures: docs/logging.md",
                                   since=12, scope="execution")  # fmt: skip
    every_steps: int = key(0, integer(0), "steps", "between the lines of steps.jsonl; 0: none", since=13,
                           scope="execution")  # fmt: skip
    norms: bool = key(False, BOOL, "", "of gradient, update and weights, in steps.jsonl", since=13, scope="execution")
