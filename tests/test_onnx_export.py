"""ONNX, the way out: what is exported gives the same numbers in onnxruntime, and read back; and what is refused."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import minitensor as mt
import minitensor.nn.functional as F
from minitensor import nn, pytree
from minitensor.graph import modes

onnx = pytest.importorskip("onnx", reason="minitensor.onnx reads and writes through the onnx package")


def session(data: bytes) -> Any:
    """A function from named arrays to arrays, by onnxruntime; None where that is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def check(model: Any, *args: Any, others: Any = (), tolerance: float = 1e-5, **how: Any) -> Any:
    """Exports, checks the file, and compares model, file read back and onnxruntime on the arguments and on others."""
    data = io.BytesIO()
    names = [f"x{i}" for i in range(len(args))]
    mt.onnx.export(model, args, data, input_names=names, **how)
    proto = onnx.load_from_string(data.getvalue())
    onnx.checker.check_model(proto, full_check=True)
    runner, back = session(data.getvalue()), mt.onnx.load(data.getvalue())
    for given in (args, *others):
        named = {name: x for name, x in zip(names, given, strict=True) if name in back.input_names}
        with mt.no_grad():
            want = [y.numpy() for y in pytree.leaves(model(*given)) if isinstance(y, mt.Tensor)]
            made = back(**named)
        found = [[y.numpy(force=True) for y in (made if isinstance(made, tuple) else (made,))]]
        if runner is not None:
            found.append(runner.run(None, {name: x.numpy() for name, x in named.items()}))
        for ys in found:
            assert len(ys) == len(want)
            for y, w in zip(ys, want, strict=True):
                assert (y.dtype, y.shape) == (w.dtype, w.shape)
                np.testing.assert_allclose(y, w, tolerance, tolerance)
    return proto


def kinds(proto: Any) -> list[str]:
    return [n.op_type for n in proto.graph.node]


def open_batch(n: int = 1) -> dict[str, Any]:
    return {f"x{i}": {0: "batch"} for i in range(n)}


IMAGES = [
    nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2, bias=False),
    nn.Conv2d(4, 6, 2, padding="same"),
    nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
    nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    nn.MaxPool2d(2, dilation=2, return_indices=True),
    nn.AvgPool2d(3, 2, 1),
    nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((3, 5)),
    nn.AdaptiveMaxPool2d((3, 4)),
    nn.AdaptiveMaxPool2d(1),
    nn.LPPool2d(2, 2),
    nn.BatchNorm2d(4),
    nn.BatchNorm2d(4, affine=False),
    nn.BatchNorm2d(4, track_running_stats=False),
    nn.GroupNorm(2, 4),
    nn.InstanceNorm2d(4, affine=True),
    nn.LayerNorm([4, 8, 8]),
    nn.LayerNorm(8, elementwise_affine=False),
    nn.RMSNorm(8),
    nn.LocalResponseNorm(3),
    nn.Upsample(scale_factor=2),
    nn.Upsample(scale_factor=2, mode="bilinear"),
    nn.Upsample(size=(5, 11), mode="bilinear", align_corners=True),
    nn.Upsample(scale_factor=1.5, mode="bicubic"),
    nn.PixelShuffle(2),
    nn.PixelUnshuffle(2),
    nn.ChannelShuffle(2),
    nn.ZeroPad2d((1, 2, 0, 1)),
    nn.ReflectionPad2d(2),
    nn.ReplicationPad2d((1, 0, 2, 1)),
    nn.CircularPad2d(1),
    nn.ConstantPad2d((-1, 1, 1, -1), 2.5),
    nn.Dropout(0.5),
    nn.Flatten(),
    nn.Unflatten(1, (2, 2)),
    nn.Unfold(3, padding=1),
    nn.Softmax2d(),
    nn.PReLU(4),
]


@pytest.mark.parametrize("layer", IMAGES, ids=lambda m: str(m)[:40])
def test_layers_of_images(layer):
    check(layer.eval(), mt.randn(2, 4, 8, 8), others=[(mt.randn(5, 4, 8, 8),)], dynamic_axes=open_batch())


ACTIVATIONS = [
    nn.ReLU(),
    nn.ReLU6(),
    nn.ELU(0.7),
    nn.SELU(),
    nn.CELU(0.5),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.Softplus(2, 3),
    nn.Softshrink(),
    nn.Hardshrink(),
    nn.Hardtanh(-0.5, 0.7),
    nn.Hardsigmoid(),
    nn.Hardswish(),
    nn.LeakyReLU(0.1),
    nn.LogSigmoid(),
    nn.RReLU(),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.Softsign(),
    nn.Tanhshrink(),
    nn.Threshold(0.1, 20),
    nn.GLU(),
    nn.Softmin(1),
    nn.Softmax(1),
    nn.LogSoftmax(-1),
]


@pytest.mark.parametrize("version", [13, 18, 21])
def test_activations(version):
    class All(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(ACTIVATIONS)

        def forward(self, x):
            return [layer(x) for layer in self.layers]

    x = mt.linspace(-4, 4, 96).reshape(2, 4, 12)
    check(All().eval(), x, opset_version=version, dynamic_axes=open_batch(), others=[(mt.randn(3, 4, 12),)])


@pytest.mark.parametrize("version", [13, 18, 21])
def test_choices_between_numbers(version):
    low, high = mt.full((5,), -1.0), mt.full((5,), 2.0)

    class All(nn.Module):
        def forward(self, x):
            return [
                F.threshold(x, 0.1, 20.0),
                mt.nan_to_num(x, 1.0, 2.0, -3.0),
                mt.angle(x),
                mt.clamp(x, low, high),
                mt.clamp(x, max=high),
                mt.copysign(x, -high),
                mt.atan2(x, high),
            ]

    x = mt.tensor([[-3.0, -0.5, 0.1, 0.7, 3.0], [0.0, math.nan, math.inf, -math.inf, 2.0]])
    check(All(), x, opset_version=version, dynamic_axes=open_batch(), others=[(mt.randn(3, 5),)])


LINES = [
    nn.Conv1d(4, 6, 3, padding=1),
    nn.ConvTranspose1d(4, 6, 3, stride=2),
    nn.MaxPool1d(2),
    nn.AvgPool1d(2),
    nn.AdaptiveAvgPool1d(3),
    nn.AdaptiveMaxPool1d(3),
    nn.BatchNorm1d(4),
    nn.InstanceNorm1d(4),
    nn.Upsample(scale_factor=2, mode="linear"),
    nn.ReflectionPad1d(2),
    nn.Linear(9, 3),
]
VOLUMES = [
    nn.Conv3d(4, 6, 2, stride=2, dilation=2, groups=2),
    nn.ConvTranspose3d(4, 6, 3, stride=2, padding=1),
    nn.MaxPool3d(2),
    nn.AvgPool3d(2),
    nn.AdaptiveAvgPool3d((2, 3, 4)),
    nn.AdaptiveMaxPool3d(2),
    nn.BatchNorm3d(4),
    nn.Upsample(scale_factor=2, mode="trilinear"),
]


@pytest.mark.parametrize("layer", LINES + VOLUMES, ids=lambda m: str(m)[:40])
def test_layers_of_lines_and_volumes(layer):
    sizes = (4, 9) if any(layer is m for m in LINES) else (4, 6, 7, 8)
    check(layer.eval(), mt.randn(2, *sizes), others=[(mt.randn(3, *sizes),)], dynamic_axes=open_batch())


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [False, True])
def test_recurrent_layers(kind, batch_first):
    layer = kind(3, 4, 2, batch_first=batch_first, bidirectional=True)
    proto = check(
        layer, mt.randn(5, 6, 3), others=[(mt.randn(2, 9, 3),)], dynamic_axes={"x0": {0: "first", 1: "second"}}
    )
    assert kinds(proto).count(kind.__name__) == 4
    assert {t.name for t in proto.graph.initializer} >= {name for name, _ in layer.named_parameters()}


def test_recurrent_layers_with_a_state_a_projection_and_cells():
    layer, cell = nn.LSTM(3, 4, proj_size=2), nn.GRUCell(3, 4)
    check(lambda x, h, c: layer(x, (h, c)), mt.randn(5, 6, 3), mt.randn(1, 6, 2), mt.randn(1, 6, 4))
    check(nn.LSTM(3, 4, bias=False), mt.randn(5, 6, 3))
    check(nn.RNN(3, 4, nonlinearity="relu"), mt.randn(5, 3))
    check(cell, mt.randn(5, 3), mt.randn(5, 4))
    check(nn.LSTMCell(3, 4), mt.randn(5, 3), dynamic_axes=open_batch(), others=[(mt.randn(2, 3),)])


def test_embeddings_and_attention():
    ids, both = mt.randint(0, 10, (2, 5)), {"x0": {0: "batch", 1: "step"}}
    check(nn.Embedding(10, 4, padding_idx=0), ids, dynamic_axes=both, others=[(mt.randint(0, 10, (3, 7)),)])
    check(nn.EmbeddingBag(10, 4), ids, dynamic_axes=both, others=[(mt.randint(0, 10, (3, 7)),)])
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    query, keys = mt.randn(2, 5, 8), mt.randn(2, 6, 8)
    check(attention, query, keys, keys + 1, dynamic_axes=open_batch(3), others=[(query[:1], keys[:1], keys[:1])])
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
    encoder = nn.TransformerEncoder(layer, 2).eval()
    check(encoder, query, dynamic_axes=both, others=[(mt.randn(1, 7, 8),), (mt.randn(4, 1, 8),)])
    check(nn.Transformer(8, 2, 1, 1, 16).eval(), mt.randn(5, 2, 8), mt.randn(4, 2, 8))


LOSSES = [
    nn.MSELoss(),
    nn.L1Loss(reduction="sum"),
    nn.SmoothL1Loss(),
    nn.HuberLoss(),
    nn.BCEWithLogitsLoss(),
    nn.BCELoss(),
    nn.KLDivLoss(reduction="batchmean"),
    nn.PoissonNLLLoss(full=True),
    nn.SoftMarginLoss(),
    nn.MultiLabelSoftMarginLoss(),
    nn.HingeEmbeddingLoss(),
    nn.CrossEntropyLoss(),
]


def test_losses():
    x, y, target = mt.rand(5, 4), mt.rand(5, 4), mt.tensor([0, 3, 1, 2, 3])
    for loss in LOSSES:
        check(loss, x, y)
    for loss in (
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=y[0], reduction="sum", ignore_index=3),
        nn.CrossEntropyLoss(reduction="none", label_smoothing=0.2),
        nn.NLLLoss(),
    ):
        check(loss, x, target)
    sign = mt.sign(x[:, 0] - 0.5)
    check(nn.TripletMarginLoss(), x, y, x * y)
    check(nn.MarginRankingLoss(), x[:, 0], y[:, 0], sign)
    check(nn.CosineEmbeddingLoss(), x, y, sign)
    check(nn.GaussianNLLLoss(full=True), x, y, x + 1)


# --- operators --------------------------------------------------------------------------------------------------------

TOKENS = mt.tensor([[1, 0, 2], [2, 2, 0]])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x.max(1), x.argmin(-1, keepdim=True), x.amax((0, 2)), x.argmax()),
        lambda x: (x.topk(2, 1), x.sort(-1, descending=True), x.argsort(1)),
        lambda x: (x.sum(), x.mean((1, 2)), x.prod(1), x.var(0), x.std((0, 1), correction=0), x.logsumexp(1)),
        lambda x: (x.norm(), x.norm(1, 2), x.norm(3.5, 0), x.norm(float("inf"), 1), F.normalize(x)),
        lambda x: ((x > 0).all(1), (x > 0).any(), mt.count_nonzero(x.relu(), 1)),
        lambda x: (x.cumsum(1), x.flip((0, 2)), mt.roll(x, (1, -2), (0, 2)), x.tril(1), x[0].triu(-1)),
        lambda x: (x[0], x[:, -1], x[1:, ::2], x[..., None, 2], x[:, 1:-1, 0], x[-2:]),
        lambda x: (x[mt.tensor([1, 0])], x[:, TOKENS], x[mt.tensor([0, 1]), :, mt.tensor([3, 0])]),
        lambda x: (x[:, [True, False, True]], x[mt.tensor([[True, False, True], [False, False, True]])]),
        lambda x: (x.split(2, 2), x.chunk(2, -1), x.unbind(1), mt.stack([x, -x], 1), mt.cat([x, x], 2)),
        lambda x: (x.repeat(2, 1, 1), x[:, :1].expand(2, 5, 4), mt.tile(x, (2,)), x.repeat_interleave(2, 1)),
        lambda x: (mt.einsum("bij,bkj->bik", x, x), x @ x.mT, mt.outer(x[0, 0], x[0, 1]), mt.bmm(x, x.mT)),
        lambda x: (mt.where(x > 0, x, 0.5), x.masked_fill(x < 0, 2.0), x.clamp(-0.5), mt.maximum(x, -x)),
        lambda x: (x**2, x.abs() ** 0.5, 2**x, x.abs().log1p(), x.exp().log2(), mt.hypot(x, x), x // 0.3, x % 0.7),
        lambda x: (mt.isnan(x / 0), mt.isinf(x / 0), mt.isfinite(x), mt.logical_xor(x > 0, x < 1), ~(x > 0), x != 0),
        lambda x: (x.to(mt.int64), (5 * x).int() // 2, (5 * x).long() % 3, x.double(), (x > 0).float(), x.trunc()),
        lambda x: (x.gather(2, TOKENS[:, None]), mt.take_along_dim(x, x.argsort(2), 2)),
        lambda x: mt.zeros_like(x).scatter(2, x.argsort(2), x),
        lambda x: mt.zeros(2, 3, 4).scatter_add(1, TOKENS[..., None], x),
        lambda x: (F.one_hot((x > 0).long(), 3), mt.diagonal(x, 1, 1, 2), x.unfold(2, 2, 1), x.movedim(0, 2)),
        lambda x: (mt.trace(x[0]), mt.diagonal(x, -1, 2, 1), mt.diagonal(x, 5), F.glu(x, 2), F.glu(x, -3)),
        lambda x: (F.pad(x, (1, 2)), F.pad(x, (1, 1), "reflect"), F.pad(x, (-1, 0, 2, 0), value=7.0)),
        lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
        lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=mt.ones(3, 3).tril().bool()),
        lambda x: F.grid_sample(x[:, None], mt.tanh(x)[:, None, :, :2], align_corners=False),
        lambda x: (x.reshape(-1, 2), x.flatten(1), x.unsqueeze(0).squeeze(0), x.permute(2, 0, 1), x.mT),
        lambda x: mt.zeros(3),
    ],
)  # fmt: skip
def test_functions(function):
    check(function, mt.randn(2, 3, 4))


def test_tables_of_operators_and_their_readers():
    """Every operator of one number, at both ends of the sets that are written."""
    names = "abs acos asin atan ceil cos cosh erf erfc exp exp2 expm1 floor frac log log10 neg reciprocal round rsqrt"
    x = mt.rand(3, 4) * 0.8 + 0.1
    functions = [getattr(mt, name) for name in (names + " sigmoid sign sin sinh sqrt square tan tanh logit").split()]
    for version in (13, 18, 22):
        check(lambda v: [f(v) for f in functions], x, opset_version=version)


def test_writes_in_place():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", mt.tensor([1.0, 2, 3]))

        def forward(self, x):
            y = x * 1
            y[:, 0] = 5
            y[1] += x[0]
            y.view(-1)[:3].mul_(2)
            z = mt.zeros_like(x)
            z[:, 1:] = y[:, :2]
            z[z > 2] = -1.0
            return y.relu_() * self.scale, z

    check(Writes(), mt.randn(4, 3))
    data = io.BytesIO()
    with pytest.raises(RuntimeError, match="written through another view"):
        mt.onnx.export(lambda x: (x.t(), x[0].zero_())[0] + 1, mt.randn(2, 3), data)


# --- open sizes -------------------------------------------------------------------------------------------------------


def test_a_reshape_computes_what_depends_on_the_batch():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(True), nn.MaxPool2d(2))
    model.eval()
    head = nn.Linear(64, 10)

    def net(x):
        return head(model(x).view(x.size(0), -1))

    proto = check(net, mt.randn(1, 3, 8, 8), dynamic_axes={"x0": [0]}, others=[(mt.randn(7, 3, 8, 8),)])
    assert [d.dim_param for d in proto.graph.output[0].type.tensor_type.shape.dim] == ["x0_dim_0", ""]


def test_sizes_that_are_computed_from_others():
    def net(x):
        n, t, c = x.shape
        rows = x.reshape(n * t, c)
        half = x[:, : t // 2]
        steps = mt.arange(t, dtype=mt.float32)
        mask = mt.ones(t, t).tril() == 0
        scores = (x @ x.mT / c**0.5).masked_fill(mask, float("-inf"))
        state = mt.zeros(n, 2 * t)
        return rows, half, x + steps[:, None], scores.softmax(-1), state, x.sum(1) / t, rows.view(n, t, c)[:, -1]

    axes = {"x0": {0: "batch", 1: "step"}}
    proto = check(net, mt.randn(2, 6, 3), dynamic_axes=axes, others=[(mt.randn(1, 4, 3),), (mt.randn(5, 2, 3),)])
    assert [d.dim_param for d in proto.graph.output[0].type.tensor_type.shape.dim] == ["output_0_dim_0", ""]
    assert [d.dim_param for d in proto.graph.output[6].type.tensor_type.shape.dim] == ["batch", ""]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.ConvTranspose2d(3, 4, 2, stride=2),
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveMaxPool2d(1),
        nn.Upsample(scale_factor=2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ReflectionPad2d(1),
        nn.InstanceNorm2d(3),
        nn.GroupNorm(1, 3),
    ],
    ids=str,
)
def test_images_of_any_size(layer):
    axes = {"x0": {0: "batch", 2: "height", 3: "width"}}
    check(layer, mt.randn(2, 3, 8, 8), dynamic_axes=axes, others=[(mt.randn(1, 3, 12, 10),), (mt.randn(3, 3, 6, 16),)])


def test_what_depends_on_open_sizes_without_a_formula_is_refused():
    x = mt.randn(2, 6)
    axes: dict[str, Any] = {"x": {0: "n"}}

    def refused(function: Any, pattern: str) -> None:
        with pytest.raises(NotImplementedError, match=pattern):
            mt.onnx.export(function, x, io.BytesIO(), input_names=["x"], dynamic_axes=axes)

    refused(lambda x: x * mt.arange(x.shape[0] ** 2).sum(), "mul .*the number .*changes with the sizes")
    refused(lambda x: sum(row for row in x), "number of parts|the number of steps changes")
    refused(lambda x: x + 1 if x.shape[0] % 2 else x.exp(), "does something else at other sizes")
    refused(lambda x: x.reshape(-1, 2)[: int(x.shape[0] ** 1.5)], "slice|the number")
    refused(lambda x: F.adaptive_avg_pool1d(x.t(), 2), "the windows of a mean changes")


def test_a_model_with_a_largest_size_is_tried_at_smaller_ones():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(6, 4)

        def forward(self, ids):
            return self.table(ids) + self.table.weight[mt.arange(ids.shape[1])]

    proto = check(
        Net(),
        mt.zeros(2, 6, dtype=mt.int64),
        dynamic_axes={"x0": {1: "step"}},
        others=[(mt.ones(2, 3, dtype=mt.int64),)],
    )
    assert "Gather" in kinds(proto)


# --- names, files, errors ---------------------------------------------------------------------------------------------


def test_weights_have_their_names_and_come_back():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()
    proto = mt.onnx.export(model, (mt.randn(1, 3),))
    assert model.training
    assert model[2].training
    names = [t.name for t in proto.graph.initializer]
    assert names == [name for name in [*dict(model.named_parameters()), "2.running_mean", "2.running_var"]]
    back = mt.onnx.load(proto)
    assert set(back.state_dict()) == set(names)
    model.load_state_dict(back.state_dict(), strict=False)


def test_names_of_inputs_and_outputs():
    def net(x, pair, scale=None):
        return {"sum": x + pair[0], "same": x, "scaled": (pair[1] * scale, x + pair[0])}

    a, b, c, d = mt.ones(2), mt.zeros(2), mt.randn(2), mt.randn(2)
    proto = mt.onnx.export(net, (a, (b, c)), kwargs={"scale": d}, input_names=["x"], output_names=["one", "two"])
    assert [v.name for v in proto.graph.input] == ["x", "input_1", "input_2", "input_3"]
    assert [v.name for v in proto.graph.output] == ["one", "two", "output_2", "output_3"]
    onnx.checker.check_model(proto, full_check=True)
    made = mt.onnx.load(proto)(a, b, c, d)
    assert mt.equal(made[2], c * d)
    assert mt.equal(made[1], a)
    with pytest.raises(ValueError, match="output_names has 5 names for 4 tensors"):
        mt.onnx.export(net, (a, (b, c), d), output_names=list("abcde"))
    with pytest.raises(ValueError, match="a name twice"):
        mt.onnx.export(net, (a, (b, c), d), input_names=["x", "x"])
    with pytest.raises(ValueError, match="name of an input and of an output"):
        mt.onnx.export(net, (a, (b, c), d), input_names=["x"], output_names=["x"])


def test_versions():
    with pytest.warns(UserWarning, match="opset_version 11 is older than 13"):
        proto = mt.onnx.export(nn.ReLU(), mt.ones(2), opset_version=11)
    assert proto.opset_import[0].version == 13
    with pytest.raises(ValueError, match="opset_version 999 is not known"):
        mt.onnx.export(nn.ReLU(), mt.ones(2), opset_version=999)


def test_files(tmp_path):
    model = nn.Linear(40, 30)
    path = tmp_path / "model.onnx"
    assert mt.onnx.export(model, mt.ones(1, 40), path) is None
    one = mt.onnx.load(path)
    mt.onnx.export(model, mt.ones(1, 40), str(path), external_data=True)
    assert (tmp_path / "model.onnx.data").stat().st_size >= 4800
    two = mt.onnx.load(path)
    x = mt.randn(2, 40)[:1]
    assert mt.equal(one(x), two(x))
    assert mt.allclose(one(x), model(x), atol=1e-6)
    onnx.checker.check_model(str(path))


def test_what_has_no_graph_is_refused():
    x = mt.randn(3)
    for function, error, pattern in (
        (lambda x: x if x.sum() > 0 else -x, RuntimeError, "reads elements"),
        (lambda x: x * float(x[0]), RuntimeError, "reads elements"),
        (lambda x: x + mt.randperm(3), RuntimeError, r"draws random numbers \(randperm\)"),
        (lambda x: F.dropout(x), RuntimeError, "draws random numbers"),
        (lambda x: mt.lgamma(x), NotImplementedError, r"lgamma .*test_onnx_export.*no counterpart"),
    ):
        with pytest.raises(error, match=pattern):
            mt.onnx.export(function, x)
    with pytest.raises(RuntimeError, match="the model differentiates"):
        mt.onnx.export(mt.func.grad(lambda x: (x * x).sum()), x)
    with pytest.raises(ValueError, match="returns no tensor"):
        mt.onnx.export(lambda x: "x", x)
    y = mt.randn(3)
    assert y.add(1).shape == (3,)  # nothing of the trace is left
    assert modes.batch_levels() == []


def test_axes_that_do_not_fit():
    with pytest.raises(IndexError, match="dynamic_axes of 'x': there is no axis 2 among 2"):
        mt.onnx.export(nn.ReLU(), mt.ones(2, 3), input_names=["x"], dynamic_axes={"x": [2]})
    with pytest.raises(ValueError, match=r"axes called 'n' have the sizes 2 and 3"):
        mt.onnx.export(nn.ReLU(), mt.ones(2, 3), input_names=["x"], dynamic_axes={"x": {0: "n", 1: "n"}})


def test_operators_whose_forms_are_formulas():
    x, y = mt.tensor([-2.0, -0.5, 0, 0.5, float("nan"), float("inf")]), mt.tensor([-1.0, 2, 0, -0.5, 1, 3])
    check(lambda a, b: (mt.fmax(a, b), mt.fmin(a, b), mt.atan2(b, b + 1), mt.heaviside(b, b * 0 + 0.5)), x, y)
    check(lambda a, b: (mt.isposinf(a), mt.isneginf(a), mt.isclose(a, b, equal_nan=True), mt.xlogy(b, b.abs())), x, y)
    check(lambda a, b: (b.kthvalue(2), b.median(0), mt.zeros(4).index_add(0, mt.tensor([0, 3, 3, 1, 0, 1]), b)), x, y)
    check(lambda a, b: mt.div(b, b + 0.3, rounding_mode="trunc"), x, y)
    check(lambda a, b: nn.functional.binary_cross_entropy_with_logits(b, b * 0 + 0.3, reduction="none"), x, y)
    check(lambda a, b: mt.ones(4).scatter_reduce(0, mt.tensor([0, 3, 3, 1, 0, 1]), b, "prod"), x, y)


def test_outputs_that_the_exported_form_does_not_have():
    with pytest.raises(NotImplementedError, match=r"output 1 of adaptive_max_pool2d .*is used"):
        mt.onnx.export(lambda x: F.adaptive_max_pool2d(x, 5, return_indices=True), mt.randn(1, 2, 7, 7))


def test_a_function_of_the_users_own_is_its_forward():
    class Square(mt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * ctx.saved_tensors[0] * g

    assert kinds(check(lambda x: Square.apply(x) + x, mt.randn(3))) == ["Mul", "Add"]


# --- whole models -----------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, n: int, m: int, stride: int) -> None:
        super().__init__()
        self.one, self.norm1 = nn.Conv2d(n, m, 3, stride, 1, bias=False), nn.BatchNorm2d(m)
        self.two, self.norm2 = nn.Conv2d(m, m, 3, 1, 1, bias=False), nn.BatchNorm2d(m)
        self.stride, self.more = stride, m - n

    def forward(self, x):
        y = self.norm2(self.two(F.relu(self.norm1(self.one(x)))))
        x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return F.relu(y + x)


class Residual(nn.Module):
    """The network of 20 layers for images of 32 x 32. K. He et al., 2016."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        sizes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nn.Sequential(*[Block(*size) for size in sizes])
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.first(x))))
        return self.head(F.avg_pool2d(x, x.size(3)).view(x.size(0), -1))


def test_a_residual_network():
    model = Residual().eval()
    proto = check(
        model, mt.randn(2, 3, 32, 32), dynamic_axes=open_batch(), others=[(mt.randn(1, 3, 32, 32),)], tolerance=1e-4
    )
    assert kinds(proto).count("Conv") == 19


def test_gpt2():
    model = mt.models.GPT2(mt.models.GPT2Config(vocab_size=50, n_positions=16, n_embd=32, n_layer=2, n_head=4)).eval()
    ids = mt.randint(0, 50, (2, 9))
    axes = {"x0": {0: "batch", 1: "step"}}
    check(model, ids, dynamic_axes=axes, others=[(mt.randint(0, 50, (1, 16)),), (mt.randint(0, 50, (3, 2)),)])


def test_a_network_of_an_lstm():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.lstm, self.head = nn.Embedding(20, 8), nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 2)

        def forward(self, ids):
            out, (h, _) = self.lstm(self.table(ids))
            return self.head(out[:, -1]), self.head(h[-1])

    axes = {"x0": {0: "batch", 1: "step"}}
    check(Net(), mt.randint(0, 20, (2, 5)), dynamic_axes=axes, others=[(mt.randint(0, 20, (4, 1)),)])


def test_a_model_that_was_read_trains_and_goes_out_again():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    back = mt.onnx.load(mt.onnx.export(model, mt.randn(4, 1, 8, 8)))
    x, target = mt.randn(4, 1, 8, 8), mt.tensor([0, 1, 0, 1])
    optimizer = mt.optim.Adam(back.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        loss = F.cross_entropy(back(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    again = mt.onnx.load(mt.onnx.export(back, x))
    assert mt.allclose(again(x), back(x), atol=1e-6)


def test_the_face_torch_exports(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import torch\nimport torch.onnx\n"
        "model = torch.nn.Linear(3, 2)\n"
        "torch.onnx.export(model, torch.zeros(1, 3), 'm.onnx', export_params=True, opset_version=17,\n"
        "    do_constant_folding=True, input_names=['input'], output_names=['output'],\n"
        "    dynamic_axes={'input': {0: 'batch_size'}, 'output': {0: 'batch_size'}})\n"
    )
    subprocess.run([sys.executable, "-m", "minitensor", "run", str(program)], cwd=tmp_path, check=True)
    model = mt.onnx.load(tmp_path / "m.onnx")
    assert model(mt.zeros(5, 3)).shape == (5, 2)


# --- what depends on the inputs in more than its numbers ------------------------------------------------------------


def test_masks_as_indices():
    """How much a mask takes is another number for other inputs."""
    weight = mt.randn(3, 2)

    def model(x, mask, y):
        rows = x[mask]  # (k, 3)
        written = x.clone()
        written[mask] = rows * 2
        return (
            rows, rows.mean(0), rows @ weight, rows.reshape(-1), x[x > 0], mt.masked_select(x, x < 0).sum(),
            mt.nonzero(mask), (x * 0)[mask].shape[0] * y, y[:, mask], written, rows[:, None, 1:].expand(-1, 2, 2),
            mt.cat([rows, x]), mt.zeros(rows.shape[0]) + rows[:, 0],
        )  # fmt: skip

    x, y = mt.randn(5, 3), mt.randn(2, 5)
    masks = [mt.tensor([k < n for k in range(5)]) for n in (2, 5, 1, 3)]
    check(model, x, masks[0], y, others=[(mt.randn(5, 3), m, y) for m in masks[1:]])
    other = (mt.randn(7, 3), mt.arange(7) % 3 == 1, mt.randn(2, 7))
    check(model, x, masks[0], y, others=[other], dynamic_axes={"x0": {0: "n"}, "x1": {0: "n"}, "x2": {1: "n"}})
    check(lambda x: mt.nonzero(x, as_tuple=True), x * (x > 0))
    with pytest.raises(NotImplementedError, match=r"changes with the sizes|number of parts"):
        mt.onnx.export(lambda x: mt.stack(x[x[:, 0] > 0].unbind(0)), (x,))


def test_indices_beside_slices_and_new_axes():
    at = mt.tensor([3, 0])
    check(lambda x, i: x[i, :, 1:], mt.randn(4, 3, 5), at)
    check(lambda x, i: x[:, None, i, ::2], mt.randn(4, 5, 5), at)
    check(lambda x, i: x[1:, i], mt.randn(4, 5), at)


def test_random_numbers_are_drawn_by_the_graph():
    def model(x):
        return x + mt.rand_like(x), mt.randn(x.shape[0], 500) * 2, mt.rand(3)

    data = io.BytesIO()
    mt.onnx.export(model, mt.zeros(4, 500), data, input_names=["x0"], dynamic_axes=open_batch())
    runner = session(data.getvalue())
    mt.manual_seed(0)
    results = [mt.onnx.load(data.getvalue())(mt.zeros(6, 500))]
    results += [] if runner is None else [runner.run(None, {"x0": np.zeros((6, 500), np.float32)})]
    for uniform, normal, three in results:
        assert (uniform.shape, normal.shape, three.shape) == ((6, 500), (6, 500), (3,))
        uniform, normal = np.asarray(uniform), np.asarray(normal)
        assert 0 <= uniform.min() < uniform.max() < 1
        assert abs(uniform.mean() - 0.5) < 0.03
        assert abs(normal.std() - 2) < 0.1


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_packed_sequences_of_known_lengths(kind):
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = kind(3, 4, 2, batch_first=True, bidirectional=True)

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x, [2, 5, 3], batch_first=True, enforce_sorted=False)
            y, state = self.layer(packed)
            return nn.utils.rnn.pad_packed_sequence(y, batch_first=True, padding_value=7.0)[0], state

    check(Packed(), mt.randn(3, 6, 3), others=[(mt.randn(3, 6, 3),)])

    def of_lengths(x, lengths):
        return nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False).data

    with pytest.raises(RuntimeError, match="reads elements"):
        mt.onnx.export(of_lengths, (mt.randn(6, 3, 3), mt.tensor([2, 5, 3])))


def test_masks_of_attention():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x, padding):
            return self.layer(x, x, x, key_padding_mask=padding)

    padding = mt.tensor([[False, False, True], [False, True, True]])
    other = (mt.randn(3, 3, 8), mt.tensor([[False] * 3, [False, False, True], [True, True, False]]))
    check(Attention(), mt.randn(2, 3, 8), padding, others=[other], dynamic_axes=open_batch(2), tolerance=1e-4)
    q, mask = mt.randn(2, 2, 3, 4), mt.rand(2, 1, 3, 3) > 0.4
    check(lambda q, m: F.scaled_dot_product_attention(q, q, q, m), q, mask, others=[(q, ~mask)])
    for version in (13, 18):
        check(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), q, opset_version=version)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags(mode):
    bags = nn.EmbeddingBag(10, 3, mode=mode, padding_idx=2)
    check(bags, mt.tensor([[1, 2, 3], [2, 2, 2]]), others=[(mt.tensor([[5, 6, 2]]),)], dynamic_axes=open_batch())
    offsets = mt.tensor([0, 3, 3, 5])
    check(bags, mt.tensor([1, 2, 4, 2, 5, 6, 7]), offsets, others=[(mt.tensor([7, 7, 2, 2, 2, 9, 2]), offsets)])
    last = nn.EmbeddingBag(10, 3, mode=mode, include_last_offset=True)
    check(last, mt.tensor([1, 2, 4, 2]), mt.tensor([0, 3, 4]))


def test_detached_values_stay_values():
    check(lambda x: x.detach() * 2 + x.clone().detach(), mt.randn(3), others=[(mt.randn(3),)])


def test_more_forms_of_losses_and_pools():
    x, c = mt.randn(4, 5), mt.tensor([1, 0, 4, 2])
    weight = mt.rand(5)
    for reduction in ("mean", "sum", "none"):
        smooth = nn.CrossEntropyLoss(weight, label_smoothing=0.2, ignore_index=4, reduction=reduction)
        check(smooth, x, c, others=[(mt.randn(4, 5), mt.tensor([3, 3, 4, 4]))])
        check(nn.CrossEntropyLoss(weight, reduction=reduction), x[0], c[0])
        check(nn.MultiMarginLoss(2, weight=weight, reduction=reduction), x, c, others=[(mt.randn(4, 5), c.flip(0))])
        sets = mt.tensor([[3, 0, -1, 1], [1, 2, 3, 0]])
        check(nn.MultiLabelMarginLoss(reduction=reduction), mt.randn(2, 4), sets, others=[(mt.randn(2, 4), sets[:, [2, 0, 1, 3]])])  # fmt: skip # noqa: E501
    for axes, sizes in ((1, (3, 8)), (2, (3, 6, 8)), (3, (3, 4, 6, 4))):
        pool = getattr(F, f"max_pool{axes}d")
        back = getattr(F, f"max_unpool{axes}d")
        check(lambda x, pool=pool, back=back: back(*pool(x, 2, return_indices=True), 2), mt.randn(2, *sizes), dynamic_axes=open_batch())  # fmt: skip # noqa: E501
    check(lambda x: F.adaptive_max_pool3d(x, 2, return_indices=True), mt.randn(2, 3, 4, 6, 4))
    check(lambda x: F.fold(x, (6, 5), 3, padding=1, stride=2), mt.randn(2, 18, 9), opset_version=13)
    check(lambda x: F.gelu(x) + mt.erf(x), mt.randn(3, 4, dtype=mt.float64), tolerance=1e-6)


# Operators without a counterpart in ONNX, beside those that are gradients (`.._vjp`).
WITHOUT = """
    as_strided bessel_i bitwise_left_shift bitwise_right_shift cholesky conj constant_in ctc_loss cummax_index
    cummin_index digamma eig eigh eigvalsh embedding_bag erfcx erfinv fft fractional_max_pool2d frexp gcd
    gru_cell_dx hooked igamma igammac inv isin isreal lcm ldl_solve lgamma linear_scan log_ndtr lstm_cell_dc
    lstm_cell_dx lu_factor matrix_exp max_pool2d_gather median mode modulus nanmedian ndtri nextafter norm_dweight
    on_diagonal pinv polygamma qr row_dots signbit slogdet solve solve_triangular svd svdvals view_as_complex
    view_as_real view_dtype view_write zeta
"""


def test_every_operator_is_written_or_known_to_have_no_counterpart():
    mt.onnx.export(nn.Linear(1, 1), (mt.ones(1, 1),), io.BytesIO())  # which loads the writers
    from minitensor.onnx.write import WRITERS
    from minitensor.op import OPS

    names = {name for name in OPS if name not in WRITERS and not name.endswith("_vjp")}
    assert names == set(WITHOUT.split())
