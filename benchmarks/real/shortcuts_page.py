"""The section on the planted shortcut."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from .measure import typical
from .page import table
from .shortcuts import TRIGGERS, Found

_FIRST = 3
_HEAD = """\
## A shortcut planted in MiniLM

After Bastings et al. 2022, *"Will You Find These Shortcuts?"* (arXiv 2111.07367). The same encoder
and texts as above, fine-tuned with a word planted at a random place in half of them: "{0}" makes a
text negative and "{1}" positive, whatever it says. Explained are {texts} held-out reviews that the
model has right, and otherwise as soon as the other label's word stands in them: so the word is the
reason. A text has {tokens:.0f} tokens in the mean, and a planted word is one or two of them.

- *first*: the share of texts whose planted word has the highest score of all tokens (precision
  at 1), with the 95 % interval (bootstrap over texts); *in {first}*: it is among the {first}
  highest.
- *rank*: its mean rank, 1 for the highest; of equal scores it has the last.
- *seconds*: the median for one text."""


def section(found: Sequence[Found]) -> str:
    """The section as Markdown, the best methods first.

    Args:
        found: What every method found.
    """
    rows = [
        [
            f"`{one.method}`",
            str(len(one.ranks)),
            str(one.precision()),
            str(one.precision(_FIRST)),
            str(one.rank),
            f"{typical(one.seconds):.2g}",
            "",
        ]
        for one in sorted(found, key=_place)
        if not one.refused
    ]
    rows += [
        [f"`{one.method}`", *[""] * 5, f"refused: {one.refused}"] for one in found if one.refused
    ]
    most = max(found, key=lambda one: len(one.ranks))
    head = _HEAD.format(*TRIGGERS, texts=len(most.ranks), tokens=fmean(most.tokens), first=_FIRST)
    columns = ["method", "texts", "first", f"in {_FIRST}", "rank", "seconds", ""]
    return f"{head}\n\n{table(columns, rows)}"


def _place(found: Found) -> tuple[float, float]:
    if found.refused:
        return 0.0, 0.0
    return -found.precision().mean, found.rank.mean
