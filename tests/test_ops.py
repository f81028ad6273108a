"""Every operator of the table, at every sample: the maths, then each kernel against the reference.

    the maths      the reference's rules in float64 against central differences along a random direction, first and
                   second order; forward mode against reverse: <u, J v> = <J^T u, v>; forward over reverse
    the kernels    on every ISA and rung, in float32 and float64, against the reference in float64; exactly, where the
                   operator is sums and products and the inputs are small powers of two; strided and broadcast inputs;
                   NaN and infinities; the same bits for 1, 2, 3 and 8 threads

Nothing here names an operator: a new one is tested by being in the table.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import minitensor as mt
from minitensor.autograd import forward_ad
from minitensor.graph import record
from minitensor.graph.tensors import as_leaf
from minitensor.op import OPS, Op, Sample

H = 1e-6


def rng_of(op: Op) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(op.name.encode()))


ALL = [
    pytest.param(op, sample, id=f"{op.name}-{i}")
    for op in OPS.values()
    for i, sample in enumerate(op.samples(rng_of(op)))
]
CASES = [case for case in ALL if not case.values[1].large]
WITH_KERNEL = [case for case in ALL if case.values[0].forward is not None]
ISAS = mt.cpu.isas()[1:]
RUNGS = mt.cpu.RUNGS[1:]


def is_float(a) -> bool:
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def rule_of(op: Op, i: int):
    return op.rules[0 if op.variadic else i]


def differentiable(op: Op, sample: Sample) -> list[int]:
    """The places of the arguments that derivatives are taken by."""
    return [i for i, a in enumerate(sample.args) if is_float(a) and rule_of(op, i) is not None]


def outputs(y) -> list:
    """The floating outputs."""
    return [t for t in (y if isinstance(y, tuple) else (y,)) if is_float(t.array)]


def call(op: Op, args, params):
    """The outputs of an operator as a list of tensors."""
    return outputs(record.apply(op, *args, **params))


def leaves(args, places):
    """The arguments as tensors; those at `places` want gradients."""
    return [
        mt.from_numpy(a.copy()).requires_grad_(i in places) if isinstance(a, np.ndarray) else a
        for i, a in enumerate(args)
    ]


def moved(sample: Sample, steps: dict[int, np.ndarray], h: float):
    """The arguments with h times a step added; those that depend on others follow."""
    args = tuple([np.asarray(a + h * steps[i]) if i in steps else a for i, a in enumerate(sample.args)])
    return args if sample.derive is None else sample.derive(*args)


def draw(rng, arrays) -> list[np.ndarray]:
    return [np.asarray(rng.standard_normal(np.shape(a))) for a in arrays]


def dot(xs, ys) -> float:
    return float(sum(np.sum(np.asarray(x) * np.asarray(y)) for x, y in zip(xs, ys, strict=True)))


def gradients(op, args, params, places, us, create_graph=False):
    """J^T u for the arguments at `places`, zeros where nothing depends on them."""
    tensors = leaves(args, places)
    ys = call(op, tensors, params)
    pairs = [(y, mt.from_numpy(u)) for y, u in zip(ys, us, strict=True) if y.requires_grad]
    xs = [tensors[i] for i in places]
    if not pairs:
        return xs, [mt.zeros_like(x) for x in xs]
    found = mt.autograd.grad(
        [y for y, _ in pairs],
        xs,
        [u for _, u in pairs],
        create_graph=create_graph,
        materialize_grads=True,
    )
    return xs, list(found)


def close(have: float, want: float, scale: float) -> None:
    assert have == pytest.approx(want, rel=2e-5, abs=2e-5 * (1 + scale)), (have, want)


@pytest.fixture
def reference():
    with mt.cpu.use("reference"):
        yield


def prepare(op, sample):
    """(places, random direction v, random cotangents u) of a differentiable case, or skips it."""
    places = differentiable(op, sample)
    with mt.no_grad():
        ys = call(op, leaves(sample.args, ()), sample.params)
    if not places or not ys or all(rule is None for rule in op.rules):
        return None
    rng = rng_of(op)
    v = dict(zip(places, draw(rng, [sample.args[i] for i in places]), strict=True))
    return places, v, draw(rng, [y.array for y in ys]), rng


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize(("op", "sample"), CASES)
def test_first_order(op, sample):
    """<J^T u, v> is the derivative of <u, f(x + h v)> in h."""
    if (case := prepare(op, sample)) is None:
        return
    places, v, us, _ = case
    with mt.no_grad():
        ends = [dot([y.array for y in call(op, moved_tensors(sample, v, h), sample.params)], us) for h in (H, -H)]
    _, grads = gradients(op, sample.args, sample.params, places, us)
    for g, i in zip(grads, places, strict=True):
        assert g.array.shape == sample.args[i].shape
        assert g.array.dtype == np.float64
    close(dot([g.array for g in grads], [v[i] for i in places]), (ends[0] - ends[1]) / (2 * H), abs(ends[0]))


def moved_tensors(sample, v, h):
    return leaves(moved(sample, v, h), ())


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize(("op", "sample"), CASES)
def test_second_order(op, sample):
    """The gradient of <J^T u, w>, recorded by the same rules, against differences of J^T u."""
    if (case := prepare(op, sample)) is None:
        return
    places, v, us, rng = case
    ws = draw(rng, [sample.args[i] for i in places])
    xs, grads = gradients(op, sample.args, sample.params, places, us, create_graph=True)
    live = [(g, mt.from_numpy(w)) for g, w in zip(grads, ws, strict=True) if g.requires_grad]
    seconds = [mt.zeros_like(x) for x in xs]
    if live:
        seconds = mt.autograd.grad([g for g, _ in live], xs, [w for _, w in live], materialize_grads=True)
    ends = []
    for h in (H, -H):
        args = moved(sample, v, h)
        _, moved_grads = gradients(op, args, sample.params, places, us)
        ends.append(dot([g.array for g in moved_grads], ws))
    close(dot([s.array for s in seconds], [v[i] for i in places]), (ends[0] - ends[1]) / (2 * H), abs(ends[0]))


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize(("op", "sample"), CASES)
def test_forward_mode(op, sample):
    """<u, J v> = <J^T u, v>, and the derivative of J^T u along v is the same forward over reverse as by reverse."""
    if (case := prepare(op, sample)) is None:
        return
    places, v, us, rng = case
    xs, grads = gradients(op, sample.args, sample.params, places, us, create_graph=True)
    with forward_ad.dual_level():
        duals = leaves(sample.args, ())
        for i in places:
            duals[i] = forward_ad.make_dual(duals[i], mt.from_numpy(v[i]))
        ys = call(op, duals, sample.params)
        tangents = [forward_ad.unpack_dual(y).tangent for y in ys]
    jv = [np.zeros(u.shape) if t is None else t.array for t, u in zip(tangents, us, strict=True)]
    for part, u in zip(jv, us, strict=True):
        assert part.shape == u.shape
    close(dot(jv, us), dot([g.detach().array for g in grads], [v[i] for i in places]), abs(dot(jv, us)))

    ws = draw(rng, [sample.args[i] for i in places])
    live = [(g, mt.from_numpy(w)) for g, w in zip(grads, ws, strict=True) if g.requires_grad]
    want = 0.0
    if live:
        seconds = mt.autograd.grad([g for g, _ in live], xs, [w for _, w in live], materialize_grads=True)
        want = dot([s.array for s in seconds], [v[i] for i in places])
    with forward_ad.dual_level():
        duals = leaves(sample.args, ())
        for i in places:
            duals[i] = as_leaf(forward_ad.make_dual(duals[i], mt.from_numpy(v[i])))
        pairs = [(y, u) for y, u in zip(call(op, duals, sample.params), us, strict=True) if y.requires_grad]
        found = [None] * len(places)
        if pairs:
            found = mt.autograd.grad(
                [y for y, _ in pairs],
                [duals[i] for i in places],
                [mt.from_numpy(u) for _, u in pairs],
                allow_unused=True,
            )
        have = 0.0
        for g, w in zip(found, ws, strict=True):
            tangent = None if g is None else forward_ad.unpack_dual(g).tangent
            have += 0.0 if tangent is None else dot([tangent.detach().array], [w])
    close(have, want, abs(want))


# --- the kernels ------------------------------------------------------------------------------------------------------


def settings():
    """Every ISA with the default rung, and every other rung on the best ISA."""
    return [(isa, "fast") for isa in ISAS] + [(ISAS[-1], rung) for rung in RUNGS if rung != "fast"]


def cast(args, dtype):
    return [a.astype(dtype) if is_float(a) else a for a in args]


def results(op, args, params, places):
    """Outputs, and gradients for cotangents that depend on the outputs' shapes alone, as arrays."""
    tensors = leaves(args, places)
    ys = record.apply(op, *tensors, **params)
    ys = list(ys) if isinstance(ys, tuple) else [ys]
    arrays = [y.detach().array for y in ys]
    rng = np.random.default_rng(7)
    pairs = [(y, np.asarray(rng.standard_normal(y.array.shape), y.array.dtype)) for y in ys if y.requires_grad]
    if places and pairs:
        arrays += [
            g.array
            for g in mt.autograd.grad(
                [y for y, _ in pairs],
                [tensors[i] for i in places],
                [mt.from_numpy(u) for _, u in pairs],
                materialize_grads=True,
            )
        ]
    return arrays


def compare(op, sample, have, want, dtype):
    """Within c * eps * length: rounding, once for each term of the longest sum, relative to the largest value."""
    eps = np.finfo(dtype).eps
    tolerance = 8 * eps * max(op.length(*sample.args, **sample.params), 1)
    assert len(have) == len(want)
    for h, w in zip(have, want, strict=True):
        assert h.shape == w.shape
        if w.dtype.kind != "f":
            np.testing.assert_array_equal(h, w)
            continue
        assert h.dtype == dtype
        finite = np.abs(w[np.isfinite(w)])
        scale = max(1.0, finite.max(initial=0.0))
        np.testing.assert_allclose(h.astype(np.float64), w, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "sample"), WITH_KERNEL)
def test_kernel_agrees(op, sample, dtype):
    places = differentiable(op, sample)
    rounded = cast(cast(sample.args, dtype), np.float64)  # what the kernel sees, in float64
    with mt.cpu.use("reference"):
        want = results(op, rounded, sample.params, places)
    for isa, rung in settings():
        with mt.cpu.use(isa), mt.cpu.kernels(rung):
            assert mt.cpu.isa() == isa
            have = results(op, cast(sample.args, dtype), sample.params, places)
        compare(op, sample, have, want, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "sample"), [case for case in WITH_KERNEL if case.values[0].exact])
def test_kernel_is_exact(op, sample, dtype):
    """Sums and products of small powers of two round nowhere: every order of summation gives the same bits."""
    rng = rng_of(op)
    args = [rng.choice([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0], a.shape) if is_float(a) else a for a in sample.args]
    with mt.cpu.use("reference"), mt.no_grad():
        want = results(op, args, sample.params, ())
    for isa, rung in settings():
        with mt.cpu.use(isa), mt.cpu.kernels(rung), mt.no_grad():
            for h, w in zip(results(op, cast(args, dtype), sample.params, ()), want, strict=True):
                np.testing.assert_array_equal(h.astype(w.dtype), w)


def awkward(a: np.ndarray, kind: str) -> np.ndarray:
    """The same values in another layout in memory."""
    if kind == "transposed":
        return np.asfortranarray(a) if a.ndim else a
    if kind == "strided":
        wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype) if a.ndim else a
        if a.ndim:
            wide[..., ::2] = a
            return wide[..., ::2]
        return wide
    if kind == "reversed":
        return np.ascontiguousarray(a[..., ::-1])[..., ::-1] if a.ndim else a
    shifted = np.zeros(a.nbytes + 1, np.uint8)[1:].view()
    out = np.ndarray(a.shape, a.dtype, shifted.data)  # misaligned by a byte
    out[...] = a
    return out


@pytest.mark.parametrize("kind", ["transposed", "strided", "reversed", "misaligned"])
@pytest.mark.parametrize(("op", "sample"), WITH_KERNEL)
def test_kernel_takes_any_layout(op, sample, kind):
    args = cast(sample.args, np.float32)
    with mt.no_grad():
        want = [y for y in flat(op.forward(*args, **sample.params)[0])]
        laid = [awkward(a, kind) if isinstance(a, np.ndarray) else a for a in args]
        have = [y for y in flat(op.forward(*laid, **sample.params)[0])]
    compare(op, sample, have, [w.astype(np.float64) if is_float(w) else w for w in want], np.float32)


def flat(y):
    return list(y) if isinstance(y, tuple) else [y]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("op", "sample"), WITH_KERNEL)
def test_kernel_special_values(op, sample, bad):
    """NaN and infinities give what they give in the reference, wherever in a vector they stand."""
    rng = rng_of(op)
    args = []
    for a in sample.args:
        a = np.array(a, copy=True) if isinstance(a, np.ndarray) else a
        if is_float(a) and a.size:
            a.flat[rng.integers(a.size)] = bad
        args.append(a)
    with np.errstate(all="ignore"):
        want = flat(op.reference(*args, **sample.params)[0])
    for isa, rung in settings():
        with mt.cpu.use(isa), mt.cpu.kernels(rung):
            have = flat(op.forward(*args, **sample.params)[0])
        for h, w in zip(have, want, strict=True):
            np.testing.assert_allclose(h, w, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize(("op", "sample"), WITH_KERNEL)
def test_kernel_same_bits_for_any_threads(op, sample):
    args = cast(sample.args, np.float32)
    before = mt.cpu.get_num_threads()
    try:
        found = []
        for n in (1, 2, 3, 8):
            mt.cpu.set_num_threads(n)
            found.append([y.tobytes() for y in flat(op.forward(*args, **sample.params)[0])])
    finally:
        mt.cpu.set_num_threads(before)
    assert all(f == found[0] for f in found)


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="avx1024"):
        mt.cpu.use("avx1024")
    with pytest.raises(ValueError, match="quick"):
        mt.cpu.kernels("quick")
