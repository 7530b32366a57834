import sys

import pytest

from foodjax.data import host_batches, tf_batches, thread_batches


def test_the_backend_names_what_makes_the_batches(capsys):
    selected = [host_batches.select_train_batches(backend) for backend in ("tf", "threads", "device")]
    assert selected == [tf_batches.train_batches, thread_batches.train_batches, thread_batches.train_batches]
    assert capsys.readouterr().out == ""


@pytest.fixture
def made(monkeypatch):
    """A list that gets who makes a batch, and the import, of `select_train_batches("tf")` without TensorFlow."""
    made = []

    def by(name):
        def train_batches(data, rows, config, start, stop, part=slice(None)):
            for step in range(start, stop):
                made.append(f"{name} {step}")
                yield step

        return train_batches

    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(host_batches, "import_problem", lambda name: made.append(name) or "")
    monkeypatch.setattr(tf_batches, "train_batches", by("tf"))
    monkeypatch.setattr(thread_batches, "train_batches", by("threads"))
    return made


def test_threads_make_the_first_batches_of_a_start_and_then_tensorflow_is_imported(made):
    batches = host_batches.select_train_batches("tf")
    assert list(batches(None, None, None, 7, 13)) == [7, 8, 9, 10, 11, 12]  # type: ignore[arg-type]
    assert made == ["threads 7", "threads 8", "threads 9", "threads 10", "tensorflow", "tf 11", "tf 12"]
    assert list(batches(None, None, None, 13, 15)) == [13, 14]  # type: ignore[arg-type]
    assert made[7:] == ["tf 13", "tf 14"]  # the next epoch


def test_short_epochs_come_to_tensorflow_too(made):
    batches = host_batches.select_train_batches("tf")
    for start in (0, 3):
        assert list(batches(None, None, None, start, start + 3)) == list(range(start, start + 3))  # type: ignore[arg-type]
    assert made == ["threads 0", "threads 1", "threads 2", "threads 3", "tensorflow", "tf 4", "tf 5"]


def test_a_training_of_a_few_steps_imports_no_tensorflow(made):
    assert list(host_batches.select_train_batches("tf")(None, None, None, 0, 4)) == [0, 1, 2, 3]  # type: ignore[arg-type]
    assert "tensorflow" not in made


def test_a_tensorflow_that_is_found_and_breaks_in_its_import_is_told_once(made, monkeypatch, capsys):
    monkeypatch.setattr(host_batches, "import_problem", lambda name: "no libtensorflow")
    batches = host_batches.select_train_batches("tf")
    assert capsys.readouterr().out == ""
    for start in (0, 6):
        assert len(list(batches(None, None, None, start, start + 6))) == 6  # type: ignore[arg-type]
    assert made == [f"threads {step}" for step in range(12)]
    told = capsys.readouterr().out
    assert told == "TensorFlow cannot be imported (no libtensorflow): data.backend=threads makes the same batches\n"


class Broken:
    """Finds TensorFlow and fails to import it."""

    def __init__(self, error):
        self.error = error

    def find_spec(self, name, *_):
        if name == "tensorflow":
            raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'tensorflow'"),
        ImportError("cannot import name 'pywrap_tensorflow'"),
        OSError("libtensorflow_framework.so.2: cannot open shared object file"),
        TypeError("Descriptors cannot be created directly."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_threads_take_over_from_a_tensorflow_that_cannot_be_imported(monkeypatch, capsys, error):
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(sys, "meta_path", [Broken(error), *sys.meta_path])
    assert host_batches.select_train_batches("tf") is thread_batches.train_batches
    told = capsys.readouterr().out
    assert told == f"TensorFlow cannot be imported ({error}): data.backend=threads makes the same batches\n"
    assert host_batches.select_train_batches("threads") is thread_batches.train_batches
    assert capsys.readouterr().out == ""
