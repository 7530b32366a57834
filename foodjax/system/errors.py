"""The one error type that a user's mistake may cause, and how a library's error becomes a part of its line."""


class UserError(Exception):
    """What the user gave cannot be used.

    The message is one line that says what was given and what is needed; `main.py` prints it without a traceback.
    """


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, at most 200 characters; its type's name when it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
