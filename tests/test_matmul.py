"""Matrix products: PyTorch's cases, layouts, gradients of every argument, errors."""

import numpy as np
import pytest
from checks import check, leaves
from hypothesis import given, settings
from hypothesis import strategies as st

import minitensor as mt
from minitensor.errors import DtypeError, ShapeError
from minitensor.nn.functional import linear


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 2)),
        ((4, 2, 3), (3,)),
        ((3,), (4, 3, 2)),
        ((4, 2, 3), (3, 2)),
        ((2, 3), (4, 3, 2)),
        ((2, 1, 2, 3), (3, 3, 2)),
        ((0,), (0,)),
        ((2, 0), (0, 3)),
    ],
)
def test_every_case_of_matmul(a, b):
    x, y = leaves(np.random.default_rng(0), a, b)
    out = x @ y
    np.testing.assert_allclose(out.detach().numpy(), x.detach().numpy() @ y.detach().numpy())
    if x.numel():
        check(mt.matmul, x, y)


sizes = st.integers(0, 40)


@given(m=sizes, k=sizes, n=sizes, flips=st.integers(0, 15), batch=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_any_size_and_layout_is_exact(m, k, n, flips, batch, seed):
    """Products of small powers of two round nowhere, so every path gives NumPy's bits."""
    rng = np.random.default_rng(seed)

    def draw(rows, columns, transposed, reverse, *front):
        shape = (*front, columns, rows) if transposed else (*front, rows, columns)
        x = rng.choice([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0], shape).astype(np.float32)
        x = x.swapaxes(-1, -2) if transposed else x
        return x[..., ::-1, :] if reverse else x

    a = draw(m, k, flips & 1, flips & 2, batch)
    b = draw(k, n, flips & 4, flips & 8)
    found = mt.matmul(mt.from_numpy(a.copy("K")), mt.from_numpy(b.copy("K"))).numpy()
    np.testing.assert_array_equal(found, a @ b)
    wide = np.repeat(b, 2, -1)[..., ::2]  # no axis is contiguous
    np.testing.assert_array_equal(mt.matmul(mt.from_numpy(a.copy("K")), mt.from_numpy(wide)).numpy(), a @ b)


@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (1, 700, 900),
        (2, 700, 900),
        (900, 700, 1),
        (300, 290, 310),
        (6, 2000, 70),
        (2000, 30, 6),
        (16, 2050, 300),  # b goes by once
        (11, 300, 500),  # few rows, or columns, along k
        (500, 260, 9),
        (130, 1100, 250),  # several blocks of k, several slivers packed together
        (40, 300, 1024),  # b's rows meet in one cache set
        (64, 260, 2048),  # the same of a large b, which goes by a few times
        (512, 1100, 70),  # so do a's, where it lies transposed
        (300, 20, 333),  # columns would tear c's lines
        (500, 70, 23),  # the last columns fill no vector
        (500, 300, 20),  # narrow, with a lying transposed
    ],
)
def test_large_products_have_the_same_bits_for_any_threads(m, k, n):
    rng = np.random.default_rng(1)
    a = mt.from_numpy(rng.standard_normal((m, k)).astype(np.float32))
    b = mt.from_numpy(rng.standard_normal((k, n)).astype(np.float32))
    bias = mt.from_numpy(rng.standard_normal(n).astype(np.float32))
    lying_a, lying_b = a.T.contiguous().T, b.T.contiguous().T
    before = mt.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3, 8):
            mt.set_num_threads(threads)
            products = [x @ y for x in (a, lying_a) for y in (b, lying_b)]
            found.append([y.numpy() for y in (*products, linear(a, lying_b.T, bias) - bias)])
    finally:
        mt.set_num_threads(before)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(one, other)
    exact = a.numpy().astype(np.float64) @ b.numpy().astype(np.float64)
    for one in found[0]:
        np.testing.assert_allclose(one, exact, rtol=1e-4, atol=1e-4 * np.sqrt(k))


def test_relatives():
    rng = np.random.default_rng(2)
    a, b, v, w, u = leaves(rng, (2, 3), (3, 4), (3,), (2,), (3,))
    x, y = leaves(rng, (2, 3, 4), (2, 4, 2))
    (start,) = leaves(rng, (4,))
    assert mt.mm(a, b).shape == (2, 4)
    assert mt.mv(a, v).shape == (2,)
    assert mt.dot(v, u).shape == ()
    assert mt.outer(v, w).shape == (3, 2)
    assert mt.bmm(x, y).shape == (2, 3, 2)
    check(mt.mm, a, b)
    check(mt.mv, a, v)
    check(mt.dot, v, u)
    check(mt.outer, v, w)
    check(mt.bmm, x, y)
    check(lambda s, p, q: mt.addmm(s, p, q, beta=0.5, alpha=3.0), start, a, b)
    out = mt.addmm(mt.full((4,), float("nan"), dtype=mt.float64), a, b, beta=0)
    assert not out.isnan().any()


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3), (0, 3)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear(shape, with_bias):
    x, w, b = leaves(np.random.default_rng(3), shape, (5, 3), (5,))
    args = (x, w, b) if with_bias else (x, w)
    out = linear(*args)
    want = x.detach().numpy() @ w.detach().numpy().T + (b.detach().numpy() if with_bias else 0)
    np.testing.assert_allclose(out.detach().numpy(), want)
    if x.numel():
        check(linear, *args)


def test_integers_multiply_exactly():
    a = mt.arange(6).reshape(2, 3)
    assert (a @ a.T).tolist() == [[5, 14], [14, 50]]
    assert (a @ a.T).dtype == mt.int64


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mt.ones(3, 4) @ mt.ones(5, 6), ShapeError, r"\(3, 4\) @ \(5, 6\).*4 and 5 differ"),
        (lambda: mt.ones(4) @ mt.ones(5, 6), ShapeError, "matmul.*4 and 5 differ"),
        (lambda: mt.ones(3, 4) @ mt.ones(5), ShapeError, "matmul.*4 and 5 differ"),
        (lambda: mt.ones(2, 3, 4) @ mt.ones(3, 4, 2), ShapeError, "batch sizes 2 and 3 differ"),
        (lambda: mt.matmul(mt.tensor(1.0), mt.ones(2)), ShapeError, "at least one axis"),
        (lambda: mt.ones(2, 2) @ mt.ones(2, 2, dtype=mt.float64), DtypeError, "float32 and float64"),
        (lambda: mt.mm(mt.ones(2), mt.ones(2, 2)), ShapeError, "mm: expected 2 axes"),
        (lambda: mt.bmm(mt.ones(2, 2, 2), mt.ones(1, 2, 2)), ShapeError, "bmm.*2 and 1 differ"),
        (lambda: mt.mv(mt.ones(2, 2), mt.ones(2, 2)), ShapeError, "mv: expected 1 axes"),
        (lambda: mt.dot(mt.ones(2), mt.ones(3)), ShapeError, "2 and 3 differ"),
        (lambda: mt.addmm(mt.ones(3), mt.ones(2, 2), mt.ones(2, 2)), ShapeError, "does not broadcast"),
        (lambda: linear(mt.ones(2, 3), mt.ones(4, 5)), ShapeError, "linear.*3 and 5 differ"),
        (lambda: linear(mt.ones(2, 3), mt.ones(4, 3), mt.ones(3)), ShapeError, "expected 4 values"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_result_that_no_memory_holds():
    row = mt.ones(1, 1).expand(2**40, 1)
    with pytest.raises(MemoryError):
        row @ mt.ones(1, 1).expand(1, 2**40)


# --- products added to a tensor ---------------------------------------------------------------------------------------

ADDED = {
    "addmm": ((2, 4), (2, 3), (3, 4), lambda a, b: a @ b),
    "addmv": ((2,), (2, 3), (3,), lambda a, b: a @ b),
    "addr": ((2, 3), (2,), (3,), np.outer),
    "baddbmm": ((2, 3, 1), (2, 3, 4), (2, 4, 1), lambda a, b: a @ b),
    "addbmm": ((3, 1), (2, 3, 4), (2, 4, 1), lambda a, b: (a @ b).sum(0)),
}


@pytest.mark.parametrize("name", ADDED)
def test_added_products(name):
    start, a, b, product = ADDED[name]
    f = getattr(mt, name)
    x, y, z = leaves(np.random.default_rng(4), start, a, b)
    p = product(y.detach().numpy(), z.detach().numpy())
    np.testing.assert_allclose(f(x, y, z).detach().numpy(), x.detach().numpy() + p)
    np.testing.assert_allclose(
        f(x, y, z, beta=0.5, alpha=-3).detach().numpy(), 0.5 * x.detach().numpy() - 3 * p, atol=1e-12
    )
    check(lambda *args: f(*args, beta=0.5, alpha=-3), x, y, z)
    nan = mt.full(start, float("nan"), dtype=mt.float64, requires_grad=True)
    out = f(nan, y, z, beta=0)
    np.testing.assert_allclose(out.detach().numpy(), p)
    out.sum().backward()
    assert nan.grad.tolist() == mt.zeros(start).tolist()
    assert getattr(x, name)(y, z).tolist() == f(x, y, z).tolist()
    with mt.no_grad():
        want = f(x, y, z, alpha=2)
        w = x.clone()
        assert getattr(w, name + "_")(y, z, alpha=2) is w
        assert w.tolist() == want.tolist()
        out = mt.empty(0, dtype=mt.float64)
        assert f(x, y, z, alpha=2, out=out) is out
        assert out.tolist() == want.tolist()
    with pytest.raises(ShapeError, match=f"{name}.*does not broadcast"):
        f(mt.ones(7, dtype=mt.float64), y, z)
    with pytest.raises(DtypeError, match=f"{name}.*float32 and float64"):
        f(mt.ones(start), y, z)
    ints = [mt.ones(s, dtype=mt.int64) for s in (start, a, b)]
    assert f(*ints, alpha=2).dtype == mt.int64
    with pytest.raises(DtypeError, match="must be integers"):
        f(*ints, alpha=0.5)


def test_inner_and_vdot():
    x, y, v, w = leaves(np.random.default_rng(5), (2, 3), (4, 5, 3), (3,), (3,))
    want = np.inner(x.detach().numpy(), y.detach().numpy())
    np.testing.assert_allclose(mt.inner(x, y).detach().numpy(), want)
    assert mt.inner(x, v).shape == (2,)
    assert mt.inner(mt.tensor(2.0), mt.ones(2)).tolist() == [2.0, 2.0]
    assert mt.inner(v, w).item() == pytest.approx(mt.vdot(v, w).item())
    check(mt.inner, x, y)
    check(mt.vdot, v, w)
    with pytest.raises(ShapeError, match=r"inner.*3 and 2 differ"):
        mt.inner(mt.ones(3), mt.ones(4, 2))
    with pytest.raises(ShapeError, match=r"vdot: expected 1 axes"):
        mt.vdot(mt.ones(1, 1), mt.ones(1))


def test_products_into_out():
    a, b = mt.ones(2, 3), mt.ones(3, 2)
    out = mt.zeros(2, 2)
    for product in (mt.mm, mt.matmul):
        assert product(a, b, out=out.zero_()) is out
        assert out.tolist() == [[3.0, 3.0]] * 2
    vector = mt.zeros(2)
    assert mt.mv(a, mt.ones(3), out=vector) is vector
    assert vector.tolist() == [3.0, 3.0]
    assert mt.bmm(a[None], b[None], out=mt.zeros(1, 2, 2)).tolist() == [[[3.0, 3.0]] * 2]
    with pytest.raises(ShapeError, match=r"addbmm.*inner sizes 3 and 2"):
        mt.addbmm(mt.ones(1), mt.ones(2, 2, 3), mt.ones(2, 2, 2))
    with pytest.raises(ShapeError, match=r"addbmm.*batch sizes 2 and 1"):
        mt.addbmm(mt.ones(1), mt.ones(2, 2, 3), mt.ones(1, 3, 2))
