"""UserError, the only exception for a user's mistake, and the first line of a library's error for its message."""


class UserError(Exception):
    """A mistake of the user: a value, a file or an option that cannot be used.

    The message is one line that says what was given and what is needed; the command line prints it without a traceback.
    """


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, at most 200 characters; without one the name of its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
