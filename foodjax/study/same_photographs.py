"""Whether two runs have the same photographs: by the digests of their files, or by names and pixels in older runs."""

from foodjax.study.results import RunResult


def differ(run: RunResult, other: RunResult, part: str) -> bool:
    """Returns whether two runs have other photographs in a part, as far as their records say."""
    return is_other(run, other, part) if _have(run, other, part, "content") else not _agree(run, other, part, "ids")


def is_other(run: RunResult, other: RunResult, part: str) -> bool:
    """Returns whether a part is known to have other photographs, whatever their names."""
    if not _have(run, other, part, "content") or _agree(run, other, part, "content"):
        return False
    return not (_agree(run, other, part, "ids") and _agree(run, other, part, "pixels"))


def have_other_pixels(run: RunResult, other: RunResult, part: str) -> bool:
    """Returns whether the photographs of a part were prepared as other pixels; of renamed ones that is not known."""
    return _agree(run, other, part, "ids") and not _agree(run, other, part, "pixels")


def _have(run: RunResult, other: RunResult, part: str, name: str) -> bool:
    return name in run.data[part] and name in other.data[part]


def _agree(run: RunResult, other: RunResult, part: str, name: str) -> bool:
    ours, theirs = run.data[part], other.data[part]
    return (ours["images"], ours[name]) == (theirs["images"], theirs[name])


def align(run: RunResult, other: RunResult) -> dict[str, tuple[str, str]]:
    """Returns the predictions of a run by the ids that another run gives to the same photographs."""
    same = _have(run, other, "test", "content") and _agree(run, other, "test", "content")
    ours, theirs = _by_file(run), _by_file(other)
    if not same or not ours or not theirs:
        return run.predictions
    return {their_id: run.predictions[our_id] for their_id, our_id in zip(theirs, ours, strict=True)}


def _by_file(run: RunResult) -> list[str]:
    """Returns the ids of the predictions, sorted by the files and their classes; none where the files are unknown."""
    if run.predictions.keys() != run.files.keys():
        return []
    return sorted(run.predictions, key=lambda i: (run.files[i], run.predictions[i][0], i))
