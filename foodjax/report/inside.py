"""Grad-CAM and feature maps of a run's most confident predictions, for its report."""

from typing import Any, NamedTuple

import numpy as np

from foodjax.report import pictures
from foodjax.report.explain import Explainer
from foodjax.report.layer_pictures import cam_taps, map_sheets, spread
from foodjax.report.photos import Photographs, confident_mistakes, seen_uri
from foodjax.run.evaluate import Evaluation

_SHEETS = 9  # layers whose feature maps are shown at once


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
        return {"cams": []}
    examples = [i for i, _ in asked]
    images = np.stack([evaluated.data.images[predictions.rows[i]] for i in examples])
    found = explainer(images, np.array([k for _, k in asked]))
    cams = []
    for j, ((i, k), uri) in enumerate(zip(asked, shown.uris(examples), strict=True)):
        seen, truth, probability = found.seen[j], names[predictions.labels[i]], f"{predictions.probabilities[i, k]:.0%}"
        if k == predicted[i]:
            is_right, title = bool(k == predictions.labels[i]), f"{names[k]} ({truth}) {probability}"
        else:
            is_right, title = None, f"The same photograph: Grad-CAM for {truth} ({probability})"
        views = [(tap, pictures.data_uri(pictures.overlay(seen, found.cams[tap][j]))) for tap in cam_taps(found)]
        cams.append(Cam(title, uri, seen_uri(seen), views, is_right))
    taps, first = list(found.maps), spread(list(found.maps), _SHEETS)
    return {
        "cams": cams,
        "maps": map_sheets(found, 0, first),
        "more_maps": map_sheets(found, 0, [tap for tap in taps if tap not in first]),
    }
