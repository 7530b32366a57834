"""Grad-CAM and feature maps of a run's most confident predictions, for its report and for the browser page."""

from typing import Any, NamedTuple

import numpy as np

from foodjax.report import pictures
from foodjax.report.explain import Explainer, Explanation
from foodjax.report.photos import Photographs, confident_mistakes
from foodjax.run.evaluate import Evaluation

_MAPS = 32  # channels shown for each layer
_COARSE = 7  # pixels; a Grad-CAM with a smaller side gets a finer one beside it


class Cam(NamedTuple):
    """Grad-CAM of one prediction for one class.

    Attributes:
        title: the predicted class, the true one and the probability.
        original: the photograph as a data URI; "" where it cannot be read.
        seen: what the network gets of it, as a data URI.
        views: (name of a layer, the heat map over the photograph as a data URI).
        right: whether the prediction is right; None where its mistake is explained once more for the true class.
    """

    title: str
    original: str
    seen: str
    views: list[tuple[str, str]]
    right: bool | None


def explanations(evaluated: Evaluation, shown: Photographs) -> dict[str, Any]:
    """Returns the feature maps of one photograph, and Grad-CAM of the most confident right and wrong prediction."""
    engine, predictions, names = evaluated.engine, evaluated.predictions, evaluated.engine.class_names
    predicted = predictions.probabilities.argmax(axis=1)
    right = np.flatnonzero(predicted == predictions.labels)
    wrong = confident_mistakes(predictions.probabilities, predictions.labels, 1)
    surest = right[np.argsort(-predictions.probabilities.max(axis=1)[right], kind="stable")][:1]
    # (example, class to explain): the right one, the wrong one, and the wrong one again for its true class
    asked = [(int(i), int(predicted[i])) for i in (*surest, *wrong)] + [
        (int(i), int(predictions.labels[i])) for i in wrong
    ]
    explainer = Explainer(engine.config, engine.model, evaluated.variables)
    if not explainer.names:
        return {"maps": [], "cams": []}
    examples = [i for i, _ in asked]
    images = np.stack([evaluated.data.images[predictions.rows[i]] for i in examples])
    found = explainer(images, np.array([k for _, k in asked]))
    cams = []
    for j, ((i, k), uri, seen) in enumerate(zip(asked, shown.uris(examples), shown.seen(examples), strict=True)):
        truth, probability = names[predictions.labels[i]], f"{predictions.probabilities[i, k]:.0%}"
        if k == predicted[i]:
            is_right, title = bool(k == predictions.labels[i]), f"{names[k]} ({truth}) {probability}"
        else:
            is_right, title = None, f"The same photograph: Grad-CAM for {truth} ({probability})"
        views = [(tap, pictures.data_uri(pictures.overlay(seen, found.cams[tap][j]))) for tap in cam_taps(found)]
        cams.append(Cam(title, uri, pictures.data_uri(seen), views, is_right))
    return {"maps": map_sheets(found, 0), "cams": cams}


def cam_taps(found: Explanation) -> list[str]:
    """Returns the taps to show Grad-CAM at: the last one, and if that is coarse, also the last finer one."""
    names = list(found.cams)
    fine = [name for name in names if found.cams[name].shape[1] >= _COARSE]
    return list(dict.fromkeys([*fine[-1:], names[-1]]))


def map_sheets(found: Explanation, i: int, layers: int | None = None) -> list[tuple[str, str, str]]:
    """Returns (name, caption, data URI) of the feature maps of photograph `i`, for the first `layers` or for all."""
    sheets = []
    for name, maps in list(found.maps.items())[:layers]:
        one = np.asarray(maps[i], np.float32)
        height, width, total = one.shape
        shown = pictures.strongest(one, _MAPS)
        silent = int((one.max(axis=(0, 1)) <= 0).sum())
        text = f"{height} x {width} pixels, "
        text += f"all {total} channels" if total <= _MAPS else f"the {len(shown)} strongest of {total} channels"
        text += f"; {silent} inactive" if silent else ""
        sheets.append((name, text, pictures.data_uri(pictures.mosaic(one[..., shown]), "PNG")))
    return sheets
