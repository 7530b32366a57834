"""README, CONTRIBUTING.md and docs/*.md: links lead somewhere, and the commands exist."""

import re
import shlex

import pytest
from helpers import ROOT

from foodjax.cli import VERBS
from foodjax.commands import arguments
from foodjax.config import experiments
from foodjax.config.keys import table
from foodjax.config.override import canonical

PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
}


def anchors(text):
    """Returns the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_a_file_and_a_heading(name):
    folder = (ROOT / name).parent
    text = re.sub(r"```.*?```|`[^`]*\]\([^`]*`", "", PAGES[name], flags=re.S)  # code has no links
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        found = (folder / path).resolve() if path else ROOT / name
        assert found.is_file(), f"{name} links to {target}"
        assert not anchor or anchor in anchors(found.read_text()), f"{name} links to {target}"


def commands(text):
    """Yields the words of each command of foodjax in code, in blocks or within a sentence."""
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.S | re.M))
    lines = [re.sub(r"^\$ ", "", line) for line in blocks.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    for line in [*lines, *(" ".join(span.split()) for span in spans)]:
        for part in line.split(" && "):
            words = shlex.split(part, comments=True) if re.match(r"(\w+=\S+ )*foodjax \w", part) else []
            while words and words[0] != "foodjax":
                del words[0]  # a variable of the environment
            if len(words) > 1 and words[1] not in ("help", "VERB"):
                yield ["onnx" if word == "FORMAT" else word for word in words[1:]]


@pytest.mark.parametrize("name", PAGES)
def test_commands_have_a_verb_flags_keys_and_an_experiment_that_exist(name):
    keys = {*table(), "model.blocks"}
    for words in commands(PAGES[name]):
        command = arguments.read(words, VERBS)  # raises UserError at an unknown verb, flag or key
        for key, _ in command.overrides:
            assert any(canonical(key) == k or canonical(key).startswith(f"{k}[") for k in keys), f"{name}: {key}"
        experiment, _ = experiments.split_variant(getattr(command.flags, "config", None) or "demo")
        assert experiment.endswith(".py") or experiment in experiments.packaged(), f"{name}: {experiment}"


def test_readme_has_commands_of_the_verbs_that_a_newcomer_needs():
    used = {words[0] for words in commands(PAGES["README.md"])}
    assert {"train", "predict", "serve", "export"} <= used


def test_each_page_is_in_the_start_page_and_in_a_table_of_contents():
    index = PAGES["docs/index.md"]
    tables = "\n".join(re.findall(r"```{toctree}\n(.*?)```", index, re.S))
    listed = set(re.findall(r"^[\w*]+$", tables, re.M))
    for name in sorted(page.removeprefix("docs/").removesuffix(".md") for page in PAGES if page.startswith("docs/")):
        if name != "index":
            assert f"({name}.md)" in index, name
            assert name in listed or f"{name[0]}*" in listed, name
