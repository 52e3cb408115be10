"""What is compared. A new comparison is one more `Row`; a new peer one more file in `contestants/`
with a function `prepare(case, predictor) -> Job`."""

from __future__ import annotations

from dataclasses import replace

from ..case import Case
from ..workloads import (
    BERT_BASE,
    OF_SIZE,
    SIZES,
    continued,
    fixture_texts,
    sentences,
    spread,
)
from .coalitions import rows_of_coalitions
from .row import Entry, Goal, Row

OURS = Entry("ours", "ours")
ALLENNLP = Entry("AllenNLP", "allennlp")
CAPTUM = Entry("captum", "captum")
LOWER_BOUND = Entry("lower bound", "lower_bound")
WITH_LABEL = Entry("bound with label", "lower_bound_labelled")
# AllenNLP's simple gradient multiplies every gradient by the first token's embedding.
SIMPLE_GRADIENT = replace(ALLENNLP, comparable=False)
# Everybody draws noise of their own, and AllenNLP leaves the input out.
NOISY_ALLENNLP = replace(ALLENNLP, comparable=False)
NOISY_LOWER_BOUND = replace(LOWER_BOUND, comparable=False)
NOISY_CAPTUM = replace(CAPTUM, comparable=False)
NOISY_WITH_LABEL = replace(WITH_LABEL, comparable=False)

# The first that explain generated text.
INSEQ = Entry("inseq", "generation.inseq")
INSEQ_CLASS = Entry("inseq's class", "generation.inseq_classes")
CAPTUM_OF_GENERATION = Entry("captum", "generation.captum")
# It takes absolute values before it sums over the dimensions of an embedding.
INTERPRETO = Entry("interpreto", "generation.interpreto", comparable=False)
PLAIN_LOOP = Entry("plain loop", "generation.plain_loop")
BOUND_OF_GENERATION = Entry("lower bound", "generation.lower_bound")

OURS_FROM_THE_START = Entry("ours", "command")
WITHOUT_LAZY_IMPORTS = Entry("without lazy imports", "command_eager")

_NEAR_LEAST = (Goal("ours", WITH_LABEL.label, at_most=1.15),)
_AT_EQUAL_STEPS = (
    Goal("AllenNLP", "ours", at_least=3),
    Goal("captum", "ours", at_least=1),
)
# Of less than a second each, and rounds differ by more than what is looked for.
_ROUNDS = 11
_OF_GENERATION = (
    *(Goal(peer, "ours", at_least=3) for peer in ("inseq", "interpreto", "captum")),
    Goal("ours", BOUND_OF_GENERATION.label, at_most=1.15),
)


def rows(model: str = BERT_BASE, trained: str = "sentiment") -> tuple[Row, ...]:
    """All rows.

    Args:
        model: A size with random weights, for the rows at equal steps.
        trained: A fixture, for the rows at equal accuracy.
    """
    one = Case(model, sentences([26]))
    some, many = (Case(model, sentences(spread(count, 6, 120))) for count in (8, 32))
    return (
        *_of_classifiers(one, many),
        *_beside_captum(model, one, some),
        *_of_language_models(model),
        *rows_of_coalitions(model),
        _accuracy(trained),
        *_of_the_start(),
    )


def _of_classifiers(one: Case, many: Case) -> tuple[Row, ...]:
    """Methods that AllenNLP has, too."""
    return (
        Row(
            "ig-one",
            "Integrated gradients, 10 steps, left rule, one sentence of 26 tokens",
            one,
            (OURS, replace(ALLENNLP, rounds=5), CAPTUM, LOWER_BOUND, WITH_LABEL),
            (*_AT_EQUAL_STEPS, *_NEAR_LEAST),
            rounds=_ROUNDS,
        ),
        Row(
            "gradient-one",
            "Input x gradient, one sentence of 26 tokens",
            replace(one, method="input-x-gradient", steps=1),
            (OURS, replace(SIMPLE_GRADIENT, rounds=5), LOWER_BOUND),
            (Goal("ours", "lower bound", at_most=1.15),),
            rounds=_ROUNDS,
        ),
        Row(
            "smooth-one",
            "SmoothGrad, 10 samples, one sentence of 26 tokens",
            replace(one, method="smooth-gradients"),
            (OURS, replace(NOISY_ALLENNLP, rounds=5), NOISY_LOWER_BOUND),
            rounds=_ROUNDS,
        ),
        Row(
            "ig-many",
            "Integrated gradients, 10 steps, left rule, 32 sentences of 6 to 120 tokens",
            many,
            (OURS, LOWER_BOUND, CAPTUM, replace(ALLENNLP, rounds=1)),
            (Goal("ours", "lower bound", at_most=1.15), *_AT_EQUAL_STEPS[1:]),
            rounds=2,
        ),
        Row(
            "gradient-many",
            "Input x gradient, 32 sentences of 6 to 120 tokens",
            replace(many, method="input-x-gradient", steps=1),
            (OURS, LOWER_BOUND, SIMPLE_GRADIENT),
            rounds=3,
        ),
        Row(
            "smooth-many",
            "SmoothGrad, 10 samples, 32 sentences of 6 to 120 tokens",
            replace(many, method="smooth-gradients"),
            (OURS, NOISY_ALLENNLP),
            rounds=1,
        ),
    )


def _beside_captum(model: str, one: Case, some: Case) -> tuple[Row, ...]:
    """Methods that captum has and AllenNLP has not."""
    transformer = "_text_field_embedder.token_embedder_tokens.transformer_model"
    middle = SIZES[model].num_hidden_layers // 2 - 1
    return (
        Row(
            "gradient-shap",
            "GradientSHAP, 16 samples, one sentence of 26 tokens",
            replace(one, method="gradient-shap", steps=16),
            (OURS, NOISY_CAPTUM, NOISY_WITH_LABEL),
            (Goal("captum", "ours", at_least=1), *_NEAR_LEAST),
            rounds=_ROUNDS,
        ),
        Row(
            "gradient-shap-many",
            "GradientSHAP, 16 samples, 8 sentences of 6 to 120 tokens",
            replace(some, method="gradient-shap", steps=16),
            (OURS, NOISY_CAPTUM),
            (Goal("captum", "ours", at_least=1),),
            rounds=3,
        ),
        Row(
            "layer-ig",
            "Integrated gradients, 10 steps, left rule, at the output of the middle layer, one "
            "sentence of 26 tokens",
            replace(
                one,
                method="layer-integrated-gradients",
                layer=f"{transformer}.encoder.layer.{middle}",
            ),
            (OURS, CAPTUM),
            (Goal("captum", "ours", at_least=1),),
            rounds=_ROUNDS,
        ),
    )


def _of_language_models(model: str) -> tuple[Row, ...]:
    _, named = OF_SIZE[model]
    next_of = {
        count: Case(named, continued(count, 1), steps=16, rule="gauss-legendre")
        for count in (16, 26)
    }
    generated = replace(next_of[26], texts=continued(64, 32), warm_up=continued(64, 1))
    return (
        Row(
            "sequential",
            "Sequential integrated gradients, 16 steps, the token after 16 tokens",
            replace(next_of[16], method="sequential-integrated-gradients"),
            (
                OURS,
                Entry("ours, exact", "ours", {"rule": "exact"}),
                INSEQ_CLASS,
                replace(INSEQ, rounds=1),
            ),
            (
                Goal("inseq's class", "ours", at_least=5),
                Goal("inseq's class", "ours, exact", at_least=5),
            ),
            rounds=2,
        ),
        Row(
            "discretized",
            "Discretized integrated gradients, 16 steps, the token after 26 tokens",
            replace(next_of[26], method="discretized-integrated-gradients"),
            (OURS, INSEQ_CLASS, INSEQ),
            (Goal("inseq's class", "ours", at_least=5),),
            rounds=3,
        ),
        Row(
            "generation-gradient",
            "Input x gradient of 32 generated tokens after a prompt of 64 tokens",
            replace(generated, method="input-x-gradient", steps=1),
            (OURS, INSEQ, INTERPRETO, CAPTUM_OF_GENERATION, PLAIN_LOOP, BOUND_OF_GENERATION),
            _OF_GENERATION,
            rounds=2,
        ),
        Row(
            "generation-ig",
            "Integrated gradients, 16 steps, of 32 generated tokens after a prompt of 64 tokens",
            generated,
            (
                OURS,
                replace(INSEQ, rounds=1),
                replace(INTERPRETO, rounds=1),
                # It keeps what was generated before as it is.
                replace(CAPTUM_OF_GENERATION, rounds=1, comparable=False),
                replace(PLAIN_LOOP, rounds=1),
                replace(BOUND_OF_GENERATION, rounds=1),
            ),
            _OF_GENERATION,
            rounds=2,
        ),
    )


def _accuracy(trained: str) -> Row:
    return Row(
        "accuracy",
        "Integrated gradients of 64 inputs, the largest relative completeness error below "
        f"1 %, on the trained fixture `{trained}`",
        Case(trained, fixture_texts(trained, 64), accuracy=0.01, rule="gauss-legendre"),
        (
            Entry("ours, tolerance", "ours", {"rule": "adaptive"}),
            Entry("ours, Gauss-Legendre", "ours", rounds=1),
            CAPTUM,
            Entry("AllenNLP", "allennlp", {"rule": "left"}, rounds=1),
        ),
        (
            Goal("AllenNLP", "ours, tolerance", at_least=10),
            Goal("captum", "ours, tolerance", at_least=1),
            Goal("ours, Gauss-Legendre", "ours, tolerance", at_least=1),
        ),
        rounds=3,
    )


def _of_the_start() -> tuple[Row, ...]:
    entries = (OURS_FROM_THE_START, WITHOUT_LAZY_IMPORTS)
    goals = (Goal(WITHOUT_LAZY_IMPORTS.label, OURS_FROM_THE_START.label, at_least=2),)
    return (
        Row(
            "start-help",
            "CPU seconds of `allennlp --help`, from the start of the process to its end",
            Case("topics", fixture_texts("topics", 1), method="--help"),
            # There are no scores.
            tuple(replace(entry, comparable=False) for entry in entries),
            goals,
        ),
        *(
            Row(
                f"start-{fixture}",
                "CPU seconds of `allennlp predict` of one line with the saliency predictor, from "
                f"the start of the process to its end, on the fixture `{fixture}`",
                Case(fixture, fixture_texts(fixture, 1), method="predict"),
                entries,
                goals,
            )
            for fixture in ("topics", "sentiment")
        ),
    )
