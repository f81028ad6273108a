"""save and load: what comes back, what other readers see, and every way to damage a file."""

import contextlib
import io
import json
import math
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitensor import dtypes
from minitensor.graph.tensors import wrap
from minitensor.serialization import CheckpointError, load, read_metadata, save

NAMES = [d.name for d in dtypes.ALL]


def tensor(*shape: int, dtype: str = "float32", start: int = 0) -> Any:
    return wrap((np.arange(start, start + math.prod(shape)) % 100).astype(dtypes.of(dtype).numpy).reshape(shape))


def same(a: Any, b: Any) -> bool:
    """Equal in structure, types, dtypes and bits."""
    if hasattr(a, "array"):
        return hasattr(b, "array") and same(a.array, b.array)
    if isinstance(a, np.ndarray):
        kind = isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape
        return kind and a.tobytes() == b.tobytes()
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


def header(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])


def forged(path: Path, head: Any, data: bytes = b"") -> Path:
    """A file with this header (a string, or what becomes JSON) and these bytes after it."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(shape: Any, begin: Any, end: Any, dtype: Any = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.safetensors"


# --- what comes back ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3), (1,) * 20])
def test_every_dtype_and_shape(path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    x = tensor(*shape, dtype=dtype)
    save(x, path)
    assert same(load(path), x)


def test_a_checkpoint(path: Path) -> None:
    obj = {
        "model": {"conv.weight": tensor(2, 3), "conv.bias": tensor(3, dtype="float64")},
        "optimizer": {
            "state": {0: {"step": 7, "exp_avg": tensor(2, 3, start=5)}, 1: {}},
            "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1], "fused": None}],
        },
        "history": {"loss": [0.1, float("inf"), float("nan")]},
        "names": ["a", "ü", "\0"],
        "state": np.arange(5, dtype=np.uint8),
        "flags": {True: "yes", None: 2**80, 1.5: -0.0},
        "empty": [{}, [], ()],
    }
    save(obj, path)
    assert same(load(path), obj)
    assert str(load(path)["flags"][1.5]) == "-0.0"


def test_numpy_scalars_become_numbers(path: Path) -> None:
    save([np.float32(1.5), np.int64(3), np.bool_(True)], path)
    assert same(load(path), [1.5, 3, True])


def test_order_of_a_state_dict_is_kept(path: Path) -> None:
    obj = {"z": tensor(1, dtype="bool"), "a": tensor(3, dtype="float64"), "m": tensor(2)}
    save(obj, path)
    assert same(load(path), obj)
    assert list(header(path)) == ["z", "a", "m"]


def test_every_element_is_aligned(path: Path) -> None:
    save({n: tensor(3, dtype=n) for n in NAMES}, path)
    raw = path.read_bytes()
    first = 8 + int.from_bytes(raw[:8], "little")
    for name, e in header(path).items():
        assert (first + e["data_offsets"][0]) % dtypes.of(name).itemsize == 0


def test_strided_and_negative_strides(path: Path) -> None:
    x = np.arange(24.0).reshape(4, 6)
    obj = {
        "t": wrap(x.T),
        "s": wrap(x[::2, 1::3]),
        "r": x[::-1],
        "b": np.broadcast_to(np.float32(3), (2, 2)),
    }
    save(obj, path)
    assert same(load(path), obj)


def test_shared_tensors_are_stored_once_and_shared_again(path: Path) -> None:
    w = tensor(100, 10)
    save({"a": w, "b": wrap(w.array), "part": wrap(w.array[:50])}, path)
    assert list(header(path)) == ["__metadata__", "a", "part"]
    back = load(path)
    assert list(back) == ["a", "b", "part"]
    assert back["a"] is back["b"]
    assert same(back["a"], w)
    assert same(back["part"], wrap(w.array[:50]))


def test_names_that_collide(path: Path) -> None:
    obj = {"a": {"b": tensor(1)}, "a.b": tensor(2), "__metadata__": tensor(3), "": tensor(4)}
    save(obj, path)
    assert same(load(path), obj)


def test_gradients_are_left_behind(path: Path) -> None:
    x = tensor(2)
    x.requires_grad = True
    save({"x": x}, path)
    assert load(path)["x"].requires_grad is False


def test_what_is_loaded_can_be_written_to(path: Path) -> None:
    save({"x": tensor(2)}, path)
    x = load(path)["x"]
    x.array[:] = 5
    assert x.array.tolist() == [5, 5]


def test_metadata(path: Path) -> None:
    save({"x": tensor(2), "epoch": 3}, path, metadata={"by": "me"})
    assert read_metadata(path) == {"by": "me"}
    save({"x": tensor(2)}, path)
    assert read_metadata(path) == {}


def test_open_files() -> None:
    file = io.BytesIO(b"before")
    file.seek(6)
    save({"x": tensor(3), "n": 1}, file, format="safetensors")
    file.seek(6)
    assert same(load(file), {"x": tensor(3), "n": 1})


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.builds(tensor, st.integers(0, 3), st.integers(0, 3), dtype=st.sampled_from(NAMES))
)
keys = st.text() | st.integers() | st.none() | st.floats(allow_nan=False)
objects = st.recursive(
    leaves,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(keys, x, max_size=3) | st.lists(x, max_size=3).map(tuple),
)


@settings(deadline=None)
@given(objects)
def test_any_structure(obj: Any) -> None:
    for kind in ("safetensors", "torch"):
        file = io.BytesIO()
        save(obj, file, format=kind)
        file.seek(0)
        assert same(load(file), obj)


# --- other readers and writers --------------------------------------------------------------------


def test_the_safetensors_library_reads_ours(path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    obj = {n: tensor(2, 3, dtype=n) for n in NAMES if n != "bfloat16"} | {"scalar": tensor(), "none": tensor(0, 4)}
    save(obj, path, metadata={"k": "v"})
    read = safetensors.load_file(path)
    assert read.keys() == obj.keys()
    assert all(same(read[k], obj[k].array) for k in obj)


def test_we_read_the_safetensors_librarys(path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    obj = {n: tensor(2, 3, dtype=n).array for n in NAMES if n != "bfloat16"} | {"none": np.zeros((0, 4), np.float32)}
    safetensors.save_file(obj, path, metadata={"format": "np"})
    read = load(path)
    assert read.keys() == obj.keys()
    assert all(same(read[k].array, obj[k]) for k in obj)
    assert read_metadata(path) == {"format": "np"}


def test_bfloat16_from_its_bytes(path: Path) -> None:
    values = np.array([1.0, -2.5, 3.140625], np.float32)
    data = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    assert same(load(forged(path, {"a": entry([3], 0, 6, "BF16")}, data))["a"].float().array, values)


def test_the_bytes_of_a_file(path: Path) -> None:
    save({"w": tensor(2, dtype="int16", start=1)}, path)
    text = b'{"w":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}  '
    assert path.read_bytes() == b"\x38" + bytes(7) + text + b"\1\0\2\0"


# --- what cannot be saved -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "says"),
    [
        ({"a": [1, object()]}, r"'a\.1' is a object, not data"),
        (np.zeros(2, complex), "the object has dtype complex128"),
        ({"x": {(1, 2): 3}}, "'x' has a key of type tuple"),
        ({"x": 1j}, "'x' is a complex"),
        (np.float128(1) if hasattr(np, "float128") else object(), "the object is a"),
    ],
)
def test_what_cannot_be_saved(path: Path, obj: Any, says: str) -> None:
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=says):
        save(obj, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


def test_a_module_is_told_about_state_dict(path: Path) -> None:
    class Module:
        def state_dict(self) -> dict[str, Any]:
            return {}

    with pytest.raises(TypeError, match=r"the object is a Module, not data; save its state_dict"):
        save(Module(), path)


def test_what_contains_itself(path: Path) -> None:
    obj: list[Any] = []
    obj.append(obj)
    with pytest.raises(ValueError, match="contains itself"):
        save(obj, path)


@pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}])
def test_metadata_that_are_no_strings(path: Path, metadata: Any) -> None:
    with pytest.raises(TypeError, match="must be strings"):
        save(tensor(1), path, metadata=metadata)


def test_metadata_of_our_own_name(path: Path) -> None:
    with pytest.raises(ValueError, match="library's own"):
        save(tensor(1), path, metadata={"minitensor": "x"})


# --- damaged files --------------------------------------------------------------------------------

ONE = {"a": entry([4], 0, 4)}
DAMAGED: list[tuple[Any, bytes, str]] = [
    ([], b"", "does not begin with {"),
    (b"\x80\x04pickle", b"", "header is not JSON"),
    (b'{"a":', b"", "header is not JSON"),
    (b'{"a": NaN}', b"", "NaN is not JSON"),
    (b'{"\xff": 1}', b"", "header is not JSON"),
    (b'{"a": 1' + b"0" * 5000 + b"}", b"", "header is not JSON"),
    (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", b"", "header is not JSON"),
    (b'{"a": {}, "a": {}}', b"", "a name occurs twice"),
    ({"a": 5}, b"", "lacks dtype, shape"),
    ({"a": {"dtype": "U8", "shape": [1]}}, b"x", "lacks dtype, shape"),
    ({"a": entry([4], 0, 4) | {"more": 1}}, b"abcd", "lacks dtype, shape"),
    ({"a": entry([2], 0, 4, "F8_E4M3")}, b"abcd", "has dtype 'F8_E4M3', not one of BOOL, U8"),
    ({"a": entry([4], 0, 4, 8)}, b"abcd", "has dtype 8"),
    ({"a": entry([4], 0, 4, ["U8"])}, b"abcd", "has dtype"),
    ({"a": entry([-4], 0, 4)}, b"abcd", r"has the shape \[-4\]"),
    ({"a": entry([4.0], 0, 4)}, b"abcd", r"has the shape \[4.0\]"),
    ({"a": entry([True], 0, 1)}, b"a", "has the shape"),
    ({"a": entry("4", 0, 4)}, b"abcd", "has the shape"),
    ({"a": entry([1] * 33, 0, 1)}, b"a", "has the shape"),
    ({"a": entry([2**62], 0, 2**62)}, b"", "has the shape"),
    ({"a": entry([0, 2**70], 0, 0)}, b"", "has the shape"),
    ({"a": entry([0, 2**40, 2**40], 0, 0)}, b"", "has the shape"),
    ({"a": entry([4], 4, 0)}, b"abcd", "takes 4 bytes, but has -4"),
    ({"a": entry([4], -4, 0)}, b"abcd", "has the offsets"),
    ({"a": entry([4], 0, 4.0)}, b"abcd", "has the offsets"),
    ({"a": entry([4], None, 4)}, b"abcd", "has the offsets"),
    ({"a": entry([2], 0, 4)}, b"abcd", "takes 2 bytes, but has 4"),
    ({"a": entry([2**50], 0, 2**50)}, b"abcd", "is cut short"),
    (ONE, b"abc", "is cut short"),
    (ONE, b"abcde", "has bytes after its end"),
    (ONE | {"b": entry([3], 3, 6)}, b"abcdef", "'b' at bytes 3 to 6 overlaps"),
    (ONE | {"b": entry([2], 5, 7)}, b"abcdefg", "'b' at bytes 5 to 7 leaves a gap"),
    (ONE | {"b": entry([4], 0, 4)}, b"abcd", "overlaps"),
    ({"a": entry([2], 0, 2, "BOOL")}, b"\1\2", "bytes other than 0 and 1"),
    (ONE | {"__metadata__": {"a": 1}}, b"abcd", "metadata are not strings"),
    (ONE | {"__metadata__": ["a"]}, b"abcd", "metadata are not strings"),
    *[
        (ONE | {"__metadata__": {"minitensor": text}}, b"abcd", "structure makes no sense")
        for text in (
            "[",
            "[" * 100_000,
            "{}",
            '{"tensor": "b"}',
            '{"tensor": ["a"]}',
            '{"tensor": "a", "x": 1}',
            '{"eval": "1"}',
            '{"tuple": 3}',
            '{"dict": [[1]]}',
            '{"dict": [[[], 1]]}',
            '{"float": "one"}',
            '{"float": null}',
        )
    ],
]


@pytest.mark.parametrize(("head", "data", "says"), DAMAGED)
def test_damaged_files(path: Path, head: Any, data: bytes, says: str) -> None:
    forged(path, head, data)
    with pytest.raises(CheckpointError, match=says) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))


@pytest.mark.parametrize("raw", [b"", b"abc", b"\x80\x04N.", b"\xff" * 20])
def test_not_a_safetensors_file(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="not a sound safetensors file"):
        load(path)


def test_cut_anywhere(path: Path) -> None:
    save({"a": tensor(3), "n": {"b": [tensor(2, dtype="int8"), 1.5]}}, path)
    raw = path.read_bytes()
    for n in range(len(raw)):
        path.write_bytes(raw[:n])
        with pytest.raises(CheckpointError):
            load(path)


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 255))
def test_one_changed_byte_loads_or_is_refused(position: int, byte: int) -> None:
    file = io.BytesIO()
    save({"a": tensor(3), "n": {"b": [tensor(2, dtype="int8"), 1.5]}}, file, format="safetensors")
    raw = bytearray(file.getvalue())
    raw[position % len(raw)] = byte
    with contextlib.suppress(CheckpointError):  # and with nothing else
        load(io.BytesIO(bytes(raw)))


def test_a_file_that_claims_much_takes_no_memory(path: Path) -> None:
    """The size is compared with the file's before anything is allocated."""
    script = f"""
import resource
import minitensor.serialization as s
resource.setrlimit(resource.RLIMIT_AS, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                                        + 2**31, -1))
try:
    s.load({str(path)!r})
except s.CheckpointError as error:
    print("refused")
"""
    forged(path, {"a": entry([2**40], 0, 2**40)}, b"abcd")
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.endswith("refused\n"), run.stderr


def test_missing_folder_pipe(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="it is a folder"):
        load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="not a regular file"):
        load(tmp_path / "pipe")


# --- the old file or the new one ------------------------------------------------------------------


def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    save(tensor(1), target)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask
    target.chmod(0o600)
    link.symlink_to("target")
    save(tensor(2), link)
    assert link.is_symlink()
    assert same(load(target), tensor(2))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize("error", [IsADirectoryError, FileNotFoundError, PermissionError])
def test_places_that_cannot_be_written(tmp_path: Path, error: type[OSError]) -> None:
    path = {
        IsADirectoryError: tmp_path,
        FileNotFoundError: tmp_path / "missing" / "x",
        PermissionError: tmp_path / "pipe",
    }[error]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(error, match="nothing was changed") as caught:
        save(tensor(1), path)
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == ["pipe"]


def test_read_only_folder(tmp_path: Path) -> None:
    save(tensor(1), tmp_path / "x")
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write into a read-only folder")
    try:
        with pytest.raises(PermissionError, match="nothing was changed"):
            save(tensor(2), tmp_path / "x")
    finally:
        tmp_path.chmod(0o700)
    assert same(load(tmp_path / "x"), tensor(1))


def test_full_disk(path: Path) -> None:
    """A limit on the size of files stops the write midway, as a full disk would."""
    save(tensor(10), path)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(OSError, match="nothing was changed"):
            save(tensor(1_000_000), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert same(load(path), tensor(10))
    assert os.listdir(path.parent) == [path.name]


def test_an_interrupted_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tensor(1), path)

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(tensor(2), path)
    assert same(load(path), tensor(1))
    assert os.listdir(path.parent) == [path.name]


def test_killed_at_any_moment(path: Path) -> None:
    """Every file that is saved holds one number; whenever the process dies, so does the file."""
    script = f"""
import numpy as np
from minitensor.serialization import save
i = 0
while True:
    save({{"i": i, "x": np.full(200_000 + i, i)}}, {str(path)!r})
    i += 1
    if i == 1:
        print("ready", flush=True)
"""
    rng = np.random.default_rng(0)
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        while writer.stdout.readline() != b"ready\n":  # an editable build may print before
            assert writer.poll() is None
        time.sleep(rng.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        found = load(path)
        assert len(found["x"]) == 200_000 + found["i"]
        assert (found["x"] == found["i"]).all()
