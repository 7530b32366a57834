"""Tests of the difference between two variants: over seeds and images, or over images for one network each.

Over seeds and images: whether seed s of a variant predicts image i right is a mean, an effect of the seed, an effect of
the image and a residual. New seeds and new test images would give another difference, so both are random effects; the
variance of the difference is that of the seeds' means and that of the images' differences, less the residual, which
both contain. Its degrees of freedom are Satterthwaite's (1946), as in Clark (1973) and, without the images, in Welch
(1947). docs/statistics.md says how often it errs on simulated runs.

Over images: McNemar's exact test (1947) and the interval of Bonett & Price (2012), for two networks as they are.

Over folds: the trainings of a cross-validation share most of their photographs, so their accuracies rise and fall
together, and the variance of their mean is larger than that of as many independent ones. The corrected resampled t
test of Nadeau & Bengio (Inference for the Generalization Error, Machine Learning 2003) takes s^2 (1 / J + q) for it,
with J folds and q photographs in a fold for each one outside, which trains; Bouckaert & Frank (2004) use it for
repeated cross-validation.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

MIN_SEEDS = 3  # of each variant: two have one degree of freedom
MIN_FOLDS = 3
MIN_PAIRS = 5  # with fewer seeds a correlation cannot be shown
PAIR_LEVEL = 0.01  # one-sided, of the correlation between the seeds of two variants


class Difference(NamedTuple):
    """The difference between two variants; arrays with the leading shape of the input.

    Attributes:
        mean: accuracy of ours minus theirs, as a fraction.
        low: lower end of the 95 % interval.
        high: upper end.
        p: two-sided.
        paired: whether seeds were paired.
    """

    mean: Any
    low: Any
    high: Any
    p: Any
    paired: Any


class _Parts(NamedTuple):
    """What a variant's table of seeds and images contributes: means of seeds and of images, variance of the rest."""

    seeds: np.ndarray  # (..., S)
    images: np.ndarray  # (..., N)
    residual: np.ndarray  # (...), of one prediction


def over_seeds(ours: np.ndarray, theirs: np.ndarray, *, same_seeds: bool) -> Difference:
    """Tests whether two variants differ over new seeds and new images.

    Seeds are paired only where their correlation is shown (`PAIR_LEVEL`), which takes `MIN_PAIRS` of them: pairing
    halves the degrees of freedom, and without a correlation nothing is won by it.

    Args:
        ours: (..., S, N) whether each of our seeds predicts each image right, 0..1.
        theirs: (..., T, N) the same for the baseline.
        same_seeds: whether row k has the same seed in both.

    Raises:
        ValueError: a variant has fewer than `MIN_SEEDS` seeds.
    """
    num_seeds, num_images = ours.shape[-2:]
    if min(num_seeds, theirs.shape[-2]) < MIN_SEEDS:
        raise ValueError(f"{num_seeds} and {theirs.shape[-2]} seeds: needs at least {MIN_SEEDS} of each variant")
    a, b = _parts(ours), _parts(theirs)
    mean = a.seeds.mean(-1) - b.seeds.mean(-1)
    # No smaller than with a single image that differs: accuracies have no finer steps.
    of_images = np.maximum((a.images - b.images).var(-1, ddof=1) / num_images, num_images**-2.0)
    variance, degrees = _variance(of_images, [a, b])
    paired = np.zeros(mean.shape, bool)
    if same_seeds and num_seeds >= MIN_PAIRS:
        paired = _correlated(a.seeds, b.seeds)
        if paired.any():
            in_pairs = _variance(of_images, [_parts(ours - theirs)])
            variance, degrees = np.where(paired, in_pairs, (variance, degrees))
    error = np.sqrt(variance)
    half = special.stdtrit(degrees, 0.975) * error
    p = 2 * special.stdtr(degrees, -np.abs(mean) / error)
    return Difference(mean, np.maximum(-1, mean - half), np.minimum(1, mean + half), p, paired)


def _parts(right: np.ndarray) -> _Parts:
    num_seeds, num_images = right.shape[-2:]
    seeds, images = right.mean(-1), right.mean(-2)
    squares = np.einsum("...si,...si->...", right, right, dtype=np.float64)
    squares -= num_images * (seeds**2).sum(-1) + num_seeds * (images**2).sum(-1)
    squares += num_seeds * num_images * seeds.mean(-1) ** 2
    return _Parts(seeds, images, np.maximum(squares, 0) / ((num_seeds - 1) * max(num_images - 1, 1)))


def _variance(of_images: np.ndarray, parts: list[_Parts]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the variance of the mean difference and its degrees of freedom.

    Args:
        of_images: (...) variance of the mean over images.
        parts: of both variants, or of their differences by seed.
    """
    num_images = parts[0].images.shape[-1]
    of_seeds = [part.seeds.var(-1, ddof=1) / part.seeds.shape[-1] for part in parts]
    residual = sum(part.residual / (part.seeds.shape[-1] * num_images) for part in parts)
    both = np.sum(of_seeds, axis=0)
    variance = np.maximum(np.maximum(of_images, both), of_images + both - residual)
    squares = of_images**2 / max(num_images - 1, 1)
    for part, one in zip(parts, of_seeds, strict=True):
        squares = squares + one**2 / (part.seeds.shape[-1] - 1)
    return variance, variance**2 / squares


def _correlated(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Returns whether the means of the same seeds, (..., S), are shown to rise together in both variants."""
    a, b = (x - x.mean(-1, keepdims=True) for x in (ours, theirs))
    norm = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    r = np.divide((a * b).sum(-1), norm, out=np.zeros_like(norm), where=norm > 0)
    degrees = ours.shape[-1] - 2
    t = r * np.sqrt(degrees / np.maximum(1 - r**2, 1e-12))
    return special.stdtr(degrees, -t) < PAIR_LEVEL


def over_images(ours: np.ndarray, theirs: np.ndarray) -> Difference:
    """Tests whether two networks differ over new images; of other seeds of the same variants it says nothing.

    Args:
        ours: (N,) whether our network predicts each image right.
        theirs: (N,) the same for the other.
    """
    wins, losses = int((ours > theirs).sum()), int((ours < theirs).sum())
    p = min(1.0, 2 * float(special.bdtr(min(wins, losses), wins + losses, 0.5))) if wins + losses else 1.0
    # Bonett & Price: one more image on each side.
    total = len(ours) + 2
    centre, apart = (wins - losses) / total, (wins + losses + 2) / total
    half = 1.959964 * np.sqrt((apart - centre**2) / total)
    mean = (wins - losses) / len(ours)
    return Difference(mean, max(-1.0, float(centre - half)), min(1.0, float(centre + half)), p, False)


def over_folds(ours: np.ndarray, theirs: np.ndarray, *, tested: float, images: int) -> Difference:
    """Tests whether two variants differ over new training sets and new photographs, fold by fold.

    Args:
        ours: (..., J) our accuracy on each fold, 0..1.
        theirs: (..., J) the baseline's, on the same folds.
        tested: photographs in a fold for each one outside it: 1 / (n - 1) of n folds.
        images: in all folds together.

    Raises:
        ValueError: there are fewer than `MIN_FOLDS` folds.
    """
    mean, half, p = _of_folds(ours - theirs, tested, images)
    return Difference(mean, np.maximum(-1, mean - half), np.minimum(1, mean + half), p, np.ones(mean.shape, bool))


def of_folds(accuracies: np.ndarray, *, tested: float, images: int) -> tuple[Any, Any]:
    """Returns the 95 % interval of a variant's accuracy after a training on as many photographs, (...) each.

    Args:
        accuracies: (..., J) on each fold, 0..1.
        tested: as for `over_folds`.
        images: in all folds together.

    Raises:
        ValueError: there are fewer than `MIN_FOLDS` folds.
    """
    mean, half, _ = _of_folds(accuracies, tested, images)
    return np.maximum(0, mean - half), np.minimum(1, mean + half)


def _of_folds(values: np.ndarray, tested: float, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the mean over folds, half of its 95 % interval, and p of a mean of 0."""
    count = values.shape[-1]
    if count < MIN_FOLDS:
        raise ValueError(f"{count} folds: needs at least {MIN_FOLDS}")
    mean = values.mean(-1)
    # No smaller than with a single image that differs: accuracies have no finer steps.
    error = np.sqrt(np.maximum(values.var(-1, ddof=1) * (1 / count + tested), images**-2.0))
    return mean, special.stdtrit(count - 1, 0.975) * error, 2 * special.stdtr(count - 1, -np.abs(mean) / error)


def wins(ours: np.ndarray, theirs: np.ndarray, *, paired: bool) -> tuple[Any, Any, Any]:
    """Estimates the probability that ours beats theirs on a new seed of each (Bouthillier et al. 2021).

    The estimate is the share of pairs of seeds that ours wins, ties counted as halves: of all pairs (the statistic of
    Mann & Whitney, with the variance of Newcombe 2006, method 5), or of the pairs of one seed (with that of Wilson
    1927). Both intervals are corrected for continuity by half a pair, without which they hold the true value too rarely
    with three seeds. They are for this test set: images are not sampled anew.

    Args:
        ours: (..., S) accuracies of our seeds.
        theirs: (..., T) of the baseline's.
        paired: whether row k of both is one pair.

    Returns:
        (the probability, lower and upper end of its 95 % interval), each (...).
    """
    if paired:
        share = (np.sign(ours - theirs).mean(-1) + 1) / 2
        pairs = overlap = ours.shape[-1]
    else:
        share = (np.sign(ours[..., :, None] - theirs[..., None, :]).mean((-2, -1)) + 1) / 2
        pairs, overlap = ours.shape[-1] * theirs.shape[-1], (ours.shape[-1] + theirs.shape[-1]) / 2

    def deviation(theta: np.ndarray) -> np.ndarray:
        more = 0.0 if paired else (overlap - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return np.sqrt(theta * (1 - theta) / pairs * (1 + more))

    def lowest(share: np.ndarray) -> np.ndarray:
        """Returns the smallest theta whose own 1.96 deviations reach the share, by bisection."""
        low, high = np.zeros_like(share), np.array(share)
        for _ in range(50):
            middle = (low + high) / 2
            outside = share - middle - 0.5 / pairs > 1.959964 * deviation(middle)
            low, high = np.where(outside, middle, low), np.where(outside, high, middle)
        return high

    return share, lowest(share), 1 - lowest(1 - share)


def holm(values: list[float]) -> list[float]:
    """Returns p-values of tests against one baseline, adjusted after Holm (1979): the chance of any false one <= p."""
    order, adjusted, largest = np.argsort(values, kind="stable"), [0.0] * len(values), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[k]))
        adjusted[k] = largest
    return adjusted
