"""State dicts: the names, shapes and dtypes of every layer are PyTorch's, and what loading them does."""

import warnings

import pytest

import minitensor as mt

nn = mt.nn

# of each layer what PyTorch 2.13 has in its state_dict, in that order; float32 unless said
LAYERS = {
    "Linear(5, 7)": ("weight 7x5, bias 7"),
    "Linear(5, 7, bias=False)": ("weight 7x5"),
    "Bilinear(3, 4, 5)": ("weight 5x3x4, bias 5"),
    "Conv1d(3, 5, 3)": ("weight 5x3x3, bias 5"),
    "Conv2d(6, 4, (3, 2), groups=2)": ("weight 4x3x3x2, bias 4"),
    "Conv3d(2, 3, 2, bias=False)": ("weight 3x2x2x2x2"),
    "ConvTranspose1d(3, 5, 3)": ("weight 3x5x3, bias 5"),
    "ConvTranspose2d(4, 6, 2, groups=2)": ("weight 4x3x2x2, bias 6"),
    "ConvTranspose3d(2, 3, 2)": ("weight 2x3x2x2x2, bias 3"),
    "Embedding(6, 5)": ("weight 6x5"),
    "EmbeddingBag(10, 3)": ("weight 10x3"),
    "RNN(3, 4, 2)": (
        "weight_ih_l0 4x3, weight_hh_l0 4x4, bias_ih_l0 4, bias_hh_l0 4, weight_ih_l1 4x4, "
        "weight_hh_l1 4x4, bias_ih_l1 4, bias_hh_l1 4"
    ),
    "LSTM(3, 4, 2, bidirectional=True)": (
        "weight_ih_l0 16x3, weight_hh_l0 16x4, bias_ih_l0 16, bias_hh_l0 16, weight_ih_l0_reverse 16x3, "
        "weight_hh_l0_reverse 16x4, bias_ih_l0_reverse 16, bias_hh_l0_reverse 16, weight_ih_l1 16x8, "
        "weight_hh_l1 16x4, bias_ih_l1 16, bias_hh_l1 16, weight_ih_l1_reverse 16x8, "
        "weight_hh_l1_reverse 16x4, bias_ih_l1_reverse 16, bias_hh_l1_reverse 16"
    ),
    "LSTM(3, 4, proj_size=2)": ("weight_ih_l0 16x3, weight_hh_l0 16x2, bias_ih_l0 16, bias_hh_l0 16, weight_hr_l0 2x4"),
    "GRU(3, 4, bias=False)": ("weight_ih_l0 12x3, weight_hh_l0 12x4"),
    "RNNCell(3, 4)": ("weight_ih 4x3, weight_hh 4x4, bias_ih 4, bias_hh 4"),
    "LSTMCell(3, 4)": ("weight_ih 16x3, weight_hh 16x4, bias_ih 16, bias_hh 16"),
    "GRUCell(3, 4)": ("weight_ih 12x3, weight_hh 12x4, bias_ih 12, bias_hh 12"),
    "MultiheadAttention(8, 2)": ("in_proj_weight 24x8, in_proj_bias 24, out_proj.weight 8x8, out_proj.bias 8"),
    "MultiheadAttention(8, 2, kdim=5, vdim=6, add_bias_kv=True)": (
        "q_proj_weight 8x8, k_proj_weight 8x5, v_proj_weight 8x6, in_proj_bias 24, bias_k 1x1x8, "
        "bias_v 1x1x8, out_proj.weight 8x8, out_proj.bias 8"
    ),
    "TransformerEncoderLayer(8, 2, 16)": (
        "self_attn.in_proj_weight 24x8, self_attn.in_proj_bias 24, self_attn.out_proj.weight 8x8, "
        "self_attn.out_proj.bias 8, linear1.weight 16x8, linear1.bias 16, linear2.weight 8x16, "
        "linear2.bias 8, norm1.weight 8, norm1.bias 8, norm2.weight 8, norm2.bias 8"
    ),
    "TransformerDecoderLayer(8, 2, 16)": (
        "self_attn.in_proj_weight 24x8, self_attn.in_proj_bias 24, self_attn.out_proj.weight 8x8, "
        "self_attn.out_proj.bias 8, multihead_attn.in_proj_weight 24x8, multihead_attn.in_proj_bias 24, "
        "multihead_attn.out_proj.weight 8x8, multihead_attn.out_proj.bias 8, linear1.weight 16x8, "
        "linear1.bias 16, linear2.weight 8x16, linear2.bias 8, norm1.weight 8, norm1.bias 8, "
        "norm2.weight 8, norm2.bias 8, norm3.weight 8, norm3.bias 8"
    ),
    "BatchNorm1d(4)": ("weight 4, bias 4, running_mean 4, running_var 4, num_batches_tracked () int64"),
    "BatchNorm2d(4, affine=False)": ("running_mean 4, running_var 4, num_batches_tracked () int64"),
    "BatchNorm3d(4, track_running_stats=False)": ("weight 4, bias 4"),
    "InstanceNorm2d(4)": (""),
    "InstanceNorm2d(4, affine=True, track_running_stats=True)": (
        "weight 4, bias 4, running_mean 4, running_var 4, num_batches_tracked () int64"
    ),
    "LayerNorm((2, 3))": ("weight 2x3, bias 2x3"),
    "LayerNorm(4, elementwise_affine=False)": (""),
    "GroupNorm(2, 4)": ("weight 4, bias 4"),
    "RMSNorm(4)": ("weight 4"),
    "PReLU(3)": ("weight 3"),
    "AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10])": (
        "head.weight 7x16, tail.0.0.weight 4x16, tail.0.1.weight 5x4, tail.1.0.weight 1x16, tail.1.1.weight 10x1"
    ),
    "Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))": ("0.weight 3x2, 0.bias 3, 2.weight 1x3, 2.bias 1"),
    'ModuleDict({"a": nn.Linear(1, 2), "b": nn.PReLU()})': ("a.weight 2x1, a.bias 2, b.weight 1"),
    "ParameterList([nn.Parameter(mt.zeros(2)), nn.Parameter(mt.zeros(3))])": ("0 2, 1 3"),
    'ParameterDict({"x": nn.Parameter(mt.zeros(2))})': ("x 2"),
    "TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 1, nn.LayerNorm(4))": (
        "layers.0.self_attn.in_proj_weight 12x4, layers.0.self_attn.in_proj_bias 12, "
        "layers.0.self_attn.out_proj.weight 4x4, layers.0.self_attn.out_proj.bias 4, "
        "layers.0.linear1.weight 8x4, layers.0.linear1.bias 8, layers.0.linear2.weight 4x8, "
        "layers.0.linear2.bias 4, layers.0.norm1.weight 4, layers.0.norm1.bias 4, layers.0.norm2.weight 4, "
        "layers.0.norm2.bias 4, norm.weight 4, norm.bias 4"
    ),
    "utils.parametrizations.weight_norm(nn.Linear(3, 2))": (
        "bias 2, parametrizations.weight.original0 2x1, parametrizations.weight.original1 2x3"
    ),
    "utils.weight_norm(nn.Linear(3, 2))": ("bias 2, weight_g 2x1, weight_v 2x3"),
    "utils.spectral_norm(nn.Linear(3, 2))": ("bias 2, weight_orig 2x3, weight_u 2, weight_v 3"),
    "utils.parametrizations.spectral_norm(nn.Linear(3, 2))": (
        "bias 2, parametrizations.weight.original 2x3, parametrizations.weight.0._u 2, parametrizations.weight.0._v 3"
    ),
}


@pytest.mark.parametrize("text", LAYERS)
def test_names_shapes_and_dtypes(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that PyTorch has put away
        layer = eval(f"nn.{text}")
    found = []
    for name, value in layer.state_dict().items():
        dtype = "" if value.dtype is mt.float32 else f" {value.dtype.name}"
        found.append(f"{name} {'x'.join(map(str, value.shape)) or '()'}{dtype}")
    assert ", ".join(found) == LAYERS[text]


def test_versions_stand_in_the_metadata():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    assert net.state_dict()._metadata == {"": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}}
    seen = []
    net[0].register_load_state_dict_pre_hook(lambda module, state, prefix, local, *rest: seen.append((prefix, local)))
    net.load_state_dict(net.state_dict())
    assert seen == [("0.", {"version": 1})]


def test_an_old_batch_norm_has_no_count():
    layer = nn.BatchNorm1d(3)
    layer(mt.randn(4, 3))
    old = {name: value for name, value in layer.state_dict().items() if name != "num_batches_tracked"}
    other = nn.BatchNorm1d(3)
    assert not any(other.load_state_dict(old))
    assert mt.equal(other.running_mean, layer.running_mean)
    new = layer.state_dict()
    del new["num_batches_tracked"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "num_batches_tracked"'):
        other.load_state_dict(new)


def test_shared_weights_stand_twice_and_stay_shared(tmp_path):
    net = nn.Module()
    net.a, net.b = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    net.b.weight = net.a.weight
    mt.save(net.state_dict(), tmp_path / "net.pt")
    found = mt.load(tmp_path / "net.pt")
    assert list(found) == ["a.weight", "b.weight"]
    assert found["a.weight"].data_ptr() == found["b.weight"].data_ptr()
    assert len(list(net.parameters())) == 1


def test_assign_takes_the_memory_and_the_dtype():
    layer = nn.Linear(2, 1)
    given = {"weight": mt.ones(1, 2, dtype=mt.float64), "bias": mt.zeros(1, dtype=mt.float64)}
    layer.load_state_dict(given, assign=True)
    assert layer.weight.dtype == mt.float64
    assert layer.weight.requires_grad
    given["weight"][0, 0] = 5.0
    assert layer.weight[0, 0] == 5.0


def test_not_strict():
    layer = nn.Linear(2, 1)
    keys = layer.load_state_dict({"weight": mt.ones(1, 2), "more": mt.ones(1)}, strict=False)
    assert (keys.missing_keys, keys.unexpected_keys) == (["bias"], ["more"])
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        layer.load_state_dict({"weight": mt.ones(2, 2)}, strict=False)
