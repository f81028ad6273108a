"""The optimizers beside SGD and Adam: each against its paper's formulas, written again in NumPy; hooks; derivatives."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn, optim
from minitensor.errors import GraphError, ShapeError

START = np.array([1.0, -2.0, 0.5, 3.0])


def gradient(p, t):
    return np.cos(p * t) + p / 4


def adamax(lr=0.1, b1=0.9, b2=0.8, eps=1e-3, decay=0.0):
    m = u = 0.0
    for t in range(1, 99):
        p, g = yield
        g = g + decay * p
        m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, np.abs(g) + eps)
        yield p - lr / (1 - b1**t) * m / u


def nadam(lr=0.1, b1=0.9, b2=0.8, eps=1e-3, decay=0.0, psi=0.1, decoupled=False):
    m = v = 0.0
    product = 1.0
    for t in range(1, 99):
        p, g = yield
        p, g = (p - lr * decay * p, g) if decoupled else (p, g + decay * p)
        now, after = b1 * (1 - 0.96 ** (t * psi) / 2), b1 * (1 - 0.96 ** ((t + 1) * psi) / 2)
        product = float(np.float32(product) * np.float32(now))  # which is kept in float32
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        mean = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
        yield p - lr * mean / (np.sqrt(v / (1 - b2**t)) + eps)


def radam(lr=0.1, b1=0.9, b2=0.8, eps=1e-3, decay=0.0, decoupled=False):
    m = v = 0.0
    for t in range(1, 99):
        p, g = yield
        p, g = (p - lr * decay * p, g) if decoupled else (p, g + decay * p)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        most = 2 / (1 - b2) - 1
        rho = most - 2 * t * b2**t / (1 - b2**t)
        step = m / (1 - b1**t)
        if rho > 5:
            r = ((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)) ** 0.5
            step = step * r * (1 - b2**t) ** 0.5 / (np.sqrt(v) + eps)
        yield p - lr * step


def rmsprop(lr=0.1, alpha=0.9, eps=1e-3, decay=0.0, momentum=0.0, centered=False):
    v = a = b = 0.0
    while True:
        p, g = yield
        g = g + decay * p
        v, a = alpha * v + (1 - alpha) * g**2, alpha * a + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - a**2 if centered else v) + eps)
        yield p - lr * b


def adagrad(lr=0.1, lr_decay=0.0, decay=0.0, start=0.0, eps=1e-3):
    total = start
    for t in range(1, 99):
        p, g = yield
        g = g + decay * p
        total = total + g**2
        yield p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps)


def adadelta(lr=0.1, rho=0.9, eps=1e-3, decay=0.0):
    v = u = 0.0
    while True:
        p, g = yield
        g = g + decay * p
        v = rho * v + (1 - rho) * g**2
        d = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d**2
        yield p - lr * d


def asgd(lr=0.1, lambd=0.01, alpha=0.75, decay=0.0):
    eta = float(np.float32(lr))
    for t in range(1, 99):
        p, g = yield
        g = g + decay * p
        p = p - lambd * eta * p - eta * g
        eta = float(np.float32(lr / (1 + lambd * lr * t) ** alpha))
        yield p


def rprop(lr=0.1, less=0.5, more=1.2, low=1e-6, high=50):
    step, before = np.full(4, lr), np.zeros(4)
    while True:
        p, g = yield
        same, turned = g * before > 0, g * before < 0
        step = np.clip(step * np.where(same, more, np.where(turned, less, 1)), low, high)
        before = np.where(turned, 0, g)
        yield p - np.sign(before) * step


def adafactor(lr=0.1, decay=0.0):
    r = c = 0.0
    tiny, rms = np.finfo(np.float64).eps, lambda x: np.sqrt((x**2).mean())
    for t in range(1, 99):
        p, g = yield
        p, g = p.reshape(2, 2), g.reshape(2, 2)
        b = t**-0.8
        alpha = max(1e-3, rms(p)) * min(lr, t**-0.5)
        p = p - lr * decay * p
        r, c = r + b * ((g**2).mean(1, keepdims=True) - r), c + b * ((g**2).mean(0, keepdims=True) - c)
        u = g / np.sqrt(np.maximum(r @ c / max(r.mean(), tiny), tiny**2))
        yield (p - alpha * u / max(1, rms(u))).reshape(-1)


SAME = dict(lr=0.1, eps=1e-3)
PAPERS = {
    "adamax": (adamax(), lambda p: optim.Adamax(p, betas=(0.9, 0.8), **SAME)),
    "adamax decay": (adamax(decay=0.3), lambda p: optim.Adamax(p, betas=(0.9, 0.8), weight_decay=0.3, **SAME)),
    "nadam": (nadam(), lambda p: optim.NAdam(p, betas=(0.9, 0.8), momentum_decay=0.1, **SAME)),
    "nadam decoupled": (
        nadam(decay=0.3, decoupled=True),
        lambda p: optim.NAdam(
            p, betas=(0.9, 0.8), momentum_decay=0.1, weight_decay=0.3, decoupled_weight_decay=True, **SAME
        ),
    ),
    "radam": (radam(), lambda p: optim.RAdam(p, betas=(0.9, 0.8), **SAME)),
    "radam decoupled": (
        radam(decay=0.3, decoupled=True),
        lambda p: optim.RAdam(p, betas=(0.9, 0.8), weight_decay=0.3, decoupled_weight_decay=True, **SAME),
    ),
    "rmsprop": (rmsprop(decay=0.3), lambda p: optim.RMSprop(p, alpha=0.9, weight_decay=0.3, **SAME)),
    "rmsprop centered": (
        rmsprop(momentum=0.8, centered=True),
        lambda p: optim.RMSprop(p, alpha=0.9, momentum=0.8, centered=True, **SAME),
    ),
    "adagrad": (
        adagrad(lr_decay=0.2, decay=0.3, start=0.5),
        lambda p: optim.Adagrad(p, lr_decay=0.2, weight_decay=0.3, initial_accumulator_value=0.5, **SAME),
    ),
    "adadelta": (adadelta(decay=0.3), lambda p: optim.Adadelta(p, rho=0.9, weight_decay=0.3, **SAME)),
    "asgd": (asgd(decay=0.3), lambda p: optim.ASGD(p, lr=0.1, lambd=0.01, weight_decay=0.3)),
    "rprop": (rprop(), lambda p: optim.Rprop(p, lr=0.1)),
    "adafactor": (adafactor(decay=0.3), lambda p: optim.Adafactor(p, lr=0.1, weight_decay=0.3)),
}
MAKERS = {name: make for name, (_, make) in PAPERS.items()}
MAKERS["sgd"] = lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1)
MAKERS["adam"] = lambda p: optim.Adam(p, lr=0.1, amsgrad=True)
every = pytest.mark.parametrize("name", MAKERS)


def parameter(name, array=START):
    return nn.Parameter(mt.tensor(array.reshape(2, 2) if name == "adafactor" else array))


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_formulas(name):
    paper, make = PAPERS[name]
    p, w = START, parameter(name)
    optimizer = make([w])
    for t in range(1, 11):
        g = gradient(p, t)
        next(paper)
        p = paper.send((p, g))
        w.grad = mt.tensor(gradient(w.detach().numpy(), t))
        optimizer.step()
        np.testing.assert_allclose(w.detach().numpy().reshape(-1), p, rtol=1e-11, atol=1e-12)


@every
def test_maximize_is_the_step_of_the_negative_gradient(name):
    a, b = parameter(name), parameter(name)
    up, down = MAKERS[name]([a]), MAKERS[name]([b])
    up.param_groups[0]["maximize"] = True
    for t in range(1, 4):
        g = gradient(a.detach().numpy(), t)
        a.grad, b.grad = mt.tensor(g), mt.tensor(-g)
        up.step()
        down.step()
    assert a.tolist() == b.tolist()


@every
def test_resuming_and_pickling_go_on_with_the_same_numbers(name):
    def run(optimizer, w, steps):
        for t in steps:
            w.grad = mt.tensor(gradient(w.detach().numpy(), t))
            optimizer.step()

    w, v = parameter(name), parameter(name)
    run(MAKERS[name]([w]), w, range(1, 7))
    first = MAKERS[name]([v])
    run(first, v, range(1, 4))
    u = nn.Parameter(v.detach().clone())
    second = MAKERS[name]([u])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    third = pickle.loads(pickle.dumps(first))
    for optimizer in (second, third):
        (p,) = optimizer.param_groups[0]["params"]
        run(optimizer, p, range(4, 7))
        assert p.tolist() == w.tolist()


@pytest.mark.parametrize("name", [n for n in MAKERS if n != "adafactor"])
def test_a_step_can_be_differentiated(name):
    """By the gradient and by the parameter, against finite differences, two steps deep."""
    options = MAKERS[name]([parameter(name)]).defaults
    kind = type(MAKERS[name]([parameter(name)]))

    def after(p0, g0):
        p = p0.clone()
        optimizer = kind([p], **{**options, "differentiable": True})
        for scale in (1.0, 0.5):
            p.grad = g0 * scale + p0
            optimizer.step()
        return p * 1

    g = mt.tensor([0.3, -0.7, 1.1, 0.2], dtype=mt.float64, requires_grad=True)
    assert mt.autograd.gradcheck(after, (mt.tensor(START, requires_grad=True), g))
    plain, taken = nn.Parameter(mt.tensor(START)), MAKERS[name]
    optimizer = taken([plain])
    for scale in (1.0, 0.5):
        plain.grad = (g * scale).detach() + mt.tensor(START)
        optimizer.step()
    np.testing.assert_allclose(after(mt.tensor(START), g).detach(), plain.detach(), rtol=1e-13)


def test_a_differentiable_step_refuses_leaves_and_follows_the_learning_rate():
    w = nn.Parameter(mt.ones(2))
    w.grad = mt.ones(2)
    with pytest.raises(GraphError, match="a leaf that requires gradients"):
        optim.SGD([w], differentiable=True).step()
    lr = mt.tensor(0.1, requires_grad=True)
    p = w.clone()
    p.grad = mt.tensor([2.0, 3.0])
    optim.SGD([p], lr=lr, differentiable=True).step()
    p.sum().backward()
    assert lr.grad.item() == -5.0


# --- L-BFGS ---------------------------------------------------------------------------------------


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def closure_of(optimizer, loss, w):
    def closure():
        optimizer.zero_grad()
        value = loss(w)
        value.backward()
        return value

    return closure


def test_lbfgs_finds_the_bottom_of_the_valley():
    w = nn.Parameter(mt.tensor([-1.2, 1.0], dtype=mt.float64))
    optimizer = optim.LBFGS([w], max_iter=100, tolerance_change=1e-14, line_search_fn="strong_wolfe")
    first = optimizer.step(closure_of(optimizer, rosenbrock, w))
    assert first.item() == pytest.approx(24.2)
    np.testing.assert_allclose(w.detach(), [1, 1], atol=1e-6)
    assert optimizer.state[w]["func_evals"] < 60


def test_lbfgs_first_iterations_by_hand():
    """On a quadratic: a scaled gradient step, then -H g with one pair."""
    a, x = np.array([1.0, 4.0]), np.array([1.0, 1.0])
    w = nn.Parameter(mt.tensor(x))
    optimizer = optim.LBFGS([w], lr=0.5, max_iter=2, max_eval=9)
    optimizer.step(closure_of(optimizer, lambda w: (mt.tensor(a) * w * w).sum() / 2, w))
    g = a * x
    s = -0.5 * min(1, 1 / np.abs(g).sum()) * g
    y, g = a * s, a * (x + s)
    r, scale = 1 / (y @ s), (y @ s) / (y @ y)
    eye = np.eye(2)
    h = (eye - r * np.outer(s, y)) @ (scale * eye) @ (eye - r * np.outer(y, s)) + r * np.outer(s, s)
    np.testing.assert_allclose(w.detach(), x + s - 0.5 * h @ g, rtol=1e-12)


def test_lbfgs_goes_on_from_a_state():
    def start():
        w = nn.Parameter(mt.tensor([-1.2, 1.0], dtype=mt.float64))
        return w, optim.LBFGS([w], max_iter=3, history_size=2, line_search_fn="strong_wolfe")

    w, whole = start()
    for _ in range(4):
        whole.step(closure_of(whole, rosenbrock, w))
    v, first = start()
    for _ in range(2):
        first.step(closure_of(first, rosenbrock, v))
    u, second = start()
    u.data = v.detach().clone()
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        second.step(closure_of(second, rosenbrock, u))
    assert u.tolist() == w.tolist()


def test_lbfgs_refuses():
    w = nn.Parameter(mt.ones(2))
    with pytest.raises(TypeError, match="step needs a closure"):
        optim.LBFGS([w]).step()
    with pytest.raises(ShapeError, match="one group of parameters only"):
        optim.LBFGS([{"params": [w]}, {"params": [nn.Parameter(mt.ones(1))]}])
    with pytest.raises(ShapeError, match="must be 'strong_wolfe' or None, not 'armijo'"):
        optim.LBFGS([w], line_search_fn="armijo")


# --- what all have in common ----------------------------------------------------------------------


def test_hooks():
    w = nn.Parameter(mt.ones(1))
    optimizer, seen = optim.SGD([w], lr=1.0), []

    def closure(value=1.0):
        w.grad = mt.full((1,), value)
        return value

    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((lambda: closure(2.0),), kwargs))
    after = optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(w.item()))
    assert optimizer.step(closure) == 2.0
    assert seen == [-1.0]
    before.remove()
    after.remove()
    assert optimizer.step(closure) == 1.0
    assert len(seen) == 1
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("save"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(state["note"]))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen[1:] == ["save", 1, "loaded"]
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(TypeError, match=r"returns None or \(args, kwargs\)"):
        optimizer.step()


def test_named_parameters():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"] == [model.weight, model.bias]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ShapeError, match="either the parameters of all groups have names or of none"):
        optimizer.add_param_group({"params": [nn.Parameter(mt.ones(1))]})
    with pytest.raises(ShapeError, match="either all parameters of a group have names or none"):
        optim.SGD([("weight", model.weight), model.bias])


def test_scalars_empty_parameters_and_float32():
    for make in MAKERS.values():
        for x in (mt.tensor(1.0), mt.zeros(0), mt.ones(2, 3), mt.ones(3).half()):
            w = nn.Parameter(x)
            optimizer = make([w])
            for _ in range(2):
                w.grad = mt.ones_like(x)
                optimizer.step()
            assert w.dtype is x.dtype
            assert w.shape == x.shape
            assert bool(mt.isfinite(w.float()).all())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda w: optim.Adamax([w], betas=(0.9, 1.0)), r"Adamax: betas\[1\] must lie in \[0, 1\)"),
        (lambda w: optim.NAdam([w], momentum_decay=-1), "NAdam: momentum_decay must not be negative"),
        (lambda w: optim.RAdam([w], eps=-1), "RAdam: eps must not be negative"),
        (lambda w: optim.RMSprop([w], alpha=-1), "RMSprop: alpha must not be negative"),
        (lambda w: optim.Adagrad([w], lr_decay=-1), "Adagrad: lr_decay must not be negative"),
        (lambda w: optim.Adadelta([w], rho=1.5), r"Adadelta: rho must lie in \[0, 1\], but is 1.5"),
        (lambda w: optim.ASGD([w], lr=-1), "ASGD: lr must not be negative"),
        (lambda w: optim.Rprop([w], etas=(0.5, 0.9)), r"Rprop: etas must be 0 < etas\[0\] < 1 < etas\[1\]"),
        (lambda w: optim.Adafactor([w], d=0.5), "Adafactor: d must be at least 1"),
        (lambda w: optim.Adafactor([w], beta2_decay=1), "Adafactor: beta2_decay must not be positive"),
        (lambda w: optim.Adafactor([w], eps=(-1, 0)), "Adafactor: eps must not be negative"),
        (lambda w: optim.SGD([w], lr=mt.ones(2)), r"SGD: lr must have one element, not the shape \(2,\)"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ShapeError, match=message):
        make(nn.Parameter(mt.ones(2)))


WAYS = {
    "RMSprop": [{}, {"momentum": 0.9, "centered": True, "weight_decay": 0.1}, {"maximize": True}],
    "Adagrad": [{}, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}],
    "Adadelta": [{}, {"weight_decay": 0.1, "rho": 0.5}],
    "Adamax": [{}, {"weight_decay": 0.1, "betas": (0.5, 0.9)}],
    "NAdam": [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True}],
    "RAdam": [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True}],
    "Rprop": [{}, {"etas": (0.3, 1.5), "step_sizes": (0.02, 0.1)}],
    "ASGD": [{}, {"weight_decay": 0.1, "t0": 1, "lambd": 0.01}],
}


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
@pytest.mark.parametrize(("name", "options"), [(name, o) for name, some in WAYS.items() for o in some])
def test_kernels_against_the_formulas(name, options, dtype):
    """Of several parameters in one call, some of them larger than what a thread takes at a time."""
    rng = np.random.default_rng(0)
    shapes = [(3,), (33, 1030), (), (0, 2), (17, 5)]
    start = [rng.standard_normal(shape) for shape in shapes]

    def run(rung):
        ps = [nn.Parameter(mt.tensor(a, dtype=dtype)) for a in start]
        optimizer = getattr(optim, name)(ps, **options)
        draws = np.random.default_rng(1)
        with mt.cpu.kernels(rung):
            for _ in range(7):
                for p in ps:
                    p.grad = mt.tensor(draws.standard_normal(tuple(p.shape)), dtype=dtype)
                optimizer.step()
        return [p.detach() for p in ps], [optimizer.state[p] for p in ps]

    (have, state), (want, expected) = run("fast"), run("reference")
    close = {"rtol": 300 * mt.finfo(dtype).eps, "atol": 100 * mt.finfo(dtype).eps}
    for a, b in zip(have, want, strict=True):
        mt.testing.assert_close(a, b, **close)
    for a, b in zip(state, expected, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            mt.testing.assert_close(a[key], b[key], **close)


def test_muon_steps_by_a_nearly_orthogonal_matrix():
    g = mt.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 0.5]])
    for shape, ratio in (((2, 3), 1.0), ((3, 2), 1.5**0.5)):
        w = mt.nn.Parameter(mt.ones(shape))
        optimizer = mt.optim.Muon([w], lr=0.1, weight_decay=0.5)
        w.grad = g.reshape(2, 3) if shape == (2, 3) else g.T.clone()
        optimizer.step()
        step = (0.95 - w.detach()) / (0.1 * ratio)  # after the decay
        step = step if shape == (2, 3) else step.T
        sizes = mt.tensor([step[0, 0], step[1, 2]])
        assert ((sizes > 0.6) & (sizes < 1.3)).all()  # both directions alike
        assert (step - mt.tensor([[sizes[0], 0, 0], [0, 0, sizes[1]]])).abs().max() < 1e-5
        mt.testing.assert_close(optimizer.state[w]["momentum_buffer"], w.grad * 0.05)


def test_muon_is_for_matrices():
    with pytest.raises(ValueError, match="only supports 2D"):
        mt.optim.Muon([mt.ones(3, requires_grad=True)])
    with pytest.raises(ValueError, match="adjust_lr_fn"):
        mt.optim.Muon([mt.ones(3, 3, requires_grad=True)], adjust_lr_fn="rms")
