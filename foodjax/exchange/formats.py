"""The formats of foodjax export. Imports little: the command line asks for their names."""

from typing import NamedTuple


class Format(NamedTuple):
    """A format of exported networks.

    Attributes:
        file: name of the file, or of the folder, that is written where none is given.
        runs: where it runs, for the help.
        needs: packages that writing it needs, as Python imports them.
    """

    file: str
    runs: str
    needs: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Suffix of the file; "" for a folder."""
        return self.file[self.file.rfind(".") :] if "." in self.file else ""


QUANTISED = ("none", "int8")  # of --quantise
FORMATS = {
    "keras": Format("model.keras", "Keras", ("keras",)),
    "litert": Format("model.tflite", "LiteRT, on phones and small devices", ("tensorflow",)),
    "onnx": Format("model.onnx", "ONNX Runtime", ("onnx",)),
    "safetensors": Format("safetensors", "the weights alone, with config.json, in a folder", ("safetensors",)),
    "stablehlo": Format("model.stablehlo", "JAX, on CPU, GPU and TPU, without foodjax"),
}
