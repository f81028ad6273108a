"""Memory that several processes see."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from multiprocessing.reduction import ForkingPickler

import pytest

import minitensor as mt


def test_shared_memory_has_the_same_elements():
    x = mt.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert not x.is_shared()
    assert x.share_memory_() is x
    assert x.is_shared()
    assert x.requires_grad
    assert x.is_leaf
    assert x.tolist() == [[1, 2], [3, 4]]
    assert x[0].is_shared()
    memory = x.data_ptr()
    assert x.share_memory_().data_ptr() == memory


@pytest.mark.parametrize("shape", [(0,), (), (3, 2)])
def test_all_shapes(shape):
    assert mt.ones(shape).share_memory_().equal(mt.ones(shape))


def test_what_is_sent_to_a_process_is_the_same_memory():
    x = mt.zeros(2, 3).share_memory_()
    for part in (x, x.t(), x[1:, ::2]):
        twin = pickle.loads(bytes(ForkingPickler.dumps(part)))
        assert (twin.shape, twin.stride(), twin.is_shared()) == (part.shape, part.stride(), True)
        twin += 1
    assert x.tolist() == [[2, 2, 2], [3, 2, 3]]
    copy = pickle.loads(pickle.dumps(x))  # a file gets the numbers
    assert not copy.is_shared()
    plain = pickle.loads(bytes(ForkingPickler.dumps(mt.ones(2))))
    assert plain.equal(mt.ones(2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_writes_into_it():
    model = mt.nn.Linear(2, 1)
    assert model.share_memory() is model
    assert all(p.is_shared() for p in model.parameters())

    def work():
        with mt.no_grad():
            model.weight.fill_(7)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert model.weight.tolist() == [[7, 7]]
