"""Indexing, scattering and masks: the rules that the table's samples do not see, in both faces."""

from __future__ import annotations

import numpy as np
import pytest
from checks import check, leaves

import minitensor as mt
from minitensor.errors import DtypeError, GraphError, IndexRangeError, ShapeError


@pytest.fixture
def x():
    return mt.arange(12.0).reshape(3, 4)


T = mt.tensor


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "want"),
    [
        ([[0, 1], [1, 2]], [1.0, 6.0]),  # a list of lists is a tuple
        ([T(0), T(1)], 1.0),
        ([slice(0, 2), 1], [1.0, 5.0]),
        ([0, None], [[0.0, 1.0, 2.0, 3.0]]),
        ([True, False, True], [[0.0, 1.0, 2.0, 3.0], [8.0, 9.0, 10.0, 11.0]]),
        ((slice(None), [True, False, False, False]), [[0.0], [4.0], [8.0]]),
        ((range(3), T([3, 0, 1])), [3.0, 4.0, 9.0]),
        ((slice(None), [-1]), [[3.0], [7.0], [11.0]]),
        ((T(-1), T(0)), 8.0),
        (slice(T(1), T(2)), [[4.0, 5.0, 6.0, 7.0]]),
        ((..., 0), [0.0, 4.0, 8.0]),
        (np.array([1, 0, 0], np.uint8), [[0.0, 1.0, 2.0, 3.0]]),
    ],
)
def test_an_index_reads(x, index, want):
    assert x[index].tolist() == want


@pytest.mark.parametrize(
    ("index", "shape"),
    [
        (True, (1, 3, 4)),
        (False, (0, 3, 4)),
        (T(True), (1, 3, 4)),
        ((T(True), 0), (1, 4)),
        (T(1, dtype=mt.uint8), (1, 3, 4)),
        ([], (0, 4)),
        (([0, 1], slice(None), None), (2, 4, 1)),
        ((None, [[0, 1], [2, 0]]), (1, 2, 2, 4)),
    ],
)
def test_an_index_has_a_shape(x, index, shape):
    assert x[index].shape == shape


def test_integers_are_taken_before_arrays_separate():
    """x[0, :, idx] is x[0][:, idx]: NumPy would put the index's axis first."""
    x = mt.arange(24.0).reshape(2, 3, 4)
    assert x[0, :, [1, 2]].shape == (3, 2)
    assert x[[0, 1], :, [1, 2]].shape == (2, 3)
    y = mt.zeros(2, 3, 4)
    y[0, :, [1, 2]] = x[0, :, [1, 2]]
    assert y.sum().item() == x[0, :, 1:3].sum().item()


@pytest.mark.parametrize(
    ("index", "error", "text"),
    [
        (3, IndexError, "3"),
        (-4, IndexError, "-4"),
        ([3], IndexError, "index 3 is out of"),
        ((0, 0, 0), IndexError, "too many"),
        (([0], 0, 0), IndexError, "too many"),
        (1.0, IndexError, "float"),
        (T([1.0]), IndexError, "float"),
        (slice(None, None, -1), ValueError, "flip"),
        (slice(None, None, 0), ValueError, "positive"),
        ("a", TypeError, "not an index"),
        (T([True, False]), IndexError, "mask of shape"),
        ((slice(0.5, None),), TypeError, "integers"),
    ],
)
def test_a_wrong_index_is_refused(x, index, error, text):
    with pytest.raises(error, match=text):
        x[index]
    with pytest.raises(error, match=text):
        x[index] = 0.0
    assert x.tolist() == mt.arange(12.0).reshape(3, 4).tolist()


def test_basic_parts_are_views(x):
    x[1][2] = -1.0
    x[:, T(0)][0] = -2.0
    assert (x[1, 2].item(), x[0, 0].item()) == (-1.0, -2.0)


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64, mt.int64, mt.int32, mt.uint8, mt.bool])
def test_every_dtype_is_picked(dtype):
    x = T([[0, 1], [1, 0], [1, 1]], dtype=dtype)
    assert x[[2, 0]].dtype is dtype
    assert x[[2, 0]].tolist() == T([[1, 1], [0, 1]], dtype=dtype).tolist()
    assert mt.gather(x, 1, T([[1], [0], [0]])).tolist() == T([[1], [1], [1]], dtype=dtype).tolist()


def test_derivatives_of_reading():
    rng = np.random.default_rng(0)
    (x,) = leaves(rng, (3, 4, 2))
    check(lambda x: x[[0, 2, 0]], x)
    check(lambda x: x[:, [[1, 1], [0, 3]]], x)
    check(lambda x: x[[0, 2, -3], [1, 1, 1]], x)
    check(lambda x: x[[0, 2], :, [1, 1]], x)
    check(lambda x: x[1, :, [0, 1, 0]], x)
    check(lambda x: x[x.detach() > 0], x)
    check(lambda x: x[None, T([True, False, True]), ..., [1, 1]], x)


def test_an_index_overwritten_before_backward_is_found(x):
    w = mt.ones(3, 2, requires_grad=True)
    index = T([0, 1])
    y = w[index]
    index[0] = 2
    with pytest.raises(GraphError, match="overwritten"):
        y.sum().backward()
    pair = T([0, 1])
    y = w[pair, pair]  # several index tensors are copied
    pair[0] = 1
    y.sum().backward()
    assert w.grad.tolist() == [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]


# --- writing ----------------------------------------------------------------------------------------------------------


def test_assignment_broadcasts_and_casts(x):
    x[:, 1] = T([1, 2, 3])
    x[0] = 7
    x[[1, 2], [2, 3]] = T([[5.0, 6.0]])
    x[x > 8] = True
    assert x.tolist() == [[7.0] * 4, [4.0, 2.0, 5.0, 7.0], [8.0, 3.0, 1.0, 6.0]]


def test_adding_to_a_part(x):
    x[[0, 0]] += 1  # a copy is read, and written back: once
    x[1:, 0] += 10
    assert x[:, 0].tolist() == [1.0, 14.0, 18.0]


def test_overlapping_assignment():
    x = mt.arange(5.0)
    x[[1, 2, 3, 4]] = x[:4]
    assert x.tolist() == [0.0, 0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("index", [1, slice(0, 2), [0, 2], (slice(None), [1, 1]), ([0, 0], [1, 1])])
def test_assignment_in_the_graph(index):
    rng = np.random.default_rng(1)
    x, v = leaves(rng, (3, 4), np.zeros((3, 4))[index].shape)

    def write(x, v):
        y = x * 1
        y[index] = v * v
        return y * y

    check(write, x, v)


def test_of_a_place_written_twice_the_last_write_counts():
    v = mt.ones(3, requires_grad=True)
    y = mt.zeros(2)
    y[[0, 1, 0]] = v * T([1.0, 2.0, 3.0])
    y.sum().backward()
    assert y.tolist() == [3.0, 2.0]
    assert v.grad.tolist() == [0.0, 2.0, 3.0]


def test_writing_outside_the_graph_is_seen_by_it():
    w = mt.ones(3, requires_grad=True)
    c = mt.ones(3)
    y = (w * c).sum()
    c[[0]] = 5.0
    with pytest.raises(GraphError, match="overwritten"):
        y.backward()


def test_a_wrong_assignment_writes_nothing(x):
    before = x.tolist()
    for index, value in (
        ([0, 3], 1.0),
        ([0, 1], mt.ones(3, 4)),
        (T([True, False, False]), mt.ones(2, 4)),
        (0, mt.ones(5)),
    ):
        with pytest.raises((IndexError, ValueError)):
            x[index] = value
    with pytest.raises(ShapeError, match=r"^assignment: several.*one and the same in memory"):
        mt.zeros(1, 3).expand(2, 3)[:] = mt.ones(2, 3)
    with pytest.raises(GraphError, match="leaf"):
        mt.zeros(3, requires_grad=True)[[0]] = 1.0
    assert x.tolist() == before


def test_an_expanded_tensor_may_be_written_where_its_elements_lie_apart():
    def rows():
        return mt.zeros(3).expand(2, 3)

    for index, value in ((0, mt.arange(3.0)), ((slice(None), 1), 5.0), ([1], mt.arange(3.0)), (..., 7.0)):
        y = rows()
        y[index] = value
        assert y[0].tolist() == y[1].tolist() != [0, 0, 0]
    y = rows()
    y[0] += 1
    assert y.tolist() == [[1, 1, 1]] * 2
    with pytest.raises(ShapeError, match="one and the same in memory"):
        rows().add_(1)
    x = mt.zeros(3, requires_grad=True)
    with pytest.raises(ShapeError, match="one and the same in memory"):  # the graph cannot follow such a write
        (x * 1).expand(2, 3)[0] = mt.ones(3)


# --- along an axis ----------------------------------------------------------------------------------------------------


def test_scatter_and_gather():
    index = T([[0, 1, 2, 0], [2, 0, 0, 1]])
    src = mt.arange(1.0, 9.0).reshape(2, 4)
    assert mt.zeros(3, 4).scatter(0, index, src).tolist() == [[1, 6, 7, 4], [0, 2, 0, 8], [5, 0, 3, 0]]
    assert mt.ones(3, 4).scatter_add_(0, index, src).tolist() == [[2, 7, 8, 5], [1, 3, 1, 9], [6, 1, 4, 1]]
    assert mt.zeros(3, 5).scatter_(0, index, 2, reduce="add")[:, 4].tolist() == [0, 0, 0]
    assert mt.full((3, 4), 3.0).scatter(0, index, 2, reduce="multiply").sum().item() == 8 * 6 + 4 * 3
    assert mt.gather(src, 1, T([[3, 0]])).tolist() == [[4.0, 1.0]]


@pytest.mark.parametrize(
    ("how", "include", "want"),
    [
        ("sum", True, [11.0, 2.0, 9.0]),
        ("sum", False, [9.0, 2.0, 6.0]),
        ("prod", True, [40.0, 2.0, 18.0]),
        ("prod", False, [20.0, 2.0, 6.0]),
        ("mean", True, [11 / 3, 2.0, 4.5]),
        ("mean", False, [4.5, 2.0, 6.0]),
        ("amax", True, [5.0, 2.0, 6.0]),
        ("amax", False, [5.0, 2.0, 6.0]),
        ("amin", True, [2.0, 2.0, 3.0]),
        ("amin", False, [4.0, 2.0, 6.0]),
    ],
)
def test_scatter_reduce(how, include, want):
    x, index, src = T([2.0, 2.0, 3.0]), T([0, 2, 0]), T([4.0, 6.0, 5.0])
    assert mt.scatter_reduce(x, 0, index, src, how, include_self=include).tolist() == pytest.approx(want)
    if how != "sum":
        assert mt.index_reduce(x, 0, index, src, how, include_self=include).tolist() == pytest.approx(want)
    ints = mt.scatter_reduce(x.long(), 0, index, src.long(), how, include_self=include)
    assert ints.tolist() == [int(w) for w in want]


def test_those_that_tie_share_the_gradient():
    x, src = mt.ones(2, requires_grad=True), mt.ones(3, requires_grad=True)
    mt.scatter_reduce(x, 0, T([0, 0, 0]), src, "amax").sum().backward()
    assert x.grad.tolist() == [0.25, 1.0]
    assert src.grad.tolist() == [0.25] * 3


def test_derivatives_of_scattering():
    rng = np.random.default_rng(2)
    x, src, row = leaves(rng, (3, 4), (2, 3), (2, 4))
    index, rows, mask = T([[0, 2, 0], [0, 1, 0]]), T([2, 2]), T([True, False, True, True])
    check(lambda x, s: mt.scatter(x, 0, index, s), x, src)
    check(lambda x, s: mt.scatter_add(x, 0, index, s), x, src)
    for how in ("sum", "prod", "mean", "amax", "amin"):
        for include in (True, False):
            check(lambda x, s, h=how, i=include: mt.scatter_reduce(x, 0, index, s, h, include_self=i), x, src)
    check(lambda x, r: mt.index_add(x, 0, rows, r, alpha=3), x, row)
    check(lambda x, r: mt.index_copy(x, 0, rows, r), x, row)
    check(lambda x: mt.index_fill(x, 1, rows, 2.0), x)
    check(lambda x, r: mt.index_reduce(x, 0, rows, r, "prod"), x, row)
    check(lambda x, r: mt.index_put(x, (rows,), r, accumulate=True), x, row)
    check(lambda x, r: mt.put(x, T([[0, -1, 5, 5], [1, 2, 3, 4]]), r, accumulate=True), x, row)
    check(lambda x: mt.take(x, T([[0, -1], [0, 3]])), x)
    check(lambda x, r: mt.masked_scatter(x, mask, mt.cat([r, r])), x, row)
    check(lambda x, s: mt.masked_fill(x, mask, s.sum()), x, src)
    check(lambda x: mt.masked_select(x, mask), x)
    check(lambda x: mt.take_along_dim(x, T([[0], [-1], [2]]), 1), x)


def test_product_of_zeros_has_every_derivative():
    x, src = mt.ones(1, dtype=mt.float64, requires_grad=True), T([0.0, 0.0, 3.0], dtype=mt.float64, requires_grad=True)
    y = mt.scatter_reduce(x, 0, T([0, 0, 0]), src, "prod")
    (g,) = mt.autograd.grad(y, src, create_graph=True)
    assert g.tolist() == [0.0, 0.0, 0.0]
    (h,) = mt.autograd.grad(g[0], src)
    assert h.tolist() == [0.0, 3.0, 0.0]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("scatter_", (1, T([[1], [0]]), 5.0)),
        ("scatter_add_", (1, T([[1], [0]]), mt.ones(2, 1))),
        ("scatter_reduce_", (1, T([[1], [0]]), mt.ones(2, 1), "mean")),
        ("index_add_", (0, T([1]), mt.ones(1, 2))),
        ("index_copy_", (0, T([1]), mt.ones(1, 2))),
        ("index_fill_", (0, T([1]), 3)),
        ("index_put_", ((T([1]), T([0])), T(4.0))),
        ("index_reduce_", (0, T([1]), mt.ones(1, 2), "amin")),
        ("masked_fill_", (T([True, False]), 2)),
        ("masked_scatter_", (T([True, False]), mt.ones(2))),
        ("put_", (T([0]), T([9.0]))),
        ("tril_", ()),
        ("triu_", (1,)),
        ("fill_diagonal_", (8,)),
    ],
)
def test_in_place(name, args):
    x = T([[1.0, 2.0], [3.0, 4.0]])
    if name == "fill_diagonal_":
        want = T([[8.0, 2.0], [3.0, 8.0]])
    else:
        want = getattr(x, name[:-1])(*args)
    y = x.clone()
    part = y[0]
    assert getattr(y, name)(*args) is y
    assert y.tolist() == want.tolist()
    assert part.tolist() == want[0].tolist()
    w = x.clone().requires_grad_()
    with pytest.raises(GraphError, match="leaf"):
        getattr(w, name)(*args)
    z = w * 1
    getattr(z, name)(*args)
    (have,) = mt.autograd.grad((z * z).sum(), w)
    if name != "fill_diagonal_":
        (g,) = mt.autograd.grad((getattr(w, name[:-1])(*args) ** 2).sum(), w)
        assert have.tolist() == g.tolist()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: mt.gather(x, 1, T([[-1]])), IndexRangeError, "index -1 is out of range for an axis of size 4"),
        (lambda x: mt.gather(x, 1, T([[4]])), IndexRangeError, "index 4"),
        (lambda x: mt.gather(x, 0, T([0])), ShapeError, "does not fit"),
        (lambda x: mt.gather(x, 0, T([[0.0]])), DtypeError, "int64"),
        (lambda x: mt.index_select(x, 0, T([-1])), IndexRangeError, "index -1"),
        (lambda x: mt.index_select(x, 0, T([[1]])), ShapeError, "vector"),
        (lambda x: x.index_copy_(0, T([3]), mt.ones(1, 4)), IndexRangeError, "index 3"),
        (lambda x: x.index_add_(0, T([0]), mt.ones(2, 4)), ShapeError, r"need a source of \(1, 4\)"),
        (lambda x: x.index_add_(0, T([0]), mt.ones(1, 4).double()), DtypeError, "float64"),
        (lambda x: x.scatter_(1, T([[-1]]), 1.0), IndexRangeError, "index -1"),
        (lambda x: x.scatter_add_(1, T([[0, 0]]), mt.ones(1, 1)), ShapeError, "does not fit"),
        (lambda x: x.scatter_(1, T([[0]]), 1.0, reduce="max"), ShapeError, "add"),
        (lambda x: x.scatter_reduce_(1, T([[0]]), mt.ones(1, 1), "max"), ShapeError, "amax"),
        (lambda x: x.put_(T([12]), T([1.0])), IndexRangeError, "index 12"),
        (lambda x: x.put_(T([1, 2]), T([1.0])), ShapeError, "2 places"),
        (lambda x: x.masked_fill_(T([1, 0, 0, 0]), 1), DtypeError, "bools"),
        (lambda x: x.masked_fill_(T([True, False]), 1), ShapeError, "broadcast"),
        (lambda x: x.masked_fill_(T([True]), mt.ones(1)), ShapeError, "without axes"),
        (lambda x: x.masked_scatter_(x > 3, mt.ones(2)), ShapeError, "only 2"),
        (lambda x: x.index_put_((T([0]),), T(5)), DtypeError, "int64"),
        (lambda x: x.index_put_((T([0, 1]),), mt.ones(3, 4)), ShapeError, r"expand|broadcast"),
        (lambda x: mt.where(T([1, 0]), 1, 2), DtypeError, "bools"),
    ],
)
def test_a_wrong_call_writes_nothing(x, call, error, text):
    with pytest.raises(error, match=text):
        call(x)
    assert x.tolist() == mt.arange(12.0).reshape(3, 4).tolist()


def test_tensors_without_axes():
    one = T(3.0)
    assert mt.gather(one, 0, T([0, 0])).tolist() == [3.0, 3.0]
    assert mt.gather(one, 0, T(0)).tolist() == 3.0
    assert mt.index_select(one, 0, T([0])).shape == ()
    assert mt.index_add(one, 0, T([0]), T([2.0])).tolist() == 5.0
    assert mt.scatter(one, 0, T(0), 7).tolist() == 7.0
    assert mt.nonzero(one).shape == (1, 0)
    assert mt.nonzero(T(0)).shape == (0, 0)
    assert mt.argwhere(T([[0, 2]])).tolist() == [[0, 1]]
    assert mt.masked_select(one, T(True)).tolist() == [3.0]
    assert mt.where(T([0, 3, 4]))[0].tolist() == [1, 2]


def test_nothing_is_gathered_or_scattered():
    x = mt.ones(3, 2, requires_grad=True)
    none = mt.zeros(0, 2, dtype=mt.int64)
    assert mt.gather(x, 0, none).shape == (0, 2)
    y = mt.scatter_add(x, 0, none, mt.ones(0, 2))
    y.sum().backward()
    assert y.tolist() == x.tolist()
    assert x.grad.tolist() == [[1.0, 1.0]] * 3


def test_out():
    x, out = mt.arange(4.0).reshape(2, 2), mt.empty(0)
    assert mt.gather(x, 1, T([[1], [0]]), out=out) is out
    assert out.tolist() == [[1.0], [2.0]]
    assert mt.take(x, T([3]), out=mt.empty(1)).tolist() == [3.0]
    assert mt.index_select(x, 0, T([1]), out=mt.empty(1, 2)).tolist() == [[2.0, 3.0]]
    assert mt.where(x > 1, x, 0, out=mt.empty(2, 2)).tolist() == [[0.0, 0.0], [2.0, 3.0]]


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64, mt.int64])
@pytest.mark.parametrize(("shape", "dim", "k"), [((4, 3), 0, 6), ((50, 7), 1, 9), ((3, 5, 2), 1, 4), ((9,), 0, 20)])
def test_what_is_written_over_and_added(shape, dim, k, dtype):
    """Element by element, in the order of the index: of a place written twice the last counts."""
    rng = np.random.default_rng(0)
    given = (*shape[:dim], k, *shape[dim + 1 :])
    x, src = rng.integers(-9, 9, shape), rng.integers(-9, 9, given)
    one, each = rng.integers(0, shape[dim], k), rng.integers(0, shape[dim], given)
    over, added, slices, sums = x.copy(), x.copy(), x.copy(), x.copy()
    for place in np.ndindex(given):
        at = (*place[:dim], each[place], *place[dim + 1 :])
        over[at] = src[place]
        added[at] += src[place]
        at = (*place[:dim], one[place[dim]], *place[dim + 1 :])
        slices[at] = src[place]
        sums[at] += src[place]
    x, src = mt.tensor(x, dtype=dtype), mt.tensor(src, dtype=dtype)
    one, each = mt.tensor(one), mt.tensor(each)
    assert x.scatter(dim, each, src).tolist() == over.tolist()
    assert x.scatter_add(dim, each, src).tolist() == added.tolist()
    assert x.index_copy(dim, one, src).tolist() == slices.tolist()
    assert x.index_add(dim, one, src).tolist() == sums.tolist()


def test_gradients_of_what_is_written_twice():
    x = mt.zeros(3, requires_grad=True)
    src = mt.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    g = mt.tensor([10.0, 20.0, 30.0])
    for f in (mt.scatter, mt.index_copy):
        x.grad = src.grad = None
        f(x, 0, mt.tensor([2, 0, 2, 2]), src).backward(g)
        assert x.grad.tolist() == [0, 20, 0]
        assert src.grad.tolist() == [0, 10, 0, 30]


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (9001,), (99, 101), (7, 30, 41), (2, 3, 1, 5)])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_nonzero_gives_the_places_in_order(shape, share):
    x = np.random.default_rng(0).random(shape) < share
    for values in (x, x.astype(np.float32), x.astype(np.int64)):
        places = mt.nonzero(mt.tensor(values))
        assert places.shape == (np.count_nonzero(x), x.ndim)
        if x.ndim:
            np.testing.assert_array_equal(places.numpy(), np.argwhere(x))
