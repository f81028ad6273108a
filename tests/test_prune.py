"""Pruning: masks, several prunings of one tensor, several tensors at once, and back to plain parameters."""

from __future__ import annotations

import pytest

import minitensor as mt
from minitensor import nn
from minitensor.errors import ShapeError
from minitensor.nn.utils import prune


def layer(*rows):
    made = nn.Linear(len(rows[0]), len(rows), bias=False)
    made.weight.data = mt.tensor(rows, dtype=mt.float32)
    return made


def test_the_smallest_elements_go():
    made = prune.l1_unstructured(layer([1.0, -4.0], [3.0, -2.0]), "weight", 0.5)
    assert made.weight.tolist() == [[0, -4], [3, 0]]
    assert made.weight_mask.tolist() == [[0, 1], [1, 0]]
    assert sorted(made.state_dict()) == ["weight_mask", "weight_orig"]
    assert [name for name, _ in made.named_parameters()] == ["weight_orig"]
    made(mt.ones(1, 2)).sum().backward()
    assert made.weight_orig.grad.tolist() == [[0, 1], [1, 0]]


def test_the_mask_holds_after_a_step():
    made = prune.l1_unstructured(layer([1.0, -4.0]), "weight", 1)
    made.weight_orig.data += 10
    assert made(mt.ones(1, 2)).tolist() == [[6]]


def test_rows_by_their_norms_and_a_second_pruning():
    made = prune.ln_structured(layer([3.0, 4.0], [1.0, 1.0], [0.0, 9.0]), "weight", amount=1, n=2, dim=0)
    assert made.weight.tolist() == [[3, 4], [0, 0], [0, 9]]
    prune.l1_unstructured(made, "weight", amount=2)  # of what is left
    assert made.weight.tolist() == [[0, 4], [0, 0], [0, 9]]
    (chain,) = made._forward_pre_hooks.values()
    assert isinstance(chain, prune.PruningContainer)
    assert [type(method).__name__ for method in chain] == ["LnStructured", "L1Unstructured"]


def test_random_draws_are_those_of_rand():
    mt.manual_seed(3)
    made = prune.random_unstructured(layer([1.0, 1.0, 1.0, 1.0]), "weight", 1)
    mt.manual_seed(3)
    assert made.weight_mask.argmin() == mt.rand(1, 4).argmax()
    rows = prune.random_structured(layer([1.0], [1.0], [1.0]), "weight", amount=2, dim=0)
    assert rows.weight_mask.sum() == 1


def test_global_pruning_compares_all():
    a, b = layer([1.0, 2.0]), layer([30.0, 40.0])
    prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=0.5)
    assert (a.weight.tolist(), b.weight.tolist()) == ([[0, 0]], [[30, 40]])


def test_remove_leaves_a_parameter():
    made = prune.l1_unstructured(layer([1.0, -4.0]), "weight", 1)
    assert prune.is_pruned(made)
    prune.remove(made, "weight")
    assert not prune.is_pruned(made)
    assert isinstance(made.weight, nn.Parameter)
    assert made.weight.tolist() == [[0, -4]]
    assert list(made.state_dict()) == ["weight"]
    with pytest.raises(ShapeError, match="not pruned"):
        prune.remove(made, "weight")


def test_a_method_of_ones_own():
    class EveryOther(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    made = layer([1.0, 2.0, 3.0, 4.0])
    EveryOther.apply(made, "weight")
    assert made.weight.tolist() == [[0, 2, 0, 4]]


@pytest.mark.parametrize("amount", [-1, 1.5, 5])
def test_amounts_that_do_not_fit(amount):
    with pytest.raises(ValueError, match="prune"):
        prune.l1_unstructured(layer([1.0, 2.0]), "weight", amount)


def test_a_vector_has_no_slices():
    with pytest.raises(ShapeError, match="at least 2 axes"):
        prune.ln_structured(nn.Linear(2, 2), "bias", 1, 2, 0)
