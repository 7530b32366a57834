"""What a page shows of an explanation: the layers of its Grad-CAM, and feature maps of some layers as pictures."""

import numpy as np

from foodjax.report import pictures
from foodjax.report.explain import Explanation

_MAPS = 32  # channels shown for each layer
_COARSE = 7  # pixels; a Grad-CAM with a smaller side gets a finer one beside it


def spread(names: list[str], count: int) -> list[str]:
    """Returns `count` of the names at even distances, the first and the last among them; all where there are fewer."""
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int))]


def cam_taps(found: Explanation) -> list[str]:
    """Returns the taps to show Grad-CAM at: the last one, and if that is coarse, also the last finer one."""
    names = list(found.cams)
    fine = [name for name in names if found.cams[name].shape[1] >= _COARSE]
    return list(dict.fromkeys([*fine[-1:], names[-1]]))


def map_sheets(found: Explanation, i: int, names: list[str]) -> list[tuple[str, str, str]]:
    """Returns (name, caption, data URI) of the feature maps of photograph `i` at the taps `names`."""
    sheets = []
    for name in names:
        one = np.asarray(found.maps[name][i], np.float32)
        height, width, total = one.shape
        shown = pictures.most_varied(one, _MAPS)
        silent = int((~one.any(axis=(0, 1))).sum())
        text = f"{height} x {width} pixels, "
        text += f"all {total} channels" if total <= _MAPS else f"the {_MAPS} of {total} channels that vary most"
        text += f"; {silent} inactive" if silent else ""
        sheets.append((name, text, pictures.data_uri(pictures.mosaic(one[..., shown]), "PNG")))
    return sheets
