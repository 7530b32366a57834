"""The script beside an exported file: classifies photographs without foodjax.

Each is a whole program of about 20 lines that somebody else may copy; so they share text here and no module.
"""

_SCRIPT = '''"""Classifies photographs: python {name} {file} photo.jpg ...

Needs {packages}.
"""

{imports}

{load}

for path in sys.argv[2:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    side = facts["image_size"]
{geometry}
    pixels = np.asarray(image)[None]  # uint8 (1, side, side, 3)
{run}
    best = np.argsort(-probabilities)[:5]
    print(path, *(f"{{facts['class_names'][k]}} {{probabilities[k]:.1%}}" for k in best), sep="  ")
'''

# data.geometry -> how a photograph becomes a square, as data.geometry.to_square does it.
_GEOMETRIES = {
    "stretch": """    image = image.resize((side, side), Image.Resampling.{resize})
""",
    "crop": """    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    image = image.crop((left, top, left + short, top + short)).resize((side, side), Image.Resampling.{resize})
""",
    "pad": """    inner = [max(1, round(length * side / max(image.size))) for length in image.size]
    square = Image.new("RGB", (side, side), (128, 128, 128))
    image = image.resize(inner, Image.Resampling.{resize})
    square.paste(image, ((side - inner[0]) // 2, (side - inner[1]) // 2))
    image = square
""",
}

_FACTS = 'facts = json.loads(zipfile.ZipFile(sys.argv[1]).read("foodjax.json"))\n'
_PILLOW = "from PIL import Image, ImageOps\n"

# Format -> packages, imports, the lines that make `facts` and load the network, and those that make `probabilities`.
_FORMATS = {
    "onnx": (
        "onnxruntime, numpy and pillow",
        "import json\nimport sys\n\nimport numpy as np\nimport onnxruntime\n" + _PILLOW,
        """session = onnxruntime.InferenceSession(sys.argv[1])
facts = json.loads(session.get_modelmeta().custom_metadata_map["foodjax"])
""",
        """    probabilities = session.run(None, {"images": pixels})[0][0]
""",
    ),
    "stablehlo": (
        "jax, numpy and pillow",
        "import json\nimport sys\nimport zipfile\nfrom pathlib import Path\n\nimport jax.export\nimport numpy as np\n"
        + _PILLOW,
        _FACTS + "program = jax.export.deserialize(bytearray(Path(sys.argv[1]).read_bytes()))\n",
        """    probabilities = np.asarray(program.call(pixels))[0]
""",
    ),
    "litert": (
        "ai-edge-litert, numpy and pillow",
        "import json\nimport sys\nimport zipfile\n\nimport numpy as np\n"
        "from ai_edge_litert.interpreter import Interpreter\n" + _PILLOW,
        _FACTS
        + """interpreter = Interpreter(sys.argv[1])
given, found = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
""",
        """    interpreter.resize_tensor_input(given, pixels.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given, pixels)
    interpreter.invoke()
    probabilities = interpreter.get_tensor(found)[0]
""",
    ),
    "keras": (
        "keras with a backend, numpy and pillow",
        "import json\nimport sys\nimport zipfile\n\nimport keras\nimport numpy as np\n" + _PILLOW,
        _FACTS + "model = keras.saving.load_model(sys.argv[1])\n",
        """    given = pixels if model.inputs[0].dtype == "uint8" else pixels / np.float32(255)
    probabilities = model.predict(given, verbose=0)[0]
""",
    ),
    "safetensors": (
        "foodjax, since weights alone are no program, and safetensors",
        "import sys\n\nimport jax\nimport numpy as np\n" + _PILLOW + "\n"
        "from foodjax.exchange.weights_folder import read_folder\n",
        """served = read_folder(sys.argv[1])
facts, run = served.facts(), jax.jit(served.function(plain=False))
""",
        """    probabilities = np.asarray(run(pixels))[0]
""",
    ),
}


def name_of(format: str) -> str:
    """Returns the name of the script of a format, a key of formats.FORMATS."""
    return f"run_{format}.py"


def script(format: str, file: str, *, geometry: str, resize: str) -> str:
    """Returns the text of the script beside a file.

    Args:
        format: a key of formats.FORMATS.
        file: name of the file, for the script's help.
        geometry: data.geometry of the experiment.
        resize: data.resize of the experiment.
    """
    packages, imports, load, run = _FORMATS[format]
    square = _GEOMETRIES[geometry].format(resize=resize.upper())
    text = _SCRIPT.format(
        name=name_of(format), file=file, packages=packages, imports=imports.rstrip(), load=load.rstrip(),
        geometry=square.rstrip(), run=run.rstrip(),
    )  # fmt: skip
    return text
