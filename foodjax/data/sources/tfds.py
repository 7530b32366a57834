"""Food-101 through TensorFlow Datasets: download, prepare, and read the encoded photographs."""

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from foodjax.data.sources.base import Listing, Source
from foodjax.system.errors import UserError
from foodjax.system.setup import leave_gpus_to_jax

# Where TFDS downloads Food-101 from (tensorflow_datasets/image_classification/food101.py).
URL = "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz"
CHECK_SECONDS = 10.0


class TfdsSource(Source):
    """A TFDS builder with features image, label and id, and splits train and validation (the official test set)."""

    def __init__(self, tfds_name: str, data_dir: str):
        leave_gpus_to_jax()
        try:
            self.builder: Any = tfds.builder(tfds_name, data_dir=os.path.expanduser(data_dir) or None)
        except Exception as error:
            line = str(error).strip().splitlines()[0]
            raise UserError(f"data.tfds_name is {tfds_name!r}, which TFDS cannot open: {line}") from None
        self.name = self.builder.name
        missing = {"image", "label", "id"} - set(self.builder.info.features)
        if missing:
            raise UserError(
                f"data.tfds_name is {tfds_name!r}, a dataset without {min(missing)!r}: needs image, label and id, as "
                f"food101:2.1.0 has"
            )

    def fingerprint(self) -> Any:  # noqa: D102
        return [self.builder.info.full_name, str(self.builder.data_path)]

    def class_names(self) -> tuple[str, ...]:  # noqa: D102
        return tuple(self.builder.info.features["label"].names)

    def listing(self) -> Listing:  # noqa: D102
        self._download()
        names = self.class_names()
        return Listing(names, *([i for i, _ in self._examples(split, names)] for split in ("train", "validation")))

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        wanted = set(ids)
        names = {i.split("/")[0] for i in wanted}
        for split in ("train", "validation"):
            yield from ((i, image) for i, image in self._examples(split, names) if i in wanted)

    def _examples(self, split: str, class_names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        feature = self.builder.info.features["label"]
        labels = tf.constant([feature.str2int(name) for name in class_names], tf.int64)
        ds = self.builder.as_dataset(split=split, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False)
        ds = ds.filter(lambda example: tf.reduce_any(example["label"] == labels))
        for example in ds.as_numpy_iterator():
            yield (
                f"{feature.int2str(example['label'])}/{example['id'].decode().split('/')[-1]}",
                example["image"],
            )

    def _download(self) -> None:
        if self.builder.data_path.exists():
            return
        if self.name == "food101":
            check_network(URL)
        try:
            self.builder.download_and_prepare()
        except Exception as error:  # TFDS raises many types, for faults of network, disk and server
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"TFDS cannot prepare {self.name} ({line}): needs network access and disk space, or data.dir set to "
                f"a copy of food-101"
            ) from None


def check_network(url: str, seconds: float = CHECK_SECONDS) -> None:
    """Sends the server one request, since TFDS itself retries for minutes before it fails.

    Raises:
        UserError: no answer within `seconds`.
    """
    problem: list[str] = ["no answer"]

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=seconds):
                problem.clear()
        except urllib.error.HTTPError as error:
            problem[0] = f"HTTP status {error.code}"
        except OSError as error:
            problem[0] = str(getattr(error, "reason", error))

    thread = threading.Thread(target=ask, daemon=True)  # name resolution has no timeout of its own
    thread.start()
    thread.join(seconds)
    if problem:
        raise UserError(
            f"cannot download Food-101 from {url} ({problem[0]}): needs network access, or data.dir set to a copy "
            f"(food-101.tar.gz or an extracted food-101/)"
        )
