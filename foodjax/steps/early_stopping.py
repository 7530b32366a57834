"""Early stopping on the validation loss, with Keras' decisions (`EarlyStopping(mode="min")`)."""

from dataclasses import dataclass, replace
from math import inf


@dataclass(frozen=True)
class EarlyStopping:
    """The state of early stopping after some epochs.

    Attributes:
        patience: epochs without improvement after which training stops.
        best_loss: the lowest validation loss so far.
        best_epoch: the epoch (from 1) with that loss; 0 before the first epoch.
        num_bad: number of epochs since then.
        epoch: number of epochs so far.
    """

    patience: int
    best_loss: float = inf
    best_epoch: int = 0
    num_bad: int = 0
    epoch: int = 0

    def update(self, val_loss: float) -> "EarlyStopping":
        """Returns the state after one more epoch; ties and NaN do not improve, but the first epoch always does."""
        epoch = self.epoch + 1
        # As in Keras, the first epoch is the best even if its loss is NaN; no later loss is lower than NaN.
        if not self.best_epoch or val_loss < self.best_loss:
            return replace(self, best_loss=val_loss, best_epoch=epoch, num_bad=0, epoch=epoch)
        return replace(self, num_bad=self.num_bad + 1, epoch=epoch)

    @property
    def improved(self) -> bool:
        """Whether the last epoch was the best so far."""
        return self.epoch > 0 and self.best_epoch == self.epoch

    @property
    def should_stop(self) -> bool:
        """Whether `patience` epochs (at least one) passed without a lower loss."""
        return self.num_bad >= max(self.patience, 1)
