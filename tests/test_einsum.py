"""Sums over named axes against NumPy's einsum, and products of chains: values, derivatives, errors."""

import itertools

import numpy as np
import pytest
from checks import check, leaves

import minitensor as mt
from minitensor.errors import DtypeError, ShapeError
from minitensor.nn.functional import bilinear

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2}


def random_equation(rng):
    """(equation, shapes): up to four operands with up to three letters each, repeated ones among them, and `...`."""
    count = rng.integers(1, 5)
    parts, shapes = [], []
    for _ in range(count):
        letters = list(rng.choice(list(SIZES), rng.integers(0, 4)))
        shape = [SIZES[s] for s in letters]
        if rng.random() < 0.3:
            place = rng.integers(0, len(letters) + 1)
            dots = [3, 2][rng.integers(0, 3) :]
            letters.insert(place, "...")
            shape[place:place] = [n if rng.random() < 0.7 else 1 for n in dots]
        parts.append("".join(letters))
        shapes.append(tuple(shape))
    left = ",".join(parts)
    if rng.random() < 0.3:
        return left, shapes
    used = sorted({c for c in left if c.isalpha()})
    out = list(rng.permutation(used)[: rng.integers(0, len(used) + 1)]) if used else []
    if "..." in left:
        out.insert(rng.integers(0, len(out) + 1), "...")
    return f"{left}->{''.join(out)}", shapes


@pytest.mark.parametrize("seed", range(300))
def test_random_equations_agree_with_numpy(seed):
    rng = np.random.default_rng(seed)
    equation, shapes = random_equation(rng)
    arrays = [rng.integers(-3, 4, s).astype(np.float64) for s in shapes]
    found = mt.einsum(equation, *[mt.from_numpy(a) for a in arrays])
    np.testing.assert_array_equal(found.numpy(), np.einsum(equation, *arrays))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ii->i", [(3, 3)]),
        ("iji->j", [(2, 3, 2)]),
        ("i,j->ij", [(2,), (3,)]),
        ("bij,bjk->bik", [(2, 3, 2), (2, 2, 3)]),
        ("ij,ij,j->", [(2, 3), (2, 3), (3,)]),
        ("...i,...i->...", [(2, 1, 3), (4, 3)]),
        ("ab,bc,cd,de->ae", [(2, 3), (3, 4), (4, 2), (2, 3)]),
        ("ij->ji", [(2, 3)]),
        ("ij,kj->ik", [(2, 3), (1, 3)]),
        ("ij,ij->i", [(2, 3), (2, 1)]),
    ],
)
def test_einsum_derivatives(equation, shapes):
    check(lambda *xs: mt.einsum(equation, *xs), *leaves(np.random.default_rng(1), *shapes))


def test_the_other_forms_of_einsum():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))
    x, y = mt.from_numpy(a), mt.from_numpy(b)
    np.testing.assert_allclose(mt.einsum("ij,jk", x, y).numpy(), a @ b)
    np.testing.assert_allclose(mt.einsum("ba", x).numpy(), a.T)
    np.testing.assert_allclose(mt.einsum("ij,jk->ki", [x, y]).numpy(), (a @ b).T)
    np.testing.assert_allclose(mt.einsum(" i j , j k -> i k ", x, y).numpy(), a @ b)
    np.testing.assert_allclose(mt.einsum(x, [0, 1], y, [1, 2], [2, 0]).numpy(), (a @ b).T)
    np.testing.assert_allclose(mt.einsum(x, [..., 1], y, [1, 2], [..., 2]).numpy(), a @ b)
    np.testing.assert_allclose(mt.einsum(x, [0, 1], y, [1, 2]).numpy(), a @ b)
    np.testing.assert_allclose(mt.einsum("aB,Ba->", x, mt.from_numpy(a.T.copy())).numpy(), (a * a).sum())
    np.testing.assert_allclose(mt.einsum("...ik, ...j -> ij", x[None], y[0]).numpy(), np.outer(a.sum(1), b[0]))


def test_einsum_keeps_dtypes_and_integers_exact():
    a = mt.arange(6, dtype=mt.int32).reshape(2, 3)
    assert mt.einsum("ij,kj->ik", a, a).tolist() == [[5, 14], [14, 50]]
    assert mt.einsum("ij,kj->ik", a, a).dtype == mt.int32
    assert mt.einsum("ij->", a).dtype == mt.int32
    assert mt.einsum("ij,jk->ik", mt.ones(2, 0), mt.ones(0, 3)).tolist() == [[0.0] * 3] * 2
    assert mt.einsum("ij,jk->ik", mt.ones(0, 2), mt.ones(2, 3)).shape == (0, 3)
    assert mt.einsum(",->", mt.tensor(2.0), mt.tensor(3.0)).item() == 6


def test_a_long_chain_takes_the_small_products_first():
    """From the left, the product would hold 10^10 numbers."""
    x = mt.ones(100000, 1)
    out = mt.einsum("ai,bi,bj,cj->ac", mt.ones(3, 1), x, x, mt.ones(2, 1))
    np.testing.assert_array_equal(out.numpy(), np.full((3, 2), 1e5, np.float32))
    left = mt.einsum("ai,bi,b->a", x, x, mt.ones(100000))
    assert left[0].item() == 1e5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mt.einsum("ij,jk->ik", mt.ones(2, 3), mt.ones(4, 5)), r"\(2, 3\) and \(4, 5\).*'j'.* 3 and 4"),
        (lambda: mt.einsum("ii->i", mt.ones(2, 3)), r"'i' names two axes of \(2, 3\)"),
        (lambda: mt.einsum("ij", mt.ones(2, 3, 4)), "operand 0 has 3 axes, but its names are 2"),
        (lambda: mt.einsum("ij...->i", mt.ones(2)), "operand 0"),
        (lambda: mt.einsum("i->ii", mt.ones(2)), "'i' stands twice in the output"),
        (lambda: mt.einsum("i->j", mt.ones(2)), "'j' of the output is in none"),
        (lambda: mt.einsum("i,j->ij", mt.ones(2)), "names 2 operands, but 1 are given"),
        (lambda: mt.einsum("i1->i", mt.ones(2, 2)), "'1' is neither"),
        (lambda: mt.einsum("......->", mt.ones(2)), "neither|more than one"),
        (lambda: mt.einsum("...,...->", mt.ones(2, 3), mt.ones(2, 4)), "axes before the last.* 3 and 4"),
        (lambda: mt.einsum(), "expected an equation"),
        (lambda: mt.einsum("->"), "no operands"),
        (lambda: mt.einsum(mt.ones(2), [99], [99]), "from 0 to 51"),
    ],
)
def test_equations_that_do_not_fit(call, words):
    with pytest.raises(ShapeError, match=words):
        call()


def test_einsum_refuses_mixed_dtypes_and_other_objects():
    with pytest.raises(DtypeError, match="float32 and float64"):
        mt.einsum("i,i->", mt.ones(2), mt.ones(2, dtype=mt.float64))
    with pytest.raises(TypeError, match="must be tensors"):
        mt.einsum("i->i", "abc")


@pytest.mark.parametrize("dims", [0, 1, 2, ([1], [0]), ([0, 2], [1, 0]), ([-1, 0], [0, -2]), ([], [])])
def test_tensordot(dims):
    rng = np.random.default_rng(3)
    x, y = leaves(rng, (2, 3, 4), (4, 2, 3))
    if dims in (1, ([0, 2], [1, 0]), ([-1, 0], [0, -2])) or dims in (0, ([], [])):
        want = np.tensordot(x.detach().numpy(), y.detach().numpy(), dims)
    elif dims == 2:
        y = leaves(rng, (3, 4, 5))[0]
        want = np.tensordot(x.detach().numpy(), y.detach().numpy(), 2)
    else:
        y = leaves(rng, (3, 2))[0]
        want = np.tensordot(x.detach().numpy(), y.detach().numpy(), dims)
    np.testing.assert_allclose(mt.tensordot(x, y, dims).detach().numpy(), want, atol=1e-12)
    check(lambda a, b: mt.tensordot(a, b, dims), x, y)


def test_tensordot_of_sizes_that_do_not_fit():
    with pytest.raises(ShapeError, match="axis 1 has 3 elements and axis 0 has 4"):
        mt.tensordot(mt.ones(2, 3), mt.ones(4, 2), 1)
    with pytest.raises(ShapeError, match="as many axes"):
        mt.tensordot(mt.ones(2, 3), mt.ones(3, 2), ([0, 1], [0]))
    with pytest.raises(ShapeError, match="between 0 and 2"):
        mt.tensordot(mt.ones(2, 3), mt.ones(3, 2), 3)
    assert mt.tensordot(mt.ones(2, 1), mt.ones(4, 2), 1).tolist() == [[4.0, 4.0]] * 2  # 1 broadcasts


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3), (3, 2)), ((2,), (2, 2)), ((), (3,)), ((2, 1, 2), (3,)), ((0, 2), (2, 1))]
)
def test_kron(a, b):
    x, y = leaves(np.random.default_rng(4), a, b)
    np.testing.assert_array_equal(mt.kron(x, y).detach().numpy(), np.kron(x.detach().numpy(), y.detach().numpy()))
    if x.numel():
        check(mt.kron, x, y)


def test_the_chain_takes_the_fewest_multiplications():
    """Against all ways to set parentheses."""
    from minitensor.ops.einsum import _cheapest

    def cost(i, j, split):
        if i == j:
            return 0
        k = split(i, j)
        return cost(i, k, split) + cost(k + 1, j, split) + sizes[i] * sizes[k + 1] * sizes[j + 1]

    def least(i, j):
        if i == j:
            return 0
        return min(least(i, k) + least(k + 1, j) + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j))

    for sizes in ([10, 100, 5, 50], [5, 1, 7, 2, 9, 3], *itertools.permutations([2, 3, 5, 7, 11])):
        table = _cheapest(list(sizes))
        n = len(sizes) - 1
        assert cost(0, n - 1, lambda i, j, table=table: table[i][j]) == least(0, n - 1)


def test_chains():
    xs = leaves(np.random.default_rng(5), (3,), (3, 4), (4, 2), (2,))
    arrays = [x.detach().numpy() for x in xs]
    np.testing.assert_allclose(mt.chain_matmul(*xs[1:3]).detach().numpy(), arrays[1] @ arrays[2])
    assert mt.chain_matmul(xs[1]).shape == (3, 4)
    check(lambda *m: mt.chain_matmul(*m), *xs[1:3])
    with pytest.raises(ShapeError, match="chain_matmul: expected 2 axes"):
        mt.chain_matmul(*xs)
    with pytest.raises(ShapeError, match="3 and 2 differ"):
        mt.chain_matmul(mt.ones(2, 3), mt.ones(2, 2))


def test_bilinear():
    a, b, w, bias = leaves(np.random.default_rng(6), (2, 4, 3), (2, 4, 2), (5, 3, 2), (5,))
    want = np.einsum("...i,oij,...j->...o", *[x.detach().numpy() for x in (a, w, b)]) + bias.detach().numpy()
    np.testing.assert_allclose(bilinear(a, b, w, bias).detach().numpy(), want)
    check(bilinear, a, b, w, bias)
    for bad, words in (
        ((mt.ones(2, 3), mt.ones(4, 2), mt.ones(5, 3, 2)), "differ before the last axis"),
        ((mt.ones(2, 3), mt.ones(2, 3), mt.ones(5, 3, 2)), "expected last sizes 3 and 2"),
        ((mt.ones(2, 3), mt.ones(2, 2), mt.ones(3, 2)), "expected inputs"),
        ((mt.ones(2, 3), mt.ones(2, 2), mt.ones(5, 3, 2), mt.ones(4)), "expected 5 values"),
    ):
        with pytest.raises(ShapeError, match=words):
            bilinear(*bad)


def test_out():
    out = mt.empty(2, 2)
    assert mt.kron(mt.ones(2, 1), mt.ones(1, 2), out=out) is out
    assert out.tolist() == [[1.0, 1.0]] * 2
    assert mt.tensordot(mt.ones(2, 3), mt.ones(3, 2), 1, out=out) is out
    assert out.tolist() == [[3.0, 3.0]] * 2
    assert mt.chain_matmul(mt.ones(2, 4), mt.ones(4, 2), out=out) is out
    assert out.tolist() == [[4.0, 4.0]] * 2
