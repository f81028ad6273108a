"""Functions of functions: derivatives nested in every order, batches of every operator, modules as functions."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import test_ops

import minitensor as mt
from minitensor.errors import GraphError, IndexRangeError, ShapeError
from minitensor.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vjp,
    vmap,
)
from minitensor.graph import record

F64 = mt.float64


def t(*values, **options):
    return mt.tensor(values, dtype=F64, **options)


def same(have, want, tolerance=1e-12):
    np.testing.assert_allclose(have.detach().numpy(), np.asarray(want), tolerance, tolerance)


# --- every operator of the table in a batch ---------------------------------------------------------------------------


def two(sample):
    """A sample's arguments, and others like them: its floating arrays in reverse order."""
    turned = tuple([np.flip(a).copy() if test_ops.is_float(a) else a for a in sample.args])
    return sample.args, turned if sample.derive is None else sample.derive(*turned)


@pytest.mark.parametrize(("op", "sample"), test_ops.CASES)
@pytest.mark.parametrize("which", ["all", "first"])
def test_an_operator_on_a_batch_is_the_operator_on_each_element(op, sample, which):
    rows = two(sample)
    live = [i for i, a in enumerate(sample.args) if test_ops.is_float(a)]
    if which == "first":
        live = live[:1]
        if sample.derive is not None:
            pytest.skip("its arguments depend on one another")
        rows = [[b if i in live else a for i, (a, b) in enumerate(zip(sample.args, row, strict=True))] for row in rows]
    if not live:
        pytest.skip("no floating argument")
    fixed = [mt.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in sample.args]

    def run(*xs):
        args = list(fixed)
        for i, x in zip(live, xs, strict=True):
            args[i] = x
        return record.apply(op, *args, **sample.params)

    have = vmap(run)(*[mt.from_numpy(np.stack([row[i] for row in rows])) for i in live])
    for k, row in enumerate(rows):
        want = run(*[mt.from_numpy(np.asarray(row[i]).copy()) for i in live])
        pairs = zip(have, want, strict=True) if isinstance(want, tuple) else [(have, want)]
        for h, w in pairs:
            assert h.dtype is w.dtype
            same(h[k], w, 1e-11)


# --- derivatives ------------------------------------------------------------------------------------------------------


def test_grad_of_one_and_of_several_arguments():
    x, y = t(1, 2), t(3, 4)
    f = lambda x, y: (x * x * y).sum()  # noqa: E731
    same(grad(f)(x, y), [6, 16])
    dx, dy = grad(f, argnums=(0, 1))(x, y)
    same(dx, [6, 16])
    same(dy, [1, 4])
    same(grad(f, argnums=-1)(x, y), [1, 4])
    found, value = grad_and_value(f)(x, y)
    same(value, 19)
    assert not value.requires_grad
    assert not found.requires_grad
    assert x.grad is None


def test_grad_with_aux_and_with_trees():
    params = {"w": t(2, 3), "b": [t(1, 1)]}
    loss = lambda p, x: (((p["w"] * x + p["b"][0]) ** 2).sum(), {"seen": x})  # noqa: E731
    found, aux = grad(loss, has_aux=True)(params, t(1, 2))
    same(found["w"], [6, 28])
    same(found["b"][0], [6, 14])
    same(aux["seen"], [1, 2])


def test_grad_needs_a_scalar_and_floats():
    with pytest.raises(ShapeError, match=r"scalar.*\(2,\)"):
        grad(lambda x: x)(t(1, 2))
    with pytest.raises(TypeError, match="int64"):
        grad(lambda x: x.sum())(mt.tensor([1, 2]))
    with pytest.raises(IndexRangeError, match="argnums 1"):
        grad(lambda x: x.sum(), argnums=1)(t(1, 2))


def test_an_argument_that_is_not_used_has_the_gradient_zero():
    same(grad(lambda x, y: (y * y).sum())(t(1, 2), t(1, 2)), [0, 0])


def test_what_lies_outside_is_still_differentiated():
    w, x = t(2, 3, requires_grad=True), t(5, 7)
    g = grad(lambda x: (w * w * x).sum())(x)  # w^2
    same(g, [4, 9])
    g.sum().backward()
    same(w.grad, [4, 6])
    v = t(2, 3, requires_grad=True)
    grad(lambda x: (x**3).sum())(v).sum().backward()
    same(v.grad, [12, 18])
    with mt.no_grad():
        assert not grad(lambda x: (w * x * x).sum())(x).requires_grad


def test_vjp_and_jvp_are_transposed():
    rng = np.random.default_rng(0)
    a = mt.from_numpy(rng.standard_normal((3, 4)))
    f = lambda x: (a @ x).sin()  # noqa: E731
    x, v, u = (mt.from_numpy(rng.standard_normal(n)) for n in (4, 4, 3))
    y, pull = vjp(f, x)
    value, moved = jvp(f, (x,), (v,))
    same(y, value)
    assert float(moved @ u) == pytest.approx(float(pull(u)[0] @ v), rel=1e-12)
    value, push = linearize(f, x)
    same(push(v), moved)
    same(push(2 * v), 2 * moved)
    with pytest.raises(ShapeError, match=r"\(4,\).*\(3,\)"):
        pull(v)
    with pytest.raises(ShapeError, match=r"\(3,\).*\(4,\)"):
        jvp(f, (x,), (u,))


@pytest.mark.parametrize("outer", [jacfwd, jacrev])
@pytest.mark.parametrize("inner", [jacfwd, jacrev])
def test_a_hessian_in_every_order_of_modes(outer, inner):
    x = t(1, 2, 3)
    f = lambda x: x[0] * x[1] ** 2 * x[2] ** 3  # noqa: E731
    want = [[0, 108, 108], [108, 54, 108], [108, 108, 72]]
    same(outer(inner(f))(x), want)
    same(hessian(f)(x), want)
    third = jacfwd(outer(inner(f)))(x)
    assert float(third[0, 1, 2]) == 108
    assert float(third[1, 1, 1]) == 0


def test_jacobians_of_trees():
    f = lambda x, y: {"a": x * y.sum(), "b": (y * y,)}  # noqa: E731
    for jacobian in (jacfwd, jacrev):
        j = jacobian(f, argnums=(0, 1))(t(1, 2), t(3, 4, 5))
        same(j["a"][0], [[12, 0], [0, 12]])
        same(j["a"][1], [[1, 1, 1], [2, 2, 2]])
        same(j["b"][0][1], np.diag([6, 8, 10]))
        assert j["b"][0][0].shape == (3, 2)
    same(jacrev(lambda x: x * x, chunk_size=2)(t(1, 2, 3)), np.diag([2, 4, 6]))


# --- batches ----------------------------------------------------------------------------------------------------------


def test_the_axes_of_a_batch():
    x = mt.arange(6.0).reshape(2, 3)
    assert vmap(lambda r: r * 2, in_dims=1, out_dims=1)(x).tolist() == (x * 2).tolist()
    assert vmap(lambda r: r * 2, in_dims=-1)(x).shape == (3, 2)
    assert vmap(lambda a, b: a + b, in_dims=(0, None))(x, mt.ones(3)).tolist() == (x + 1).tolist()
    assert vmap(lambda d: d["x"].sum())({"x": x}).tolist() == [3, 12]
    assert vmap(vmap(lambda a: a * 2))(x).tolist() == (x * 2).tolist()
    assert vmap(lambda a, k: a * k, in_dims=(0, None))(x, 3).tolist() == (x * 3).tolist()
    a, b = vmap(lambda r: (r.sum(), r), out_dims=(0, 1))(x)
    assert (a.shape, b.shape) == ((2,), (3, 2))


def test_a_batch_in_pieces_and_an_empty_one():
    x = mt.arange(10.0).reshape(5, 2)
    assert vmap(lambda r: r.sum(), chunk_size=2)(x).tolist() == x.sum(1).tolist()
    assert vmap(lambda r: r.cumsum(0))(mt.zeros(0, 3)).shape == (0, 3)


def test_wrong_batches():
    with pytest.raises(ShapeError, match="2 and 3"):
        vmap(lambda a, b: a + b)(mt.ones(2), mt.ones(3))
    with pytest.raises(IndexRangeError, match=r"in_dims 2.*\(2, 3\)"):
        vmap(lambda a: a, in_dims=2)(mt.ones(2, 3))
    with pytest.raises(ValueError, match="no input has a batch axis"):
        vmap(lambda a: a, in_dims=None)(mt.ones(2))
    with pytest.raises(TypeError, match="must return tensors, not float"):
        vmap(lambda a: 1.0)(mt.ones(2))
    with pytest.raises(ValueError, match="randomness"):
        vmap(lambda a: a, randomness="some")


@pytest.mark.parametrize(
    "f", [lambda x: x.item(), lambda x: x if x > 0 else -x, lambda x: x.tolist(), lambda x: float(x)]
)
def test_elements_cannot_be_read_in_a_batch(f):
    with pytest.raises(GraphError, match=r"vmap.*reads elements"):
        vmap(f)(mt.ones(3))


def test_a_tensor_of_a_batch_that_has_ended():
    kept = []
    vmap(lambda x: kept.append(x) or x)(mt.ones(3))
    with pytest.raises(GraphError, match="used after"):
        kept[0] + 1


def test_writing_in_a_batch():
    def f(x):
        y = mt.zeros_like(x)
        y[0] = x[1]
        y.mul_(2)
        y += x
        return y

    assert vmap(f)(mt.arange(4.0).reshape(2, 2)).tolist() == [[2, 1], [8, 3]]
    with pytest.raises(GraphError, match="without the batch"):
        vmap(lambda x: mt.zeros(2).add_(x))(mt.ones(3, 2))


def test_a_batch_within_a_derivative_and_around_one():
    x = t(1, 2, 3)
    same(
        grad(lambda x: vmap(lambda k: (k * x).sin().sum())(mt.arange(3, dtype=F64)).sum())(x),
        np.sum([k * np.cos(k * np.array([1.0, 2, 3])) for k in range(3)], 0),
    )
    same(vmap(grad(lambda x: (x**3).sum()))(mt.ones(2, 3, dtype=F64) * 2), np.full((2, 3), 12))
    same(vmap(jacrev(lambda x: x * x))(t([1, 2], [3, 4])), [np.diag([2, 4]), np.diag([6, 8])])
    same(vmap(hessian(lambda x: (x**3).sum()))(t([1, 2], [3, 4])), [np.diag([6, 12]), np.diag([18, 24])])
    _, moved = vmap(lambda x, v: jvp(mt.sin, (x,), (v,)))(x, mt.ones(3, dtype=F64))
    same(moved, np.cos([1, 2, 3]))
    same(vmap(lambda x: vmap(grad(mt.sin))(x))(t([0, 1], [2, 3])), np.cos([[0, 1], [2, 3]]))


def test_gradients_of_each_example():
    mt.manual_seed(0)
    nn = mt.nn
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2), nn.GroupNorm(3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 4)
    )
    params = {name: p.detach() for name, p in model.named_parameters()}
    x, y = mt.randn(5, 1, 7, 7), mt.tensor([0, 1, 2, 3, 0])

    def loss(params, x, y):
        return nn.functional.cross_entropy(functional_call(model, params, (x[None],)), y[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(params, x, y)
    for i in range(5):
        one = grad(loss)(params, x[i], y[i])
        for name in params:
            same(each[name][i], one[name], 2e-6)
    model.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    for name, p in model.named_parameters():
        same(each[name].mean(0), p.grad, 2e-6)


# --- modules ----------------------------------------------------------------------------------------------------------


def test_functional_call():
    model = mt.nn.Sequential(mt.nn.Linear(2, 1), mt.nn.BatchNorm1d(1))
    before = {name: p.clone() for name, p in model.state_dict().items()}
    w = mt.ones(1, 2, requires_grad=True)
    model.eval()
    functional_call(model, {"0.weight": w}, mt.ones(3, 2)).sum().backward()
    assert w.grad is not None
    assert all((model.state_dict()[name] == value).all() for name, value in before.items())
    functional_call(model, {"nothing": w}, mt.ones(3, 2))
    assert not hasattr(model, "nothing")
    for error in (KeyError, AttributeError):
        with pytest.raises(error, match="no part 'nothing'"):
            functional_call(model, {"nothing.weight": w}, mt.ones(3, 2))
    with pytest.raises(TypeError, match=r"'0\.weight' must be a tensor"):
        functional_call(model, {"0.weight": 1.0}, mt.ones(3, 2))
    with pytest.raises(RuntimeError, match="unknown \\['nothing'\\]"):
        functional_call(model, {"nothing": w}, mt.ones(3, 2), strict=True)
    with pytest.raises(KeyError, match="missing"):
        functional_call(model, {"0.weight": w}, mt.ones(3, 2), strict=True)


def test_tied_weights_are_replaced_together():
    model = mt.nn.Sequential(mt.nn.Linear(2, 2, bias=False), mt.nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    eye = mt.eye(2)
    assert functional_call(model, {"0.weight": 2 * eye}, mt.ones(2)).tolist() == [4, 4]


def test_an_ensemble():
    mt.manual_seed(0)
    models = [mt.nn.Linear(3, 2) for _ in range(4)]
    params, buffers = stack_module_state(models)
    x = mt.randn(5, 3)
    out = vmap(lambda p, b, x: functional_call(models[0], (p, b), (x,)), in_dims=(0, 0, None))(params, buffers, x)
    for k, model in enumerate(models):
        same(out[k], model(x).detach(), 1e-6)
    assert params["weight"].requires_grad
    with pytest.raises(TypeError, match="one class"):
        stack_module_state([mt.nn.Linear(1, 1), mt.nn.ReLU()])


# --- functions that read elements, or draw random numbers, in a batch -------------------------------------------------


def by_hand(f, *xs):
    return np.stack([f(*row).detach().numpy() for row in zip(*xs, strict=True)])


I2, I34 = mt.tensor([[0, 1], [3, 2], [1, 1]]), mt.tensor([[0, 1, -1], [3, -2, 2], [1, 1, 0]])
X = mt.from_numpy(np.random.default_rng(0).standard_normal((3, 4, 5)))

READING = {
    "gather": (lambda x, i: x.gather(0, i.unsqueeze(-1)), X, I2),
    "a number of its own": (lambda x, i: x[i[0]], X, I2),
    "an index": (lambda x, i: x[i], X, I34),
    "an index of a later axis": (lambda x, i: x[:, i], X, I34),
    "two indices": (lambda x, i: x[i, i[:1]], X, I34),
    "index_select": (lambda x, i: x.index_select(1, i), X, I2),
    "take_along_dim": (lambda x, i: x.take_along_dim(i[:, None], 0), X, I34),
    "take": (lambda x, i: x.take(i), X, I34),
    "scatter": (lambda x, i: x.scatter(0, i[:, None], 5.0), X, I2),
    "scatter_add": (lambda x, i: x.scatter_add(0, i[:, None], x[:2]), X, I2),
    "index_add": (lambda x, i: x.index_add(0, i, x[:2]), X, I2),
    "index_put": (lambda x, i: x.index_put((i,), x[:3]), X, I34),
    "embedding": (lambda i, w: mt.nn.functional.embedding(i, w), I2, X),
    "one_hot": (lambda i: mt.nn.functional.one_hot(i, 4), I2),
    "sort": (lambda x: x.sort(0).values, X),
    "topk": (lambda x: x.topk(2).indices, X),
    "median": (lambda x: x.median(), X),
    "quantile": (lambda x: x.quantile(0.3, 0), X),
    "argmax": (lambda x: x.argmax(1), X),
    "solve": (lambda x: mt.linalg.solve(x[:, :4], x[:, 4]), X),
    "cholesky": (lambda x: mt.linalg.cholesky(x @ x.T + mt.eye(4)), X),
    "searchsorted": (lambda x: mt.searchsorted(x[0].sort().values, x[1]), X),
    "cross_entropy": (lambda x, i: mt.nn.functional.cross_entropy(x[:2], i), X, I2),
    "nll_loss, ignoring": (lambda x, i: mt.nn.functional.nll_loss(x[:2], i, ignore_index=1), X, I2),
    "an example": (lambda x, i: mt.nn.functional.cross_entropy(x[0], i[0]), X, I2),
}


@pytest.mark.parametrize("name", READING)
def test_reading_elements_in_a_batch(name):
    f, *xs = READING[name]
    have = vmap(f)(*xs)
    np.testing.assert_allclose(have.numpy(), by_hand(f, *xs), 1e-12, 1e-14)
    if not have.is_floating_point():
        return
    place = next(k for k, x in enumerate(xs) if x.is_floating_point())
    slope = lambda *row: grad(lambda *a: (f(*a) * 3).sum(), argnums=place)(*row)  # noqa: E731
    np.testing.assert_allclose(vmap(slope)(*xs).numpy(), by_hand(slope, *xs), 1e-12, 1e-13)
    both = lambda *row: vmap(lambda *a: f(*a))(*[mt.stack([a, a]) for a in row])  # noqa: E731
    np.testing.assert_allclose(vmap(both)(*xs).numpy(), by_hand(both, *xs), 1e-12, 1e-14)


def test_an_index_of_its_own_is_checked_and_written_at():
    with pytest.raises(IndexError, match="4"):
        vmap(lambda x, i: x[i])(X, I2 + 3)

    def write(x, i):
        y = x.clone()
        y[i] = 0.0
        return y

    np.testing.assert_array_equal(vmap(write)(X, I2).numpy(), by_hand(write, X, I2))
    with pytest.raises(GraphError, match="without the batch"):
        vmap(lambda i: mt.zeros(4).__setitem__(i, 1.0))(I2)
    with pytest.raises(GraphError, match="reads elements"):
        vmap(lambda x: x[x > 0])(X)


LAYERS = {
    "conv": (lambda x, w: mt.nn.functional.conv2d(x[None], w, padding=1)[0], (3, 2, 5, 5), (3, 4, 2, 3, 3)),
    "transposed": (lambda x, w: mt.nn.functional.conv_transpose2d(x, w), (3, 1, 2, 4, 4), (3, 2, 3, 2, 2)),
    "groups": (lambda x, w: mt.nn.functional.conv1d(x, w, groups=2), (3, 2, 4, 6), (3, 4, 2, 3)),
    "max pool": (lambda x: mt.nn.functional.max_pool2d(x, 2), (3, 2, 2, 4, 4)),
    "average pool": (lambda x: mt.nn.functional.adaptive_avg_pool2d(x, 3), (3, 2, 2, 4, 4)),
    "batch norm": (lambda x, w: mt.nn.functional.batch_norm(x, None, None, w, training=True), (3, 4, 2, 3), (3, 2)),
    "layer norm": (lambda x, w: mt.nn.functional.layer_norm(x, (5,), w, w), (3, 2, 4, 5), (3, 5)),
    "group norm": (lambda x: mt.nn.functional.group_norm(x, 2), (3, 2, 4, 3)),
    "attention": (lambda x: mt.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True), (3, 2, 4, 3)),
    "einsum": (lambda x, w: mt.einsum("ij,jk->ik", x, w), (3, 2, 4), (3, 4, 5)),
    "unfold": (lambda x: mt.nn.functional.unfold(x, 2), (3, 1, 2, 4, 4)),
    "interpolate": (lambda x: mt.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"), (3, 1, 2, 3, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_in_a_batch_run_once(name, monkeypatch):
    from minitensor import batching

    f, *sizes = LAYERS[name]
    rng = np.random.default_rng(0)
    xs = [mt.from_numpy(rng.standard_normal(size)) for size in sizes]
    slope = lambda *row: grad(lambda *a: f(*a).sin().sum(), argnums=tuple(range(len(xs))))(*row)[-1]  # noqa: E731
    want = [by_hand(f, *xs), by_hand(slope, *xs)]
    monkeypatch.setattr(batching, "one_by_one", None)
    np.testing.assert_allclose(vmap(f)(*xs).numpy(), want[0], 1e-11, 1e-13)
    np.testing.assert_allclose(vmap(slope)(*xs).numpy(), want[1], 1e-11, 1e-12)
    shared = xs[1:]  # the weights are shared
    have = vmap(lambda x: f(x, *[w[0] for w in shared]))(xs[0])
    np.testing.assert_allclose(have.numpy(), by_hand(lambda x: f(x, *[w[0] for w in shared]), xs[0]), 1e-11, 1e-13)


def test_random_numbers_in_a_batch():
    x = mt.ones(4, 300)
    drop = lambda x: mt.nn.functional.dropout(x, 0.5)  # noqa: E731
    for f in (drop, lambda x: x + mt.rand(300), lambda x: mt.bernoulli(x / 2), lambda x: mt.zeros_like(x).normal_()):
        with pytest.raises(GraphError, match="randomness error mode"):
            vmap(f)(x)
        same = vmap(f, randomness="same")(x)
        assert (same == same[0]).all()
        different = vmap(f, randomness="different")(x)
        assert different.shape == (4, 300)
        assert all((different[i] != different[j]).any() for i in range(4) for j in range(i))
    assert vmap(lambda x: mt.nn.functional.dropout(x, 0.5, False))(x).tolist() == x.tolist()
    assert vmap(lambda x: mt.randperm(5), randomness="same", out_dims=None)(x).shape == (5,)
    nested = vmap(vmap(drop, randomness="same"), randomness="different")(mt.ones(3, 2, 300))
    assert (nested[:, 0] == nested[:, 1]).all()
    assert (nested[0] != nested[1]).any()
    slope = vmap(grad(lambda x: drop(x * x).sum()), randomness="different")(x)
    assert sorted(set(slope.flatten().tolist())) == [0, 4]
    with pytest.raises(GraphError, match="normal_ cannot write"):
        vmap(lambda x: mt.zeros(300).normal_(), randomness="different")(x)


@pytest.mark.parametrize("f", [grad(lambda x: (x * x).sum()), vmap(lambda x: x.sin()), jacrev(lambda x: x[:2] * x[:2])])
def test_nothing_is_left_of_a_transform(f):
    x = mt.rand(64, 64)[:, 0].contiguous() + 1
    gc.collect()
    gc.disable()
    try:
        f(x)
        before = mt.cpu.memory_stats()["in_use"]
        f(x)
        assert mt.cpu.memory_stats()["in_use"] == before
    finally:
        gc.enable()


def test_forward_mode_without_a_rule_leaves_no_graph_behind():
    q = t(0.5, -1.0, 2.0, 0.25).reshape(1, 2, 2)
    attention = mt.nn.functional.scaled_dot_product_attention
    _, moved = jvp(lambda x: attention(x, x, x), (q,), (mt.ones_like(q),))
    assert not moved.requires_grad
    again = grad(lambda x: jvp(lambda y: attention(y, y, y), (x,), (mt.ones_like(x),))[1].sum())(q)
    assert not again.requires_grad


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda x: grad(mt.sum, argnums=())(x), "argnums"),
        (lambda x: grad(mt.sum, argnums="a")(x), "argnums"),
        (lambda x: grad(mt.sum, argnums=1)(x), "1 arguments"),
        (lambda x: grad(lambda x: x.sum(), has_aux=True)(x), "has_aux"),
        (lambda x: grad(lambda x: 3.0)(x), "not float"),
        (lambda x: grad(lambda x: x)(2.0), "not float"),
        (lambda x: jvp(mt.sin, x, x), "tuples"),
        (lambda x: jvp(lambda: x, (), ()), "no primals"),
        (lambda x: linearize(mt.mul, x, x)[1](x), "1 tangents for 2 primals"),
        (lambda x: vmap(lambda a: 3)(x), "must return tensors"),
        (lambda x: vmap(lambda a: a, in_dims=3)(x), "in_dims 3"),
        (lambda x: vmap(lambda a: a, in_dims=(0, 0))(x), "in_dims"),
        (lambda x: vmap(lambda a: a, randomness="some")(x), "randomness"),
        (lambda x: stack_module_state([]), "no models"),
    ],
)
def test_misuse_raises_what_pytorch_and_what_python_would(call, match):
    with pytest.raises(RuntimeError, match=match) as caught:
        call(t(1.0, 2.0))
    assert isinstance(caught.value, (TypeError, ValueError))


def test_inputs_by_name_are_shared_and_results_must_be_tensors():
    x = mt.arange(3.0)
    assert vmap(lambda x, k: x * k)(x, k=x).tolist() == [[0, 0, 0], [0, 1, 2], [0, 2, 4]]
    with pytest.raises(ValueError, match="no input has a batch axis"):
        vmap(lambda k: k)(k=x)
    with pytest.raises(ValueError, match="must return tensors, not NoneType"):
        vmap(lambda x: None)(x)
    doubled, word = vmap(lambda x: (x * 2, "as it is"), out_dims=(0, None))(x)
    assert (doubled.tolist(), word) == ([0, 2, 4], "as it is")


def test_dropout_in_a_batch():
    x = mt.ones(5, 40)
    for layer in (mt.nn.Dropout(0.5), mt.nn.AlphaDropout(0.5)):
        same = vmap(layer, randomness="same")(x)
        assert len(set(map(tuple, same.tolist()))) == 1
        assert len(set(map(tuple, vmap(layer, randomness="different")(x).tolist()))) == 5
        assert vmap(layer.eval())(x).tolist() == x.tolist()
    mt.manual_seed(1)
    one_by_one = mt.stack([mt.nn.functional.dropout(row) for row in x])
    mt.manual_seed(1)
    assert vmap(mt.nn.functional.dropout, randomness="different")(x).tolist() == one_by_one.tolist()
    assert len(set(vmap(lambda x: x + mt.rand(()), randomness="different")(mt.zeros(4)).tolist())) == 4
    assert vmap(mt.nn.Dropout2d(0.5), randomness="different")(mt.ones(2, 1, 3, 4, 4)).shape == (2, 1, 3, 4, 4)


def test_running_statistics_in_a_batch():
    layer, x = mt.nn.BatchNorm1d(3), mt.randn(4, 5, 3)
    before = layer.running_mean.tolist()
    with pytest.raises(RuntimeError, match="running statistics without the batch"):
        vmap(layer)(x)
    assert layer.running_mean.tolist() == before
    layers = [mt.nn.BatchNorm1d(3) for _ in range(4)]
    params, buffers = stack_module_state(layers)
    out = vmap(lambda p, b, x: functional_call(layers[0], (p, b), (x,)))(params, buffers, x)
    for one, rows, y, mean in zip(layers, x, out, buffers["running_mean"], strict=True):
        assert mt.allclose(one(rows), y, atol=1e-6)
        assert mt.allclose(one.running_mean, mean)
