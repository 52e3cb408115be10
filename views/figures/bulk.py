"""Pictures of all explanations of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from allennlp_saliency.views.figures.canvas import FORMATS
from allennlp_saliency.views.figures.heat_map import save_figure
from allennlp_saliency.views.figures.matrix import save_matrix
from allennlp_saliency.views.lines import Line, read_lines
from allennlp_saliency.views.written import matrices_of_text


def save_figures(
    lines: str | PathLike[str] | Iterable[Line],
    folder: str | PathLike[str],
    *,
    format: str = "png",
    words: bool = False,
) -> Iterator[Path]:
    """Draws a picture for each line of a file: `line-00012.png`; a text that was explained token by
    token is drawn as a matrix. Nothing is drawn of a line without explanations.

    Args:
        lines: The file of JSON lines, or its lines.
        folder: Where to; it is made.
        format: "png", "svg" or "pdf".
        words: Whether to add the scores of a word's tokens up.

    Returns:
        The pictures, as they are drawn: nothing is drawn before it is asked for.

    Raises:
        LineError: If a line cannot be read.
        ModuleNotFoundError: If matplotlib is not installed.
        ValueError: If there is no such format.
    """
    ending = f".{format.lower().lstrip('.')}"
    if ending not in FORMATS:
        known = ", ".join(one.lstrip(".") for one in FORMATS)
        raise ValueError(f"there is no format {format!r} of pictures; there are {known}")
    if isinstance(lines, (str, PathLike)):
        lines = read_lines(lines)
    return _drawn(lines, Path(folder), ending, words)


def _drawn(lines: Iterable[Line], folder: Path, ending: str, words: bool) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for line in lines:
        if not line.explanations:
            continue
        path = folder / f"line-{line.number:05}{ending}"
        if matrices_of_text(line.explanations):
            save_matrix(line.explanations, path, words=words)
        else:
            save_figure(line.explanations, path, words=words)
        yield path
