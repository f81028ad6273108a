"""The process of a peer: it answers one question a line, in JSON.

{"case": NAME, "seconds": S}    the times of a call: {"best": s, "mean": s}, or {"error": why} if it has no such case
{"memory": NAME}                {"bytes": n}: the highest the process has been above what it held after the import
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import clock, peers
from .cases import CASES


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args(argv)
    try:
        mt = peers.load(options.peer, options.threads)
    except ModuleNotFoundError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    imported = _resident()
    print(json.dumps({"version": peers.version(options.peer)}), flush=True)
    ready: dict[str, Any] = {}
    for line in sys.stdin:
        question = json.loads(line)
        name = question.get("case") or question["memory"]
        try:
            if name not in ready:
                mt.manual_seed(0)
                ready[name] = CASES[name](mt)
                ready[name]()
        except (AttributeError, TypeError, ValueError) as error:
            ready[name] = None
            print(f"{options.peer}: {name}: {error}", file=sys.stderr) if options.peer in _COMPLETE else None
        print(json.dumps(_answer(question, ready[name], imported)), flush=True)


_COMPLETE = ("minitensor", "torch")  # where a case that cannot be run is a mistake, and not the peer's way


def _answer(question: dict[str, Any], run: Callable[[], Any] | None, imported: int) -> dict[str, Any]:
    if run is None:
        return {"error": "not there"}
    if "memory" in question:
        for _ in range(3):
            run()
        return {"bytes": _peak() - imported}
    best, mean = clock.measure(run, question["seconds"])
    return {"best": best, "mean": mean}


def _status(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def _peak() -> int:
    """The most memory that this process has held: ru_maxrss, but for what Linux counts there of the parent's."""
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _resident() -> int:
    return _status("VmRSS") or _peak()
