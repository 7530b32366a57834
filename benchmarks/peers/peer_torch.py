"""PyTorch, channels last, eager on CPU (its oneDNN kernels); on a GPU compiled, under bfloat16 autocast if asked."""

import os

import torch
from torch import nn

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def create_model():
    """Returns the tutorial's network."""
    layers, channels = [], 3
    for features, kernel, pool in ((32, 3, 2), (64, 3, 2), (128, 3, 2), (512, 5, 4)):
        layers += [
            nn.Conv2d(channels, features, kernel, padding="same"), nn.ReLU(),
            nn.Conv2d(features, features, kernel), nn.ReLU(),
            nn.MaxPool2d(pool), nn.Dropout(0.2),
        ]  # fmt: skip
        channels = features
    layers += [nn.Flatten(), nn.Linear(2048, 1024), nn.ReLU(), nn.Dropout(0.2), nn.Linear(1024, 10)]
    return nn.Sequential(*layers).to(DEVICE, memory_format=torch.channels_last)


def create_steps(images, labels, wait=True, bfloat16=False):
    """Returns the callables "train" and "predict"; with `wait` each ends when its result is there."""
    model = create_model()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-4, alpha=0.9, eps=1e-7)
    images = torch.tensor(images).to(DEVICE).permute(0, 3, 1, 2)
    labels = torch.tensor(labels).long().to(DEVICE)
    if DEVICE == "cuda":
        model = torch.compile(model)
    cast = torch.autocast(DEVICE, torch.bfloat16, enabled=bfloat16 or os.environ.get("TORCH_BFLOAT16") == "1")

    def finish():
        if wait and DEVICE == "cuda":
            torch.cuda.synchronize()

    def floats():
        return (images.float() / 255).contiguous(memory_format=torch.channels_last)

    def train():
        model.train()
        with cast:
            loss = nn.functional.cross_entropy(model(floats()), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        finish()

    def predict():
        model.eval()
        with torch.inference_mode(), cast:
            model(floats()).softmax(1)
        finish()

    return {"train": train, "predict": predict}
