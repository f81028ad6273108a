"""The command `minitensor`: train a network on real pictures, measure the engine, and say what it runs on.

It exits with 0 if all went well, 1 if something was wrong (said in one line), 2 for options that it
does not know, 130 if it was interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import cpu
from .arguments import above_zero, positive
from .graph import modes
from .version import __version__

if TYPE_CHECKING:
    from .train.run import Run

TRAIN = """\
Trains a network on real pictures or reviews and leaves a folder with the trained weights and
pictures of what it learnt. The digits come with scikit-learn; the other sets are looked for
on this machine and otherwise downloaded. A folder of pictures of your own, with a folder for
each class in it, is read from disk as it goes.

An interrupted run (Ctrl-C) goes on with --resume, and ends with the very same numbers.

data:
{names}
"""

BENCH = """\
Times the kernels that a course climbs, from the textbook's loops to the default, against what this
machine can do, and draws ladder.png. Then times minitensor beside those of PyTorch, NumPy and JAX
that are installed, each in a process of its own (some minutes; --filter and --rounds shorten it).
"""

RUN = """\
Runs a program as `python program.py` does, unchanged, with minitensor in the place of the library
that it imports. A name that is not there is said in one line: which, where, and the nearest.
"""

CHECK = """\
Lists the names of PyTorch (or TensorFlow) that a program uses, by its text alone: which are here, which
are here with a difference, and which are not, with the nearest. The exit code is 0 if all are here.
"""

EXAMPLES = """\
examples:
  minitensor train digits                      1,797 digits of 8x8 pixels, some seconds
  minitensor train cifar10 --model book        the book's network instead of the residual one
  minitensor train photos/                     your pictures: photos/cats/1.jpg, photos/dogs/7.png, ...
  minitensor train digits --model linear       without hidden layers, for comparison
  minitensor train digits --kernels naive      on the textbook's loops instead of the fast kernels
  minitensor train digits --resume             go on with an interrupted run
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    run: Callable[[Any], int] = arguments.run
    try:
        return run(arguments)
    except KeyboardInterrupt:
        print("minitensor: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads has seen enough, as in `minitensor check program.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("minitensor", description="A tensor engine to learn from.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"minitensor {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    _add_train(commands)
    _add_bench(commands)
    _add_run(commands)
    _add_check(commands)
    info = commands.add_parser("info", help="what the engine runs on here")
    info.set_defaults(run=_info)
    return parser


# --- train ----------------------------------------------------------------------------------------


def _names() -> str:
    """The data sets, a line each."""
    from .train.data import SOURCES

    return "\n".join(f"  {name:14} {source.about}" for name, source in SOURCES.items())


def _add_train(commands: Any) -> None:
    from .train.data import SOURCES
    from .train.models import MODELS

    train = commands.add_parser(
        "train",
        help="train a network on real pictures or reviews",
        description=TRAIN.format(names=_names()),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = f"what to learn from: {', '.join(SOURCES)}, or a folder of pictures"
    train.add_argument("name", nargs="?", type=_data, metavar="data", help=what)
    train.add_argument("--data", type=_data, metavar="DATA", help="the same; this one counts if both are given")
    lines = [(f.__doc__ or "").split("\n")[0].rstrip(".") for f in MODELS.values()]
    described = "; ".join(f"{name}: {line}" for name, line in zip(MODELS, lines, strict=True))
    train.add_argument("--model", choices=tuple(MODELS), help=f"the network ({described})")
    train.add_argument("--epochs", metavar="N", type=positive, help="how often every picture is seen (digits: 20)")
    train.add_argument(
        "--batch-size", metavar="N", type=positive, help="pictures for each step of the weights (digits: 32)"
    )
    train.add_argument("--lr", metavar="X", type=above_zero, help="the largest learning rate (digits: 0.003)")
    train.add_argument("--seed", metavar="N", type=_seed, help="decides the split, the first weights and the order (0)")
    train.add_argument("--threads", metavar="N", type=positive, help="changes the time, and no digit of a result")
    train.add_argument(
        "--kernels",
        choices=cpu.RUNGS[1:],
        help="from the textbook's loops (naive) to the default (fast)",
    )
    train.add_argument("--isa", choices=cpu.isas(), help="the CPU's instructions; reference: NumPy, no kernels")
    train.add_argument("--out", metavar="DIR", type=Path, help="the folder to write (runs/<data>-<model>)")
    train.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    train.set_defaults(run=_train)


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 4294967295")
    return int(text)


def _data(text: str) -> str:
    from .train.data import SOURCES

    if text in SOURCES:
        return text
    if Path(text).is_dir():
        return str(Path(text).resolve())
    near = difflib.get_close_matches(text, SOURCES, 1, 0.5)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise argparse.ArgumentTypeError(
        f"invalid choice: {text!r} (choose from {', '.join(SOURCES)}, or a folder of pictures with a folder for each "
        f"class){meant}"
    )


def _fail(error: BaseException | str) -> int:
    if isinstance(error, OSError) and error.strerror:
        error = f"{error.filename}: {error.strerror}"
    print(f"minitensor: {error}", file=sys.stderr)
    return 1


def _train(arguments: argparse.Namespace) -> int:
    from .datasets import DatasetError, FormatError
    from .serialization import CheckpointError
    from .train import run as runs

    asked = {
        "data": arguments.data or arguments.name,
        "model": arguments.model,
        "epochs": arguments.epochs,
        "batch_size": arguments.batch_size,
        "lr": arguments.lr,
        "seed": arguments.seed,
        "kernels": arguments.kernels,
        "isa": arguments.isa,
    }
    if asked["data"] is None and not (arguments.resume and arguments.out):
        print(f"minitensor train: what shall it learn from?\n\n{_names()}\n", file=sys.stderr)
        print(
            "or a folder of pictures, with a folder for each class. To begin:  minitensor train digits", file=sys.stderr
        )
        return 2
    if arguments.threads:
        cpu.set_num_threads(arguments.threads)
    try:
        run = runs.begin(asked, arguments.out, arguments.resume)
        return _train_and_tell(run, arguments)
    except (
        runs.RunError,
        CheckpointError,
        DatasetError,
        FormatError,
        ModuleNotFoundError,
        OSError,  # a folder that cannot be written to, a full disk
    ) as error:
        return _fail(error)


def _train_and_tell(run: Run, arguments: argparse.Namespace) -> int:
    from .training import summary

    settings, split, out = run.settings, run.split, run.folder
    print(f"minitensor {__version__}, {_engine()}")
    counts = f"{len(split.train):,} {split.things} to learn from, {len(split.test):,} held back"
    print(f"{settings.data}: {counts} ({split.held_back})")
    print(summary(run.model, (1, *split.shape)), flush=True)
    can_draw = importlib.util.find_spec("matplotlib") is not None
    if not can_draw:
        print("(there will be no pictures: matplotlib is missing; pip install matplotlib)")
    if run.epochs_done:
        print(f"going on after epoch {run.epochs_done} of {settings.epochs}", flush=True)
    begin = time.perf_counter()
    try:
        run.train()
    except KeyboardInterrupt:
        print(f"\ninterrupted; {run.checkpoint} holds all up to epoch {run.epochs_done}.")
        print(f"Go on with:  {_command(arguments)} --resume")
        return 130
    seconds = time.perf_counter() - begin

    probabilities = run.probabilities()
    wrong = int((probabilities.argmax(1) != np.asarray(split.test.labels)).sum())
    right = 1 - wrong / len(split.test)
    print(
        f"\n{right:.2%} of {split.held_back} read right ({wrong} of {len(split.test):,} wrong), "
        f"after {seconds:.1f} s of training, {_peak_memory():,.0f} MB at most"
    )
    print(f"\nThe folder {out} holds")
    files = {run.checkpoint.name: "the weights, and all that --resume needs"}
    files |= run.draw(probabilities) if can_draw else {}
    for name, what in files.items():
        print(f"  {name:23} {what}")
    print("\nTry next")
    suggestions = _suggestions(settings)
    width = max(len(options) for options, _ in suggestions)
    for options, what in suggestions:
        print(f"  minitensor train {options:{width}}  {what}")
    return 0


def _peak_memory() -> float:
    """The most that the process held so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _suggestions(settings: Any) -> list[tuple[str, str]]:
    from .train.data import source_of
    from .train.models import OF_ROWS

    data, model, usual = settings.data, settings.model, source_of(settings.data).model
    other = next(m for m in (("mlp", "linear") if usual in OF_ROWS else ("cnn", "mlp")) if m != model)
    this = data if model == usual else f"{data} --model {model}"
    more = ("--data mnist", "70,000 larger digits") if data == "digits" else ("--data digits", "the small digits")
    return [
        more,
        (f"{data} --model {other}", "another network on the same data"),
        (f"{this} --epochs {2 * settings.epochs}", "twice as long: is it any better?"),
        (f"{this} --lr {settings.lr * 10:g}", "ten times the learning rate: does it still learn?"),
        (f"{this} --seed {settings.seed + 1}", "other first weights, another order"),
        (f"{this} --threads 1", "slower, and the same to the last digit"),
        (f"{this} --kernels naive", "on the textbook's loops: what do fast kernels gain?"),
    ]


def _command(arguments: argparse.Namespace) -> str:
    """The command that finds the same folder again."""
    parts = ["minitensor train", *filter(None, [arguments.data or arguments.name])]
    if arguments.model:
        parts += ["--model", arguments.model]
    if arguments.out:
        parts += ["--out", str(arguments.out)]
    return " ".join(parts)


# --- bench ----------------------------------------------------------------------------------------


def _add_bench(commands: Any) -> None:
    from .bench.compare import add_options
    from .bench.peers import TITLES

    bench = commands.add_parser(
        "bench",
        help="measure the kernels, and other libraries beside them",
        description=BENCH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    bench.add_argument("what", nargs="?", choices=("ladder", "compare"), help="only one of the two")
    add_options(bench, default_peers=",".join(TITLES))
    bench.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("."), help="the folder for ladder.png (this one)"
    )
    bench.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    from .bench import compare, ladder

    shared = ["--threads", str(arguments.threads), "--seconds", str(arguments.seconds)]
    if arguments.what != "compare":
        try:
            arguments.out.mkdir(parents=True, exist_ok=True)
            ladder.main([*shared, "--picture", str(arguments.out / "ladder.png")])
        except OSError as error:
            return _fail(error)
    if arguments.what == "ladder":
        return 0
    print()
    chosen = ["--filter", arguments.filter, "--peers", ",".join(arguments.peers), "--rounds", str(arguments.rounds)]
    return compare.main([*shared, *chosen])


# --- run ------------------------------------------------------------------------------------------


def _add_run(commands: Any) -> None:
    from .compat import FACES

    run = commands.add_parser(
        "run",
        help="run a program that was written for another library",
        description=RUN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run.add_argument("--as", dest="face", choices=tuple(FACES), help="the library that it imports (all of these)")
    run.add_argument("script", help="the program")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="its own arguments")
    run.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from . import compat

    if not Path(arguments.script).is_file():
        return _fail(f"{arguments.script}: no such file")
    return compat.run(arguments.script, arguments.arguments, arguments.face)


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="say which names of another library a program uses that are not here",
        description=CHECK,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    check.add_argument("scripts", nargs="+", metavar="script", help="the program")
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from .compat.check import report

    complete = True
    for script in arguments.scripts:
        try:
            lines, all_here = report(script)
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            return _fail(error)
        if len(arguments.scripts) > 1:
            print(f"{script}:")
        print("\n".join(lines))
        complete = complete and all_here
    return 0 if complete else 1


# --- info -----------------------------------------------------------------------------------------


def _engine() -> str:
    threads = cpu.get_num_threads()
    return f"{cpu.isa()} instructions, {cpu.rung()} kernels, {threads} thread{'s' * (threads > 1)}"


def _info(arguments: argparse.Namespace) -> int:
    from .datasets import DatasetError, store

    lines = {
        "minitensor": __version__,
        "Python, NumPy": f"{platform.python_version()}, {np.__version__}",
        "system": f"{platform.system()} {platform.machine()}",
        "instructions": f"{cpu.isa()}, of {', '.join(cpu.isas())} (MINITENSOR_ISA)",
        "kernels": f"{cpu.rung()}, of {', '.join(cpu.RUNGS)} (MINITENSOR_KERNELS)",
        "products": f"{cpu.matmul_engine()} (set_float32_matmul_precision)",
        "threads": f"{cpu.get_num_threads()} (MINITENSOR_NUM_THREADS)",
        "graph layer": "compiled by Cython" if modes.is_compiled() else "pure Python, to step through",
        "package": str(Path(__file__).parent),
    }
    for name, value in lines.items():
        print(f"{name:15} {value}")
    try:
        folders = store.folders()
    except DatasetError as error:
        return _fail(error)
    for i, folder in enumerate(folders):
        there = "" if folder.is_dir() else " (not there yet)"
        print(f"{'' if i else 'data folders':15} {folder}{there}")
    return 0
