r"""Random numbers, digit for digit those of PyTorch's CPU generator.

All come from one stream of 32-bit words, that of the Mersenne Twister MT19937:

    r32    one word                         u24 = (r32 mod 2^24) / 2^24
    r64    two words, the high one first    u53 = (r64 mod 2^53) / 2^53

What is drawn is decided by how many words a rule takes, and in which order; each method states its
rule. An array is filled in the order of its memory. One word too many or too few would shift every
later number of a program. Uniform and normal numbers and dropout's masks are made in C++,
csrc/kernels/random.cpp; the rest is NumPy on the words.

Sources: M. Matsumoto, T. Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998); G. E. P. Box,
M. E. Muller, "A note on the generation of random normal deviates" (1958); PyTorch 2.13.
"""

from __future__ import annotations

import functools
import math
import operator
import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from . import _core, dtypes
from .errors import DtypeError, OutOfMemoryError, ShapeError

if TYPE_CHECKING:
    import numpy.typing as npt

Array = np.ndarray[Any, np.dtype[Any]]
Shape = int | Iterable[int] | Array

random_few, bernoulli_few = _core.random_few, _core.bernoulli_few  # fill a small array, or give None: see random.cpp

_F32: Final = np.dtype("float32")
_I64: Final = np.dtype("int64")
_DEFAULT_SEED: Final = 67280421310721
_CHUNK: Final = 2**15  # elements made at once: they stay in the cache; a multiple of 16
_ROUNDS: Final = 20000  # of rejection, before a truncated normal is given up

# The largest integer up to which a dtype holds every one.
_LARGEST: Final = {
    dtypes.of(name).numpy: largest
    for name, largest in {
        "bool": 1,
        "uint8": 2**8 - 1,
        "int8": 2**7 - 1,
        "int16": 2**15 - 1,
        "int32": 2**31 - 1,
        "int64": 2**63 - 1,
        "float16": 2**11,
        "bfloat16": 2**8,
        "float32": 2**24,
        "float64": 2**53,
    }.items()
}

# The 5056 bytes of PyTorch's state. `left` is the number of words until the next twist, plus one.
_STATE: Final = np.dtype(
    {
        "names": ["seed", "left", "seeded", "next", "words", "spare", "has_spare"],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", 624), "<f8", "<i4"],
        "offsets": [0, 8, 12, 16, 24, 5024, 5040],
        "itemsize": 5056,
    }
)


class Generator:
    """A stream of random numbers. Two generators with one seed give the same numbers.

    The methods that draw return new NumPy arrays of the shape asked for, in C order; an empty shape
    draws nothing. Most fill an array in C order that is given for the shape, and return that. A range
    or parameter that makes no sense raises `ShapeError`, a dtype that a rule cannot fill `DtypeError`,
    both before anything is drawn. Threads may share a generator: every call takes its words in one
    piece. Copies and pickles go on independently from the same place.

    >>> g = Generator().manual_seed(42)
    >>> g.uniform(3)
    array([0.88226926, 0.91500396, 0.38286376], dtype=float32)
    >>> g.manual_seed(42).randint(0, 10, (2, 3))
    array([[2, 7, 6],
           [4, 6, 5]])
    """

    def __init__(self, device: object = "cpu") -> None:
        if str(device) not in ("cpu", "cpu:0"):
            raise ShapeError(f"Generator: the only device is 'cpu', not {str(device)!r}")
        self.device = "cpu"
        self._lock = threading.RLock()
        self.manual_seed(_DEFAULT_SEED)

    @functools.cached_property
    def _state(self) -> Array:
        """The 624 words and the place of the next one, made when the first number is drawn."""
        return _core.seed_words(self._seed % 2**32)

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream anew. A negative seed counts modulo 2^64; the low 32 bits decide.

        Raises TypeError for a seed that is no integer, ShapeError for one of more than 64 bits.
        """
        seed = operator.index(seed)
        if not -(2**63) <= seed < 2**64:
            raise ShapeError(f"manual_seed: a seed has at most 64 bits, not {seed.bit_length()}")
        with self._lock:
            self._seed = seed % 2**64
            self.__dict__.pop("_state", None)
            self._spare: float | None = None  # the second normal of the last pair
        return self

    def seed(self) -> int:
        """Seeds with 64 bits of the system's randomness, and returns them."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The last seed given, from 0 to 2^64 - 1."""
        return self._seed

    def get_state(self) -> npt.NDArray[np.uint8]:
        """The whole state, spare normal included, as PyTorch's 5056 bytes.

        >>> g = Generator()
        >>> state = g.get_state()
        >>> first = g.normal(3)
        >>> g.set_state(state)
        >>> bool((g.normal(3) == first).all())
        True
        """
        state = np.zeros((), _STATE)
        with self._lock:
            place = int(self._state[624])
            state["seed"], state["seeded"], state["words"] = self._seed, 1, self._state[:624]
            state["left"], state["next"] = 625 - place, place
            if self._spare is not None:
                state["has_spare"], state["spare"] = 1, self._spare
        return state.reshape(1).view(np.uint8)

    def set_state(self, state: npt.ArrayLike) -> None:
        """Goes on from a state that `get_state`, here or in PyTorch, returned.

        Raises DtypeError for anything but uint8, ShapeError for a state of another size or of
        impossible content; the generator then stays as it was.
        """
        raw = np.asarray(state)
        if raw.dtype != np.uint8:
            raise DtypeError(f"set_state: a state is an array of uint8, not {raw.dtype}")
        if raw.size != _STATE.itemsize:
            raise ShapeError(f"set_state: a state has {_STATE.itemsize} bytes, not {raw.size}")
        new = raw.flatten().view(_STATE)[0]
        left, position = int(new["left"]), int(new["next"])
        if (left, position) == (1, 0):  # PyTorch after seeding: the first draw twists
            position = 624
        if new["seeded"] != 1 or not 1 <= left <= 624 or left + position != 625:
            raise ShapeError(f"set_state: no state of MT19937: left {left}, next {new['next']}")
        if (new["words"] >= 2**32).any():
            raise ShapeError("set_state: no state of MT19937: a word has more than 32 bits")
        with self._lock:
            self._seed = int(new["seed"])
            self._spare = float(new["spare"]) if new["has_spare"] else None
            self._state = np.append(new["words"], position).astype(np.uint32)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (), Generator.get_state(self)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple):  # PyTorch's: the seed, an offset, the state
            state = state[2]
        Generator.set_state(self, state)

    # Uniform numbers

    def uniform(self, shape: Shape, dtype: npt.DTypeLike = np.float32, low: float = 0.0, high: float = 1.0) -> Array:
        """Uniform on [low, high): u (high - low) + low, rounded once; u = u24, for float64 u53.

        float16 and bfloat16 are made in float32 and rounded. A result that rounds up to `high` becomes `low`.
        """
        few = random_few(shape, self, False, low, high)
        if few is not None:
            return few
        dtype = _floating("uniform", dtype)
        work, start, span = _work(dtype), 0.0, 1.0
        if low != 0.0 or high != 1.0:
            largest = dtypes.finfo(dtype).max
            if not (abs(low) <= largest and abs(high) <= largest and high - low <= largest):
                raise ShapeError(f"uniform: low {low}, high {high} or their distance is no {dtype}")
            if low > high:
                raise ShapeError(f"uniform: low {low} lies above high {high}")
            start, span = float(work(low)), float(work(high) - work(low))
        if work is not dtype.type:

            def sample(n: int) -> Array:
                x = _core.random_uniform(np.empty(n, work), self._state, start, span, math.inf).astype(dtype)
                x[x == dtype.type(high)] = low
                return x

            return self._filled("uniform", shape, dtype, sample)
        out = _empty("uniform", shape, dtype)
        with self._lock:
            return _core.random_uniform(out, self._state, start, span, float(high))

    def bernoulli(
        self, shape: Shape, dtype: npt.DTypeLike = np.float32, p: float | Array = 0.5, one: float = 1.0
    ) -> Array:
        """`one` with probability p, else 0: u53 < p; where p is an array of less than 64 bits, u24 < p.

        An array p is broadcast to `shape`, and read in C order.
        """
        dtype = _known("bernoulli", dtype)
        if isinstance(p, np.ndarray):
            work = _work(_floating("bernoulli", p.dtype))
            sizes = _sizes("bernoulli", shape)
            try:
                p = p if p.shape == sizes else np.broadcast_to(p, sizes)
            except ValueError:
                raise ShapeError(f"bernoulli: p {p.shape} does not broadcast to {sizes}") from None
            if p.size and not _within_1(p):
                raise ShapeError("bernoulli: p has values outside [0, 1]")
            u = _empty("bernoulli", sizes, np.dtype(work))
            with self._lock:
                _core.random_uniform(u, self._state, 0.0, 1.0, 1.0)
            mask: Array = (u < p).astype(dtype)
            return mask if one == 1 else mask * dtype.type(one)
        if not 0 <= p <= 1:
            raise ShapeError(f"bernoulli: p must lie in [0, 1], not {p}")
        limit = math.ceil(p * 2.0**53)  # u53 < p where 2^53 u53, an integer, lies below it
        if _work(dtype) is dtype.type:
            out = _empty("bernoulli", shape, dtype)
            with self._lock:
                return _core.random_bernoulli(out, self._state, limit, float(one))
        return self._filled("bernoulli", shape, dtype, lambda n: (self._unit(n, np.float64) < p) * dtype.type(one))

    # Integers

    def randint(self, low: int, high: int, shape: Shape, dtype: npt.DTypeLike = np.int64) -> Array:
        """Integers of [low, high): r32 mod (high - low) + low; r64 from a range of 2^28 on.

        Any dtype that holds every integer of the range will do.
        """
        return self._integers("randint", operator.index(low), operator.index(high), shape, dtype)

    def random_(
        self,
        shape: Shape,
        dtype: npt.DTypeLike = np.int64,
        low: int | None = None,
        high: int | None = None,
    ) -> Array:
        """As `randint`, up to the largest value of the dtype if `high` is not given.

        Without any bound: r32 mod (largest + 1), r64 for int64 and float64, where the largest is
        that of the integer types and 2^11, 2^8, 2^24, 2^53 for float16, bfloat16, float32, float64.
        """
        dtype = _known("random_", dtype)
        wide = None
        if low is None and high is None:
            wide = dtype.itemsize == 8
        low = 0 if low is None else operator.index(low)
        high = _LARGEST[dtype] + 1 if high is None else operator.index(high)
        return self._integers("random_", low, high, shape, dtype, wide)

    def _integers(
        self,
        name: str,
        low: int,
        high: int,
        shape: Shape,
        dtype: npt.DTypeLike,
        wide: bool | None = None,
    ) -> Array:
        span = high - low
        if dtype is _I64 and 0 < span < 2**28 and wide is None and low >= -(2**63) and high <= 2**63:
            out = _empty(name, shape, dtype)
            with self._lock:
                return _core.random_below(out, self._state, span, low)
        dtype = _known(name, dtype)
        if low >= high:
            raise ShapeError(f"{name}: the range [{low}, {high}) is empty")
        largest = _LARGEST[dtype]
        least = -largest - 1 if dtype.kind == "i" else -largest if dtype.kind == "f" else 0
        if low < least or high - 1 > largest:
            raise ShapeError(
                f"{name}: {dtype} holds the integers from {least} to {largest}, not all of [{low}, {high})"
            )
        if not (span >= 2**28 if wide is None else wide):
            return self._filled(name, shape, dtype, lambda n: self._below(span, n) + low)

        def sample(n: int) -> Array:
            r = self._r64(n)
            if span < 2**64:  # otherwise the words themselves, as signed numbers
                r %= np.uint64(span)
                r += np.uint64(low % 2**64)  # modulo 2^64, so a negative `low` comes out right
            return r.view(np.int64)

        return self._filled(name, shape, dtype, sample)

    def randperm(self, n: int) -> npt.NDArray[np.int64]:
        """A permutation of 0 .. n-1: for i = 0 .. n-2, exchange places i and i + r32 mod (n - i).

        >>> Generator().manual_seed(0).randperm(5)
        array([4, 0, 1, 3, 2])
        """
        n = operator.index(n)
        if not 0 <= n < 214748364:  # from there on 32 bits would choose unevenly
            raise ShapeError(f"randperm: the size must lie in [0, 214748364), not {n}")
        with self._lock:
            return _core.random_order(self._state, n)

    # Normal numbers

    def normal(
        self,
        shape: Shape,
        dtype: npt.DTypeLike = np.float32,
        mean: float = 0.0,
        std: float = 1.0,
        *,
        contiguous: bool = True,
    ) -> Array:
        """Normal numbers. Fewer than 16, or with `contiguous=False` (the array is not in C order):

            one by one, in float64: u1, u2 from u53 each; r = sqrt(-2 ln(1 - u2)), t = 2 pi u1;
            r cos t now, and r sin t is kept for the next call, whatever its dtype

        Otherwise in blocks of 16 uniforms x of the dtype (float16, bfloat16: of float32):

            for j < 8: r = sqrt(-2 ln(1 - x_j)), t = 2 pi x_{j+8}; x_j = r cos t, x_{j+8} = r sin t
            the last 16 elements are drawn again, if their number is no multiple of 16

        float32 is equal to the bit on every machine.
        """
        few = random_few(shape, self, True, mean, std) if contiguous else None
        if few is not None:
            return few
        dtype = _floating("normal", dtype)
        if not std >= 0:
            raise ShapeError(f"normal: std must not be negative, but is {std}")
        out = _empty("normal", shape, dtype)
        n = out.size
        if n < 16 or not contiguous:
            self._fill(out, lambda n: _affine(self._pairs(n), std, mean))
            return out
        mean, std = float(mean), float(std)
        whole = dtype.itemsize >= 4  # PyTorch draws what it writes over, too, but for half precision
        made = out if whole else np.empty(n, np.float32)
        with self._lock:
            _core.random_normal(made, self._state, mean, std, whole)
        if whole:
            return out
        with np.errstate(all="ignore"):
            out.reshape(-1)[...] = made
        return out

    def log_normal(self, shape: Shape, dtype: npt.DTypeLike = np.float32, mean: float = 1.0, std: float = 2.0) -> Array:
        """exp of normal numbers made one by one (see `normal`), however many."""
        dtype = _floating("log_normal", dtype)
        if not std > 0:
            raise ShapeError(f"log_normal: std must be positive, but is {std}")
        return self._filled("log_normal", shape, dtype, lambda n: np.exp(_affine(self._pairs(n), std, mean)))

    def trunc_normal(
        self,
        shape: Shape,
        dtype: npt.DTypeLike = np.float32,
        mean: float = 0.0,
        std: float = 1.0,
        a: float = -2.0,
        b: float = 2.0,
        *,
        contiguous: bool = True,
    ) -> Array:
        """Normal numbers within [a, b].

        Where more than 0.3 of the normal lies in [a, b]: whole draws of `normal`, each used where
        all before it lay outside. Otherwise whole draws x of `uniform(a, b)`, each followed by one
        of u: x stays where ln u <= ln density(x) - ln density(the mode of [a, b]).
        """
        dtype = _floating("trunc_normal", dtype)
        if not (std > 0 and math.isfinite(std) and math.isfinite(mean)):
            raise ShapeError(f"trunc_normal: no normal has mean {mean} and std {std}")
        if not a <= b:
            raise ShapeError(f"trunc_normal: the interval [{a}, {b}] is empty")
        out = _empty("trunc_normal", shape, dtype)
        scale = std * math.sqrt(2)
        inside = (math.erf((b - mean) / scale) - math.erf((a - mean) / scale)) / 2
        peak = ((max(a, min(mean, b)) - mean) / std) ** 2 / -2
        with self._lock, np.errstate(all="ignore"):
            low, high = dtype.type(a), dtype.type(b)
            x, pending = out, np.ones(out.shape, np.bool_)
            for _ in range(_ROUNDS):
                if inside > 0.3:
                    again = self.normal(x.shape, dtype, mean, std, contiguous=contiguous)
                    rejected = (again < low) | (again > high)
                else:
                    again = self.uniform(x.shape, dtype, a, b)
                    log_density = ((again.astype(_work(dtype)) - mean) / std) ** 2 * -0.5 - peak
                    rejected = np.log(self.uniform(x.shape, dtype)) > log_density
                x = np.where(pending, again, x)
                pending &= rejected
                if not pending.any():
                    return x
        raise ShapeError(f"trunc_normal: {dtype} numbers of [{a}, {b}] are too rare under mean {mean}, std {std}")

    # Other distributions

    def exponential(self, shape: Shape, dtype: npt.DTypeLike = np.float32, rate: float = 1.0) -> Array:
        """Exponential numbers: -ln(1 - u53) / rate."""
        dtype = _floating("exponential", dtype)
        if not rate > 0:
            raise ShapeError(f"exponential: the rate must be positive, but is {rate}")
        return self._filled("exponential", shape, dtype, lambda n: -1 / rate * np.log1p(-self._unit(n, np.float64)))

    def cauchy(
        self,
        shape: Shape,
        dtype: npt.DTypeLike = np.float32,
        median: float = 0.0,
        sigma: float = 1.0,
    ) -> Array:
        """Cauchy numbers: median + sigma tan(pi (u53 - 1/2))."""
        dtype = _floating("cauchy", dtype)
        if not sigma > 0:
            raise ShapeError(f"cauchy: sigma must be positive, but is {sigma}")

        def sample(n: int) -> Array:
            return median + sigma * np.tan(math.pi * (self._unit(n, np.float64) - 0.5))

        return self._filled("cauchy", shape, dtype, sample)

    def geometric(self, shape: Shape, dtype: npt.DTypeLike = np.float32, p: float = 0.5) -> Array:
        """The number of trials to the first success: ceil(ln u53 / ln(1 - p))."""
        dtype = _known("geometric", dtype)
        if dtype.kind == "b":
            raise DtypeError("geometric: the dtype must hold numbers, not bool")
        if not 0 < p < 1:
            raise ShapeError(f"geometric: p must lie in (0, 1), not {p}")

        def sample(n: int) -> Array:
            return np.ceil(np.log(self._unit(n, np.float64)) / math.log1p(-p))

        return self._filled("geometric", shape, dtype, sample)

    # Distributions whose parameters are arrays, one element after another, in float64

    def gamma(self, concentration: Array) -> Array:
        """Gamma numbers of rate 1 (G. Marsaglia, W. W. Tsang, 2000), float64: a normal x and a uniform u each round.

            v = (1 + x / sqrt(9 d))^3, d = a - 1/3;  x again while v <= 0;  d v is taken where
            u < 1 - 0.0331 x^4  or  ln u < x^2 / 2 + d (1 - v + ln v)

        For a < 1 first a uniform w: w^(1 / a) times a number of concentration a + 1. Uniforms are 1 - u53.
        """
        with self._lock:
            flat = [self._one_gamma(float(a)) for a in np.asarray(concentration).reshape(-1)]
        return np.array(flat, np.float64).reshape(np.shape(concentration))

    def _one_gamma(self, a: float) -> float:
        if not a > 0:
            return 0.0 if a == 0 else math.nan
        scale = 1.0
        if a < 1:
            scale = (1 - self._one()) ** (1 / a)
            a += 1
        d = a - 1 / 3
        c = 1 / math.sqrt(9 * d)
        while True:
            y = -1.0
            while y <= 0:
                x = float(self._pairs(1)[0])
                y = 1 + c * x
            v, u, square = y * y * y, 1 - self._one(), x * x
            if u < 1 - 0.0331 * square * square or math.log(u) < 0.5 * square + d * (1 - v + math.log(v)):
                return scale * d * v

    def poisson(self, rate: Array) -> Array:
        """Poisson numbers, float64: below a rate of 10 uniforms are multiplied until they are under exp(-rate).

        From there on transformed rejection (W. Hoermann, 1993), two uniforms each round.
        """
        if not (np.asarray(rate) >= 0).all():
            raise ShapeError("poisson: a rate is negative or NaN")
        with self._lock:
            flat = [self._one_poisson(float(r)) for r in np.asarray(rate).reshape(-1)]
        return np.array(flat, np.float64).reshape(np.shape(rate))

    def _one_poisson(self, rate: float) -> float:
        if rate == 0:
            return 0.0
        if rate < 10:
            limit, product, k = math.exp(-rate), self._one(), 0
            while product > limit:
                product *= self._one()
                k += 1
            return float(k)
        root, log_rate = math.sqrt(rate), math.log(rate)
        b = 0.931 + 2.53 * root
        a = -0.059 + 0.02483 * b
        inverse_alpha, v_r = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
        while True:
            u, v = self._one() - 0.5, self._one()
            near = 0.5 - abs(u)
            k = math.floor((2 * a / near + b) * u + rate + 0.43)
            if near >= 0.07 and v <= v_r:
                return float(k)
            if k < 0 or (near < 0.013 and v > near):
                continue
            if math.log(v) + math.log(inverse_alpha) - math.log(a / (near * near) + b) <= (
                -rate + k * log_rate - math.lgamma(k + 1)
            ):
                return float(k)

    def binomial(self, count: Array, p: Array) -> Array:
        """Binomial numbers, float64: of a mean below 10 sums of geometric numbers, one uniform each.

        From there on transformed rejection (W. Hoermann, 1993), two uniforms each round. p > 1/2 counts the failures.
        """
        count, p = np.broadcast_arrays(np.asarray(count), np.asarray(p))
        if not ((count >= 0) & (p >= 0) & (p <= 1)).all():
            raise ShapeError("binomial: a count is negative, or a probability is outside [0, 1]")
        with self._lock:
            flat = [self._one_binomial(float(n), float(q)) for n, q in zip(count.flat, p.flat, strict=True)]
        return np.array(flat, np.float64).reshape(count.shape)

    def _one_binomial(self, n: float, p: float) -> float:
        if n <= 0 or p <= 0:
            return 0.0
        if p >= 1:
            return n
        if p > 0.5:
            return n - self._one_binomial(n, 1 - p) if p < 1 else n
        return self._rejected_binomial(n, p) if n * p >= 10 else self._summed_binomial(n, p)

    def _summed_binomial(self, n: float, p: float) -> float:
        total, k, log_q = 0.0, 0, math.log1p(-p)
        while True:
            u = self._one()
            total += math.ceil(math.log(u) / log_q) if u > 0 else math.inf
            if total > n:
                return float(k)
            k += 1

    def _rejected_binomial(self, n: float, p: float) -> float:
        deviation = math.sqrt(n * p * (1 - p))
        b = 1.15 + 2.53 * deviation
        a = -0.0873 + 0.0248 * b + 0.01 * p
        c, v_r, r = n * p + 0.5, 0.92 - 4.2 / b, p / (1 - p)
        alpha, m = (2.83 + 5.1 / b) * deviation, math.floor((n + 1) * p)
        while True:
            u, v = self._one() - 0.5, self._one()
            near = 0.5 - abs(u)
            k = math.floor((2 * a / near + b) * u + c)
            if k < 0 or k > n:
                continue
            if near >= 0.07 and v <= v_r:
                return float(k)
            v = math.log(v * alpha / (a / (near * near) + b))
            bound = (m + 0.5) * math.log((m + 1) / (r * (n - m + 1)))
            bound += (n + 1) * math.log((n - m + 1) / (n - k + 1)) + (k + 0.5) * math.log(r * (n - k + 1) / (k + 1))
            if v <= bound + _stirling(m) + _stirling(n - m) - _stirling(k) - _stirling(n - k):
                return float(k)

    def _one(self) -> float:
        """One u53."""
        return float(self._unit(1, np.float64)[0])

    def multinomial(self, p: Array, num_samples: int, replacement: bool = False) -> Array:
        """Indices drawn with weights p, (categories) or (rows, categories): (..., num_samples).

        Without replacement, or for one sample: q exponential, of p's dtype and order in memory; the
        indices of the largest p / q, in decreasing order (P. Efraimidis, P. Spirakis, 2006).
        With replacement: the first index whose share of the cumulative sum reaches u53.

        >>> Generator().manual_seed(0).multinomial(np.array([0.0, 0.5, 0.5]), 4, replacement=True)
        array([2, 2, 1, 2])
        """
        p, num_samples = np.asarray(p), operator.index(num_samples)
        work = _work(_floating("multinomial", p.dtype))
        if p.ndim not in (1, 2):
            raise ShapeError(f"multinomial: p is (categories) or (rows, categories), not {p.shape}")
        if not 0 < p.shape[-1] <= 2**24:
            raise ShapeError(f"multinomial: p has {p.shape[-1]} categories, not 1 to 2^24")
        if num_samples < 1:
            raise ShapeError(f"multinomial: num_samples must be positive, not {num_samples}")
        if not replacement and num_samples > p.shape[-1]:
            raise ShapeError(f"multinomial: {num_samples} samples of {p.shape[-1]} categories need replacement")
        wide = p.astype(work, copy=False)
        largest = wide.max(-1)
        if not (wide.min(initial=0) >= 0 and (largest < np.inf).all()):
            raise ShapeError("multinomial: p has a weight that is negative, infinite or NaN")
        if not (largest > 0).all():
            raise ShapeError("multinomial: the weights of a row of p are all 0")
        if not replacement or num_samples == 1:
            if p.flags.c_contiguous:
                q = self.exponential(p.shape, p.dtype)
            else:
                axes = memory_axes(p)
                q = self.exponential(p.transpose(axes).shape, p.dtype).transpose(np.argsort(axes))
            with np.errstate(all="ignore"):
                score: Array = p / q
            if num_samples == 1:
                best: Array = score.argmax(-1, keepdims=True)
                return best
            return np.argsort(-score, -1, kind="stable")[..., :num_samples]
        with np.errstate(over="ignore"):
            share = np.cumsum(p, -1, dtype=work)
        if not np.isfinite(share[..., -1]).all():
            raise ShapeError(f"multinomial: the sum of a row of p overflows {share.dtype}")
        share /= share[..., -1:]
        share[..., -1] = 1
        u = self.uniform((*p.shape[:-1], num_samples), np.float64)
        out = np.empty(u.shape, np.int64)
        for row in np.ndindex(*p.shape[:-1]):
            out[row] = np.searchsorted(share[row].astype(np.float64), u[row])
        return out

    # The stream

    def _below(self, span: int, n: int) -> npt.NDArray[np.int64]:
        """r32 mod span, n times."""
        return _core.random_below(np.empty(n, np.int64), self._state, span, 0)

    def _r64(self, n: int) -> npt.NDArray[np.uint64]:
        words = _core.random_words(self._state, 2 * n).astype(np.uint64)
        return (words[0::2] << np.uint64(32)) | words[1::2]

    def _unit(self, n: int, work: type[np.floating[Any]]) -> Array:
        """n numbers of [0, 1): u53 for float64, u24 for float32."""
        return _core.random_uniform(np.empty(n, work), self._state, 0.0, 1.0, 1.0)

    def _pairs(self, n: int) -> Array:
        """n standard normals in float64, one by one: the one kept, then pair by pair."""
        z = np.empty(n + 2)
        kept = 0
        if self._spare is not None:
            z[0], kept = self._spare, 1
        pairs = (n - kept + 1) // 2
        u = self._unit(2 * pairs, np.float64)
        r, t = np.sqrt(-2 * np.log1p(-u[1::2])), 2 * math.pi * u[0::2]
        end = kept + 2 * pairs
        z[kept:end:2], z[kept + 1 : end : 2] = r * np.cos(t), r * np.sin(t)
        self._spare = float(z[n]) if end > n else None
        return z[:n]

    def _fill(self, out: Array, sample: Callable[[int], Array]) -> None:
        """Fills a C-contiguous array with `sample(n)`, the next n values, chunk by chunk."""
        flat = out.reshape(-1)
        if out.dtype.kind == "i" and out.size <= _CHUNK:  # where NumPy has nothing to warn of
            with self._lock:
                flat[...] = sample(out.size)
            return
        with self._lock, np.errstate(all="ignore"):
            for start in range(0, flat.size, _CHUNK):
                part = flat[start : start + _CHUNK]
                x = sample(part.size)
                if part.dtype.kind == "f" and part.dtype.itemsize == 2:
                    x = x.astype(np.float32)  # PyTorch rounds twice on the way from float64
                part[...] = x

    def _filled(self, name: str, shape: Shape, dtype: np.dtype[Any], sample: Callable[[int], Array]) -> Array:
        out = _empty(name, shape, dtype)
        self._fill(out, sample)
        return out


def _stirling(k: float) -> float:
    """ln k! less Stirling's formula for it."""
    if k <= 9:
        return math.lgamma(k + 1) - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi))
    square = (k + 1) * (k + 1)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


def memory_axes(x: Array) -> tuple[int, ...]:
    """The axes of x from the largest stride to the smallest: the order in which it is filled.

    With `y = x.transpose(memory_axes(x))`, `y[...] = generator.uniform(y.shape)` fills x as PyTorch
    does. A broadcast array keeps the order of its axes.

    >>> memory_axes(np.empty((3, 4)).T)
    (1, 0)
    """
    if any(stride == 0 and size > 1 for stride, size in zip(x.strides, x.shape, strict=True)):
        return tuple(range(x.ndim))
    return tuple(sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis])))


def _within_1(p: Array) -> bool:
    """Whether all of p, which is not empty, lies in [0, 1]."""
    axes = tuple(range(p.ndim))
    least, largest = _core.amin(p, axes), _core.amax(p, axes)
    if least is None or largest is None:  # NumPy takes five times as long for a few
        least, largest = p.min(), p.max()
    return bool(least.item() >= 0 and largest.item() <= 1)


def _affine(x: Array, scale: float, offset: float) -> Array:
    return x if (scale, offset) == (1, 0) else _fma(x, scale, offset)


def _fma(a: Array, scale: float, offset: float) -> Array:
    """a b + c in float64 with one rounding, as the fused multiply-add of the processor.

    What the product and the sum lose is found by splitting (T. J. Dekker, 1971; D. E. Knuth, TAOCP 4.2.2), and added
    at the end.
    """
    b, c = np.float64(scale), np.float64(offset)
    a0, b0 = _head(a), _head(b)
    a1, b1 = a - a0, b - b0
    product = a * b
    lost = ((a0 * b0 - product) + a0 * b1 + a1 * b0) + a1 * b1
    total = product + c
    shift = total - product
    lost += (product - (total - shift)) + (c - shift)
    return np.where(np.isfinite(lost), total + lost, total)


def _head(x: Any) -> Any:
    """The upper 26 bits of the mantissa of float64 x."""
    return (x.view(np.int64) & -(2**27)).view(np.float64)


# What callers may ask for


def _floating(name: str, dtype: npt.DTypeLike) -> np.dtype[Any]:
    dtype = _known(name, dtype)
    if dtype.kind != "f":
        raise DtypeError(f"{name}: the dtype must be floating, not {dtype}")
    return dtype


def _known(name: str, dtype: npt.DTypeLike) -> np.dtype[Any]:
    if dtype is _F32 or dtype is _I64:  # the usual ones: to look one up takes as long as to draw a few numbers
        return dtype
    dtype = np.dtype(dtype)
    if dtype not in _LARGEST:
        raise DtypeError(f"{name}: no rule for dtype {dtype}")
    return dtype


def _work(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """The type that a rule computes in: float64, or float32 also for those of half precision."""
    return np.float64 if dtype.char == "d" else np.float32


def _sizes(name: str, shape: Shape) -> tuple[int, ...]:
    if isinstance(shape, np.ndarray):
        return tuple(shape.shape)
    several = isinstance(shape, (tuple, list)) or isinstance(shape, Iterable)  # the latter is slow to find out
    sizes = tuple(map(operator.index, shape if several else (shape,)))  # type: ignore[arg-type]
    if sizes and min(sizes) < 0:
        raise ShapeError(f"{name}: the shape {sizes} has a negative size")
    return sizes


def _empty(name: str, shape: Shape, dtype: np.dtype[Any]) -> Array:
    out: Array | None = shape if isinstance(shape, np.ndarray) else _core.filled(shape, None, dtype)
    if out is not None:
        return out
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError, TypeError):
        sizes = _sizes(name, shape)  # which says what is wrong with them
    try:
        return np.empty(sizes, dtype)
    except (MemoryError, ValueError):
        raise OutOfMemoryError(f"{name}: no room for {sizes} of {dtype}") from None


default_generator: Final = Generator()
"""The generator used where none is given; it starts from the system's randomness."""
default_generator.seed()
if hasattr(os, "register_at_fork"):  # another thread may draw while this one forks
    os.register_at_fork(after_in_child=lambda: setattr(default_generator, "_lock", threading.RLock()))
