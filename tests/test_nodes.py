"""The recorded graph from outside: names of nodes, what they save, hooks, edges; errors that name both source lines."""

from __future__ import annotations

import inspect

import pytest

import minitensor as mt
from minitensor import autograd
from minitensor.autograd import graph
from minitensor.errors import GraphError, ShapeError
from minitensor.nn import functional as F


def t(*values, grad=True):
    return mt.tensor(values, dtype=mt.float32, requires_grad=grad)


def here():
    return inspect.currentframe().f_back.f_lineno


# --- names ------------------------------------------------------------------------------------------------------------

M = mt.ones(3, 3, requires_grad=True)
V = mt.ones(3, requires_grad=True)
IMAGE = mt.ones(1, 1, 4, 4, requires_grad=True)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: M + M, "AddBackward0"),
        (lambda: mt.celu(M), "CeluBackward0"),
        (lambda: F.glu(M[:, :2]), "GluBackward0"),
        (lambda: F.prelu(M, mt.tensor([0.1])), "PreluKernelBackward0"),
        (lambda: M.scatter(0, mt.zeros(1, 1, dtype=mt.int64), 1.0), "ScatterBackward1"),
        (lambda: M.scatter(0, mt.zeros(1, 1, dtype=mt.int64), M), "ScatterBackward0"),
        (lambda: M.index_add(0, mt.tensor([0]), M[:1]), "IndexAddBackward0"),
        (lambda: M.masked_select(M > 0), "MaskedSelectBackward0"),
        (lambda: mt.cdist(M, M), "CdistBackward0"),
        (lambda: mt.einsum("ij,jk->ik", M, M), "ViewBackward0"),
        (lambda: M.amax(), "AmaxBackward0"),
        (lambda: F.conv1d(M[None], mt.ones(1, 3, 1)), "ConvolutionBackward0"),
        (lambda: F.adaptive_avg_pool2d(IMAGE, 2), "AdaptiveAvgPool2DBackward0"),
        (lambda: F.pad(IMAGE, (1, 1, 1, 1), mode="reflect"), "ReflectionPad2DBackward0"),
        (lambda: F.cross_entropy(IMAGE, mt.zeros(1, 4, 4, dtype=mt.int64)), "NllLoss2DBackward0"),
        (lambda: mt.nn.LSTM(3, 2)(M[None])[0], "MkldnnRnnLayerBackward0"),
        (lambda: mt.nn.LSTM(3, 2, batch_first=True)(M[None])[0], "TransposeBackward0"),
        (lambda: mt.nn.GRU(3, 2)(M[None])[0], "StackBackward0"),
        (lambda: mt.nn.RNN(3, 2, bidirectional=True)(M[None])[0], "CatBackward0"),
        (lambda: M.T.reshape(-1), "UnsafeViewBackward0"),
        (lambda: IMAGE.permute(2, 3, 0, 1).reshape(4, -1), "ViewBackward0"),
        (lambda: mt.lerp(M, M, 0.5), "LerpBackward0"),
        (lambda: mt.lerp(M, M, M), "LerpBackward1"),
        (lambda: mt.cummax(M, 0).values, "CummaxBackward0"),
        (lambda: mt.var_mean(M)[1], "VarMeanBackward0"),
        (lambda: M.clamp_min(0), "ClampMinBackward0"),
        (lambda: M * 2, "MulBackward0"),
        (lambda: M**2, "PowBackward0"),
        (lambda: M**M, "PowBackward1"),
        (lambda: 2**M, "PowBackward2"),
        (lambda: M @ M, "MmBackward0"),
        (lambda: M @ V, "MvBackward0"),
        (lambda: V @ V, "DotBackward0"),
        (lambda: mt.bmm(M[None], M[None]), "BmmBackward0"),
        (lambda: M.sum(), "SumBackward0"),
        (lambda: M.sum(0), "SumBackward1"),
        (lambda: M.mean(), "MeanBackward0"),
        (lambda: M.mean(0, keepdim=True), "MeanBackward1"),
        (lambda: M.max(), "MaxBackward1"),
        (lambda: M.max(0).values, "MaxBackward0"),
        (lambda: M.t(), "TBackward0"),
        (lambda: M[None].transpose(0, 2), "TransposeBackward0"),
        (lambda: M[None].permute(1, 2, 0), "PermuteBackward0"),
        (lambda: M.view(9), "ViewBackward0"),
        (lambda: M.reshape(1, 9), "ViewBackward0"),
        (lambda: M.unsqueeze(1), "UnsqueezeBackward0"),
        (lambda: M.unsqueeze(1).squeeze(1), "SqueezeBackward1"),
        (lambda: M[0], "SelectBackward0"),
        (lambda: M[1:], "SliceBackward0"),
        (lambda: M[:, None], "UnsqueezeBackward0"),
        (lambda: M[[0, 1]], "IndexBackward0"),
        (lambda: M[...], "AliasBackward0"),
        (lambda: M.double(), "ToCopyBackward0"),
        (lambda: M.clamp(0, 1), "ClampBackward1"),
        (lambda: M.relu(), "ReluBackward0"),
        (lambda: mt.special.i0e(M), "SpecialI0EBackward0"),
        (lambda: mt.linalg.inv(M + mt.eye(3)), "LinalgInvExBackward0"),
        (lambda: F.linear(M, M), "MmBackward0"),
        (lambda: F.linear(M, M, V), "AddmmBackward0"),
        (lambda: F.conv2d(IMAGE, IMAGE), "ConvolutionBackward0"),
        (lambda: F.max_pool2d(IMAGE, 2), "MaxPool2DWithIndicesBackward0"),
        (lambda: F.layer_norm(M, (3,)), "NativeLayerNormBackward0"),
        (lambda: F.cross_entropy(M, mt.tensor([0, 1, 2])), "NllLossBackward0"),
        (lambda: M.index_select(0, mt.tensor([0])), "IndexSelectBackward0"),
        (lambda: M.take(mt.tensor([0])), "TakeBackward0"),
        (lambda: M.amax(1), "AmaxBackward0"),
        (lambda: M.min(), "MinBackward1"),
        (lambda: M.median(0).values, "MedianBackward1"),
        (lambda: M.mode(0).values, "ModeBackward0"),
        (lambda: mt.linalg.cross(M, M), "LinalgCrossBackward0"),
        (lambda: M.movedim(0, 1), "PermuteBackward0"),
        (lambda: M.rot90(), "Rot90Backward0"),
        (lambda: M.nan_to_num(), "NanToNumBackward0"),
        (lambda: mt.addcmul(M, M, M), "AddcmulBackward0"),
        (lambda: mt.addcdiv(M, M, M), "AddcdivBackward0"),
        (lambda: F.prelu(M, V[:1]), "PreluKernelBackward0"),
        (lambda: F.threshold(M, 0, 0), "ThresholdBackward0"),
        (lambda: F.conv1d(M[None], M[None]), "ConvolutionBackward0"),
        (lambda: F.pixel_shuffle(IMAGE.expand(1, 4, 4, 4), 2), "PixelShuffleBackward0"),
        (lambda: F.instance_norm(IMAGE), "ViewBackward0"),
        (lambda: (M * 1).zero_(), "ZeroBackward0"),
        (lambda: (M * 1).fill_(2.0), "FillBackward2"),
        (lambda: M.broadcast_to(2, 3, 3), "ExpandBackward0"),
    ],
)
def test_nodes_have_pytorchs_names(make, name):
    y = make()
    assert y.grad_fn.name() == name
    assert f"grad_fn=<{name}>" in repr(y)
    y.sum().backward()
    assert y.grad_fn.name() == name or name == "BmmBackward0"  # its values, which tell the rank, are freed


def test_a_write_makes_copy_slices():
    y = V * 1
    y[0] = 0
    assert y.grad_fn.name() == "torch::autograd::CopySlices"
    assert repr(y.grad_fn) == f"<CopySlices object at {id(y.grad_fn):#x}>"


def test_walking_the_graph_by_next_functions():
    x, w = t(1, 2), t(3, 4, grad=False)
    y = (x * w).index_select(0, mt.tensor([0])).sum()
    found, node = [], y.grad_fn
    while node.next_functions:
        found.append((node.name(), len(node.next_functions)))
        node = node.next_functions[0][0]
    assert found == [("SumBackward0", 1), ("IndexSelectBackward0", 1), ("MulBackward0", 2)]
    assert (x * w).grad_fn.next_functions[1] == (None, 0)
    assert node.name() == "torch::autograd::AccumulateGrad"
    assert node.variable is x
    assert all(isinstance(n, graph.Node) for n in (node, y.grad_fn))
    assert not isinstance(x, graph.Node)


def test_what_nodes_save():
    x = t(1, 2, 3)
    assert (x**2).grad_fn._saved_self is x
    assert (x**3).grad_fn._saved_exponent == 3
    y = x.exp()
    assert y.grad_fn._saved_result is not y
    assert y.grad_fn._saved_result.tolist() == y.tolist()
    assert (x * y.detach()).grad_fn._saved_self is None  # only the other's gradient would need it
    with pytest.raises(AttributeError, match="ExpBackward0 saves nothing called self"):
        y.grad_fn._saved_self  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute other"):
        y.grad_fn.other  # noqa: B018
    y.sum().backward()
    with pytest.raises(RuntimeError, match="a second time"):
        y.grad_fn._saved_result  # noqa: B018


def test_a_functions_node_has_what_its_context_has():
    class Scale(autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.k = k
            ctx.save_for_backward(x)
            return x * k

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k, None

    x = t(1, 2)
    y = Scale.apply(x, 3)
    assert (y.grad_fn.name(), y.grad_fn.k, y.grad_fn.needs_input_grad) == ("ScaleBackward", 3, (True, False))
    assert y.grad_fn.saved_tensors[0] is x
    y = Scale.apply(x, k=4)  # by name
    assert y.tolist() == [4, 8]
    with pytest.raises(AttributeError, match="nothing"):
        y.grad_fn.nothing  # noqa: B018


# --- hooks ------------------------------------------------------------------------------------------------------------


def test_hooks_of_the_end_at_a_leaf():
    x = t(1, 2)
    y = (x * 3).sum()
    node = y.grad_fn.next_functions[0][0].next_functions[0][0]
    seen = []
    node.register_prehook(lambda g: seen.append(("before", x.grad, g[0].tolist())))
    node.register_hook(lambda inputs, outputs: seen.append(("after", inputs, x.grad.tolist(), outputs[0].tolist())))
    y.backward()
    assert seen == [("before", None, [3, 3]), ("after", (), [3, 3], [3, 3])]


def test_a_nodes_hook_may_not_change_the_shape():
    for register, made in (
        ("register_prehook", lambda *g: (mt.ones(7),)),
        ("register_hook", lambda *g: (mt.ones(7), None)),
    ):
        y = t(1, 2) * 2
        getattr(y.grad_fn, register)(made)
        with pytest.raises(ShapeError, match=r"hook <lambda> at .*test_nodes.py.*shape \(7,\) for one of \(2,\)"):
            y.sum().backward()


def test_a_hook_for_several_gradients():
    a, b, c = (mt.tensor(float(i), requires_grad=True) for i in (2, 3, 4))
    seen = []
    every = graph.register_multi_grad_hook([a, b, c], lambda grads: seen.append([g and g.item() for g in grads]))
    (a * b).backward()  # c is not reached
    (a * b * c).backward(inputs=[b])
    autograd.grad(a * c, [a, c])
    assert seen == [[3, 2, None], [None, 8, None], [4, None, 2]]
    every.remove()
    first = graph.register_multi_grad_hook([a, b, c], lambda g: seen.append(g.item()), mode="any")
    (a * b * c).backward()
    assert seen[3:] in ([12], [8], [6])
    (a * 5).backward()
    assert seen[4:] == [5]
    with first:
        pass
    (a * 5).backward()
    assert len(seen) == 5
    with pytest.raises(ValueError, match="'all' or 'any'"):
        graph.register_multi_grad_hook([a], print, mode="some")
    with pytest.raises(RuntimeError, match="does not require gradients"):
        graph.register_multi_grad_hook([a, mt.ones(1)], print)


def test_a_hook_for_several_gradients_within_the_graph():
    x = t(1, 2)
    y, z = x * 2, x * 3
    seen = []
    graph.register_multi_grad_hook([y, z], lambda grads: seen.append([g.tolist() for g in grads]))
    (y * z).sum().backward(retain_graph=True)
    assert seen == [[[3, 6], [2, 4]]]
    autograd.grad((y * z).sum(), [x, z], create_graph=True)  # both again, as tensors of the graph
    assert seen[1:] == seen[:1]


def test_saved_values_that_may_be_written():
    x = t(1, 2, 3)
    with graph.allow_mutation_on_saved_tensors() as copies:
        y = x.clone()
        z = (y**2).sum()
        y.zero_()
        (g,) = autograd.grad(z, x, retain_graph=True)
        assert g.tolist() == [2, 4, 6]
        copies.clear()
        with pytest.raises(GraphError, match="were cleared"):
            z.backward()
        z = (x.clone().mul_(2) ** 2).sum()
    with pytest.raises(GraphError, match="were cleared"):
        z.backward()


def test_gradients_at_edges():
    x = t(1, 2)
    y = x * 2
    z = y.exp()
    at_x, at_y, at_z = (graph.get_gradient_edge(v) for v in (x, y, z))
    assert at_y.node is y.grad_fn
    (g,) = autograd.grad(z.sum(), at_y, retain_graph=True)
    assert g.tolist() == z.tolist()
    (g,) = autograd.grad(at_z, [at_x], grad_outputs=mt.ones(2), retain_graph=True)
    assert g.tolist() == (2 * z).tolist()
    autograd.backward(at_y, mt.ones(2))
    assert x.grad.tolist() == [2, 2]


# --- both lines -------------------------------------------------------------------------------------------------------


def lines(error, *numbers):
    for n in numbers:
        assert f"test_nodes.py, line {n}" in str(error.value)


def test_a_gradient_of_a_wrong_shape_names_both_lines():
    x = t(1, 2, 3)
    y = x.exp()
    made = here() - 1
    with pytest.raises(ShapeError, match=r"gradient of shape \(5,\) for an output of shape \(3,\)") as error:
        y.backward(mt.ones(5))
    lines(error, made, here() - 1)
    z = y.sum(0)  # keeps no line of its own: the nearest before it is named
    with pytest.raises(ShapeError, match="an operator after") as error:
        z.backward(mt.ones(5))
    lines(error, made, here() - 1)
    with pytest.raises(ShapeError, match=r"scalar outputs only; one of shape \(3,\)") as error:
        y.backward()
    lines(error, made)


def test_a_function_with_a_gradient_of_a_wrong_shape_names_its_lines():
    class Short(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g[:2]

    y = Short.apply(t(1, 2, 3))
    made = here() - 1
    with pytest.raises(ShapeError, match=r"got \[2\] but expected shape compatible with \[3\]") as error:
        y.sum().backward()
    lines(error, made, here() - 1, made - 4)


def test_an_error_in_a_functions_backward_names_both_lines():
    class Mismatched(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g + mt.ones(7)

    y = Mismatched.apply(t(1, 2, 3))
    with pytest.raises(ShapeError, match=r"add: shapes \(3,\) and \(7,\)") as error:
        y.sum().backward()
    lines(error, here() - 3, here() - 1)


def test_a_leaf_whose_gradient_has_another_shape():
    x = t(1, 2, 3)
    x.grad = mt.ones(3)
    x.data = mt.ones(4)
    with pytest.raises(ShapeError, match=r"shape \(4,\) for a leaf whose grad has \(3,\).*walk back began") as error:
        (x * 2).sum().backward()
    lines(error, here() - 1)


def test_shapes_that_do_not_fit_name_the_lines_that_made_them():
    with autograd.detect_anomaly():
        a = mt.ones(3, 4)
        b = a * 2
        c = mt.ones(5, 6, requires_grad=True)
        start = here()
        with pytest.raises(ShapeError, match="inner sizes 4 and 5 differ") as error:
            b @ c
        lines(error, here() - 1, start - 2, start - 1)
        with pytest.raises(ShapeError, match="do not broadcast") as error:
            b + c
        lines(error, here() - 1, start - 2, start - 1)
    with pytest.raises(ShapeError) as error:
        b @ c
    assert "line" not in str(error.value)


# --- gradients that are constant --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.adaptive_max_pool2d(x, 2),
        lambda x: F.max_pool1d(x[0], 2),
        lambda x: F.conv2d(x, mt.ones(1, 1, 2, 2), x[0, 0, 0, :1]),
        lambda x: F.nll_loss(x[0, 0], mt.tensor([0, 1, 2, 3])),
    ],
)
def test_a_constant_gradient_has_derivative_zero(function):
    x = mt.arange(16.0).reshape(1, 1, 4, 4).requires_grad_()
    (g,) = autograd.grad(function(x).sum(), x, create_graph=True)
    assert g.requires_grad
    (h,) = autograd.grad(g.sum(), x)
    assert h.tolist() == mt.zeros(1, 1, 4, 4).tolist()


def test_a_linear_operators_gradient_is_no_function_of_its_argument():
    x = t(1, 2)
    for y in (x.sum(), (x * 3).sum(), F.interpolate(x[None, None], scale_factor=2).sum()):
        assert not autograd.grad(y, x, create_graph=True)[0].requires_grad


def test_any_number_of_derivatives_of_a_power():
    for power, expected in (
        (lambda x: x**3, [12, 12, 6, 0]),
        (lambda x: x**2, [4, 2, 0]),
        (mt.square, [4, 2, 0]),
    ):
        x = mt.tensor(2.0, requires_grad=True)
        y, found = power(x), []
        while y.requires_grad:
            (y,) = autograd.grad(y, x, create_graph=True)
            found.append(y.item())
        assert found == expected


@pytest.mark.parametrize("function", [F.elu, F.selu, F.celu, lambda x: F.elu(x, 2.0), lambda x: F.celu(x, 2.0)])
def test_second_derivative_of_elu_is_zero_at_zero(function):
    x = t(0, 1)
    (g,) = autograd.grad(function(x).sum(), x, create_graph=True)
    assert autograd.grad(g.sum(), x)[0].tolist() == [0, 0]


# --- leaves that share memory -----------------------------------------------------------------------------------------


def test_a_view_that_requires_gradients_of_its_own_is_a_leaf():
    x = mt.zeros(6).reshape(2, 3).requires_grad_()
    for write in (lambda: x.add_(1), lambda: x.__setitem__(0, 1.0), lambda: x[0].add_(1), lambda: x.view(6).zero_()):
        with pytest.raises(GraphError, match=r"a leaf that requires gradients|a view of a leaf"):
            write()
    with mt.no_grad():
        x[0] += 1
    (x[0] * 3).sum().backward()
    assert (x.tolist(), x.grad.tolist()) == ([[1, 1, 1], [0, 0, 0]], [[3, 3, 3], [0, 0, 0]])
    assert x.is_leaf
    y = x * 1
    y[0] = 5
    assert not y.is_leaf


def test_a_pack_hook_may_not_write():
    x = t(1, 2)
    with graph.saved_tensors_hooks(lambda v: v.mul_(2), lambda v: v), pytest.raises(GraphError, match="pack hook"):
        x.exp()
