"""Complex tensors: values against Python's and NumPy's numbers, gradients against finite differences of both parts."""

from __future__ import annotations

import cmath
import io

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import ComplexError

RNG = np.random.default_rng(0)


def numbers(*sizes: int) -> np.ndarray:
    return RNG.standard_normal(sizes) + 1j * RNG.standard_normal(sizes)


def slopes(f, x: np.ndarray) -> np.ndarray:
    """dL/dx + i dL/dy of a real function, by central differences of both parts of every element."""
    g = np.zeros(x.shape, complex)
    for at in np.ndindex(x.shape):
        for direction in (1, 1j) if x.dtype.kind == "c" else (1,):
            near = [x.copy(), x.copy()]
            near[0][at] += 1e-6 * direction
            near[1][at] -= 1e-6 * direction
            high, low = (f(mt.tensor(v)).item() for v in near)
            g[at] += direction * (high - low) / 2e-6
    return g


SQUARE = numbers(3, 3) + 2 * np.eye(3)
FUNCTIONS = {
    "mul": lambda z: z * mt.tensor(SQUARE),
    "mul by itself": lambda z: z * z * z.conj(),
    "div": lambda z: mt.tensor(SQUARE) / z,
    "with real numbers": lambda z: (z + mt.ones(3, dtype=mt.float64)) * 2 - 1j / z,
    "power": lambda z: z**3 + z**0.5 + z**z,
    "exp": lambda z: z.exp() + z.log() + z.sqrt(),
    "sin": lambda z: z.sin() * z.cos() + z.tanh(),
    "abs": lambda z: z.abs(),
    "angle": lambda z: z.angle(),
    "sgn": lambda z: z.sgn(),
    "parts": lambda z: z.real * z.imag**2,
    "conj": lambda z: z.conj() * z,
    "matmul": lambda z: z @ z + z.mH @ mt.tensor(SQUARE),
    "einsum": lambda z: mt.einsum("ij,kj->ik", z, z.conj()),
    "sum": lambda z: z.sum(0) * z.mean() + z.prod(1) + z.cumsum(0),
    "moved": lambda z: mt.cat([z[0], z.T[1], z.flip(0)[2]]) * mt.stack([z[:, 0], z[1]]).reshape(2, 3)[1].repeat(3),
    "indexed": lambda z: z[mt.tensor([0, 0, 2])] * mt.where(z.real > 0, z, 2 * z),
    "norm": lambda z: z.norm() * mt.linalg.vector_norm(z, 3),
    "inverse": lambda z: mt.linalg.inv(z) + mt.linalg.solve(z, z.T),
    "eigenvalues": lambda z: mt.linalg.eigvals(z).abs().sum(),
    "eigenvectors": lambda z: mt.linalg.eig(z).eigenvectors.abs().sum(0).sort().values,
    "fft": lambda z: mt.fft.fft(z) * mt.fft.ifft(z, 5)[:, :3],
    "fft2": lambda z: mt.fft.fft2(z, norm="ortho").abs(),
    "irfft": lambda z: mt.fft.irfft(z, 5) * 2,
    "view_as_real": lambda z: mt.view_as_real(z) ** 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name):
    weights = mt.tensor(RNG.standard_normal(64))

    def loss(z):
        y = FUNCTIONS[name](z)
        y = (mt.view_as_real(y) if y.is_complex() else y).flatten()
        return (y * weights[: y.numel()]).sum()

    z = mt.tensor(SQUARE, requires_grad=True)
    loss(z).backward()
    assert z.grad.dtype is mt.complex128
    assert np.allclose(z.grad.numpy(), slopes(loss, SQUARE), rtol=1e-6, atol=1e-6)


REAL = {
    "complex": lambda x: mt.complex(x, x * 2) ** 2,
    "polar": lambda x: mt.polar(x.abs(), x),
    "view_as_complex": lambda x: mt.view_as_complex(x.reshape(-1, 2)) ** 2,
    "times complex": lambda x: x * (1 + 2j),
    "rfft": lambda x: mt.fft.rfft(x) ** 2,
    "rfftn": lambda x: mt.fft.rfftn(x.reshape(2, 4)) ** 2,
    "round": lambda x: mt.fft.irfft(mt.fft.rfft(x) * mt.fft.rfft(x * x), n=8),
    "stft": lambda x: mt.stft(x, 4, 2, window=mt.hann_window(4, dtype=mt.float64), return_complex=True).abs() ** 2,
    "istft": lambda x: mt.istft(mt.stft(x, 4, 1, return_complex=True) * 2j, 4, 1, length=8),
}


@pytest.mark.parametrize("name", REAL)
def test_gradients_of_real_numbers_through_complex_ones(name):
    weights = mt.tensor(RNG.standard_normal(64))

    def loss(x):
        y = REAL[name](x)
        y = (mt.view_as_real(y) if y.is_complex() else y).flatten()
        return (y * weights[: y.numel()]).sum()

    x = RNG.standard_normal(8)
    t = mt.tensor(x, requires_grad=True)
    loss(t).backward()
    assert t.grad.dtype is mt.float64
    assert np.allclose(t.grad.numpy(), slopes(loss, x).real, rtol=1e-6, atol=1e-6)


def test_gradients_of_numbers_without_axes():
    for f, want in ((lambda x: x * 1j, -1j), (lambda x: 1j * x + x, 1 - 1j), (lambda x: x * x * mt.tensor(2j), -8j)):
        for dtype in (mt.float64, mt.complex128):
            x = mt.tensor(2.0, dtype=dtype, requires_grad=True)
            for _ in range(2):  # which add up
                f(x).backward(mt.tensor(1 + 0j, dtype=mt.complex128))
            assert x.grad.shape == ()
            assert x.grad == 2 * (want.real if dtype is mt.float64 else want)


def test_second_derivatives_and_forward_mode():
    z = mt.tensor(numbers(3), requires_grad=True)
    (g,) = mt.autograd.grad((z**3).real.sum(), z, create_graph=True)
    assert np.allclose(g.detach().numpy(), 3 * np.conj(z.detach().numpy()) ** 2)
    (h,) = mt.autograd.grad(g.real.sum(), z)
    assert np.allclose(h.numpy(), 6 * np.conj(z.detach().numpy()))
    x, t = mt.tensor(numbers(3)), mt.tensor(numbers(3))
    for f in (
        lambda v: v * v.exp(),
        lambda v: v.abs(),
        lambda v: mt.fft.fft(v),
        lambda v: v.conj() * v,
        lambda v: v.prod(),
    ):
        tangent = mt.func.jvp(f, (x,), (t,))[1].numpy()
        e = 1e-6
        assert np.allclose(tangent, ((f(x + e * t) - f(x - e * t)) / (2 * e)).numpy(), rtol=1e-5, atol=1e-7)


def test_values_are_pythons():
    for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "sinh", "cosh", "asin", "acos", "atan"):
        assert getattr(mt, name)(mt.tensor(0.3 - 0.7j, dtype=mt.complex128)).item() == pytest.approx(
            getattr(cmath, name)(0.3 - 0.7j)
        )
    z = mt.tensor([3 + 4j, -1j])
    assert z.abs().tolist() == [5, 1]
    assert z.tolist() == [3 + 4j, -1j]
    assert (z == 3 + 4j).tolist() == [True, False]
    assert mt.vdot(z, z).item() == 26
    assert mt.dot(z, z).item() == -8 + 24j
    assert mt.angle(z)[1].item() == pytest.approx(-np.pi / 2)


def test_what_they_look_like():
    assert repr(mt.tensor([1 + 2j, 3.5 - 1j])) == "tensor([1.0000+2.j, 3.5000-1.j])"
    assert repr(mt.tensor([1 + 2j], dtype=mt.complex128)) == "tensor([1.+2.j], dtype=minitensor.complex128)"
    assert repr(mt.tensor(1j)) == "tensor(0.+1.j)"
    assert str(mt.zeros(50)).count("\n") == 2  # 24 to a line
    assert (mt.zeros(1, dtype=mt.cfloat).element_size(), mt.complex64.to_real(), mt.float64.to_complex()) == (
        8,
        mt.float32,
        mt.complex128,
    )


def test_promotion():
    z, x = mt.ones(2, dtype=mt.complex64), mt.ones(2)
    assert (z * x).dtype is mt.complex64
    assert (x * 1j).dtype is mt.complex64
    assert (x.double() * 1j).dtype is mt.complex128
    assert (z + x.double()).dtype is mt.complex128
    assert (mt.tensor([1, 2]) + 1j).dtype is mt.complex64
    assert mt.promote_types(mt.complex64, mt.float64) is mt.complex128
    assert z.real.dtype is mt.float32
    assert mt.randn(3, dtype=mt.complex64).is_complex()
    assert mt.eye(2, dtype=mt.complex64).tolist() == [[1, 0], [0, 1]]


def test_parts_are_views():
    z = mt.zeros(2, 3, dtype=mt.complex64)
    z.T.real[0] = 2
    z.imag[1, 2] = 5
    mt.view_as_real(z)[0, 1, 0] = 7
    assert z.tolist() == [[2, 7, 0], [2, 0, 5j]]


def test_files(tmp_path):
    z = mt.tensor(numbers(2, 3))
    file = io.BytesIO()
    mt.save({"z": z, "w": z.to(mt.complex64)}, file)
    file.seek(0)
    read = mt.load(file)
    assert mt.equal(read["z"], z)
    assert read["w"].dtype is mt.complex64
    mt.save({"w": z.to(mt.complex64)}, tmp_path / "a.safetensors")
    assert mt.equal(mt.load(tmp_path / "a.safetensors")["w"], read["w"])


def test_what_takes_no_complex_numbers_says_so():
    z = mt.tensor([1j, 2.0])
    for f in (mt.relu, lambda v: v < 1, mt.sort, lambda v: mt.maximum(v, v), mt.erf):
        with pytest.raises((ComplexError, TypeError), match="complex"):
            f(z)
    for f, says in (
        (lambda: mt.view_as_complex(mt.ones(3)), "2 elements"),
        (lambda: mt.view_as_complex(mt.ones(2, 2, dtype=mt.int64)), "float32 or float64"),
        (lambda: mt.complex(mt.ones(2), mt.ones(2).double()), "float32 and float64"),
        (lambda: mt.polar(mt.ones(2).double(), mt.ones(2)), "float64 and float32"),
        (lambda: mt.polar(mt.ones(2), mt.ones(2) > 0), "float32 and bool"),
        (lambda: mt.imag(mt.ones(2)), "expected a complex"),
        (lambda: mt.tensor([1j], dtype=mt.float32), "complex number"),
        (lambda: mt.stft(mt.ones(8), 4), "return_complex"),
        (lambda: mt.fft.fft(mt.ones(3), norm="x"), "norm 'x'"),
        (lambda: mt.fft.rfft(z), "real numbers"),
    ):
        with pytest.raises((TypeError, ValueError), match=says):
            f()


def test_rotary_embeddings():
    freqs = mt.outer(mt.arange(4).float(), 1.0 / 10.0 ** mt.arange(0.0, 3.0))
    turn = mt.polar(mt.ones_like(freqs), freqs)
    q = mt.randn(1, 4, 2, 6)
    z = mt.view_as_complex(q.reshape(1, 4, 2, 3, 2))
    out = mt.view_as_real(z * turn.view(1, 4, 1, 3)).flatten(3).type_as(q)
    a, b, c, s = q[..., 0::2], q[..., 1::2], freqs.cos()[:, None], freqs.sin()[:, None]
    assert mt.allclose(out[..., 0::2], a * c - b * s, atol=1e-6)
    assert mt.allclose(out[..., 1::2], a * s + b * c, atol=1e-6)


@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
def test_transforms_against_numpys(norm):
    x, z = RNG.standard_normal((2, 5, 6)), numbers(2, 5, 6)
    for name in ("fft", "ifft", "fft2", "ifft2", "fftn", "ifftn"):
        ours, theirs = getattr(mt.fft, name), getattr(np.fft, name)
        for v in (x, z):
            assert np.allclose(ours(mt.tensor(v), norm=norm).numpy(), theirs(v, norm=norm))
    for name in ("rfft", "rfft2", "rfftn"):
        assert np.allclose(getattr(mt.fft, name)(mt.tensor(x), norm=norm).numpy(), getattr(np.fft, name)(x, norm=norm))
    for name in ("irfft", "irfft2", "irfftn"):
        assert np.allclose(getattr(mt.fft, name)(mt.tensor(z), norm=norm).numpy(), getattr(np.fft, name)(z, norm=norm))
    assert np.allclose(mt.fft.fft(mt.tensor(x), 3, 1, norm).numpy(), np.fft.fft(x, 3, 1, norm))
    assert np.allclose(mt.fft.irfft(mt.tensor(z), 7, norm=norm).numpy(), np.fft.irfft(z, 7, norm=norm))


def test_frequencies_and_shifts():
    for n in (1, 4, 5):
        assert np.allclose(mt.fft.fftfreq(n, 0.5).numpy(), np.fft.fftfreq(n, 0.5))
        assert np.allclose(mt.fft.rfftfreq(n).numpy(), np.fft.rfftfreq(n))
        x = np.arange(n * 3).reshape(n, 3)
        assert (mt.fft.fftshift(mt.tensor(x)).numpy() == np.fft.fftshift(x)).all()
        assert (mt.fft.ifftshift(mt.fft.fftshift(mt.tensor(x), 0), 0).numpy() == x).all()


def test_spectrograms_and_back():
    x = mt.tensor(RNG.standard_normal((2, 50)))
    window = mt.hann_window(16, dtype=mt.float64)
    z = mt.stft(x, 16, 4, window=window, return_complex=True)
    assert z.shape == (2, 9, 13)
    at = x[0, 4 * 3 - 8 : 4 * 3 + 8]
    assert np.allclose(z[0, :, 3].numpy(), np.fft.rfft(at.numpy() * window.numpy()))
    assert mt.allclose(mt.istft(z, 16, 4, window=window, length=50), x)
    with pytest.raises(ValueError, match="do not cover"):
        mt.istft(z, 16, 16, window=window, center=False)
