import sys

import pytest

from foodjax.data import host_batches, tf_batches, thread_batches


def test_the_backend_names_what_makes_the_batches(capsys):
    selected = [host_batches.select_train_batches(backend) for backend in ("tf", "threads", "device")]
    assert selected == [tf_batches.train_batches, thread_batches.train_batches, thread_batches.train_batches]
    assert capsys.readouterr().out == ""


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
