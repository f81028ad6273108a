"""torchvision's networks and operators: names, sizes and first weights as there, and formulas for what they compute.

What a seed gives was printed by torchvision 0.28 with PyTorch 2.13.
"""

from __future__ import annotations

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn
from minitensor.compat.torch import hub
from minitensor.compat.torchvision import models, ops

# --- networks ---------------------------------------------------------------------------------------------------------

# how many weights, how many entries of the state dict, the last one's name, the first three weights, the scores
SEEDED = {
    "resnet18": (11178051, 122, "fc.bias", (-0.00101, -0.00526, 0.01775), (-0.1248044, -0.0630915, 0.0528058)),
    "squeezenet1_1": (724035, 52, "classifier.1.bias", (-0.25789, 0.16632, 0.03234), (0.1221516, 0.0, 0.0268614)),
    "mobilenet_v3_small": (1520931, 244, "classifier.3.bias", (-0.04441, -0.00292, -0.05111), (0, 0, 0)),
    "shufflenet_v2_x0_5": (344867, 338, "fc.bias", (-0.00144, 0.10324, -0.1584), (0.0028343, -0.0061352, -0.0085517)),
    "mobilenet_v2": (2227715, 314, "classifier.1.bias", (0.04786, 0.01601, -0.03902), (0, 0, 0)),
}


@pytest.mark.parametrize("name", sorted(SEEDED))
def test_networks_of_a_seed(name):
    count, entries, last, weights, scores = SEEDED[name]
    mt.manual_seed(0)
    model = models.get_model(name, num_classes=3).eval()
    state = model.state_dict()
    assert sum(p.numel() for p in model.parameters()) == count
    assert (len(state), list(state)[-1]) == (entries, last)
    np.testing.assert_allclose(next(model.parameters()).detach().flatten()[:3].tolist(), weights, atol=6e-6)
    with mt.no_grad():
        y = model(mt.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64))
    np.testing.assert_allclose(y[0].tolist(), scores, rtol=1e-4, atol=1e-6)


def test_small_ones_of_the_others():
    vit = models.VisionTransformer(32, 16, 1, 2, 16, 32, num_classes=3)
    assert list(vit.state_dict())[:4] == ["class_token", "conv_proj.weight", "conv_proj.bias", "encoder.pos_embedding"]
    assert "encoder.layers.encoder_layer_0.mlp.3.bias" in vit.state_dict()
    assert vit(mt.randn(2, 3, 32, 32)).tolist() == [[0.0] * 3] * 2  # the last layer starts at 0
    with pytest.raises(mt.errors.ShapeError, match="32"):
        vit(mt.randn(2, 3, 16, 16))
    dense = models.DenseNet(4, (2, 2), 8, 2, num_classes=3, memory_efficient=True)
    assert len(dense.state_dict()) == 67
    again = models.DenseNet(4, (2, 2), 8, 2, num_classes=3)
    old = {k.replace("norm1", "norm.1").replace("conv1", "conv.1"): v for k, v in dense.state_dict().items()}
    again.load_state_dict(old)
    x = mt.randn(2, 3, 32, 32)
    one, two = dense.train()(x), again.train()(x)
    np.testing.assert_allclose(one.detach().numpy(), two.detach().numpy(), rtol=1e-5)
    one.sum().backward()
    two.sum().backward()
    for p, q in zip(dense.parameters(), again.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-3, atol=1e-4)
    net = models.convnext.ConvNeXt([models.convnext.CNBlockConfig(8, None, 2)], 0.5, num_classes=2)
    assert net(mt.randn(2, 3, 16, 16)).shape == (2, 2)
    assert "features.1.1.layer_scale" in net.state_dict()
    stage = models.efficientnet.MBConvConfig(6, 3, 2, 8, 16, 2)
    net = models.EfficientNet([stage], 0.1, num_classes=2)
    assert net.train()(mt.randn(2, 3, 16, 16)).shape == (2, 2)
    assert models.vgg.make_layers([4, "M"], batch_norm=True)(mt.randn(1, 3, 4, 4)).shape == (1, 4, 2, 2)


def test_blocks_with_other_settings():
    net = models.ResNet(
        models.resnet.Bottleneck, [1, 1, 1, 1], 5, zero_init_residual=True, groups=2, width_per_group=32,
        replace_stride_with_dilation=[False, True, True], norm_layer=lambda c: nn.GroupNorm(4, c),
    )  # fmt: skip
    assert net(mt.randn(1, 3, 64, 64)).shape == (1, 5)
    assert net.layer4[0].conv2.dilation == (2, 2)
    assert not net.layer1[0].bn3.weight.any()
    with pytest.raises(ValueError, match="3-element"):
        models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], replace_stride_with_dilation=[True])
    with pytest.warns(FutureWarning, match="init_weights"):
        net = models.googlenet(num_classes=4)
    out = net.train()(mt.randn(2, 3, 64, 64))
    assert (out.logits.shape, out.aux_logits1.shape, out.aux_logits2.shape) == ((2, 4), (2, 4), (2, 4))
    assert net.eval()(mt.randn(1, 3, 64, 64)).shape == (1, 4)


def test_weights_are_not_fetched_but_read(tmp_path):
    before = hub.get_dir()
    hub.set_dir(str(tmp_path))
    try:
        for asked in ("DEFAULT", "IMAGENET1K_V1", models.SqueezeNet1_1_Weights.DEFAULT):
            with pytest.raises(FileNotFoundError, match=r"squeezenet1_1-b8a52dc0\.pth.*weights=None"):
                models.squeezenet1_1(weights=asked)
        with pytest.raises(FileNotFoundError, match="cannot be fetched"):
            models.squeezenet1_1(pretrained=True)
        with pytest.raises(ValueError, match="not among"):
            models.squeezenet1_1(weights=models.ResNet18_Weights.DEFAULT)
        model = models.squeezenet1_1(pretrained=False)
        (tmp_path / "checkpoints").mkdir()
        mt.save(model.state_dict(), tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
        again = models.squeezenet1_1(weights=models.SqueezeNet1_1_Weights.IMAGENET1K_V1)
    finally:
        hub.set_dir(before)
    assert all((p == q).all() for p, q in zip(model.parameters(), again.parameters(), strict=True))


def test_lists_of_networks():
    assert {"resnet18", "vgg16_bn", "vit_b_16", "densenet121", "googlenet", "alexnet"} <= set(models.list_models())
    assert models.list_models(include="resnet*", exclude=["*10*", "*5*"]) == ["resnet18", "resnet34"]
    assert models.list_models(models.convnext)[0] == "convnext_base"
    assert models.get_model_weights("resnet50") is models.ResNet50_Weights
    assert models.get_model_weights(models.resnext50_32x4d).DEFAULT.name == "IMAGENET1K_V2"
    assert models.get_weight("VGG16_Weights.DEFAULT") is models.VGG16_Weights.IMAGENET1K_V1
    with pytest.raises(ValueError, match="Unknown model"):
        models.get_model("resnet19")


def test_transforms_of_weights():
    made = models.ResNet50_Weights.DEFAULT.transforms()(mt.full((3, 300, 400), 0.5))
    assert made.shape == (3, 224, 224)
    np.testing.assert_allclose(made[:, 5, 5].tolist(), [(0.5 - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))], rtol=1e-5)  # fmt: skip # noqa: E501


# --- operators --------------------------------------------------------------------------------------------------------


def test_boxes():
    a = mt.tensor([[0.0, 0.0, 2.0, 4.0], [1.0, 1.0, 3.0, 2.0]])
    assert ops.box_area(a).tolist() == [8.0, 2.0]
    b = mt.tensor([[1.0, 0.0, 3.0, 4.0]])
    np.testing.assert_allclose(ops.box_iou(a, b).tolist(), [[4 / 12], [2 / 8]], rtol=1e-6)
    np.testing.assert_allclose(ops.generalized_box_iou(a, b).tolist(), [[4 / 12], [2 / 8]], rtol=1e-6)
    apart = mt.tensor([[4.0, 0.0, 6.0, 4.0]])
    np.testing.assert_allclose(ops.generalized_box_iou(a[:1], apart).tolist(), [[-(24 - 16) / 24]], rtol=1e-6)
    np.testing.assert_allclose(ops.distance_box_iou(a[:1], apart).tolist(), [[-16 / 52]], rtol=1e-6)
    np.testing.assert_allclose(ops.complete_box_iou(a[:1], apart).tolist(), [[-16 / 52]], rtol=1e-6)
    assert ops.box_convert(a, "xyxy", "xywh").tolist() == [[0, 0, 2, 4], [1, 1, 2, 1]]
    assert ops.box_convert(a, "xyxy", "cxcywh").tolist() == [[1, 2, 2, 4], [2, 1.5, 2, 1]]
    for fmt in ("xywh", "cxcywh"):
        assert (ops.box_convert(ops.box_convert(a, "xyxy", fmt), fmt, "xyxy") == a).all()
    assert ops.clip_boxes_to_image(mt.tensor([[-1.0, -2.0, 9.0, 3.0]]), (5, 4)).tolist() == [[0, 0, 4, 3]]
    assert ops.remove_small_boxes(a, 1.5).tolist() == [0]
    whole = ops.box_iou(mt.tensor([[0, 0, 2, 2]]), mt.tensor([[0, 0, 2, 4]]))
    assert whole.tolist() == [[0.5]]
    masks = mt.zeros(1, 5, 6)
    masks[0, 1:4, 2:3] = 1
    assert ops.masks_to_boxes(masks).tolist() == [[2, 1, 2, 3]]
    with pytest.raises(ValueError, match="xyz"):
        ops.box_convert(a, "xyxy", "xyz")


def test_nms():
    boxes = mt.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 10, 10], [20, 20, 30, 31]])
    scores = mt.tensor([0.5, 0.9, 0.3, 0.2, 0.4])
    assert ops.nms(boxes, scores, 0.5).tolist() == [1, 4]
    assert ops.nms(boxes, scores, 0.95).tolist() == [1, 0, 4, 2]
    assert ops.nms(boxes, scores, 1.0).tolist() == [1, 0, 4, 2, 3]
    assert ops.nms(boxes[:0], scores[:0], 0.5).tolist() == []
    assert ops.batched_nms(boxes, scores, mt.tensor([0, 1, 0, 0, 0]), 0.5).tolist() == [1, 0, 4]
    assert ops.batched_nms(boxes[:0], scores[:0], mt.tensor([], dtype=mt.int64), 0.5).tolist() == []
    with pytest.raises(mt.errors.ShapeError, match="nms"):
        ops.nms(boxes, scores[:2], 0.5)


@pytest.mark.parametrize("ratio", [-1, 1, 3])
def test_regions_of_a_plane(ratio):
    """Means of points between the pixels of a plane are the plane at the bins' middles."""
    i, j = np.mgrid[:9, :12]
    plane = mt.tensor(2.0 * i + 3.0 * j, dtype=mt.float64).reshape(1, 1, 9, 12).requires_grad_()
    y = ops.roi_align(plane, mt.tensor([[0.0, 2.0, 1.0, 8.0, 7.0]], dtype=mt.float64), (2, 3), 1.0, ratio, True)
    rows, columns = 1 - 0.5 + 6 / 2 * (np.arange(2) + 0.5), 2 - 0.5 + 6 / 3 * (np.arange(3) + 0.5)
    np.testing.assert_allclose(y[0, 0].tolist(), 2 * rows[:, None] + 3 * columns, rtol=1e-12)
    y.sum().backward()
    np.testing.assert_allclose(float(plane.grad.sum()), 6.0)
    plain = ops.roi_align(plane, [mt.tensor([[1.0, 0.5, 4.0, 3.5]], dtype=mt.float64)], 1, 2.0, ratio)
    np.testing.assert_allclose(plain.tolist(), [[[[2 * (1 + 3) + 3 * (2 + 3)]]]])


def test_regions_of_several_pictures():
    x = mt.arange(2 * 2 * 16.0).reshape(2, 2, 4, 4)
    rows = mt.tensor([[1.0, 0, 0, 3, 3], [0.0, 0, 0, 1, 1]])
    assert ops.roi_pool(x, rows, 1).flatten().tolist() == [47, 63, 5, 21]
    assert ops.RoIPool(2, 1.0)(x, rows)[0, 0].tolist() == [[37, 39], [45, 47]]
    assert ops.RoIAlign(2, 1.0, 2)(x, rows).shape == (2, 2, 2, 2)
    assert ops.roi_align(x, rows[:0], 2).shape == (0, 2, 2, 2)
    with pytest.raises(mt.errors.ShapeError, match="5"):
        ops.roi_align(x, mt.zeros(2, 4), 2)


def test_blocks_and_losses():
    logits, targets = mt.tensor([0.3, -1.2]), mt.tensor([1.0, 0.0])
    p = 1 / (1 + np.exp(-np.array([0.3, -1.2])))
    right = np.where([True, False], p, 1 - p)
    want = -np.array([0.25, 0.75]) * (1 - right) ** 2 * np.log(right)
    np.testing.assert_allclose(ops.sigmoid_focal_loss(logits, targets).tolist(), want, rtol=1e-5)
    np.testing.assert_allclose(float(ops.sigmoid_focal_loss(logits, targets, reduction="sum")), want.sum(), rtol=1e-5)
    block = ops.Conv2dNormActivation(3, 8, kernel_size=(3, 5), dilation=2, activation_layer=nn.SiLU, inplace=None)
    assert block(mt.randn(1, 3, 9, 9)).shape == (1, 8, 9, 9)
    assert block[0].bias is None
    assert ops.Conv3dNormActivation(1, 2, norm_layer=None)(mt.randn(1, 1, 4, 4, 4)).shape == (1, 2, 4, 4, 4)
    assert ops.SqueezeExcitation(4, 2)(mt.ones(1, 4, 2, 2)).shape == (1, 4, 2, 2)
    assert str(ops.MLP(3, [4, 2], dropout=0.5)).count("Dropout") == 2
    frozen = ops.FrozenBatchNorm2d(2)
    frozen.load_state_dict({"weight": mt.tensor([1.0, 2.0]), "bias": mt.ones(2), "running_mean": mt.ones(2), "running_var": mt.full((2,), 4.0)})  # fmt: skip # noqa: E501
    np.testing.assert_allclose(frozen(mt.full((1, 2, 1, 1), 3.0)).flatten().tolist(), [2.0, 3.0], rtol=1e-5)
    mt.manual_seed(0)
    rows = ops.StochasticDepth(0.25, "row").train()(mt.ones(1000, 2))
    assert set(rows.flatten().tolist()) == {0.0, float(np.float32(4 / 3))}
    assert 700 < int((rows[:, 0] > 0).sum()) < 800
    assert (rows[:, 0] == rows[:, 1]).all()
    with pytest.raises(ValueError, match="mode"):
        ops.stochastic_depth(mt.ones(2), 0.5, "column")
