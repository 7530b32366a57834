"""The listing of a tree in any layout: a table of labels, Food-101's lists, or folders of parts and classes."""

from collections.abc import Callable
from typing import Any, NamedTuple

from foodjax.config.keys import Config
from foodjax.data.sources import food101
from foodjax.data.sources.base import PARTS, Example, Listing
from foodjax.data.sources.hold_out import hold_out
from foodjax.data.sources.labels import read_labels
from foodjax.data.sources.locate import WHOLE, Located, locate
from foodjax.data.sources.tree import Folder


class Options(NamedTuple):
    """What a config says about finding parts and classes, and what the photographs are for.

    Attributes:
        labels: path of a table of labels; "" for none.
        class_level: which folder below a part is the class; 0 finds out.
        test_fraction: share held out of train where there is no test part.
        everything: for an evaluation of photographs that are not the run's own: data without a test part is evaluated
            on its validation part, or on all of it.
        group: column of the table whose values are the groups of the examples; "" for none.
    """

    labels: str = ""
    class_level: int = 0
    test_fraction: float = 0.2
    everything: bool = False
    group: str = ""

    def of_pictures(self) -> tuple[Any, ...]:
        """Returns all but the group, which changes no picture: the identity of a listing's pictures."""
        return self[:-1]


def options_of(config: Config, *, everything: bool = False) -> Options:
    """Returns the options that a config names."""
    data = config.data
    return Options(data.labels, data.class_level, data.test_fraction, everything, data.group)


def list_tree(root: Folder, where: str, read: Callable[[str], bytes], options: Options) -> Listing:
    """Finds parts and classes; the locations of the examples are paths in the tree.

    Args:
        root: the tree.
        where: its path, for messages.
        read: returns the content of a file of the tree, or of the table of labels.
        options: how.

    Raises:
        UserError: nothing fits; the line says what was found and what is needed.
    """
    listing = _list(root, where, read, options)
    if root.own:
        more = f" and {len(root.own) - 1} more folders" if len(root.own) > 1 else ""
        note = f"{where}: left out {root.own[0]!r}{more}, written by foodjax"
        listing = listing._replace(notes=(*listing.notes, note))
    return listing


def _list(root: Folder, where: str, read: Callable[[str], bytes], options: Options) -> Listing:
    if options.labels:
        table = read(options.labels)
        return to_listing(read_labels(table, options.labels, root, where, options.group), where, options)
    if top := food101.find_layout(root):
        meta = top.folders["meta"]
        texts = {name: read(meta.inside(name)) for name in food101.lists_in(meta)}
        return food101.parse_meta(texts, top, where)
    return to_listing(locate(root, where, options.class_level), where, options)


def to_listing(found: Located, where: str, options: Any) -> Listing:
    """Makes train, validation and test of the parts that were found."""
    names = tuple(sorted({e.class_name for examples in found.parts.values() for e in examples}))
    parts: dict[str, list[Example]] = {part: list(found.parts.get(part, [])) for part in PARTS}
    whole, notes = found.parts.get(WHOLE, []), list(found.notes)
    if options.everything:
        if not parts["test"]:
            part = next((p for p in ("validation", WHOLE, "train") if found.parts.get(p)), WHOLE)
            parts["test"] = list(found.parts.get(part, []))
            notes.append(f"{where} has no test part: evaluated on {f'its {part} part' if part else 'all of it'}")
        return Listing(names, [], [], parts["test"], tuple(notes), tuple(found.unused))
    if not parts["test"] and (kept := whole or parts["train"]):
        parts["train"], parts["test"] = hold_out(kept, options.test_fraction)
        notes.append(
            f"{where} has {'no parts' if whole else 'no test part'}: {len(parts['test']):,} of {len(kept):,} "
            f"photographs are held out to test on, by their names (data.test_fraction={options.test_fraction:g})"
        )
    if parts["validation"]:
        notes.append(f"{where} has a validation part: {len(parts['validation']):,} photographs")
    return Listing(names, parts["train"], parts["validation"], parts["test"], tuple(notes), tuple(found.unused))
