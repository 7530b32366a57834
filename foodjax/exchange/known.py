"""What a workdir knows of its best checkpoint, for a model card: scores, temperature, sessions, photographs."""

import math
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from foodjax.config.keys import Config
from foodjax.data import photographs
from foodjax.data.leaks import is_exempt
from foodjax.evaluation import temperature as temperature_lib
from foodjax.evaluation.scores import ClassScores, Scores
from foodjax.system import files
from foodjax.system.errors import first_line
from foodjax.workdir import run_record, views


class Copies(NamedTuple):
    """How many photographs repeat another one of the data, exactly or nearly.

    Attributes:
        repeated: part -> number of its used photographs that repeat another one.
        between: number of the test photographs that repeat one of another part.
        dropped: number of those that were left out of train.
    """

    repeated: dict[str, int]
    between: int
    dropped: int


class Known(NamedTuple):
    """Facts of a workdir; what it does not have is None or empty.

    Attributes:
        scores: of the test set, with the checkpoint and the view that are exported.
        no_scores: why there are none; "" where there are.
        temperature: of the probabilities; None without eval.calibrate.
        session: the last one of run.json.
        num_sessions: of run.json.
        result: of run.json.
        weights: origin, hash and licence of the weights that the run started from.
        counts: part -> number of photographs.
        copies: None where nothing is known of them.
    """

    scores: Scores | None = None
    no_scores: str = "this folder was written without its run"
    temperature: temperature_lib.Temperature | None = None
    session: dict[str, Any] = {}
    num_sessions: int = 0
    result: dict[str, Any] = {}
    weights: dict[str, str] = {}
    counts: dict[str, int] = {}
    copies: Copies | None = None


def read_known(config: Config, workdir: Path, step: int, class_names: tuple[str, ...]) -> Known:
    """Reads what a workdir knows; a file that is missing or damaged leaves its facts out.

    Args:
        config: the workdir's own, perhaps with another view (eval.*).
        workdir: folder of a run.
        step: of its best checkpoint.
        class_names: in label order.

    Raises:
        UserError: the workdir holds no run, or no temperature with eval.calibrate.
    """
    scores, no_scores = read_scores(config, workdir, step, class_names)
    record = run_record.read(workdir)
    sessions = [session for session in record["sessions"] if isinstance(session, dict)]
    weights = run_record.weights_from(workdir)
    listed = photographs.read(workdir)
    counts = Counter(part for row in listed if not row.reason for part in row.part.split(" and "))
    return Known(
        scores,
        no_scores,
        temperature_lib.of_checkpoint(config, workdir, step),
        sessions[-1] if sessions else {},
        len(sessions),
        record["result"] if isinstance(record["result"], dict) else {},
        {key: value for key, value in weights.items() if isinstance(value, str)},
        dict(counts),
        _copies(listed, in_fold=bool(config.data.fold)) if listed and not is_exempt(config) else None,
    )


def _copies(listed: list[photographs.Photograph], *, in_fold: bool) -> Copies:
    repeated = Counter(row.part for row in listed if row.duplicate_of and not row.reason)
    # The first of a group counts as the original: a copy in test repeats one of train, of validation, or of test.
    # The train part of the data is the parts of a run on a fold, and duplicates are all in one of them.
    repeats = [row for row in listed if row.duplicate_of.startswith(("train/", "validation/")) and not row.reason]
    between = 0 if in_fold else sum("test" in row.part for row in repeats)
    return Copies(dict(repeated), between, sum(row.reason == photographs.DUPLICATE for row in listed))


def read_scores(config: Config, workdir: Path, step: int, class_names: tuple[str, ...]) -> tuple[Scores | None, str]:
    """Returns the scores of the run's own test set, with the checkpoint and the view that are exported.

    Args:
        config: the workdir's own, perhaps with another view (eval.*).
        workdir: folder of a run.
        step: of its best checkpoint.
        class_names: in label order.

    Returns:
        The scores and "", or None and why there are none.

    Raises:
        UserError: the workdir holds no run.
    """
    view = views.changes(config, workdir)
    folder = views.place(workdir, view) if view else workdir / "evaluation"
    try:
        stored = files.read_json(folder / "evaluation.json")
        scores = _to_scores(stored, class_names)
        # Older evaluations do not have the step; the one at the end of a training is of its best checkpoint.
        is_of_step = stored["step"] == step if "step" in stored else (workdir / "finished.json").exists()
    except FileNotFoundError:
        return None, f"the run has no {folder.name}/evaluation.json: foodjax evaluate writes it"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return None, f"{folder.name}/evaluation.json is damaged ({first_line(error)}): foodjax evaluate writes it again"
    if not is_of_step:
        return (
            None,
            f"the evaluation of the run is not of its best checkpoint, step {step}: foodjax evaluate repeats it",
        )
    return scores, ""


def _to_scores(stored: Any, class_names: tuple[str, ...]) -> Scores:
    """Returns the scores in evaluation.json; raises ValueError and others where `write_files` did not write it."""
    rows = [ClassScores(*row) for row in stored["classes"]]
    low, high = stored["interval"]
    scores = Scores(
        stored["accuracy"], (low, high), stored["loss"], stored["calibration_error"], stored["num_examples"], rows
    )
    if sorted(row.name for row in rows) != sorted(class_names):
        raise ValueError("other classes")
    shares = [scores.accuracy, low, high, scores.calibration_error, *(x for row in rows for x in row[1:4])]
    for value in (*shares, scores.loss):
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"{str(value)[:40]!r} is no number")
    if not all(0 <= value <= 1 for value in shares):
        raise ValueError("a share that is not in 0..1")
    if not all(type(count) is int and count >= 0 for count in (scores.num_examples, *(row.support for row in rows))):
        raise ValueError("a number of images that is none")
    return scores
