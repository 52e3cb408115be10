"""One line of `allennlp-saliency doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `advice` says what to do where it is not `ok`."""

    section: str
    what: str
    ok: bool
    detail: str
    advice: str = ""
