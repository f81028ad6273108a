"""ONNX, the way in: the node tests and the light models that the onnx package ships, and files that are damaged."""

from __future__ import annotations

import importlib
import io
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import DtypeError

onnx = pytest.importorskip("onnx", reason="minitensor.onnx reads and writes through the onnx package")
helper, TensorProto = onnx.helper, onnx.TensorProto
TYPES = {1, 2, 3, 5, 6, 7, 9, 10, 11}  # the dtypes that minitensor has, by ONNX's numbers

# The operators whose node tests must all pass, where their dtypes are minitensor's.
SUPPORTED = """
    Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization
    Bernoulli BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad
    Clip Col2Im Compress Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum
    DepthToSpace DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten
    Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual
    GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity If
    InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
    LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxUnpool Mean MeanVarianceNormalization Min Mish Mod Mul
    Neg NegativeLogLikelihoodLoss NonZero Not OneHot Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear
    RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RotaryEmbedding Round Scan Scatter
    ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss
    Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu
    Unique Unsqueeze Upsample Where Xor
""".split()
SLOW = {"averagepool", "lppool", "maxpool"}  # 35 s for the package to make their expected values


def node_cases() -> list[Any]:
    """The package's tests of single operators; those of its slow files where MINITENSOR_ONNX_ALL is set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = importlib.import_module("onnx.backend.test.case.node")
        base = importlib.import_module("onnx.backend.test.case.base")
        expand, snippet = node.function_testcase_helper, base.process_snippet
        node.function_testcase_helper = lambda *a, **k: ([], 1)  # the same tests again, written by smaller operators
        base.process_snippet = lambda *a: ("", "")  # their source, for a document
        try:
            for path in sorted(Path(node.__path__[0]).glob("[a-z]*.py")):
                if path.stem not in SLOW or os.environ.get("MINITENSOR_ONNX_ALL"):
                    importlib.import_module(f"{node.__name__}.{path.stem}")
        finally:
            node.function_testcase_helper, base.process_snippet = expand, snippet
    return [case for case in node._NodeTestCases if case.model is not None]


def array(x: Any) -> Any:
    return onnx.numpy_helper.to_array(x) if isinstance(x, TensorProto) else np.asarray(x)


def can_hold(graph: Any) -> bool:
    """Whether all inputs, outputs and casts are tensors of dtypes that minitensor has."""
    for value in [*graph.input, *graph.output]:
        if value.type.WhichOneof("value") != "tensor_type" or value.type.tensor_type.elem_type not in TYPES:
            return False
    return all(a.i in TYPES for n in graph.node for a in n.attribute if a.name in ("to", "softmax_precision"))


def test_node_tests_of_the_onnx_package():
    passed: dict[str, int] = {}
    failed, refused = [], 0
    for case in node_cases():
        kinds = {n.op_type for n in case.model.graph.node}
        if not kinds <= {*SUPPORTED} or len(kinds) > 1 or not can_hold(case.model.graph):
            continue
        (kind,) = kinds
        try:
            module = mt.onnx.load(case.model)
            for inputs, outputs in case.data_sets:
                made = module(*[mt.as_tensor(np.array(array(x))) for x in inputs])
                for y, want in zip(made if isinstance(made, tuple) else (made,), map(array, outputs), strict=True):
                    assert y.numpy(force=True).dtype == want.dtype
                    assert y.shape == want.shape
                    if kind != "Bernoulli" and not (kind == "Dropout" and "training" in case.name):  # random
                        np.testing.assert_allclose(y.numpy(force=True), want, case.rtol, case.atol)
            passed[kind] = passed.get(kind, 0) + 1
        except DtypeError as error:
            if "is not one of minitensor's" not in str(error):
                failed.append(f"{case.name}: {error}")
            refused += 1
        except Exception as error:
            failed.append(f"{case.name}: {type(error).__name__}: {error}")
    assert failed == []
    assert refused < 20
    assert sum(passed.values()) > 900
    assert set(SUPPORTED) - {*passed} <= {"AveragePool", "LpPool", "MaxPool", "Swish"}


LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "densenet121", "inception_v1"])
def test_light_models_of_the_onnx_package(name):
    model = mt.onnx.load(LIGHT / f"light_{name}.onnx")
    (given,) = model._inputs
    x = np.arange(np.prod(given.shape)).reshape(given.shape) / np.prod(given.shape)
    want = TensorProto()
    want.ParseFromString((LIGHT / f"light_{name}_output_0.pb").read_bytes())
    y = model(mt.as_tensor(x.astype(np.float32)))
    np.testing.assert_allclose(y.detach().numpy(), array(want), rtol=1e-3, atol=1e-5)


# --- what a module read from ONNX is ----------------------------------------------------------------------------------


def model_of(nodes: list[Any], inputs: dict[str, Any], outputs: list[str], weights: dict[str, Any], opset: int = 18):
    """A model of nodes; inputs as name: (dtype's number, shape)."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
        [onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def line() -> Any:
    """y = x W^T + b under the names of a state dict."""
    weights = {"body.0.weight": np.ones((2, 3), np.float32), "body.0.bias": np.zeros(2, np.float32)}
    node = helper.make_node("Gemm", ["x", "body.0.weight", "body.0.bias"], ["y"], transB=1)
    return model_of([node], {"x": (1, ["batch", 3])}, ["y"], weights)


def test_weights_are_parameters_that_train_under_their_names():
    model = mt.onnx.load(line())
    assert list(model.state_dict()) == ["body.0.weight", "body.0.bias"]
    assert model.input_names == ["x"]
    assert model.output_names == ["y"]
    optimizer = mt.optim.SGD(model.parameters(), lr=0.1)
    x, want = mt.eye(3), mt.tensor([[0.0, 1], [2, 3], [4, 5]])
    losses = []
    for _ in range(200):
        loss = ((model(x) - want) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 1e-3 * losses[0]
    assert mt.allclose(model.body._modules["0"].bias + model.state_dict()["body.0.weight"].t(), want, atol=0.1)


def test_training_mode_uses_and_updates_batch_statistics():
    weights = {"w": [2.0, 2], "b": [0.0, 0], "mean": [1.0, 1], "var": [4.0, 4]}
    node = helper.make_node("BatchNormalization", ["x", *weights], ["y"], epsilon=0.0, momentum=0.5)
    held = {k: np.asarray(v, np.float32) for k, v in weights.items()}
    model = mt.onnx.load(model_of([node], {"x": (1, [None, 2])}, ["y"], held))
    x = mt.tensor([[1.0, 3], [3, 7]])
    assert model(x).tolist() == [[0, 2], [2, 6]]
    assert [n for n, _ in model.named_parameters()] == ["w", "b"]
    model.train()
    assert model(x).tolist() == [[-2, -2], [2, 2]]
    assert model.mean.tolist() == [1.5, 3]  # halfway from 1 to the batch's 2 and 5
    assert model.var.tolist() == [3, 6]  # from 4 to 2 and 8


def test_names_that_are_no_attributes():
    weights = {"a": np.float32([1]), "a.b": np.float32([2]), "..c/d": np.float32([3]), "forward.w": np.float32([4])}
    nodes = [helper.make_node("Sum", [*weights], ["y"])]
    model = mt.onnx.load(model_of(nodes, {}, ["y"], weights))
    assert model().tolist() == [10]
    assert len(list(model.parameters())) == 4
    assert len(model.state_dict()) == 4


def test_initializers_that_are_also_inputs_need_not_be_given():
    node = helper.make_node("Add", ["x", "w"], ["y"])
    model = mt.onnx.load(model_of([node], {"x": (1, [1]), "w": (1, [1])}, ["y"], {"w": np.float32([2])}))
    assert model.input_names == ["x"]
    assert model(mt.tensor([1.0])).tolist() == [3]


# --- errors -----------------------------------------------------------------------------------------------------------


def test_inputs_are_checked():
    model = mt.onnx.load(line())
    with pytest.raises(ValueError, match="input 'x' is missing"):
        model()
    with pytest.raises(TypeError, match="input 'x': expected the dtype float32, got int64"):
        model(mt.zeros(1, 3, dtype=mt.int64))
    with pytest.raises(ValueError, match=r"input 'x': expected the shape \(batch, 3\), got \(1, 4\)"):
        model(mt.zeros(1, 4))
    with pytest.raises(ValueError, match="takes 1 inputs"):
        model(mt.zeros(1, 3), mt.zeros(1, 3))
    with pytest.raises(ValueError, match="no input 'z'"):
        model(mt.zeros(1, 3), z=mt.zeros(1))
    with pytest.raises(ValueError, match="'x' is given twice"):
        model(mt.zeros(1, 3), x=mt.zeros(1, 3))
    with pytest.raises(TypeError, match="expected a tensor, got str"):
        model("x")
    assert model(x=np.zeros((4, 3), np.float32)).shape == (4, 2)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x08", b"PK\x03\x04" * 10])
def test_what_is_not_onnx(data, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="not an ONNX file"):
        mt.onnx.load(path)
    with pytest.raises(ValueError, match="not an ONNX file"):
        mt.onnx.load(io.BytesIO(data))


def test_truncated_files():
    data = line().SerializeToString()
    for n in range(0, len(data), 7):
        with pytest.raises((ValueError, NotImplementedError)):
            mt.onnx.load(data[:n])


def test_values_that_nothing_makes():
    node = helper.make_node("Relu", ["z"], ["y"], name="r")
    with pytest.raises(ValueError, match="at node 'r' takes 'z', which nothing before it makes"):
        mt.onnx.load(model_of([node], {"x": (1, [1])}, ["y"], {}))
    node = helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(ValueError, match="nothing makes the output 'w'"):
        mt.onnx.load(model_of([node], {"x": (1, [1])}, ["w"], {}))
    with pytest.raises(ValueError, match="makes nothing"):
        mt.onnx.load(model_of([helper.make_node("Relu", ["x"], [])], {"x": (1, [1])}, ["x"], {}))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'minitensor-edu\[onnx\]'"):
        mt.onnx.load(b"")
    with pytest.raises(ImportError, match="needs the package onnx"):
        mt.onnx.export(mt.nn.ReLU(), mt.ones(1))


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx"):
        mt.onnx.load(tmp_path / "none.onnx")


def test_unknown_operators_are_named():
    node = helper.make_node("StringNormalizer", ["x"], ["y"], name="clean")
    with pytest.raises(NotImplementedError, match=r"operator StringNormalizer \(opset 18\) at node 'clean'"):
        mt.onnx.load(model_of([node], {"x": (1, [1])}, ["y"], {}))
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="org.example")
    with pytest.raises(NotImplementedError, match=r"org\.example\.Frobnicate \(opset 0\) at node of 'y'"):
        mt.onnx.load(model_of([node], {"x": (1, [1])}, ["y"], {}))


def test_unknown_forms_are_named():
    node = helper.make_node("Relu", ["x"], ["y"], name="r", strength=3)
    with pytest.raises(NotImplementedError, match=r"Relu \(opset 18\) at node 'r': this form is not supported"):
        mt.onnx.load(model_of([node], {"x": (1, [1])}, ["y"], {}))(mt.zeros(1))


def test_unsupported_dtypes_are_named():
    node = helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(TypeError, match="BFLOAT16 is not one of minitensor's"):
        mt.onnx.load(model_of([node], {"x": (16, [1])}, ["y"], {}))


def test_shape_errors_name_the_node():
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    model = mt.onnx.load(model_of([node], {"x": (1, None)}, ["y"], {"w": np.zeros((3, 2), np.float32)}))
    with pytest.raises(ValueError, match=r"MatMul \(opset 18\) at node 'product': matmul: .*4 and 3"):
        model(mt.zeros(1, 4))


# --- external data ----------------------------------------------------------------------------------------------------


def aside(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save_model(
        line(), path, save_as_external_data=True, location="weights.bin", size_threshold=0, convert_attribute=False
    )
    return path


def test_external_data(tmp_path):
    path = aside(tmp_path)
    assert mt.onnx.load(path)(mt.ones(1, 3)).tolist() == [[3, 3]]
    with pytest.raises(ValueError, match=r"lie in the file 'weights\.bin': load the model by its path"):
        mt.onnx.load(path.read_bytes())
    whole = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(whole[:3])
    with pytest.raises(ValueError, match="which has only 3"):
        mt.onnx.load(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ValueError, match="not beside the model"):
        mt.onnx.load(path)


def test_external_data_stays_in_its_folder(tmp_path):
    path = aside(tmp_path)
    model = onnx.load(path, load_external_data=False)
    (tmp_path / "weights.bin").rename(tmp_path.parent / "secret.bin")
    for t in model.graph.initializer:
        for entry in t.external_data:
            if entry.key == "location":
                entry.value = "../secret.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="outside the model's folder"):
        mt.onnx.load(path)


def quantized(x: Any, scale: Any, zero: int, dtype: Any = np.uint8) -> Any:
    ends = np.iinfo(dtype)
    return np.clip(np.rint(np.asarray(x, np.float32) / np.float32(scale)) + zero, ends.min, ends.max).astype(dtype)


def test_operators_that_onnxruntime_writes_into_quantized_models():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (4, 6)).astype(np.uint8), rng.integers(-128, 128, (5, 6)).astype(np.int8)
    bias = rng.integers(-900, 900, 5).astype(np.int32)
    weights = {
        "as": np.float32(0.02), "az": np.uint8(120), "b": b, "bs": np.full(5, 0.01, np.float32) * np.arange(1, 6),
        "bz": np.zeros(5, np.int8), "bias": bias, "ys": np.float32(0.1), "yz": np.uint8(100),
        "cs": np.float32(0.05), "cz": np.uint8(7),
    }  # fmt: skip
    weights["bs"] = weights["bs"].astype(np.float32)
    theirs = {"domain": "com.microsoft"}
    nodes = [
        helper.make_node("QGemm", ["a", "as", "az", "b", "bs", "bz", "bias", "ys", "yz"], ["g"], transB=1, **theirs),
        helper.make_node("QLinearSigmoid", ["g", "ys", "yz", "cs", "cz"], ["s"], **theirs),
        helper.make_node("QLinearAdd", ["g", "ys", "yz", "s", "cs", "cz", "ys", "yz"], ["sum"], **theirs),
        helper.make_node("QLinearConcat", ["ys", "yz", "g", "ys", "yz", "sum", "ys", "yz"], ["y"], axis=1, **theirs),
    ]
    proto = model_of(nodes, {"a": (TensorProto.UINT8, [4, 6])}, [], weights)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    proto.graph.output.append(helper.make_tensor_value_info("y", TensorProto.UINT8, None))
    sums = (a.astype(int) - 120) @ b.astype(int).T + bias
    factor = np.float32(0.02) * weights["bs"] / np.float32(0.1)
    g = np.clip(np.rint(sums.astype(np.float32) * factor) + 100, 0, 255).astype(np.uint8)
    real = (g.astype(np.float32) - 100) * np.float32(0.1)
    s = quantized(1 / (1 + np.exp(-real)), 0.05, 7)
    total = quantized(real + (s.astype(np.float32) - 7) * np.float32(0.05), 0.1, 100)
    got = mt.onnx.load(proto)(mt.as_tensor(a)).numpy()
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - np.concatenate([g, total], 1).astype(int)).max() <= 1  # a tie may round either way
    assert (got[:, :5] == g).all()


def test_a_size_of_minus_one_is_open():
    node = helper.make_node("Relu", ["x"], ["y"])
    model = mt.onnx.load(model_of([node], {"x": (1, [-1, 2])}, ["y"], {}))
    assert model(mt.tensor([[1.0, -1.0]])).tolist() == [[1.0, 0.0]]
