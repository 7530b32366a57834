"""Pictures of a run in training, drawn after every epoch: curves.png, and images for TensorBoard and other writers."""

import numpy as np
from clu import parameter_overview

from foodjax.models import summary
from foodjax.report import figures, pictures
from foodjax.run.observer import Epoch
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import first_line

_SAMPLES = 8  # validation photographs shown with their predictions
_told: set[str] = set()


def observe(epoch: Epoch) -> None:
    """Draws the pictures of an epoch. An error is printed once; training continues."""
    for name, draw in (("curves.png", _curves), ("the pictures of log.writers", _writers)):
        try:
            draw(epoch)
        except Exception as error:  # a full disk or a missing font must not end a run
            if name not in _told:
                _told.add(name)
                say(f"{name} left out: {first_line(error)}", flush=True)


def _curves(epoch: Epoch) -> None:
    files.write_bytes(
        epoch.workdir / "curves.png", figures.to_png(figures.curves(epoch.rows, epoch.stopping.best_epoch))
    )


def _writers(epoch: Epoch) -> None:
    if not epoch.log.writers:
        return
    step, engine = epoch.rows[-1]["step"], epoch.engine
    if epoch.stopping.epoch == 1:
        rows = summary.layers(engine.model, engine.config.input_size)
        epoch.log.write_text(step, "layers", summary.to_markdown(rows))
    weights = parameter_overview.get_parameter_overview(epoch.state.params)  # with the mean and deviation of each array
    epoch.log.write_text(step, "weights", f"```\n{weights}\n```")
    probabilities, labels, rows = epoch.validation.probabilities, epoch.validation.labels, epoch.validation.rows
    picked = np.linspace(0, len(labels) - 1, min(_SAMPLES, len(labels))).astype(int)  # across classes, always the same
    captions = []
    for i in picked:
        best = int(probabilities[i].argmax())
        predicted = f"{engine.class_names[best]} {probabilities[i, best]:.0%}"
        true = "" if best == labels[i] else f"true: {engine.class_names[labels[i]]}"
        captions.append((predicted, true))
    images = [np.asarray(epoch.data.validation.images[rows[i]]) for i in picked]
    epoch.log.write_image(step, "validation photographs and predictions", pictures.strip(images, captions))
