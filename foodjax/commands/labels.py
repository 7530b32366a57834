"""The verb labels: finds photographs whose label is likely wrong."""

from typing import TYPE_CHECKING

from foodjax.commands.verb import Flag, Given, Verb, integer
from foodjax.config.check import checked
from foodjax.system import files
from foodjax.system.files import PathLike, to_path

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from foodjax.config.keys import Config
    from foodjax.report.labels import Suspect


def labels(
    config: "Config | ConfigDict",
    workdir: PathLike,
    *,
    predictions: PathLike | None = None,
    count: int | None = None,
    output: PathLike | None = None,
) -> "list[Suspect]":
    """Finds photographs whose label is likely wrong, and writes a list and a page of them.

    Args:
        config: the experiment, or that of the run.
        workdir: folder of the run of a probe, whose features give out-of-fold probabilities; with `predictions`, where
            labels/ is written.
        predictions: table of out-of-fold predictions, in the place of a probe.
        count: photographs in the list; None: those that confident learning takes for wrong.
        output: folder of the files; None: labels/ in the workdir.

    Returns:
        The photographs, the likeliest wrong label first.

    Raises:
        UserError: the run, the table or the data cannot be used, or the folder has a list already.
    """
    from foodjax.report import labels as report_labels
    from foodjax.run import label_check

    config, workdir = checked(config), to_path(workdir)
    folder = workdir / "labels" if output is None else to_path(output)
    report_labels.check_output(folder)
    if output is None and workdir.exists():
        files.refuse_links(workdir)
    if predictions is not None:
        found = label_check.of_predictions(config, to_path(predictions))
        how = "The probabilities are those of a table of predictions by networks that have not seen the photographs."
    else:
        found = label_check.of_run(config, workdir)
        how = (
            f"Linear classifiers predict the photographs of one fold each, on features of "
            f"{config.model.backbone or 'a network'}, and have seen those of the other {int(max(found.folds))} folds; "
            f"duplicates are in one fold."
        )
    return report_labels.write(found, config, folder, how, count, with_predictions=predictions is None)


def _run(given: Given) -> None:
    flags = given.flags
    labels(given.config, given.workdir, predictions=flags.predictions, count=flags.count, output=flags.output)


VERB = Verb(
    "labels",
    "finds photographs whose label is likely wrong: labels.csv, and a page of them in WORKDIR/labels/",
    _run,
    "any",
    (
        "foodjax labels --workdir runs/food10_probe",
        "foodjax labels --config food10 --predictions out_of_fold.csv --count 50",
        "foodjax probe --config food10_probe --config.data.exclude=exclude.csv --workdir runs/without",
    ),
    (
        Flag(
            "predictions", "FILE", "table of predictions by networks that have not seen the photographs", read=to_path
        ),
        Flag("count", "N", "photographs in the list (default: those that are likely wrong)", read=integer(1)),
        Flag("output", "FOLDER", "gets the files in the place of WORKDIR/labels", read=to_path),
    ),
)
