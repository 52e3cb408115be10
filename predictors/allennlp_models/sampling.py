"""Beam searches that draw tokens at random."""

from __future__ import annotations

from typing import Any

from allennlp_saliency.interpret.explanation import JsonDict

_BEST = "DeterministicSampler"


def draws(search: Any) -> bool:
    """Whether a beam search draws its tokens; the score of a text may be that of the draw then.

    Args:
        search: An `allennlp.nn.beam_search.BeamSearch`, or None.
    """
    sampler = getattr(search, "sampler", None)
    return sampler is not None and type(sampler).__name__ != _BEST


def generation_details(search: Any) -> JsonDict:
    """The details in which explanations of a text say that its tokens were drawn.

    Args:
        search: An `allennlp.nn.beam_search.BeamSearch`, or None.

    Returns:
        `generation` where the search draws tokens; else empty.
    """
    if not draws(search):
        return {}
    return {
        "generation": (
            f"drawn at random by the beam search's {type(search.sampler).__name__}: another call "
            "may write, and so explain, another text; call torch.manual_seed before each call to "
            "get the same one"
        )
    }
