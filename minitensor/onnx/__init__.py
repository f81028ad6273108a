"""Models to and from ONNX's files: `export` writes what a model computes, `load` reads a file as a module.

Needs the package onnx: `pip install 'minitensor-edu[onnx]'`.
"""

from .exporting import export
from .model import FileError, ONNXModule, load
from .table import UnsupportedError

__all__ = ["FileError", "ONNXModule", "UnsupportedError", "export", "load"]

_export = export  # as programs of PyTorch 1 call it
