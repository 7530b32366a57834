"""torchvision's training input in one process: reads, decodes, resizes and augments photographs, with worker processes.

    python benchmarks/peers/torchvision_input.py FOLDER 2

FOLDER has a folder of photographs for each class. Reads a number of batches on stdin, makes them, and answers with the
seconds that they took. The parent is `benchmarks/input.py`. The augmentation is the tutorial's: rotation by up to 90
degrees, shift of columns by up to a half, brightness of 0.1 to 0.7, both flips.
"""

import sys
import time

import torch
from torchvision import datasets, transforms

BATCH_SIZE = 32


class Draws(torch.utils.data.Sampler):
    """Photographs at random, as many as the next batches need."""

    def __init__(self, length: int):
        self.length, self.count = length, 0

    def __iter__(self):
        return iter(torch.randint(self.length, (self.count,)).tolist())

    def __len__(self) -> int:
        return self.count


def main() -> None:
    """Serves until stdin closes."""
    change = transforms.Compose([
        transforms.Resize((128, 128), transforms.InterpolationMode.NEAREST),
        transforms.RandomAffine(90, translate=(0.5, 0)),
        transforms.ColorJitter(brightness=(0.1, 0.7)),
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
        transforms.ToTensor(),
    ])  # fmt: skip
    photographs = datasets.ImageFolder(sys.argv[1], change)
    draws = Draws(len(photographs))
    loader = torch.utils.data.DataLoader(
        photographs, BATCH_SIZE, sampler=draws, num_workers=int(sys.argv[2]), persistent_workers=True
    )
    print("ready", flush=True)
    for line in sys.stdin:
        draws.count = int(line) * BATCH_SIZE
        start = time.perf_counter()
        made = sum(len(images) for images, _ in loader)
        seconds = time.perf_counter() - start
        assert made == draws.count
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
