"""Links between mentions: how they are named, and that pruning is held."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    DeepLift,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    LayerwiseRelevancePropagation,
)
from tests.zoo.allennlp_models import Archives

TEXT = {"document": "The dog and the teacher lived in Paris. It was little. She was great, but it"}
NAMES = ["coreference", "coreference-coarse"]


@pytest.fixture(params=NAMES)
def predictor(archives: Archives, request: pytest.FixtureRequest) -> Predictor:
    return archives.predictor(request.param)


def links(prediction: dict[str, Any]) -> dict[tuple[int, int], tuple[int, int]]:
    """The antecedent of each mention that has one, as spans."""
    spans = [tuple(span) for span in prediction["top_spans"]]
    return {
        span: spans[candidates[best]]
        for span, candidates, best in zip(
            spans,
            prediction["antecedent_indices"],
            prediction["predicted_antecedents"],
            strict=True,
        )
        if best >= 0
    }


def span_of(positions: list[int]) -> tuple[int, int]:
    return positions[0], positions[-1]


def test_mentions_are_named(predictor: Predictor) -> None:
    prediction = predictor.predict_json(dict(TEXT))
    found = InputXGradient(predictor).interpret_json(TEXT)
    words = prediction["document"]
    assert len(prediction["clusters"]) > 1
    named = {}
    for one in found:
        target = one.target
        named[span_of(target["positions"])] = span_of(target["antecedent_positions"])
        assert target["mention"] == " ".join(words[n] for n in target["positions"])
        assert target["label"] == " ".join(words[n] for n in target["antecedent_positions"])
        cluster = prediction["clusters"][target["cluster"]]
        assert list(span_of(target["positions"])) in cluster
        assert list(span_of(target["antecedent_positions"])) in cluster
    assert named == links(prediction)
    (text,) = found[0].inputs
    assert [TEXT["document"][slice(*span)] for span in text.offsets if span] == text.tokens


def test_no_cluster_gives_no_explanation(predictor: Predictor) -> None:
    (found,) = InputXGradient(predictor).interpret_each([{"document": "awful book"}], predict=True)
    assert (found.error, found.explanations) == (None, [])
    assert found.prediction is not None
    assert found.prediction["clusters"] == []


def test_a_document_of_one_word_is_refused(predictor: Predictor) -> None:
    with pytest.raises(InterpretationError, match="one word"):
        InputXGradient(predictor).interpret_json({"document": "awful"})


def test_the_model_itself_keeps_other_spans_at_the_baseline(predictor: Predictor) -> None:
    """So what follows shows something: without held spans there would be a jump on the way."""
    model: Any = predictor._model
    kept = predictor.predict_json(dict(TEXT))["top_spans"]
    hook = model._text_field_embedder.register_forward_hook(
        lambda module, given, output: torch.zeros_like(output)
    )
    at_zero = predictor.predict_json(dict(TEXT))["top_spans"]
    hook.remove()
    assert kept != at_zero


@pytest.mark.parametrize("method", [IntegratedGradients, DeepLift])
def test_complete_methods_are_complete(predictor: Predictor, method: Any) -> None:
    found = method(predictor).interpret_json(TEXT)
    assert found
    for one in found:
        due = one.target["value"] - one.target["baseline_value"]
        assert abs(one.convergence_delta) <= 0.01 * abs(due)
        assert one.warnings == []
        assert one.details["held_spans"] > 2


def test_relevance_is_finite(predictor: Predictor) -> None:
    for one in LayerwiseRelevancePropagation(predictor).interpret_json(TEXT):
        assert one.convergence_delta is not None
        assert abs(one.convergence_delta) < 1e-3


def test_a_link_against_none(predictor: Predictor) -> None:
    """None has the logit 0."""
    logits = InputXGradient(predictor, target="logit").interpret_json(TEXT)
    against = InputXGradient(predictor, target={"type": "contrast", "against": "0"})
    for one, other in zip(logits, against.interpret_json(TEXT), strict=True):
        assert other.target["value"] == pytest.approx(one.target["value"])
        assert other.inputs == one.inputs
    none = InputXGradient(predictor, target={"type": "log-likelihood", "label": "0"})
    for one in none.interpret_json(TEXT):
        assert (one.target["label"], one.target["antecedent_positions"]) == ("", [])


def test_the_users_model_is_untouched(predictor: Predictor) -> None:
    InputXGradient(predictor).interpret_json(TEXT)
    assert "_compute_coreference_scores" not in vars(predictor._model)
    assert not predictor._model._mention_scorer._forward_hooks  # type: ignore[attr-defined]
