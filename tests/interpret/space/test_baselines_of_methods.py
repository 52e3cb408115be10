"""Baselines through the methods that take them: the target there, and the mean over several."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from allennlp_saliency.interpret import (
    DeepLift,
    Explanation,
    IntegratedGradients,
    InterpretationError,
    SaliencyInterpreter,
    SequentialIntegratedGradients,
)
from tests.zoo import Zoo
from tests.zoo.functions import Opened, embedding_layer

TEXT = "the plot was badly awful"


def explain(interpreter: SaliencyInterpreter, text: str = TEXT) -> Explanation:
    (explanation,) = interpreter.interpret_json({"sentence": text})
    return explanation


def index_of(zoo: Zoo, family: str, token: str) -> int:
    indexer: Any = zoo.predictor(family)._dataset_reader._token_indexers["tokens"]  # type: ignore
    if hasattr(indexer, "_tokenizer"):
        return indexer._tokenizer.convert_tokens_to_ids(token)
    return zoo.predictor(family)._model.vocab.get_token_index(token)


def value_with(zoo: Zoo, family: str, vectors: Tensor, keep: bool) -> float:
    """The target with other vectors, in their order, in the place of the text's."""
    opened = Opened.of(zoo.predictor(family), TEXT)
    replaced = opened.x.clone()
    where = ~opened.special if keep else torch.ones_like(opened.special)
    replaced[where] = vectors.expand(int(where.sum()), -1)
    with torch.no_grad():
        return float(opened.value(replaced[None]))


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("family", ["lstm", "bert", "bert-mismatched", "gemma"])
class TestOneVectorForAll:
    def check(self, zoo: Zoo, family: str, keep: bool, baseline: Any, vector: Tensor) -> None:
        given = {**baseline, "keep_special_tokens": keep}
        explanation = explain(DeepLift(zoo.predictor(family), baseline=given))
        expected = value_with(zoo, family, vector, keep)
        assert explanation.target["baseline_value"] == pytest.approx(expected, abs=1e-5)
        assert abs(explanation.target["value"] - expected) > 1e-4

    def vectors(self, zoo: Zoo, family: str) -> Tensor:
        layer = embedding_layer(zoo.predictor(family))
        return layer(torch.arange(len(layer.weight))).detach()  # type: ignore[arg-type]

    def test_mean(self, zoo: Zoo, family: str, keep: bool) -> None:
        mean = self.vectors(zoo, family).mean(0)
        self.check(zoo, family, keep, {"type": "mean"}, mean)

    def test_token(self, zoo: Zoo, family: str, keep: bool) -> None:
        token = "Ġgreat" if family == "gemma" else "great"
        vector = self.vectors(zoo, family)[index_of(zoo, family, token)]
        self.check(zoo, family, keep, {"type": "token", "token": token}, vector)


class TestText:
    def vectors(self, zoo: Zoo, family: str, tokens: list[str]) -> Tensor:
        indices = torch.tensor([index_of(zoo, family, token) for token in tokens])
        return embedding_layer(zoo.predictor(family))(indices).detach()

    # The input is "the plot was bad ##ly awful" to BERT, five words to the LSTM.
    @pytest.mark.parametrize(
        ("family", "text", "tokens"),
        [
            ("bert", "a great film is not it", ["a", "great", "film", "is", "not", "it"]),
            ("bert", "a greatly film", ["a", "great", "##ly", "film", "[PAD]", "[PAD]"]),
            ("bert", "a b c d e f g h", ["a", "b", "c", "d", "e", "f"]),
            ("bert", "", ["[PAD]"] * 6),
            ("lstm", "a great film is not", ["a", "great", "film", "is", "not"]),
            ("lstm", "A GREAT zebra", ["a", "great", "@@UNKNOWN@@", *["@@PADDING@@"] * 2]),
            ("lstm", "it is it is it is it", ["it", "is", "it", "is", "it"]),
        ],
    )
    def test_token_by_token(self, zoo: Zoo, family: str, text: str, tokens: list[str]) -> None:
        baseline = {"type": "text", "text": text}
        explanation = explain(DeepLift(zoo.predictor(family), baseline=baseline))
        vectors = self.vectors(zoo, family, tokens)
        expected = value_with(zoo, family, vectors, True)
        assert explanation.target["baseline_value"] == pytest.approx(expected, abs=1e-5)

    def test_special_tokens_replaced_too(self, zoo: Zoo) -> None:
        baseline = {"type": "text", "text": "a great film", "keep_special_tokens": False}
        explanation = explain(DeepLift(zoo.predictor("bert"), baseline=baseline))
        tokens = ["a", "great", "film", *["[PAD]"] * 5]
        expected = value_with(zoo, "bert", self.vectors(zoo, "bert", tokens), False)
        assert explanation.target["baseline_value"] == pytest.approx(expected, abs=1e-5)

    def test_in_a_batch_of_other_lengths(self, zoo: Zoo) -> None:
        interpreter = IntegratedGradients(
            zoo.predictor("bert"), steps=4, baseline={"type": "text", "text": "a great film"}
        )
        inputs = zoo.inputs("bert")
        for given, (packed,) in zip(inputs, interpreter.interpret_batch_json(inputs), strict=True):
            (alone,) = interpreter.interpret_json(given)
            told = packed.target["baseline_value"]
            assert told == pytest.approx(alone.target["baseline_value"], abs=1e-5)

    def test_both_fields_get_it(self, zoo: Zoo) -> None:
        given = {"premise": "a film", "hypothesis": "the plot"}
        interpreter = DeepLift(zoo.predictor("pair"), baseline={"type": "text", "text": "a film"})
        (explanation,) = interpreter.interpret_json(given)
        same = {"premise": "a film", "hypothesis": "a film"}
        target = {"type": "log-likelihood", "label": explanation.target["label"]}
        (expected,) = DeepLift(zoo.predictor("pair"), target=target).interpret_json(same)
        assert explanation.target["baseline_value"] == pytest.approx(
            expected.target["value"], abs=1e-5
        )
        by_field = {one.field: one.attributions for one in explanation.inputs}
        assert by_field["premise"] == [0, 0]
        assert any(by_field["hypothesis"])

    def test_without_a_padding_token(self, zoo: Zoo) -> None:
        """GPT-2's has none: texts as long as the input do without."""
        long = {"type": "text", "text": "a great film was not very good but bad and awful"}
        explanation = explain(DeepLift(zoo.predictor("gpt2"), baseline=long))
        assert explanation.target["baseline_value"] != explanation.target["value"]
        short = {"type": "text", "text": "a great film"}
        with pytest.raises(InterpretationError, match=r"has no pad token.*'zero'"):
            explain(DeepLift(zoo.predictor("gpt2"), baseline=short))


class TestSeveral:
    MEMBERS: tuple[Any, ...] = ("zero", {"type": "token", "token": "great"}, "mean")

    @pytest.mark.parametrize("family", ["lstm", "bert-mismatched"])
    @pytest.mark.parametrize(
        "method", [IntegratedGradients, DeepLift, SequentialIntegratedGradients]
    )
    def test_the_mean_of_single_ones(self, zoo: Zoo, family: str, method: Any) -> None:
        predictor = zoo.predictor(family)
        several = explain(method(predictor, baseline=list(self.MEMBERS)))
        single = [explain(method(predictor, baseline=one)) for one in self.MEMBERS]
        scores = np.mean([one.inputs[0].attributions for one in single], axis=0)
        assert several.inputs[0].attributions == pytest.approx(scores, abs=1e-6)
        assert np.abs(scores - single[0].inputs[0].attributions).max() > 1e-4
        if method is SequentialIntegratedGradients:
            return
        values = [one.target["baseline_value"] for one in single]
        assert several.target["baseline_value"] == pytest.approx(np.mean(values))
        deltas = [one.convergence_delta or 0.0 for one in single]
        assert several.convergence_delta == pytest.approx(np.mean(deltas), abs=1e-6)

    def test_lists_of_lists_and_dicts(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("lstm")
        flat = explain(DeepLift(predictor, baseline=["zero", "mean", "unk"]))
        for nested in (
            ["zero", ["mean", "unk"]],
            {"type": "average", "baselines": ["zero", "mean", "unk"]},
        ):
            found = explain(DeepLift(predictor, baseline=nested))
            assert found.inputs[0].attributions == pytest.approx(
                flat.inputs[0].attributions, abs=1e-6
            )

    def test_the_config_says_them_all(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("lstm")
        baselines = ["zero", {"type": "token", "token": "great", "keep_special_tokens": False}]
        explanation = explain(DeepLift(predictor, baseline=baselines))
        told = json.loads(json.dumps(explanation.to_json()))["interpreter"]
        assert told["baseline"] == {
            "type": "average",
            "baselines": [
                {"type": "zero", "keep_special_tokens": True},
                {"type": "token", "token": "great", "keep_special_tokens": False},
            ],
        }
        again = SaliencyInterpreter.from_params(Params(told), predictor=predictor)
        assert isinstance(again, SaliencyInterpreter)
        assert explain(again) == explanation

    def test_none(self, zoo: Zoo) -> None:
        with pytest.raises(ConfigurationError, match="at least one"):
            DeepLift(zoo.predictor("lstm"), baseline=[])


class TestErrors:
    @pytest.mark.parametrize(
        ("family", "baseline", "told"),
        [
            ("gpt2", "mask", r"Embedding of 'tokens' has no mask token.*'zero'"),
            ("gpt2", "pad", "has no pad token"),
            ("bert", {"type": "token", "token": "zebra"}, "embedding of the token 'zebra'"),
            ("lstm", {"type": "token", "token": "zebra"}, "embedding of the token 'zebra'"),
        ],
    )
    def test_no_such_vector(self, zoo: Zoo, family: str, baseline: Any, told: str) -> None:
        with pytest.raises(InterpretationError, match=told):
            explain(DeepLift(zoo.predictor(family), baseline=baseline))

    def test_no_such_baseline(self, zoo: Zoo) -> None:
        with pytest.raises(ConfigurationError, match=r"did you mean 'zero'.*There are .*mean"):
            DeepLift(zoo.predictor("lstm"), baseline="zeros")
        with pytest.raises(ConfigurationError, match="a baseline is an object, a name"):
            DeepLift(zoo.predictor("lstm"), baseline=0)  # type: ignore[arg-type]
