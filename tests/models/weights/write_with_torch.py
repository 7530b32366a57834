"""Run in a process of its own: writes files with the real PyTorch into a folder, and what they hold as .npz."""

import argparse
import collections
import sys
from pathlib import Path

import numpy as np
import torch


def network():
    """Returns a small network with every kind of entry that a state_dict of an image network has."""
    return torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5), torch.nn.Linear(5, 7))


def odd_tensors():
    """Returns tensors of all types, and views: turned, cut, in channels-last order, of one storage, of no element."""
    torch.manual_seed(0)
    shared = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    found = {f"of_{d}": torch.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(torch, d)) for d in TYPES}
    found |= {"turned": shared.permute(2, 0, 1), "cut": shared[1, :, 1:3], "same": shared, "scalar": shared[1, 2, 3]}
    found["last"] = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    found["spread"] = torch.tensor([1.5]).expand(4, 3)
    found |= {f"one_{d}": torch.ones((), dtype=getattr(torch, d)) for d in ("bool", "bfloat16", "int64")}
    found["none"] = torch.zeros(3, 0, 2)
    found["parameter"] = torch.nn.Parameter(torch.ones(3))
    return found


TYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "uint16")


class Whole(torch.nn.Module):
    """Pickled by the name of its class."""


def main(folder: Path) -> None:
    """Writes both forms of a state_dict, of odd tensors and of checkpoints, and files that are refused."""
    model = network()
    state, odd = model.state_dict(), odd_tensors()
    averaged = {name: value * 2 for name, value in state.items()}
    optimizer = torch.optim.AdamW(model.parameters())
    sum(parameter.square().sum() for parameter in model.parameters()).backward()  # pyright: ignore
    optimizer.step()
    options = argparse.Namespace(lr=0.1, betas=(0.9, 0.99), device=torch.device("cpu"))
    checkpoint = {
        "epoch": 3, "arch": "resnet18", "state_dict": state, "state_dict_ema": averaged, "metric": 76.5,
        "optimizer": optimizer.state_dict(), "args": options,
    }  # fmt: skip
    values = {"state": state, "odd": odd, "checkpoint": checkpoint}
    values["wrapped"] = {"model": collections.OrderedDict((f"module.{name}", value) for name, value in state.items())}
    for name, value in values.items():
        torch.save(value, folder / f"{name}-zip.pth")
        value.pop("of_uint16", None)  # newer than the older form
        torch.save(value, folder / f"{name}-legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(state, folder / "state-protocol4.pth", pickle_protocol=4)
    torch.save(Whole(), folder / "whole-zip.pth")
    torch.save(Whole(), folder / "whole-legacy.pth", _use_new_zipfile_serialization=False)
    torch.jit.script(model[0]).save(str(folder / "script.pt"))
    torch.save(state["0.weight"], folder / "tensor.pth")
    for name, value in {"state": state, "averaged": averaged, "odd": odd_tensors()}.items():
        np.savez(folder / f"{name}.npz", **{key: _numpy(entry) for key, entry in value.items()})


def _numpy(value: torch.Tensor) -> np.ndarray:
    return (value.float() if value.dtype == torch.bfloat16 else value).detach().numpy()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
