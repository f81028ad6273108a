"""A file in ONNX's format as a module: its nodes in order, each computed by a function of the table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minitensor as mt

from .. import nn
from ..errors import ArgumentError, DtypeError, ShapeError
from ..graph.tensors import Tensor
from ..nn.parameter import Parameter
from ..ops.common import raw
from . import read_attention, read_math, read_nn, read_quantized, read_shape  # noqa: F401
from .table import UnsupportedError, dtype_of, reader

# The inputs that are settings, not weights: an initializer there is a buffer, also where it is floating.
_SETTINGS = {
    "BatchNormalization": (3, 4), "Clip": (1, 2), "Dropout": (1,), "Pad": (2,), "Range": (0, 1, 2), "Resize": (1, 2),
    "Upsample": (1,), "OneHot": (1, 2), "ConstantOfShape": (0,), "Cast": (0,), "RotaryEmbedding": (1, 2),
}  # fmt: skip


class FileError(RuntimeError, ValueError, OSError):
    """A file that is not what it should be."""


def require() -> Any:
    """The onnx package, which reads and writes the files."""
    try:
        import onnx
    except ImportError:
        raise ImportError("minitensor.onnx needs the package onnx: pip install 'minitensor-edu[onnx]'") from None
    return onnx


class Node:
    """One operator of a graph: its function, the names of its inputs and outputs, its attributes."""

    __slots__ = ("at", "attributes", "function", "inputs", "model", "name", "opset", "outputs", "scope", "what")

    def __init__(self, proto: Any, model: ONNXModule, graph: Graph) -> None:
        onnx = require()
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        self.name, self.model, self.opset = proto.name, model, model.opsets.get(domain, 0)
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        self.what = f"{domain + '.' if domain else ''}{proto.op_type} (opset {self.opset}) at node {self._label()}"
        found = reader(domain, proto.op_type, self.opset)
        if found is None:
            raise UnsupportedError(f"onnx.load: the operator {self.what} is not supported")
        self.function, self.at = found.function, found.at
        if not any(self.outputs):
            raise FileError(f"onnx.load: {self.what} makes nothing")
        self.scope: dict[str, Any] = {}
        self.attributes: dict[str, Any] = {}
        for a in proto.attribute:
            value: Any = onnx.helper.get_attribute_value(a)
            if isinstance(value, bytes):
                value = value.decode()
            elif isinstance(value, onnx.TensorProto):
                value = _tensor(value, self.what, model.folder)
            elif isinstance(value, onnx.GraphProto):
                value = Graph(value, model, graph)
            elif not isinstance(value, (int, float, str)):
                value = [v.decode() if isinstance(v, bytes) else v for v in value]
            self.attributes[a.name] = value

    def _label(self) -> str:
        return repr(self.name) if self.name else f"of {self.outputs[0]!r}" if self.outputs else "without a name"

    def training(self) -> bool:
        """Whether the model is in training mode."""
        return self.model.training

    def run(self, values: dict[str, Any]) -> None:
        """Computes the node from the values so far, and adds its own."""
        args = [values[name] if name else None for name in self.inputs]
        self.scope = values
        try:
            made = self.function(*args, **self.attributes, **({"at": self} if self.at else {}))
        except UnsupportedError as error:
            raise UnsupportedError(f"{self.what}: {error} is not supported") from error
        except TypeError as error:
            if "unexpected keyword" in str(error) or "positional argument" in str(error):
                raise UnsupportedError(f"{self.what}: this form is not supported ({error})") from error
            raise type(error)(f"{self.what}: {error}") from error
        except (RuntimeError, ValueError, IndexError) as error:
            raise type(error)(f"{self.what}: {error}") from error
        finally:
            self.scope = {}
        if isinstance(made, tuple):
            values.update(zip(self.outputs, made, strict=False))
        else:
            values[self.outputs[0]] = made


class Graph:
    """Nodes in order. A branch or a loop's body also sees the values of the graph that it stands in."""

    def __init__(self, proto: Any, model: ONNXModule, outer: Graph | None = None) -> None:
        self.constants = {t.name: _tensor(t, "", model.folder) for t in proto.initializer} if outer else {}
        self.inputs = [v.name for v in proto.input]
        self.outputs = [v.name for v in proto.output]
        self.nodes = [Node(n, model, self) for n in proto.node]
        self.needed = {name for n in self.nodes for name in n.inputs} | set(self.outputs)
        for node in self.nodes:
            for value in node.attributes.values():
                if isinstance(value, Graph):
                    self.needed |= value.needed
        self._last: list[list[str]] = self._ends()

    def check(self, known: set[str]) -> None:
        """Raises unless all that a node takes is given, or made before it."""
        known = known | {*self.inputs, *self.constants, ""}
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in known]
            if missing:
                raise FileError(f"onnx.load: {node.what} takes {missing[0]!r}, which nothing before it makes")
            for value in node.attributes.values():
                if isinstance(value, Graph):
                    value.check(known)
            known |= set(node.outputs)
        missing = [name for name in self.outputs if name not in known]
        if missing:
            raise FileError(f"onnx.load: nothing makes the output {missing[0]!r}")

    def _ends(self) -> list[list[str]]:
        """Of each node, the values that nothing after it needs."""
        seen = set(self.outputs) | {""}
        last: list[list[str]] = []
        for node in reversed(self.nodes):
            names = set(node.inputs) | set(node.outputs)
            for value in node.attributes.values():
                names |= value.needed if isinstance(value, Graph) else set()
            last.append(sorted(names - seen))
            seen |= names
        return last[::-1]

    def run(self, args: Sequence[Any], at: Node) -> list[Any]:
        """The outputs, inside the graph of the node `at`."""
        return self.compute({**at.scope, **self.constants, **dict(zip(self.inputs, args, strict=True))})

    def compute(self, values: dict[str, Any]) -> list[Any]:
        """The outputs from the inputs and constants; what is no longer needed is let go on the way."""
        for node, ended in zip(self.nodes, self._last, strict=True):
            node.run(values)
            for name in ended:
                values.pop(name, None)
        return [values[name] for name in self.outputs]


class _Input:
    """What a graph says of one of its inputs."""

    def __init__(self, proto: Any) -> None:
        self.name = proto.name
        if not proto.type.HasField("tensor_type"):
            raise UnsupportedError(f"onnx.load: the input {self.name!r} is not a tensor, which is not supported")
        kind = proto.type.tensor_type
        self.dtype = dtype_of(kind.elem_type)
        self.shape: tuple[Any, ...] | None = None
        if kind.HasField("shape"):
            fixed = [d.HasField("dim_value") and d.dim_value >= 0 for d in kind.shape.dim]  # -1: old files' open size
            self.shape = tuple([
                d.dim_value if known else d.dim_param or None for known, d in zip(fixed, kind.shape.dim, strict=True)
            ])  # fmt: skip

    def take(self, value: Any) -> Any:
        """A value given for it, as a tensor; raises if it is of another dtype or shape."""
        if not isinstance(value, (Tensor, np.ndarray, np.generic, int, float, bool, list)):
            raise DtypeError(f"input {self.name!r}: expected a tensor, got {type(value).__name__}")
        x: Any = value if isinstance(value, Tensor) else mt.as_tensor(value)
        if x.dtype is not self.dtype:
            raise DtypeError(f"input {self.name!r}: expected the dtype {self.dtype.name}, got {x.dtype.name}")
        if self.shape is not None:
            fits = len(self.shape) == x.ndim and all(
                not isinstance(want, int) or want == n for want, n in zip(self.shape, x.shape, strict=False)
            )
            if not fits:
                wanted = ", ".join("any" if n is None else str(n) for n in self.shape)
                raise ShapeError(f"input {self.name!r}: expected the shape ({wanted}), got {tuple(x.shape)}")
        return x


class ONNXModule(nn.Module):
    """A model read from ONNX: call it with the inputs, in order or by name; its weights are parameters that train.

    The outputs come as one tensor, or as a tuple of several. Floating weights are parameters under the names that they
    have in the file, other constants and running statistics buffers. As read the module is in evaluation mode; in
    training mode batch norms use and update statistics of the batch, and dropout drops.

    `input_names` and `output_names` are the graph's.
    """

    def __init__(self, proto: Any, folder: str = "") -> None:
        super().__init__()
        self.folder = folder
        self.opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in proto.opset_import}
        self._graph = Graph(proto.graph, self)
        self._places: dict[str, tuple[nn.Module, str]] = {}
        self.read: set[int] = set()  # of buffers whose elements decide what is computed: shapes, bounds
        self._adopt(proto.graph)
        held = set(self._places)
        self._graph.check(held)
        self._inputs = [_Input(v) for v in proto.graph.input if v.name not in held]
        self.input_names = [v.name for v in self._inputs]
        self.output_names = list(self._graph.outputs)
        self.folder = ""
        self.eval()

    def _adopt(self, graph: Any) -> None:
        """Makes the weights parameters and buffers of modules as their names say."""
        if graph.sparse_initializer:
            name = graph.sparse_initializer[0].values.name
            raise UnsupportedError(f"onnx.load: the sparse weights {name!r} are not supported")
        settings = {
            node.input[k] for node in graph.node for k in _SETTINGS.get(node.op_type, ()) if k < len(node.input)
        }
        read = {
            node.input[k]
            for node in graph.node
            for k in _SETTINGS.get(node.op_type, ())
            if k < len(node.input) and node.op_type != "BatchNormalization"
        }
        names = {t.name for t in graph.initializer}
        for t in graph.initializer:
            value = _tensor(t, f"the weights {t.name!r}", self.folder)
            *path, leaf = t.name.split(".")
            prefixes = {".".join(path[: i + 1]) for i in range(len(path))}
            if not all(path) or not leaf or prefixes & names:
                path, leaf = [], t.name.replace(".", "_")
            module: nn.Module = self
            for part in path:
                if part not in module._modules:
                    if hasattr(module, part):
                        module, leaf = self, t.name.replace(".", "_")
                        break
                    module._modules[part] = nn.Module()
                module = module._modules[part]  # type: ignore[assignment]
            if raw(value).dtype.kind == "f" and raw(value).ndim and t.name not in settings:
                module._parameters[leaf] = Parameter(value)
            else:
                module._buffers[leaf] = value
            self._places[t.name] = (module, leaf)
            if raw(value).dtype.kind != "f" or t.name in read:
                self.read.add(id(value))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs for the graph's inputs, which come by position or by name."""
        if len(args) > len(self._inputs):
            raise ArgumentError(f"the model takes {len(self._inputs)} inputs {self.input_names}, got {len(args)}")
        given = dict(zip(self.input_names, args, strict=False))
        twice, unknown = sorted(given.keys() & kwargs), sorted(kwargs.keys() - set(self.input_names))
        if twice or unknown:
            raise ArgumentError(
                f"the model has no input {unknown[0]!r}, only {self.input_names}"
                if unknown
                else f"the input {twice[0]!r} is given twice"
            )
        given.update(kwargs)
        missing = [name for name in self.input_names if name not in given]
        if missing:
            raise ArgumentError(f"the input {missing[0]!r} is missing: the model takes {self.input_names}")
        values = {v.name: v.take(given[v.name]) for v in self._inputs}
        for name, (module, leaf) in self._places.items():
            kept = module._parameters if leaf in module._parameters else module._buffers
            values[name] = kept[leaf]
        outs = self._graph.compute(values)
        return outs[0] if len(outs) == 1 else tuple(outs)

    def extra_repr(self) -> str:
        """The inputs, the outputs and the number of nodes."""
        return f"{', '.join(self.input_names)} -> {', '.join(self.output_names)}, nodes={len(self._graph.nodes)}"


def _tensor(proto: Any, what: str, folder: str) -> Any:
    """A TensorProto's values, in memory of their own; those of external data lie in files beside the model."""
    onnx = require()
    try:
        dtype = dtype_of(proto.data_type)
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            array = _external(proto, folder)
        else:
            array = onnx.numpy_helper.to_array(proto)
    except DtypeError as error:
        raise DtypeError(f"onnx.load: {what}: {error}") from None
    except (ValueError, TypeError) as error:
        raise FileError(f"onnx.load: {what}: the file is damaged: {error}") from None
    return mt.as_tensor(np.array(array, dtype.numpy))


def _external(proto: Any, folder: str) -> Any:
    entries = {e.key: e.value for e in proto.external_data}
    name = entries.get("location", "")
    path, root = Path(folder, name), Path(folder or ".").resolve()
    if not folder:
        raise FileError(f"the weights {proto.name!r} lie in the file {name!r}: load the model by its path")
    if root not in path.resolve().parents:
        raise FileError(f"the weights {proto.name!r} lie outside the model's folder, in {name!r}")
    if not path.is_file():
        raise FileError(f"the weights {proto.name!r} lie in the file {name!r}, which is not beside the model")
    dtype = dtype_of(proto.data_type).numpy.newbyteorder("<")
    count, offset = int(np.prod(proto.dims, dtype=np.int64)), int(entries.get("offset", 0))
    have, need = path.stat().st_size, offset + count * dtype.itemsize
    if offset < 0 or have < need:
        raise FileError(f"the weights {proto.name!r} end at byte {need} of {name!r}, which has only {have}")
    return np.fromfile(path, dtype, count, offset=offset).reshape(tuple(proto.dims))


def load(file: Any) -> ONNXModule:
    """The model in an ONNX file, as a module whose parameters train.

    `file` is a path, a file opened for reading bytes, the bytes themselves, or an `onnx.ModelProto`. Large weights may
    lie in files beside it ("external data"), where it is given by its path. Call the module with the graph's inputs:
    see `ONNXModule`.

    Errors: FileError (a ValueError) for a file that is not ONNX or is damaged; NotImplementedError, naming operator,
    node and operator set, for what has no counterpart; DtypeError for types that minitensor has not.

    >>> import io
    >>> layer = mt.nn.Linear(3, 2)
    >>> data = io.BytesIO()
    >>> mt.onnx.export(layer, mt.zeros(1, 3), data)
    >>> model = mt.onnx.load(data.getvalue())
    >>> [name for name, p in model.named_parameters()]
    ['weight', 'bias']
    >>> bool((model(mt.ones(1, 3)) == layer(mt.ones(1, 3))).all())
    True
    """
    onnx = require()
    folder, what = "", "the model"
    if isinstance(file, onnx.ModelProto):
        proto = file
    else:
        if isinstance(file, (bytes, bytearray)):
            data = bytes(file)
        elif hasattr(file, "read"):
            data = file.read()
        else:
            what = os.fspath(file)
            folder = os.path.dirname(os.path.abspath(file))
            data = Path(file).read_bytes()
        proto = onnx.ModelProto()
        try:
            proto.ParseFromString(data)
        except Exception as error:  # protobuf's own class is not public
            raise FileError(f"onnx.load: {what} is not an ONNX file, or it is cut off ({error})") from None
    if not proto.HasField("graph") or not proto.opset_import:
        raise FileError(f"onnx.load: {what} is not an ONNX file: it has no graph, or no operator set")
    if proto.functions:
        proto = _inlined(proto)
    return ONNXModule(proto, folder)


def _inlined(proto: Any) -> Any:
    """The model with its own functions written out where they are called."""
    import onnx.inliner

    return onnx.inliner.inline_local_functions(proto)
