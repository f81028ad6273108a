"""minitensor and other libraries side by side.

Each peer runs in a process of its own, and only one works at a time: they take turns, case by case, and the best of
several rounds counts (two OpenMP runtimes in one process spin against each other, and machines are shared). The table
has microseconds, and each peer's time divided by ours: above 1, minitensor is faster.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..arguments import above_zero, positive
from . import peers
from .cases import CASES

# The files of this folder as a package of another name: the peer's Python need not have minitensor.
PROGRAM = (
    "import sys, types; p = types.ModuleType('bench_peer'); p.__path__ = [sys.argv[1]]; sys.modules['bench_peer'] = p; "
    "from bench_peer.serve import main; main(sys.argv[2:])"
)
OURS = "minitensor"


class Missing(Exception):
    """A peer that is not installed."""


class Peer:
    """A library in a process of its own, which waits for questions."""

    def __init__(self, name: str, python: str, threads: int) -> None:
        self.name, self.title = name, peers.TITLES[name]
        command = [python, "-c", PROGRAM, str(Path(__file__).parent), name, "--threads", str(threads)]
        env = {**os.environ, **peers.environment(threads)}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env)
        try:
            self.version = str(self._read()["version"])
        except Missing:
            self.close()
            raise

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):  # an editable installation may print before
                answer = json.loads(line)
                if "error" in answer and not hasattr(self, "version"):
                    raise Missing(f"{self.title} is left out: {answer['error']}")
                return answer  # type: ignore[no-any-return]
        raise SystemExit(f"{self.title}: its process has ended with code {self._process.wait()}")

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.communicate()


@contextlib.contextmanager
def started(names: Sequence[str], pythons: dict[str, str], threads: int) -> Iterator[list[Peer]]:
    """The peers that are installed, running; a word on standard error about each that is not."""
    running: list[Peer] = []
    try:
        for name in names:
            try:
                running.append(Peer(name, pythons.get(name, sys.executable), threads))
            except Missing as error:
                print(error, file=sys.stderr)
        yield running
    finally:
        for peer in running:
            peer.close()


@contextlib.contextmanager
def one_core_busy() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def times(running: Sequence[Peer], name: str, rounds: int, seconds: float, what: str = "best") -> dict[str, float]:
    """For each peer that has the case: the least of several rounds, in turn, in seconds."""
    least: dict[str, float] = {}
    left = list(running)
    for _ in range(rounds):
        for peer in list(left):
            answer = peer.ask(case=name, seconds=seconds)
            if "error" in answer:
                left.remove(peer)
            else:
                least[peer.name] = min(least.get(peer.name, math.inf), answer[what])
    return least


def compare(
    running: Sequence[Peer], names: Sequence[str], rounds: int, seconds: float, load: bool, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row for each case that two peers have (or the only one), said as Markdown as soon as it is known."""
    columns = [f"{peer.title}, us" for peer in running]
    columns += [f"{peer.title} : minitensor" for peer in running if peer.name != OURS]
    columns += [f"{peer.title}, slowdown" for peer in running if load]
    say("| case | " + " | ".join(columns) + " |")
    say("|---" * (len(columns) + 1) + "|")
    rows = []
    for name in names:
        found = times(running, name, 1, seconds)
        if len(found) < min(2, len(running)):
            continue
        able = [peer for peer in running if peer.name in found]
        more = times(able, name, rounds - 1, seconds)
        best = {key: min(value, more.get(key, math.inf)) for key, value in found.items()}
        row: dict[str, Any] = {"case": name, "seconds": best}
        row["ratio"] = {key: value / best[OURS] for key, value in best.items() if key != OURS and OURS in best}
        if load:
            quiet = times(able, name, rounds, seconds, "mean")
            with one_core_busy():
                busy = times(able, name, rounds, seconds, "mean")
            row["slowdown"] = {key: busy[key] / quiet[key] for key in quiet}
        rows.append(row)
        say(_line(name, row, running, load))
    if rows:
        say(_line(f"geometric mean of {len(rows)}", _summary(rows), running, load))
    return rows


def _line(name: str, row: dict[str, Any], running: Sequence[Peer], load: bool) -> str:
    def cell(value: float | None, scale: float, digits: int) -> str:
        return "" if value is None else f"{value * scale:.{digits}f}"

    cells = [cell(row["seconds"].get(peer.name), 1e6, 1) for peer in running]
    cells += [cell(row["ratio"].get(peer.name), 1, 2) for peer in running if peer.name != OURS]
    cells += [cell(row["slowdown"].get(peer.name), 1, 2) for peer in running if load]
    return f"| {name} | " + " | ".join(cells) + " |"


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The geometric means, over the cases that a peer has."""
    summary: dict[str, Any] = {"seconds": {}}
    for key in ("ratio", "slowdown"):
        values: dict[str, list[float]] = {}
        for row in rows:
            for peer, value in row.get(key, {}).items():
                values.setdefault(peer, []).append(value)
        summary[key] = {peer: math.exp(sum(map(math.log, some)) / len(some)) for peer, some in values.items()}
    return summary


def memory(
    names: Sequence[str], peer_names: Sequence[str], pythons: dict[str, str], threads: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Peak memory of each case above that after the import; every figure from a fresh process."""
    rows: list[dict[str, Any]] = []
    say("| case | " + " | ".join(f"{peers.TITLES[name]}, MB" for name in peer_names) + " |")
    say("|---" * (len(peer_names) + 1) + "|")
    for name in names:
        found: dict[str, int] = {}
        for peer_name in peer_names:
            with started([peer_name], pythons, threads) as running:
                answer = running[0].ask(memory=name) if running else {}
            if "bytes" in answer:
                found[peer_name] = answer["bytes"]
        if found:
            rows.append({"case": name, "bytes": found})
            cells = (f"{found[peer] / 1e6:.1f}" if peer in found else "" for peer in peer_names)
            say(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def selected(names: Sequence[str], filter: str) -> list[str]:
    return [name for name in names if any(part in name for part in filter.split("|"))]


def _names(text: str) -> list[str]:
    names = [part for part in text.split(",") if part]
    if unknown := [name for name in names if name not in peers.TITLES]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(peers.TITLES)}")
    return names


def duration(text: str) -> float:
    return above_zero(text, "a number of seconds")


def add_options(parser: argparse.ArgumentParser, *, default_peers: str) -> None:
    """The options that `compare.py` and `minitensor bench` share."""
    parser.add_argument("--filter", default="", help="only cases whose name contains this, or one of these: a|b")
    parser.add_argument("--peers", type=_names, default=_names(default_peers), help=f"of {', '.join(peers.TITLES)}")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, help="of each peer (all cores)")
    parser.add_argument("--rounds", type=positive, default=5, help="how often each is timed; the best counts (5)")
    parser.add_argument("--seconds", type=duration, default=0.15, help="how long each is timed in a round (0.15)")


def main(argv: Sequence[str] | None = None) -> int:
    from .machine import heading

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0], allow_abbrev=False)
    add_options(parser, default_peers="minitensor,torch")
    parser.add_argument("--load", action="store_true", help="also with one core busy: the slowdown of each")
    parser.add_argument("--memory", action="store_true", help="peak memory instead of time (of the training steps)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    for name in ("torch", "numpy", "jax"):
        parser.add_argument(f"--{name}", metavar="PYTHON", help=f"a Python that has {peers.TITLES[name]}")
    options = parser.parse_args(argv)
    pythons = {name: path for name in ("torch", "numpy", "jax") if (path := getattr(options, name))}
    names = selected([name for name in CASES if name.startswith("step ") or not options.memory], options.filter)
    if not names:
        parser.error(f"no case contains {options.filter!r}")

    def say(line: str) -> None:
        print(line, flush=True)

    with started(options.peers, pythons, options.threads) as running:
        there = [peer.name for peer in running]
        if not there:
            raise SystemExit("none of the peers is installed")
        versions = [f"{peer.title} {peer.version}" for peer in running if peer.name != OURS]
        top = heading(options.threads, versions)
        say(top)
        if not options.memory:
            rows = compare(running, names, options.rounds, options.seconds, options.load, say)
    if options.memory:
        rows = memory(names, there, pythons, options.threads, say)
    if options.json:
        kept = {"heading": top, "threads": options.threads, "peers": there, "cases": rows}
        options.json.write_text(json.dumps(kept, indent=1) + "\n")
    return 0
