"""Labels that are likely wrong: labels.csv, and a page of their photographs that makes a list for data.exclude."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.originals import Originals
from foodjax.evaluation.scores import COLUMNS
from foodjax.report import pictures, templating
from foodjax.run.label_check import Checked
from foodjax.system import files
from foodjax.system.cells import to_cell, to_csv
from foodjax.system.console import say
from foodjax.system.errors import UserError

FILE, PAGE, PREDICTIONS = "labels.csv", "labels.html", "predictions.csv"
HEADER = (
    "rank", "file", "part", "given", "suggested", "p_given", "p_suggested", "likely_wrong", "fold", "duplicate_of",
)  # fmt: skip
_ON_PAGE = 200  # photographs; labels.csv has all
_SIDE = 224  # of each, pixels


class Suspect(NamedTuple):
    """A photograph of labels.csv.

    Attributes:
        index: among those that were checked.
        rank: from 1, the likeliest wrong label.
        file: its path in the data.
        part: "train" or "validation", as the data has it.
        given: its class.
        suggested: the likeliest other class.
        p_given: probability of the given class.
        p_suggested: probability of the other one.
        is_found: whether confident learning takes the label for wrong.
        fold: that it was held out in; None where that is unknown.
        duplicate: PART/ID of the photograph that it repeats; "" if there is none.
    """

    index: int
    rank: int
    file: str
    part: str
    given: str
    suggested: str
    p_given: float
    p_suggested: float
    is_found: bool
    fold: int | None
    duplicate: str


def check_output(folder: Path) -> None:
    """Raises UserError where a folder has a list already, which somebody may have edited."""
    for name in (FILE, PAGE):
        if (folder / name).exists():
            raise UserError(f"{folder / name} exists already: needs another --output, or that you move it away")


def listed(checked: Checked, count: int | None = None) -> list[Suspect]:
    """Returns the photographs of labels.csv, the likeliest wrong label first.

    Args:
        checked: of `run.label_check`.
        count: how many; None: those that confident learning takes for wrong.
    """
    suspects, names = checked.suspects, checked.class_names
    order = suspects.order[suspects.is_found[suspects.order]] if count is None else suspects.order[:count]
    originals = checked.data.duplicates.originals if checked.data.duplicates else {}
    found = []
    for rank, i in enumerate(order.tolist(), start=1):
        place, given, other = checked.places[i], int(checked.labels[i]), int(suspects.suggested[i])
        found.append(
            Suspect(
                i,
                rank,
                checked.file(place),
                place.part,
                names[given],
                names[other],
                float(checked.probabilities[i, given]),
                float(checked.probabilities[i, other]),
                bool(suspects.is_found[i]),
                int(checked.folds[i]) if checked.folds[i] >= 0 else None,
                originals.get((place.part, checked.set_of(place).ids[place.row]), ""),
            )  # fmt: skip
        )
    return found


def write(
    checked: Checked, config: Config, folder: Path, how: str, count: int | None = None, *, with_predictions: bool
) -> list[Suspect]:
    """Writes labels.csv and labels.html.

    Args:
        checked: of `run.label_check`.
        config: names the photographs.
        folder: where they are written; it has none of them yet.
        how: a sentence: what the probabilities are of.
        count: photographs in labels.csv; None: those that confident learning takes for wrong.
        with_predictions: whether predictions.csv is written too, with all probabilities.

    Returns:
        The photographs of labels.csv.

    Raises:
        UserError: there is a list already, or it cannot be written.
    """
    check_output(folder)
    found = listed(checked, count)
    texts = {PREDICTIONS: _predictions(checked)} if with_predictions else {}
    texts |= {PAGE: to_page(checked, config, found, how), FILE: _table(found)}
    files.write_all(folder, texts)
    num_found, total = int(checked.suspects.is_found.sum()), len(checked.labels)
    say(f"{total:,} labels checked, {num_found:,} likely wrong ({num_found / total:.1%}); {len(found):,} in {FILE}")
    say(f"{FILE} and {PAGE} in {folder}; --config.data.exclude={folder / FILE} trains without those in it")
    return found


def _table(found: list[Suspect]) -> str:
    rows = [
        (s.rank, s.file, s.part, s.given, s.suggested, f"{s.p_given:.6f}", f"{s.p_suggested:.6f}",
         "yes" if s.is_found else "no", s.fold, s.duplicate)
        for s in found
    ]  # fmt: skip
    return to_csv(HEADER, rows)


def _predictions(checked: Checked) -> str:
    """Returns all out-of-fold probabilities, with the columns of an evaluation's predictions.csv and more."""
    names, rows = checked.class_names, []
    for place, label, probs, fold in zip(
        checked.places, checked.labels, checked.probabilities, checked.folds, strict=True
    ):
        best = int(np.argmax(probs))
        rows.append(
            (checked.set_of(place).ids[place.row], names[label], names[best], f"{probs[best]:.6f}", int(fold),
             *(f"{p:.6f}" for p in probs))
        )  # fmt: skip
    return to_csv((*COLUMNS, "fold", *names), rows)


def to_page(checked: Checked, config: Config, found: list[Suspect], how: str) -> str:
    """Returns the page as HTML; the arguments are those of `write` and `listed`."""
    shown, originals, uris = found[:_ON_PAGE], Originals(config), {}
    for part in {suspect.part for suspect in shown}:
        of = next(checked.set_of(place) for place in checked.places if place.part == part)
        rows = {s.index: checked.places[s.index].row for s in shown if s.part == part}
        read = originals.read(of, rows.values(), _SIDE)
        for index, row in rows.items():
            pixels = read[row] if row in read else pictures.enlarge(np.asarray(of.images[row]), _SIDE)
            uris[index] = pictures.photo_uri(pixels)
    pairs = Counter((s.given, s.suggested) for s in found)
    return templating.render(
        "labels.html.j2",
        name=config.name,
        total=len(checked.labels),
        found=int(checked.suspects.is_found.sum()),
        listed=len(found),
        shown=len(shown),
        accuracy=checked.accuracy,
        how=how,
        missing=originals.sentence(),
        suspects=[
            s._asdict()
            | {"uri": uris[s.index], "cell": to_cell(s.file)}
            | {"p_given": f"{s.p_given:.1%}", "p_suggested": f"{s.p_suggested:.1%}"}
            for s in shown
        ],
        pairs=[(*classes, number) for classes, number in pairs.most_common()],
    )
