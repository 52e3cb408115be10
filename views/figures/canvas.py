"""A picture without a display, and how it is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allennlp_saliency.views.figures.fonts import Fonts
from allennlp_saliency.views.tokens import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
NEUTRAL = (1.0, 1.0, 1.0)
FOR = (0.04, 0.34, 0.84)
AGAINST = (0.80, 0.18, 0.02)


class Canvas:
    """What a picture is drawn on: a figure, its fonts and its colours.

    Args:
        figure: matplotlib's figure.
        fonts: The fonts of its texts.
    """

    def __init__(self, figure: Figure, fonts: Fonts) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        self.figure = figure
        self.fonts = fonts
        ramp = [AGAINST, NEUTRAL, FOR]
        self.colours = LinearSegmentedColormap.from_list("saliency", ramp, N=511)

    def colour(self, ratio: float) -> tuple[float, float, float, float]:
        """The colour of a score, by its ratio to the strongest."""
        red, green, blue, alpha = self.colours((max(-1.0, min(1.0, ratio)) + 1) / 2)
        return float(red), float(green), float(blue), float(alpha)

    def text(
        self, axes: Any, x: float, y: float, text: str, mono: bool = False, **more: Any
    ) -> Any:
        """Writes a text, in which nothing is a formula."""
        family = self.fonts.monospaced if mono else self.fonts.proportional
        shown = self.fonts.drawable(printable(text))
        return axes.text(x, y, shown, family=family, parse_math=False, **more)

    def labels(self, axes: Any, side: str, names: list[str], **more: Any) -> None:
        """Names the ticks of an axis, from 0."""
        axis = axes.xaxis if side == "x" else axes.yaxis
        shown = [self.fonts.drawable(printable(name)) for name in names]
        axis.set_ticks(range(len(names)), shown, family=self.fonts.monospaced, **more)
        for label in axis.get_ticklabels():
            label.set_parse_math(False)


def fonts_for(path: str | PathLike[str], texts: Iterable[str]) -> Fonts:
    """The fonts of a picture.

    Args:
        path: Where it will be written; the ending is one of `FORMATS`.
        texts: All that will be written in it.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
        ValueError: If the ending is another.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise ValueError(
            f"the name of a picture ends with {', '.join(FORMATS)}, which {str(path)!r} does not"
        )
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "pictures need matplotlib: pip install 'allennlp-saliency[figures]'"
        ) from error
    return Fonts([printable(text) for text in texts], keeps=ending == ".svg")


def draw(
    path: str | PathLike[str],
    fonts: Fonts,
    size: tuple[float, float],
    drawing: Callable[[Canvas], None],
) -> None:
    """Draws a picture and writes it: the same bytes for the same picture.

    Args:
        path: Where to.
        fonts: Its fonts, for that path.
        size: Width and height in inches.
        drawing: Draws on the canvas.
    """
    import matplotlib
    from matplotlib.figure import Figure

    ending = Path(path).suffix.lower()
    settings: Any = {"svg.hashsalt": "allennlp-saliency", "svg.fonttype": "none"}
    # TrueType, so that text in a PDF can be searched and copied.
    settings |= {"pdf.fonttype": 42}
    # No date and no random ids.
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending)
    with matplotlib.rc_context(settings), _quiet_about_glyphs(ending):
        figure = Figure(figsize=size)
        drawing(Canvas(figure, fonts))
        figure.savefig(path, dpi=150, metadata=metadata)


@contextmanager
def _quiet_about_glyphs(ending: str) -> Iterator[None]:
    """In an SVG matplotlib draws no glyph, so it matters not which its fonts lack."""
    if ending != ".svg":
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
