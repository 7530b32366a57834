"""The one error type that a user's mistake may cause."""


class UserError(Exception):
    """What the user gave cannot be used.

    The message is one line that says what was given and what is needed; `main.py` prints it without a traceback.
    """
