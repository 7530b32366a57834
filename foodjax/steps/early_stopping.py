"""Early stopping on a validation value, with Keras' decisions (`EarlyStopping(monitor=...)`)."""

from dataclasses import dataclass, replace
from math import inf

from foodjax.config.listed import MONITORS, is_better


@dataclass(frozen=True)
class EarlyStopping:
    """The state of early stopping after some epochs.

    Attributes:
        patience: epochs without improvement after which training stops.
        best_value: the best value of the monitor so far.
        best_epoch: the epoch (from 1) with that value; 0 before the first epoch.
        num_bad: number of epochs since then.
        epoch: number of epochs so far.
        monitor: name of the value, as train.monitor has it.
    """

    patience: int
    best_value: float = inf
    best_epoch: int = 0
    num_bad: int = 0
    epoch: int = 0
    monitor: str = "val_loss"

    def update(self, value: float) -> "EarlyStopping":
        """Returns the state after one more epoch; ties and NaN do not improve, but the first epoch always does."""
        epoch = self.epoch + 1
        # As in Keras, the first epoch is the best even if its loss is NaN; no later loss is lower than NaN.
        if not self.best_epoch or is_better(value, self.best_value, self.monitor):
            return replace(self, best_value=value, best_epoch=epoch, num_bad=0, epoch=epoch)
        return replace(self, num_bad=self.num_bad + 1, epoch=epoch)

    @property
    def worst(self) -> float:
        """A value that every other one improves on."""
        return -inf if MONITORS[self.monitor] else inf

    @property
    def improved(self) -> bool:
        """Whether the last epoch was the best so far."""
        return self.epoch > 0 and self.best_epoch == self.epoch

    @property
    def should_stop(self) -> bool:
        """Whether `patience` epochs (at least one) passed without a better value."""
        return self.num_bad >= max(self.patience, 1)
