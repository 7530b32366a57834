"""Reads a command line: the verb, its flags and the overrides --config.KEY=VALUE; refuses everything else in a line."""

import argparse
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

from foodjax.commands.verb import Flag, Verb, name_of_verb, split_verb
from foodjax.config.check import nearest
from foodjax.config.keys import table
from foodjax.config.override import canonical
from foodjax.system.errors import UserError

_OVERRIDE = re.compile(r"--(no)?config\.([^=]+)(=.*)?", re.DOTALL)
_WORD = "words"  # where argparse collects the words without a flag


class Command(NamedTuple):
    """A command line that was read.

    Attributes:
        verb: the verb.
        flags: values of its flags, as attributes.
        overrides: (key as it was typed, text of its value), in order.
        help: the help of the verb is wanted.
    """

    verb: Verb
    flags: SimpleNamespace
    overrides: list[tuple[str, str]]
    help: bool


def read(words: Sequence[str], verbs: Sequence[Verb]) -> Command:
    """Reads a command line.

    Args:
        words: of the command line, without the program.
        verbs: all that exist.

    Raises:
        UserError: names what cannot be used and what can.
    """
    given, rest = split_verb(words)
    if "" in given:
        raise UserError("--mode needs a verb, such as evaluate")
    if len(set(given)) > 1:
        raise UserError(f"the verb is {given[0]!r} and --mode is {given[1]!r}: needs one of them")
    name = name_of_verb(words)
    verb = next((verb for verb in verbs if verb.name == name), None)
    if verb is None:
        known = [verb.name for verb in verbs]
        raise UserError(f"{name!r} is no verb{nearest(name, known)}: needs one of {', '.join(known)}")
    rest, overrides = _split_overrides([_two_dashes(word) for word in rest])
    found, unknown = parser(verb).parse_known_intermixed_args(rest)
    if unknown:
        raise UserError(_refusal(unknown[0], verb, verbs))
    return Command(verb, _values(found, verb), overrides, found.help)


def parser(verb: Verb) -> argparse.ArgumentParser:
    """Returns the parser of a verb's flags; it also prints the verb's help."""
    made = _Parser(
        prog=f"foodjax {verb.name}", description=_sentence(verb.help), add_help=False, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.epilog = "examples:\n" + "\n".join(f"  {line}" for line in verb.examples)
    for flag in verb.all_flags():
        text = flag.help if flag.default in (None, "", (), False) else f"{flag.help} (default: {flag.default})"
        if not flag.metavar:
            made.add_argument(f"--{flag.name}", action="store_true", help=text)
        elif flag.many:
            made.add_argument(f"--{flag.name}", nargs="+", action="extend", metavar=flag.metavar, help=text)
            made.add_argument(_WORD, nargs="*", metavar=flag.metavar, help=f"the same as --{flag.name}")
        else:
            made.add_argument(f"--{flag.name}", metavar=flag.metavar, help=text)
    if verb.config != "none":
        made.add_argument(
            "--config.KEY", metavar="VALUE", dest="override",
            help="another value for a key of the config; foodjax help KEY says what it means, foodjax help lists all",
        )  # fmt: skip
    made.add_argument("-h", "--help", action="store_true", help="show this help")
    return made


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument "))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _two_dashes(word: str) -> str:
    """Makes --workdir of -workdir, which was possible once."""
    return f"-{word}" if re.match(r"-(no)?[a-z][\w.]+(=|$)", word) else word


def _split_overrides(words: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Splits off --config.KEY=VALUE, --config.KEY VALUE, and --config.KEY or --noconfig.KEY of a truth value."""
    rest, overrides, words = [], [], list(words)
    while words:
        word = words.pop(0)
        found = _OVERRIDE.fullmatch(word)
        if not found:
            rest.append(word)
            continue
        no, name, value = found.groups()
        key = table().get(canonical(name))
        if value is not None:
            overrides.append((name, value[1:]))
        elif no or (key and key.type is bool and not (words and words[0].lower() in ("true", "false"))):
            overrides.append((name, "false" if no else "true"))
        elif words and not words[0].startswith("--"):
            overrides.append((name, words.pop(0)))
        else:
            raise UserError(f"{word} needs a value: {word}=VALUE")
    return rest, overrides


def _refusal(word: str, verb: Verb, verbs: Sequence[Verb]) -> str:
    if not word.startswith("-"):
        if word in [one.name for one in verbs]:
            return f"unexpected argument {word!r}: the verb comes first, foodjax {word} ..."
        return f"unexpected argument {word!r}: overrides look like --config.train.epochs=2"
    name = word.partition("=")[0].lstrip("-")
    takers = [one.name for one in verbs if name in [flag.name for flag in one.all_flags()]]
    if takers:
        do = "does" if len(takers) == 1 else "do"
        return f"{verb.name} takes no --{name}: {', '.join(takers)} {do}"
    if canonical(name) in table():
        return f"--{name} is no flag: the key {canonical(name)} is set by --config.{name}=VALUE"
    known = [flag.name for flag in verb.all_flags()]
    hint = nearest(name, known).replace("'", "--", 1).replace("'", "")
    return f"--{name} is no flag of {verb.name}{hint}: needs one of {', '.join(f'--{flag}' for flag in known)}"


def _values(found: argparse.Namespace, verb: Verb) -> SimpleNamespace:
    """Returns the values of the flags, read from their texts."""
    values: dict[str, Any] = {}
    for flag in verb.all_flags():
        given = getattr(found, flag.name)
        if flag.many:
            given = [*(getattr(found, _WORD) or []), *(given or [])]
        values[flag.name] = flag.default if given is None or given == [] else _value(flag, given)
    return SimpleNamespace(**values)


def _value(flag: Flag, given: Any) -> Any:
    if isinstance(given, bool):
        return given
    try:
        return [flag.read(text) for text in given] if flag.many else flag.read(given)
    except ValueError as error:
        raise UserError(f"--{flag.name} is {given!r}: needs {error}") from None


def check_needs(command: Command) -> None:
    """Checks that the flags are there without which the verb cannot run.

    Raises:
        UserError: names the missing one.
    """
    for flag in command.verb.flags:
        if flag.needed and not getattr(command.flags, flag.name):
            raise UserError(f"{command.verb.name} needs --{flag.name}, {flag.needed}")
