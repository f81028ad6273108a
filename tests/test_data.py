"""Data sets, samplers and loaders: PyTorch's orders (2.13, the same seed), batches, bad input."""

from __future__ import annotations

from collections import OrderedDict, UserList, namedtuple

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import DtypeError, ShapeError
from minitensor.utils.data import (
    Batch,
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    random_split,
)


def _epochs(loader, n):
    return [i for _ in range(n) for batch in loader for i in batch.tolist()]


def test_pytorchs_orders():
    mt.manual_seed(5)
    loader = DataLoader(range(7), batch_size=3, shuffle=True)
    assert _epochs(loader, 2) == [0, 3, 6, 2, 1, 4, 5, 1, 2, 5, 3, 6, 4, 0]
    g = mt.Generator().manual_seed(5)
    loader = DataLoader(range(5), batch_size=2, shuffle=True, generator=g)
    assert _epochs(loader, 2) == [2, 0, 4, 3, 1, 1, 0, 2, 3, 4]
    mt.manual_seed(5)
    assert [s.indices for s in random_split(range(7), [3, 4])] == [[1, 0, 4], [2, 6, 5, 3]]
    assert [s.indices for s in random_split(range(7), [0.5, 0.5])] == [[1, 6, 5, 3], [2, 4, 0]]
    drawn = RandomSampler(range(5), replacement=True, num_samples=8)
    assert list(drawn) == [0, 0, 1, 4, 1, 4, 4, 3]
    assert list(RandomSampler(range(3), num_samples=7)) == [1, 2, 0, 0, 1, 2, 2]
    assert list(WeightedRandomSampler([1, 2, 3], 6)) == [2, 1, 1, 1, 2, 1]
    assert list(SubsetRandomSampler([5, 6, 7, 8])) == [8, 6, 7, 5]


def test_every_epoch_costs_the_generator_a_seed():
    mt.manual_seed(0)
    next(iter(DataLoader(range(3))))
    after = mt.rand(1).item()
    mt.manual_seed(0)
    mt.default_generator.random_((1,), np.int64)
    assert mt.rand(1).item() == after


def test_sampling_with_replacement_is_lazy():
    many = RandomSampler(range(3), replacement=True, num_samples=10**10)
    assert len(many) == 10**10
    assert next(iter(DataLoader(range(3), sampler=many, batch_size=4))).shape == (4,)


def test_tensor_dataset_and_batches():
    x, y = mt.randn(10, 3), mt.arange(10)
    data = TensorDataset(x, y)
    assert len(data) == 10
    assert data[-1][1].item() == 9
    batch = data.__getitems__([3, 1, 3])
    assert isinstance(batch, Batch)
    assert len(batch) == 3
    assert [int(label) for _, label in batch] == [3, 1, 3]
    assert len(batch[1:]) == 2
    np.testing.assert_array_equal(batch[0][0], x[3])
    batches = list(DataLoader(data, batch_size=4))
    assert [tuple(b[0].shape) for b in batches] == [(4, 3), (4, 3), (2, 3)]
    np.testing.assert_array_equal(mt.cat([b[0] for b in batches]), x)
    assert all(b[1].dtype is mt.int64 for b in batches)
    np.testing.assert_array_equal(batches[0][0], default_collate([data[i] for i in range(4)])[0])


def test_a_custom_collate_fn_gets_the_samples():
    data = TensorDataset(mt.arange(5), mt.zeros(5, 2))
    loader = DataLoader(data, batch_size=2, collate_fn=lambda samples: [int(x) for x, _ in samples])
    assert list(loader) == [[0, 1], [2, 3], [4]]


def test_a_data_set_is_asked_for_a_whole_batch():
    asked = []

    class Whole(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            raise AssertionError("one by one")

        def __getitems__(self, indices):
            asked.append(list(indices))
            return Batch([mt.tensor(indices)])

    (values,) = next(iter(DataLoader(Whole(), batch_size=4)))
    assert values.tolist() == [0, 1, 2, 3]
    part = Subset(Subset(Whole(), [5, 4, 3, 2]), [3, 1])
    assert [b[0].tolist() for b in DataLoader(part, batch_size=2)] == [[2, 4]]
    assert asked == [[0, 1, 2, 3], [2, 4]]


def test_subsets():
    part = Subset(["a", "b", "c"], [2, 0])
    assert len(part) == 2
    assert part[1] == "a"
    assert list(DataLoader(part, batch_size=2)) == [["c", "a"]]
    whole = Subset(TensorDataset(mt.arange(4)), [3, 1])
    assert whole[[0, 1]][0].tolist() == [3, 1]


def test_random_split():
    parts = random_split(range(10), [0.35, 0.35, 0.3], generator=mt.Generator())
    assert [len(part) for part in parts] == [4, 3, 3]
    assert sorted(i for part in parts for i in part) == list(range(10))
    for lengths in ([3, 3], [0.5, 0.6], [11, -1], []):
        with pytest.raises(ShapeError, match="do not sum to 10"):
            random_split(range(10), lengths)


Point = namedtuple("Point", "x y")


def test_collate():
    assert default_collate([1, 2]).dtype is mt.int64
    assert default_collate([1.5, 2.0]).dtype is mt.float64
    assert default_collate([True, False]).dtype is mt.bool
    assert default_collate([np.float32(1), np.float32(2)]).dtype is mt.float32
    assert default_collate([np.ones((2, 3)), np.zeros((2, 3))]).shape == (2, 2, 3)
    assert default_collate(["a", "b"]) == ["a", "b"]
    joined = default_collate([{"x": 1, "y": ("a", 2.0)}, {"x": 3, "y": ("b", 4.0)}])
    assert joined["x"].tolist() == [1, 3]
    assert joined["y"][0] == ("a", "b")
    assert joined["y"][1].tolist() == [2.0, 4.0]
    point = default_collate([Point(1, [2, 3]), Point(4, [5, 6])])
    assert point.x.tolist() == [1, 4]
    assert [part.tolist() for part in point.y] == [[2, 5], [3, 6]]
    with pytest.raises(ShapeError, match="default_collate: the samples differ"):
        default_collate([mt.zeros(2), mt.zeros(3)])
    with pytest.raises(ShapeError, match=r"different numbers of parts: \[1, 2\]"):
        default_collate([[1, 2], [3]])
    with pytest.raises(DtypeError, match="cannot join samples of type object"):
        default_collate([object()])


def test_collate_keeps_the_containers():
    joined = default_collate([OrderedDict(b=1, a=2), OrderedDict(b=3, a=4)])
    assert type(joined) is OrderedDict
    assert list(joined) == ["b", "a"]
    assert type(default_collate([UserList([1, 2])])) is UserList
    assert [part.tolist() for part in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]
    assert default_collate([np.float64(1)]).dtype is mt.float64
    assert default_collate([np.int32(1)]).dtype is mt.int32
    assert default_collate([b"x"]) == [b"x"]
    assert default_collate([np.arange(3)[::-1]]).tolist() == [[2, 1, 0]]
    with pytest.raises(DtypeError, match="holds no numbers"):
        default_collate([np.array(["a"])])
    with pytest.raises(KeyError, match="a"):
        default_collate([{"a": 1}, {"b": 2}])


def test_convert():
    point = default_convert(Point(np.zeros(2), [np.float32(1), "x"]))
    assert isinstance(point, Point)
    assert point.x.dtype is mt.float64
    assert point.y[0].item() == 1
    assert point.y[1] == "x"
    assert default_convert((1, 2)) == [1, 2]
    assert default_convert(np.array(["a"])).tolist() == ["a"]
    assert type(default_convert(OrderedDict(a=np.zeros(1)))) is OrderedDict
    kept = object()
    assert default_convert(kept) is kept


def test_data_sets_of_data_sets():
    joined = ConcatDataset([range(3), [], "ab"])
    assert len(joined) == 5
    assert [joined[i] for i in range(-5, 5)] == [0, 1, 2, "a", "b"] * 2
    assert [b.tolist() for b in DataLoader(ConcatDataset([range(2), range(5, 7)]), 3)] == [[0, 1, 5], [6]]
    data = TensorDataset(mt.arange(2)) + TensorDataset(mt.arange(3))
    assert isinstance(data, ConcatDataset)
    assert data[3][0].item() == 1
    for i in (5, -6):
        with pytest.raises(IndexError, match="out of range for 5 samples"):
            joined[i]
    with pytest.raises(ShapeError, match="no data set"):
        ConcatDataset([])
    with pytest.raises(ShapeError, match="use ChainDataset"):
        ConcatDataset([ChainDataset([])])
    assert len(ChainDataset([range(2), range(3)])) == 5
    pair = StackDataset(TensorDataset(mt.arange(4)), "abcd")
    assert pair[1][0][0].item() == 1
    assert [label for _, label in pair.__getitems__([3, 0])] == ["d", "a"]
    named = StackDataset(x=range(4), y="abcd")
    assert named.__getitems__([2]) == [{"x": 2, "y": "c"}]
    (batch,) = DataLoader(named, batch_size=4)
    assert batch["x"].tolist() == [0, 1, 2, 3]
    for bad in (lambda: StackDataset(), lambda: StackDataset([1], [1, 2]), lambda: StackDataset([1], x=[1])):
        with pytest.raises(ShapeError, match="StackDataset"):
            bad()


def test_a_data_set_that_gives_too_few():
    class Short(Dataset):
        def __len__(self):
            return 4

        def __getitems__(self, indices):
            return [0]

    with pytest.raises(ShapeError, match="asked for 2 samples and gave 1"):
        next(iter(DataLoader(Short(), batch_size=2)))


def test_distributed_sampler():
    """PyTorch's shares (2.13)."""
    for drop_last, want in (
        (False, [[0, 3, 6, 9], [1, 4, 7, 0], [2, 5, 8, 1]]),
        (True, [[0, 3, 6], [1, 4, 7], [2, 5, 8]]),
    ):
        have = [list(DistributedSampler(range(10), 3, r, shuffle=False, drop_last=drop_last)) for r in range(3)]
        assert have == want
    sampler = DistributedSampler(range(10), 3, 1, seed=4)
    assert list(sampler) == [4, 7, 8, 0]
    sampler.set_epoch(1)
    assert list(sampler) == list(DistributedSampler(range(10), 3, 1, seed=5))
    assert list(DistributedSampler([], 2, 0)) == []
    assert list(DistributedSampler(range(1), 4, 3)) == [0]
    assert len(DistributedSampler(range(3), 4, 3, drop_last=True)) == 0
    assert sorted(DistributedSampler(range(4))) == [0, 1, 2, 3]
    with pytest.raises(ShapeError, match="no rank 3 among 3"):
        DistributedSampler(range(4), 3, 3)


def test_lengths_and_last_batches():
    for n in (0, 1, 4, 5):
        for drop_last in (False, True):
            loader = DataLoader(range(n), batch_size=2, drop_last=drop_last)
            assert len(loader) == len(list(loader)) == (n // 2 if drop_last else (n + 1) // 2)
    assert len(DataLoader(range(3), batch_size=None)) == 3
    assert list(DataLoader(range(3), batch_size=None)) == [0, 1, 2]
    (pair,) = DataLoader([(np.zeros(2), "a")], batch_size=None)
    assert isinstance(pair[0], mt.Tensor)


def test_samplers_of_ones_own():
    class Backwards(Sampler):
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            return iter(range(self.n - 1, -1, -1))

        def __len__(self):
            return self.n

    loader = DataLoader(range(5), batch_size=2, sampler=Backwards(5))
    assert [b.tolist() for b in loader] == [[4, 3], [2, 1], [0]]
    assert len(loader) == 3
    loader = DataLoader(range(5), batch_sampler=[[0, 4], [2]])
    assert [b.tolist() for b in loader] == [[0, 4], [2]]
    assert loader.batch_size is None
    batches = BatchSampler(SequentialSampler(range(5)), 2, drop_last=True)
    assert [b.tolist() for b in DataLoader(range(5), batch_sampler=batches)] == [[0, 1], [2, 3]]


def test_iterable_data_sets():
    class Squares(IterableDataset):
        def __iter__(self):
            return (i * i for i in range(5))

    assert [b.tolist() for b in DataLoader(Squares(), batch_size=2)] == [[0, 1], [4, 9], [16]]
    assert [b.tolist() for b in DataLoader(Squares(), batch_size=2, drop_last=True)] == [
        [0, 1],
        [4, 9],
    ]
    assert list(DataLoader(Squares(), batch_size=None)) == [0, 1, 4, 9, 16]
    with pytest.raises(ShapeError, match="has its own order"):
        DataLoader(Squares(), shuffle=True)


def test_workers_change_nothing():
    mt.manual_seed(3)
    one = _epochs(DataLoader(range(9), shuffle=True), 1)
    mt.manual_seed(3)
    options = dict(num_workers=2, pin_memory=True, persistent_workers=True, prefetch_factor=4)
    assert _epochs(DataLoader(range(9), shuffle=True, **options), 1) == one


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: DataLoader([1], batch_size=0), ShapeError, "batch_size must be a positive"),
        (lambda: DataLoader([1], batch_size=2.5), ShapeError, "batch_size must be a positive"),
        (lambda: DataLoader([1], shuffle=True, sampler=[0]), ShapeError, "excludes shuffle"),
        (lambda: DataLoader([1], 2, batch_sampler=[[0]]), ShapeError, "excludes batch_size"),
        (lambda: DataLoader([1], None, drop_last=True), ShapeError, "no last batch"),
        (lambda: DataLoader([1], num_workers=-1), ShapeError, "num_workers must not be"),
        (lambda: DataLoader([], shuffle=True), ShapeError, "RandomSampler: the number"),
        (lambda: WeightedRandomSampler([1.0], 0), ShapeError, "num_samples must be a positive"),
        (lambda: list(WeightedRandomSampler([0.0], 1)), ShapeError, "all 0"),
        (lambda: TensorDataset(mt.zeros(2), mt.zeros(3)), ShapeError, r"differ: \[2, 3\]"),
        (lambda: TensorDataset(), ShapeError, "differ"),
        (lambda: TensorDataset(mt.zeros(2))[5], IndexError, "index 5 is out"),
        (lambda: list(DataLoader(TensorDataset(mt.zeros(2)), sampler=[7])), IndexError, "index 7"),
        (lambda: Dataset()[0], NotImplementedError, "Dataset has no __getitem__"),
        (lambda: iter(Sampler()), NotImplementedError, "Sampler has no __iter__"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_pictures_come_in_batches():
    pytest.importorskip("sklearn", reason="digits come with scikit-learn")
    data = mt.datasets.digits()
    image, label = data[5]
    assert image.dtype is mt.float32
    assert image.shape == (1, 8, 8)
    assert label.dtype is mt.int64
    x, y = next(iter(DataLoader(data, batch_size=32)))
    assert x.shape == (32, 1, 8, 8)
    np.testing.assert_array_equal(x[5], image)
    np.testing.assert_array_equal(y, data.labels[:32])
    train, test = random_split(data, [0.8, 0.2])
    assert len(train) + len(test) == 1797
    x, y = next(iter(DataLoader(test, batch_size=4)))
    np.testing.assert_array_equal(x[2], data[test.indices[2]][0])
