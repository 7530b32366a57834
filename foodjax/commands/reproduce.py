"""The verb reproduce: runs a finished run again and compares the results."""

from foodjax.commands.verb import Flag, Given, Verb
from foodjax.system.files import to_path


def _run(given: Given) -> int:
    """Returns the exit status: 0 when both runs have the same results."""
    from foodjax.study import reproduce as study_reproduce

    again = given.flags.output or given.workdir.with_name(given.workdir.name + "-again")
    return 0 if study_reproduce.reproduce(given.config, given.workdir, again, given.origin) else 1


VERB = Verb(
    "reproduce",
    "runs a finished run again and says whether the result is the same to the byte",
    _run,
    "stored",
    ("foodjax reproduce --workdir runs/food10",),
    (Flag("output", "DIR", "workdir of the new run (default: the workdir's name with -again)", read=to_path),),
)
