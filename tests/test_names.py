"""Names that programs bring along: functions in place, named results, real numbers, unravel_index, old initializers."""

import pickle
import warnings

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import DtypeError, ShapeError

F = mt.nn.functional
IN_PLACE = sorted(name for name in mt.__all__ if name.endswith("_") and not name.startswith("_"))


def test_there_are_functions_in_place():
    assert len(IN_PLACE) > 70
    assert {"relu_", "dropout_", "celu_", "zero_", "detach_"} <= set(IN_PLACE)


@pytest.mark.parametrize("name", [n for n in IN_PLACE if hasattr(mt, n[:-1]) and "dropout" not in n and n != "rrelu_"])
def test_a_function_in_place_writes_what_the_function_gives(name):
    more = {
        "addmv_": (mt.ones(3, 2), mt.ones(2)),
        "as_strided_": ((2,), (1,)),
        "clamp_": (0.2, 0.4),
        "clip_": (0.2, 0.4),
        "clamp_max_": (0.3,),
        "clamp_min_": (0.3,),
        "fill_": (2.0,),
        "gcd_": (mt.tensor([4, 6, 9]),),
        "lcm_": (mt.tensor([4, 6, 9]),),
        "index_put_": ((mt.tensor([0]),), mt.tensor(5.0)),
        "ldexp_": (mt.tensor([1, 2, 3]),),
        "threshold_": (0.4, 7.0),
        "xlogy_": (mt.tensor([2.0, 3.0, 4.0]),),
    }.get(name, ())
    x = mt.tensor([8, 9, 3]) if name in ("gcd_", "lcm_") else mt.tensor([0.25, 0.5, 0.75])
    if name in ("acosh_", "arccosh_"):
        x = x + 1
    want = getattr(mt, name[:-1])(x.clone(), *more)
    written = getattr(mt, name)(x, *more)
    assert written is x
    assert mt.equal(x, want)


def test_functions_in_place_are_in_the_graph_and_refuse_what_they_must():
    leaf = mt.tensor([-1.0, 4.0], requires_grad=True)
    x = leaf * 1
    mt.relu_(mt.square_(x) - 0)
    mt.sqrt_(x)
    x.sum().backward()
    assert leaf.grad.tolist() == [-1.0, 1.0]  # of |x|
    with pytest.raises(RuntimeError, match="leaf"):
        mt.exp_(leaf)
    with pytest.raises(TypeError, match="relu_: expected a tensor"):
        mt.relu_(3.0)
    _ = mt.manual_seed(0)
    assert sorted(set(mt.dropout_(mt.ones(64), 0.5, True).tolist())) == [0.0, 2.0]


def test_named_results_print_a_field_to_a_line():
    found = mt.tensor([[1.0, 3.0]]).max(1)
    assert repr(found) == "minitensor.return_types.max(\nvalues=tensor([3.]),\nindices=tensor([1]))"
    values, indices = found
    assert found.values is values
    assert found[1] is indices
    assert pickle.loads(pickle.dumps(found)).indices.tolist() == [1]
    assert type(mt.linalg.svd(mt.eye(2))).__name__ == "linalg_svd"
    assert type(mt.svd(mt.eye(2))).__name__ == "svd"
    assert type(mt.slogdet(mt.eye(2))).__name__ == "slogdet"


def test_a_real_tensor_is_its_own_conjugate():
    x = mt.tensor([1.0, -2.0], requires_grad=True)
    for same in (x.real, x.conj(), x.resolve_conj(), x.resolve_neg(), mt.real(x), mt.conj(x), mt.resolve_conj(x)):
        assert same is x
    assert not any([x.is_conj(), x.is_neg(), mt.is_conj(x), mt.is_neg(x)])
    with pytest.raises(DtypeError, match="conj: expected a tensor"):
        mt.conj(1.0)


def test_what_a_tensor_is():
    x = mt.zeros(2, 3)
    assert x.is_signed()
    assert not mt.is_signed(x.bool())
    assert not mt.is_signed(x.byte())
    assert mt.tensor([3]).is_nonzero()
    with pytest.raises(RuntimeError, match="ambiguous"):
        x.is_nonzero()
    assert x.layout is mt.strided
    assert repr(x.layout) == "minitensor.strided"
    assert pickle.loads(pickle.dumps(mt.channels_last)) is mt.channels_last
    assert isinstance(mt.channels_last, mt.memory_format)
    assert x.get_device() == -1
    assert x.is_same_size(mt.ones(2, 3))
    assert not mt.is_same_size(x, mt.ones(3, 2))
    assert x.is_set_to(x.view(2, 3))
    assert not x.is_set_to(x.clone())
    assert x.new_empty_strided((2, 3), (1, 2)).stride() == (1, 2)
    assert x.double().new_empty_strided((2,), (1,)).dtype == mt.float64
    with mt.inference_mode():
        y = mt.ones(1) * 2
    assert y.is_inference()
    assert mt.is_inference(y)
    assert not x.is_inference()


def test_typename_detach_fill():
    assert mt.typename(mt.tensor([1])) == "minitensor.LongTensor"
    assert mt.typename(3) == "int"
    assert mt.typename(mt.nn.Linear) == "minitensor.nn.linear.Linear"
    x = mt.ones(2, requires_grad=True)
    assert not mt.detach(x).requires_grad
    filled = mt.fill(x, 3)
    filled.sum().backward()
    assert filled.tolist() == [3.0, 3.0]
    assert x.grad.tolist() == [0.0, 0.0]


def test_unravel_index_is_numpys():
    at = mt.tensor([[0, 5], [11, 23]])
    for found, want in zip(mt.unravel_index(at, (2, 3, 4)), np.unravel_index(at.numpy(), (2, 3, 4)), strict=True):
        assert found.tolist() == want.tolist()
    assert [x.tolist() for x in mt.unravel_index(mt.tensor([-1, 13]), (3, 4))] == [[2, 0], [3, 1]]
    assert [x.item() for x in mt.unravel_index(mt.tensor(7), 5)] == [2]
    assert mt.unravel_index(mt.tensor(7), ()) == ()
    assert [x.tolist() for x in mt.unravel_index(mt.zeros(0, dtype=mt.int64), (3, 0))] == [[], []]


@pytest.mark.parametrize(
    ("indices", "shape", "error", "match"),
    [
        (mt.tensor(1.0), (3,), TypeError, "integer indices"),
        (mt.tensor(1), (3, -4), ValueError, "negative"),
        (mt.tensor(1), (3, 4.0), TypeError, "sequence of ints"),
        (mt.tensor([1]), (3, 0), ValueError, "no elements"),
        (7, (3,), TypeError, "expected a tensor"),
    ],
)
def test_unravel_index_refuses(indices, shape, error, match):
    with pytest.raises(error, match=match):
        mt.unravel_index(indices, shape)


@pytest.mark.parametrize(
    "name",
    "uniform normal xavier_uniform xavier_normal kaiming_uniform kaiming_normal orthogonal eye".split(),
)
def test_old_initializers_warn_and_write(name):
    x, y = mt.empty(3, 3), mt.empty(3, 3)
    _ = mt.manual_seed(1)
    with pytest.warns(FutureWarning, match=rf"nn\.init\.{name}_"):
        assert getattr(mt.nn.init, name)(x) is x
    _ = mt.manual_seed(1)
    assert mt.equal(x, getattr(mt.nn.init, name + "_")(y))


def test_old_initializers_with_arguments():
    with pytest.warns(FutureWarning, match="constant_"):
        assert mt.nn.init.constant(mt.empty(2), 3.0).tolist() == [3.0, 3.0]
    with pytest.warns(FutureWarning, match="sparse_"):
        assert (mt.nn.init.sparse(mt.empty(4, 3), sparsity=0.5) == 0).sum().item() == 6
    with pytest.warns(FutureWarning, match="dirac_"):
        assert mt.nn.init.dirac(mt.empty(1, 1, 3)).tolist() == [[[0.0, 1.0, 0.0]]]


def test_nll_loss_2d_is_nll_loss():
    x, target = mt.randn(2, 3, 4, 5).log_softmax(1), mt.randint(3, (2, 4, 5))
    with pytest.warns(FutureWarning, match="NLLLoss2d"):
        old = mt.nn.NLLLoss2d()
    assert mt.equal(old(x, target), mt.nn.NLLLoss()(x, target))


def test_data_parallel_is_its_module():
    layer = mt.nn.Linear(2, 3)
    both = mt.nn.DataParallel(layer, device_ids=[0])
    x = mt.randn(4, 2)
    assert mt.equal(both(x), layer(x))
    assert both.module is layer
    mt.nn.DataParallel(mt.nn.Linear(2, 3)).load_state_dict(both.state_dict())


# --- fractional pooling -----------------------------------------------------------------------------------------------


def plain_fractional(x, u, kernel, out):
    """One plane or volume, by the paper's sequence; u for each axis in order."""
    starts = []
    for n, k, count, r in zip(x.shape, kernel, out, u, strict=True):
        a = (n - k) / max(count - 1, 1)
        starts.append([int((i + r) * a) - int(r * a) for i in range(count - 1)] + [n - k])
    y, at = np.empty(out), np.empty(out, np.int64)
    for place in np.ndindex(*out):
        corner = [s[i] for s, i in zip(starts, place, strict=True)]
        window = x[tuple([slice(c, c + k) for c, k in zip(corner, kernel, strict=True)])]
        best = np.unravel_index(window.argmax(), window.shape)
        at[place] = np.ravel_multi_index([c + b for c, b in zip(corner, best, strict=True)], x.shape)
        y[place] = window.max()
    return y, at


@pytest.mark.parametrize(
    ("size", "kernel", "out"),
    [((7, 9), (2, 3), (4, 5)), ((5, 5), (2, 2), (1, 4)), ((3, 3), (3, 3), (1, 1)), ((6, 7, 8), (2, 3, 2), (3, 2, 5))],
)
def test_fractional_pooling_against_a_plain_definition(size, kernel, out):
    rng = np.random.default_rng(1)
    x, u = rng.permutation(6 * np.prod(size)).reshape(2, 3, *size).astype(float), rng.random((2, 3, len(size)))
    pool = F.fractional_max_pool2d if len(size) == 2 else F.fractional_max_pool3d
    leaf = mt.tensor(x, requires_grad=True)
    y, at = pool(leaf, kernel, out, return_indices=True, _random_samples=mt.tensor(u))
    y.sum().backward()
    for i in np.ndindex(2, 3):
        r = u[i][::-1] if len(size) == 2 else u[i]
        want, places = plain_fractional(x[i], r, kernel, out)
        assert y[i].tolist() == want.tolist()
        assert at[i].tolist() == places.tolist()
        assert leaf.grad[i].flatten().tolist() == np.bincount(places.ravel(), minlength=x[i].size).tolist()
    single = pool(mt.tensor(x[0]), kernel, out, _random_samples=mt.tensor(u[:1]))
    assert mt.equal(single, y[0].detach())


def test_fractional_pooling_draws_from_the_default_generator():
    x = mt.randn(2, 3, 8, 8)
    _ = mt.manual_seed(5)
    y = F.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.7))
    _ = mt.manual_seed(5)
    u = mt.rand(2, 3, 2)
    assert mt.equal(y, F.fractional_max_pool2d(x, 2, (4, 5), _random_samples=u))
    assert mt.equal(y, mt.nn.FractionalMaxPool2d(2, output_ratio=(0.5, 0.7), _random_samples=u)(x))
    assert not mt.equal(y, F.fractional_max_pool2d(x, 2, (4, 5)))


def test_fractional_pooling_of_nan_and_of_an_empty_batch():
    x = mt.tensor([[[1.0, float("nan"), 3.0, 4.0]]]).expand(1, 4, 4)
    assert mt.isnan(F.fractional_max_pool2d(x, 2, 2)).any()
    assert F.fractional_max_pool2d(mt.zeros(0, 2, 4, 4), 2, 2).shape == (0, 2, 2, 2)


def test_fractional_pooling_refuses():
    x = mt.zeros(1, 1, 4, 4)
    for arguments, match in (
        ({"kernel_size": 2}, "output_size or output_ratio"),
        ({"kernel_size": 3, "output_size": 3}, "3 windows of 3 need 5"),
        ({"kernel_size": 2, "output_size": (2, 2, 2)}, "one integer or two"),
        ({"kernel_size": 2, "output_size": 2, "_random_samples": mt.zeros(1, 2, 2)}, r"must be \(1, 1, 2\)"),
    ):
        with pytest.raises(ValueError, match=match):
            F.fractional_max_pool2d(x, **arguments)
    with pytest.raises(TypeError, match="floating"):
        F.fractional_max_pool2d(x.long(), 2, 2)
    with pytest.raises(TypeError, match="of the input's dtype"):
        F.fractional_max_pool2d(x, 2, 2, _random_samples=mt.zeros(1, 1, 2, dtype=mt.float64))
    for arguments in ({}, {"output_size": 2, "output_ratio": 0.5}, {"output_ratio": 1.5}, {"output_ratio": (0.5,)}):
        with pytest.raises(ShapeError, match="output_ratio"):
            mt.nn.FractionalMaxPool2d(2, **arguments)


# --- the adaptive softmax ---------------------------------------------------------------------------------------------


def adaptive(bias=False):
    _ = mt.manual_seed(0)
    return mt.nn.AdaptiveLogSoftmaxWithLoss(6, 12, [3, 7], div_value=2.0, head_bias=bias, dtype=mt.float64)


@pytest.mark.parametrize("bias", [False, True])
def test_adaptive_softmax_is_a_distribution_and_the_loss_reads_it(bias):
    m = adaptive(bias)
    x, target = mt.randn(24, 6, dtype=mt.float64, requires_grad=True), mt.arange(24) % 12
    whole = m.log_prob(x)
    assert np.allclose(whole.exp().sum(1).detach().numpy(), 1, rtol=1e-12)
    head = m.head(x).log_softmax(1)
    rare = head[:, 4:5] + m.tail[1](x).log_softmax(1)
    assert np.allclose(whole[:, 7:].detach().numpy(), rare.detach().numpy(), rtol=1e-12)
    output, loss = m(x, target)
    chosen = whole.gather(1, target.unsqueeze(1)).squeeze(1)
    assert np.allclose(output.detach().numpy(), chosen.detach().numpy(), rtol=1e-12)
    assert np.isclose(loss.item(), -chosen.mean().item(), rtol=1e-12)
    (direct,) = mt.autograd.grad(loss, x, retain_graph=True)
    (through,) = mt.autograd.grad(-chosen.mean(), x)
    assert np.allclose(direct.numpy(), through.numpy(), atol=1e-14)


def test_adaptive_softmax_of_one_example_of_none_and_without_the_clusters():
    m = adaptive()
    x = mt.randn(6, dtype=mt.float64)
    one, loss = m(x, mt.tensor(9))
    assert one.shape == loss.shape == ()
    assert np.isclose(one.item(), m.log_prob(x.unsqueeze(0))[0, 9].item(), rtol=1e-12)
    assert m(mt.zeros(0, 6, dtype=mt.float64), mt.zeros(0, dtype=mt.int64)).output.shape == (0,)
    m(mt.ones(2, 6, dtype=mt.float64), mt.tensor([0, 2])).loss.backward()
    assert m.tail[0][0].weight.grad is None


def test_adaptive_softmax_predicts_the_likeliest_where_the_head_does():
    m = adaptive()
    x = mt.randn(50, 6, dtype=mt.float64) * 5
    first = m.head(x).argmax(1)
    want = mt.where(first < 3, first, m.log_prob(x).argmax(1))
    assert mt.equal(m.predict(x), want)
    assert (first >= 3).any()


def test_adaptive_softmax_refuses():
    for cutoffs in ([], [5, 3], [12], [3, 3], [0, 4]):
        with pytest.raises(ValueError, match="must ascend"):
            mt.nn.AdaptiveLogSoftmaxWithLoss(6, 12, cutoffs)
    m, x = adaptive(), mt.zeros(3, 6, dtype=mt.float64)
    with pytest.raises(IndexError, match="targets from 1 to 12"):
        m(x, mt.tensor([1, 2, 12]))
    for target in (mt.tensor([1, 2]), mt.tensor(1), mt.tensor([[1], [2], [3]])):
        with pytest.raises(ValueError, match="are not"):
            m(x, target)
    with pytest.raises(TypeError, match="class indices"):
        m(x, mt.zeros(3))


def test_the_new_layers_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adaptive()
        mt.nn.FractionalMaxPool3d(2, output_size=2)(mt.zeros(1, 4, 4, 4))
