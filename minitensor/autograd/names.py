"""What PyTorch calls the nodes of a graph and the values that they save, for programs that print or look for them.

An operator's node is named after it, `relu`: ReluBackward0, but for those below: where PyTorch has another name, or a
number that says which of several forms was called. One operator of ours may be several of PyTorch's, told apart by
parameters and shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import nodes

_NAMES = {
    "adaptive_max_pool2d": "AdaptiveMaxPool2DBackward0",
    "attention": "ScaledDotProductFlashAttentionForCpuBackward0",
    "avg_pool2d": "AvgPool2DBackward0",
    "batch_norm": "NativeBatchNormBackward0",
    "batch_norm_fixed": "NativeBatchNormBackward0",
    "cast": "ToCopyBackward0",
    "cholesky": "LinalgCholeskyExBackward0",
    "clamp": "ClampBackward1",
    "col2im": "Col2ImBackward0",
    "contiguous": "CloneBackward0",
    "conv2d": "ConvolutionBackward0",
    "conv2d_input_vjp": "ConvolutionBackward0",
    "cross_entropy": "NllLossBackward0",
    "det": "LinalgDetBackward0",
    "eigh": "LinalgEighBackward0",
    "eigvalsh": "LinalgEighBackward0",
    "entr": "SpecialEntrBackward0",
    "erfcx": "SpecialErfcxBackward0",
    "fmod": "FmodBackward1",
    "gru_cell": "AddBackward0",
    "group_norm": "NativeGroupNormBackward0",
    "im2col": "Im2ColBackward0",
    "index_select": "IndexBackward0",
    "inv": "LinalgInvExBackward0",
    "layer_norm": "NativeLayerNormBackward0",
    "lstm_cell": "MulBackward0",
    "log1p": "Log1PBackward0",
    "log_ndtr": "SpecialLogNdtrBackward0",
    "matrix_exp": "LinalgMatrixExpBackward0",
    "max_along": "MaxBackward0",
    "max_pool2d": "MaxPool2DWithIndicesBackward0",
    "min_along": "MinBackward0",
    "ndtri": "SpecialNdtriBackward0",
    "norm": "LinalgVectorNormBackward0",
    "on_diagonal": "DiagEmbedBackward0",
    "pad": "ConstantPadNdBackward0",
    "pinv": "LinalgPinvBackward0",
    "pow_scalar": "PowBackward0",
    "qr": "LinalgQrBackward0",
    "remainder": "RemainderBackward1",
    "rms_norm": "MulBackward0",
    "setitem": "IndexPutBackward0",
    "slogdet": "LinalgSlogdetBackward0",
    "solve": "LinalgSolveExBackward0",
    "solve_triangular": "LinalgSolveTriangularBackward0",
    "square": "PowBackward0",
    "svd": "LinalgSvdBackward0",
    "svdvals": "LinalgSvdBackward0",
    "view_write": "torch::autograd::CopySlices",
    "windows": "UnfoldBackward0",
    "write_elements": "ScatterBackward0",
    "write_slices": "IndexCopyBackward0",
}


def _shape(node: Any) -> Any:
    """The shape of the first argument, of an operator that saves it; None if it was not needed."""
    return next((s.array for s in node.saved or () if s is not None and isinstance(s.array, tuple)), None)


def _reduction(name: str) -> Callable[[Any], str]:
    def of(node: Any) -> str:
        shape, params = _shape(node), node.params
        whole = not params["keepdim"] and (shape is None or len(params["axes"]) == len(shape))
        return f"{name}Backward{0 if whole else 1}"

    return of


def _rank(node: Any) -> int:
    """The most axes of a saved array."""
    return max([s.array.ndim for s in node.saved or () if s is not None and hasattr(s.array, "ndim")], default=0)


def _matmul(node: Any) -> str:
    ranks = [len(s.array) for s in node.saved or () if s is not None and isinstance(s.array, tuple)]
    if 1 in ranks:  # and more than two axes: the others have been named
        return "ViewBackward0"
    return "UnsafeViewBackward0" if _rank(node) > 2 else "MmBackward0"


def _permute(node: Any) -> str:
    dims = node.params["dims"]
    moved = sum(i != d for i, d in enumerate(dims))
    return "TBackward0" if dims == (1, 0) else "TransposeBackward0" if moved == 2 else "PermuteBackward0"


def _reshape(node: Any) -> str:
    after, source = node.params["shape"], node.inputs[0]
    of = source.op.name if isinstance(source, nodes.Node) else ""
    copies = of == "permute" and _copies(_shape(node), source.params["dims"], after)
    return "UnsafeViewBackward0" if copies else "ViewBackward0"


def _copies(permuted: Any, dims: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether no strides show permuted axes of an array that was row-major under another shape."""
    before = np.empty([permuted[dims.index(d)] for d in range(len(dims))], np.bool_)
    return not np.shares_memory(before, before.transpose(dims).reshape(after))


def _lerp(node: Any) -> str:
    return f"LerpBackward{0 if node.inputs[2] is None and _rank(node) == 0 else 1}"


def _getitem(node: Any) -> str:
    index = node.params["index"]
    parts = index if isinstance(index, tuple) else (index,)
    if any(hasattr(part, "dtype") or isinstance(part, list) for part in parts):
        return "IndexBackward0"
    kinds = {int: "Select", slice: "Slice", type(None): "Unsqueeze"}
    found = [kinds.get(type(part), "Alias") for part in parts if part != slice(None)]
    steps = [kind for kind in found if kind != "Alias"]
    return f"{steps[-1] if steps else 'Alias'}Backward0"


def _pow(node: Any) -> str:
    return "PowBackward2" if node.inputs[0] is None else "PowBackward1"


def _linear(node: Any) -> str:
    if node.inputs[2] is None:
        return _matmul(node)
    return "ViewBackward0" if _rank(node) > 2 else "AddmmBackward0"


def _error(node: Any) -> str:
    made = {"squared": "MseLoss", "absolute": "Abs", "huber": "HuberLoss"}[node.params["kind"]]
    if node.op.name == "total_error" and made == "Abs":
        made = "Mean" if node.params["mean"] else "Sum"
    return f"{made}Backward0"


def _bessel(node: Any) -> str:
    order, scaled = node.params["order"], node.params["scaled"]
    return f"{'Special' if order or scaled else ''}I{order}{'E' if scaled else ''}Backward0"


_FORMS: dict[str, Callable[[Any], str]] = {
    "bessel_i": _bessel,
    "error": _error,
    "total_error": _error,
    "getitem": _getitem,
    "lerp": _lerp,
    "linear": _linear,
    "matmul": _matmul,
    "mean": _reduction("Mean"),
    "permute": _permute,
    "pow": _pow,
    "prod": _reduction("Prod"),
    "reshape": _reshape,
    "sum": _reduction("Sum"),
}


def name_of(node: Any) -> str:
    """What PyTorch calls the node."""
    op = node.op
    if op.custom:
        return f"{op.name}Backward"
    if op.name in _FORMS:
        return _FORMS[op.name](node)
    own = "".join(part.capitalize() for part in op.name.split("_")) + "Backward0"
    return _NAMES.get(op.name, own)


# The arguments that PyTorch calls so, by their place; the output is at -2.
_ROLES = {
    "self": 0,
    "input": 0,
    "mat1": 0,
    "other": 1,
    "weight": 1,
    "mat2": 1,
    "exponent": 1,
    "target": 1,
    "result": -2,
    "output": -2,
}


def saved_of(node: Any, name: str) -> Any:
    """The value that PyTorch's node has as `_saved_<name>`: an argument or the output that is kept, or a parameter.

    None for an argument that no wanted gradient needs. Raises GraphError once the walk back has freed the values.
    """
    missing = AttributeError(f"{node.name()} saves nothing called {name}")
    if name in node.params:
        return node.params[name]
    role = _ROLES.get(name)
    if role is None:
        raise missing
    live = node._live()
    for s in live:
        if s is not None and s.role == role:
            return nodes.saved_value(node, s)
    if (-1 if role < 0 else role) not in node.op.saves:
        raise missing
    return None
