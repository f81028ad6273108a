"""The named tuples that functions of several results return; PyTorch: `torch.return_types`.

They print as PyTorch's do, a field to a line.
"""

from __future__ import annotations

from collections import namedtuple as _named
from typing import Any as _Any

from . import naming as _naming


def _repr(self: _Any) -> str:
    fields = [f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True)]
    return _naming.full(f"return_types.{type(self).__name__}(\n") + ",\n".join(fields) + ")"


def _results(name: str, fields: str) -> _Any:
    make: _Any = _named
    made = make(name, fields, module=__name__)
    made.__doc__ = f"What `{name.replace('linalg_', 'linalg.')}` gives."
    made.__repr__ = _repr
    return made


max = _results("max", "values indices")
min = _results("min", "values indices")
aminmax = _results("aminmax", "min max")
median = _results("median", "values indices")
nanmedian = _results("nanmedian", "values indices")
mode = _results("mode", "values indices")
kthvalue = _results("kthvalue", "values indices")
topk = _results("topk", "values indices")
sort = _results("sort", "values indices")
cummax = _results("cummax", "values indices")
cummin = _results("cummin", "values indices")
histogram = _results("histogram", "hist bin_edges")
frexp = _results("frexp", "mantissa exponent")

linalg_cholesky_ex = _results("linalg_cholesky_ex", "L info")
linalg_eig = _results("linalg_eig", "eigenvalues eigenvectors")
linalg_eigh = _results("linalg_eigh", "eigenvalues eigenvectors")
linalg_inv_ex = _results("linalg_inv_ex", "inverse info")
linalg_ldl_factor = _results("linalg_ldl_factor", "LD pivots")
linalg_ldl_factor_ex = _results("linalg_ldl_factor_ex", "LD pivots info")
linalg_lstsq = _results("linalg_lstsq", "solution residuals rank singular_values")
linalg_lu = _results("linalg_lu", "P L U")
linalg_lu_factor = _results("linalg_lu_factor", "LU pivots")
linalg_lu_factor_ex = _results("linalg_lu_factor_ex", "LU pivots info")
linalg_qr = _results("linalg_qr", "Q R")
linalg_slogdet = _results("linalg_slogdet", "sign logabsdet")
linalg_solve_ex = _results("linalg_solve_ex", "result info")
linalg_svd = _results("linalg_svd", "U S Vh")
lu_unpack = _results("lu_unpack", "P L U")
qr = _results("qr", "Q R")
slogdet = _results("slogdet", "sign logabsdet")
svd = _results("svd", "U S V")
triangular_solve = _results("triangular_solve", "solution cloned_coefficient")
