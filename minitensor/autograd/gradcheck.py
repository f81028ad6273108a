"""Checking derivatives against finite differences, entry by entry, in both modes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import creation
from ..errors import ArgumentError, GraphError
from ..graph import tensors
from ..ops.join import stack
from ..random import rand
from ..tensor import Tensor
from . import forward_ad
from .modes import enable_grad, no_grad
from .reverse import grad


class GradcheckError(GraphError, AssertionError):
    """A derivative that differs from finite differences; says which entry, and by how much."""


def _tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _outputs(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Tensor, ...]:
    ys = _tuple(function(*inputs))
    return tuple([y for y in ys if isinstance(y, Tensor) and y.is_floating_point()])


def _numerical(function: Callable[..., Any], inputs: Sequence[Any], which: int, eps: float) -> list[Any]:
    """For each output, d(output)/d(input), (elements out, elements in), by central differences."""
    x = inputs[which].array
    columns: list[list[Any]] = []
    with no_grad():
        for place in np.ndindex(x.shape):
            ends = []
            for step in (eps, -eps):
                moved = x.copy()
                moved[place] += step
                changed = [creation.from_numpy(moved) if i == which else v for i, v in enumerate(inputs)]
                ends.append([y.array.ravel() for y in _outputs(function, changed)])
            columns.append([(a - b) / (2 * eps) for a, b in zip(*ends, strict=True)])
        count = len(_outputs(function, inputs))
    return [np.stack([c[k] for c in columns], 1) if columns else None for k in range(count)]


def _reverse(
    function: Callable[..., Any], inputs: Sequence[Any], xs: list[Tensor], batched: bool = False
) -> list[list[Any]]:
    """jacobians[output][input] by one walk back per element of each output, or by one for all of them."""
    with enable_grad():
        ys = _outputs(function, inputs)
    result = []
    for y in ys:
        if batched and y.requires_grad and y.array.size:
            eye = creation.from_numpy(np.eye(y.array.size).reshape(y.array.size, *y.array.shape))
            together = grad(y, xs, eye, retain_graph=True, is_grads_batched=True, materialize_grads=True)
            result.append([g.detach().array.reshape(y.array.size, g.array.size // y.array.size) for g in together])
            continue
        rows: list[list[Any]] = [[] for _ in xs]
        for place in np.ndindex(y.array.shape):
            seed = np.zeros_like(y.array)
            seed[place] = 1
            found: Sequence[Any] = [None] * len(xs)
            if y.requires_grad:
                found = grad(y, xs, creation.from_numpy(seed), retain_graph=True, allow_unused=True)
            for row, x, g in zip(rows, xs, found, strict=True):
                row.append(np.zeros(x.array.size) if g is None else g.detach().array.ravel())
        result.append([np.stack(row) if row else None for row in rows])
    return result


def _forward(
    function: Callable[..., Any], inputs: Sequence[Any], xs: list[Tensor], batched: bool = False
) -> list[list[Any]]:
    """jacobians[output][input] by one forward pass per element of each input, or by one for all of them."""
    if batched:
        from ..func import jacfwd

        at = tuple([next(i for i, v in enumerate(inputs) if v is x) for x in xs])
        plain = [v.detach() if isinstance(v, Tensor) else v for v in inputs]
        with no_grad():
            found = jacfwd(lambda *vs: _outputs(function, vs), at)(*plain)
        sizes = [x.array.size for x in xs]
        return [
            [j.array.reshape(j.array.size // max(n, 1), n) for j, n in zip(row, sizes, strict=True)] for row in found
        ]
    columns: list[list[list[Any]]] = []
    for x in xs:
        mine: list[list[Any]] = []
        for place in np.ndindex(x.array.shape):
            seed = np.zeros_like(x.array)
            seed[place] = 1
            with forward_ad.dual_level(), no_grad():
                duals = [forward_ad.make_dual(v.detach(), creation.from_numpy(seed)) if v is x else v for v in inputs]
                parts = [forward_ad.unpack_dual(y) for y in _outputs(function, duals)]
            mine.append(
                [np.zeros(p.primal.array.size) if p.tangent is None else p.tangent.array.ravel() for p in parts]
            )
        columns.append(mine)
    count = len(_outputs(function, inputs))
    return [[np.stack([c[k] for c in mine], 1) if mine else None for mine in columns] for k in range(count)]


def _compare(what: str, have: list[list[Any]], want: list[list[Any]], atol: float, rtol: float = 0.0) -> None:
    """Raises unless two ways to the Jacobians give the same."""
    for o, (row, other) in enumerate(zip(have, want, strict=True)):
        for i, (a, b) in enumerate(zip(row, other, strict=True)):
            if a is None or b is None or a.size == 0 or np.allclose(a, b, rtol, atol, equal_nan=True):
                continue
            worst = np.unravel_index(np.nanargmax(np.abs(a - b)), a.shape)
            raise GradcheckError(
                f"gradcheck: {what}, output {o}, differentiated input {i}: d(output[{worst[0]}])/d(input[{worst[1]}]) "
                f"= {a[worst]:.8g}, by a single one {b[worst]:.8g} (flat indices)"
            )


def _along_directions(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    xs: list[Tensor],
    eps: float,
    atol: float,
    rtol: float,
    backward: bool,
    forward: bool,
) -> bool:
    """Whether <u, J v> along random unit vectors agrees with differences, for each output and input."""
    rng = np.random.default_rng(0)

    def unit(x: Any) -> Any:
        v = rng.standard_normal(x.array.shape)
        return v / max(float(np.linalg.norm(v)), 1e-30)

    with enable_grad():
        ys = _outputs(function, inputs)
    us = [unit(y) for y in ys]
    for x in xs:
        v = unit(x)
        ends = []
        with no_grad():
            for step in (eps, -eps):
                moved = creation.from_numpy(np.asarray(x.array + step * v))
                ends.append([y.array for y in _outputs(function, [moved if w is x else w for w in inputs])])
            with forward_ad.dual_level():
                tangent = creation.from_numpy(np.asarray(v))
                duals = [forward_ad.make_dual(w.detach(), tangent) if w is x else w for w in inputs]
                pushed = [forward_ad.unpack_dual(y).tangent for y in _outputs(function, duals)] if forward else []
        for k, (y, u) in enumerate(zip(ys, us, strict=True)):
            want = float((u * (ends[0][k] - ends[1][k])).sum()) / (2 * eps)
            have = []
            if backward:
                (g,) = (
                    grad(y, x, creation.from_numpy(np.asarray(u)), retain_graph=True, allow_unused=True)
                    if y.requires_grad
                    else (None,)
                )
                have.append(0.0 if g is None else float((g.detach().array * v).sum()))
            if forward:
                have.append(0.0 if pushed[k] is None else float((pushed[k].array * u).sum()))
            if not np.allclose(have, want, rtol, atol, equal_nan=True):
                return False
    return True


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the derivatives of `func` at `inputs` (float64) agree with central differences of step `eps`.

    Compares every entry of every Jacobian; the error names the worst, and says by how much it is off. With `fast_mode`
    only <u, J v> along random u and v is compared first, and the entries if that is off. Two walks back may differ by
    `nondet_tol`. `check_batched_grad` compares vmap of the walk back with single walks, `check_batched_forward_grad`
    vmap of forward mode. What has no gradient counts as zero, and a gradient always has its tensor's dtype, so
    `check_undefined_grad` and `check_grad_dtypes` change nothing; nor does `masked`.

    >>> x = mt.tensor([1.0, 2.0], dtype=mt.float64, requires_grad=True)
    >>> mt.autograd.gradcheck(lambda x: x * x, (x,))
    True
    """
    values = _tuple(inputs)
    places = [i for i, x in enumerate(values) if isinstance(x, Tensor) and x.requires_grad]
    if not places:
        raise ArgumentError("gradcheck: no input requires gradients")
    xs = [values[i] for i in places]
    for x in xs:
        if x.array.dtype != np.float64:
            raise GraphError(
                f"gradcheck: needs float64 inputs, got {x.dtype.name}; differences of floats are too rough"
            )
    if fast_mode and _along_directions(func, values, xs, eps, atol, rtol, check_backward_ad, check_forward_ad):
        return True
    modes = []
    if check_backward_ad:
        modes.append(("reverse", _reverse(func, values, xs)))
    if check_forward_ad or check_batched_forward_grad:
        modes.append(("forward", _forward(func, values, xs)))
    try:
        if check_backward_ad:
            _compare("a second walk back", _reverse(func, values, xs), modes[0][1], nondet_tol)
        if check_batched_grad:
            _compare("vmap of the walk back", _reverse(func, values, xs, batched=True), modes[0][1], atol, rtol)
        if check_batched_forward_grad:
            _compare("vmap of forward mode", _forward(func, values, xs, batched=True), modes[-1][1], atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    for k, i in enumerate(places):
        for o, want in enumerate(_numerical(func, values, i, eps)):
            for mode, jacobians in modes:
                have = jacobians[o][k]
                if want is None or have is None or have.size == 0:
                    continue
                off = ~np.isclose(have, want, rtol=rtol, atol=atol, equal_nan=True)
                if not off.any():
                    continue
                if not raise_exception:
                    return False
                worst = np.unravel_index(np.argmax(np.where(off, np.abs(have - want), -1)), have.shape)
                raise GradcheckError(
                    f"gradcheck: {mode} mode, output {o}, input {i}: {off.sum()} of {off.size} entries of the "
                    f"Jacobian are off; the worst is d(output[{worst[0]}])/d(input[{worst[1]}]) = {have[worst]:.8g}, "
                    f"by differences {want[worst]:.8g} (flat indices)"
                )
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """As `gradcheck`, for the gradient of `func` as a function of its inputs and of the gradients of its outputs.

    `gen_non_contig_grad_outputs` has those that it draws itself lie apart in memory.

    >>> x = mt.tensor([1.0, 2.0], dtype=mt.float64, requires_grad=True)
    >>> mt.autograd.gradgradcheck(lambda x: x**3, (x,))
    True
    """
    values = _tuple(inputs)
    places = [i for i, x in enumerate(values) if isinstance(x, Tensor) and x.requires_grad]
    ys = [y for y in _outputs(func, values) if y.requires_grad]
    if grad_outputs is None:
        with no_grad():
            seeds = [2 * rand(y.array.shape, dtype=y.dtype) - 1 for y in ys]
        if gen_non_contig_grad_outputs:
            seeds = [stack((s, s), -1)[..., 0] for s in seeds]
    else:
        seeds = list(_tuple(grad_outputs))
    seeds = [tensors.as_leaf(s.detach()) for s in seeds]

    def first(*arguments: Any) -> tuple[Any, ...]:
        xs, gs = arguments[: len(values)], arguments[len(values) :]
        with enable_grad():
            xs = tuple(
                [
                    x if not isinstance(x, Tensor) or x.requires_grad or i not in places else tensors.as_leaf(x)
                    for i, x in enumerate(xs)
                ]
            )
            outs = [y for y in _outputs(func, xs) if y.requires_grad]
            found = grad(outs, [xs[i] for i in places], gs, create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradcheck(
        first,
        (*values, *seeds),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
    )
