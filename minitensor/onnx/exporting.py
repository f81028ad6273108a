"""`export`: a model and example inputs to a file in ONNX's format."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import pytree
from ..errors import ArgumentError, ArgumentRangeError
from ..graph.tensors import Tensor, wrap
from ..version import __version__
from . import trace, write_index, write_nn, write_ops  # noqa: F401
from .model import require
from .table import NUMBER_OF, UnsupportedError
from .write import Builder, Line, Size, merged, shape_of

LEAST, USUAL = 13, 18
TWO_GIGABYTES = 2**31 - 2**16  # what a message can hold, with room for the graph


def export(
    model: Any,
    args: Any,
    f: Any = None,
    *,
    kwargs: dict[str, Any] | None = None,
    export_params: bool = True,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamic_axes: Mapping[str, Any] | None = None,
    dynamic_shapes: Any = None,
    keep_initializers_as_inputs: bool = False,
    external_data: bool | None = None,
    do_constant_folding: bool = True,
    training: Any = None,
    **ignored: Any,
) -> Any:
    """Writes what `model(*args)` computes to the file `f`, in ONNX's format.

    `model` is a module, which is exported in evaluation mode, or a function; `args` a tuple of example inputs, or the
    one input. `f` is a path or a file opened for writing bytes; without it the `onnx.ModelProto` is returned.
    The model is run on `args`, and every operator that it applies becomes nodes; parameters and buffers become
    initializers under the names that they have in its state dict. What the program computes without its inputs, and
    which way it branches, is fixed as it was.

    `input_names` and `output_names` name the graph's. `dynamic_axes={"x": {0: "batch"}}` (or `{"x": [0]}`) leaves
    sizes open. To see what depends on them the model is then run at four sizes of these axes; a number that changes is
    computed in the graph where it has a formula, else the export raises. `dynamic_shapes` says the same by position or
    by argument.  `opset_version` is the operator set, from 13 on; 18 if not given. Weights of more than 2 GB, or
    with `external_data`, go to a second file beside `f`, "<f>.data". `export_params=False` leaves weights as inputs.
    Other arguments of torch.onnx.export are taken and have no effect.

    Errors: NotImplementedError, naming operator and line, for what ONNX does not have; RuntimeError where the program
    reads elements of a traced tensor or draws random numbers; ValueError for names and axes that do not fit.

    >>> import io
    >>> data = io.BytesIO()
    >>> model = mt.nn.Sequential(mt.nn.Linear(3, 2), mt.nn.ReLU())
    >>> mt.onnx.export(model, mt.zeros(1, 3), data, input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    >>> mt.onnx.load(data.getvalue())(mt.zeros(5, 3)).shape
    minitensor.Size([5, 2])
    """
    onnx = require()
    given = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    named = dict(kwargs or {})
    if given and isinstance(given[-1], dict) and not named and len(given) > 1:
        given, named = given[:-1], dict(given[-1])
    opset = _opset(opset_version)
    tensors = [x for x in pytree.leaves((given, named)) if isinstance(x, Tensor)]
    ins = _names("input_names", "input", input_names, len(tensors))
    axes = _axes(model, dynamic_axes, dynamic_shapes, given, named, tensors, ins)
    modes = [(m, m.training) for m in model.modules()] if hasattr(model, "modules") else []
    for module, _ in modes:
        module.training = False
    try:
        traces = _traces(model, given, named, tensors, ins, axes)
    finally:
        for module, mode in modes:
            module.training = mode
    builder = Builder(opset)
    weights = traces[0][0].weights
    inputs, outputs = _graph(builder, traces, tensors, ins, output_names, axes)
    proto = _message(onnx, builder, weights, inputs, outputs, export_params, keep_initializers_as_inputs)
    if verbose:
        print(onnx.printer.to_text(proto))
    if f is None:
        return proto
    _save(onnx, proto, f, external_data)
    return None


def _opset(version: int | None) -> int:
    onnx = require()
    newest = onnx.defs.onnx_opset_version()
    if version is None:
        return USUAL
    if version > newest:
        raise ArgumentRangeError(f"onnx.export: opset_version {version} is not known: this onnx has sets to {newest}")
    if version < LEAST:
        warnings.warn(f"onnx.export: opset_version {version} is older than {LEAST}, which is written", stacklevel=4)
        return LEAST
    return version


def _names(what: str, usual: str, given: Sequence[str] | None, n: int) -> list[str]:
    """The names of inputs or outputs: those given, then usual ones."""
    names = list(given or ())
    if len(names) > n:
        raise ArgumentError(f"onnx.export: {what} has {len(names)} names for {n} tensors")
    if len(set(names)) < len(names):
        raise ArgumentError(f"onnx.export: {what} has a name twice: {names}")
    rest = [usual if n == 1 else f"{usual}_{i}" for i in range(n)]
    return names + rest[len(names) :]


def _axes(
    model: Any, dynamic_axes: Any, dynamic_shapes: Any, given: Any, named: Any, tensors: list[Any], ins: list[str]
) -> dict[str, dict[int, str]]:
    """Of each name of a tensor, the names of its open axes."""
    asked: dict[str, Any] = dict(dynamic_axes or {})
    if dynamic_shapes is not None:
        parts = list(dynamic_shapes.values()) if isinstance(dynamic_shapes, dict) else list(dynamic_shapes)
        asked.update({name: part for name, part in zip(ins, parts, strict=False) if part})
    found: dict[str, dict[int, str]] = {}
    for name, spec in asked.items():
        if isinstance(spec, dict):
            pairs = [
                (d, getattr(label, "__name__", None) or str(label)) for d, label in spec.items() if label is not None
            ]
        else:
            pairs = [(d, "") for d in spec]
        rank = tensors[ins.index(name)].ndim if name in ins else None
        row: dict[int, str] = {}
        for d, label in pairs:
            if not isinstance(d, (int, np.integer)):
                raise ArgumentError(f"onnx.export: dynamic_axes of {name!r}: an axis is an integer, not {d!r}")
            if rank is not None and not -rank <= d < rank:
                raise ArgumentRangeError(f"onnx.export: dynamic_axes of {name!r}: there is no axis {d} among {rank}")
            axis = int(d) % rank if rank else int(d)
            row[axis] = label if label and not label.startswith("<") else f"{name}_dim_{axis}"
        found[name] = row
    return found


def _traces(model: Any, given: Any, named: Any, tensors: list[Any], ins: list[str], axes: dict[str, Any]) -> list[Any]:
    """The model traced: once, or at four sizes of the open axes, each at least 2."""
    open_ = [axes.get(name, {}) for name in ins]
    if not any(open_):
        first = trace.run(model, given, named)
        return [first, *[trace.run(model, given, named, k) for k in (1, 2, 3)]] if first[0].counted else [first]
    symbols = sorted({label for row in open_ for label in row.values()})
    base: dict[str, int] = {}
    for x, row in zip(tensors, open_, strict=True):
        for d, label in row.items():
            n = x.shape[d]
            if base.setdefault(label, n) != n:
                raise ArgumentError(f"onnx.export: the axes called {label!r} have the sizes {base[label]} and {n}")
    errors = []
    for sizes in _choices(base, symbols):
        try:
            return [trace.run(model, *_resized(given, named, tensors, open_, row), k) for k, row in enumerate(sizes)]
        except UnsupportedError:
            raise
        except Exception as error:  # the program's own: perhaps it has a largest size, or wants multiples of one
            errors.append(error)
    errors[0].add_note(f"onnx.export: the model was run at other sizes of the dynamic axes {symbols}")
    raise errors[0]


_STEPS = ((1, 3, 8), (5, 2, 3), (2, 7, 4), (3, 1, 6), (7, 4, 1))  # of the first open axis, the second, ...


def _choices(base: dict[str, int], symbols: list[str]) -> Any:
    """Sizes of the open axes to try: larger ones, smaller ones, multiples. Four of each, that have no pattern."""
    steps = {label: _STEPS[i % len(_STEPS)] for i, label in enumerate(symbols)}
    first = {label: max(n, 2) for label, n in base.items()}
    yield [first, *[{label: n + steps[label][k] for label, n in first.items()} for k in range(3)]]
    if any(n > 9 for n in first.values()):
        turn = {label: -1 if n > 9 else 1 for label, n in first.items()}
        yield [first, *[{label: n + turn[label] * steps[label][k] for label, n in first.items()} for k in range(3)]]
    elif any(n > 5 for n in first.values()):
        down = {label: (1, 3, 2) if n > 5 else (-1, -3, -8) for label, n in first.items()}
        yield [first, *[{label: n - down[label][k] for label, n in first.items()} for k in range(3)]]
    yield [first, *[{label: n * (1 + steps[label][k]) for label, n in first.items()} for k in range(3)]]


def _resized(
    given: Any, named: Any, tensors: list[Any], open_: list[dict[int, str]], sizes: dict[str, int]
) -> tuple[Any, Any]:
    """The example inputs with other sizes of the open axes: their elements again, or the first of them."""
    made = []
    for x, row in zip(tensors, open_, strict=True):
        a = x.detach().array
        for d, label in row.items():
            a = np.take(a, np.arange(sizes[label]) % max(a.shape[d], 1), d)
        made.append(wrap(np.ascontiguousarray(a)))
    new = iter(made)
    tree = (given, named)
    args, kwargs = pytree.rebuild(tree, [next(new) if isinstance(x, Tensor) else x for x in pytree.leaves(tree)])
    return args, kwargs


def _graph(
    b: Builder, traces: list[Any], tensors: list[Any], ins: list[str], output_names: Any, axes: dict[str, Any]
) -> tuple[list[Any], list[Any]]:
    """Writes the steps; the graph's inputs and outputs as (name, dtype, shape)."""
    levels = [t[0] for t in traces]
    steps = [level.steps for level in levels]
    if not traces[0][1]:
        raise ArgumentError("onnx.export: the model returns no tensor")
    labels = _names("output_names", "output", output_names, len(traces[0][1]))
    clash = set(labels) & set(ins)
    if clash:
        raise ArgumentError(f"onnx.export: {clash.pop()!r} is the name of an input and of an output")
    b.taken |= {*ins, *labels, *levels[0].weights}
    inputs = []
    for i, name in enumerate(ins):
        given = tensors[i].detach().array
        rows = [axes.get(name, {}).get(d, n) for d, n in enumerate(given.shape)]
        inputs.append((name, given.dtype, tuple(rows)))
        b.names["input", i] = name
        sizes = zip(*[level.inputs[i] for level in levels], strict=True)
        b.known(name, given.dtype, tuple([merged(list(column)) for column in sizes]))
    for name, x in levels[0].weights.items():
        b.names["weight", name] = name
        b.known(name, x.array.dtype, tuple(x.array.shape))
    for column in _aligned(steps):
        b.write(Line(list(column)))
    outs = [merged(list(column)) for column in zip(*[t[1] for t in traces], strict=False)]
    outputs = []
    renamed: set[str] = set()
    b.line = None
    for i, (value, label) in enumerate(zip(outs, labels, strict=True)):
        name = b.output(value)
        if name in b.initializers or name in ins or name in levels[0].weights or name in renamed:
            name = b.node("Identity", name, name=f"{label}_value")
        b.rename(name, label)
        renamed.add(label)
        for key, held in b.names.items():
            if held == name:
                b.names[key] = label
        shape = shape_of([t[1][i] for t in traces])
        asked = axes.get(label, {})
        known = _symbols(inputs, b)
        rows = [
            (asked.get(d) or known.get(n.key()) or f"{label}_dim_{d}") if isinstance(n, Size) else n
            for d, n in enumerate(shape)
        ]
        outputs.append((label, value.dtype, tuple(rows)))
    return inputs, outputs


def _symbols(inputs: list[Any], b: Builder) -> dict[Any, str]:
    """The names of the open sizes."""
    return {
        n.key(): label
        for name, _, row in inputs
        for n, label in zip(b.shapes[name], row, strict=True)
        if isinstance(n, Size) and isinstance(label, str)
    }


def _aligned(steps: list[list[Any]]) -> Any:
    """The steps of all traces side by side; they must be the same."""
    for column in zip(*steps, strict=False):
        if len({s.name for s in column}) > 1:
            names = " and ".join(sorted({s.name for s in column}))
            raise UnsupportedError(
                f"onnx.export: the program does something else at other sizes of the dynamic axes ({names} in the same "
                f"place{', ' + column[0].place if column[0].place else ''}); leave those axes out of dynamic_axes"
            )
        yield column
    if len({len(s) for s in steps}) > 1:
        raise UnsupportedError(
            "onnx.export: the number of steps changes with the sizes of the dynamic axes (a loop over one of them); "
            "leave those axes out of dynamic_axes"
        )


def _message(
    onnx: Any, b: Builder, weights: dict[str, Any], inputs: Any, outputs: Any, export_params: bool, as_inputs: bool
) -> Any:
    """The ModelProto: without nodes and constants that no output needs."""
    needed = {name for name, _, _ in outputs}
    nodes = []
    for node in reversed(b.nodes):
        if needed & set(node.output):
            while len(node.output) > 1 and node.output[-1] not in needed:
                del node.output[-1]
            needed |= set(node.input)
            nodes.append(node)
    helper = onnx.helper
    infos = {
        name: helper.make_tensor_value_info(name, NUMBER_OF[np.dtype(kind)], list(shape))
        for name, kind, shape in [*inputs, *outputs]
    }
    heads = [infos[name] for name, _, _ in inputs]
    kept = {name: np.ascontiguousarray(x.detach().array) for name, x in weights.items() if name in needed}
    if as_inputs or not export_params:
        heads += [helper.make_tensor_value_info(name, NUMBER_OF[a.dtype], a.shape) for name, a in kept.items()]
    for name, a in b.initializers.items():
        if name in needed:
            tensor = onnx.TensorProto()
            _fill(tensor, a, name)
            nodes.append(helper.make_node("Constant", [], [name], value=tensor))
    graph = helper.make_graph(nodes[::-1], "main_graph", heads, [infos[n] for n, _, _ in outputs])
    proto = helper.make_model_gen_version(
        graph,
        opset_imports=[helper.make_opsetid("", b.opset)],
        producer_name="minitensor",
        producer_version=__version__,
    )
    if export_params:
        for name, a in kept.items():
            _fill(proto.graph.initializer.add(), a, name)
    return proto


def _fill(proto: Any, array: Any, name: str) -> None:
    proto.name, proto.data_type = name, NUMBER_OF[array.dtype]
    proto.dims.extend(array.shape)
    proto.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _save(onnx: Any, proto: Any, f: Any, external: bool | None) -> None:
    total = sum(len(t.raw_data) for t in proto.graph.initializer)
    if hasattr(f, "write"):
        if total > TWO_GIGABYTES:
            raise ArgumentError(
                f"onnx.export: weights of {total} bytes do not fit into one message (2 GB); give a path, so that they "
                "can lie in a second file"
            )
        f.write(proto.SerializeToString())
        return
    path = Path(os.fspath(f))
    if external or total > TWO_GIGABYTES:
        _aside(onnx, proto, path)
    path.write_bytes(proto.SerializeToString())


def _aside(onnx: Any, proto: Any, path: Path) -> None:
    """Moves the weights of more than a kilobyte into a second file."""
    name = path.name + ".data"
    with open(path.with_name(name), "wb") as out:
        for t in proto.graph.initializer:
            data = t.raw_data
            if len(data) < 1024:
                continue
            out.write(b"\0" * (-out.tell() % 4096))
            entries = {"location": name, "offset": str(out.tell()), "length": str(len(data))}
            out.write(data)
            t.ClearField("raw_data")
            t.data_location = onnx.TensorProto.EXTERNAL
            for key, value in entries.items():
                entry = t.external_data.add()
                entry.key, entry.value = key, value
