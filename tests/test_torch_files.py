"""PyTorch's files: what PyTorch 2.13 wrote, what we write, and what a file must not do."""

import argparse
import base64
import collections
import contextlib
import io
import math
import pathlib
import pickle
import pickletools
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import minitensor as mt
from minitensor import dtypes
from minitensor.graph.tensors import wrap
from minitensor.serialization import CheckpointError
from minitensor.serialization.torch_pickle import Pickler

NAMES = [d.name for d in dtypes.ALL]

# Files that PyTorch 2.13 wrote, compressed. Of x = arange(6.).reshape(2, 3): [x, x.t(), x[1], zeros(0, 3)]; the same in
# the older format; a checkpoint; a sparse matrix.
VIEWS = (
    "eNqlVTFv00AUPtupm7o0aVogbYCwBqmkcZy4KQhSWcgMHkiDkCIkZLnOUVu4cc+5FsGAIqFU6gZ/ALHwG2BEYmEtQyc2BmDiL3AX"
    "E9d2mrbAUy6nJO/73nf3vuc0NC4BQDIJRmIWzAHDMy17Fy63DWwUt584qpICDyPRYx8hUDCxSzKL+g62na6ge3Bjx3baOoadruvp"
    "u2UBMYVCa5KwdkmmsQkR60ME1XENfN//UkBciyE5JZRocWQ3t3fQhMZjxK9rQGM1bg9NapzG7KHkvmm6jgNNbLudrnDPa0MPtu/Y"
    "JhbQ1LUmEjCabqJzFqlqsRZnJawBzwzl4TR2D6U0htKl9y2aPotRponm4unz6ySZ66PzGtNHF/zUixhlm2hhmDrQK6JFAgAY5Sg/"
    "oMSXfJ2XfdAVjPJNdBUWG9pk8u4P90uRwOhqjL39LJgJbr/42PW2DKzvQq9LzqsqU0dNECnl+19fX1IhdI2nzIGVI8o/fdANx97s"
    "bMEOVhUp1tozhVyhAupP0U+WlGBPFJAB9UDAxjMMXdo2Vbn5L3WH4dgYO5Bq6N/6tsiTKvyJGlLgdsTVyyVVufEfAnzWXp28rZEX"
    "WT2y3q5RRdlX318vkB8WAkXgWEVLUUWiqhTOrGj8SdNgPuANnJOOE0sCVXrwZvPB6f3Lg/KRgQZSu9CziYOeG3QOdbutKsW/vMtS"
    "VRbFUq1almRxVV4pVcurlZJckyoyiXJFqolVSarVZKry8N3nXIHoKAxUMlRsoDM8VbMjyuPPsTg6PEDZCPIFA8bNYZwkPAS5CMlB"
    "mGRk8uI8YSNnIjxNFowOUBwedl0qAj9kQcz7Q+zxvgyHxcWwYrxu2EPpCPZjCDvm7sKtzUfAcwlwiukaGs8vDS3KXQ+Qydg+7R8V"
    "fEj4O8HRfyTwifc/+0/PCd7HJAf5fu5vu3uCkA=="
)
CHECKPOINT = (
    "eNqlVk1s21Qcf/lomrrQLwbtCpTBgKXQpXacz61dOtO5bEaiZEIyvQQncRtrTpy//dJpkyoVoYyvC0NoAg4DaecdOCEugDhxGAdu"
    "HLhxQAgEJwRH3ntOPdul7UafYlkvfr+P//+9/99eVWJxhJJJtGuMoQmk2fWmsanPNzSspTuXTFkaQWuBsR3dApRSBwigZTV0EyL1"
    "umWaeh0bVtvhXrYbuq03lo065iA6W4FYSo2QtZchXscWYU9Xu9gwHa5q67WuYTaqWG87ll3dzHAwkEqpg2SxQ1ZqGzokXAi3bHVr"
    "pn7R/ZeDQcbIQ1KNkXu904UhJYqBe0VBSrQHw0qkBw+806TqD2IYqcAoA7RhrEkUmjusL1ntDY9znC0RYKI5pEQwPES4ZmddjiMY"
    "Hq7AI90tmFSHyKJqS8caTRBMsedHVZo9mN6CR5n7Td12SC7gMSXiOE5NjZL/TBseXyl/+TEdn7Dk1QiJAzMr5d/v0PH9SvmPdTau"
    "wRPMSweO7ZGxjmZrxINuc/BkICLZtDTshfQUo8nAcRJSAsPTND2xHjxD0/OsG9oJDKkKzL7NJs+9Bc9XYE6N0x0wrupwsk97kUw4"
    "SCtRJXYN5nvAV0BgMTTwlY4Omf6ydaou5DkQ1QR9qG8adR2y/afulIOct2n5HhQqUGR6Tc1ch1IgGEl2+bx4TrF4RDjdZNu90N/u"
    "RRrPGTeeMoalCpxllC3NuQRSkNKyTI/uBUaXhWWX7lyfTqZ0Ky7dixjOV+BCN72qDCZvfn7r07/IXtJrdc8imkQJr4jS65bd0nC1"
    "fyBkKUpqSaBcX/z505tUnV57c02jwl2ufk1UNdPYaLf0NpYlMVSa9zTyWWqgfBl+pecyuq+BcVT2DNSuYN2ixS1Lp/+P7s4wDYxN"
    "nXroLf58lB6UxL4eRtCZQFea52Xp1CEMuKz/lPv031An71240xtjHXB/J9mgE0GW+Pt2EuuzUd13f7z9GxVKHqC7ENTNyFIRHS7+"
    "bRr/EvmRa5tcny1RP5Pv/3J9ijyYOsDPXNCPKEupe/aDyueZVuu7I6/RMo0foLUU1MrK0sJhjt9ahGX+q+Pfqgef/1F01lP3injx"
    "UPJrIkf1f7i58erB+jMoc7cBsPAd3TZIB7iq0bdt1WjIUvo+7fB8LieUeKGYEzO8mCvxhWJByBcEURCyYqGYL5X4Ul7IidTl62/A"
    "iRTxkWIuI9Ss59PfDsd2OQ9/R4TR/gY4GUCei6G9GmiYxN/EpgMk1/0kuzpnmMffiMYDPBNxtLsBhuH+7jESgN+Io1DvCmP9HSCI"
    "PTYQwgphrL9ag9iPwthMGOuvviA2lQhhxTDWXztB7IdhbDaM9Z/70WCqB1G41sJg/3GcCYA/8IH/u1BWlURibqesYic95HDo/nXU"
    "vReTO206Qb/p0N+cO3ff2AMJFzPM1rtr/wXgmpjw"
)
OLDER = (
    "eNp9kLtOwzAUhh0nFDCU+61cy1aWCmhpywQD6mJxaViyoKikFgmK4p7EqQRSpS6tgGdgYOTVeAQkBk5IByQqrNhSjs///f9xj74w"
    "/+u1/pm/f7/KFXv0/EPHswukYM0RQtqhVNKRvt0RYeTJADRssLJ443tK+cIWQctrBkCfLIZF9dAWduQ9igj0LhgFawyLkStDBWOc"
    "Wjr+eYGCDDcsI2HI4A7GuRHH6HmDno6SoeMW7Vh5fsTsUNzGnt+ylQgiGdqdQwZaoWCNJ1DsbN4JoKmE1X3ZVNdpkYFuzWDPcblU"
    "qdYq+6Xj2kG1AsaPv9OOMUvmAlM0OOGU6wOMoHNtABPPDo7qC0fhpBG7DFsiFK0zz1EMJvdMYAqmTJh2MYNL3ZEeWTdlzyRsndMB"
    "zHItsZh7dhPEvIIFExb/QywNEcsNBOh9WOFaH1ZT+ZqCnAnrf+XVann/qFaulGED5QTlm0kCklhvpdNtp4gdBXkTdsXwxUchtFGx"
    "qCiS4cqQ36t3gscpfrh7uN9OvwGGwpYs"
)
SPARSE = (
    "eNqlVT1v00AYvjhpkrolSQv9BNoODEGC1Ha+WioIMsiLkQipkCIkZLmOSay6cV/7EtROVVEidUJiRWJjZ2MAfgQ7G1Mn/gJ3SZza"
    "LkmhnGRdFL3Px/l9n3NZDkcQisfRuZVCs0i1tYbR1tdrKlYz+7umJCbQC986YjRskaqM0sKG6bCKre+0DLOmOPuq7egK1puOZbOA"
    "BmWObhuqaRyq2LCarFLXsWKqB1YLsxCqpojsoKyP1iwLmA6EKxBJj9DpCyhtgYWJdLoaIxQOqVTrOkT7EPaJ1axv9/9jIVYNkRIO"
    "4tUw2bX9FkzKEQzsMxnJjMx0YYpsoS5Mn2iaZZq6Ro067FO7ptt67bGhEadXblcggSFZgVSDiDZcIcm0VDxUmukp8TDbmJQZDFd7"
    "Ch24Joc6MHfSoCTzGBYqsDiAbxuHBLZE9MNdWO7A9QrcOMFwswsrFVjNlOVY/PjlcWaX0NKnPLJ1C6R5busyryx7T8VKW7cdchJJ"
    "nPZ1kKesn3/9eEO90mc06zIqnrEO3rFCellv7ulNLInZwGj81SrkqIHSazhliAQz1sAMKg0N7Bxg3aI9kcSty+i6yzQwNnXqoXP/"
    "51KUqETHekigB75UrHOSeO8/DLi8ocHOBPSos9O5t6tr5PfaBc5u+Z3xkriGLtY/KhHwQ6rT/ljKUOL4WJ0k2hrqDIeqeNlXkGWp"
    "8vcP9ecX938FCWcD2Dui7zZRjJokZv7RCJcv8Dy3kReyBX6zUOTywmaO4/hiTuDy2RzP8QJfzOYKAnX5zXz/NU18pHsuQ71WuT69"
    "wUydcx68R4NobwAXfMgvITQqykESb4iW/cFh0JjkBnm8QZjx8bzz8AwDGIR7pzXhg8+HUSA7Qax3Av3YT0EsH8R6Zyjpwy5GUHBi"
    "g2Bva1f8Z/aA/zx0ZTkaveOOaPjuEBkP7FODbG9MuNGO0q8VehQ7uwLK8kS0j4n36vu1vwHnna2J"
)


def file_of(text: str) -> io.BytesIO:
    return io.BytesIO(zlib.decompress(base64.b64decode(text)))


def saved(obj: Any, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    mt.save(obj, file, **options)
    file.seek(0)
    return file


def again(obj: Any, **options: Any) -> Any:
    return mt.load(saved(obj, **options))


def forged(text: bytes, **data: bytes) -> io.BytesIO:
    """A zip file with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", text)
        for key, content in data.items():
            archive.writestr(f"archive/data/{key}", content)
    file.seek(0)
    return file


# --- what PyTorch wrote -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [VIEWS, OLDER])
def test_views_stay_views(file: str) -> None:
    x, transposed, row, empty = mt.load(file_of(file))
    assert x.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert transposed.stride() == (1, 3)
    assert (row.storage_offset(), row.tolist()) == (3, [3.0, 4.0, 5.0])
    assert (empty.shape, empty.dtype) == ((0, 3), mt.float32)
    x[1, 0] = 9.0
    assert row[0] == 9.0
    assert transposed[0, 1] == 9.0


def test_a_write_into_a_view_is_seen_by_the_graph() -> None:
    x, _, row, _ = mt.load(file_of(VIEWS))
    row.requires_grad_()
    loss = (row * row).sum()
    x[1, 0] = 9.0
    with pytest.raises(mt.errors.GraphError, match=r"written"):
        loss.backward()


def test_a_checkpoint() -> None:
    found = mt.load(file_of(CHECKPOINT))
    model = found.pop("model")
    assert type(model) is collections.OrderedDict
    assert model._metadata == {"": {"version": 1}}
    assert (model["w"].dtype, model["w"].tolist()) == (mt.float64, [1.5, -2.0])
    assert (model["n"].dtype, model["n"].item()) == (mt.int64, 3)
    p = found.pop("p")
    assert type(p) is mt.nn.Parameter
    assert p.requires_grad
    assert p.tolist() == [0.0, 1.0, 2.0]
    half = found.pop("half")
    assert (half.dtype, half.tolist()) == (mt.bfloat16, [0.5, 3.140625])
    assert found.pop("mask").tolist() == [True, False]
    assert found == {
        "lr": 0.1,
        "betas": (0.9, 0.95),
        "size": mt.Size([2, 3]),
        "dtype": mt.float16,
        "device": mt.device("cpu"),
    }
    assert type(found["size"]) is mt.Size


def test_a_sparse_matrix() -> None:
    x = mt.load(file_of(SPARSE))
    assert x.is_sparse
    assert x.to_dense().tolist() == [[0.0, 0.0, 1.0], [2.0, 0.0, 0.0]]
    assert again(x).to_dense().tolist() == x.to_dense().tolist()


# --- what we write ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3)])
def test_every_dtype_and_shape(name: str, shape: tuple[int, ...], older: bool) -> None:
    x = (np.arange(math.prod(shape)) % 100).astype(dtypes.of(name).numpy).reshape(shape)
    found = again(mt.from_numpy(x), _use_new_zipfile_serialization=not older)
    assert found.array.dtype == x.dtype
    assert found.array.shape == shape
    assert found.array.tobytes() == x.tobytes()


def test_the_names_are_pytorchs() -> None:
    obj = [
        mt.zeros(2),
        mt.nn.Parameter(mt.zeros(1)),
        mt.float32,
        mt.device("cpu"),
        mt.Size([2]),
        collections.OrderedDict(),
    ]
    with zipfile.ZipFile(saved([*obj, {1}, b"\xff"])) as archive:
        assert archive.namelist()[0] == "archive/data.pkl"
        assert archive.read("archive/byteorder") == b"little"
        assert archive.read("archive/version") == b"3\n"
        text = archive.read("archive/data.pkl")
    names = {a for op, a, _ in pickletools.genops(text) if op.name == "GLOBAL"}
    assert names == {
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch FloatStorage",
        "torch float32",
        "torch device",
        "torch Size",
        "collections OrderedDict",
        "__builtin__ set",
        "_codecs encode",
    }


def test_elements_begin_at_multiples_of_64_and_views_are_written_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.pt"
    x = mt.zeros(100, 10)
    mt.save({"x": x, "row": x[3], "other": mt.ones(3), "one": mt.ones(1, dtype=mt.uint8)}, path)
    raw = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entries = [i for i in archive.infolist() if i.filename.startswith("model/data/")]
    assert [i.file_size for i in entries] == [4000, 12, 1]
    for i in entries:
        name, extra = struct.unpack("<HH", raw[i.header_offset + 26 : i.header_offset + 30])
        assert (i.header_offset + 30 + name + extra) % 64 == 0


def test_views_without_a_form_are_copied() -> None:
    memory = np.arange(12.0)
    for view in (memory[::-1], np.lib.stride_tricks.as_strided(memory[2:], (3,), (-8,)), memory[:0]):
        assert again(wrap(view)).tolist() == view.tolist()
    read_only = np.broadcast_to(np.float32(3), (2, 2))
    assert again(mt.from_numpy(read_only.copy()[:, 1])).tolist() == [3.0, 3.0]


def test_attributes_and_one_object_twice() -> None:
    p = mt.nn.Parameter(mt.ones(2))
    p.tag = "kept"
    x = mt.ones(2)
    x.note = [x.shape]
    found = again({"a": p, "b": p, "x": x})
    assert found["a"] is found["b"]
    assert found["a"].tag == "kept"
    assert found["x"].note == [mt.Size([2])]


def test_gradients_stay_behind_and_what_requires_them_does() -> None:
    x = mt.ones(2, requires_grad=True)
    (x * x).sum().backward()
    found = again([x, x * 2, x.detach()])
    assert [y.requires_grad for y in found] == [True, True, False]
    assert all(y.grad is None and y.is_leaf for y in found)


def test_generators_and_their_states() -> None:
    g = mt.Generator().manual_seed(3)
    mt.randn(3, generator=g)
    found, state = again([g, g.get_state()])
    want = mt.randn(20, generator=g)
    assert mt.equal(mt.randn(20, generator=found), want)
    other = mt.Generator()
    other.set_state(state)
    assert mt.equal(mt.randn(20, generator=other), want)


def test_a_training_goes_on(tmp_path: pathlib.Path) -> None:
    def begin() -> tuple[Any, Any, Any]:
        mt.manual_seed(0)
        net = mt.nn.Sequential(mt.nn.Linear(3, 4), mt.nn.BatchNorm1d(4), mt.nn.Linear(4, 1))
        optimizer = mt.optim.AdamW(net.parameters(), lr=0.1)
        return net, optimizer, mt.optim.lr_scheduler.StepLR(optimizer, 2)

    def steps(net: Any, optimizer: Any, scheduler: Any, n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            net(mt.randn(5, 3)).square().sum().backward()
            optimizer.step()
            scheduler.step()

    first = begin()
    steps(*first, 3)
    mt.save({"parts": [part.state_dict() for part in first], "rng": mt.get_rng_state()}, tmp_path / "ckpt.pt")
    steps(*first, 3)
    second = begin()
    found = mt.load(tmp_path / "ckpt.pt", map_location="cpu")
    for part, state in zip(second, found["parts"], strict=True):
        part.load_state_dict(state)
    mt.set_rng_state(found["rng"])
    steps(*second, 3)
    assert all(mt.equal(a, b) for a, b in zip(first[0].parameters(), second[0].parameters(), strict=True))


class Net(mt.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = mt.nn.LSTM(3, 4)
        self.table = mt.nn.Embedding(5, 3)
        self.tied = mt.nn.Embedding(5, 3)
        self.tied.weight = self.table.weight
        self.register_buffer("scale", mt.tensor(2.0), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.inner(self.tied(x))[0] * self.scale


def test_whole_modules() -> None:
    net, x = Net(), mt.tensor([[1, 2]])
    file = saved(net)
    with pytest.raises(CheckpointError, match=r"Net, which is not in the list.*weights_only=False"):
        mt.load(file)
    file.seek(0)
    found = mt.load(file, weights_only=False)
    assert mt.equal(found(x), net(x))
    assert found.tied.weight is found.table.weight
    assert "scale" not in found.state_dict()


def test_a_module_that_pytorch_pickled() -> None:
    """The attributes that PyTorch's modules have, under the names of their classes."""

    state = {
        "training": False,
        "_parameters": {"weight": mt.nn.Parameter(mt.ones(2, 3)), "bias": None},
        "_buffers": {},
        "_non_persistent_buffers_set": set(),
        "_backward_hooks": collections.OrderedDict(),
        "_forward_hooks": collections.OrderedDict(),
        "_forward_hooks_with_kwargs": collections.OrderedDict(),
        "_forward_hooks_always_called": collections.OrderedDict(),
        "_modules": {},
        "in_features": 3,
        "out_features": 2,
    }
    body = pickle.dumps(None, 2)[:2] + b"ctorch.nn.modules.linear\nLinear\n)\x81"
    inner = io.BytesIO()
    pickler = Pickler(inner, 2)
    pickler.dump(state)
    text = body + inner.getvalue()[2:-1] + b"b."
    memory = pickler.memories[0]
    found = mt.load(forged(text, **{"0": memory.tobytes()}), weights_only=False)
    assert type(found) is mt.nn.Linear
    assert found(mt.ones(1, 3)).tolist() == [[3.0, 3.0]]
    assert not found.training


def test_names_and_folders(tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "my.model.pt", "wb") as file:
        mt.save([1], file)
    with zipfile.ZipFile(tmp_path / "my.model.pt") as archive:
        assert archive.namelist()[0] == "my.model/data.pkl"
    assert mt.load(str(tmp_path / "my.model.pt")) == [1]
    assert again([1.5, "ü"], pickle_protocol=4) == [1.5, "ü"]
    with pytest.raises(ValueError, match="format 'gguf' is not one of torch, safetensors"):
        mt.save([1], tmp_path / "x", format="gguf")
    with pytest.raises(ValueError, match="only safetensors files have metadata"):
        mt.save([1], tmp_path / "x", format="torch", metadata={"a": "b"})
    with pytest.raises(TypeError, match="pickle"):
        mt.save((i for i in ()), tmp_path / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["my.model.pt"]


# --- where to --------------------------------------------------------------------------------------------------------


def test_map_location() -> None:
    file = saved({"w": mt.ones(2)})

    def load(where: Any) -> Any:
        file.seek(0)
        return mt.load(file, map_location=where)["w"].tolist()

    seen = []

    def keep(memory: Any, location: str) -> Any:
        seen.append((location, memory.nbytes()))
        return memory.cpu()

    for where in (None, "cpu", mt.device("cpu"), {"cuda:0": "cpu"}, lambda memory, location: None, keep):
        assert load(where) == [1.0, 1.0]
    assert seen == [("cpu", 8)]
    for where in ("cuda", {"cpu": "cuda:0"}):
        with pytest.raises(RuntimeError, match="cuda"):
            load(where)
    with pytest.raises(TypeError, match="map_location must return the storage or None, not a int"):
        load(lambda memory, location: 3)
    with pytest.raises(ZeroDivisionError):
        load(lambda memory, location: 1 / 0)


def test_mmap(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.pt"
    x = mt.arange(12.0).reshape(3, 4)
    mt.save({"x": x, "row": x[1]}, path)
    found = mt.load(path, mmap=True)
    found["x"][1, 0] = 7.0
    assert found["row"][0] == 7.0
    assert mt.load(path)["x"][1, 0] == 4.0  # the file is as it was
    for bad in (open(path, "rb"), tmp_path / "x.safetensors"):
        mt.save({"x": x}, tmp_path / "x.safetensors")
        with pytest.raises(ValueError, match="mmap takes the name of a file"):
            mt.load(bad, mmap=True)
        if hasattr(bad, "close"):
            bad.close()


def test_big_endian() -> None:
    values = np.array([1.5, -2.0, 3.0], ">f4")
    with zipfile.ZipFile(saved(mt.tensor([0.0, 0.0, 0.0]))) as archive:
        text = archive.read("archive/data.pkl")
    file = forged(text, **{"0": values.tobytes()})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("archive/byteorder", "big")
    file.seek(0)
    assert mt.load(file).tolist() == [1.5, -2.0, 3.0]


# --- what a file must not do ------------------------------------------------------------------------------------------


class Evil:
    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


ran: list[Any] = []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (pickle.dumps(Evil(eval, "1"), 2), "builtins.eval, which is not in the list"),
        (pickle.dumps(Evil(ran.append, 1), 2), "builtins.getattr, which is not in the list"),
        (pickle.dumps(Evil(pickle.loads, b"N."), 4), "_pickle.loads, which is not in the list"),
        (b"\x80\x02cminitensor.cli\nmain\n)R.", "minitensor.cli.main, which is not in the list"),
        (b"\x80\x02ctorch\nfloat32\n}X\x04\x00\x00\x00nameK\x01sb.", "sets the state of a dtype"),
        (b"\x80\x02ctorch\nfloat32\nN}X\x08\x00\x00\x00itemsizeK\x01s\x86b.", "sets the state of a dtype"),
        (b"\x80\x02ctorch._utils\n_rebuild_parameter\n}X\x01\x00\x00\x00aK\x01sb.", "sets the state of a function"),
        (
            b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb.",
            "ordered dict has a state that is none",
        ),
        (b"\x80\x02ctorch\nTensor\n)R.", "its pickle calls"),
        (b"\x80\x02ctorch\nTensor\n)\x81.", "makes an object of"),
        (b"\x80\x02ccollections\nOrderedDict\n)RK\x01a.", "puts items into a OrderedDict"),
        (b"\x80\x02]K\x01K\x02s.", "puts items into a list"),
        (b"\x80\x02\x82\x01.", "damaged"),
        (b"\x80\x02(ibuiltins\neval\n.", "damaged"),
        (b"\x80\x02P1\n.", "damaged"),
        (b"\x80\x02X\x03\x00\x00\x00abcQ.", "no tensor's memory"),
        (b"\x80\x02]h\x05.", "damaged"),
        (b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "damaged"),
        (b"", "damaged"),
    ],
)
def test_what_is_no_data_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        mt.load(forged(text))
    assert ran == []
    assert mt.float32.itemsize == 4


def tensor_call(count: int, offset: int, size: Any, stride: Any, key: str = "0") -> bytes:
    """The pickle of a tensor with these arguments."""

    def number(n: Any) -> bytes:
        return pickle.dumps(n, 2)[2:-1]

    pid = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + number(key) + number("cpu") + number(count) + b"tQ"
    args = pid + number(offset) + number(size) + number(stride)
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + args + b"\x89ccollections\nOrderedDict\n)RtR."


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (tensor_call(4, 0, (5,), (1,)), "reaches beyond its memory of 4"),
        (tensor_call(4, 3, (2,), (1,)), "reaches beyond"),
        (tensor_call(4, -1, (2,), (1,)), "the offset -1"),
        (tensor_call(4, 3, (2,), (-1,)), r"the stride \(-1,\)"),
        (tensor_call(4, 0, (2, 2), (1,)), "the stride"),
        (tensor_call(4, 0, (2**62, 4), (0, 1)), "damaged|beyond"),
        (tensor_call(5, 0, (2,), (1,)), "data/0 has 16 bytes, its pickle says 20"),
        (tensor_call(2**60, 0, (2,), (1,)), "data/0 has 16 bytes"),
        (tensor_call(4, 0, (2,), (1,), "../../x"), "which is missing"),
        (tensor_call(4, 0, 3, (1,)), "damaged"),
    ],
)
def test_tensors_stay_within_their_memory(call: bytes, says: str) -> None:
    assert mt.load(forged(tensor_call(4, 1, (3,), (1,)), **{"0": bytes(16)})).shape == (3,)
    with pytest.raises(CheckpointError, match=says):
        mt.load(forged(call, **{"0": bytes(16)}))


def test_safe_globals() -> None:
    file = saved({"args": argparse.Namespace(lr=0.1)})
    assert mt.serialization.get_unsafe_globals_in_checkpoint(file) == ["argparse.Namespace"]
    file.seek(0)
    with pytest.raises(CheckpointError, match=r"argparse.Namespace.*add_safe_globals\(\[Namespace\]\)"):
        mt.load(file)
    file.seek(0)
    with mt.serialization.safe_globals([argparse.Namespace]):
        assert mt.load(file)["args"].lr == 0.1
    file.seek(0)
    with pytest.raises(CheckpointError):
        mt.load(file)
    mt.serialization.add_safe_globals([(argparse.Namespace, "argparse.Namespace")])
    file.seek(0)
    assert mt.load(file)["args"] == argparse.Namespace(lr=0.1)
    mt.serialization.clear_safe_globals()
    assert mt.serialization.get_safe_globals() == []


def test_dtypes_that_are_not_ours() -> None:
    assert again([dtypes.uint16, mt.float32]) == [dtypes.uint16, mt.float32]
    with zipfile.ZipFile(saved(mt.zeros(2))) as archive:
        text = archive.read("archive/data.pkl")
    made = mt.load(forged(text.replace(b"FloatStorage", b"ComplexFloatStorage"), **{"0": bytes(16)}))
    assert (made.dtype, made.tolist()) == (mt.complex64, [0, 0])


def test_other_zips_and_programs(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(CheckpointError, match=r"a zip archive without a data\.pkl"):
        mt.load(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02N.")
        archive.writestr("m/constants.pkl", b"\x80\x02N.")
    with pytest.raises(CheckpointError, match="TorchScript program"):
        mt.load(tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02N.")
    with pytest.raises(CheckpointError, match="compressed or encrypted"):
        mt.load(tmp_path / "c.zip")


@pytest.mark.parametrize("older", [False, True])
def test_cut_anywhere(older: bool) -> None:
    raw = saved({"a": mt.ones(3), "n": [1.5]}, _use_new_zipfile_serialization=not older).getvalue()
    for n in range(0, len(raw), 3):
        with pytest.raises(CheckpointError):
            mt.load(io.BytesIO(raw[:n]))


@settings(deadline=None)
@example(20, 0x96, True)  # a bytearray as long as the next eight bytes say
@given(st.integers(0, 3000), st.integers(0, 255), st.booleans())
def test_one_changed_byte_loads_or_is_refused(position: int, byte: int, older: bool) -> None:
    raw = bytearray(saved({"a": mt.ones(3), "n": [1.5]}, _use_new_zipfile_serialization=not older).getvalue())
    raw[position % len(raw)] = byte
    with contextlib.suppress(CheckpointError, NotImplementedError):  # and with nothing else
        mt.load(io.BytesIO(bytes(raw)))
