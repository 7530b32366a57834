"""How photographs differ from those of a run, in a few words: added, removed, replaced, moved, renamed classes."""

from collections import Counter
from collections.abc import Iterable, Sequence

from foodjax.data import identity
from foodjax.data.identity import Photograph
from foodjax.data.sets import Data
from foodjax.workdir.data_record import Recorded, all_of, excluded, groups, is_same, same_excluded, sets_of


def describe(recorded: Recorded, data: Data) -> str:
    """Returns how the photographs differ from those of a run, such as "2 added to train (first 'ring/9.jpg')"."""
    if not recorded.photographs:
        known, parts = recorded.digests, sets_of(data)
        changed = [part for part, of in parts.items() if not is_same(known[part], *of)]
        return ", ".join(of_digests(part, known[part]["images"], len(parts[part][1])) for part in changed)
    then, now, parts = {}, {}, all_of(data)
    for group in groups(data):
        then[group[0]] = [one for part in group for one in recorded.photographs[part]]
        now[group[0]] = [one for part in group for one in identity.photographs(*parts[part])]
    lines = [compare(then, now)]
    if not same_excluded(recorded, data):
        lines.append(f"data.exclude leaves out {_of_list(len(recorded.excluded), len(excluded(data)))}")
    return ", ".join(filter(None, lines))


def _of_list(then: int, now: int) -> str:
    return f"{now:,} photographs and left out {then:,}" if then != now else f"{now:,} other photographs"


def of_digests(part: str, then: int, now: int) -> str:
    """Returns how a part differs of which a run recorded digests of the whole alone, and the number of images."""
    if then != now:
        return f"{part} has {now:,} photographs and had {then:,}"
    return f"{part} has as many photographs, but others or under other names (an older foodjax recorded no more)"


def compare(then: dict[str, list[Photograph]], now: dict[str, list[Photograph]]) -> str:
    """Returns how photographs differ; "" where they are the same files in the same classes and parts.

    Args:
        then: part -> its photographs.
        now: the same, later.
    """
    gone = {part: _minus(then[part], now[part]) for part in then}
    new = {part: _minus(now[part], then[part]) for part in then}
    lines = _renamed_classes(then, now, gone, new)
    for source, left in gone.items():
        for target, come in new.items():
            if source != target and (moved := _take_pairs(left, come, lambda one: (one.class_name, one.digest))):
                lines.append(_line(moved, f"moved from {source} to {target}"))
    for source, left in gone.items():
        for target, come in new.items():
            if moved := _take_pairs(left, come, lambda one: one.digest):
                place = source if source == target else f"{source} and {target}"
                lines.append(_line(moved, f"with another class in {place}"))
    for part in then:
        if replaced := _take_pairs(gone[part], new[part], lambda one: (one.class_name, one.id)):
            lines.append(_line(replaced, f"replaced in {part}"))
        for found, words in ((new[part], "added to"), (gone[part], "removed from")):
            if found:
                lines.append(_line(found, f"{words} {part}"))
    return ", ".join(lines)


def _minus(some: Sequence[Photograph], others: Iterable[Photograph]) -> list[Photograph]:
    """Returns the photographs whose class and content the others do not have, as often as these lack them."""
    count, kept = Counter((one.class_name, one.digest) for one in others), []
    for one in some:
        count[one.class_name, one.digest] -= 1
        if count[one.class_name, one.digest] < 0:
            kept.append(one)
    return kept


def _take_pairs(gone: list[Photograph], new: list[Photograph], key) -> list[Photograph]:
    """Removes the photographs that have one key from both lists; returns those of the new one."""
    keys = Counter(map(key, gone)) & Counter(map(key, new))
    taken = []
    for found in (gone, new):
        left, kept, taken = Counter(keys), [], []
        for one in found:
            (taken if left[key(one)] > 0 else kept).append(one)
            left[key(one)] -= 1
        found[:] = kept
    return taken


def _renamed_classes(then, now, gone, new) -> list[str]:
    """Returns a line for each class that has another name now, and takes its photographs from both lists."""
    was, is_now = _contents(then), _contents(now)
    lines = []
    for name in sorted(was.keys() - is_now.keys()):
        other = next((c for c in sorted(is_now.keys() - was.keys()) if is_now[c] == was[name]), None)
        if other is not None:
            lines.append(f"the class {name!r} has the name {other!r} now")
            for found, label in ((gone, name), (new, other)):
                for part in found:
                    found[part][:] = [one for one in found[part] if one.class_name != label]
    return lines


def _contents(parts: dict[str, list[Photograph]]) -> dict[str, Counter]:
    found: dict[str, Counter] = {}
    for part, photographs in parts.items():
        for one in photographs:
            found.setdefault(one.class_name, Counter())[part, one.digest] += 1
    return found


def _line(found: list[Photograph], words: str) -> str:
    return f"{len(found):,} {words} ({'' if len(found) == 1 else 'first '}{min(one.id for one in found)!r})"
