"""Draws `docs/pictures/rooms.svg`: the rooms of `interpret/`, and who imports whom.

Run from a clone: `make docs`, or `python docs/make_rooms.py`.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import matplotlib

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
matplotlib.use("svg")
# The same bytes from the same imports.
matplotlib.rcParams["svg.hashsalt"] = "rooms"
matplotlib.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot  # noqa: E402

from tests.house.rooms import MAY_IMPORT, imports, modules, room  # noqa: E402

PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"
GROUND = "interpret/"
PLACES = {
    "methods": (0.55, 6),
    "faithfulness": (1.85, 6),
    "rules": (-0.1, 5),
    "interpreter": (0.75, 5),
    "coalitions": (1.6, 5),
    "attention": (2.45, 5),
    "space": (1, 4),
    "target": (1.6, 3),
    "model": (0.6, 2),
    "operations": (0.2, 1),
    "inputs": (1.8, 1),
    GROUND: (1, 0),
}
WIDTH, HEIGHT = 0.72, 0.5


def arrows() -> Counter[tuple[str, str]]:
    """How many imports lead from one room to another."""
    found: Counter[tuple[str, str]] = Counter()
    for one in imports():
        ends = [
            _room(name)
            for name in (one.importer, one.imported)
            if name.startswith("interpret.") or name == "interpret"
        ]
        if len(ends) == 2 and ends[0] != ends[1] and one.importer != "interpret":
            found[ends[0], ends[1]] += 1
    return found


def _room(name: str) -> str:
    if name == "interpret":
        return GROUND
    return room(name) if room(name) in MAY_IMPORT else GROUND


def main() -> None:
    """Draws the picture."""
    files = Counter(_room(name) for name in modules() if name.startswith("interpret."))
    figure, axes = pyplot.subplots(figsize=(9, 8))
    for (upper, lower), count in sorted(arrows().items()):
        if lower == GROUND:
            continue
        start, end = PLACES[upper], PLACES[lower]
        axes.annotate(
            "",
            xy=(end[0], end[1] + HEIGHT / 2),
            xytext=(start[0], start[1] - HEIGHT / 2),
            arrowprops={
                "arrowstyle": "-|>",
                "color": "#7a8699",
                "linewidth": 0.5 + min(count, 40) / 16,
                "connectionstyle": "arc3,rad=0.08",
            },
        )
    for name, (x, y) in PLACES.items():
        corner = (x - WIDTH / 2, y - HEIGHT / 2)
        axes.add_patch(
            pyplot.Rectangle(corner, WIDTH, HEIGHT, facecolor="#eef2f8", edgecolor="#33415c")
        )
        label = f"{name}\n{files[name]} files"
        axes.text(x, y, label, ha="center", va="center", fontsize=11, color="#1b2436")
    axes.text(
        1,
        -0.55,
        "All rooms import from the ground floor; a thicker arrow stands for more imports.",
        ha="center",
        fontsize=9,
        color="#33415c",
    )
    axes.set_xlim(-0.5, 2.85)
    axes.set_ylim(-0.8, 6.5)
    axes.axis("off")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)
    lines = PICTURE.read_text(encoding="utf-8").splitlines()
    PICTURE.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
