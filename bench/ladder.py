"""The ladder of kernels: `ladder.py --help`; what it does is in minitensor/bench/ladder.py."""

from minitensor.bench.ladder import main

if __name__ == "__main__":
    raise SystemExit(main())
