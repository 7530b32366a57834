"""Failed seeds: runs that are no better than guessing, or far below the other seeds of their variant.

They stay in the comparison, since a variant that fails with one seed of three is not a good one; they are named, since
the mean says nothing then. A run fails by one of two rules:

- Guessing: its accuracy is within the noise of predictions that do not depend on the picture, and another run is
  clearly better. Such predictions are right with the probability sum_k t_k q_k, where t and q are the shares of class k
  among the true and the predicted classes (as in Cohen's kappa, 1960), whatever the number and sizes of the classes.
- Apart: its accuracy is below the one-sided prediction limit of its siblings, their mean - t s sqrt(1 + 1/n), at 1 %
  for all runs of the comparison together (Bonferroni). s pools the deviations within all variants. Two siblings alone
  do not show how far seeds lie apart: as if four more had been seen, two points and the binomial noise of an accuracy
  enter s, which is never below that noise. The lowest seed of each variant is put aside first, so that several failed
  ones do not hide each other, and comes back into the pool, the mildest first, until one is beyond the limit.
"""

import math
from collections import Counter
from typing import NamedTuple

from scipy import special

LEVEL = 0.01  # of a false flag "apart", in a comparison
USUAL, USUAL_DEGREES = 0.02, 4  # deviation over seeds that is assumed before any is seen, and its weight
FROM_GUESSING, FROM_BEST = 2.33, 4.0  # deviations: at most above guessing, at least below another run


class Scored(NamedTuple):
    """What the rules read of a run.

    Attributes:
        accuracy: on its test images, 0..1.
        guessing: expected accuracy of as many predictions of each class that ignore the picture; nan: unknown.
        num_images: of its test set.
    """

    accuracy: float
    guessing: float
    num_images: int

    @property
    def noise(self) -> float:
        """Binomial deviation of the accuracy; of at least one wrong image."""
        p = min(max(self.accuracy, 1 / self.num_images), 1 - 1 / self.num_images) if self.num_images > 1 else 0.5
        return math.sqrt(p * (1 - p) / self.num_images)


def scored(predictions: list[tuple[str, str]]) -> Scored:
    """Returns what the rules read of a run's predictions, (true class, predicted class)."""
    truth, predicted = (Counter(one) for one in zip(*predictions, strict=True))
    n = len(predictions)
    guessing = sum(count * predicted[name] for name, count in truth.items()) / n**2 if len(truth) > 1 else math.nan
    return Scored(sum(a == b for a, b in predictions) / n, guessing, n)


def find_failed(groups: list[list[Scored]]) -> list[dict[int, tuple[str, str]]]:
    """Returns for each variant: position of each failed run -> (what it did, compared to what)."""
    best = max((run for group in groups for run in group), key=lambda run: run.accuracy)
    failed: list[dict[int, tuple[str, str]]] = [
        {k: ("failed", ", no better than guessing") for k, run in enumerate(group) if _guesses(run, best)}
        for group in groups
    ]
    level = LEVEL / max(1, sum(map(len, groups)))
    while True:
        pool = [[k for k in range(len(group)) if k not in failed[g]] for g, group in enumerate(groups)]
        aside = [(g, min(ks, key=lambda k: groups[g][k].accuracy)) for g, ks in enumerate(pool) if len(ks) > 1]
        for g, k in aside:
            pool[g].remove(k)
        squares = [_squares(group, ks) for group, ks in zip(groups, pool, strict=True)]
        while aside:
            spread = sum(squares), sum(max(0, len(ks) - 1) for ks in pool)
            p, mildest = max((_apart(groups, pool, spread, g, k), (g, k)) for g, k in aside)
            if p < level:
                break
            aside.remove(mildest)
            g, k = mildest
            pool[g].append(k)
            squares[g] = _squares(groups[g], pool[g])
        for g, k in aside:
            siblings = sum(groups[g][i].accuracy for i in pool[g]) / len(pool[g])
            failed[g][k] = ("stands apart", f", its siblings {100 * siblings:.1f} %")
        if not aside:
            return failed


def _guesses(run: Scored, best: Scored) -> bool:
    if math.isnan(run.guessing):
        return False
    noise = math.sqrt(run.guessing * (1 - run.guessing) / run.num_images)
    return run.accuracy - run.guessing <= FROM_GUESSING * noise and best.accuracy - run.accuracy > FROM_BEST * run.noise


def _squares(group: list[Scored], positions: list[int]) -> float:
    """Returns the sum of squared deviations of some runs of a variant from their mean."""
    values = [group[k].accuracy for k in positions]
    mean = sum(values) / max(1, len(values))
    return sum((value - mean) ** 2 for value in values)


def _apart(groups: list[list[Scored]], pool: list[list[int]], spread: tuple[float, int], g: int, k: int) -> float:
    """Returns the probability of a run as low as run k of group g, which is not in the pool."""
    siblings = [groups[g][i].accuracy for i in pool[g]]
    mean, (squares, degrees) = sum(siblings) / len(siblings), spread
    noise = Scored(mean, math.nan, groups[g][k].num_images).noise
    total = degrees + USUAL_DEGREES
    s = max(noise, math.sqrt((squares + USUAL_DEGREES * (noise**2 + USUAL**2)) / total))
    t = (mean - groups[g][k].accuracy) / (s * math.sqrt(1 + 1 / len(siblings)))
    return float(special.stdtr(total, -t))
