"""Draws the layers of the house for ARCHITECTURE.md: python -m tools.draw_house

The floors and rooms are those that tests/test_layering.py holds the imports against, and which holds the picture too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

PICTURE = Path(__file__).parents[1] / "docs" / "house.svg"

# All in pixels.
WIDTH, LEFT, TOP = 860, 230, 58
FLOOR, ROOM, GAP = 74, 40, 10
LETTER = 8.2  # the width of one, about, in the font of the rooms
STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; } .small { font-size: 12px; fill: #59636e; }
.floor { fill: #f6f8fa; stroke: #d1d9e0; } .room { fill: #ffffff; stroke: #59636e; }
.waits { fill: #ddf4ff; stroke: #0969da; } .arrow { stroke: #59636e; fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .small { fill: #9198a1; } .floor { fill: #151b23; stroke: #3d444d; }
  .room { fill: #0d1117; stroke: #9198a1; } .waits { fill: #0c2d6b; stroke: #4493f8; } .arrow { stroke: #9198a1; }
}
"""


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'


def lines_of(rooms: Collection[str]) -> list[list[tuple[str, float]]]:
    """Return the rooms of a floor in lines that fit the width, each with its own width."""
    lines: list[list[tuple[str, float]]] = [[]]
    used = 0.0
    for room in rooms:
        width = LETTER * len(room) + 24
        if used + width > WIDTH - LEFT - 24 and lines[-1]:
            lines.append([])
            used = 0.0
        lines[-1].append((room, width))
        used += width + GAP
    return lines


def drawn(floors: Mapping[str, Collection[str]], waiting: Collection[str]) -> str:
    """Return the picture as SVG, the roof at the top; rooms that may wait are blue."""
    parts = []
    y = float(TOP)
    for name, rooms in reversed([*floors.items()]):
        lines = lines_of([f"{room}.py" if room.startswith("__") else room for room in rooms])
        height = FLOOR + (len(lines) - 1) * (ROOM + GAP)
        parts.append(f'<rect x="12" y="{y:.0f}" width="{WIDTH - 24}" height="{height}" rx="6" class="floor"/>')
        title, _, idea = name.partition(": ")
        parts += [text(26, y + 32, title), text(26, y + 52, idea, "small")]
        for number, line in enumerate(lines):
            x = float(LEFT)
            top = y + (FLOOR - ROOM) / 2 + number * (ROOM + GAP)
            for room, width in line:
                style = "waits" if room.removesuffix(".py") in waiting else "room"
                parts.append(
                    f'<rect x="{x:.0f}" y="{top:.0f}" width="{width:.0f}" height="{ROOM}" rx="5" class="{style}"/>'
                )
                parts.append(text(x + width / 2, top + 25, room, anchor="middle"))
                x += width + GAP
        y += height + GAP
    head = [
        text(12, 28, "fastimap: imports go down only", "title"),
        text(
            12,
            47,
            "Blue rooms may wait for a network, a disk or a clock; all others are values and functions.",
            "small",
        ),
        f'<path class="arrow" d="M{WIDTH - 22} 20 v26 m-5 -6 l5 6 l5 -6"/>',
    ]
    size = f'width="{WIDTH}" height="{y + 4:.0f}" viewBox="0 0 {WIDTH} {y + 4:.0f}"'
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{STYLE}</style>", *head, *parts, "</svg>", ""]
    )


if __name__ == "__main__":
    from tests.test_layering import FLOORS, MAY_WAIT

    PICTURE.write_text(drawn(FLOORS, MAY_WAIT), "utf-8")
