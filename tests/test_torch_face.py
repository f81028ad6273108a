"""Programs written for PyTorch, run as they stand: the face `torch` of `minitensor.compat`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


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
        ("import torch.nn as nn; nn.Linaer(1, 2)", "torch.nn.Linaer here; the nearest name is Linear"),
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
        "torch.float32 1.0",
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
