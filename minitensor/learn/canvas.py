"""A page of rectangles, lines and text, written as SVG by itself and as PNG by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ..datasets.store import optional

FONT = "DejaVu Sans, Verdana, Geneva, sans-serif"  # of about the same widths; the first comes with matplotlib
LINE = 1.3  # of a line of text, in its size


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a line is in the fonts above, rather more than less."""
    total = 0.0
    for c in text:
        if c in "iljI|.,:;'!":
            total += 0.36
        elif c in " ()[]-ftr":
            total += 0.42
        elif c in "mwMW@%–→…" or c in "+−×÷=<>∂":
            total += 0.88
        elif c.isupper():
            total += 0.72
        else:
            total += 0.65
    return total * size * (1.1 if bold else 1.0)


@dataclass
class Text:
    """Lines in one place, each its own colour and weight."""

    x: float
    y: float  # of the middle
    lines: Sequence[tuple[str, float, str, bool]]  # (text, size, colour, bold)
    background: str = ""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return measure(self.lines)


def measure(lines: Sequence[tuple[str, float, str, bool]]) -> tuple[float, float]:
    """Width and height of lines."""
    width = max((text_width(text, size, bold) for text, size, _, bold in lines), default=0.0)
    return width, sum(size * LINE for _, size, _, _ in lines)


@dataclass
class Rectangle:
    """With round corners, around (x, y)."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str
    thick: float = 1.2
    dashed: bool = False
    double: bool = False


@dataclass
class Arrow:
    """A curve through points, vertical (or `sideways`) where it passes them, with a head at its end."""

    points: list[tuple[float, float]]
    colour: str
    dashed: bool = False
    sideways: bool = False

    def pieces(self) -> list[tuple[tuple[float, float], ...]]:
        """(end,) of each straight piece, (control, control, end) of each bent one."""
        found: list[tuple[tuple[float, float], ...]] = []
        for (ax, ay), (bx, by) in pairwise(self.points):
            if self.sideways:
                middle = (ax + bx) / 2
                found.append(((bx, by),) if ay == by else ((middle, ay), (middle, by), (bx, by)))
            else:
                middle = (ay + by) / 2
                found.append(((bx, by),) if ax == bx else ((ax, middle), (bx, middle), (bx, by)))
        return found

    def head(self) -> list[tuple[float, float]]:
        """The corners of the triangle."""
        x, y = self.points[-1]
        long, half = 8.0, 3.6
        if self.sideways:
            return [(x, y), (x - long, y - half), (x - long, y + half)]
        return [(x, y), (x - half, y - long), (x + half, y - long)]


@dataclass
class Page:
    """What is drawn, in order, on a white page."""

    width: float
    height: float
    title: str
    items: list[Any] = field(default_factory=list)

    def svg(self) -> str:
        """The page as an SVG document."""
        w, h = f"{self.width:.0f}", f"{self.height:.0f}"
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
            f'font-family="{FONT}" role="img">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{w}" height="{h}" fill="white"/>',
        ]
        for item in self.items:
            out += _svg_of(item)
        return "\n".join([*out, "</svg>", ""])

    def png(self, path: Path, dpi: float = 144) -> None:
        """Writes the page as a picture by matplotlib (also .pdf and what else it writes)."""
        fig = optional("matplotlib.figure").Figure((self.width / 72, self.height / 72), dpi=dpi)
        axes = fig.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        axes.axis("off")
        with optional("matplotlib").rc_context({"font.family": "DejaVu Sans", "text.usetex": False}):
            for item in self.items:
                _draw(axes, item)
            fig.savefig(path, dpi=dpi)


def _f(x: float) -> str:
    return f"{x:.1f}".rstrip("0").rstrip(".")


def _svg_of(item: Any) -> list[str]:
    if isinstance(item, Rectangle):
        rings = [(0.0, item.fill)] + [(3.0, "none")] * item.double
        dash = ' stroke-dasharray="4 3"' if item.dashed else ""
        return [
            f'<rect x="{_f(item.x - item.width / 2 + d)}" y="{_f(item.y - item.height / 2 + d)}" '
            f'width="{_f(item.width - 2 * d)}" height="{_f(item.height - 2 * d)}" rx="{_f(6 - d)}" fill="{fill}" '
            f'stroke="{item.stroke}" stroke-width="{item.thick}"{dash}/>'
            for d, fill in rings
        ]
    if isinstance(item, Arrow):
        path = "M" + " ".join(_f(c) for c in item.points[0])
        for piece in item.pieces():
            path += ("L" if len(piece) == 1 else "C") + " ".join(_f(c) for p in piece for c in p)
        dash = ' stroke-dasharray="4 3"' if item.dashed else ""
        corners = " ".join(f"{_f(x)},{_f(y)}" for x, y in item.head())
        return [
            f'<path d="{path}" fill="none" stroke="{item.colour}" stroke-width="1.2"{dash}/>',
            f'<polygon points="{corners}" fill="{item.colour}"/>',
        ]
    width, height = item.size
    out = []
    if item.background:
        out.append(
            f'<rect x="{_f(item.x - width / 2)}" y="{_f(item.y - height / 2)}" width="{_f(width)}" '
            f'height="{_f(height)}" fill="{item.background}"/>'
        )
    y = item.y - height / 2
    for text, size, colour, bold in item.lines:
        weight = ' font-weight="bold"' if bold else ""
        out.append(
            f'<text x="{_f(item.x)}" y="{_f(y + size)}" font-size="{_f(size)}" text-anchor="middle" '
            f'fill="{colour}"{weight} xml:space="preserve">{escape(text)}</text>'
        )
        y += size * LINE
    return out


def _draw(axes: Any, item: Any) -> None:
    patches = optional("matplotlib.patches")
    if isinstance(item, Rectangle):
        for d in (0.0, 3.0)[: 1 + item.double]:
            axes.add_patch(
                patches.FancyBboxPatch(
                    (item.x - item.width / 2 + d, item.y - item.height / 2 + d),
                    item.width - 2 * d,
                    item.height - 2 * d,
                    boxstyle=f"round,pad=0,rounding_size={6 - d}",
                    fc=item.fill if not d else "none",
                    ec=item.stroke,
                    lw=item.thick,
                    ls=(0, (4, 3)) if item.dashed else "-",
                )
            )
    elif isinstance(item, Arrow):
        made = optional("matplotlib.path").Path
        points, codes = [item.points[0]], [made.MOVETO]
        for piece in item.pieces():
            points += piece
            codes += [made.LINETO] if len(piece) == 1 else [made.CURVE4] * 3
        style = (0, (4, 3)) if item.dashed else "-"
        axes.add_patch(patches.PathPatch(made(points, codes), fc="none", ec=item.colour, lw=1.2, ls=style))
        axes.add_patch(patches.Polygon(item.head(), fc=item.colour, ec="none"))
    else:
        width, height = item.size
        if item.background:
            corner = (item.x - width / 2, item.y - height / 2)
            axes.add_patch(patches.Rectangle(corner, width, height, fc=item.background, ec="none"))
        y = item.y - height / 2
        for text, size, colour, bold in item.lines:
            axes.text(
                item.x,
                y + size,
                text,
                size=size,
                color=colour,
                weight="bold" if bold else "normal",
                ha="center",
                va="baseline",
                parse_math=False,
            )
            y += size * LINE
