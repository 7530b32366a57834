"""A command that several processes run together: how it begins, and how all of them end."""

import contextlib
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from foodjax.system import join, signals
from foodjax.system.errors import UserError, first_line
from foodjax.system.signals import Interrupted
from foodjax.system.watch import Watch

# What JAX, gloo and NCCL say in the other processes when one has died.
_OF_ANOTHER = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED", "Connection", "barrier")


@contextlib.contextmanager
def together(place: join.Place | None, tell: Callable[[Any], int], *, sigterm_status: int) -> Iterator[None]:
    """Context manager of a command that several processes run. When one of them fails or dies, all end.

    Args:
        place: of this process; None: it is alone, and nothing is done.
        tell: prints the line of a UserError or a MemoryError, and returns the exit status.
        sigterm_status: of all processes after SIGTERM to one of them.

    Raises:
        UserError: the others do not come, or were started otherwise.
    """
    if place is None:
        yield
        return
    joined = join.join(place)
    watch = joined.watch
    signals.announce(lambda signum: watch.announce(sigterm_status if signum == signals.SIGTERM else 128 + signum))
    try:
        yield
    except Interrupted:  # in all processes at the same step
        joined.leave()
        raise
    except BaseException as error:
        _end(watch, error, tell)
    joined.leave()


def _end(watch: Watch, error: BaseException, tell: Callable[[Any], int]) -> None:
    """Ends the process, and with it the others."""
    if any(word in str(error) for word in _OF_ANOTHER):
        watch.wait_for_end()

    def told() -> int:
        if isinstance(error, UserError | MemoryError):
            return tell(error)
        traceback.print_exception(error)
        return 1

    watch.fail(told, first_line(error) if isinstance(error, Exception) else type(error).__name__)
