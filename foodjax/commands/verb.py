"""What a verb of the command line declares: its flags, its help, and the function that runs it.

Imports little: the program asks for the name of its verb before it loads anything else.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from foodjax.system.files import to_path

# Verbs that the same command continues after SIGTERM: for them such an end is no failure.
CONTINUED = ("train", "probe", "sweep")


def end_of(verb: str) -> str:
    """Returns what a verb says that a signal ends at once."""
    if verb in CONTINUED:
        return "interrupted; the same command continues"
    return "the server has ended" if verb == "serve" else "interrupted"


def split_verb(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns (verbs, the other words) of a command line without the program.

    A verb is the first word, unless that is a flag, and the value of each --mode, "" where it lacks one.
    """
    rest = list(words)
    verbs = [rest.pop(0)] if rest and not rest[0].startswith("-") else []
    others = []
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if flag not in ("--mode", "-mode"):
            others.append(word)
        else:
            verbs.append(value if equals else rest.pop(0) if rest else "")
    return [verb.replace("-", "_") for verb in verbs], others


def name_of_verb(words: Sequence[str]) -> str:
    """Returns the verb of a command line without the program; "train" where it has none."""
    return [*split_verb(words)[0], "train"][0]


class Flag(NamedTuple):
    """A flag of a verb.

    Attributes:
        name: without dashes.
        metavar: word for its value in the help; "" for a switch, which has none.
        help: a line, without its default.
        default: its value where it is not given.
        read: makes the value of a text; raises ValueError with what is needed.
        needed: for a flag that the verb cannot do without: what its value is.
        many: takes several values, and the words without a flag too.
    """

    name: str
    metavar: str
    help: str
    default: Any = None
    read: Callable[[str], Any] = str
    needed: str = ""
    many: bool = False


class Given(NamedTuple):
    """What a command was given.

    Attributes:
        config: the experiment, checked; None where the verb's `config` is "none".
        workdir: of the run; None where the verb's `config` is "none".
        flags: values of the verb's flags, as attributes.
        origin: where the config is from: "config", the experiment with its variant or None, and "overrides", a dict.
    """

    config: Any
    workdir: Any
    flags: Any
    origin: dict[str, Any]


class Verb(NamedTuple):
    """A verb: `foodjax NAME`.

    Attributes:
        name: the verb.
        help: what it does, in a line.
        run: called with what was given; may return an exit status.
        config: "file": the experiment of --config; "stored": the workdir's config, with the overrides; "any": that of
            --config, else the workdir's; "none": neither.
        examples: commands, for the help.
        flags: besides --config and --workdir.
        experiment: value of --config where it is not given.
        address_space: GiB that it needs at least, where the system limits them (ulimit -v); as measured with a small
            network. run/addresses.py knows what others need.
    """

    name: str
    help: str
    run: Callable[[Given], Any]
    config: Literal["file", "stored", "any", "none"]
    examples: tuple[str, ...]
    flags: tuple[Flag, ...] = ()
    experiment: str = ""
    address_space: int = 3

    def all_flags(self) -> tuple[Flag, ...]:
        """Returns the flags, --config and --workdir included."""
        if self.config == "none":
            return self.flags
        return (CONFIG._replace(default=self.experiment or None), WORKDIR[self.config], *self.flags)


CONFIG = Flag("config", "EXPERIMENT", "a packaged experiment, such as food10, or a file; :VARIANT may follow")
WORKDIR = {
    "file": Flag("workdir", "DIR", "folder of the run (default: runs/NAME, as the experiment is called)"),
    "stored": Flag("workdir", "DIR", "folder of the run; or runs/NAME of --config"),
    "any": Flag("workdir", "DIR", "folder of a run, without --config: its own config"),
}


def parts_of(texts: Iterable[str]) -> list[str]:
    """Splits each text at its commas, unless it is a file or a folder that exists."""
    return [part for text in texts for part in ([text] if to_path(text).exists() else text.split(",")) if part]


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Returns a function that reads an integer in [low, high]."""
    needs = f"an integer >= {low}" if high is None else f"an integer in [{low}, {high}]"

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(needs) from None
        if value < low or (high is not None and value > high):
            raise ValueError(needs)
        return value

    return read
