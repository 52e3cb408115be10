"""Models that write: what is explained of them besides what every predictor shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from allennlp.models import Model
from allennlp.nn.beam_search import (
    GumbelSampler,
    LengthNormalizedSequenceLogProbabilityScorer,
    MultinomialSampler,
)
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InputXGradient, IntegratedGradients, InterpretationError
from tests.zoo.allennlp_models import ARCHIVES, Archives

SOURCE = {"source": "mary saw a great film ."}
VOCABULARIES = ("seq2seq-simple", "seq2seq-composed-attention")
WITH_LOGITS = (*VOCABULARIES, "seq2seq-bart", "seq2seq-t5")


@pytest.mark.parametrize("name", WITH_LOGITS)
def test_logits_and_probabilities_are_those_of_the_token(archives: Archives, name: str) -> None:
    predictor = archives.predictor(name)
    by_likelihood = InputXGradient(predictor).interpret_json(SOURCE)
    by_probability = InputXGradient(predictor, target="probability").interpret_json(SOURCE)
    for one, other in zip(by_likelihood, by_probability, strict=True):
        value = torch.tensor(one.target["value"]).exp().item()
        assert other.target["value"] == pytest.approx(value, rel=1e-4)
    # A logit is a log-probability but for what all tokens of a step have in common.
    differences = set()
    for one, other in zip(by_likelihood, logits(predictor), strict=True):
        assert other.target["label"] == one.target["label"]
        differences.add(round(other.target["value"] - one.target["value"], 3))
    assert differences != {0.0}


def logits(predictor: Predictor, label: str | None = None) -> list[Any]:
    target = {"type": "logit"} | ({} if label is None else {"label": label})
    return InputXGradient(predictor, target=target).interpret_json(SOURCE)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_another_token_can_be_named(archives: Archives, name: str) -> None:
    predictor = archives.predictor(name)
    target = {"type": "log-likelihood", "label": "said"}
    found = InputXGradient(predictor, target=target).interpret_json(SOURCE)
    assert [one.target["label"] for one in found] == ["said"] * len(found)
    own = InputXGradient(predictor).interpret_json(SOURCE)
    difference = {"type": "logit-difference", "against": "said"}
    between = InputXGradient(predictor, target=difference).interpret_json(SOURCE)
    for one, other, apart in zip(own, found, between, strict=True):
        expected = one.target["value"] - other.target["value"]
        assert apart.target["value"] == pytest.approx(expected, abs=1e-5)


def test_an_unknown_token_is_refused(archives: Archives) -> None:
    target = {"type": "log-likelihood", "label": "sayd"}
    interpreter = InputXGradient(archives.predictor("seq2seq-simple"), target=target)
    with pytest.raises(InterpretationError, match="did you mean 'said'"):
        interpreter.interpret_json(SOURCE)


def test_copied_words_have_their_names_and_no_single_logit(archives: Archives) -> None:
    predictor = archives.predictor("seq2seq-copynet")
    source = {"source": "he wrote a zebra"}
    found = InputXGradient(predictor).interpret_json(source)
    prediction = predictor.predict_json(source)
    assert "zebra" in prediction["predicted_tokens"][0]
    labels = [one.target["label"] for one in found]
    assert labels[: len(prediction["predicted_tokens"][0])] == prediction["predicted_tokens"][0]
    with pytest.raises(InterpretationError, match="no logits"):
        InputXGradient(predictor, target="logit").interpret_json(source)
    by_probability = InputXGradient(predictor, target="probability").interpret_json(source)
    values = [one.target["value"] for one in by_probability]
    expected = torch.tensor([one.target["value"] for one in found]).exp().tolist()
    assert values == pytest.approx(expected, rel=1e-4)


def test_the_text_so_far_is_an_input(archives: Archives) -> None:
    found = IntegratedGradients(archives.predictor("seq2seq-simple")).interpret_json(SOURCE)
    labels = [one.target["label"] for one in found]
    for number, one in enumerate(found):
        texts = {text.field: text for text in one.inputs}
        assert texts["generated"].tokens == ["@start@", *labels[:number]]
        # What every text begins with stays as it is at a baseline.
        assert texts["generated"].attributions[0] == 0


def test_a_length_penalty_does_not_stand_in_the_way(archives: Archives) -> None:
    predictor = archives.predictor("seq2seq-simple")
    plain = InputXGradient(predictor).interpret_json(SOURCE)
    model: Any = predictor._model
    model._beam_search.final_sequence_scorer = LengthNormalizedSequenceLogProbabilityScorer(0.5)
    found = InputXGradient(predictor).interpret_json(SOURCE)
    score = predictor.predict_json(SOURCE)["class_log_probabilities"][0]
    total = sum(one.target["value"] for one in found)
    assert score == pytest.approx(total / len(found) ** 0.5, rel=1e-5)
    assert {one.target["label"] for one in found} & {one.target["label"] for one in plain}


@pytest.mark.parametrize("name", ["seq2seq-composed-lstm", "seq2seq-bart", "seq2seq-t5"])
def test_the_users_model_is_untouched(archives: Archives, name: str) -> None:
    predictor = archives.predictor(name)
    before = {
        path: (dict(vars(module)), dict(module._modules))
        for path, module in predictor._model.named_modules()
    }
    InputXGradient(predictor).interpret_json(SOURCE)
    for path, module in predictor._model.named_modules():
        own, children = before[path]
        assert dict(module._modules) == children
        assert vars(module).keys() == own.keys()
        assert vars(module).get("_beam_search") is own.get("_beam_search")


class Sum(Model):
    """A model that writes in a way of its own."""

    def forward(self, source_tokens: Any) -> dict[str, Any]:
        raise NotImplementedError

    def forward_on_instance(self, instance: Any) -> dict[str, Any]:
        return {}


def test_a_model_of_another_kind_is_refused(archives: Archives) -> None:
    known = archives.predictor("seq2seq-simple")
    other = Sum(known._model.vocab)
    other.own = known._model._source_embedder  # type: ignore[assignment]
    predictor = type(known)(other, known._dataset_reader)
    with pytest.raises(InterpretationError, match="has a Sum, and how one writes is not known"):
        InputXGradient(predictor).interpret_json(SOURCE)


@pytest.mark.parametrize("sampler", [MultinomialSampler, GumbelSampler])
@pytest.mark.parametrize("name", ["seq2seq-simple", "next-token-lm-search"])
def test_a_text_that_was_drawn_says_so(archives: Archives, name: str, sampler: Any) -> None:
    predictor: Any = archives.predictor(name)
    model = predictor._model
    search = model._beam_search if name == "seq2seq-simple" else model._beam_search_generator
    search = getattr(search, "_beam_search", search)
    given = dict(ARCHIVES[name].inputs[0])
    assert "generation" not in InputXGradient(predictor).interpret_json(given)[0].details
    search.sampler = sampler()
    for one in InputXGradient(predictor).interpret_json(given):
        assert (
            f"drawn at random by the beam search's {sampler.__name__}" in one.details["generation"]
        )


def test_a_seed_draws_the_same_text_again(archives: Archives) -> None:
    predictor: Any = archives.predictor("seq2seq-simple")
    predictor._model._beam_search.sampler = MultinomialSampler()
    interpreter = InputXGradient(predictor)
    texts = []
    for seed in (1, 1, 2, 3, 4):
        torch.manual_seed(seed)
        texts.append([one.target["label"] for one in interpreter.interpret_json(SOURCE)])
    assert texts[0] == texts[1]
    assert any(one != texts[0] for one in texts[2:])
