"""Characters that a picture can show: fonts that have them, or names in their place."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

MONOSPACED = "DejaVu Sans Mono"
PROPORTIONAL = "DejaVu Sans"
# They say how the character before them looks, and have no glyph of their own.
_INVISIBLE = {"\ufe0e", "\ufe0f", "\u200c", "\u200d", *map(chr, range(0x1F3FB, 0x1F400))}
# Fonts with pictures in them, which matplotlib cannot draw, and the one for what no font has.
_USELESS = ("color emoji", "apple color", "last resort")
_SHOWN = 5


class Fonts:
    """The fonts for some texts: matplotlib's own, and of those that are installed the first that
    have what it lacks.

    Args:
        texts: The texts.
        keeps: Whether the picture keeps characters that no font has, as an SVG does, which is
            drawn by the fonts of its reader.

    Attributes:
        monospaced: Names of font families, for tokens.
        proportional: The same, for everything else.
    """

    def __init__(self, texts: Iterable[str], keeps: bool) -> None:
        self._keeps = keeps
        wanted = {one for text in texts for one in text if ord(one) > 0x7E} - _INVISIBLE
        self._missing = {one for one in wanted if ord(one) not in _own()}
        more = []
        for name, known in _installed() if self._missing else ():
            if any(ord(one) in known for one in self._missing):
                self._missing = {one for one in self._missing if ord(one) not in known}
                more.append(name)
        self.monospaced = [MONOSPACED, PROPORTIONAL, *more]
        self.proportional = [PROPORTIONAL, *more]
        if self._missing and not keeps:
            shown = ", ".join(sorted(self._missing)[:_SHOWN])
            warnings.warn(
                f"no installed font has {len(self._missing)} of the characters ({shown}): the "
                "picture has their names or numbers; install a font that has them (Noto Emoji, "
                "Noto Sans CJK), or write an SVG, which keeps them",
                stacklevel=4,
            )

    def drawable(self, text: str) -> str:
        """The text, with what no font has by its name or number: `:grinning_face:`."""
        if self._keeps:
            return text
        return "".join(
            _named(one) if one in self._missing else "" if one in _INVISIBLE else one
            for one in text
        )


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    if name and unicodedata.category(character) == "So":
        return f":{name.lower().replace(' ', '_')}:"
    return character.encode("unicode_escape").decode("ascii")


@cache
def _own() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont

    return frozenset().union(
        *(_characters(str(findfont(FontProperties(one)))) for one in (MONOSPACED, PROPORTIONAL))
    )


@cache
def _installed() -> tuple[tuple[str, frozenset[int]], ...]:
    """The families of fonts in the order of their names, and the characters that they have."""
    from matplotlib.font_manager import fontManager

    found: dict[str, frozenset[int]] = {}
    for font in sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        upright = font.style == "normal" and str(font.weight) in ("400", "normal", "regular")
        useless = any(word in font.name.lower() for word in _USELESS)
        if upright and not useless and font.name not in found:
            found[font.name] = _characters(font.fname)
    return tuple(found.items())


def _characters(path: str) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    try:
        font: Any = get_font(path)
        return frozenset(font.get_charmap())
    except (OSError, RuntimeError, ValueError):  # not one that can be drawn
        return frozenset()
