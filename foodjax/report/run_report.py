"""Writes report.html of a run: scores, mistakes, calibration, Grad-CAM, layers and config, in one file."""

import datetime
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from foodjax.config.backbones import BACKBONES
from foodjax.config.check import flatten
from foodjax.data.photographs import Photograph
from foodjax.data.photographs import read as read_photographs
from foodjax.evaluation.calibration import reliability
from foodjax.evaluation.numbers import top_accuracy
from foodjax.evaluation.scores import cells
from foodjax.models import summary
from foodjax.report import duplicates, figures, inside, pictures, templating
from foodjax.report.photos import Photographs, confident_mistakes, random_examples
from foodjax.report.unused import unused_files
from foodjax.run.evaluate import Evaluation
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.workdir import run_record, views
from foodjax.workdir.metrics import best_row, read_metrics

_ROWS = 40  # of a layer table; a longer one has a row for each block, and is folded away itself


def write_report(evaluated: Evaluation, workdir: files.PathLike) -> Path:
    """Writes report.html beside the folder evaluation/, or into that of other photographs; returns its path.

    Raises:
        UserError: it cannot be written.
    """
    workdir, folder = files.to_path(workdir), evaluated.folder
    if folder.resolve() == (workdir / "evaluation").resolve():
        path = workdir / "report.html"
    else:
        path = (folder.parent if folder.name == "evaluation" else folder) / "report.html"
    try:
        files.write_text(path, to_page(evaluated, workdir))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    say(f"report in {path}")
    return path


def to_page(evaluated: Evaluation, workdir: files.PathLike) -> str:
    """Returns the report as HTML."""
    workdir = files.to_path(workdir)
    engine, predictions, scores = evaluated.engine, evaluated.predictions, evaluated.scores
    names = engine.class_names
    predicted = predictions.probabilities.argmax(axis=1)
    matrix = predictions.confusion
    calibration = reliability(predictions.probabilities, predictions.labels)
    rows = read_metrics(workdir / "metrics.jsonl")
    best = (best_row(rows, engine.config.train.monitor) or {"epoch": 0})["epoch"]
    size = engine.config.eval_size
    modules = summary.modules(engine.model, size)
    layers, blocks = summary.leaves(modules), summary.blocks(modules)
    facts, shown = _facts(evaluated, workdir, rows, best), Photographs(evaluated)
    return templating.render(
        "report.html.j2",
        name=engine.config.name,
        sentence=_sentence(facts, scores),
        facts=facts,
        curves=[
            figures.to_svg(
                figures.curve(rows, name, best), f"{name} of training and validation over {len(rows)} epochs"
            )
            for name in ("loss", "accuracy")
            if rows
        ],
        classes=[cells(row) for row in scores.classes],
        confusion=figures.to_svg(figures.confusion(matrix, names), "confusion matrix, true class by predicted class"),
        many_classes=len(names) > 20,
        confused=confused_pairs(matrix, names),
        grid=shown.photos(random_examples(len(predicted), engine.config.seed)),
        mistakes=shown.photos(confident_mistakes(predictions.probabilities, predictions.labels)),
        duplicates=duplicates.section(evaluated.duplicates, shown.originals),
        calibration=calibration,
        temperature=evaluated.temperature,
        mean_confidence=float(predictions.probabilities.max(axis=1).mean()),
        accuracy=scores.accuracy,
        reliability=figures.to_svg(figures.reliability(calibration), "reliability diagram"),
        **inside.explanations(evaluated, shown),
        scales=pictures.scales(),
        missing=shown.originals.sentence(),
        tokens=bool(engine.config.model.backbone) and BACKBONES[engine.config.model.backbone].has_token,
        layers=[summary.cells(layer) for layer in layers],
        blocks=[summary.cells(block) for block in blocks] if len(layers) > _ROWS else [],
        total=summary.totals(layers),
        side=size,
        unused=unused_files(_listed(evaluated, workdir)),
        config=[(key, json.dumps(value)) for key, value in flatten(engine.config)],
    )


def _listed(evaluated: Evaluation, workdir: Path) -> list[Photograph]:
    """Returns the photographs of the run, or those of an evaluation of others."""
    own = evaluated.folder.resolve() == (workdir / "evaluation").resolve()
    return (read_photographs(workdir) if own else []) or read_photographs(evaluated.folder)


def confused_pairs(matrix: np.ndarray, names: tuple[str, ...], count: int = 5) -> list[tuple[str, str, int, int]]:
    """Returns (true, predicted, count, support) of the most frequent mistakes in counts (K, K)."""
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(order, matrix.shape), strict=True)
    return [(names[i], names[j], int(matrix[i, j]), int(matrix[i].sum())) for i, j in pairs if wrong[i, j]]


def _facts(evaluated: Evaluation, workdir: Path, rows: list[dict[str, Any]], best: int) -> dict[str, str]:
    scores, sessions = evaluated.scores, run_record.read(workdir)["sessions"]
    low, high = scores.interval
    facts = {
        "test accuracy": f"{scores.accuracy:.1%}",
        "95 % interval": f"{low:.1%} to {high:.1%}",
        "test images": f"{scores.num_examples:,}",
        "test loss": f"{scores.loss:.3f} nats",
    }
    if evaluated.engine.config.eval.top5:
        facts["top-5 accuracy"] = f"{top_accuracy(evaluated.predictions):.1%}"
    fold = evaluated.engine.config.data.fold
    if fold and evaluated.folder.name == "evaluation":  # else of other photographs
        facts["test images are"] = f"fold {fold} of those to train with"
    if evaluated.view:
        facts["unlike the run"] = views.words(evaluated.view)
    if rows:
        facts["epochs"] = f"{rows[-1]['epoch']}, best {best}"
    seconds = _seconds(sessions)
    if seconds:
        facts["time"] = f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
    facts["parameters"] = f"{sum(x.size for x in jax.tree.leaves(evaluated.variables['params'])):,}"
    if weights := run_record.weights_from(workdir):
        facts["weights from"] = weights["origin"]
        if "sha256" in weights:
            facts["weights"] = f"licence {weights['licence']}, SHA-256 {weights['sha256'][:16]}"
    device = jax.devices()[0]
    here = f"{jax.device_count()} x {device.device_kind} ({device.platform})"
    facts["device"] = sessions[-1]["device"] if sessions else f"evaluated on {here}"
    return facts


def _seconds(sessions: list[dict[str, Any]]) -> float:
    """Returns the time of all sessions in run.json, without those that were killed: they have no end."""
    spans = [[datetime.datetime.fromisoformat(s[key]) for key in ("started", "ended")] for s in sessions if s["ended"]]
    return sum((end - start).total_seconds() for start, end in spans)


def _sentence(facts: dict[str, str], scores: Any) -> str:
    text = f"{facts['test accuracy']} of {facts['test images']} test photographs are classified correctly "
    text += f"(95 % interval {facts['95 % interval']}), with {facts['parameters']} parameters"
    if "epochs" in facts:
        epochs = facts["epochs"].split(",")[0]
        text += f" after {epochs} epoch{'s' * (epochs != '1')}" + (f" in {facts['time']}" if "time" in facts else "")
    tested = [row for row in scores.classes if row[4]]
    best, worst = tested[0], tested[-1]
    return f"{text}. Best class: {best[0]} (F-score {best[3]:.2f}); worst: {worst[0]} ({worst[3]:.2f})."
