import sys
import threading

import pytest

from foodjax.data import host_batches, tf_batches, thread_batches


@pytest.fixture(autouse=True)
def as_at_the_start():
    host_batches._importing.cache_clear()
    yield
    host_batches._importing.cache_clear()


def makers(monkeypatch):
    """Returns a list that gets who made a batch, of `select_train_batches("tf")`."""
    made = []

    def by(name):
        def train_batches(data, rows, config, start, stop, part=slice(None)):
            for step in range(start, stop):
                made.append(f"{name} {step}")
                yield step

        return train_batches

    monkeypatch.setattr(tf_batches, "train_batches", by("tf"))
    monkeypatch.setattr(thread_batches, "train_batches", by("threads"))
    return made


def test_other_backends_take_threads(capsys):
    for backend in ("threads", "device"):
        assert host_batches.select_train_batches(backend) is thread_batches.train_batches
    assert capsys.readouterr().out == ""


def test_where_tensorflow_is_imported_tf_data_makes_every_batch(monkeypatch):
    made = makers(monkeypatch)
    assert list(host_batches.select_train_batches("tf")(None, None, None, 3, 5)) == [3, 4]  # type: ignore[arg-type]
    assert made == ["tf 3", "tf 4"]


def test_threads_make_batches_until_tensorflow_is_imported(monkeypatch):
    made, importing = makers(monkeypatch), threading.Event()
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(host_batches, "import_problem", lambda name: importing.wait(60) and "")
    batches = host_batches.select_train_batches("tf")(None, None, None, 0, 6)  # type: ignore[arg-type]
    assert [next(batches), next(batches)] == [0, 1]
    importing.set()
    assert host_batches._importing().result(60)
    assert list(batches) == [2, 3, 4, 5]
    assert made == ["threads 0", "threads 1", "tf 2", "tf 3", "tf 4", "tf 5"]
    assert list(host_batches.select_train_batches("tf")(None, None, None, 6, 7)) == [6]  # type: ignore[arg-type]
    assert made[-1] == "tf 6"  # the next epoch


def test_a_tensorflow_that_breaks_while_it_is_imported_is_told_once(monkeypatch, capsys):
    made = makers(monkeypatch)
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(host_batches, "import_problem", lambda name: "no libtensorflow")
    for start in (0, 3):
        assert list(host_batches.select_train_batches("tf")(None, None, None, start, start + 3))  # type: ignore[arg-type]
        assert not host_batches._importing().result(60)
    assert made == [f"threads {step}" for step in range(6)]
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
