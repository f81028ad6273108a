"""Gradients of a differential equation in four ways, where the adjoint fails, and a neural ODE that learns a spiral.

    python examples/ode.py --picture ode.png

Covers DP-ode-gradients, DP-ode-cubic, DP-ode-decay, DP-ode-reversible and DP-ode-fit.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

from common import f64

import minitensor as mt
from minitensor.learn import plot
from minitensor.ode import odeint, odeint_adjoint
from minitensor.utils.checkpoint import checkpoint


def pendulum(theta: Any) -> Any:
    """z' = (z2, -theta sin z1)."""
    half = lambda z, i: z.narrow(-1, i * (z.shape[-1] // 2), z.shape[-1] // 2)  # noqa: E731
    return lambda t, z: mt.cat([half(z, 1), -theta * mt.sin(half(z, 0))], -1)


def segments(f: Any, z: Any, t: Any, parts: int, **how: Any) -> Any:
    """The last state, with only those between the parts stored."""
    edges = mt.linspace(t[0].item(), t[-1].item(), parts + 1, dtype=t.dtype)
    for k in range(parts):
        z = checkpoint(lambda z, k=k: odeint(f, z, edges[k : k + 2], **how)[-1], z)
    return z


def four_ways(copies: int = 2048) -> None:
    """DP-ode-gradients: the gradient of |z(2)|^2/2 by theta, and the states that each way holds at its peak."""
    t, start = f64([0.0, 2.0]), f64([1.0, 0.0])
    loss = lambda z: 0.5 * (z * z).sum() / copies  # noqa: E731
    print("pendulum, dL/dtheta: steps, checkpoints, adjoint (reversible for leapfrog); differences; states held")
    for method in ("euler", "rk4", "leapfrog"):
        for n in (50, 200):
            how = {"method": method, "options": {"step_size": 2 / n}}

            def run(way: str, theta: Any, how: Any = how, n: int = n) -> Any:
                z = start.repeat_interleave(copies)
                f = pendulum(theta)
                if way == "checkpoints":
                    return loss(segments(f, z, t, {50: 10, 200: 20}[n], method=how["method"], options=how["options"]))
                solve = odeint if way == "steps" else odeint_adjoint
                more = {} if way == "steps" else {"adjoint_params": (theta,)}
                return loss(solve(f, z, t, **how, **more)[-1])

            found, held = [], []
            for way in ("steps", "checkpoints", "adjoint"):
                theta = f64(1.5, requires_grad=True)
                mt.cpu.reset_peak_memory_stats()
                before = mt.cpu.memory_stats()["in_use"]
                found.append(mt.autograd.grad(run(way, theta), theta)[0].item())
                held.append((mt.cpu.memory_stats()["peak"] - before) / (2 * copies * 8))
            h = 1e-5
            with mt.no_grad():
                slope = (run("steps", f64(1.5 + h)) - run("steps", f64(1.5 - h))).item() / (2 * h)
            numbers = " ".join(f"{g:.10f}" for g in (*found, slope))
            print(f"  {method:<9} N = {n:<4} {numbers}   " + " ".join(f"{m:6.1f}" for m in held))


def cubic() -> None:
    """DP-ode-cubic."""
    print("z' = z^3 from 1, to T: z(T) and the exact one, dz/dz0 and the exact one, z(0) by integrating back")
    for method in ("euler", "rk4", "dopri5"):
        for end in (0.4, 0.49):
            how = {"method": method, "options": None if method == "dopri5" else {"step_size": 0.001}}
            z0 = f64(1.0, requires_grad=True)
            z = odeint(lambda t, z: z**3, z0, f64([0.0, end]), **how)[-1]
            (d,) = mt.autograd.grad(z, z0)
            back = odeint(lambda t, z: z**3, z.detach(), f64([end, 0.0]), **how)[-1]
            exact = (1 - 2 * end) ** -0.5
            print(
                f"  {method:<7} {end:<5} {z.item():.7f} {exact:.7f}   {d.item():.6f} {exact**3:.6f}   {back.item():.9f}"
            )
    print("  the flow ends at t = 1/(2 z0^2):", {z: 1 / (2 * z * z) for z in (0.5, 1.0, 2.0)})
    try:
        odeint(lambda t, z: z**3, f64(1.0), f64([0.0, 0.6]))
    except ArithmeticError as error:
        print(" ", error)


def decay() -> None:
    """DP-ode-decay."""
    print("z' = -20 z to T = 1 by Euler: z(0) rebuilt, moved by 1e-10; dz/dlambda by steps, adjoint, exact flow")
    for n in (100, 400, 1600):
        lam = f64(20.0, requires_grad=True)
        how = {"method": "euler", "options": {"step_size": 1 / n}}
        f = lambda t, z, lam=lam: -lam * z  # noqa: E731
        z = odeint(f, f64(1.0), f64([0.0, 1.0]), **how)[-1]
        (through,) = mt.autograd.grad(z, lam)
        other = odeint_adjoint(f, f64(1.0), f64([0.0, 1.0]), adjoint_params=(lam,), **how)[-1]
        (adjoint,) = mt.autograd.grad(other, lam)
        with mt.no_grad():
            home = [odeint(f, z + e, f64([1.0, 0.0]), **how)[-1].item() for e in (0.0, 1e-10)]
        print(
            f"  N = {n:<5} {home[0]:.6f} {home[1]:.6f}   {through.item():.4e} {adjoint.item():.4e} {-math.exp(-20):.4e}"
        )


def reversible() -> Any:
    """DP-ode-reversible: the energies of both methods over time."""
    f = lambda t, y: mt.cat([y[1:], -y[:1]])  # noqa: E731
    t, start = mt.linspace(0, 10, 101, dtype=mt.float64), f64([1.0, 0.0])
    print("oscillator, 100 steps of 0.1 there and back: error of the start, range of the energy")
    energies = {}
    for method in ("leapfrog", "euler"):
        there = odeint(f, start, t, method=method)
        back = odeint(f, there[-1], t.flip(0), method=method)
        energy = 0.5 * (there**2).sum(1)
        energies[method] = energy.tolist()
        error = (back[-1] - start).abs().max().item()
        print(f"  {method:<9} {error:.3e}   {energy.min().item():.6f} to {energy.max().item():.6f}")
    return t.tolist(), energies


def fit() -> dict[str, list[float]]:
    """DP-ode-fit: the losses on the way, through the steps and by the adjoint."""
    t = mt.linspace(0, 2, 21, dtype=mt.float64)
    target = mt.exp(-1.3 * t)
    losses: dict[str, list[float]] = {}
    print("fit of z' = -lambda z to e^(-1.3 t) by Euler's steps of 0.01, 200 steps of descent")
    for name, solve in (("through the steps", odeint), ("adjoint", odeint_adjoint)):
        lam = f64(0.5, requires_grad=True)
        losses[name] = []
        for _ in range(200):
            more = {} if solve is odeint else {"adjoint_params": (lam,)}
            f = lambda t, z, lam=lam: -lam * z  # noqa: E731
            z = solve(f, f64(1.0), t, method="euler", options={"step_size": 0.01}, **more)
            loss = ((z - target)[1:] ** 2).mean()
            losses[name].append(loss.item())
            (g,) = mt.autograd.grad(loss, lam)
            lam = (lam - 2 * g).detach().requires_grad_()
        print(f"  {name:<18} lambda {lam.item():.8f}   loss {losses[name][0]:.3e} to {losses[name][-1]:.3e}")
    print(f"  the discrete problem's own best: {100 * (1 - math.exp(-0.013)):.8f}")
    return losses


def spiral(steps: int) -> tuple[Any, Any, list[float]]:
    """A neural ODE on y' = A y^3: (the true states, the learned ones, the losses)."""
    mt.manual_seed(0)
    a = mt.tensor([[-0.1, 2.0], [-2.0, -0.1]])
    t, start = mt.linspace(0, 12, 121), mt.tensor([1.3, 0.0])
    with mt.no_grad():
        truth = odeint(lambda t, y: (y**3) @ a, start, t, rtol=1e-6, atol=1e-7)
    net = mt.nn.Sequential(mt.nn.Linear(2, 50), mt.nn.Tanh(), mt.nn.Linear(50, 2))
    for p in net.parameters():
        mt.nn.init.normal_(p, 0, 0.1) if p.dim() > 1 else mt.nn.init.zeros_(p)
    field = lambda t, y: net(y**3)  # noqa: E731
    optimizer = mt.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-4
        first = mt.randint(0, 105, (32,))
        want = mt.stack([truth[first + k] for k in range(16)])
        optimizer.zero_grad()
        loss = (odeint(field, truth[first], t[:16], method="rk4") - want).abs().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with mt.no_grad():
        learned = odeint(field, start, t, method="rk4")
    print(f"spiral: loss {losses[0]:.4f} to {sum(losses[-20:]) / 20:.4f} in {steps} steps of Adam")
    print(f"  largest distance of the learned way from the true one: {(learned - truth).norm(dim=1).max().item():.4f}")
    return truth, learned, losses


def draw(path: str, energies: Any, losses: dict[str, list[float]], way: tuple[Any, Any, list[float]]) -> None:
    """The spiral, its loss, the energies and the fit."""
    truth, learned, course = way
    fig = plot.figure(10, 8)
    (a, b), (c, d) = fig.subplots(2, 2)
    a.plot(*truth.numpy().T, "o", ms=3, color=plot.BLUE, label="true")
    a.plot(*learned.numpy().T, color=plot.VERMILION, label="neural ODE")
    a.set(title="A spiral learned from pieces of 1.5 units of time", xlabel="y1", ylabel="y2", aspect="equal")
    b.semilogy(course, color=plot.BLUE)
    b.set(title="Its loss", xlabel="step", ylabel="mean absolute error")
    t, values = energies
    for (name, energy), colour in zip(values.items(), (plot.BLUE, plot.VERMILION), strict=True):
        c.plot(t, energy, color=colour, label=name)
    c.set(title="Energy of the oscillator", xlabel="t", ylabel="energy")
    for (name, fitted), style in zip(losses.items(), ("-", "--"), strict=True):
        d.semilogy(fitted, style, color=plot.BLUE if style == "-" else plot.VERMILION, label=name)
    d.set(title="Fit of a decay", xlabel="step", ylabel="mean squared error")
    for axes in (a, c, d):
        axes.legend(frameon=axes is a)
    fig.savefig(path)
    print("picture:", path)


def main() -> None:
    """Prints the tables and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", help="file for the picture")
    parser.add_argument("--steps", type=int, default=800, help="steps of Adam on the spiral")
    options = parser.parse_args()
    four_ways()
    cubic()
    decay()
    energies = reversible()
    losses = fit()
    way = spiral(options.steps)
    if options.picture:
        draw(options.picture, energies, losses, way)


if __name__ == "__main__":
    main()
