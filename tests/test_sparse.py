"""Sparse tensors against dense ones, and a graph network on them."""

import copy
import pickle

import numpy as np
import pytest

import minitensor as mt

INDICES = [[0, 1, 1, 0], [2, 0, 2, 2]]
VALUES = [3.0, 4.0, 5.0, 6.0]
DENSE = [[0.0, 0.0, 9.0], [4.0, 0.0, 5.0]]


def made(**options):
    return mt.sparse_coo_tensor(INDICES, VALUES, (2, 3), **options)


def randoms(rows, columns, count, seed=0):
    """A sparse matrix with places that occur twice, and the dense one."""
    rng = np.random.default_rng(seed)
    places = np.stack([rng.integers(0, rows, count), rng.integers(0, columns, count)])
    values = rng.standard_normal(count)
    dense = np.zeros((rows, columns))
    np.add.at(dense, tuple(places), values)
    return mt.sparse_coo_tensor(mt.from_numpy(places), mt.from_numpy(values), (rows, columns)), dense


def test_what_it_is():
    x = made()
    assert isinstance(x, mt.Tensor)
    assert (x.shape, x.size(1), x.dim(), x.ndim, x.numel(), len(x)) == ((2, 3), 3, 2, 2, 6, 2)
    assert (x.dtype, x.layout, x.is_sparse, x.device.type) == (mt.float32, mt.sparse_coo, True, "cpu")
    assert (x.sparse_dim(), x.dense_dim(), x._nnz(), x.is_coalesced()) == (2, 0, 4, False)
    assert x._indices().tolist() == INDICES
    assert x._values().tolist() == VALUES
    assert not mt.zeros(2).is_sparse
    assert mt.zeros(2).layout is mt.strided


def test_coalesce():
    x = made()
    for what in (x.indices, x.values):
        with pytest.raises(RuntimeError, match=r"call coalesce\(\) first"):
            what()
    y = x.coalesce()
    assert y.indices().tolist() == [[0, 1, 1], [2, 0, 2]]
    assert y.values().tolist() == [9.0, 4.0, 5.0]
    assert y.coalesce() is y
    assert not x.is_coalesced()
    assert mt.sparse_coo_tensor([[1, 0]], [1.0, 2.0]).coalesce().values().tolist() == [2.0, 1.0]


def test_to_dense_and_back():
    x = made()
    assert x.to_dense().tolist() == DENSE
    back = x.to_dense().to_sparse()
    assert back.is_coalesced()
    assert (back.indices().tolist(), back.values().tolist()) == ([[0, 1, 1], [2, 0, 2]], [9.0, 4.0, 5.0])
    rows = mt.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]).to_sparse(1)
    assert (rows.sparse_dim(), rows.dense_dim()) == (1, 1)
    assert rows.values().tolist() == [[1.0, 0.0], [0.0, 2.0]]
    assert rows.to_dense().tolist() == [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]
    assert mt.zeros(2, 0).to_sparse().to_dense().shape == (2, 0)
    assert mt.tensor(3.0).to_sparse().to_dense().item() == 3.0
    assert made(dtype=mt.float64).dtype == mt.float64
    assert made().double().dtype == mt.float64
    assert made().half().dtype == mt.float16
    assert made().long().dtype == mt.int64
    assert made().bool().dtype == mt.bool
    assert made().cfloat().dtype == mt.complex64
    assert made().to("cpu").to_dense().tolist() == DENSE


def test_printing():
    assert repr(made()) == (
        "tensor(indices=tensor([[0, 1, 1, 0],\n"
        "                       [2, 0, 2, 2]]),\n"
        "       values=tensor([3., 4., 5., 6.]),\n"
        "       size=(2, 3), nnz=4, layout=minitensor.sparse_coo)"
    )
    empty = mt.sparse_coo_tensor(size=(2, 3))
    assert "indices=tensor([], size=(2, 0)),\n       values=tensor([], size=(0,))" in repr(empty)
    assert repr(made(requires_grad=True)).endswith("layout=minitensor.sparse_coo, requires_grad=True)")


@pytest.mark.parametrize("other", [(7, 3), (7,), (7, 0), (7, 1)])
def test_products(other):
    x, dense = randoms(5, 7, 30)
    y = np.random.default_rng(1).standard_normal(other)
    want = dense @ y
    for product in (x @ mt.from_numpy(y), mt.matmul(x, mt.from_numpy(y)), x.matmul(mt.from_numpy(y))):
        np.testing.assert_allclose(product.numpy(), want, atol=1e-12)
    if len(other) == 2:
        for f in (mt.mm, mt.spmm, mt.sparse.mm):
            np.testing.assert_allclose(f(x, mt.from_numpy(y)).numpy(), want, atol=1e-12)
        left = mt.from_numpy(np.ascontiguousarray(y.T))
        np.testing.assert_allclose((left @ x.t()).numpy(), want.T, atol=1e-12)
        start = mt.ones(5, other[1], dtype=mt.float64)
        for f in (mt.addmm, mt.sparse.addmm):
            got = f(start, x, mt.from_numpy(y), beta=0.5, alpha=2)
            np.testing.assert_allclose(got.numpy(), 0.5 + 2 * want, atol=1e-12)
    else:
        np.testing.assert_allclose(mt.mv(x, mt.from_numpy(y)).numpy(), want, atol=1e-12)


def test_a_product_of_two_sparse_matrices():
    (x, a), (y, b) = randoms(5, 7, 30), randoms(7, 4, 20, 1)
    z = x @ y
    assert z.is_sparse
    np.testing.assert_allclose(z.to_dense().numpy(), a @ b, atol=1e-12)


def test_gradients_of_products():
    x, dense = randoms(5, 7, 30)
    places, values = x._indices(), x._values().detach().requires_grad_()
    y = mt.randn(7, 3, dtype=mt.float64, requires_grad=True)
    g = mt.randn(5, 3, dtype=mt.float64)
    (mt.sparse_coo_tensor(places, values, (5, 7)) @ y * g).sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), dense.T @ g.numpy(), atol=1e-12)
    whole = g.numpy() @ y.detach().numpy().T
    np.testing.assert_allclose(values.grad.numpy(), whole[tuple(places.numpy())], atol=1e-12)

    def f(v, y):
        return (mt.sparse_coo_tensor(places, v, (5, 7)).coalesce().t() @ y[:5]).square().sum()

    assert mt.autograd.gradcheck(f, (values, y))
    assert mt.autograd.gradgradcheck(f, (values, y))


def test_a_sparse_leaf_has_a_sparse_gradient():
    x = made(requires_grad=True)
    assert x.is_leaf
    mt.sparse.mm(x, mt.arange(6.0).reshape(3, 2)).sum().backward()
    assert x.grad.is_sparse
    assert x.grad._values().tolist() == [9.0, 1.0, 9.0, 9.0]
    values = mt.tensor(VALUES, requires_grad=True)
    assert not mt.sparse_coo_tensor(INDICES, values, (2, 3)).is_leaf


def test_transposes_and_sums():
    x = made()
    for y in (x.t(), x.T, x.transpose(0, 1), mt.t(x), mt.transpose(x, 0, 1)):
        assert y.to_dense().tolist() == [[0.0, 4.0], [0.0, 0.0], [9.0, 5.0]]
    assert mt.sum(x).item() == x.sum().item() == mt.sparse.sum(x).item() == 18.0
    assert x.sum(0).to_dense().tolist() == [4.0, 0.0, 14.0]
    assert mt.sparse.sum(x, 1).values().tolist() == [9.0, 9.0]
    assert mt.sparse.sum(x, (0, 1)).item() == 18.0
    mixed = mt.sparse_coo_tensor([[0, 1]], mt.ones(2, 3), (2, 3))
    assert mt.sparse.sum(mixed, 1).to_dense().tolist() == [3.0, 3.0]
    assert mt.sparse.sum(mixed, 0).tolist() == [2.0, 2.0, 2.0]


def test_arithmetic():
    x, d = made(), mt.tensor(DENSE)
    for y, want in (
        (x * 2, d * 2),
        (2 * x, d * 2),
        (x / 2, d / 2),
        (-x, -d),
        (x + x, d * 2),
        (x - x.coalesce(), d * 0),
        (x * mt.full((2, 3), 3.0), d * 3),
        (x * x, d * d),
        (x**2, d * d),
        (x.abs().sqrt(), d.sqrt()),
        ((-x).relu(), d * 0),
        (x.sparse_mask(mt.eye(2, 3).to_sparse()), mt.zeros(2, 3)),
    ):
        assert y.is_sparse
        assert mt.equal(y.to_dense(), want)
    assert mt.equal(mt.ones(2, 3) + x, d + 1)
    assert mt.equal(mt.ones(2, 3) - x, 1 - d)
    other = mt.sparse_coo_tensor([[0], [0]], [1.0], (2, 3))
    assert (x + other).to_dense()[0].tolist() == [1.0, 0.0, 9.0]
    assert (x[0].to_dense().tolist(), x[0, 2].item(), x[-1, 0].item()) == ([0.0, 0.0, 9.0], 9.0, 4.0)
    y = made()
    y *= 2
    assert y.to_dense().tolist() == (d * 2).tolist()


def test_softmax_over_the_places_that_there_are():
    x = mt.sparse_coo_tensor([[0, 0, 1], [0, 2, 1]], mt.tensor([1.0, 2.0, 5.0], requires_grad=True), (2, 3))
    y = mt.sparse.softmax(x, 1)
    np.testing.assert_allclose(y.values().detach().numpy(), [1 / (1 + np.e), np.e / (1 + np.e), 1.0], rtol=1e-6)
    logs = mt.sparse.log_softmax(x, 1).values()
    np.testing.assert_allclose(logs.detach().numpy(), np.log(y.values().detach().numpy()), atol=1e-6)
    down = mt.sparse.softmax(x, 0)
    assert down.values().tolist() == [1.0, 1.0, 1.0]


def test_copies():
    x = made()
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.clone()):
        assert y.to_dense().tolist() == DENSE
        y *= 0
    assert x.to_dense().tolist() == DENSE


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: mt.sparse_coo_tensor([[0, 2], [0, 0]], [1.0, 1.0], (2, 3)), IndexError, "from 0 to 2 along axis 0"),
        (lambda: mt.sparse_coo_tensor([[-1], [0]], [1.0], (2, 3)), IndexError, "from -1 to -1"),
        (lambda: mt.sparse_coo_tensor([[0, 1]], [1.0]), RuntimeError, "2 places and 1 values"),
        (lambda: mt.sparse_coo_tensor([0, 1], [1.0, 2.0]), RuntimeError, "must be a matrix"),
        (lambda: mt.sparse_coo_tensor([[0]], [1.0], (2, 3)), RuntimeError, "is not 1 sparse axes"),
        (lambda: made() @ mt.ones(2, 2), RuntimeError, r"\(2, 3\) @ \(2, 2\): the inner sizes 3 and 2 differ"),
        (lambda: made() @ mt.ones(3, 2, dtype=mt.float64), TypeError, "the dtypes float32 and float64 differ"),
        (lambda: made() + 1, RuntimeError, "sparse \\+ dense"),
        (lambda: 1 + made(), RuntimeError, "makes it dense"),
        (lambda: made() + made().t(), RuntimeError, "sizes"),
        (lambda: mt.exp(made()), TypeError, "takes no sparse tensor"),
        (lambda: mt.add(made(), made()), TypeError, "takes no sparse tensor"),
        (lambda: made() == made(), TypeError, "takes no sparse tensor"),
        (lambda: made().numpy(), TypeError, "to_dense"),
        (lambda: made().view(3, 2), TypeError, "takes no sparse tensor"),
        (lambda: made().mean(), TypeError, "takes no sparse tensor"),
        (lambda: made()[0:1], RuntimeError, "indexed by whole numbers"),
        (lambda: made()[2], IndexError, "out of range"),
        (lambda: made().item(), RuntimeError, "6 elements"),
        (lambda: bool(made()), RuntimeError, "ambiguous"),
    ],
)
def test_errors(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_graph_network_learns():
    """Two layers of graph convolution (Kipf and Welling, 2017) tell the two halves of a ring of cliques apart."""
    mt.manual_seed(0)
    n = 20
    dense = np.kron(np.eye(2), np.ones((n // 2, n // 2)))
    dense /= dense.sum(1, keepdims=True)
    adjacency = mt.tensor(dense).float().to_sparse()
    features = mt.randn(n, 8)
    labels = mt.arange(n) // (n // 2)
    first, second = mt.nn.Linear(8, 6), mt.nn.Linear(6, 2)
    optimizer = mt.optim.Adam([*first.parameters(), *second.parameters()], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        hidden = mt.spmm(adjacency, first(features)).relu()
        loss = mt.nn.functional.cross_entropy(mt.spmm(adjacency, second(hidden)), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


# --- sparse gradients -------------------------------------------------------------------------------------------------


def table(sparse, rows=6):
    start = mt.arange(2.0 * rows).reshape(rows, 2) / 4
    return mt.nn.Embedding.from_pretrained(start, freeze=False, sparse=sparse, padding_idx=0)


def test_an_embedding_gives_its_weight_a_sparse_gradient():
    layer = table(True)
    layer(mt.tensor([[1, 3], [1, 0]])).sum().backward()
    g = layer.weight.grad
    assert g.is_sparse
    assert tuple(g.shape) == (6, 2)
    assert g._nnz() == 3
    assert g.coalesce().indices().tolist() == [[1, 3]]
    assert g.coalesce().values().tolist() == [[2.0, 2.0], [1.0, 1.0]]
    layer(mt.tensor([5])).sum().backward()
    assert layer.weight.grad.coalesce().indices().tolist() == [[1, 3, 5]]
    (layer.weight * 2).sum().backward()  # a dense one makes it dense
    assert layer.weight.grad[:, 0].tolist() == [2.0, 4.0, 2.0, 3.0, 2.0, 3.0]
    layer(mt.tensor([5])).sum().backward()
    assert layer.weight.grad[5].tolist() == [4.0, 4.0]


def test_sparse_and_dense_parts_of_one_walk_add_up():
    layer = table(True)
    (layer(mt.tensor([1])).sum() + layer.weight.sum() + layer(mt.tensor([1, 2])).sum()).backward()
    assert layer.weight.grad[:, 0].tolist() == [1.0, 3.0, 2.0, 1.0, 1.0, 1.0]
    (g,) = mt.autograd.grad(layer(mt.tensor([4, 4])).sum(), layer.weight)
    assert g.is_sparse
    assert g.to_dense()[4].tolist() == [2.0, 2.0]
    seen = []
    layer.weight.register_hook(lambda g: seen.append(g.is_sparse))
    layer(mt.tensor([4])).sum().backward()
    assert seen == [True]


def test_a_computed_weight_has_a_dense_gradient():
    w = mt.ones(3, 2, requires_grad=True)
    F = mt.nn.functional
    F.embedding(mt.tensor([1]), w * 2, sparse=True).sum().backward()
    assert not w.grad.is_sparse
    assert w.grad.tolist() == [[0.0, 0.0], [2.0, 2.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    "make",
    [
        lambda p: mt.optim.SGD(p, lr=0.1),
        lambda p: mt.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: mt.optim.Adagrad(p, lr=0.1, lr_decay=0.5),
    ],
)
def test_optimizers_step_by_sparse_gradients_as_by_dense_ones(make):
    layers = [table(True), table(False)]
    optimizers = [make(layer.parameters()) for layer in layers]
    for k in range(4):
        for layer, optimizer in zip(layers, optimizers, strict=True):
            optimizer.zero_grad()
            layer(mt.tensor([1, 2, 1, k + 1])).square().sum().backward()
            optimizer.step()
    mt.testing.assert_close(layers[0].weight, layers[1].weight)
    assert layers[0].weight[5].tolist() == [2.5, 2.75]


def test_sparse_adam_moves_the_rows_that_have_a_gradient():
    layer = table(True)
    optimizer = mt.optim.SparseAdam(layer.parameters(), lr=0.5)
    layer(mt.tensor([1, 1])).sum().backward()
    optimizer.step()  # the first step is lr in each element that has a gradient
    moved = [0.0 if row != 1 else 0.5 for row in range(6)]
    start = mt.arange(12.0).reshape(6, 2) / 4
    mt.testing.assert_close(start - layer.weight.detach(), mt.tensor(moved)[:, None].expand(6, 2), atol=1e-6, rtol=0)
    optimizer.zero_grad()
    layer(mt.tensor([2])).sum().backward()
    optimizer.step()  # row 2 at step 2: m = 0.1, v = 0.001, rate = lr sqrt(1 - 0.999^2) / (1 - 0.9^2)
    step = 0.5 * (1 - 0.999**2) ** 0.5 / (1 - 0.9**2) * 0.1 / 0.001**0.5
    assert layer.weight[2, 0].item() == pytest.approx(1.0 - step, abs=1e-5)
    assert layer.weight[1, 0].item() == pytest.approx(0.0, abs=1e-6)


def test_optimizers_that_take_no_sparse_gradients_say_so():
    layer = table(True)
    layer(mt.tensor([1])).sum().backward()
    for make, words in (
        (mt.optim.Adam, "Adam does not support sparse gradients, please consider SparseAdam"),
        (mt.optim.RMSprop, "RMSprop does not support sparse gradients"),
        (lambda p: mt.optim.SGD(p, lr=1, weight_decay=0.1), "weight_decay option is not compatible"),
    ):
        with pytest.raises(RuntimeError, match=words):
            make(layer.parameters()).step()
    dense = mt.nn.Linear(2, 1)
    dense(mt.ones(2)).sum().backward()
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        mt.optim.SparseAdam(dense.parameters()).step()
    assert layer.weight[1].tolist() == [0.5, 0.75]
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad._nnz() == 0


# --- by rows and by columns -------------------------------------------------------------------------------------------


def test_a_matrix_by_rows_and_by_columns():
    dense = mt.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])
    x, y = dense.to_sparse_csr(), dense.to_sparse_csc()
    assert (x.layout, y.layout, x.is_sparse_csr, y.is_sparse_csr) == (mt.sparse_csr, mt.sparse_csc, True, False)
    assert (x.crow_indices().tolist(), x.col_indices().tolist()) == ([0, 1, 3], [1, 0, 2])
    assert (y.ccol_indices().tolist(), y.row_indices().tolist()) == ([0, 1, 2, 3], [1, 0, 1])
    assert (x.values().tolist(), y.values().tolist()) == ([1.0, 2.0, 3.0], [2.0, 1.0, 3.0])
    assert repr(x) == (
        "tensor(crow_indices=tensor([0, 1, 3]),\n       col_indices=tensor([1, 0, 2]),\n"
        "       values=tensor([1., 2., 3.]), size=(2, 3), nnz=3,\n       layout=minitensor.sparse_csr)"
    )
    for z in (x, y):
        assert mt.equal(z.to_dense(), dense)
        assert mt.equal(z @ mt.ones(3, 2), dense @ mt.ones(3, 2))
        assert mt.equal(mt.sparse.mm(z, mt.ones(3, 2)), dense @ mt.ones(3, 2))
        assert mt.equal(z.t().to_dense(), dense.T)
        assert z.t().layout != z.layout
        assert (z * 2).layout == z.layout
        assert mt.equal((z * 2).to_dense(), dense * 2)
        assert z.to_sparse().layout == mt.sparse_coo
        assert mt.equal(z.to_sparse_csr().crow_indices(), x.crow_indices())
        assert mt.equal(z.to_sparse(layout=mt.sparse_csc).row_indices(), y.row_indices())
        with pytest.raises(RuntimeError, match="indices"):
            z.indices()
    with pytest.raises(RuntimeError, match="crow_indices"):
        y.crow_indices()


def test_sparse_csr_tensor_has_gradients_and_checks_what_it_is_given():
    values = mt.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x = mt.sparse_csr_tensor(mt.tensor([0, 1, 3]), mt.tensor([1, 0, 2]), values, size=(2, 4))
    (x @ mt.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert values.grad.tolist() == [10.0, 1.0, 100.0]
    assert tuple(mt.sparse_csr_tensor([0, 1, 1], [2], [5.0]).shape) == (2, 3)
    assert mt.sparse_csc_tensor([0, 1, 1], [2], [5.0]).to_dense().tolist() == [[0.0, 0.0], [0.0, 0.0], [5.0, 0.0]]
    for ends, others, size in (([0, 2], [0], (1, 2)), ([1, 1], [0], (1, 2)), ([0, 1], [0], (2, 2)), ([], [], None)):
        with pytest.raises(RuntimeError):
            mt.sparse_csr_tensor(ends, others, [1.0] * len(others), size)
    with pytest.raises(IndexError):
        mt.sparse_csr_tensor([0, 1], [2], [1.0], (1, 2))
    with pytest.raises(RuntimeError, match="only a matrix"):
        mt.ones(2, 2, 2).to_sparse_csr()
