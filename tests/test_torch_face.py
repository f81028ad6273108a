"""Programs written for PyTorch, run as they stand: the face `torch` of `minitensor.compat`."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import minitensor as mt
from minitensor import cli, compat, dtypes


@pytest.fixture
def program(tmp_path):
    """Writes a program, runs it by `minitensor run`, and gives (exit code, lines printed, errors)."""

    def run(text, *arguments, options=()):
        path = tmp_path / "program.py"
        path.write_text(text)
        command = [sys.executable, "-m", "minitensor", "run", *options, str(path), *arguments]
        env = {**os.environ, "SKBUILD_EDITABLE_VERBOSE": "0"}  # an editable install would print what it builds
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
        return done.returncode, done.stdout.splitlines(), done.stderr.replace(str(path), "program.py")

    return run


def test_every_form_of_import(program):
    code, out, error = program(
        """
import torch, torch.nn as nn
import torch.nn.functional as F
from torch.nn import functional
from torch import nn as again, optim, Tensor, autograd
import torch.optim as optim_
from torch.optim import Adam, lr_scheduler
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import *
from torch.utils.data import DataLoader as D2, Dataset
from torch.utils.data.sampler import Sampler
from torch.utils.data.dataloader import default_collate
from torch.nn.modules.linear import Linear
from torch.nn.parameter import Parameter
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.autograd import Variable, Function
from torch.utils.checkpoint import checkpoint
from torch.utils.tensorboard import SummaryWriter
import torch.backends.cudnn as cudnn
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.init as init
import torch.linalg, torch.special, torch.random, torch.cuda.amp, torch.func

assert functional is F is nn.functional is torch.nn.functional and again is nn and optim is optim_ is torch.optim
assert D2 is DataLoader is torch.utils.data.DataLoader and Linear is nn.Linear is nn.modules.linear.Linear
assert isinstance(torch.ones(1), Tensor) and isinstance(torch.ones(1), Variable) and torch.is_tensor(torch.ones(1))
cudnn.benchmark = True
assert torch.backends.cudnn.benchmark
def typed(x: torch.Tensor, d: torch.device, s: torch.Size, t: torch.dtype = torch.float32) -> "torch.LongTensor": ...
print(torch.__version__ >= "2.0", int(torch.__version__.split(".")[0]))
"""
    )
    assert (code, out, error) == (0, ["True 2"], "")


def test_names_print_as_pytorchs(program):
    code, out, error = program(
        """
import torch
x = torch.tensor([[1, 2]])
print(torch.float32, x.dtype, x.shape, x.size(), x.type(), type(x), repr(x.device), torch.device("cuda", 1))
print(torch.nn.Linear, torch.optim.Adam, torch.utils.data.DataLoader, torch.nn.Parameter, torch.strided)
print(torch.finfo(torch.float32).dtype, x.float(), torch.tensor([1.0], dtype=torch.float64))
print(x.max(1))
print(type(torch.nn.Conv2d(1, 1, 1)), torch.bfloat16, isinstance(torch.complex64, torch.dtype))
"""
    )
    assert (code, error) == (0, "")
    assert out == [
        "torch.float32 torch.int64 torch.Size([1, 2]) torch.Size([1, 2]) torch.LongTensor <class 'torch.Tensor'> "
        "device(type='cpu') cuda:1",
        "<class 'torch.nn.modules.linear.Linear'> <class 'torch.optim.adam.Adam'> "
        "<class 'torch.utils.data.dataloader.DataLoader'> <class 'torch.nn.parameter.Parameter'> torch.strided",
        "float32 tensor([[1., 2.]]) tensor([1.], dtype=torch.float64)",
        "torch.return_types.max(",
        "values=tensor([2]),",
        "indices=tensor([1]))",
        "<class 'torch.nn.modules.conv.Conv2d'> torch.bfloat16 True",
    ]


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("import torch; torch.zeross(1)", "torch.zeross here; the nearest name is zeros"),
        ("import torch.nn as nn; nn.Linearr(1, 2)", "torch.nn.Linearr here; the nearest name is Linear"),
        ("from torch.optim import Adamm", "torch.optim.Adamm here; the nearest name is Adam"),
        ("import torch.nn.functionall", "torch.nn.functionall here; the nearest name is functional"),
        ("import torch; torch.ones(1).summ()", "Tensor.summ here; the nearest name is sum"),
        ("import torch; torch.nn.Linear(1, 1).evall()", "Linear.evall here; the nearest name is eval"),
    ],
)
def test_a_missing_name_is_said_in_one_line(program, line, want):
    code, _, error = program(f"import os\n\n{line}\n")
    assert code == 1
    assert error.count("\n") == 1
    assert error.startswith("minitensor: program.py, line 3: there is no ")
    assert want in error


def test_what_is_not_there_says_no_or_does_nothing(program):
    code, out, error = program(
        """
import contextlib, torch, torch.nn as nn, torch.distributed as dist
from torch.profiler import ProfilerActivity, profile, schedule, tensorboard_trace_handler
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.utils.tensorboard import SummaryWriter

print(torch.cuda.is_available(), torch.cuda.device_count(), torch.backends.mps.is_available(), torch.mps.is_available())
print(torch.accelerator.is_available(), torch.accelerator.current_accelerator(), torch.cuda.is_bf16_supported())
torch.cuda.manual_seed_all(1); torch.cuda.manual_seed(1); torch.cuda.synchronize(); torch.mps.synchronize()
torch.cuda.reset_peak_memory_stats(); torch.cuda.empty_cache(); print(torch.cuda.max_memory_allocated() // 1024)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
model = torch.compile(nn.Linear(2, 1))
double = torch.compile(lambda x: 2 * x, dynamic=False)
@torch.compile
def triple(x): return 3 * x
@torch.jit.script
def four(x): return 4 * x
print(type(model).__name__, double(1), triple(1), four(1), torch.jit.trace(model, torch.ones(2)) is model)
scaler = torch.amp.GradScaler("cpu")
optimizer = torch.optim.SGD(model.parameters(), 0.1)
with torch.amp.autocast(device_type="cpu", dtype=torch.bfloat16), torch.autograd.profiler.record_function("x"):
    loss = model(torch.ones(1, 2)).sum()
scaler.scale(loss).backward(); scaler.unscale_(optimizer); scaler.step(optimizer); scaler.update()
print(loss.dtype, scaler.get_scale())
with profile(activities=[ProfilerActivity.CPU], schedule=schedule(wait=1, warmup=1, active=1),
             on_trace_ready=tensorboard_trace_handler("x")) as prof:
    prof.step()
writer = SummaryWriter("runs"); writer.add_scalar("loss", 1.0, 0); writer.close()
print(dist.is_available(), dist.is_initialized())
dist.init_process_group(backend="nccl", world_size=1, rank=0)
t = torch.ones(2); dist.all_reduce(t, op=dist.ReduceOp.AVG); dist.barrier()
ddp = DDP(model, device_ids=[0])
print(dist.get_rank(), dist.get_world_size(), t, list(ddp.state_dict()))
print(type(ZeroRedundancyOptimizer(ddp.parameters(), torch.optim.AdamW, lr=1e-3)).__name__)
dist.destroy_process_group()
for wrong in (lambda: t.cuda(), lambda: t.to("mps"), lambda: nn.Linear(1, 1).to(torch.device("cuda:0"))):
    try: wrong()
    except (RuntimeError, AssertionError) as error: print(error)
"""
    )
    assert (code, error) == (0, "")
    only = "minitensor runs on the CPU; the only device is 'cpu'"
    assert out == [
        "False 0 False False",
        "False None False",
        "0",
        "Linear 2 3 4 True",
        "torch.bfloat16 65536.0",
        "False False",
        "0 1 tensor([1., 1.]) ['module.weight', 'module.bias']",
        "AdamW",
        *(f"device '{name}': {only}" for name in ("cuda", "mps", "cuda:0")),
    ]


def test_a_function_with_the_name_of_its_module_stays_the_function(program):
    code, out, error = program(
        """
import torch
from torch.autograd import gradcheck, gradgradcheck
x = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
print(gradcheck(torch.sin, (x,)), torch.autograd.gradcheck is gradcheck)
"""
    )
    assert (code, out, error) == (0, ["True True"], "")


def test_check_lists_what_a_program_uses(tmp_path, capsys):
    path = tmp_path / "program.py"
    path.write_text(
        "import torch\nimport torch.nn as nn\nfrom torch.nn import functional as F\n"
        "from torch.utils.data import DataLoader as Loader, Datasett\n"
        "x = torch.compile(nn.Linear(1, 1))\nx = F.reluu(x)\ny = torch.zzqqxx.thing\nnn.init.zeros_(x)\n"
        "for torch_ in []: torch_.nothing\ntorch.float32.itemsize\n"
    )
    assert cli.main(["check", str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "not here (3):",
        "  torch.nn.functional.reluu  line 6; the nearest name is relu",
        "  torch.utils.data.Datasett  line 4; the nearest name is Dataset",
        "  torch.zzqqxx.thing         line 7; no torch.zzqqxx; nor anything of a like name",
        "here, with a difference (1):",
        "  torch.compile  line 5; gives the model or function back as it is",
        "here (6):",
        "  torch.float32.itemsize       line 10",
        "  torch.nn                     line 2",
        "  torch.nn.functional          line 3",
        "  torch.nn.init.zeros_         line 8",
        "  torch.nn.Linear              line 5",
        "  torch.utils.data.DataLoader  line 4",
    ]
    assert repr(mt.float32) == "minitensor.float32"  # nothing is installed
    path.write_text("import torch\nprint(torch.zeros(2))\n")
    assert cli.main(["check", str(path)]) == 0
    path.write_text("print(1)\n")
    assert cli.main(["check", str(path)]) == 0
    assert "uses no name of" in capsys.readouterr().out
    path.write_text("import torch as\n")
    assert cli.main(["check", str(path)]) == 1
    assert cli.main(["check", str(tmp_path / "absent.py")]) == 1
    assert "absent.py" in capsys.readouterr().err


def test_check_knows_whose_a_name_is():
    """A function's argument or variable that is called as a module is imported elsewhere is not that module."""
    program = """
def late():
    return torch.late(lambda nn: nn.argument, optim.none)
class Block(nn.Module):
    def __init__(self, optim):
        self.rate = optim.rate
        F = optim
        F.loss, [nn.Linear(F.width) for _ in F]
        def inner(): return F.depth, torch.zeros(1).T.nothing
import torch, torch.nn as nn
if __name__ == "__main__":
    import torch.optim as optim
    import torch.nn.functional as F
    optim.SGD(F.relu)
"""
    found = {f.name: f.lines for f in compat.check(program) if f.lines}
    assert found == {
        "torch.late": [3],
        "torch.nn": [10],
        "torch.nn.Linear": [8],
        "torch.nn.Module": [4],
        "torch.nn.functional": [13],
        "torch.nn.functional.relu": [14],
        "torch.optim": [12],
        "torch.optim.SGD": [14],
        "torch.optim.none": [3],
        "torch.zeros": [9],
    }


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda x: 1 - x, "RsubBackward1"),
        (lambda x: 2 / x, "MulBackward0"),
        (lambda x: x.repeat(2, 1), "RepeatBackward0"),
        (lambda x: x.masked_fill(x > 0, 0.0), "MaskedFillBackward0"),
        (lambda x: x.topk(1).values, "TopkBackward0"),
        (lambda x: x.squeeze(), "SqueezeBackward0"),
        (lambda x: x.squeeze(0), "SqueezeBackward1"),
        (lambda x: x.transpose(0, 1), "TransposeBackward0"),
        (lambda x: x.T, "PermuteBackward0"),
        (lambda x: x.reshape(1, 2, 2) @ x, "UnsafeViewBackward0"),
        (lambda x: mt.nn.Linear(2, 1)(x[None]), "ViewBackward0"),
        (lambda x: mt.nn.functional.huber_loss(x, x.detach() + 1), "HuberLossBackward0"),
        (lambda x: mt.nn.functional.smooth_l1_loss(x, x.detach() + 1), "SmoothL1LossBackward0"),
        (lambda x: mt.nn.BCELoss()(x.sigmoid(), mt.ones(2, 2)), "BinaryCrossEntropyBackward0"),
        (lambda x: mt.nn.BCEWithLogitsLoss()(x, mt.ones(2, 2)), "BinaryCrossEntropyWithLogitsBackward0"),
        (lambda x: mt.nn.functional.interpolate(x[None, None], scale_factor=2), "UpsampleNearest2DBackward0"),
        (lambda x: mt.nn.ConvTranspose2d(1, 1, 2)(x[None, None]), "ConvolutionBackward0"),
    ],
)
def test_formulas_of_several_operators_have_pytorchs_name(make, name):
    x = mt.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert make(x).grad_fn.name() == name


def test_a_number_over_a_tensor_is_rounded_as_pytorchs():
    x = mt.tensor([3.0, 7.0], requires_grad=True)
    y = 10 / x
    assert y.tolist() == [float(np.float32(10) * (np.float32(1) / np.float32(v))) for v in (3, 7)]
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [-10 / 9, -10 / 49], rtol=1e-6)
    assert (1 / mt.tensor([4, 2])).tolist() == [0.25, 0.5]
    assert (mt.tensor([8.0]) / mt.tensor([2.0])).item() == 4.0


def test_assert_close():
    close = mt.testing.assert_close
    close(mt.tensor([1.0, 2.0]), mt.tensor([1.0, 2.000001]))
    close({"a": [mt.ones(2), 3]}, {"a": [mt.ones(2), 3]})
    close(mt.tensor(float("nan")), mt.tensor(float("nan")), equal_nan=True)
    close(mt.ones(2), mt.ones(2, dtype=mt.float64), check_dtype=False)
    close(1.0, 1.05, rtol=0.1, atol=0)
    for actual, expected, words in [
        (
            mt.tensor([1.0, 2.0]),
            mt.tensor([1.0, 3.0]),
            r"1 / 2 \(50.0%\)\nGreatest absolute difference: 1.0 at .*\(1,\)",
        ),
        (mt.tensor([1, 2]), mt.tensor([1, 4]), r"are not equal!\n\nMismatched elements: 1 / 2"),
        (mt.ones(2), mt.ones(1, 2), "'shape' do not match"),
        (mt.ones(2), mt.ones(2).double(), "'dtype' do not match"),
        ([mt.ones(1), mt.ones(1)], [mt.ones(1), mt.zeros(1)], r"item \[1\]"),
        ([1], [1, 2], "length of the sequences"),
        ({"a": 1}, {"b": 1}, "keys of the mappings"),
        (1.0, 2.0, "Expected 2.0 but got 1.0"),
    ]:
        with pytest.raises(AssertionError, match=words):
            close(actual, expected)
    with pytest.raises(AssertionError, match="mine"):
        close(1, 2, msg="mine")
    with pytest.raises(TypeError, match="No comparison pair"):
        close(mt.ones(1), "text")
    with pytest.raises(ValueError, match="both or neither"):
        close(1.0, 1.0, rtol=0.1)


def test_devices_and_dtypes_can_be_named_that_are_not_there():
    assert repr(mt.device("cuda", 1)) == "device(type='cuda', index=1)"
    assert str(mt.device("cuda:0")) == "cuda:0"
    assert mt.device("cpu") != mt.device("cpu", 0)
    for wrong in ("fast", "cuda:x", 0):
        with pytest.raises(RuntimeError, match="device"):
            mt.device(wrong)
    with pytest.raises(AssertionError, match="only device is 'cpu'"):
        mt.ones(1).to("cuda")
    with mt.device("cpu"):
        assert mt.ones(1).device == mt.device("cpu")
    foreign = dtypes.uint16
    assert isinstance(foreign, mt.dtype)
    assert pickle.loads(pickle.dumps(foreign)) is foreign
    assert pickle.loads(pickle.dumps(mt.bfloat16)) is mt.bfloat16
    with pytest.raises(TypeError, match="no tensor here has it"):
        mt.ones(1, dtype=foreign)
    assert mt.ones(1).to(mt.complex64).is_complex()


def test_variable():
    from minitensor.autograd import Variable

    x = mt.ones(2)
    leaf = Variable(x, requires_grad=True)
    assert leaf.requires_grad
    assert not x.requires_grad
    assert leaf.data_ptr() == x.data_ptr()
    assert isinstance(x, Variable)
    assert not isinstance(1, Variable)


def test_torchvision(program, tmp_path):
    """The data set is made here; the draws are those of torchvision 0.29 with PyTorch 2.13."""
    pytest.importorskip("PIL")
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    pixels = np.arange(2 * 28 * 28, dtype=np.int64) % 251
    for part in ("train", "t10k"):
        for name, sizes, values in (("images-idx3", (2, 28, 28), pixels), ("labels-idx1", (2,), np.array([7, 3]))):
            head = bytes([0, 0, 8, len(sizes)]) + b"".join(n.to_bytes(4, "big") for n in sizes)
            with gzip.open(folder / f"{part}-{name}-ubyte.gz", "wb") as file:
                file.write(head + values.astype(np.uint8).tobytes())
    code, out, error = program(
        f"""
import gzip
import os
os.environ["MINITENSOR_DATA"] = {str(tmp_path)!r}
import torch
from torchvision import datasets, transforms as T, utils
transform = T.Compose([T.RandomCrop(28, padding=4), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize((0.5,), (2,))])
data = datasets.MNIST("../data", train=True, download=True, transform=transform)
print(data)
plain = datasets.MNIST("../data", train=False, transform=T.ToTensor())
x, y = plain[0]
print(x.shape, x.dtype, y, type(y).__name__, torch.equal(x[0] * 255, plain.data[0].float()), plain.targets)
print(datasets.MNIST("../data")[1][0].size, data.classes[3])
torch.manual_seed(5)
state = torch.get_rng_state()
shifted = data[0][0]
torch.set_rng_state(state)
top, left = torch.randint(0, 9, (1,)).item(), torch.randint(0, 9, (1,)).item()
want = torch.nn.functional.pad(x, (4, 4, 4, 4))[:, top : top + 28, left : left + 28]
want = want.flip(-1) if torch.rand(1) < 0.5 else want
print(torch.allclose(shifted, (want - 0.5) / 2))
print(T.Resize(14)(T.ToPILImage()(x)).size, T.Resize((7, 5))(x).shape, T.CenterCrop(4)(x).shape, T.Pad(1)(x).shape)
grid = utils.make_grid(torch.ones(3, 1, 4, 4), nrow=2)
print(grid.shape, grid.sum())
utils.save_image(torch.ones(2, 3, 4, 4), "grid.png")
print(os.path.exists("grid.png"))
"""
    )
    assert (code, error) == (0, "")
    assert out == [
        "Dataset MNIST",
        "    Number of datapoints: 2",
        "    Root location: ../data",
        "    Split: Train",
        "    StandardTransform",
        "Transform: Compose(",
        "               RandomCrop(size=(28, 28), padding=4)",
        "               RandomHorizontalFlip(p=0.5)",
        "               ToTensor()",
        "               Normalize(mean=(0.5,), std=(2,))",
        "           )",
        "torch.Size([1, 28, 28]) torch.float32 7 int True tensor([7, 3])",
        "(28, 28) 3 - three",
        "True",
        "(14, 14) torch.Size([1, 7, 5]) torch.Size([1, 4, 4]) torch.Size([1, 30, 30])",
        "torch.Size([3, 14, 14]) tensor(144.)",
        "True",
    ]


NAMES = """
    FloatTensor Generator LongTensor Tensor abs accelerator.current_accelerator accelerator.is_available all
    allclose amp.autocast arange backends.cuda.matmul.allow_tf32 backends.cudnn.allow_tf32
    backends.cudnn.benchmark backends.mps.is_available bfloat16 bmm cat compile cos cuda.amp.GradScaler
    cuda.is_available cuda.is_bf16_supported cuda.manual_seed cuda.manual_seed_all cuda.max_memory_allocated
    cuda.reset_peak_memory_stats cuda.set_device cuda.synchronize device diag distributed.ReduceOp.AVG
    distributed.all_reduce distributed.destroy_process_group distributed.init_process_group
    distributed.optim.ZeroRedundancyOptimizer distributions.Categorical distributions.multinomial.Multinomial dot
    double empty exp eye flatten float float16 float32 from_numpy full histogram inference_mode int16 int32 int64
    is_grad_enabled linspace load log log1p long manual_seed matmul max mm mps.synchronize multinomial
    multiprocessing.Process multiprocessing.set_start_method mv nn.AdaptiveAvgPool2d nn.AvgPool2d nn.BCELoss
    nn.BCEWithLogitsLoss nn.BatchNorm1d nn.BatchNorm2d nn.Conv2d nn.ConvTranspose2d nn.CrossEntropyLoss nn.Dropout
    nn.Dropout2d nn.Embedding nn.Flatten nn.GELU nn.GRU nn.InstanceNorm2d nn.LSTM nn.LSTMCell nn.LayerNorm
    nn.LazyBatchNorm1d nn.LazyBatchNorm2d nn.LazyConv2d nn.LazyLinear nn.LeakyReLU nn.Linear nn.MSELoss
    nn.MaxPool2d nn.Module nn.ModuleDict nn.ModuleList nn.NLLLoss nn.Parameter nn.PixelShuffle nn.RNN nn.ReLU
    nn.ReflectionPad2d nn.Sequential nn.Sigmoid nn.Softmax nn.Tanh nn.Transformer
    nn.functional.binary_cross_entropy nn.functional.cross_entropy nn.functional.dropout nn.functional.elu
    nn.functional.interpolate nn.functional.layer_norm nn.functional.log_softmax nn.functional.max_pool2d
    nn.functional.nll_loss nn.functional.one_hot nn.functional.pad nn.functional.relu
    nn.functional.scaled_dot_product_attention nn.functional.sigmoid nn.functional.smooth_l1_loss
    nn.functional.softmax nn.functional.tanh nn.init.calculate_gain nn.init.constant_ nn.init.normal_
    nn.init.ones_ nn.init.orthogonal_ nn.init.uniform_ nn.init.xavier_normal_ nn.init.xavier_uniform_
    nn.init.zeros_ nn.modules.activation.MultiheadAttention nn.modules.activation.ReLU
    nn.modules.container.ModuleList nn.modules.conv.Conv2d nn.modules.dropout.Dropout nn.modules.linear.Linear
    nn.modules.linear.NonDynamicallyQuantizableLinear nn.modules.normalization.LayerNorm
    nn.modules.pixelshuffle.PixelShuffle nn.modules.rnn.GRU nn.modules.rnn.LSTM nn.modules.rnn.RNN
    nn.modules.sparse.Embedding nn.modules.transformer.TransformerEncoder
    nn.modules.transformer.TransformerEncoderLayer nn.parallel.DistributedDataParallel nn.parallel.data_parallel
    nn.utils.clip_grad_norm_ no_grad norm normal ones ones_like onnx._export onnx.export optim.Adadelta optim.Adam
    optim.AdamW optim.LBFGS optim.SGD optim.lr_scheduler.MultiStepLR optim.lr_scheduler.StepLR pow
    profiler.ProfilerActivity.CPU profiler.ProfilerActivity.CUDA profiler.profile profiler.schedule
    profiler.tensorboard_trace_handler rand randint randn randn_like randperm relu repeat_interleave roll save
    serialization.safe_globals set_float32_matmul_precision sigmoid sign sin sort sparse_coo_tensor spmm sqrt
    square stack sum tanh tensor topk tril utils.data.DataLoader utils.data.Dataset utils.data.RandomSampler
    utils.data.TensorDataset utils.data.sampler.Sampler utils.tensorboard.SummaryWriter version.__version__ where
    zeros zeros_like
"""
METHODS = """
    abs add add_ add_module add_param_group all apply argmax backward children clip clone contiguous copy_ cpu
    cumsum detach dim div double eq eval exp expand fill_ flatten flip float forward get_last_lr item
    load_state_dict log log10 long masked_fill max mean mm mul named_modules named_parameters nelement new_zeros
    norm normal_ numel numpy parameters permute pin_memory pow register_buffer relu repeat requires_grad_ reshape
    retain_grad scatter sigmoid size split squeeze state_dict std step sum t tanh to tolist train transpose type
    unique unsqueeze var view view_as zero_ zero_grad
"""


def test_the_names_that_public_programs_use(program):
    code, out, error = program(
        f"""
import operator
import torch, torch.nn.parallel, torch.utils.tensorboard, torch.distributed.optim
for name in {NAMES.split()!r}:
    try:
        operator.attrgetter(name)(torch)
    except AttributeError as error:
        print(name, error)
kinds = (torch.Tensor, torch.nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.StepLR)
print([name for name in {METHODS.split()!r} if not any(hasattr(kind, name) for kind in kinds)])
"""
    )
    assert (code, out, error) == (0, ["[]"], "")


def test_distributions(program):
    code, out, error = program(
        """
import math
import torch
from torch.distributions import Categorical
normal = torch.distributions.Normal(0.0, 1.0)
print(round(normal.log_prob(torch.tensor(0.0)).item() + 0.5 * math.log(2 * math.pi), 6))
print(torch.distributions.normal.Normal is torch.distributions.Normal, Categorical(torch.ones(4)).probs.tolist())
"""
    )
    assert (code, out, error) == (0, ["0.0", "True [0.25, 0.25, 0.25, 0.25]"], "")


def test_arguments_that_programs_pass_by_name():
    x = mt.randn(2, 6, 3, 4, layout=mt.strided, pin_memory=False)
    assert [part.shape[1] for part in x.split(split_size=[2, 4], dim=1)] == [2, 4]
    assert x.to(memory_format=mt.contiguous_format) is x is x.to(memory_format=mt.preserve_format)
    assert x.is_contiguous(memory_format=mt.contiguous_format)
    assert x.to(mt.float32, True) is x
    assert x.to(mt.float32, False, True) is not x
    assert mt.rand_like(x, layout=mt.strided, memory_format=mt.preserve_format).shape == x.shape
    w = mt.ones(3, requires_grad=True)
    (g,) = mt.autograd.grad(outputs=w.square().sum(), inputs=w, create_graph=True, retain_graph=True, only_inputs=True)
    assert g.tolist() == [2.0, 2.0, 2.0]
    line = mt.nn.Linear(2, 2)
    twice = mt.nn.Sequential(line, line)
    assert len(list(twice.modules(remove_duplicate=False))) == 3
    assert len(list(twice.modules())) == 2
    assert mt.nn.ModuleList().append(module=line).extend(modules=[line]).pop(key=0) is line


def test_notes_of_a_printed_tensor_go_to_a_new_line_where_pytorchs_do():
    x = mt.arange(8.0, requires_grad=True)
    try:
        mt.set_printoptions(linewidth=55)
        assert str(x) == "tensor([0., 1., 2., 3., 4., 5., 6., 7.],\n       requires_grad=True)"
        mt.set_printoptions(linewidth=60)
        assert str(x) == "tensor([0., 1., 2., 3., 4., 5., 6., 7.],\n       requires_grad=True)"
        mt.set_printoptions(linewidth=61)
        assert str(x) == "tensor([0., 1., 2., 3., 4., 5., 6., 7.], requires_grad=True)"
    finally:
        mt.set_printoptions(profile="default")


def test_places_where_programs_look_for_names(tmp_path):
    """Modules of PyTorch's that have no file here, with what programs take from them."""
    program = tmp_path / "places.py"
    program.write_text(
        "import torch\n"
        "from torch.nn.modules.batchnorm import _BatchNorm\n"
        "from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd\n"
        "from torch.nn.modules.loss import _WeightedLoss\n"
        "from torch.nn.modules.utils import _pair\n"
        "from torch.nn.attention import SDPBackend, sdpa_kernel\n"
        "from torch.nn.utils.weight_norm import weight_norm\n"
        "from torch.optim.optimizer import required\n"
        "from torch.utils._pytree import tree_flatten, tree_unflatten\n"
        "from torch.utils.data._utils.collate import default_collate\n"
        "from torch.utils.hooks import RemovableHandle\n"
        "from torch.distributions.multivariate_normal import MultivariateNormal\n"
        "from torch.distributions.utils import broadcast_all\n"
        "class Layer(_ConvNd):\n"
        "    def __init__(self):\n"
        "        super().__init__(3, 4, _pair(3), _pair(1), _pair(0), _pair(1), False, _pair(0), 1, True, 'zeros')\n"
        "print(Layer(), Layer().weight.shape)\n"
        "print(isinstance(torch.nn.BatchNorm1d(2), _BatchNorm), isinstance(torch.nn.Conv2d(1, 1, 1), _ConvNd))\n"
        "print(isinstance(torch.nn.ConvTranspose1d(1, 1, 1), _ConvTransposeNd), callable(weight_norm))\n"
        "print(isinstance(torch.nn.NLLLoss(), _WeightedLoss), required, isinstance(Layer(), torch.jit.ScriptModule))\n"
        "leaves, form = tree_flatten({'a': 1, 'b': [2, 3]})\n"
        "print(leaves, tree_unflatten([4, 5, 6], form), form == tree_flatten({'a': 0, 'b': [0, 0]})[1])\n"
        "print(torch.distributions.Normal, torch.nn.Linear, MultivariateNormal.__name__)\n"
        "with sdpa_kernel(SDPBackend.MATH): print(default_collate([1, 2]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "minitensor", "run", str(program)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Layer(3, 4, kernel_size=(3, 3), stride=(1, 1)) torch.Size([4, 3, 3, 3])",
        "True True",
        "True True",
        "True <required parameter> False",
        "[1, 2, 3] {'a': 4, 'b': [5, 6]} True",
        "<class 'torch.distributions.normal.Normal'> <class 'torch.nn.modules.linear.Linear'> MultivariateNormal",
        "tensor([1, 2])",
    ]


def test_a_storage_is_the_memory_in_one_row():
    x = mt.tensor([[4.0, 1.0], [5.0, 3.0]])
    row = x.T.storage()
    assert row.tolist() == [4.0, 1.0, 5.0, 3.0]
    row[0] = 2.0
    assert x[0, 0].item() == 2.0
    assert (len(row), row.nbytes(), row.element_size(), row.dtype) == (4, 16, 4, mt.float32)
    assert x[1].storage().data_ptr() == x.data_ptr()
    assert x[1].clone().storage().data_ptr() != x.data_ptr()
    assert repr(mt.tensor([1, 2]).storage()).splitlines()[:2] == [" 1", " 2"]
    assert repr(row).endswith("storage.TypedStorage(dtype=minitensor.float32, device=cpu) of size 4]")
    assert x.untyped_storage().nbytes() == len(row.untyped()) == 16


def test_trees_and_checkpoint_helpers(program):
    code, out, error = program(
        """
from torch.utils._pytree import tree_flatten, tree_map, tree_map_only, tree_structure, tree_unflatten
from torch.utils.checkpoint import get_device_states, set_device_states
leaves, form = tree_flatten({"a": 1, "b": (2, [3.5])})
print(leaves, tree_unflatten([10, 20, 30], form), tree_map(lambda x: 2 * x, (1, [2])))
print(tree_map_only(float, int, [1.5, "x"]), tree_structure((1, 2)) == tree_structure((3, 4)))
set_device_states(*get_device_states(1))
"""
    )
    assert (code, error) == (0, "")
    assert out == ["[1, 2, 3.5] {'a': 10, 'b': (20, [30])} (2, [4])", "[1, 'x'] True"]


def test_scripted_modules_are_saved_and_loaded(tmp_path):
    import minitensor as mt
    from minitensor.compat.torch import jit

    layer = jit.trace(mt.nn.Linear(2, 3), mt.ones(2))
    layer.save(str(tmp_path / "layer.pt"))
    again = jit.load(str(tmp_path / "layer.pt"))
    assert mt.equal(again(mt.ones(2)), layer(mt.ones(2)))
    jit.save(jit.script(again), str(tmp_path / "again.pt"))
    assert isinstance(jit.load(str(tmp_path / "again.pt")), mt.nn.Linear)
