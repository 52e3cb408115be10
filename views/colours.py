"""The colours of scores in a terminal."""

from __future__ import annotations

from rich.color import Color, blend_rgb
from rich.color_triplet import ColorTriplet
from rich.style import Style

# Both ramps leave from the grey that is as far from a black as from a white background, so that
# a weak score fades on either; colour-blind readers can distinguish blue from
# orange-red.
_NEUTRAL = ColorTriplet(0x8B, 0x90, 0x98)
FOR = ColorTriplet(0x0B, 0x57, 0xD6)
AGAINST = ColorTriplet(0xCC, 0x2E, 0x05)
FAINTEST = 0.05  # of the strongest score: below it a token keeps the terminal's own colours


def style_of(ratio: float, few: bool) -> Style:
    """The colours of a score.

    Args:
        ratio: The score as a ratio of the strongest, from -1 to 1.
        few: Whether the terminal has the standard colours only.
    """
    strength = min(abs(ratio), 1.0)
    if strength < FAINTEST:
        return Style()
    if few:
        if strength < 0.25:
            return Style()
        if strength < 0.6:
            return Style(color="black", bgcolor="cyan" if ratio > 0 else "yellow")
        return Style(color="white", bgcolor="blue" if ratio > 0 else "red", bold=True)
    background = blend_rgb(_NEUTRAL, FOR if ratio > 0 else AGAINST, strength)
    return Style(
        color=Color.from_triplet(_foreground(background)),
        bgcolor=Color.from_triplet(background),
        bold=strength > 0.5,
    )


def _foreground(background: ColorTriplet) -> ColorTriplet:
    """Black or white, whichever has more contrast (WCAG 2 relative luminance)."""
    linear = [
        value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return ColorTriplet(*(0, 0, 0) if luminance > 0.179 else (255, 255, 255))
