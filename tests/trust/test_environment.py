"""Odd machines: every verb works or says in one line what is missing, and ends with the status of that."""

import functools
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from helpers import MAIN, NO_ACCOUNT, ROOT, address_limit, begun_with, one_device_environment, run_main
from PIL import Image

import foodjax
from foodjax import load_config
from foodjax.config.check import checked
from foodjax.data.sources.tfds import TfdsSource
from foodjax.models.convnet import create_model
from foodjax.run import addresses
from foodjax.system import files, memory
from foodjax.system.errors import UserError

# Environment -> what it takes away or sets: variables, or Python that its process runs first.
ENVIRONMENTS = {
    "no home": {"HOME": None},
    "neither home nor account": {"HOME": None, "PYTHONPATH": "{tmp}/begin"},
    "an empty home": {"HOME": ""},
    "a home that cannot be written": {"HOME": "/proc"},
    "float64, and a cache of one's own": {"JAX_ENABLE_X64": "1", "JAX_COMPILATION_CACHE_DIR": "{tmp}/mine"},
    "a dumb terminal of 40 columns, plain C, no place for temporary files": {
        "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "COLUMNS": "40", "NO_COLOR": "1", "TERM": "dumb",
        "TMPDIR": "/no/such/place",
    },
    "one core": "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})",
    "3 GiB of addresses": address_limit(3),
}  # fmt: skip


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "café [x].png"
    Image.new("RGB", (20, 16), "red").save(path)
    return path


def changed(changes, tmp_path, cache):
    """Returns the environment of a user with some variables set or left out, and with the folder of caches."""
    environment = one_device_environment() | {"XDG_CACHE_HOME": str(cache)}
    if "HOME" in changes:
        environment.pop("XDG_CACHE_HOME")
    for name, value in changes.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value.format(tmp=tmp_path)
    return environment


def run(arguments, environment, cwd, begin=""):
    """Runs main.py in a process that first runs `begin`."""
    command = begun_with(begin, [MAIN[0], *map(str, arguments)])
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_verb_in_an_odd_environment(tmp_path, tmp_path_factory, workdir, photo, name):
    begin = ENVIRONMENTS[name] if isinstance(ENVIRONMENTS[name], str) else ""
    if begin and not sys.platform.startswith("linux"):
        pytest.skip("other systems have no such limits")
    caches = tmp_path_factory.getbasetemp() / "caches"  # of all rows but those without a home: compiling takes long
    environment = changed({} if begin else ENVIRONMENTS[name], tmp_path, caches)
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "begin").mkdir()
    (tmp_path / "begin/sitecustomize.py").write_text(NO_ACCOUNT)  # Python runs it where PYTHONPATH names the folder
    cache = []
    if name == "a home that cannot be written":
        done = run(["train", "--config", "demo", "--workdir", here / "run"], environment, here)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.endswith(": set data.cache_dir to a writable folder\n")
        assert done.stderr.count("\n") == 1
        cache = [f"--config.data.cache_dir={tmp_path / 'cache'}"]
    for arguments in (
        ["summary", "--config", "food10"],
        ["predict", "--workdir", workdir, photo],
        ["train", "--config", "demo:blocks=1", "--config.data.drawn_train=8", "--config.data.drawn_test=3",
         "--config.data.batch_size=8", "--config.train.epochs=1", "--workdir", here / "run", *cache],
        ["evaluate", "--workdir", here / "run"],
        ["compare", here / "run"],
    ):  # fmt: skip
        done = run(arguments, environment, here, begin)
        assert done.returncode == 0, (arguments, done.stderr[-2000:])
        assert "Traceback" not in done.stderr
    assert not (here / "~").exists()
    if name.startswith("float64"):
        assert "JAX_ENABLE_X64 is left out: runs are computed in float32" in done.stdout
    if "JAX_COMPILATION_CACHE_DIR" in ENVIRONMENTS[name]:
        assert any((tmp_path / "mine").iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep no limit of addresses")
@pytest.mark.parametrize("verb,needed", [
    (["summary", "--config", "food10"], 1), (["predict", "--workdir", "{run}", "{photo}"], 1),
    (["train", "--config", "demo", "--workdir", "{run}"], 3), (["evaluate", "--workdir", "{run}"], 1),
    (["compare", "{run}"], 1),
])  # fmt: skip
def test_too_few_addresses_are_one_line(tmp_path, workdir, photo, verb, needed):
    arguments = [part.format(run=workdir, photo=photo) for part in verb]
    before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
    done = run(arguments, one_device_environment(), tmp_path, address_limit(0.9))
    line = f"error: the address space is limited to 0.9 GiB (ulimit -v): {verb[0]} needs at least {needed}.0 GiB\n"
    assert (done.returncode, done.stderr) == (2, line)
    assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*")} == before


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep no limit of addresses")
def test_verbs_with_a_small_network_work_in_one_gib(tmp_path, workdir, photo):
    run_of_its_own = tmp_path / "run"
    shutil.copytree(workdir, run_of_its_own)
    for arguments in (
        ["summary", "--config", "food10"], ["predict", "--workdir", run_of_its_own, photo],
        ["evaluate", "--workdir", run_of_its_own], ["compare", run_of_its_own],
    ):  # fmt: skip
        done = run(arguments, one_device_environment(), tmp_path, address_limit(1))
        assert (done.returncode, done.stderr) == (0, ""), arguments


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep no limit of addresses")
def test_what_a_network_needs_of_the_addresses_is_known_before_it_is_taken(monkeypatch):
    config = checked(load_config("food10"))
    check = functools.partial(addresses.check, config=config, model=create_model(config, 10))
    # As measured: with the first limit libraries ended the process, with the second it worked.
    for verb, batch_size, refused, enough in (
        ("predict", 32, 1.76, 2.0), ("evaluate", 50, 2.8, 3.1), ("train", 32, 3.76, 4.5)
    ):  # fmt: skip
        monkeypatch.setattr(memory, "limit", lambda gib=refused: int(gib * 2**30))
        with pytest.raises(UserError, match=rf"{verb} with 10,588,458 parameters and batches of {batch_size} needs"):
            check(verb, batch_size=batch_size)
        monkeypatch.setattr(memory, "limit", lambda gib=enough: int(gib * 2**30))
        check(verb, batch_size=batch_size)


def test_larger_pictures_of_an_evaluation_need_more_addresses(monkeypatch):
    monkeypatch.setattr(memory, "limit", lambda: int(1.5 * 2**30))
    small = checked(load_config("food10_fast"))
    large = checked(load_config("food10_fast", eval__size=4 * small.eval_size))
    model = create_model(small, 10)
    addresses.check("evaluate", small, model, 50)
    addresses.check("predict", small, model, 50)
    with pytest.raises(UserError, match="evaluate with .* parameters and batches of 50 needs at least"):
        addresses.check("evaluate", large, model, 50)


@pytest.mark.parametrize("platform", ["cuda", "nonsense"])
def test_a_platform_that_is_not_there_is_one_line(workdir, photo, platform):
    if platform == "cuda" and os.path.exists("/dev/nvidia0"):
        pytest.skip("this machine has a GPU")
    done = run_main("predict", "--workdir", workdir, photo, environment={"JAX_PLATFORMS": platform})
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: JAX_PLATFORMS={platform}, but JAX finds no such device")
    assert done.stderr.count("\n") == 1


def test_float64_of_a_notebook_is_refused(workdir):
    import jax

    with jax.enable_x64(True), pytest.raises(UserError, match="JAX computes in float64 here"):
        foodjax.Predictor(workdir)


def test_a_place_in_a_home_that_is_not_known_is_refused(monkeypatch):
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UserError, match="~/runs is in a home that is not known: needs HOME set, or a path without ~"):
        files.to_path("~/runs")


def test_tfds_without_a_home_needs_a_folder(monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UserError, match="^data.tfds_dir is empty, and the home, .*, is not known: needs a folder$"):
        TfdsSource("food101:2.1.0", "")


def test_without_a_home_the_cache_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = files.user_cache()
    assert own.stat().st_mode & 0o77 == 0
    assert files.user_cache() == own
    own.rmdir()
    (tmp_path / "theirs").mkdir()
    own.symlink_to(tmp_path / "theirs")
    assert files.user_cache() not in (own, tmp_path / "theirs")


def pipe(command):
    """Runs a pipe in bash; returns the statuses of its programs, and stderr."""
    script = f"{command}; echo ${{PIPESTATUS[@]}} >&3"
    read, write = os.pipe()
    with subprocess.Popen(
        ["bash", "-c", script.replace(">&3", f">&{write}")], pass_fds=[write], stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True, cwd=ROOT, env=one_device_environment(),
    ) as process:  # fmt: skip
        os.close(write)
        _, err = process.communicate(timeout=300)
    with os.fdopen(read) as statuses:
        return statuses.read().split(), err


@pytest.mark.slow
def test_a_training_goes_on_without_a_reader_and_predict_ends_quietly(tmp_path, workdir, photo):
    for k in range(300):  # more than a pipe holds
        os.link(photo, photo.with_name(f"{k}-{'x' * 200}.png"))
    python, main = sys.executable, MAIN[0]
    predict = shlex.join([python, main, "predict", "--workdir", str(workdir), str(photo.parent)])
    assert pipe(f"{predict} | head -1") == (["141", "0"], "")
    train = shlex.join([
        python, main, "train", "--config", "demo:blocks=1", "--config.data.drawn_train=8", "--config.data.drawn_test=3",
        "--config.data.batch_size=8", "--config.train.epochs=3", "--workdir", str(tmp_path / "run"),
    ])  # fmt: skip
    assert pipe(f"{train} | head -1") == (["0", "0"], "")
    assert (tmp_path / "run" / "finished.json").exists()


@pytest.mark.slow
def test_without_any_output_a_verb_works(workdir, photo, tmp_path):
    command = shlex.join([
        sys.executable, MAIN[0], "predict", "--workdir", str(workdir), str(photo), "--output", str(tmp_path / "top.csv")
    ])  # fmt: skip
    assert pipe(f"{command} >&- 2>&-")[0] == ["0"]
    assert len((tmp_path / "top.csv").read_text().splitlines()) == 4  # of three classes


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_to_a_full_disk_is_one_line_and_no_quiet_end():
    command = shlex.join([sys.executable, MAIN[0], "summary", "--config", "food10"])
    statuses, err = pipe(f"{command} > /dev/full")
    assert statuses == ["2"]
    assert err == "error: cannot write the output (No space left on device): needs space where it goes\n"
