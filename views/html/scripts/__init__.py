"""The page's scripts, in the order in which they are joined; they know the page's data alone."""

NAMES = (
    "base.js",
    "numbers.js",
    "units.js",
    "text.js",
    "grid.js",
    "arcs.js",
    "details.js",
    "method.js",
    "card.js",
    "controls.js",
    "main.js",
)
