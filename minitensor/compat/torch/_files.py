"""The files in which PyTorch has its names, where ours have others: modules under PyTorch's names with ours in them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from itertools import accumulate
from types import ModuleType, SimpleNamespace
from typing import Any

from ... import amp, distributions, func, nn, pytree
from ...distributions import distribution, transformed
from ...graph.nodes import RemovableHandle
from ...nn import conv, dropout, lazy, loss, norm, pool, transformer, utils
from ...random import Generator
from ...utils.data import collate
from . import hub
from ._helpers import Inert, no, nothing, zero

__all__ = ["FILES"]


def _axes(*names: str) -> str:
    return " ".join(f"{name}{n}d" for name in names for n in (1, 2, 3))


NN = {
    "activation": "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish "
    "MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink "
    "Softsign Tanh Tanhshrink Threshold",
    "adaptive": "AdaptiveLogSoftmaxWithLoss",
    "batchnorm": _axes("BatchNorm", "LazyBatchNorm") + " SyncBatchNorm _BatchNorm _NormBase",
    "channelshuffle": "ChannelShuffle",
    "container": "ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "conv": _axes("Conv", "ConvTranspose", "LazyConv", "LazyConvTranspose") + " _ConvNd _ConvTransposeNd",
    "distance": "CosineSimilarity PairwiseDistance",
    "dropout": _axes("Dropout") + " AlphaDropout Dropout FeatureAlphaDropout _DropoutNd",
    "flatten": "Flatten Unflatten",
    "fold": "Fold Unfold",
    "instancenorm": _axes("InstanceNorm", "LazyInstanceNorm") + " _InstanceNorm",
    "lazy": "LazyModuleMixin",
    "linear": "Bilinear Identity LazyLinear Linear NonDynamicallyQuantizableLinear",
    "loss": "BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss "
    "HuberLoss KLDivLoss L1Loss MSELoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss "
    "MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss "
    "TripletMarginWithDistanceLoss _Loss _WeightedLoss",
    "module": "Module",
    "normalization": "GroupNorm LayerNorm LocalResponseNorm RMSNorm",
    "padding": _axes("CircularPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "ZeroPad"),
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "pooling": _axes("AdaptiveAvgPool", "AdaptiveMaxPool", "AvgPool", "LPPool", "MaxPool", "MaxUnpool")
    + " FractionalMaxPool2d FractionalMaxPool3d _AdaptiveAvgPoolNd _AvgPoolNd _MaxPoolNd",
    "rnn": "GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase",
    "sparse": "Embedding EmbeddingBag",
    "transformer": "Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer "
    "_get_activation_fn _get_clones",
    "upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
}


# PyTorch's inner names that programs ask for, as in isinstance(m, _BatchNorm)
INNER = {
    "_AdaptiveAvgPoolNd": pool._Adaptive,
    "_AvgPoolNd": pool._AvgPool,
    "_BatchNorm": norm._BatchNorm,
    "_ConvNd": conv._ConvNd,
    "_ConvTransposeNd": conv._Transposed,
    "_DropoutNd": dropout._Dropout,
    "_InstanceNorm": norm._InstanceNorm,
    "_Loss": loss._Loss,
    "_MaxPoolNd": pool._MaxPool,
    "_NormBase": norm._Statistics,
    "_WeightedLoss": loss._Weighted,
    "_get_activation_fn": transformer._activation,
    "_get_clones": transformer._copies,
    "LazyModuleMixin": lazy.LazyModuleMixin,
}
DISTRIBUTIONS = {
    "bernoulli": "Bernoulli",
    "beta": "Beta",
    "binomial": "Binomial",
    "categorical": "Categorical",
    "cauchy": "Cauchy",
    "chi2": "Chi2",
    "dirichlet": "Dirichlet",
    "exp_family": "ExponentialFamily",
    "exponential": "Exponential",
    "fishersnedecor": "FisherSnedecor",
    "gamma": "Gamma",
    "geometric": "Geometric",
    "gumbel": "Gumbel",
    "half_cauchy": "HalfCauchy",
    "half_normal": "HalfNormal",
    "independent": "Independent",
    "inverse_gamma": "InverseGamma",
    "kumaraswamy": "Kumaraswamy",
    "laplace": "Laplace",
    "log_normal": "LogNormal",
    "logistic_normal": "LogisticNormal",
    "mixture_same_family": "MixtureSameFamily",
    "multinomial": "Multinomial",
    "multivariate_normal": "MultivariateNormal",
    "negative_binomial": "NegativeBinomial",
    "normal": "Normal",
    "one_hot_categorical": "OneHotCategorical OneHotCategoricalStraightThrough",
    "pareto": "Pareto",
    "poisson": "Poisson",
    "relaxed_bernoulli": "LogitRelaxedBernoulli RelaxedBernoulli",
    "relaxed_categorical": "ExpRelaxedCategorical RelaxedOneHotCategorical",
    "studentT": "StudentT",
    "transformed_distribution": "TransformedDistribution",
    "uniform": "Uniform",
    "utils": "broadcast_all clamp_probs logits_to_probs probs_to_logits",
    "von_mises": "VonMises",
    "weibull": "Weibull",
}
NN_UTILS = {
    "clip_grad": "clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ get_total_norm",
    "convert_parameters": "parameters_to_vector vector_to_parameters",
    "init": "skip_init",
    "spectral_norm": "remove_spectral_norm spectral_norm",
    "weight_norm": "remove_weight_norm weight_norm",
}
# settings of PyTorch's compilers, with its defaults: programs set them, nothing reads them
SETTINGS: dict[str, dict[str, Any]] = {
    "torch._dynamo.config": {
        **dict.fromkeys(
            "suppress_errors verbose capture_scalar_outputs specialize_int compiled_autograd".split(), False
        ),
        **dict.fromkeys("automatic_dynamic_shapes assume_static_by_default dynamic_shapes optimize_ddp".split(), True),
        **{"cache_size_limit": 8, "recompile_limit": 8, "accumulated_cache_size_limit": 256},
    },
    "torch._functorch.config": {
        "donated_buffer": True,
        "functionalize_rng_ops": False,
        "activation_memory_budget": 1.0,
    },
    "torch._inductor.config": {
        **dict.fromkeys("coordinate_descent_tuning max_autotune max_autotune_gemm freezing cpp_wrapper".split(), False),
        **dict.fromkeys("force_fuse_int_mm_with_mul conv_1x1_as_mm debug".split(), False),
        **dict.fromkeys("epilogue_fusion fx_graph_cache shape_padding use_mixed_mm".split(), True),
        "triton": SimpleNamespace(unique_kernel_names=True, cudagraphs=False),
    },
}


class SDPBackend(enum.IntEnum):
    """Which kernel attention would take; here there is one, which never makes the matrix of scores."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


# --- torch.nn.modules.utils and torch.utils._pytree -------------------------------------------------------------------


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    """A function that makes one value n values, and leaves several as they are."""

    def several(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, (tuple, list)) else (x,) * n

    return several


class TreeSpec:
    """The form of a tree, without its leaves."""

    def __init__(self, tree: Any) -> None:
        self._tree = pytree.rebuild(tree, iter(lambda: None, 0))
        self.num_leaves = sum(1 for _ in pytree.leaves(tree))

    def unflatten(self, leaves: Any) -> Any:
        """A tree of this form with these leaves."""
        return pytree.rebuild(self._tree, leaves)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and self._tree == other._tree

    def __hash__(self) -> int:
        return hash(repr(self._tree))


def tree_flatten(tree: Any) -> tuple[list[Any], TreeSpec]:
    """The leaves, and the form."""
    return list(pytree.leaves(tree)), TreeSpec(tree)


def tree_unflatten(leaves: Any, treespec: TreeSpec) -> Any:
    """A tree of this form with these leaves."""
    return treespec.unflatten(leaves)


def tree_map_only(kind: Any, function: Callable[..., Any], tree: Any) -> Any:
    """`function` of the leaves of one type; the others as they are."""
    return pytree.tree_map(lambda x: function(x) if isinstance(x, kind) else x, tree)


# --- the modules ------------------------------------------------------------------------------------------------------


def _file(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name, f"What programs look for in {name}.")
    module.__dict__.update(__file__=__file__, __all__=[each for each in content if not each.startswith("_")], **content)
    return module


def _files() -> Iterator[ModuleType]:
    for name, names in NN.items():
        found = {each: getattr(nn, each, None) or INNER.get(each) or getattr(nn.linear, each) for each in names.split()}
        yield _file(f"torch.nn.modules.{name}", **found)
    for name, names in DISTRIBUTIONS.items():
        places = (distributions, transformed, distribution)
        content = {n: next(getattr(place, n) for place in places if hasattr(place, n)) for n in names.split()}
        yield _file(f"torch.distributions.{name}", **content)
    for name, names in NN_UTILS.items():
        yield _file(f"torch.nn.utils.{name}", **{each: getattr(utils, each) for each in names.split()})
    yield _file(
        "torch.nn.modules.utils",
        _single=_ntuple(1),
        _pair=_ntuple(2),
        _triple=_ntuple(3),
        _quadruple=_ntuple(4),
        _ntuple=_ntuple,
    )
    numbers = {f"_{name}_{n}_t": Any for name in ("size", "ratio") for n in (1, 2, 3, 4, 5, 6, "any")}
    yield _file("torch.nn.common_types", _maybe_indices_t=Any, **numbers)
    yield _file("torch.nn.utils.stateless", functional_call=func.functional_call)
    yield _file("torch.utils.hooks", RemovableHandle=RemovableHandle)
    yield _file("torch.utils.model_zoo", load_url=hub.load_state_dict_from_url)
    for name in ("torch._inductor", "torch._functorch"):
        yield _file(name)
    for name, settings in SETTINGS.items():
        yield _file(name, **settings)
    one_rank = dict.fromkeys(("all_reduce", "broadcast", "reduce"), lambda tensor, *_, **__: tensor)
    for name in ("torch.distributed.nn", "torch.distributed.nn.functional"):
        yield _file(name, all_gather=lambda tensor, *_, **__: (tensor,), **one_rank)
    data = _file("torch.utils.data._utils", collate=collate)
    yield data
    yield _file(
        "torch.utils.data._utils.collate",
        default_collate=collate.default_collate,
        default_convert=collate.default_convert,
    )
    yield _file(
        "torch.utils._pytree",
        TreeSpec=TreeSpec,
        tree_flatten=tree_flatten,
        tree_leaves=lambda tree: list(pytree.leaves(tree)),
        tree_map=pytree.tree_map,
        tree_map_only=tree_map_only,
        tree_structure=TreeSpec,
        tree_unflatten=tree_unflatten,
    )
    yield _file("torch.nn.attention", SDPBackend=SDPBackend, sdpa_kernel=Inert)
    yield _file("torch.cuda.nvtx", mark=nothing, range=Inert, range_pop=zero, range_push=zero)
    yield _file("torch.amp.grad_scaler", GradScaler=amp.GradScaler)
    yield _file("torch.amp.autocast_mode", autocast=amp.autocast, custom_bwd=amp.custom_bwd, custom_fwd=amp.custom_fwd)
    yield _file("torch.cpu.amp", GradScaler=amp.GradScaler, autocast=amp.autocast)
    yield _file("torch.overrides", has_torch_function=no, has_torch_function_unary=no, has_torch_function_variadic=no)
    yield _file("torch._C", Generator=Generator, _log_api_usage_once=nothing)
    yield _file("torch._utils", _accumulate=accumulate)


FILES = tuple(_files())
