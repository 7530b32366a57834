"""The formats of foodjax export. Imports little: the command line asks for their names."""

from typing import NamedTuple


class Format(NamedTuple):
    """A format of exported networks.

    Attributes:
        file: name of the file, or of the folder, that is written where none is given.
        needs: packages that writing it needs, as Python imports them.
        has_script: a script beside the file runs it; without, the file itself is a program.
    """

    file: str
    needs: tuple[str, ...] = ()
    has_script: bool = True

    @property
    def suffix(self) -> str:
        """Suffix of the file; "" for a folder."""
        return self.file[self.file.rfind(".") :] if "." in self.file else ""


QUANTISED = ("none", "int8")  # of --quantise
FORMATS = {
    "keras": Format("model.keras", ("keras",)),
    "litert": Format("model.tflite", ("tensorflow",)),
    "onnx": Format("model.onnx", ("onnx",)),
    "safetensors": Format("safetensors", ("safetensors",)),
    "stablehlo": Format("model.stablehlo"),
    "web": Format("model.html", ("onnx",), has_script=False),
}
