"""Unreadable: why a file of weights is refused, without the file's name; `source` makes it a UserError."""


class Unreadable(ValueError):
    """A file is damaged or refused. The message goes on after the file's name: "is damaged: ...", "holds ..."."""
