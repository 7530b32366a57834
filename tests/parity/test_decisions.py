"""When training stops and which epoch is the best, against EarlyStopping and ModelCheckpoint."""

from math import inf, nan

import jax.numpy as jnp
import keras
import numpy as np
import pytest

from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import Metrics
from foodjax.steps.state import TrainState
from foodjax.workdir.checkpoint_content import LoopState
from foodjax.workdir.checkpoints import Checkpoints

pytestmark = pytest.mark.parity
NUM_SEQUENCES = 1000


def random_losses(rng):
    """A validation curve with ties, and often with NaN or infinity."""
    losses = np.round(rng.uniform(1, 2, rng.integers(1, 25)), rng.integers(1, 4))  # few digits make ties
    if rng.random() < 0.5:
        losses[rng.random(len(losses)) < 0.2] = rng.choice([nan, inf])
    return losses.tolist()


class StubModel:
    """What the callbacks need of a model."""

    def __init__(self):
        self.stop_training, self.saved, self.epoch = False, 0, 0

    def save(self, filepath, overwrite):
        self.saved = self.epoch


def keras_decisions(losses, patience, **changes):
    """Returns (epochs trained, best epoch)."""
    model = StubModel()
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=patience, mode="min", **changes),
        keras.callbacks.ModelCheckpoint("best.keras", "val_loss", save_best_only=True, mode="min"),
    ]
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        model.epoch = epoch + 1
        for callback in callbacks:
            callback.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            break
    return model.epoch, model.saved


def our_decisions(losses, patience, update=EarlyStopping.update):
    stopping = EarlyStopping(patience)
    for loss in losses:
        stopping = update(stopping, loss)
        if stopping.should_stop:
            break
    return stopping.epoch, stopping.best_epoch


def ties_improve(stopping, loss):
    # The next float up lets an equal loss through.
    better = EarlyStopping(
        stopping.patience, np.nextafter(stopping.best_value, inf), *list(vars(stopping).values())[2:]
    )
    return EarlyStopping.update(better, loss)


def nan_is_skipped(stopping, loss):
    if stopping.epoch == 0 and loss != loss:
        return EarlyStopping(stopping.patience, inf, 1, 1, 1)
    return EarlyStopping.update(stopping, loss)


def test_decisions(parity):
    rng = np.random.default_rng(0)
    cases = [(random_losses(rng), int(rng.integers(0, 6))) for _ in range(NUM_SEQUENCES)]
    theirs = [keras_decisions(*case) for case in cases]
    assert any(nan in losses[:1] or losses[0] != losses[0] for losses, _ in cases)

    def count_different(update):
        return sum(our_decisions(*case, update) != other for case, other in zip(cases, theirs, strict=True))

    parity.holds("stopping", count_different(EarlyStopping.update))
    parity.misses("stopping", count_different(ties_improve), "ties improve")
    parity.misses("stopping", count_different(nan_is_skipped), "first NaN skipped")
    later = sum(our_decisions(losses, p + 1) != other for (losses, p), other in zip(cases, theirs, strict=True))
    parity.misses("stopping", later, "patience + 1")


@pytest.mark.parametrize("losses", [[3.0, 1.0, 2.0, 1.0], [nan, 2.0, 1.0], [2.0, nan, 1.5, inf, 1.5], [inf, 2.0, 2.0]])
def test_the_checkpoint_that_is_kept_is_keras_best(parity, tmp_path, losses):
    params = {"w": jnp.zeros(2)}
    checkpoints, stopping = Checkpoints(tmp_path), EarlyStopping(10)
    for epoch, loss in enumerate(losses, start=1):
        stopping = stopping.update(loss)
        state = TrainState(jnp.int32(epoch), params, {"nu": params}, jnp.zeros(2, jnp.uint32))
        checkpoints.save(state, LoopState(stopping, Metrics.zeros()), loss)
    checkpoints.close()
    again = Checkpoints(tmp_path)
    best = again.best_step()
    again.close()
    parity.holds("stopping", int(best != keras_decisions(losses, 10)[1]))
