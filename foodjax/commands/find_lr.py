"""The verb find_lr: runs the learning-rate range test of an experiment."""

from foodjax.commands.verb import Given, Verb


def _run(given: Given) -> None:
    from foodjax.run import find_lr as run_find_lr

    run_find_lr.find_lr(given.config, given.workdir.with_name(f"{given.workdir.name}-find_lr"))


VERB = Verb(
    "find_lr",
    "raises the learning rate step by step, draws the loss and suggests a rate; writes WORKDIR-find_lr/",
    _run,
    "file",
    ("foodjax find_lr --config food10_fast --config.data.dir=food-101",),
)
