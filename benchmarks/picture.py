"""Draws the picture of the README, for `make bench`."""

import math
from collections.abc import Mapping

# All in pixels.
WIDTH, LEFT, RIGHT, TOP = 760, 200, 70, 82
BAR, GAP = 13, 12
# Column of the table: style, and name in the picture. What was not measured is left out.
SERIES = {
    "drop-in": ("raw", "fastimap.imaplib"),
    "Client": ("typed", "fastimap.Client"),
    "Client, streamed": ("streamed", "the same, nothing kept"),
    "IMAPClient": ("peer", "IMAPClient"),
}
TITLES = {
    "a": "flags, UID, size, date",
    "b": "envelope, body structure",
    "c": "headers",
    "d": "messages of 2 to 8 KiB",
    "i": "the same over TLS",
    "e": "messages up to 5 MiB",
    "f": "one literal of 100 MiB",
}
TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; } .small { font-size: 11.5px; fill: #59636e; }
.raw { fill: #0969da; } .typed { fill: #1a7f37; } .streamed { fill: #8fd19e; } .peer { fill: #e8a317; }
.grid { stroke: #d1d9e0; } .one { stroke: #59636e; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .small { fill: #9198a1; }
  .raw { fill: #4493f8; } .typed { fill: #3fb950; } .grid { stroke: #3d444d; }
}
"""


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{text}</text>'


def draw(rows: Mapping[str, Mapping[str, float]], python: str, rounds: int) -> str:
    """Return an SVG of how many times less client CPU than imaplib each client takes, on a logarithmic scale.

    `rows` holds seconds by client, and these by workload; `python` ran them in so many `rounds`.
    """
    ratios = {
        title: {client: rows[row]["imaplib"] / rows[row][client] for client in SERIES if rows[row].get(client)}
        for row, title in TITLES.items()
        if row in rows
    }
    shown = [client for client in SERIES if any(client in row for row in ratios.values())]
    every = [1.0, *(ratio for row in ratios.values() for ratio in row.values())]
    low, high = 0.9 * min(every), 1.1 * max(every)

    def x(ratio: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ratio / low) / math.log(high / low)

    step = len(shown) * BAR + GAP
    bottom = TOP + len(ratios) * step
    caption = f"{python}; messages replayed on loopback; medians of {rounds}"
    parts = [
        _text(16, 28, "Client CPU of one FETCH: how many times less than stdlib imaplib", "title"),
        _text(WIDTH - 16, bottom + 42, f"{caption}; logarithmic scale", "small", "end"),
    ]
    for number, client in enumerate(shown):
        style, name = SERIES[client]
        left = 16 + number * 180
        parts.append(f'<rect x="{left}" y="44" width="12" height="12" rx="2" class="{style}"/>')
        parts.append(_text(left + 18, 55, name))
    for tick in TICKS:
        if low <= tick <= high:
            line = f'x1="{x(tick):.1f}" y1="{TOP - 8}" x2="{x(tick):.1f}" y2="{bottom}"'
            parts.append(f'<line {line} class="{"one" if tick == 1 else "grid"}"/>')
            parts.append(_text(x(tick), bottom + 16, "imaplib" if tick == 1 else f"{tick}x", "small", "middle"))
    for number, (title, clients) in enumerate(ratios.items()):
        y = TOP + number * step
        parts.append(_text(LEFT - 12, y + len(shown) * BAR / 2 + 4, title, anchor="end"))
        for client, ratio in clients.items():
            begin, end = sorted((x(1), x(ratio)))
            box = f'x="{begin:.1f}" y="{y}" width="{end - begin:.1f}" height="{BAR - 2}"'
            parts.append(f'<rect {box} rx="2" class="{SERIES[client][0]}"/>')
            parts.append(_text(end + 6, y + BAR - 3, f"{ratio:.2g}x", "small"))
            y += BAR
    height = bottom + 56
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>\n"])
