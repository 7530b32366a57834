"""Flags of the verbs that several processes may run together, and the place of this process among them."""

from foodjax.commands.arguments import Command
from foodjax.commands.verb import Flag, integer
from foodjax.system import join

FLAGS = (
    Flag("coordinator", "HOST:PORT", "of several processes: where the first one listens; srun gives it"),
    Flag("processes", "N", "number of processes that run this command together", None, integer(1)),
    Flag("process", "I", "number of this one, 0 to N - 1", None, integer(0)),
)


def place_of(command: Command) -> join.Place | None:
    """Returns the place that flags or the environment give this process; None: it is alone.

    Raises:
        UserError: one of them is missing, or is no possible value.
    """
    if FLAGS[0] not in command.verb.flags:
        return None
    flags = command.flags
    return join.find(flags.coordinator, flags.processes, flags.process)
