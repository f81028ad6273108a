"""`python -m minitensor` is the command `minitensor`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
