"""Photographs through TensorFlow Datasets: download, prepare, and read the encoded photographs."""

import copy
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow_datasets as tfds

from foodjax.data.sources.base import PARTS, Example, Listing, Source, Unused
from foodjax.data.sources.layouts import Options, to_listing
from foodjax.data.sources.locate import Located
from foodjax.data.sources.part_names import part_of
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import is_home_known, to_path
from foodjax.system.setup import leave_gpus_to_jax

# Where TFDS downloads Food-101 from (tensorflow_datasets/image_classification/food101.py).
URL = "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz"
CHECK_SECONDS = 10.0


class TfdsSource(Source):
    """A TFDS builder with the features image and label.

    Train is its split of that name, or its only one. Test is its test split; without one its validation split, as in
    Food-101; without either a part of train is held out. A validation split beside a test split validates.
    """

    def __init__(self, tfds_name: str, data_dir: str, options: Options = Options()):  # noqa: B008, it is immutable
        leave_gpus_to_jax()
        if not (data_dir or os.environ.get("TFDS_DATA_DIR") or is_home_known()):
            raise UserError(
                "data.tfds_dir is empty, and the home, where TFDS has its data, is not known: needs a folder"
            )
        try:
            self.builder: Any = tfds.builder(tfds_name, data_dir=str(to_path(data_dir)) if data_dir else None)
            features = dict(self.builder.info.features or {})
        except Exception as error:
            raise UserError(f"data.tfds_name is {tfds_name!r}, which TFDS cannot open: {first_line(error)}") from None
        self.name, self._options = self.builder.name, options
        missing = {"image", "label"} - set(features)
        if missing:
            raise UserError(
                f"data.tfds_name is {tfds_name!r}, a dataset without {min(missing)!r}: needs image and label, as "
                f"food101:2.1.0 has"
            )
        if not isinstance(features["image"], tfds.features.Image) or not hasattr(features["label"], "names"):
            raise UserError(
                f"data.tfds_name is {tfds_name!r}, whose image is a {type(features['image']).__name__} and whose label "
                f"is a {type(features['label']).__name__}: needs one Image and one ClassLabel"
            )
        self._has_id = "id" in features
        self._listing: Listing | None = None

    def fingerprint(self) -> Any:  # noqa: D102
        return [self.builder.info.full_name, str(self.builder.data_path), self._options.of_pictures()]

    def for_everything(self) -> Source:  # noqa: D102
        other = copy.copy(self)
        other._options = self._options._replace(everything=True, group="")
        return other

    def class_names(self) -> tuple[str, ...]:  # noqa: D102
        return tuple(self.builder.info.features["label"].names)

    def listing(self) -> Listing:  # noqa: D102
        if self._listing is None:
            self._listing = self._list_all()
        return self._listing

    def _list_all(self) -> Listing:
        self._download()
        parts, notes = self._splits()
        found = Located({part: [] for part in parts}, notes, [])
        for part, split in parts.items():
            found.parts[part] += self._list(split, part, found.unused)
        listing = to_listing(found, self.name, self._options)
        return listing._replace(class_names=self.class_names())

    def read(self, examples: Iterable[Example]) -> Iterator[tuple[Example, bytes]]:  # noqa: D102
        wanted: dict[str, dict[int, Example]] = {}
        for example in examples:
            split, number = example.location
            wanted.setdefault(split, {})[number] = example
        for split, of_split in wanted.items():
            for number, found in enumerate(self._dataset(split, "image")):
                if example := of_split.pop(number, None):
                    yield example, found["image"]
            if of_split:
                raise UserError(
                    f"TFDS gave {len(of_split):,} photographs of {self.name} no more, the first {min(of_split)} of "
                    f"{split}: needs a data set that does not change"
                )

    def _splits(self) -> tuple[dict[str, str], list[str]]:
        """Returns part -> name of its split, and notes."""
        known, parts = list(self.builder.info.splits), {}
        for name in known:
            if part_of(name) and part_of(name) not in parts:
                parts[part_of(name)] = name
        if not parts and len(known) == 1:
            parts["train"] = known[0]
        if not parts:
            raise UserError(f"{self.name} has the splits {', '.join(known)}: needs train, validation or test")
        if "test" not in parts and "validation" in parts:
            parts["test"] = parts.pop("validation")
        others = [name for name in known if name not in parts.values()]
        taken = [f"{part} is {parts[part]}" for part in PARTS if part in parts and parts[part] != part]
        notes = [f"{self.name}: {', '.join(taken)}"] if taken else []
        return parts, notes + ([f"{self.name}: not used are the splits {', '.join(others)}"] if others else [])

    def _list(self, split: str, part: str, unused: list[Unused]) -> list[Example]:
        """Returns the examples of a split; ids that the set does not have are made of class, split and number."""
        names, rows = self.class_names(), []
        for number, found in enumerate(self._dataset(split, *(("label", "id") if self._has_id else ("label",)))):
            label, own = int(found["label"]), found.get("id", b"")
            last = (own if isinstance(own, bytes) else str(own).encode()).decode("utf-8", "replace").split("/")[-1]
            if 0 <= label < len(names):
                rows.append(Example(f"{names[label]}/{last}", names[label], (split, number)))
            else:
                unused.append(Unused(part, "", f"{split}/{number}", f"its label is {label}"))
        if self._has_id and len({row.id for row in rows}) == len(rows):
            return rows
        return [row._replace(id=f"{row.class_name}/{split}-{row.location[1]:06}") for row in rows]

    def _dataset(self, split: str, *features: str) -> Iterator[dict[str, Any]]:
        """Yields some features of every example of a split, always in the same order; pictures are encoded."""
        decoders = {"image": tfds.decode.SkipDecoding()}
        ds = self.builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
        return ds.map(lambda example: {name: example[name] for name in features}).as_numpy_iterator()

    def _download(self) -> None:
        if self.builder.data_path.exists():
            return
        url = URL if self.name == "food101" else next(iter(getattr(self.builder, "url_infos", None) or ()), "")
        if url:
            check_network(url)
        try:
            self.builder.download_and_prepare()
        except Exception as error:  # TFDS raises many types, for faults of network, disk and server
            copy = "a copy of food-101" if self.name == "food101" else "a folder of photographs"
            raise UserError(
                f"TFDS cannot prepare {self.name} ({first_line(error)}): needs network access and disk space, or "
                f"data.dir set to {copy}"
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
            if url != URL:  # it answers: another file of the set, or another way to ask, may do
                problem.clear()
        except (OSError, ValueError) as error:
            problem[0] = str(getattr(error, "reason", error))

    thread = threading.Thread(target=ask, daemon=True)  # name resolution has no timeout of its own
    thread.start()
    thread.join(seconds)
    if problem:
        what, copy = "the data set", "a folder of photographs"
        if url == URL:
            what, copy = "Food-101", "a copy (food-101.tar.gz or an extracted food-101/)"
        raise UserError(
            f"cannot download {what} from {url} ({problem[0]}): needs network access, or data.dir set to {copy}"
        )
