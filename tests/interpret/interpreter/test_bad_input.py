"""Odd inputs, models and predictors: a valid result, or an error that says the way out."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from allennlp.predictors import Predictor, TextClassifierPredictor

from allennlp_saliency.interpret import InterpretationError, SaliencyInterpreter
from tests.zoo import Zoo

METHODS = ("gradient", "integrated-gradients", "smooth-gradients", "random")
FIELDS = {"lstm", "bert", "roberta", "gpt2", "bert-mismatched", "roberta-mismatched", "cnn", "boe"}
each_method = pytest.mark.parametrize("method", METHODS)
each_family = pytest.mark.parametrize("family", sorted(FIELDS))
GOOD = {"sentence": "the plot was not bad"}

ODD_TEXTS = {
    "markup": "<script>alert('x')</script> & \"film\"",
    "emoji": "👩‍👩‍👧 good 🎬 film 😀",
    "accents": "caf\u00e9 cafe\u0301 na\u00efve \u0130stanbul \u00df",
    "right to left": "فيلم رائع good סרט",
    "chinese": "好电影 good",
    "zero width": "go\u200bod\ufeff film",
    "line breaks": "good\n\nfilm\r\nplot\tactor",
    "control": "good \x00 \x07 film",
    "surrogate": "good \ud83d film",
    "spaces": "   good    film   ",
    "the same word": "good good good good",
    "punctuation": "!!! ... ???",
    "special tokens": "[CLS] good [SEP] <s> film </s> [MASK] @@UNKNOWN@@",
    "a long word": "unbelievable" * 8,
    "one letter": "a",
}


def make(method: str, predictor: Predictor, **settings: Any) -> SaliencyInterpreter:
    few = {"integrated-gradients": {"steps": 3}, "smooth-gradients": {"num_samples": 2}}
    made = SaliencyInterpreter.by_name(method)(predictor, **few.get(method, {}), **settings)
    assert isinstance(made, SaliencyInterpreter)
    return made


def is_valid(result: Any) -> bool:
    """A result that can be shown, or an error that helps."""
    if result.error is not None:
        return isinstance(result.error, InterpretationError) and len(str(result.error)) > 20
    for explanation in result.explanations:
        json.dumps(explanation.to_json(), allow_nan=False)
        for one in explanation.inputs:
            if not all(map(math.isfinite, one.attributions)):
                return False
    return True


class TestTexts:
    @each_method
    @each_family
    def test_odd_texts(self, zoo: Zoo, method: str, family: str) -> None:
        inputs = [{"sentence": text} for text in ODD_TEXTS.values()]
        results = make(method, zoo.predictor(family)).interpret_each(inputs, predict=True)
        assert len(results) == len(inputs)
        for name, result in zip(ODD_TEXTS, results, strict=True):
            if name == "surrogate" and result.error is not None:
                continue  # transformers' tokenizers refuse half a pair with a TypeError of theirs
            assert result.error is None, (name, result.error)
            assert is_valid(result)
            (explanation,) = result.explanations
            (one,) = explanation.inputs
            for span in one.offsets:
                assert span is None or 0 <= span[0] <= span[1] <= len(ODD_TEXTS[name])
            if method == "gradient" and family != "cnn":
                assert any(one.attributions), name

    @each_family
    def test_offsets_of_emoji_are_those_of_python(self, zoo: Zoo, family: str) -> None:
        text = "😀 good 🎬 film"
        (explanation,) = make("gradient", zoo.predictor(family)).interpret_json({"sentence": text})
        (one,) = explanation.inputs
        spans = {
            token.removeprefix("Ġ"): span
            for token, span in zip(one.tokens, one.offsets, strict=True)
            if span is not None
        }
        for word in ("good", "film"):
            start, end = spans[word]
            assert text[start:end].strip() == word

    @each_method
    @pytest.mark.parametrize("family", [*sorted(FIELDS), "pair", "bert-tagger", "lstm-tagger"])
    @pytest.mark.parametrize("text", ["", "   "])
    def test_no_text(self, zoo: Zoo, method: str, family: str, text: str) -> None:
        inputs = zoo.inputs(family)
        empty = dict.fromkeys(inputs[0], text)
        interpreter = make(method, zoo.predictor(family))
        expected = interpreter.interpret_each([inputs[0], inputs[2]])
        results = interpreter.interpret_each([inputs[0], empty, inputs[2]])
        assert is_valid(results[1]), results[1].error
        # The others are as they are without it.
        assert same(results[0], expected[0])
        assert same(results[2], expected[1])

    def test_one_empty_field_of_two(self, zoo: Zoo) -> None:
        pair = {"premise": "", "hypothesis": "a good film"}
        for family in ("pair", "pair-bert"):
            for given in (pair, {"premise": pair["hypothesis"], "hypothesis": ""}):
                (result,) = make("integrated-gradients", zoo.predictor(family)).interpret_each(
                    [given]
                )
                assert is_valid(result), result.error

    @each_method
    @pytest.mark.parametrize("family", ["lstm", "cnn", "bert", "gpt2", "bert-mismatched"])
    def test_one_token(self, zoo: Zoo, method: str, family: str) -> None:
        contract = make(method, zoo.predictor(family)).saliency_interpret_from_json(
            {"sentence": "good"}
        )
        scores = contract["instance_1"]["grad_input_1"]
        words = 3 if family == "bert" else 1
        assert len(scores) == words
        assert sum(scores) == pytest.approx(1, abs=1e-6) or not any(scores)

    @each_method
    @pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "distilbert", "bert-mismatched"])
    def test_600_words(self, zoo: Zoo, method: str, family: str) -> None:
        long = {"sentence": " ".join(["good film"] * 300)}
        interpreter = make(method, zoo.predictor(family))
        results = interpreter.interpret_each([GOOD, long, GOOD])
        assert isinstance(results[1].error, InterpretationError)
        limit = 126 if family == "roberta" else 128  # RoBERTa's positions begin at 2
        assert f"at most {limit}" in str(results[1].error)
        assert "max_length" in str(results[1].error)
        assert results[0].error is results[2].error is None
        assert same(results[0], results[2])

    @pytest.mark.parametrize("family", ["lstm", "cnn", "xlnet"])
    def test_600_words_where_nothing_limits_them(self, zoo: Zoo, family: str) -> None:
        long = {"sentence": " ".join(["good film"] * 300)}
        (explanation,) = make("integrated-gradients", zoo.predictor(family)).interpret_json(long)
        assert len(explanation.inputs[0].attributions) >= 600


def same(left: Any, right: Any) -> bool:
    def flat(result: Any) -> list[float]:
        return [s for e in result.explanations for one in e.inputs for s in one.attributions]

    return (
        left.error is right.error is None
        and len(flat(left)) == len(flat(right))
        and flat(left) == pytest.approx(flat(right), abs=1e-5)
    )


class TestInputs:
    @pytest.mark.parametrize("family", ["lstm", "pair", "bert-tagger"])
    @pytest.mark.parametrize("given", [{}, {"text": "a film"}, {"sentences": ["a film"]}])
    def test_missing_keys_are_named(self, zoo: Zoo, family: str, given: dict[str, Any]) -> None:
        interpreter = make("gradient", zoo.predictor(family))
        key = "premise" if family == "pair" else "sentence"
        with pytest.raises(InterpretationError, match=f"lacks the key '{key}'") as caught:
            interpreter.interpret_json(given)
        for name in given:
            assert name in str(caught.value)

    @pytest.mark.parametrize("text", [None, 3, ["a", "film"], {"a": 1}])
    def test_other_types_harm_nobody(self, zoo: Zoo, text: Any) -> None:
        interpreter = make("gradient", zoo.predictor("lstm"))
        results = interpreter.interpret_each([GOOD, {"sentence": text}, GOOD])
        assert results[0].error is results[2].error is None
        assert same(results[0], results[2])
        assert results[1].error is not None or results[1].explanations

    def test_a_batch_raises_the_first_error(self, zoo: Zoo) -> None:
        interpreter = make("gradient", zoo.predictor("lstm"))
        with pytest.raises(InterpretationError, match="lacks the key"):
            interpreter.interpret_batch_json([GOOD, {}, GOOD])


class TestPredictors:
    def test_one_that_does_not_label(self, zoo: Zoo) -> None:
        known = zoo.predictor("lstm")

        class Unlabelled(Predictor):
            def _json_to_instance(self, json_dict: Any) -> Any:
                return self._dataset_reader.text_to_instance(json_dict["sentence"])

        predictor = Unlabelled(known._model, known._dataset_reader)
        (result,) = make("gradient", predictor).interpret_each([GOOD], predict=True)
        assert isinstance(result.error, InterpretationError)
        assert "predictions_to_labeled_instances" in str(result.error)

    def test_one_that_labels_nothing(self, zoo: Zoo) -> None:
        known = zoo.predictor("lstm")

        class Silent(TextClassifierPredictor):
            def predictions_to_labeled_instances(self, instance: Any, outputs: Any) -> Any:
                return []

        predictor = Silent(known._model, known._dataset_reader)
        interpreter = make("gradient", predictor)
        assert interpreter.interpret_json(GOOD) == []
        assert interpreter.saliency_interpret_from_json(GOOD) == {}

    def test_one_that_fails(self, zoo: Zoo) -> None:
        known = zoo.predictor("lstm")

        class Failing(TextClassifierPredictor):
            def _json_to_instance(self, json_dict: Any) -> Any:
                if json_dict["sentence"] == "fail":
                    raise ZeroDivisionError("the predictor's own")
                return super()._json_to_instance(json_dict)

        predictor = Failing(known._model, known._dataset_reader)
        results = make("gradient", predictor).interpret_each([{"sentence": "fail"}, GOOD])
        assert isinstance(results[0].error, ZeroDivisionError)
        assert results[1].error is None

    def test_one_that_takes_its_input_apart(self, zoo: Zoo) -> None:
        known = zoo.predictor("lstm")

        class Consuming(TextClassifierPredictor):
            def _json_to_instance(self, json_dict: Any) -> Any:
                return self._dataset_reader.text_to_instance(json_dict.pop("sentence"))

        given = dict(GOOD)
        make("gradient", Consuming(known._model, known._dataset_reader)).interpret_json(given)
        assert given == GOOD


class TestModels:
    @each_method
    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    @pytest.mark.parametrize("family", ["lstm", "bert"])
    def test_weights_that_are_not_finite(
        self, zoo: Zoo, method: str, family: str, value: float
    ) -> None:
        predictor = zoo.build(family)
        with torch.no_grad():
            predictor._model._classification_layer.weight.fill_(value)  # type: ignore[operator]
        (result,) = make(method, predictor).interpret_each([GOOD])
        assert isinstance(result.error, InterpretationError)
        assert "not finite" in str(result.error)

    def test_weights_that_overflow_along_the_path_only(self, zoo: Zoo) -> None:
        predictor = zoo.build("boe")
        with torch.no_grad():
            predictor._model._classification_layer.bias.mul_(1e38)  # type: ignore[operator]
        (result,) = make("integrated-gradients", predictor, target="logit").interpret_each([GOOD])
        assert is_valid(result)

    def test_one_nan_word_harms_no_other_input(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")
        model: Any = predictor._model
        with torch.no_grad():
            index = model.vocab.get_token_index("awful")
            model._text_field_embedder.token_embedder_tokens.weight[index] = float("nan")
        inputs = [{"sentence": text} for text in ("a good film", "an awful film", "a bad film")]
        for method in ("gradient", "integrated-gradients", "smooth-gradients"):
            results = make(method, predictor).interpret_each(inputs)
            assert isinstance(results[1].error, InterpretationError)
            alone = make(method, predictor).interpret_each([inputs[0], inputs[2]])
            assert same(results[0], alone[0])
            assert same(results[2], alone[1])

    def test_without_text_field_embedder(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")
        model: Any = predictor._model
        # A plain module in its place: nothing that AllenNLP knows as an embedder.
        embedder = model._text_field_embedder.token_embedder_tokens

        class Plain(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = torch.nn.Embedding(*embedder.weight.shape)

            def forward(self, tokens: Any) -> Any:
                return self.inner(tokens["tokens"]["tokens"])

        model._text_field_embedder = Plain()
        (result,) = make("gradient", predictor).interpret_each([GOOD])
        assert isinstance(result.error, InterpretationError)
        assert "get_interpretable_layer" in str(result.error)


class TestWhoseFault:
    """An error says whose it is: the input's, or the model's own."""

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"sentence": None}, "'sentence' is null, and a text is wanted"),
            ({"sentence": "a \ud800"}, "'sentence' has half a character, '\\ud800' at place 2"),
        ],
    )
    @pytest.mark.parametrize("family", ["bert", "roberta", "lstm"])
    def test_the_input(self, zoo: Zoo, family: str, given: dict[str, Any], told: str) -> None:
        given = {**given, "rationale": [[1, 2]], "note": None}
        (result,) = make("gradient", zoo.predictor(family)).interpret_each([given])
        if family == "lstm" and given["sentence"]:
            assert result.error is None  # its tokenizer takes any string
            return
        assert isinstance(result.error, InterpretationError)
        assert told in str(result.error)
        # Nothing of keys that nobody reads, nor advice about other libraries' methods.
        assert not any(word in str(result.error) for word in ("rationale", "note", "encode"))

    def test_a_key_error_of_the_models_is_its_own_and_the_prediction_stays(self, zoo: Zoo) -> None:
        known = zoo.predictor("lstm")

        class Mistaken(TextClassifierPredictor):
            def predictions_to_labeled_instances(self, instance: Any, outputs: Any) -> Any:
                return outputs["label_logits"]

        class MistakenEarlier(TextClassifierPredictor):
            def _json_to_instance(self, json_dict: Any) -> Any:
                return {}[json_dict["sentence"]]

        predictor = Mistaken(known._model, known._dataset_reader)
        (result,) = make("gradient", predictor).interpret_each([GOOD], predict=True)
        assert isinstance(result.error, KeyError)
        assert result.prediction == known.predict_json(GOOD)
        assert result.explanations == []
        predictor = MistakenEarlier(known._model, known._dataset_reader)
        (result,) = make("gradient", predictor).interpret_each([GOOD], predict=True)
        assert isinstance(result.error, KeyError)
        assert result.prediction is None

    def test_keys_that_are_taken_out_are_missed_too(self, zoo: Zoo) -> None:
        known = zoo.predictor("lstm")

        class Takes(TextClassifierPredictor):
            def _json_to_instance(self, json_dict: Any) -> Any:
                json_dict.pop("id", None)
                return self._dataset_reader.text_to_instance(json_dict.pop("sentence"))

        interpreter = make("gradient", Takes(known._model, known._dataset_reader))
        given = {"id": 3, **GOOD}
        assert interpreter.interpret_each([given])[0].error is None
        assert given == {"id": 3, **GOOD}
        (result,) = interpreter.interpret_each([{"id": 3}])
        assert "lacks the key 'sentence'" in str(result.error)
