"""What timm's own models compute, in a process of its own: PyTorch beside TensorFlow in one process crashes.

    python timm_side.py NAME SIDE FOLDER

Reads FOLDER/images.npy, float64 (B, 3, H, W), already standardised. Writes weights.npz, the random weights; and
results.npz: logits in evaluation, and in training mode logits, running statistics, loss and gradients.
"""

import sys
from pathlib import Path

import numpy as np
import timm
import torch


def randomise(model: torch.nn.Module) -> None:
    """Gives every parameter and statistic a random value: zeros and ones would hide a mistake."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            value.copy_(1 + 0.3 * noise.abs())
        elif name.endswith(("running_mean", ".bias", "cls_token", "pos_embed")):
            value.copy_(0.1 * noise)
        elif value.ndim > 1:
            value.copy_(noise * (2 / value[0].numel()) ** 0.5)
        elif value.ndim == 1:  # of norms and layer scale
            value.copy_(1 + 0.1 * noise)


def main(name: str, side: int, folder: Path) -> None:
    """Writes weights.npz and results.npz."""
    torch.set_num_threads(1)
    options = {"img_size": side} if name.startswith("vit") else {}
    model = timm.create_model(name, pretrained=False, num_classes=7, **options)
    with torch.no_grad():
        randomise(model)
    np.savez(folder / "weights.npz", **{k: v.numpy() for k, v in model.state_dict().items()})
    images, labels = torch.from_numpy(np.load(folder / "images.npy")), torch.arange(len(np.load(folder / "images.npy")))
    results = {"eval": model.eval()(images.float()).detach().numpy()}
    results["train"] = model.train()(images.float()).detach().numpy()
    results |= {f"stats/{k}": v.numpy() for k, v in model.state_dict().items() if "running_" in k}
    double = timm.create_model(name, pretrained=False, num_classes=7, **options).double().train()
    double.load_state_dict({k: torch.from_numpy(v) for k, v in np.load(folder / "weights.npz").items()})
    loss = torch.nn.functional.cross_entropy(double(images), labels % 7)
    loss.backward()
    results |= {f"grads/{k}": v.grad.numpy() for k, v in double.named_parameters()}
    np.savez(folder / "results.npz", loss=loss.item(), **results)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
