"""Help: the list of verbs, and what `foodjax help TOPIC` says of a verb, a key, a group of keys or a variant."""

from collections.abc import Sequence
from typing import Any

from foodjax.commands.arguments import parser
from foodjax.commands.verb import Verb
from foodjax.config import experiments, replaced, values
from foodjax.config.blocks import KINDS
from foodjax.config.check import nearest
from foodjax.config.key import REQUIRED, Key, fields
from foodjax.config.keys import table
from foodjax.config.override import canonical
from foodjax.config.variants import OPTIONS
from foodjax.system.errors import UserError

_SCOPES = {
    "experiment": "part of the experiment: two runs of one experiment agree in it",
    "evaluation": "an evaluation may change it",
    "place": "a place, or how much of a machine is used: runs of one experiment may differ in it",
    "execution": "how far and how fast a run goes: runs of one experiment may differ in it",
}
_ABOUT = """usage: foodjax VERB [flags] [--config.KEY=VALUE ...]

Image classification in JAX and Flax. foodjax, python -m foodjax and python main.py are the same command.

verbs:
{verbs}
  help        explains a verb, a key of the config or a variant: foodjax help data.batch_size

foodjax VERB --help lists the flags of a verb. Without a verb, --config trains.

examples:
  foodjax train --config demo
  foodjax train --config food10:drop_block=4,lr=3e-4 --config.data.dir=food-101 --workdir runs/mine
  foodjax evaluate --workdir runs/mine

packaged experiments: {experiments}

  -h, --help  show this help
  --version   show the version
"""


def overview(verbs: Sequence[Verb]) -> str:
    """Returns the help of the program."""
    listed = "\n".join(f"  {verb.name:<11} {verb.help}" for verb in verbs)
    return _ABOUT.format(verbs=listed, experiments=", ".join(experiments.packaged()))


def topic(name: str, verbs: Sequence[Verb]) -> str:
    """Returns what there is to say of a topic; of "": all keys.

    Raises:
        UserError: there is no such topic.
    """
    if not name:
        return _rows("keys of a config, each with its default", table())
    for verb in verbs:
        if verb.name == name.replace("-", "_"):
            return parser(verb).format_help()
    key = canonical(name.removeprefix("--").removeprefix("config."))
    if key in table():
        return _key(key, table()[key])
    if name in OPTIONS:
        option = OPTIONS[name]
        return f"{name}: a variant, {option.meaning}\n  such as  --config food10:{name}={option.example}\n"
    if name in KINDS:
        return _rows(f"a block of kind {name} has the fields", fields(KINDS[name]))
    if name.startswith("model.blocks"):
        return f"model.blocks: the blocks of the network; foodjax help KIND, where KIND is one of {', '.join(KINDS)}\n"
    inside = {other: about for other, about in table().items() if other.startswith(f"{name}.")}
    if inside:
        return _rows(f"keys of {name}", inside)
    known = [verb.name for verb in verbs] + [*table(), *OPTIONS, *KINDS]
    raise UserError(
        f"no help for {name!r}{nearest(name, known)}: needs a verb, a key such as data.batch_size, or a variant"
    )


def _key(name: str, key: Key) -> str:
    lines = [f"{name}: {_meaning(key)}", f"  values   {key.rule.needs}", f"  default  {_shown(key.default)}"]
    lines.append(f"  set by   --config.{name}={values.spell(key.default)}")
    lines.append(f"  scope    {_SCOPES[key.scope]}")
    old = [was for was, new in replaced.BY.items() if new == name]
    if old:
        lines.append(f"  before   there were {' and '.join(old)} in its place, which are still understood")
    if key.was:
        lines.append(f"  before   its name was {key.was}, which is still understood")
    return "\n".join(lines) + "\n"


def _rows(title: str, keys: dict[str, Key]) -> str:
    width = max(map(len, keys))
    rows = [f"  {name:<{width}}  {_shown(key.default):<12}  {_meaning(key)}" for name, key in keys.items()]
    return "\n".join([f"{title}:", *rows]) + "\n"


def _meaning(key: Key) -> str:
    return f"{key.meaning} ({key.unit})" if key.unit else key.meaning


def _shown(value: Any) -> str:
    return "required" if value is REQUIRED else values.spell(value) or "empty"
