"""The model card of an exported folder: README.md, with the front matter that the Hugging Face hub reads.

It says what the run knows. What the run does not have is said to be missing; the licence is the user's to choose.
"""

import re
import shlex
from pathlib import PurePath
from typing import Any

import jax

from foodjax.config.keys import Config
from foodjax.evaluation.scores import cells
from foodjax.exchange.known import Known
from foodjax.exchange.markup import block, code, markdown, yaml
from foodjax.exchange.scripts import name_of
from foodjax.exchange.served import Served
from foodjax.models.weights.hub import PREFIX
from foodjax.system.version import version

_GEOMETRIES = {
    "stretch": "both sides are resized to {side} pixels, whatever the photograph's shape",
    "crop": "the middle square is cut out and resized to {side} pixels",
    "pad": "the long side is resized to {side} pixels, and the rest of the square is grey (128, 128, 128)",
}
_PARTS = {"train": "training", "validation": "validation", "test": "test"}


def to_card(served: Served, known: Known) -> str:
    """Returns README.md of a network.

    Args:
        served: the network.
        known: the facts of its run.
    """
    sections = {
        "": _opening(served),
        "Licence": _LICENCE,
        "How to use it": _use(served),
        "Accuracy": _accuracy(served.config, known),
        "Calibration": _calibration(served, known),
        "Data": _data(served.config, known),
        "How it sees a photograph": _seeing(served.config),
        "Limits": _limits(served, known),
        "Training": _training(served, known),
    }
    texts = [f"## {title}\n\n{text}" if title else text for title, text in sections.items()]
    return _front(served, known) + "\n\n" + "\n\n".join(texts) + "\n"


_LICENCE = (
    "Not chosen yet: the field `license` in the first lines of this file is yours to fill, for example\n"
    "`license: mit`. Weights that this network started from, and photographs, have licences of their own."
)


def _front(served: Served, known: Known) -> str:
    """Returns the front matter, YAML between two lines of dashes."""
    config, name = served.config, yaml(served.config.name)
    lines = ["# license: yours to choose", "library_name: foodjax", "pipeline_tag: image-classification"]
    lines += ["tags:", "- foodjax", "- jax", "- flax", "- image-classification"]
    origin = known.weights.get("origin", "")
    if origin.startswith(PREFIX):
        lines.append(f"base_model: {yaml(origin.removeprefix(PREFIX).split('@')[0])}")
    if known.scores:
        data = _data_name(config)
        slug = re.sub(r"[^a-z0-9_.-]+", "-", data.lower()).strip("-.") or "photographs"
        lines += [
            "model-index:", f"- name: {name}", "  results:", "  - task:", "      type: image-classification",
            "      name: Image Classification", "    dataset:", f"      type: {yaml(slug)}",
            f"      name: {yaml(data)}", "      split: test", "    metrics:",
        ]  # fmt: skip
        for metric, words, value in (
            ("accuracy", "test accuracy", known.scores.accuracy),
            ("loss", "mean cross-entropy, nats", known.scores.loss),
            ("ece", "expected calibration error, ten bins", known.scores.calibration_error),
        ):
            # Six decimals: YAML 1.1 reads 1e-05 as a text.
            lines += [f"    - type: {metric}", f"      name: {words}", f"      value: {value:.6f}"]
    return "\n".join(["---", *lines, "---"])


def _opening(served: Served) -> str:
    model, count = served.config.model, sum(x.size for x in jax.tree.leaves(served.variables["params"]))
    kinds = list(dict.fromkeys(spec.kind for spec in model.blocks))
    network = " and ".join(filter(None, (model.backbone, f"blocks of kind {', '.join(kinds)}" if kinds else "")))
    return (
        f"# {markdown(served.config.name)}\n\n"
        f"A network that sorts photographs into {len(served.class_names):,} classes: {network or 'no blocks'}, "
        f"{count:,} parameters. Made with foodjax {markdown(version())}, in JAX and Flax. The checkpoint is of step "
        f"{served.step:,}."
    )


def _use(served: Served) -> str:
    program = name_of("safetensors")
    return (
        f"`{program}` lies beside this file. It needs foodjax, which has the network's code, and safetensors:\n\n"
        f"{block(f'python {program} . photo.jpg')}\n\n"
        f"The input is uint8 (batch, {served.config.data.image_size}, {served.config.data.image_size}, 3); the output "
        "are the probabilities of the classes, in the order of `class_names` in `config.json`."
    )


def _accuracy(config: Config, known: Known) -> str:
    scores = known.scores
    if not scores:
        return f"Unknown: {markdown(known.no_scores)}."
    low, high = scores.interval
    text = (
        f"{scores.accuracy:.1%} of {scores.num_examples:,} test photographs of {markdown(_data_name(config))} are "
        f"right (95 % Wilson interval {low:.1%} to {high:.1%}); mean cross-entropy {scores.loss:.4f} nats.\n\n"
        "| class | precision | recall | F-score | test photographs |\n|---|---|---|---|---|"
    )
    for row in scores.classes:
        name, *values = cells(row)
        text += f"\n| {markdown(name)} | {' | '.join(values)} |"
    return text


def _calibration(served: Served, known: Known) -> str:
    found, lines = known.temperature, []
    if known.scores:
        lines.append(
            f"Expected calibration error on the test photographs, with ten bins: {known.scores.calibration_error:.3f}."
        )
    if found is None:
        lines.append("The probabilities have no temperature: the run does not fit one (`eval.calibrate`).")
    else:
        lines.append(
            f"The probabilities have the temperature {found.temperature:.3f}, fitted on {found.num_examples:,} "
            f"validation photographs: calibration error {found.calibration_error_before:.3f} before and "
            f"{found.calibration_error_after:.3f} after, loss {found.loss_before:.4f} and {found.loss_after:.4f} nats."
        )
    return "\n".join(lines)


def _data(config: Config, known: Known) -> str:
    counts = ", ".join(f"{known.counts[part]:,} {name}" for part, name in _PARTS.items() if part in known.counts)
    text = f"Photographs of {markdown(_data_name(config))}: {counts or 'the run did not record how many'}."
    recorded = known.session.get("data")
    if isinstance(recorded, dict):
        digests = [
            f"{part} {code(str(of['content']))}"
            for part, of in recorded.items()
            if part in _PARTS and isinstance(of, dict) and "content" in of
        ]
        text += f"\nDigests of classes and files: {', '.join(digests)}." if digests else ""
    if known.copies is None:
        return f"{text}\nDuplicates among them were not searched for."
    repeated = ", ".join(f"{count:,} of {part}" for part, count in known.copies.repeated.items()) or "none"
    return (
        f"{text}\nPhotographs that repeat another one, exactly or nearly: {repeated}; {known.copies.dropped:,} more "
        f"were left out of train. Test photographs that repeat one of another part: {known.copies.between:,}."
    )


def _seeing(config: Config) -> str:
    data, size = config.data, config.eval_size
    turned = "turned as their EXIF data say" if data.decoding == "viewer" else "not turned by their EXIF data"
    lines = [
        f"Photographs are {turned} and made RGB. Then "
        f"{_GEOMETRIES[data.geometry].format(side=data.image_size)}, with Pillow's filter `{data.resize}`."
    ]
    if size != data.image_size or config.eval.crop_area != 1:
        lines.append(f"The network sees {size} pixels of the middle {config.eval.crop_area:.0%} of that area.")
    if config.eval.flip:
        lines.append("The answer is the average over the picture and its mirror image.")
    mean, deviation = config.model.input_mean, config.model.input_deviation
    if mean or deviation:
        lines.append(f"Values of 0..1 are standardised by the mean {mean or 0} and the deviation {deviation or 1}.")
    return "\n".join(lines)


def _limits(served: Served, known: Known) -> str:
    names, scores, data = served.class_names, known.scores, markdown(_data_name(served.config))
    lines = [
        f"- It knows {len(names):,} classes and no others, and gives every picture to one of them: "
        f"{', '.join(map(markdown, names)) if len(names) <= 200 else '`class_names` in `config.json`'}."
    ]
    if scores:
        supports = sorted({row.support for row in scores.classes})
        of_each = " to ".join(f"{count:,}" for count in dict.fromkeys([supports[0], supports[-1]]))
        lines.append(
            f"- Its accuracy is that of {scores.num_examples:,} test photographs of {data}, {of_each} of each class. "
            f"This card knows of no other photographs."
        )
        if fold := served.config.data.fold:
            lines.append(
                f"- They are the fold {fold} of a cross-validation; it was trained on photographs of the others."
            )
        if known.copies and known.copies.between:
            lines.append(f"- {known.copies.between:,} of them repeat photographs of another part, see above.")
    else:
        lines.append("- Its accuracy is unknown, see above.")
    trained = f"{known.counts['train']:,} photographs" if "train" in known.counts else "photographs"
    where = known.session.get("device")
    lines.append(f"- It was trained on {trained} of {data}" + (f", by {markdown(str(where))}." if where else "."))
    return "\n".join(lines)


def _training(served: Served, known: Known) -> str:
    session, lines = known.session, []
    if known.result:
        lines.append(f"- Epochs: {known.result.get('epochs')}, the best one is {known.result.get('best_epoch')}.")
    lines.append(f"- Weights at the start: {_start(served.config, known)}.")
    if not session:
        return "\n".join([*lines, "- The run has no record of its command, commit and versions."])
    git = session.get("git")
    if isinstance(git, dict):
        changes = f", with uncommitted changes ({code(str(git['uncommitted']))})" if git.get("uncommitted") else ""
        lines.append(f"- Commit of foodjax: {code(str(git.get('revision', 'unknown')))}{changes}.")
    else:
        lines.append("- Commit of foodjax: not recorded.")
    lines.append(f"- Seed: {served.config.seed}.")
    packages = session.get("packages")
    if isinstance(packages, dict):
        lines.append("- Versions: " + ", ".join(f"{markdown(str(k))} {markdown(str(v))}" for k, v in packages.items()))
    machine = [markdown(str(session[key])) for key in ("device", "platform") if session.get(key)]
    lines.append(f"- Machine: {', '.join(machine) or 'not recorded'}.")
    starts = f", the last of {known.num_sessions} starts" if known.num_sessions > 1 else ""
    return "\n".join(lines) + f"\n- Command{starts}:\n\n{block(_command(session.get('command')))}"


def _start(config: Config, known: Known) -> str:
    weights = known.weights
    if weights:
        facts = [code(weights.get("origin", "unknown"))]
        facts += [f"SHA-256 {code(weights['sha256'])}"] if "sha256" in weights else []
        facts += [f"licence {markdown(weights['licence'])}"] if "licence" in weights else []
        return ", ".join(facts)
    return f"{code(config.model.init_from)}; their hash was not recorded" if config.model.init_from else "random"


def _command(arguments: Any) -> str:
    if not isinstance(arguments, list) or not arguments:
        return "not recorded"
    program, *others = map(str, arguments)
    return shlex.join([PurePath(program).name, *others])


def _data_name(config: Config) -> str:
    """Returns the name of the photographs, without the path on the machine that trained."""
    data = config.data
    if place := data.labels or data.dir:
        return PurePath(place).name or place
    return "shapes that foodjax draws" if data.source == "drawn" else data.tfds_name
