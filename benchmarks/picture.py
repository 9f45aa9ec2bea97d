"""Draws the picture of the README from the report's JSON: python -m benchmarks.picture results.json speed.svg"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

# All in pixels.
WIDTH, LEFT, RIGHT, TOP = 760, 200, 70, 82
BAR, GAP = 15, 12
TWINS = {"c": "fastimap, C", "py": "fastimap, pure Python"}
TITLES = {
    "a": "flags, UID, size, date",
    "b": "envelope, body structure",
    "c": "headers",
    "d": "messages of 2 to 8 KiB",
    "i": "the same over TLS",
    "e": "messages up to 5 MiB",
    "f": "one literal of 100 MiB",
}
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; } .small { font-size: 11.5px; fill: #59636e; }
.c { fill: #0969da; } .py { fill: #e8a317; } .grid { stroke: #d1d9e0; } .one { stroke: #59636e; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .small { fill: #9198a1; } .c { fill: #4493f8; } .grid { stroke: #3d444d; }
}
"""


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{text}</text>'


def draw(results: dict[str, Any]) -> str:
    """Draw how many times less client CPU than stdlib imaplib each twin takes, as SVG, on a logarithmic scale."""
    ratios = {
        title: {twin: clients["stdlib"]["cpu"] / clients[twin]["cpu"] for twin in TWINS if clients[twin]}
        for row, title in TITLES.items()
        for clients in [results["end to end"][row]]
    }
    every = [1.0, *(ratio for row in ratios.values() for ratio in row.values())]
    low, high = 0.9 * min(every), 1.1 * max(every)

    def x(ratio: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ratio / low) / math.log(high / low)

    bottom = TOP + len(ratios) * (2 * BAR + GAP)
    caption = f"{results['python']}; messages replayed on loopback; medians of {results['rounds']}"
    parts = [
        _text(16, 28, "Client CPU of one FETCH: how many times less than stdlib imaplib", "title"),
        _text(WIDTH - 16, bottom + 42, f"{caption}; logarithmic scale", "small", "end"),
    ]
    for number, (twin, name) in enumerate(TWINS.items()):
        parts.append(f'<rect x="{LEFT + number * 130}" y="44" width="12" height="12" rx="2" class="{twin}"/>')
        parts.append(_text(LEFT + 18 + number * 130, 55, name))
    for tick in TICKS:
        if low <= tick <= high:
            line = f'x1="{x(tick):.1f}" y1="{TOP - 8}" x2="{x(tick):.1f}" y2="{bottom}"'
            parts.append(f'<line {line} class="{"one" if tick == 1 else "grid"}"/>')
            parts.append(_text(x(tick), bottom + 16, "imaplib" if tick == 1 else f"{tick}x", "small", "middle"))
    for number, (title, twins) in enumerate(ratios.items()):
        y = TOP + number * (2 * BAR + GAP)
        parts.append(_text(LEFT - 12, y + BAR + 4, title, anchor="end"))
        for twin, ratio in twins.items():
            left, right = sorted((x(1), x(ratio)))
            box = f'x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="{BAR - 2}"'
            parts.append(f'<rect {box} rx="2" class="{twin}"/>')
            parts.append(_text(right + 6, y + BAR - 4, f"{ratio:.2g}x", "small"))
            y += BAR
    height = bottom + 56
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def main() -> None:
    """Read the JSON, write the SVG."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.picture", description=__doc__)
    parser.add_argument("results", type=Path, help="what `python -m benchmarks --json` wrote")
    parser.add_argument("picture", type=Path, help="SVG file to write")
    options = parser.parse_args()
    try:
        results = json.loads(options.results.read_text())
        options.picture.write_text(draw(results), encoding="utf-8")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    except KeyError as error:
        parser.error(f"{options.results} has no figures for {error}")


if __name__ == "__main__":
    main()
