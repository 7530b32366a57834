import pytest
from helpers import run_main

FOOD10 = ("--config", "experiments/food10.py")
# arguments, what the one line on stderr must say: mistakes of every stage from the first word to the run's own files;
# tests/commands has those that need no process
MISTAKES = [
    ((), "--config is missing"),
    (("trian", "--config", "demo"), "'trian' is no verb; did you mean 'train'?: needs one of train, evaluate, predict"),
    (("summary", *FOOD10, "--jobs", "5"), "summary takes no --jobs: sweep does"),
    (("--config", "experiments/nothing.py"), "experiments/nothing.py does not exist"),
    ((*FOOD10, "--config.train.epoch=1"), "no key 'train.epoch'; did you mean 'train.epochs'"),
    (("--config", "experiments/food10.py:drop_blok=4"), "did you mean 'drop_block'?: needs drop_block=4, add_block=3"),
    ((*FOOD10, "--config.data.dir=/no/such/place"), "data.dir=/no/such/place does not exist"),
    ((*FOOD10, "--mode", "evaluate", "--workdir", "/no/such/run"), "/no/such/run holds no run"),
    (("import", "--keras", "none.keras", "--workdir", "/no/such/run"), "--keras none.keras does not exist"),
    (("import", "--keras", "README.md", "--workdir", "runs/x"), "ends with .keras or .weights.h5"),
    (("export", "--workdir", "/no/such/run"), "/no/such/run holds no run"),
]


@pytest.mark.parametrize("arguments,message", MISTAKES)
def test_a_mistake_is_one_clear_line(arguments, message):
    result = run_main(*arguments, timeout=120)
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    assert message in lines[0]
    assert "Traceback" not in result.stderr


def test_summary_prints_the_layer_table():
    result = run_main(*FOOD10, "--mode", "summary", timeout=120)
    assert result.returncode == 0
    assert "10,588,458" in result.stdout
    assert "126, 126, 32" in result.stdout


def test_blocks_are_overridden_on_the_command_line():
    result = run_main(*FOOD10, "--mode", "summary", "--config.model.blocks[3].kernel=3", timeout=120)
    assert result.returncode == 0, result.stderr
    assert "3, 3, 512, 512" in result.stdout


def test_a_variant_is_written_behind_the_file():
    result = run_main("--config", "experiments/food10.py:blocks=3,pool=avg", "--mode", "summary", timeout=120)
    assert result.returncode == 0, result.stderr
    assert "block3/conv2" in result.stdout
    assert "block4" not in result.stdout
    assert "128, 1024" in result.stdout


@pytest.mark.slow
def test_no_network_is_noticed_and_says_what_to_do(tmp_path, monkeypatch):
    import time

    from foodjax.data.sources.tfds import check_network
    from foodjax.system.errors import UserError

    start = time.monotonic()
    line = r"cannot download the data set from .*food-101\.tar\.gz .* data\.dir set to a folder"
    with pytest.raises(UserError, match=line):
        check_network("http://127.0.0.1:9/food-101.tar.gz")  # the discard port: nothing listens
    with pytest.raises(UserError, match="no answer|timed out"):
        check_network(_silent_server(), seconds=2)
    assert time.monotonic() - start < 15


def _silent_server():
    import socket

    server = socket.create_server(("127.0.0.1", 0))
    _silent_server.kept = server  # type: ignore[attr-defined]
    return f"http://127.0.0.1:{server.getsockname()[1]}/x"


def test_a_key_is_overridden_by_its_old_name():
    result = run_main(*FOOD10, "--mode", "summary", "--config.train.sizes=((0,112),(3,128))")
    assert result.returncode == 2  # the tutorial's network is of one size: the value has arrived
    assert "model.head.pooling is 'flatten'" in result.stderr
    assert "[112, 128]" in result.stderr


def test_an_import_of_a_module_that_has_moved_says_what_to_write(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import foodjax.variants\n\n\ndef get_config(arg=''):\n    return None\n")
    result = run_main("--config", path, "--mode", "summary")
    assert result.returncode == 2
    line = f"error: --config {path} imports foodjax.variants, which has moved: write 'from foodjax import variants'"
    assert result.stderr.splitlines()[-1] == line
