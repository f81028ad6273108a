"""Functions with derivatives of the user's own: values, orders, modes, batches, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import minitensor as mt
from minitensor.autograd import Function, grad, gradcheck, gradgradcheck
from minitensor.autograd.function import FunctionCtx, InplaceFunction, once_differentiable
from minitensor.errors import GraphError, ShapeError

F64 = mt.float64


def t(*values, grad=True):
    return mt.tensor(values, dtype=F64, requires_grad=grad)


class Power(Function):
    @staticmethod
    def forward(ctx, x, n=2):
        ctx.n = n
        ctx.save_for_backward(x)
        return x**n

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.n * x ** (ctx.n - 1), None


class Square(Function):
    """With forward apart from its context, forward mode and batches."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, scale=3.0):
        return x * x * scale

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.scale = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * g * x * ctx.scale, None

    @staticmethod
    def jvp(ctx, moved, _):
        (x,) = ctx.saved_tensors
        return 2 * moved * x * ctx.scale


# --- the layers of the course, by hand --------------------------------------------------------------------------------


class Linear(Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g, g.sum(0, keepdim=True)


class MSE(Function):
    """(1/q) ||y - target||^2 over all entries, for q samples in rows."""

    @staticmethod
    def forward(ctx, y, target):
        ctx.save_for_backward(y, target)
        return ((y - target) ** 2).sum() / len(y)

    @staticmethod
    def backward(ctx, g):
        y, target = ctx.saved_tensors
        d = g * 2 / len(y) * (y - target)
        return d, -d


def test_a_layer_and_a_loss_by_hand():
    x, w = t([1, 2], [3, 4], [5, 6]), t([0.1, -0.2], [0.3, 0.4])
    b, y = t([0.5, -0.5]), t([1, 0], [0, 1], [1, 1])
    loss = MSE.apply(Linear.apply(x, w, b), y)
    loss.backward()
    made = x.detach().numpy() @ w.detach().numpy() + b.detach().numpy()
    g = 2 / 3 * (made - y.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), g @ w.detach().numpy().T, 1e-14, 1e-15)  # some are 0 but for rounding
    np.testing.assert_allclose(w.grad.numpy(), x.detach().numpy().T @ g, 1e-14, 1e-15)  # some are 0 but for rounding
    np.testing.assert_allclose(b.grad.numpy(), g.sum(0, keepdims=True), 1e-14, 1e-15)  # some are 0 but for rounding
    np.testing.assert_allclose(y.grad.numpy(), -g, 1e-14, 1e-15)  # some are 0 but for rounding
    assert loss.item() == pytest.approx(((made - y.detach().numpy()) ** 2).sum() / 3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 3, 2), (2, 5, 3)])
def test_they_pass_gradcheck(shape):
    q, n, p = shape
    rng = np.random.default_rng(0)
    x, w, b, y = [mt.from_numpy(rng.standard_normal(s)).requires_grad_() for s in ((q, n), (n, p), (1, p), (q, p))]
    f = lambda x, w, b, y: MSE.apply(Linear.apply(x, w, b), y)  # noqa: E731
    assert gradcheck(f, (x, w, b, y))
    assert gradgradcheck(f, (x, w, b, y))


def test_descent_with_them_recovers_the_weights():
    i, j = np.meshgrid(np.arange(50), np.arange(3), indexing="ij")
    x = mt.from_numpy(np.sin((j + 1) * i))
    true = mt.tensor([[1, -2], [0.5, 0], [3, 1]], dtype=F64)
    y = x @ true + mt.tensor([0.3, -0.7], dtype=F64)
    w, b = mt.zeros(3, 2, dtype=F64, requires_grad=True), mt.zeros(1, 2, dtype=F64, requires_grad=True)
    other = [w.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()]
    for _ in range(300):
        for (w_, b_), loss in (
            ((w, b), MSE.apply(Linear.apply(x, w, b), y)),
            (other, ((x @ other[0] + other[1] - y) ** 2).sum() / 50),
        ):
            for p, g in zip((w_, b_), grad(loss, (w_, b_)), strict=True):
                p.data -= 0.1 * g
    np.testing.assert_allclose(w.detach().numpy(), true.numpy(), atol=1e-8)
    np.testing.assert_allclose(b.detach().numpy(), [[0.3, -0.7]], atol=1e-8)
    np.testing.assert_allclose(w.detach().numpy(), other[0].detach().numpy(), rtol=1e-12)


# --- values and orders ------------------------------------------------------------------------------------------------


def test_derivatives_of_every_order_through_backward():
    x = t(1, 2)
    y = Power.apply(x, 3)
    assert y.grad_fn.name() == "PowerBackward"
    assert y.grad_fn.saved_tensors[0] is x
    (g,) = grad(y.sum(), x, create_graph=True)
    (h,) = grad(g.sum(), x, create_graph=True)
    (k,) = grad(h.sum(), x)
    assert [v.tolist() for v in (g, h, k)] == [[3, 12], [6, 12], [6, 6]]


def test_several_outputs_and_those_without_a_derivative():
    class Many(Function):
        @staticmethod
        def forward(ctx, x):
            double = x * 2
            ctx.mark_non_differentiable(double)
            return x * 3, x.argmax(), double, "text"

        @staticmethod
        def backward(ctx, *grads):
            seen.extend(grads)
            return grads[0] * 3

    seen = []
    x = t(1, 2)
    y, place, double, text = Many.apply(x)
    assert (y.requires_grad, place.requires_grad, double.requires_grad, text) == (True, False, False, "text")
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert [g if g is None else g.tolist() for g in seen] == [[1, 1], 0, [0, 0], None]
    assert seen[1].dtype is mt.int64


def test_gradients_that_nothing_reaches():
    class Pair(Function):
        @staticmethod
        def forward(ctx, x, y, materialize):
            ctx.set_materialize_grads(materialize)
            return x * 2, y * 3

        @staticmethod
        def backward(ctx, a, b):
            seen.append(a)
            return None if a is None else 2 * a, 3 * b, None

    seen = []
    for materialize in (True, False):
        x, y = t(1), t(2)
        Pair.apply(x, y, materialize)[1].backward()
        assert y.grad.tolist() == [3]
        assert (x.grad is None) is not materialize
    assert seen[0].tolist() == [0]
    assert seen[1] is None


def test_what_each_argument_needs():
    class Needs(Function):
        @staticmethod
        def forward(ctx, x, w, k):
            assert ctx.needs_input_grad == (False, True, False)
            assert not mt.is_grad_enabled()
            assert w.requires_grad
            return x * w * k

        @staticmethod
        def backward(ctx, g):
            return g, g, None

    x, w = t(1, grad=False), t(2)
    Needs.apply(x, w, 2.0).backward()
    assert x.grad is None
    assert w.grad.tolist() == [1]
    with mt.no_grad():
        assert not Power.apply(w).requires_grad
    assert not Power.apply(x).requires_grad
    assert Power.apply(2.0, 3) == 8.0


def test_an_output_that_is_the_input():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 10

    x = t(1, 2)
    y = Same.apply(x)
    assert y is not x
    assert y.data_ptr() == x.data_ptr()
    y.sum().backward()
    assert x.grad.tolist() == [10, 10]
    square = y * y
    with mt.no_grad():
        x += 1
    with pytest.raises(GraphError, match="overwritten"):
        square.sum().backward()


def test_broadcast_gradients_are_summed_and_cast():
    class Broad(Function):
        @staticmethod
        def forward(ctx, x):
            return x * mt.ones(3, 2, dtype=F64)

        @staticmethod
        def backward(ctx, g):
            return g.float()

    x = t(1, 2)
    Broad.apply(x).sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert x.grad.dtype is F64


# --- writes -----------------------------------------------------------------------------------------------------------


class ExpInPlace(InplaceFunction):
    @staticmethod
    def forward(ctx, x):
        x.exp_()
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


def test_a_function_that_writes_its_input():
    x = t(0, 1)
    z = x * 1
    assert ExpInPlace.apply(z) is z
    (g,) = grad(z.sum(), x, create_graph=True)
    (h,) = grad(g.sum(), x, retain_graph=True)
    np.testing.assert_allclose([g.detach().numpy(), h.numpy()], [np.exp([0, 1])] * 2, 1e-15)
    z.mul_(2)
    with pytest.raises(GraphError, match=r"ExpInPlace.*overwritten"):
        z.sum().backward()
    z = x * 1
    ExpInPlace.apply(z[1:])
    (g,) = grad((z * z).sum(), x)
    np.testing.assert_allclose(g.numpy(), [0, 2 * np.exp(2)], 1e-15)
    with pytest.raises(GraphError, match="leaf"):
        ExpInPlace.apply(t(1, 2))


def test_dirty_inputs_are_returned():
    class Hidden(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x * 2

    with pytest.raises(GraphError, match="dirty"):
        Hidden.apply(t(1) * 1)


# --- the transforms ---------------------------------------------------------------------------------------------------


def test_in_every_transform():
    f = mt.func
    x = t(1, 2, grad=False)
    whole = lambda x: Square.apply(x).sum()  # noqa: E731
    value, moved = f.jvp(Square.apply, (x,), (t(1, 1, grad=False),))
    assert (value.tolist(), moved.tolist()) == ([3, 12], [6, 12])
    assert f.grad(whole)(x).tolist() == [6, 12]
    assert f.vjp(Square.apply, x)[1](t(1, 10, grad=False))[0].tolist() == [6, 120]
    for outer in (f.jacfwd, f.jacrev):
        assert outer(Square.apply)(x).tolist() == [[6, 0], [0, 12]]
        for inner in (f.jacfwd, f.jacrev):
            assert outer(inner(whole))(x).tolist() == [[6, 0], [0, 6]]
    rows = t([1, 2], [3, 4], grad=False)
    assert f.vmap(Square.apply)(rows).tolist() == [[3, 12], [27, 48]]
    assert f.vmap(f.grad(whole))(rows).tolist() == [[6, 12], [18, 24]]
    assert f.grad(lambda r: f.vmap(Square.apply)(r).sum())(rows).tolist() == [[6, 12], [18, 24]]
    assert f.vmap(lambda r: f.jvp(Square.apply, (r,), (r,))[1])(rows).tolist() == [[6, 24], [54, 96]]
    assert f.vmap(f.vmap(Square.apply))(rows).tolist() == [[3, 12], [27, 48]]
    assert gradcheck(Square.apply, (t(1, 2),), check_forward_ad=True)


def test_a_vmap_of_its_own():
    class Sum(Function):
        @staticmethod
        def forward(x):
            return x.sum(-1)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.n = inputs[0].shape

        @staticmethod
        def backward(ctx, g):
            return g.unsqueeze(-1).expand(ctx.n)

        @staticmethod
        def vmap(info, in_dims, x):
            seen.append((info.batch_size, info.randomness, in_dims))
            return Sum.apply(x), 0

    seen = []
    x = t([1, 2], [3, 4], [5, 6])
    y = mt.vmap(Sum.apply)(x)
    assert y.tolist() == [3, 7, 11]
    assert seen == [(3, "error", (0,))]
    (y * y).sum().backward()
    assert x.grad.tolist() == [[6, 6], [14, 14], [22, 22]]


# --- what is refused --------------------------------------------------------------------------------------------------


def wrong(backward, forward=lambda ctx, x, k: x * 2):
    return type("Wrong", (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


@pytest.mark.parametrize(
    ("backward", "error", "message"),
    [
        (lambda ctx, g: g, GraphError, r"incorrect number of gradients \(expected 2, got 1\)"),
        (lambda ctx, g: (g, None, g), GraphError, r"incorrect number of gradients \(expected 2, got 3\)"),
        (lambda ctx, g: (g, g), GraphError, "different from None at position 2"),
        (lambda ctx, g: (g[:1].expand(3), None), ShapeError, r"invalid gradient at index 0 - got \[3\].*\[2\]"),
        (lambda ctx, g: (1.0, None), TypeError, "must be a tensor or None, not float"),
    ],
)
def test_wrong_gradients(backward, error, message):
    with pytest.raises(error, match=message):
        wrong(backward).apply(t(1, 2), 3).sum().backward()


def test_more_gradients_than_arguments_if_they_are_none():
    x = t(1, 2)
    wrong(lambda ctx, g: (g, None, None)).apply(x, 3).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_what_is_missing():
    class Forward(Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            assert isinstance(ctx, FunctionCtx)

    x = t(1, 2)
    with pytest.raises(NotImplementedError, match="backward"):
        Forward.apply(x).sum().backward()
    with pytest.raises(NotImplementedError, match="jvp"):
        mt.func.jvp(Forward.apply, (x,), (x,))
    with pytest.raises(GraphError, match="generate_vmap_rule"):
        mt.vmap(Forward.apply)(x)
    with pytest.raises(GraphError, match="apply"):
        Forward()(x)
    with pytest.raises(NotImplementedError, match="forward"):
        Function.apply(x)
    with pytest.raises(TypeError, match="'m'"):
        Power.apply(x, m=3)
    assert Square.apply(x, scale=1.0).tolist() == [1, 4]
    with pytest.raises(TypeError, match="save_for_backward"):
        wrong(None, lambda ctx, x: ctx.save_for_backward(3)).apply(x)


def test_once_differentiable():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = t(1, 2)
    Once.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 4]
    (g,) = grad((Once.apply(x) * x).sum(), x, create_graph=True)
    with pytest.raises(GraphError, match="once_differentiable"):
        g.sum().backward()


def test_freed_and_overwritten_values():
    x = t(1, 2)
    y = Power.apply(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(GraphError, match=r"Power.*freed.*test_function"):
        y.grad_fn.next_functions[0][0].saved_tensors  # noqa: B018
    z = x * 1
    y = Power.apply(z)
    z.add_(1)
    with pytest.raises(GraphError, match=r"Power.*overwritten.*test_function"):
        y.sum().backward()


def test_a_function_without_saved_values_can_be_walked_twice():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            calls.append(1)
            return g * 2

    calls = []
    x = t(1, 2)
    y = Double.apply(x)
    seed = mt.ones(2, dtype=F64)
    y.backward(seed)
    y.backward(seed)
    assert x.grad.tolist() == [4, 4]
    assert len(calls) == 2


def test_a_backward_differentiates_by_what_it_saved():
    """Saved arguments come back where they were in the graph: adjoint methods and checkpoints recompute with them."""

    class Scaled(mt.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            seen.extend([x.requires_grad, x.grad_fn is made.grad_fn, w is weight])
            with mt.enable_grad():
                z = x.detach().requires_grad_()
                return mt.autograd.grad(z * w, (z, w), g)

    seen = []
    weight = mt.tensor([2.0], requires_grad=True)
    x = mt.tensor([3.0], requires_grad=True)
    made = x * 1
    Scaled.apply(made, weight).backward()
    assert seen == [True, True, True]
    assert (x.grad.item(), weight.grad.item()) == (2.0, 3.0)
