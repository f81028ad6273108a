"""The museum of wrong gradients: mistakes that engines of this kind have made, each as a test.

Every case says in a line what went wrong, and where it is known, in whose engine (repository#issue). The expected
values are by hand; where a derivative does not exist, they are PyTorch's convention.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitensor as mt
import minitensor.nn.functional as F

INF, NAN = math.inf, math.nan


def leaf(data, dtype=mt.float64):
    return mt.tensor(data, dtype=dtype, requires_grad=True)


def grad_of(f, *xs):
    """The gradients of the sum of f by its arguments, as lists."""
    y = f(*xs)
    found = mt.autograd.grad(y.sum(), xs, allow_unused=True)
    return found[0].tolist() if len(found) == 1 else [None if g is None else g.tolist() for g in found]


# --- the walk over the graph ------------------------------------------------------------------------------------------


def test_an_inner_value_used_twice_counts_twice_and_once():
    """A walk without topological order pushes a shared node's gradient on before it is whole (micrograd#2, #64)."""
    a = leaf(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad.item() == 4


def test_diamonds():
    """As above, where the paths have different lengths (micrograd#68): y = (a + b) + ab + (a + b) ab at (2, 3)."""
    a, b = leaf(2.0), leaf(3.0)
    c, d = a + b, a * b
    ((c + d) + c * d).backward()
    # 1 + b + ab + (a + b) b,  1 + a + ab + (a + b) a
    assert (a.grad.item(), b.grad.item()) == (25.0, 19.0)
    x = leaf(1.5)
    y = x
    for _ in range(30):  # 2^30 paths
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**30


def test_one_tensor_in_several_places_of_one_operator():
    """A rule that assigns instead of adding loses one of them."""
    x = leaf([2.0, 3.0])
    assert grad_of(lambda x: x * x, x) == [4, 6]
    assert grad_of(lambda x: x - x, x) == [0, 0]
    assert grad_of(lambda x: x / x, x) == [0, 0]
    assert grad_of(lambda x: mt.maximum(x, x), x) == [1, 1]
    assert grad_of(lambda x: mt.where(x > 2, x, x), x) == [1, 1]
    assert grad_of(lambda x: mt.cat([x, x, x]), x) == [3, 3]
    assert grad_of(lambda x: mt.stack([x, x]), x) == [2, 2]
    assert grad_of(lambda x: x @ x, x) == [4, 6]
    m = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert grad_of(lambda m: m @ m, m) == [[3 + 4, 7 + 4], [3 + 6, 7 + 6]]


def test_equal_constants_are_not_one_constant():
    """Values that compare equal were merged into one node (tinygrad#9597)."""
    v, w = leaf(3.0), leaf(3.0)
    (v + w).backward()
    assert (v.grad.item(), w.grad.item()) == (1.0, 1.0)
    v, w = mt.ones(2, requires_grad=True), mt.ones(2, requires_grad=True)
    (2 * v + 3 * w).sum().backward()
    assert (v.grad.tolist(), w.grad.tolist()) == ([2, 2], [3, 3])


def test_the_second_operand_of_a_difference_has_its_sign():
    """micrograd_c#1."""
    assert grad_of(lambda a, b: a - b, leaf(1.0), leaf(2.0)) == [1, -1]
    x = leaf(3.0)
    assert grad_of(lambda x: 1 - x, x) == -1
    assert grad_of(lambda x: 1 / x, x) == pytest.approx(-1 / 9)


def test_looking_at_a_value_amid_the_graph_changes_nothing():
    """Reading a value out in between cut the graph (mlx#610)."""
    x = mt.ones(3, 3, requires_grad=True)
    y = x + mt.ones(3, 3, 3)
    assert (y < 1).tolist()[0][0][0] is False
    assert y.sum().item() == 54
    (y**2).sum().backward()
    assert x.grad.tolist() == [[12.0] * 3] * 3


def test_a_second_backward_needs_a_kept_graph():
    """Without the check it uses freed or stale values."""
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12
    with pytest.raises(RuntimeError, match="freed"):
        y.backward()
    z = x.exp() * 2
    z.backward()
    with pytest.raises(RuntimeError, match="freed"):
        mt.autograd.grad(z, x)


def test_gradients_add_up_until_they_are_cleared():
    x = leaf(1.0)
    for _ in range(3):
        (2 * x).backward()
    assert x.grad.item() == 6
    x.grad = None
    (2 * x).backward()
    assert x.grad.item() == 2


def test_a_branch_that_nobody_needs_stops_nothing():
    x, y = leaf(2.0), leaf(3.0)
    unused = (x * y).exp()
    (x * 5).backward()
    assert x.grad.item() == 5
    assert y.grad is None
    assert unused.requires_grad


def test_detach_and_no_grad_inside_a_graph():
    """Only the path around them counts."""
    x = leaf(3.0)
    assert grad_of(lambda x: x * x.detach(), x) == 3

    def f(x):
        with mt.no_grad():
            y = x * 10
        return y * x

    assert grad_of(f, x) == 30
    g = leaf(2.0)
    y = g * 3
    z = y.detach().requires_grad_()
    (z * 5).backward()
    assert g.grad is None
    assert z.grad.item() == 5


def test_hooks_run_in_order_before_accumulation():
    x = leaf(1.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.item()) or g * 2)
    x.register_hook(lambda g: seen.append(g.item()) or g + 1)
    (x * 1 + x * 2).backward()
    assert seen == [3.0, 6.0]  # once, with the whole gradient
    assert x.grad.item() == 7.0


def test_gradients_have_the_dtype_and_shape_of_what_they_belong_to():
    """A float64 factor made the gradient of a float32 tensor float64; broadcasting left its axes behind."""
    x = leaf([[1.0], [2.0]], mt.float32)
    w = leaf([1.0, 2.0, 3.0], mt.float64)
    h = leaf(2.0, mt.float16)
    (x * w * h).sum().backward()
    for t in (x, w, h):
        assert t.grad.dtype is t.dtype
        assert t.grad.shape == t.shape
    assert x.grad.tolist() == [[12.0], [12.0]]
    assert h.grad.item() == 18.0


def test_writing_a_wider_result_narrows_its_gradient_too():
    """x += y of another dtype: the cast on the way into x is part of the graph (found by tests/test_fuzz.py here)."""
    x, y = mt.ones(2), leaf([2.0, 3.0])
    x.mul_(y)
    assert x.dtype is mt.float32
    (x * x).sum().backward()
    assert y.grad.dtype is mt.float64
    assert y.grad.tolist() == [4.0, 6.0]
    z = mt.zeros(3)
    z[1:] = y * 2
    z.sum().backward()
    assert y.grad.dtype is mt.float64


def test_a_tensor_without_elements_can_be_written():
    """Its strides are 0, as an expanded tensor's are (found by tests/test_fuzz.py here)."""
    for x in (mt.zeros(3, 0), mt.zeros(0, 3), mt.zeros(2, 0, 4)):
        x.fill_(1)
        x.add_(1)
        x[...] = 2.0


# --- broadcasting and views -------------------------------------------------------------------------------------------


def test_both_sides_broadcast():
    """burn#181: (2, 1) + (1, 3)."""
    a, b = mt.zeros(2, 1, requires_grad=True), mt.zeros(1, 3, requires_grad=True)
    w = mt.arange(6.0).reshape(2, 3)
    ((a + b) * w).sum().backward()
    assert a.grad.tolist() == [[3.0], [12.0]]
    assert b.grad.tolist() == [[3.0, 5.0, 7.0]]


def test_numbers_without_axes_broadcast():
    s = leaf(2.0)
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    (s * x + s).sum().backward()
    assert s.grad.shape == ()
    assert s.grad.item() == 14
    assert x.grad.tolist() == [[2, 2], [2, 2]]
    e = leaf(np.zeros((0, 3)).tolist())
    t = leaf(1.0)
    (e.reshape(0) * t).sum().backward()
    assert t.grad.item() == 0  # a sum over nothing


def test_an_expanded_tensor_collects_all_of_its_gradient():
    """expand has stride 0: adding into its gradient in place counts one element many times, or once."""
    x = leaf([1.0, 2.0])
    y = x.expand(3, 2)
    (y * y).sum().backward()
    assert x.grad.tolist() == [6, 12]
    x.grad = None
    z = x.unsqueeze(1).expand(2, 4)
    (z.sum() + z[:, 0].sum() * 10).backward()
    assert x.grad.tolist() == [14, 14]
    x.grad = None
    x.expand(5, 2).sum(0).sum().backward()  # the gradient of a sum is itself expanded
    x.grad.add_(1)
    assert x.grad.tolist() == [6, 6]


def test_a_write_to_a_view_reaches_the_base_and_back():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    y = x.clone()
    v = y[1:3]
    v.mul_(10)
    (y * mt.tensor([1.0, 2.0, 3.0, 4.0], dtype=mt.float64)).sum().backward()
    assert x.grad.tolist() == [1, 20, 30, 4]


def test_a_write_to_the_base_reaches_its_views():
    x = leaf([1.0, 2.0])
    y = x.clone()
    v = y[1:]
    y.mul_(5)
    assert v.tolist() == [10]
    v.sum().backward()
    assert x.grad.tolist() == [0, 5]


def test_a_write_to_a_view_of_one_of_several_views():
    """Views of unbind lost what made them (pytorch#36608, #49824)."""
    root = leaf([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    x = root.clone()
    v = x.unbind()[0].narrow(0, 0, 2)
    v.mul_(2)
    v.sum().backward(retain_graph=True)
    assert root.grad.tolist() == [[2, 2, 0], [0, 0, 0]]
    root.grad = None
    x.sum().backward()
    assert root.grad.tolist() == [[2, 2, 1], [1, 1, 1]]


def test_what_was_saved_and_then_overwritten_is_an_error():
    """Else the gradient is that of another value; also through a view that was saved (pytorch#197887)."""
    for save, write in (
        (lambda x, w: x.exp(), lambda y, x: y.add_(1)),
        (lambda x, w: x * w, lambda y, x: x.add_(1)),
        (lambda x, w: x.t() @ w, lambda y, x: x.zero_()),
        (lambda x, w: x[0] * w[0], lambda y, x: x[1].add_(1)),
        (lambda x, w: F.relu(x * w).sqrt(), lambda y, x: y.mul_(2)),
    ):
        w = mt.ones(2, 2, requires_grad=True)
        x = mt.ones(2, 2, requires_grad=True) * 2
        y = save(x, w)
        with mt.no_grad():
            write(y, x)
        with pytest.raises(RuntimeError, match="overwritten"):
            y.sum().backward()
    x = mt.ones(2, requires_grad=True)
    y = x + 1  # saves nothing: no harm
    y.mul_(3)
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_leaf_that_needs_gradients_is_not_written():
    x = leaf([1.0])
    for write in (lambda: x.add_(1), lambda: x[0].mul_(2), lambda: x.__setitem__(0, 3.0), lambda: x.view(1).zero_()):
        with pytest.raises(RuntimeError, match="leaf"):
            write()
    with mt.no_grad():
        x.add_(1)
    assert x.item() == 2
    assert x.is_leaf


def test_an_index_that_comes_twice_collects_twice():
    """dx[i] += g with a repeated i adds once (NumPy's own `+=`)."""
    x = leaf([1.0, 2.0, 3.0])
    i = mt.tensor([0, 2, 0, 0])
    assert grad_of(lambda x: x[i], x) == [3, 0, 1]
    assert grad_of(lambda x: x.index_select(0, i), x) == [3, 0, 1]
    assert grad_of(lambda x: x.gather(0, i), x) == [3, 0, 1]
    w = leaf([[1.0], [2.0], [3.0]])
    assert grad_of(lambda w: F.embedding(i, w), w) == [[3], [0], [1]]
    assert grad_of(lambda w: w[[0, 0], [0, 0]], w) == [[2], [0], [0]]


def test_vectors_times_matrices():
    """A rule that transposes the last two axes of what has one (candle-org/candle#273)."""
    x, w = leaf([1.0, 2.0]), leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert grad_of(mt.matmul, x, w) == [[6, 15], [[1, 1, 1], [2, 2, 2]]]
    assert grad_of(mt.matmul, w, leaf([1.0, 1.0, 2.0])) == [[[1, 1, 2]] * 2, [5, 7, 9]]
    batch = mt.ones(4, 2, 3, dtype=mt.float64, requires_grad=True)
    assert grad_of(mt.matmul, x, batch) == [[12, 12], [[[1] * 3, [2] * 3]] * 4]


# --- values where a formula divides by 0 or multiplies inf by 0 -------------------------------------------------------


def test_powers_at_zero():
    """x^y log x is 0 * -inf (mlx#628); x^0 has y x^(y-1) = 0 * inf."""
    x, y = leaf([0.0, 0.0, 0.0]), leaf([1.0, 2.0, 0.0])
    dx, dy = grad_of(mt.pow, x, y)
    assert dx == [1, 0, 0]
    assert dy == [0, 0, 0]
    assert grad_of(lambda x: x**0, leaf([0.0, 2.0])) == [0, 0]
    assert grad_of(lambda x: x**2, leaf(0.0)) == 0
    assert grad_of(lambda x: x**3.0, leaf(0.0)) == 0
    assert grad_of(lambda x: x**0.5, leaf(0.0)) == INF
    a, b = leaf([1.0]), leaf([1.0])
    assert grad_of(lambda a, b: (a - b) ** b, a, b) == [[1], [-1]]


def test_powers_of_negative_numbers():
    """Only the exponent's rule takes a logarithm: it must not run for an exponent that needs none (tinygrad#155)."""
    x = leaf([-2.0])
    with np.errstate(all="raise"):
        assert grad_of(lambda x: x ** mt.tensor([3.0], dtype=mt.float64), x) == [12]
        assert grad_of(lambda x: x**2, x) == [-4]


def test_square_root_at_zero_behind_a_choice():
    """max(sqrt(x), 0) at 0: inf times 0. PyTorch's answer, half of inf, or inf times 0, is kept."""
    assert grad_of(mt.sqrt, leaf(0.0)) == INF
    x = leaf([0.0, 4.0])
    assert grad_of(lambda x: mt.maximum(mt.sqrt(x), mt.tensor(1.0, dtype=mt.float64)), x)[1] == 0.25
    safe = leaf([0.0, 4.0])
    assert grad_of(lambda x: mt.where(x > 0, mt.sqrt(mt.where(x > 0, x, 1.0)), 0.0), safe) == [0, 0.25]


def test_where_hands_nothing_to_the_side_not_taken():
    """But 0 times inf within that side is NaN all the same (autograd#396): the inputs are to be made safe."""
    x = leaf([0.0, 1.0])
    y = mt.where(x > 0, mt.log(x), mt.zeros(2, dtype=mt.float64))
    assert y.tolist() == [0, 0]
    (g,) = mt.autograd.grad(y.sum(), x)
    assert math.isnan(g[0].item())
    assert g[1].item() == 1
    a, b = leaf([1.0, 2.0]), leaf([3.0, INF])
    assert grad_of(lambda a, b: mt.where(mt.tensor([True, False]), a, b), a, b) == [[1, 0], [0, 1]]


def test_absolute_value_and_sign_at_zero():
    assert grad_of(mt.abs, leaf([-2.0, 0.0, 2.0])) == [-1, 0, 1]
    assert grad_of(mt.sign, leaf([-2.0, 0.0])) == [0, 0]
    assert grad_of(F.relu, leaf([-1.0, 0.0, 1.0])) == [0, 0, 1]
    assert grad_of(lambda x: F.leaky_relu(x, 0.1), leaf([-1.0, 0.0, 1.0])) == [0.1, 0.1, 1]


def test_norm_at_zero():
    """x / |x| is 0 / 0."""
    x = leaf([0.0, 0.0])
    assert grad_of(lambda x: x.norm(), x) == [0, 0]
    assert grad_of(lambda x: mt.norm(x, p=1), x) == [0, 0]
    assert grad_of(lambda x: x.norm(), leaf([3.0, 4.0])) == pytest.approx([0.6, 0.8])
    rows = grad_of(lambda x: x.norm(dim=1), leaf([[0.0, 0.0], [3.0, 4.0]]))
    assert rows[0] == [0, 0]
    assert rows[1] == pytest.approx([0.6, 0.8])


def test_spread_of_one_value():
    """std of one element: 0 / 0; of equal ones: 0 * d sqrt(0), taken as 0."""
    assert math.isnan(grad_of(lambda x: x.std(), leaf([2.0]))[0])
    assert grad_of(lambda x: x.var(correction=0), leaf([2.0])) == [0]
    assert grad_of(lambda x: x.std(), leaf([2.0, 2.0])) == [0, 0]
    assert grad_of(lambda x: x.var(), leaf([1.0, 3.0])) == [-2, 2]


def test_products_with_zeros():
    """prod / x is 0 / 0."""
    assert grad_of(mt.prod, leaf([2.0, 3.0, 4.0])) == [12, 8, 6]
    assert grad_of(mt.prod, leaf([2.0, 0.0, 4.0])) == [0, 8, 0]
    assert grad_of(mt.prod, leaf([2.0, 0.0, 0.0])) == [0, 0, 0]
    assert grad_of(lambda x: mt.prod(x, 1), leaf([[0.0, 5.0], [2.0, 3.0]])) == [[5, 0], [3, 2]]
    x = leaf([0.0, 3.0])
    (g,) = mt.autograd.grad(mt.prod(x), x, create_graph=True)
    assert mt.autograd.grad(g[0], x)[0].tolist() == [0, 1]


def test_running_products_with_zeros():
    """Of cumprod [a, ab, abc]: da = 1 + b + bc, db = a + ac, dc = ab."""
    assert grad_of(lambda x: mt.cumprod(x, 0), leaf([2.0, 3.0, 4.0])) == [1 + 3 + 12, 2 + 8, 6]
    assert grad_of(lambda x: mt.cumprod(x, 0), leaf([2.0, 0.0, 4.0])) == [1, 2 + 8, 0]
    assert grad_of(lambda x: mt.cumprod(x, 0), leaf([0.0, 0.0, 4.0])) == [1, 0, 0]


def test_saturated_functions():
    """exp overflows on the way to a derivative of 0 (jax#764 and others)."""
    far = [-1e4, -750.0, 750.0, 1e4]
    zeros, ones = [0.0] * 4, [0.0, 0.0, 1.0, 1.0]
    for f, want in (
        (mt.tanh, zeros),
        (mt.sigmoid, zeros),
        (F.softplus, ones),
        (F.silu, ones),
        (F.gelu, ones),
        (F.logsigmoid, ones[::-1]),
        (lambda x: F.elu(x), ones),
        (mt.erf, zeros),
    ):
        for dtype in (mt.float32, mt.float64):
            assert grad_of(f, leaf(far, dtype)) == want
    assert grad_of(mt.logaddexp, leaf([1e4, -INF]), leaf([0.0, 0.0])) == [[1, 0], [0, 1]]


def test_softmax_where_the_whole_weight_lies_elsewhere():
    """-inf as a mask: exp(-inf - max) is 0 and must stay so; a row of nothing else is NaN."""
    x = leaf([[0.0, -INF, 0.0], [1.0, 2.0, -INF]])
    for f in (F.softmax, F.log_softmax):
        y = f(x, -1)
        (g,) = mt.autograd.grad(y[:, 0].sum(), x)
        assert g[0, 1].item() == 0
        assert g[1, 2].item() == 0
        assert np.isfinite(g.numpy()).all()
    assert grad_of(lambda x: mt.logsumexp(x, -1), leaf([[-INF, 0.0]])) == [[0, 1]]
    assert np.isnan(np.array(grad_of(lambda x: F.softmax(x, -1), leaf([[-INF, -INF]])))).all()
    large = leaf([1e4, 0.0])
    assert grad_of(lambda x: F.log_softmax(x, 0)[0], large) == [0, 0]


def test_infinities_in_products_that_are_masked():
    """0 * inf is NaN in the gradient of a product, as in PyTorch; a mask over the values alone gives a 0."""
    x, mask = leaf([1.0, 2.0]), mt.tensor([True, False])
    first, second = grad_of(lambda x: mt.where(mask, 0.0, x * mt.tensor([INF, 1.0], dtype=mt.float64)), x)
    assert math.isnan(first)
    assert second == 1
    assert grad_of(lambda x: mt.where(mask, INF, x), x) == [0, 1]


# --- ties and bounds --------------------------------------------------------------------------------------------------


def test_ties_of_the_largest():
    """amax and max of all share the gradient, max along an axis gives it to the index it returns."""
    x = leaf([1.0, 3.0, 3.0])
    assert grad_of(mt.amax, x) == [0, 0.5, 0.5]
    assert grad_of(mt.max, x) == [0, 0.5, 0.5]
    index = mt.max(x, 0)[1]
    assert grad_of(lambda x: mt.max(x, 0)[0], x)[index.item()] == 1
    assert sum(grad_of(lambda x: mt.max(x, 0)[0], x)) == 1
    assert grad_of(mt.maximum, leaf([2.0]), leaf([2.0])) == [[0.5], [0.5]]
    assert grad_of(mt.minimum, leaf([2.0]), leaf([2.0])) == [[0.5], [0.5]]
    assert sum(grad_of(mt.median, leaf([2.0, 2.0, 1.0]))) == 1
    assert grad_of(lambda x: mt.amin(x, 1), leaf([[1.0, 1.0], [1.0, 2.0]])) == [[0.5, 0.5], [1, 0]]


def test_many_ties_in_half_precision():
    """Counting 70,000 ties in float16 overflows to inf, and the gradient is 0 (tinygrad#12296)."""
    x = mt.ones(70000, dtype=mt.float16, requires_grad=True)
    x.max().backward()
    assert x.grad[0].item() == pytest.approx(1 / 70000, rel=0.01)


def test_clamp_at_its_bounds():
    """The gradient passes at the bounds; NaN passes too."""
    assert grad_of(lambda x: mt.clamp(x, -1, 1), leaf([-2.0, -1.0, 0.0, 1.0, 2.0])) == [0, 1, 1, 1, 0]
    assert grad_of(lambda x: F.hardtanh(x), leaf([-1.0, 0.0, 1.0])) == [0, 1, 0]
    assert grad_of(lambda x: F.relu6(x), leaf([0.0, 3.0, 6.0])) == [0, 1, 0]


def test_sorting_equal_numbers_hands_each_its_own():
    """An inverse permutation from comparing values counts equal ones twice."""
    x = leaf([2.0, 1.0, 2.0, 1.0])
    w = mt.tensor([1.0, 10.0, 100.0, 1000.0], dtype=mt.float64)
    g = grad_of(lambda x: mt.sort(x, stable=True)[0] * w, x)
    assert g == [100, 1, 1000, 10]
    assert sum(grad_of(lambda x: mt.topk(x, 2)[0], x)) == 2
    assert grad_of(lambda x: mt.cummax(x, 0)[0], leaf([1.0, 3.0, 2.0])) == [1, 2, 0]


def test_max_pool_of_equal_values_gives_to_one():
    x = mt.ones(1, 1, 4, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.sum().item() == 4
    assert sorted(x.grad.flatten().tolist()) == [0.0] * 12 + [1.0] * 4
    x = mt.full((1, 1, 3, 3), NAN, requires_grad=True)
    F.max_pool2d(x, 3).sum().backward()
    assert x.grad.sum().item() == 1


# --- kernels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 7, 8, 9, 15, 16, 17, 31, 33])
def test_nan_wherever_in_a_vector(n):
    """A vector body and a scalar tail that treat NaN differently (PyTorch: elu, hardtanh, relu6, ...)."""
    for f in (F.relu, F.gelu, F.silu, F.elu, F.hardtanh, mt.tanh, mt.sigmoid, F.softplus, lambda x: mt.clamp(x, -1, 1)):
        found = []
        for i in range(n):
            data = [0.5] * n
            data[i] = NAN
            x = leaf(data, mt.float32)
            y = f(x)
            assert math.isnan(y[i].item())
            (g,) = mt.autograd.grad(y.sum(), x)
            found.append(repr(g[i].item()))
            assert not any(math.isnan(v) for k, v in enumerate(g.tolist()) if k != i)
        assert len(set(found)) == 1


def numeric(f, x, h=1e-6):
    """Central differences of the sum of f, one by one."""
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        ends = []
        for step in (h, -h):
            moved = x.copy()
            moved[i] += step
            ends.append(f(mt.from_numpy(moved)).sum().item())
        g[i] = (ends[0] - ends[1]) / (2 * h)
    return g


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_with_steps_padding_and_groups(stride, padding, groups):
    """Columns that no window reaches make the gradient too small, or of another shape (candle#1212, #633); groups are
    mixed up under a step."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 4, 7, 6)), rng.standard_normal((4, 4 // groups, 3, 2))
    u = None

    def f(x, w):
        nonlocal u
        y = F.conv2d(x, w, stride=stride, padding=padding, groups=groups)
        if u is None:
            u = mt.from_numpy(rng.standard_normal(tuple(y.shape)))
        return y * u

    a, b = leaf(x.tolist()), leaf(w.tolist())
    f(a, b).sum().backward()
    np.testing.assert_allclose(a.grad, numeric(lambda t: f(t, mt.from_numpy(w)), x), atol=1e-7)
    np.testing.assert_allclose(b.grad, numeric(lambda t: f(mt.from_numpy(x), t), w), atol=1e-7)


def test_average_pool_counts_its_padding_or_not():
    """The divisor at the border: 4 with the padding, fewer without it; ceil_mode's last window is smaller again."""
    x = mt.ones(1, 1, 3, 3, requires_grad=True)
    F.avg_pool2d(x, 2, stride=2, padding=1).sum().backward()
    assert x.grad.flatten().tolist() == [0.25] * 9
    x.grad = None
    F.avg_pool2d(x, 2, stride=2, padding=1, count_include_pad=False).sum().backward()
    assert x.grad.flatten().tolist() == [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.5, 0.25, 0.25]
    x.grad = None
    F.avg_pool2d(x, 2, ceil_mode=True).sum().backward()
    assert x.grad.flatten().tolist() == [0.25, 0.25, 0.5, 0.25, 0.25, 0.5, 0.5, 0.5, 1]


# --- losses -----------------------------------------------------------------------------------------------------------


def test_a_column_against_a_row_warns():
    """(n, 1) - (n,) is (n, n): the loss of all pairs, which trains towards the mean."""
    a, b = mt.zeros(3, 1, requires_grad=True), mt.ones(3)
    for loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        with pytest.warns(UserWarning, match=r"\(3, 1\).*\(3,\)|size"):
            loss(a, b)


def test_cross_entropy_with_nothing_but_ignored_targets():
    """0 / 0, NaN, as in PyTorch; and a gradient of 0 or NaN, never of the ignored class."""
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    ignored = mt.tensor([-100, -100])
    assert math.isnan(F.cross_entropy(x, ignored).item())
    assert F.cross_entropy(x, ignored, reduction="sum").item() == 0
    assert grad_of(lambda x: F.cross_entropy(x, ignored, reduction="sum"), x) == [[0, 0], [0, 0]]
    half = grad_of(lambda x: F.cross_entropy(x, mt.tensor([-100, 1])), x)
    assert half[0] == [0, 0]
    assert sum(half[1]) == pytest.approx(0)
    assert half[1][1] == pytest.approx(1 / (1 + math.exp(-1)) - 1)


def test_logits_so_large_that_probabilities_round_to_zero():
    """log(softmax(x)) is -inf, cross_entropy is not."""
    x = leaf([[1000.0, 0.0]], mt.float32)
    assert F.cross_entropy(x, mt.tensor([1])).item() == 1000
    assert grad_of(lambda x: F.cross_entropy(x, mt.tensor([1])), x) == [[1, -1]]
    z = leaf([1000.0, -1000.0], mt.float32)
    t = mt.tensor([0.0, 1.0])
    assert F.binary_cross_entropy_with_logits(z, t).item() == 1000
    assert grad_of(lambda z: F.binary_cross_entropy_with_logits(z, t), z) == [0.5, -0.5]


def test_probabilities_of_zero_and_one():
    """log 0 is taken as -100, its derivative stays finite."""
    p = leaf([0.0, 1.0], mt.float32)
    assert F.binary_cross_entropy(p, mt.tensor([1.0, 0.0])).item() == 100
    assert np.isfinite(grad_of(lambda p: F.binary_cross_entropy(p, mt.tensor([1.0, 0.0])), p)).all()
    assert grad_of(lambda p: F.binary_cross_entropy(p, mt.tensor([0.0, 1.0])), p) == [0, 0]


def test_divergence_of_a_probability_of_zero():
    """t log t at t = 0 is 0, not NaN."""
    x, t = leaf([-1.0, -2.0]), mt.tensor([0.0, 1.0], dtype=mt.float64)
    assert F.kl_div(x, t, reduction="sum").item() == 2
    assert grad_of(lambda x: F.kl_div(x, t, reduction="sum"), x) == [0, -1]


# --- higher orders, kept gradients ------------------------------------------------------------------------------------


def test_the_kept_gradient_of_a_view_after_its_base_was_written():
    """pytorch#8874: retain_grad on the view that was, not on what took its place."""
    x = mt.ones(4, requires_grad=True) * 1
    v = x[2:]
    v.retain_grad()
    v[1].backward()
    assert v.grad.tolist() == [0, 1]


def test_higher_derivatives_where_the_first_is_constant():
    """A gradient that does not depend on x has no graph: its derivative is 0, not an error of the walk."""
    x = leaf(3.0)
    (g,) = mt.autograd.grad(x * 2, x, create_graph=True)
    (h,) = mt.autograd.grad(g + 0 * x, x, allow_unused=True)
    assert h.item() == 0
    y = x**3
    for want in (27.0, 18.0, 6.0):
        (y,) = mt.autograd.grad(y, x, create_graph=True)
        assert y.item() == want
