"""torch.nn.modules: the classes of `minitensor.nn`, in the files in which PyTorch has them."""

from __future__ import annotations

from types import ModuleType

from ... import nn
from ...nn import *  # noqa: F403

__all__ = [name for name in nn.__all__ if isinstance(getattr(nn, name), type)]


def _axes(*names: str) -> str:
    return " ".join(f"{name}{n}d" for name in names for n in (1, 2, 3))


FILES = {
    "activation": "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish "
    "MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink "
    "Softsign Tanh Tanhshrink Threshold",
    "adaptive": "AdaptiveLogSoftmaxWithLoss",
    "batchnorm": _axes("BatchNorm", "LazyBatchNorm") + " SyncBatchNorm",
    "channelshuffle": "ChannelShuffle",
    "container": "ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "conv": _axes("Conv", "ConvTranspose", "LazyConv", "LazyConvTranspose"),
    "distance": "CosineSimilarity PairwiseDistance",
    "dropout": _axes("Dropout") + " AlphaDropout Dropout FeatureAlphaDropout",
    "flatten": "Flatten Unflatten",
    "fold": "Fold Unfold",
    "instancenorm": _axes("InstanceNorm", "LazyInstanceNorm"),
    "linear": "Bilinear Identity LazyLinear Linear NonDynamicallyQuantizableLinear",
    "loss": "BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss "
    "HuberLoss KLDivLoss L1Loss MSELoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss "
    "MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss "
    "TripletMarginWithDistanceLoss",
    "module": "Module",
    "normalization": "GroupNorm LayerNorm LocalResponseNorm RMSNorm",
    "padding": _axes("CircularPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "ZeroPad"),
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "pooling": _axes("AdaptiveAvgPool", "AdaptiveMaxPool", "AvgPool", "LPPool", "MaxPool", "MaxUnpool")
    + " FractionalMaxPool2d FractionalMaxPool3d",
    "rnn": "GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase",
    "sparse": "Embedding EmbeddingBag",
    "transformer": "Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer",
    "upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
}


def _file(name: str, classes: str) -> ModuleType:
    module = ModuleType(f"torch.nn.modules.{name}", f"The classes of PyTorch's file {name}.py.")
    for each in classes.split():
        setattr(module, each, getattr(nn, each, None) or getattr(nn.linear, each))
    module.__dict__.update(__file__=__file__, __all__=classes.split())
    return module


globals().update({name: _file(name, classes) for name, classes in FILES.items()})
