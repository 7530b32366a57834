"""Why a comparison of two variants is unfair, or means nothing: other photographs, code, machines and draws."""

from typing import Any

from foodjax.config.check import difference, not_identity
from foodjax.study import fold_runs, same_photographs
from foodjax.study.results import MADE_WITH, RunResult
from foodjax.system.errors import UserError

# Keys in which the seeds of a variant may differ. A run may go on with more patience, but a seed that had more is no
# repetition of the others.
_MAY_DIFFER = {*not_identity(), "name", "seed", "data.decoding"} - {"train.patience"}
_FOLDS_MAY_DIFFER = _MAY_DIFFER | {"data.fold", "data.fold_seed"}


def flags_of(group: list[RunResult], base: list[RunResult]) -> list[str]:
    """Returns why a variant's comparison with the baseline is unfair; "not compared" where a test would be meaningless.

    Args:
        group: the variant's runs.
        base: the baseline's.

    Raises:
        UserError: runs of the variant differ in more than their draws.
    """
    flags, counts = [], [fold_runs.num_folds(runs[0]) for runs in (group, base)]
    for run in group[1:]:
        # Older versions decoded otherwise; where the pixels show that, they are flagged below.
        in_folds = counts[0] and fold_runs.num_folds(run) == counts[0]
        found = difference(group[0].config, run.config, ignore=_FOLDS_MAY_DIFFER if in_folds else _MAY_DIFFER)
        if found:
            raise UserError(f"{group[0].workdir} and {run.workdir} have the same label but differ: {found}")
    if counts[0] != counts[1]:
        return [f"not compared: {fold_runs.words(counts[0])}, the baseline has {fold_runs.words(counts[1])}"]
    draws, others = ({fold_runs.unit_of(run) or run.config.seed for run in runs} for runs in (group, base))
    if draws != others:
        flags.append(f"{'folds' if counts[0] else 'seeds'} {_list(draws)}, the baseline's are {_list(others)}")
    pairs = _pairs(group, base)
    for run, other in pairs:
        truth = {i: true for i, (true, _) in same_photographs.align(run, other).items()}
        known = {i: true for i, (true, _) in other.predictions.items()}
        if truth != known or same_photographs.is_other(run, other, "test"):
            flags.append(f"not compared: other {'photographs in a fold' if counts[0] else 'test images'}")
            return flags + _other_parts(pairs, ("train", "validation")) + _made_otherwise(group, base)
    return flags + _other_parts(pairs, ("train", "validation", "test")) + _made_otherwise(group, base)


def _pairs(group: list[RunResult], base: list[RunResult]) -> list[tuple[RunResult, RunResult]]:
    """Returns each run with the baseline's that has its photographs: the first, or the first on its fold."""
    if not fold_runs.num_folds(base[0]):
        return [(run, base[0]) for run in group]
    known = fold_runs.by_unit(base)
    return [(run, known[unit][0]) for unit, runs in fold_runs.by_unit(group).items() if unit in known for run in runs]


def _other_parts(pairs: list[tuple[RunResult, RunResult]], parts: tuple[str, ...]) -> list[str]:
    """Returns a remark for each part with other photographs, or with the same ones as other pixels."""
    flags = []
    for part in parts:
        if any(same_photographs.differ(run, other, part) for run, other in pairs):
            flags.append(f"other {part} images")
        elif any(same_photographs.have_other_pixels(run, other, part) for run, other in pairs):
            others = (_other_input(run, other) for run, other in pairs)
            flags.append(f"{next(filter(None, others), 'not compared: other pixels')} ({part})")
    return flags


def _made_otherwise(group: list[RunResult], base: list[RunResult]) -> list[str]:
    """Returns a remark for each thing but the photographs that the runs of a variant and the baseline differ in."""
    flags, first = [], base[0]
    for name in MADE_WITH:
        if any(run.made_with[name] != first.made_with[name] for run in group):
            flags.append(f"other {name}")
    epochs = {run.config.train.epochs for run in group}
    if epochs != {run.config.train.epochs for run in base}:
        flags.append(f"train.epochs {_list(epochs)}")
    return flags


def _other_input(run: RunResult, first: RunResult) -> str:
    """Returns how the pictures of one run were prepared otherwise than those of another; "" if alike."""
    ours, theirs = run.config.data, first.config.data
    if (ours.image_size, ours.resize) != (theirs.image_size, theirs.resize):
        return "other input size"
    if ours.geometry != theirs.geometry:
        return "other geometry"
    return "other decoding" if ours.decoding != theirs.decoding else ""


def _list(values: set[Any]) -> str:
    return ", ".join(map(str, sorted(values)))
