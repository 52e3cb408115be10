"""What is compared of methods that remove units, and of generated text that is explained as one."""

from __future__ import annotations

from dataclasses import replace

from ..case import Case
from ..workloads import (
    BERT_BASE,
    OF_SIZE,
    TINY,
    continued,
    sentences,
    spread,
    with_context,
)
from .row import Entry, Goal, Row

OURS = Entry("ours", "coalitions.ours")
CAPTUM = Entry("captum", "coalitions.captum", rounds=1)
# What is removed becomes the mask, and not nothing.
INTERPRETO = Entry("interpreto", "coalitions.interpreto", rounds=1, comparable=False)
LOWER_BOUND = Entry("lower bound", "coalitions.lower_bound")
SHAP = tuple(
    Entry(f"SHAP, {name}", "coalitions.shap_values", {"rule": name}, rounds=1, comparable=False)
    for name in ("partition", "permutation")
)
_GOALS = (
    Goal("captum", "ours", at_least=5),
    Goal("interpreto", "ours", at_least=1),
    Goal("ours", "lower bound", at_most=1.15),
)
_TEXTS = "32 sentences of 6 to 120 tokens"


def rows_of_coalitions(model: str = BERT_BASE) -> tuple[Row, ...]:
    """The rows.

    Args:
        model: A size with random weights.
    """
    classifier, language_model = OF_SIZE[model]
    return (*_of_classifiers(classifier), *_of_language_models(language_model, model != TINY))


def _of_classifiers(model: str) -> tuple[Row, ...]:
    many = Case(model, sentences(spread(32, 6, 120)))
    # Everybody draws samples of their own, and the lower bound makes nothing of them.
    sampled = tuple(replace(entry, comparable=False) for entry in (LOWER_BOUND, CAPTUM))
    return (
        Row(
            "leave-one-out-many",
            f"Leave-one-out of tokens, {_TEXTS}",
            replace(many, method="leave-one-out", steps=1),
            (OURS, LOWER_BOUND, CAPTUM, INTERPRETO),
            _GOALS,
            rounds=2,
        ),
        Row(
            "lime-many",
            f"LIME, 256 samples, {_TEXTS}",
            replace(many, method="lime", steps=256),
            (OURS, *sampled, INTERPRETO),
            _GOALS,
            rounds=2,
        ),
        Row(
            "kernel-shap-many",
            f"KernelSHAP, 512 samples, {_TEXTS}",
            replace(many, method="kernel-shap", steps=512),
            (OURS, *sampled, INTERPRETO, *SHAP),
            (*_GOALS, *(Goal(entry.label, "ours", at_least=1) for entry in SHAP)),
            rounds=2,
        ),
    )


def _of_language_models(model: str, long: bool) -> tuple[Row, ...]:
    context = with_context(40, 24, 40, 24) if long else with_context(10, 3, 4, 4)
    (text,) = continued(64, 32)
    span = ({**text, "explain": "span"},)
    return (
        Row(
            "context-cite",
            "context-cite, 64 ablations of 40 parts of a prompt of 1,000 tokens, 24 tokens after "
            "it",
            Case(model, context, method="context-cite", steps=64),
            (
                OURS,
                Entry("context-cite", "coalitions.context_cite", rounds=1, comparable=False),
                Entry("lower bound", "coalitions.lower_bound_context", comparable=False),
            ),
            (Goal("context-cite", "ours", at_least=3), Goal("ours", "lower bound", at_most=1.15)),
            rounds=2,
        ),
        Row(
            "leave-one-out-context",
            "Leave-one-out of 40 parts of a prompt of 1,000 tokens, 24 tokens after it",
            Case(model, context, method="leave-one-out-parts"),
            (
                OURS,
                # What stands before a part that is left out goes through the model again.
                Entry("whole texts", "coalitions.lower_bound_context", comparable=False),
            ),
            (Goal("whole texts", "ours", at_least=1.3),),
            rounds=1,
        ),
        Row(
            "span-gradient",
            "Input x gradient of a span of 32 generated tokens after a prompt of 64 tokens",
            Case(model, span, method="input-x-gradient", steps=1, warm_up=span),
            (
                Entry("ours", "ours"),
                Entry("one pass each", "coalitions.span_passes", {"rule": "each"}),
                Entry("lower bound", "coalitions.span_passes", {"rule": "together"}),
            ),
            (Goal("one pass each", "ours", at_least=3), Goal("ours", "lower bound", at_most=1.15)),
            rounds=5,
        ),
    )
