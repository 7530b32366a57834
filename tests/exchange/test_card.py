"""The model card of an exported folder: what the hub's own reader makes of it, and what a reader sees."""

import base64
import dataclasses
import http.server
import json
import re
import shutil
import threading

import pytest
from markdown_it import MarkdownIt
from networks import BLOCKS, create

from foodjax.evaluation.scores import ClassScores, Scores
from foodjax.evaluation.temperature import Temperature
from foodjax.exchange.card import to_card
from foodjax.exchange.known import Copies, Known, read_known
from foodjax.exchange.markup import block, code, markdown, yaml
from foodjax.exchange.served import open_served
from foodjax.system.text import printable
from foodjax.workdir.description import read_description

NAMES = (
    "plain_name", "_lead_", "a|b | c", "[x](https://evil.example)", "<script>alert(1)</script>", "--- # no: yaml",
    "`code` ``two``", "line\nfeed", "caf\udce9", "日本 🍜", "1. one", "www.evil.example", "&amp; \\",
    "*b* ~~s~~ ![i](j)", "\u202egnp", "  # spaces  ",
)  # fmt: skip


def load(path):
    """Returns the card as huggingface_hub reads it."""
    hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub: pip install 'foodjax[pretrained]'")
    return hub.ModelCard.load(path)


def read(text, tmp_path):
    (tmp_path / "README.md").write_bytes(text.encode())
    return load(tmp_path / "README.md")


def rendered(text):
    """Returns the tokens of a card's body, as GitHub's Markdown has them."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def table(text):
    """Returns the cells of the only table: what a reader sees, and no markup in it."""
    cells = []
    tokens = rendered(text)
    for i, token in enumerate(tokens):
        if token.type in ("td_open", "th_open"):
            children = tokens[i + 1].children or []
            assert {child.type for child in children} <= {"text", "text_special"}, tokens[i + 1].content
            cells.append("".join(child.content for child in children))
    return [cells[i : i + 5] for i in range(0, len(cells), 5)]


@pytest.fixture(scope="module")
def network():
    return create(*BLOCKS["conv of tiny maps"])


@pytest.fixture(scope="module")
def served(workdir):
    return open_served(read_description(workdir)[0], workdir)


def known_of(served, workdir):
    return read_known(served.config, workdir, served.step, served.class_names)


def test_a_card_has_the_numbers_of_its_run(workdir, served, tmp_path):
    card = read(to_card(served, known_of(served, workdir)), tmp_path)
    assert card.data.library_name == "foodjax"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.license is None
    assert card.data.model_name == served.config.name
    scores = json.loads((workdir / "evaluation" / "evaluation.json").read_text())
    assert scores["step"] == served.step
    found = {result.metric_type: result for result in card.data.eval_results}
    assert found["accuracy"].metric_value == pytest.approx(scores["accuracy"], abs=1e-6)
    assert found["loss"].metric_value == pytest.approx(scores["loss"], abs=1e-6)
    assert found["ece"].metric_value == pytest.approx(scores["calibration_error"], abs=1e-6)
    assert (found["accuracy"].dataset_name, found["accuracy"].dataset_split) == ("food-101", "test")
    rows = table(card.text)[1:]
    assert [row[0] for row in rows] == [row[0] for row in scores["classes"]]
    assert [[float(x) for x in row[1:]] for row in rows] == [
        [round(x, 3) for x in row[1:]] for row in scores["classes"]
    ]
    low, high = scores["interval"]
    assert f"95 % Wilson interval {low:.1%} to {high:.1%}" in card.text
    assert "Photographs of food-101: 51 training, 9 validation, 45 test." in card.text
    session = json.loads((workdir / "run.json").read_text())["sessions"][-1]
    assert session["data"]["test"]["content"] in card.text
    assert session["git"] is None or session["git"]["revision"] in card.text
    assert "both sides are resized to 16 pixels" in card.text
    assert "Weights at the start: random." in card.text


def test_what_a_run_does_not_have_is_said(network, tmp_path):
    card = read(to_card(network, Known()), tmp_path)
    assert card.data.eval_results is None
    assert "Unknown: this folder was written without its run." in card.text
    assert "Its accuracy is unknown" in card.text
    assert "The run has no record of its command, commit and versions." in card.text
    assert "the run did not record how many" in card.text
    assert "%" not in card.text


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda found: None, "the run has no evaluation/evaluation.json: foodjax evaluate writes it"),
        (lambda found: found | {"step": 1}, "is not of its best checkpoint, step 3"),
        (lambda found: found | {"accuracy": 1.5}, "is damaged (a share that is not in 0..1)"),
        (lambda found: found | {"loss": float("nan")}, "is damaged ('nan' is no number)"),
        (lambda found: found | {"classes": found["classes"][:2]}, "is damaged (other classes)"),
        (lambda found: found | {"num_examples": "45"}, "is damaged (a number of images that is none)"),
        (lambda found: [], "is damaged"),
    ],
)
def test_scores_that_are_not_of_the_checkpoint_are_left_out(workdir, served, tmp_path, change, message):
    shutil.copytree(workdir, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    path = tmp_path / "run" / "evaluation" / "evaluation.json"
    found = change(json.loads(path.read_text()))
    path.unlink()
    if found is not None:
        path.write_text(json.dumps(found))
    known = known_of(served, tmp_path / "run")
    assert known.scores is None
    assert message in known.no_scores


def test_names_of_strangers_are_shown_and_not_read(network, tmp_path):
    served = network._replace(class_names=NAMES, config=dataclasses.replace(network.config, name=NAMES[1]))
    rows = [ClassScores(name, 0.5, 0.25, 0.125, 3) for name in NAMES]
    known = Known(Scores(0.5, (0.25, 0.75), 1.0, 0.1, 48, rows), "")
    card = read(to_card(served, known), tmp_path)
    assert [row[0] for row in table(card.text)[1:]] == [printable(name).strip() for name in NAMES]
    assert card.data.model_name == NAMES[1]
    kinds = {child.type for token in rendered(card.text) for child in token.children or []}
    assert not kinds & {"link_open", "html_inline", "image", "em_open", "strong_open", "s_open"}
    assert not re.search(r"www\.evil", card.text), "GitHub makes a link of it"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_comes_back(name):
    shown = printable(name)
    (inline,) = [token for token in rendered(f"x{markdown(name)}") if token.type == "inline"]
    assert "".join(child.content for child in inline.children or []) == f"x{shown.strip()}"
    (inline,) = [token for token in rendered(f"x {code(name)}") if token.type == "inline"]
    (span,) = [child for child in inline.children or [] if child.type == "code_inline"]
    assert span.content.strip() == shown.strip()
    (fence,) = rendered(block(f"``` {name}"))
    assert fence.content == f"``` {shown}\n"
    assert pytest.importorskip("yaml").safe_load(f"a: {yaml(name)}") == {"a": shown}


def test_weights_copies_and_temperature_are_told(network, tmp_path):
    known = Known(
        Scores(0.5, (0.25, 0.75), 1.0, 0.1, 48, [ClassScores(name, 0, 0, 0, 8) for name in network.class_names]),
        "",
        Temperature(3, 1.25, 560, 1.5, 1.25, 0.1, 0.05),
        {"command": ["/home/me/bin/foodjax", "probe", "--workdir", "my run"], "git": {"revision": "c0ffee"}},
        2,
        {"epochs": 9, "best_epoch": 4},
        {"origin": "hf://timm/net.in1k@c0ffee", "sha256": "abc", "licence": "apache-2.0"},
        {"train": 3190, "test": 750},
        Copies({"train": 5}, 2, 1),
    )
    card = read(to_card(network, known), tmp_path)
    assert card.data.base_model == "timm/net.in1k"
    assert "`hf://timm/net.in1k@c0ffee`, SHA-256 `abc`, licence apache-2.0." in card.text
    assert "temperature 1.250, fitted on 560 validation photographs: calibration error 0.100 before" in card.text
    assert "exactly or nearly: 5 of train; 1 more were left out of train" in card.text
    assert "- 2 of them repeat photographs of another part" in card.text
    assert "- Machine: not recorded.\n" in card.text
    assert "- Epochs: 9, the best one is 4." in card.text
    assert "the last of 2 starts:\n\n```\nfoodjax probe --workdir 'my run'\n```" in card.text


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers an upload as the hub does; `server.files` has what was committed."""

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)  # pyright: ignore
        answer = {}
        if self.path.endswith("/preupload/main"):
            files = [file["path"] for file in json.loads(sent)["files"]]
            answer = {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in files]}
        elif "/commit/main" in self.path:
            for line in map(json.loads, sent.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])  # pyright: ignore
            answer = {"commitOid": "c0ffee", "commitUrl": "http://127.0.0.1/me/net/commit/c0ffee", "success": True}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def test_the_hub_takes_the_folder_as_it_is(network, tmp_path):
    hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub: pip install 'foodjax[pretrained]'")
    pytest.importorskip("safetensors", reason="needs safetensors: pip install 'foodjax[pretrained]'")
    from foodjax.exchange.weights_folder import to_folder

    files = to_folder(network)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.files = [], {}  # pyright: ignore
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        api = hub.HfApi(f"http://127.0.0.1:{server.server_address[1]}", token="no-secret")
        api.upload_folder(repo_id="me/net", folder_path=tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert "/api/validate-yaml" in server.asked  # pyright: ignore
    assert server.files == files  # pyright: ignore
    assert set(files) == {"README.md", "config.json", "model.safetensors"}
