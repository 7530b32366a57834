"""The verb inspect: shows the data of an experiment before training."""

from foodjax.commands.verb import Given, Verb


def _run(given: Given) -> None:
    from foodjax.report import inspect as report_inspect

    report_inspect.inspect_workdir(given.config, given.workdir)


VERB = Verb(
    "inspect",
    "shows the data before training: photographs, channels, augmented versions, counts; a page in WORKDIR/inspect/",
    _run,
    "file",
    ("foodjax inspect --config food10 --config.data.dir=food-101",),
    address_space=1,
)
