"""The same network of timm in PyTorch, channels last, eager: its fastest form on CPU (oneDNN)."""

import timm
import torch
from torch import nn


def create_steps(images, labels, backbone):
    """Returns the callables "train", a step of AdamW with statistics of the batch, and "predict"."""
    model = timm.create_model(backbone, num_classes=10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    mean, deviation = (torch.tensor(model.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    images, labels = torch.tensor(images).permute(0, 3, 1, 2), torch.tensor(labels).long()

    def floats():
        return ((images.float() / 255 - mean) / deviation).contiguous(memory_format=torch.channels_last)

    def train():
        model.train()
        loss = nn.functional.cross_entropy(model(floats()), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def predict():
        model.eval()
        with torch.inference_mode():
            model(floats()).softmax(1)

    return {"train": train, "predict": predict}
