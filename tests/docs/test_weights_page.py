"""docs/weights.md lists the names that are admitted, and the lines that the program prints."""

import os
import pickle
import re
import zipfile

import numpy as np
import pytest
from helpers import ROOT
from models.weights.torch_files import View, legacy_file, stored, tensor, tensors, zip_file
from safetensors.numpy import save

from foodjax.models.weights.source import load
from foodjax.models.weights.torch_names import NAMES
from foodjax.models.weights.torch_pickle import _STEPS
from foodjax.system.errors import UserError

PAGE = (ROOT / "docs/weights.md").read_text()


class Evil:
    def __reduce__(self):
        return os.system, ("echo executed",)


ARRAYS = {"fc.weight": np.ones((3, 2), np.float32)}
ZIP, LEGACY, SAFETENSORS = zip_file(tensors(ARRAYS)), legacy_file(tensors(ARRAYS)), save(ARRAYS)
FILES = {
    "an empty file": b"",
    "half a file, zip": ZIP[: len(ZIP) // 2],
    "half a file, older form": LEGACY[: len(LEGACY) // 2],
    "a file of the older form without its last numbers": LEGACY[:-8],
    "a call of os.system": zip_file({"a": tensor([1.0]), "b": Evil()}),
    "a whole model, pickled": legacy_file(
        {}, content=b"\x80\x02ctorchvision.models.resnet\nResNet\nq\x00)\x81q\x01}q\x02b."
    ),
    "a TorchScript archive": zip_file(tensors(ARRAYS), members={"code/net.py": b"def forward(): ..."}),
    "a checkpoint of another form": zip_file({"epoch": 3, "net": tensors(ARRAYS)}),
    "a list": zip_file([tensor([1.0])]),
    "a zip file with a changed number": ZIP.replace(
        ARRAYS["fc.weight"].tobytes(), b"\1" + ARRAYS["fc.weight"].tobytes()[1:]
    ),
    "a compressed zip file": zip_file(tensors(ARRAYS), compression=zipfile.ZIP_DEFLATED),
    "one number, repeated 2**40 times": zip_file({"a": View(stored(np.ones(1)), (2**40,), (0,))}),
    "a tensor larger than its storage": zip_file({"a": View(stored(np.ones(1)), (2,), (1,))}),
    "a file of a big-endian machine": zip_file(tensors(ARRAYS), members={"byteorder": b"big"}),
    "another pickle": pickle.dumps({"a": 1}),
    "a web page": b"<!DOCTYPE html>",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
    "a `.safetensors` file named `.pth`": SAFETENSORS,
    "half a `.safetensors` file": SAFETENSORS[:-9],
    "a `.pth` file named `.safetensors`": ZIP,
    "`net-0123abcd.pth` with another hash": LEGACY,
}


@pytest.mark.parametrize("name", ["a missing file", "a folder", *FILES])
def test_the_line_of_a_bad_file_is_what_the_program_prints(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = "w.safetensors" if name.endswith(("`.safetensors` file", "`.safetensors`")) else "w.pth"
    path = "net-0123abcd.pth" if "0123abcd" in name else path
    if name in FILES:
        (tmp_path / path).write_bytes(FILES[name])
    elif name == "a folder":
        (tmp_path / path).mkdir()
    with pytest.raises(UserError) as error:
        load(path, "model.init_from")
    line = str(error.value).removeprefix(f"model.init_from={path} ")
    assert f"| {name} | {line} |" in PAGE.splitlines()


def test_the_names_are_those_that_are_admitted():
    section = PAGE.split("## What is never executed")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall("`([^`]+)`", row.split("|")[1])) == sorted(NAMES)
    assert f"knows the {len(_STEPS) + 1} opcodes" in section  # and STOP
