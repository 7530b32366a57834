"""The program: `foodjax`, `python -m foodjax` and `python main.py`."""

import signal
import sys

from foodjax.commands.verb import CONTINUED, end_of, name_of_verb
from foodjax.system.errors import UserError
from foodjax.system.malloc import tune_malloc
from foodjax.system.output import OutputClosed, watch_output
from foodjax.system.signals import end_at_once, held


def start() -> None:
    """Runs the command of sys.argv and ends the process with its status.

    Without a reader of its output a training goes on; other verbs end with 141.
    """
    verb = name_of_verb(sys.argv[1:])
    continued = verb in CONTINUED
    end_at_once(sigterm_status=0 if continued else 128 + signal.SIGTERM, line=end_of(verb))
    if verb != "serve":  # a server returns memory to the system, see return_large_blocks
        with held():  # the program that starts again takes a signal of this moment with its own handlers
            tune_malloc()  # before anything large is loaded
    watch_output(goes_on=continued)
    from foodjax import cli
    from foodjax.system.console import fail

    try:
        status = cli.main(sys.argv)
        sys.stdout.flush()
    except OutputClosed:
        status = 141  # 128 + SIGPIPE, as of a program that the system ends
    except UserError as error:  # of the last lines, which are written here
        fail(str(error))
        status = 2
    sys.exit(status)


if __name__ == "__main__":
    start()
