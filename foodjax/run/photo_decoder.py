"""Decodes photographs to predict, as a viewer shows them, and says where a run was trained on another decoding."""

import contextlib

import numpy as np

from foodjax.config.photo_keys import Data
from foodjax.data.decode import MAX_PIXELS, decode_as

_OTHERWISE = (
    "some photographs look otherwise here than in training: this run has data.decoding=plain, which ignores EXIF turns "
    "and alpha and clips 16 bits; a new training sees them as they are shown"
)


class PhotoDecoder:
    """Decodes photographs as the network takes them; threads may share it.

    New runs train on the same decoding. A run of an older version has data.decoding "plain" and predicts, as it did
    then, what a viewer shows; the first photograph for which that is not the same gets a line.
    """

    def __init__(self, data: Data, max_pixels: int = MAX_PIXELS):
        """Takes the photographs' part of the run's config, and the limit of a photograph's width x height."""
        self._data, self._max_pixels = data, max_pixels
        self._told = data.decoding == "viewer"

    def __call__(self, encoded: bytes) -> np.ndarray:
        """Returns a photograph as uint8 (H, H, 3) with H = data.image_size.

        Raises:
            ValueError: it is no whole picture, or is too large.
        """
        pixels = decode_as(self._data, encoded, decoding="viewer", max_pixels=self._max_pixels)
        if not self._told:
            with contextlib.suppress(ValueError):
                in_training = decode_as(self._data, encoded, max_pixels=self._max_pixels)
                if not np.array_equal(pixels, in_training):
                    self._told = True
                    print(_OTHERWISE, flush=True)
        return pixels
