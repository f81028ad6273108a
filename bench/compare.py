"""minitensor and other libraries side by side: `compare.py --help`; what it does is in minitensor/bench/compare.py."""

from minitensor.bench.compare import main

if __name__ == "__main__":
    raise SystemExit(main())
