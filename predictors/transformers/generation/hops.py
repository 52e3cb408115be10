"""What fell on earlier generated tokens, handed on through them to what they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import fsum

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import ExplainedInstance
from allennlp_saliency.interpret.explanation import Explanation

HOP = "hop"
"""`Explained.choice` of a labelled instance that is there for the explanations of others."""

# Shares of which the sizes are so much more than their sum hand on mostly what cancels.
_MOST = 10.0


def handed_on(
    scores: Sequence[float], earlier: Sequence[float], shares: Sequence[Sequence[float]]
) -> tuple[list[float], list[float]]:
    """a_p + Σ_s a_s · a_sp / Σ_p' a_sp': scores of earlier tokens s handed on to the prompt.

    One hop of Ferrando and Voita 2024, "Information Flow Routes", arXiv 2403.00824, and of
    FlashTrace 2026, arXiv 2602.01914, with signed scores. Nothing is lost: the sum of all scores
    stays what it was.

    Args:
        scores: a_p, of the prompt's tokens.
        earlier: a_s, of the earlier generated tokens.
        shares: a_sp, per earlier token the scores of the prompt's tokens for it. A token for which
            they add up to zero keeps its score.

    Returns:
        The scores of the prompt's tokens and of the earlier ones.
    """
    wholes = [fsum(own) for own in shares]
    kept = [0.0 if whole else score for score, whole in zip(earlier, wholes, strict=True)]
    found = [
        fsum(
            [
                own,
                *(
                    score * share[number] / whole
                    for score, share, whole in zip(earlier, shares, wholes, strict=True)
                    if whole
                ),
            ]
        )
        for number, own in enumerate(scores)
    ]
    return found, kept


def with_hop(
    explained: Sequence[ExplainedInstance],
    places: Sequence[range],
    prompt: str,
    skipped: int,
) -> list[ExplainedInstance]:
    """Explanations in which no generated token has a score that can be handed on.

    Args:
        explained: All explanations of an input: those of single tokens are made use of.
        places: Which generated tokens each is of.
        prompt: The field of the prompt or source; the other one is what was generated.
        skipped: How many tokens of that other field were not generated.
    """
    single = {
        own.start: one for own, (_, one) in zip(places, explained, strict=True) if len(own) == 1
    }
    return [
        (instance, _after(one, single, own.start, prompt, skipped))
        for own, (instance, one) in zip(places, explained, strict=True)
    ]


def _after(
    explanation: Explanation,
    single: Mapping[int, Explanation],
    first: int,
    prompt: str,
    skipped: int,
) -> Explanation:
    """An explanation after a hop through the tokens before its first."""
    by_field = {one.field: one for one in explanation.inputs}
    own, generated = by_field[prompt], by_field["generated"]
    missing = sorted(set(range(first)) - set(single))
    if missing:
        raise InterpretationError(
            f"the generated token {missing[0]} is not explained by itself, so nothing can be "
            "handed on through it; leave 'hops' out"
        )
    shares = [_of(single[number], prompt) for number in range(first)]
    scores, kept = handed_on(own.attributions, generated.attributions[skipped:], shares)
    changed = {
        prompt: replace(own, attributions=scores, standard_errors=None),
        "generated": replace(
            generated,
            attributions=[*generated.attributions[:skipped], *kept],
            standard_errors=None,
        ),
    }
    names = [
        name
        for name, share in zip(generated.tokens[skipped:], shares, strict=True)
        if fsum(map(abs, share)) > _MOST * abs(fsum(share))
    ]
    warnings = list(explanation.warnings)
    if names:
        warnings.append(
            f"the prompt's scores for {', '.join(map(repr, names))} mostly cancel, so what is "
            "handed on through them is uncertain; look at the scores without hops, or use a method "
            "whose scores have one sign, such as 'gradient-norm'"
        )
    return replace(
        explanation,
        inputs=[changed.get(one.field, one) for one in explanation.inputs],
        details={**explanation.details, "hops": 1},
        warnings=warnings,
    )


def _of(explanation: Explanation, field: str) -> list[float]:
    return next(one.attributions for one in explanation.inputs if one.field == field)
