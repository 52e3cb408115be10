"""Words of the user's texts in the place of removed ones: closed forms, and a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from allennlp_saliency.interpret import (
    ContextCite,
    IntegratedGradients,
    InterpretationError,
    KernelShap,
    LeaveOneOut,
)
from allennlp_saliency.interpret.coalitions.game import SetGame
from allennlp_saliency.interpret.coalitions.mean_game import MeanGame
from allennlp_saliency.interpret.coalitions.removal import BaselineRemoval, removal_of
from allennlp_saliency.interpret.faithfulness import compare
from allennlp_saliency.interpret.space.sample_baseline import SampleBaseline
from tests.zoo import Zoo
from tests.zoo.functions import predictor_of, spread_vectors

WORDS = ("up", "down", "left", "right", "far")
VECTORS = spread_vectors(WORDS, 3)
WEIGHTS = torch.tensor([0.7, -0.4, 0.2])
TEXT = "up down left"
YES: dict[str, Any] = {"type": "logit", "label": "yes"}


def amount(word: str) -> float:
    return float(torch.tensor(VECTORS[word]) @ WEIGHTS)


def additive(x: Tensor) -> Tensor:
    """The second logit is a sum over tokens."""
    total = (x @ WEIGHTS).sum(1)
    return torch.stack([torch.zeros_like(total), total], dim=-1)


def squared(x: Tensor) -> Tensor:
    """The second logit is the square of that."""
    return additive(x) ** 2


def scores(interpreter: Any, text: str = TEXT) -> list[float]:
    (explanation,) = interpreter.interpret_json({"sentence": text})
    return explanation.inputs[0].attributions


class TestClosedForms:
    @pytest.mark.parametrize("method", [LeaveOneOut, KernelShap])
    def test_one_word_is_that_words_baseline(self, method: Any) -> None:
        """A token's worth is w · (e_t - e_far) in an additive model."""
        removal = {"type": "samples", "texts": ["far far far"], "num_samples": 3}
        found = scores(method(predictor_of(additive, VECTORS), target=YES, removal=removal))
        expected = [amount(word) - amount("far") for word in TEXT.split()]
        assert found == pytest.approx(expected, abs=1e-5)

    def test_the_expectation_over_texts_and_places(self) -> None:
        """Over many draws each absent token is worth the mean of the texts' mean words."""
        texts = ["far right", "down", "right right far"]
        means = [np.mean([amount(word) for word in text.split()]) for text in texts]
        predictor = predictor_of(additive, VECTORS)
        found = np.array(
            [
                scores(
                    LeaveOneOut(
                        predictor,
                        target=YES,
                        removal={"type": "samples", "texts": texts, "seed": n},
                    )
                )
                for n in range(150)
            ]
        )
        expected = [amount(word) - np.mean(means) for word in TEXT.split()]
        error = found.std(0, ddof=1) / np.sqrt(len(found))
        assert (error > 1e-3).all()
        assert (np.abs(found.mean(0) - expected) <= 4 * error).all()

    def test_passages_go_on_and_begin_anew(self) -> None:
        """Both words removed are neighbours in the text: of the orders of "far right" there are
        two, and "far far" is none."""
        removal = {"type": "samples", "texts": ["far right"], "num_samples": 64}
        interpreter = KernelShap(predictor_of(squared, VECTORS), target=YES, removal=removal)
        (explanation,) = interpreter.interpret_json({"sentence": "up down"})
        both = (amount("far") + amount("right")) ** 2
        assert explanation.target["baseline_value"] == pytest.approx(both, rel=1e-5)

    def test_the_mean_is_that_of_the_target(self) -> None:
        """Of a game, and not of scores: an estimator that is not linear sees the mean."""
        games = [SetGame(2, lambda m, k=k: k * m.sum(1).astype(float)) for k in (1.0, 4.0)]
        masks = np.array([[True, True], [True, False], [False, False]])
        found = MeanGame(games).values(masks, np.zeros(3, dtype=np.int64))
        assert found.tolist() == [5.0, 2.5, 0.0]
        assert MeanGame(games).sizes == [2]

    def test_as_a_baseline_of_a_gradient_method(self) -> None:
        baseline = {"type": "samples", "texts": ["far far"], "num_samples": 2}
        method = IntegratedGradients(
            predictor_of(additive, VECTORS), target=YES, steps=4, baseline=baseline
        )
        expected = [amount(word) - amount("far") for word in TEXT.split()]
        assert scores(method) == pytest.approx(expected, abs=1e-5)


class TestSettings:
    def test_seeds_and_files(self, tmp_path: Path) -> None:
        predictor = predictor_of(squared, VECTORS)
        file = tmp_path / "texts.txt"
        file.write_text("far right\n\ndown far\n", encoding="utf-8")
        given = {"type": "samples", "texts": ["far right", "down far"], "num_samples": 3}
        first = ContextCite(predictor, target=YES, removal=given)
        again = ContextCite(predictor, target=YES, removal={**given})
        of_file = {"type": "samples", "file": str(file), "num_samples": 3}
        assert scores(first) == scores(again)
        assert scores(first) == scores(ContextCite(predictor, target=YES, removal=of_file))
        other = ContextCite(predictor, target=YES, removal={**given, "seed": 1})
        assert scores(first) != scores(other)

    def test_an_explanation_names_it(self) -> None:
        predictor = predictor_of(additive, VECTORS)
        given = {"type": "samples", "texts": ["far"], "num_samples": 2, "seed": 4}
        (explanation,) = LeaveOneOut(predictor, removal=given).interpret_json({"sentence": TEXT})
        own = {**given, "keep_special_tokens": True}
        told = explanation.interpreter["removal"]
        assert told == {"type": "baseline", "baseline": own}
        again = removal_of(told)
        assert isinstance(again, BaselineRemoval)
        assert len(again.baseline.draws()) == 2
        assert len(again.members()) == 1
        assert len(removal_of([given, "zero"]).members()) == 2

    def test_in_a_batch_and_on_a_transformer(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert")
        removal = {"type": "samples", "texts": ["a great film", "the plot was bad"]}
        method = LeaveOneOut(predictor, removal=removal, units="word")
        inputs = zoo.inputs("bert")[:3]
        together = method.interpret_batch_json(inputs)
        for one, given in zip(together, inputs, strict=True):
            (alone,) = method.interpret_json(given)
            expected = alone.inputs[0].attributions
            assert one[0].inputs[0].attributions == pytest.approx(expected, abs=1e-5)
            assert one[0].inputs[0].attributions[0] == 0, "special tokens stay"

    def test_in_a_comparison(self, zoo: Zoo, tmp_path: Path) -> None:
        predictor = zoo.predictor("bert")
        inputs = [{"sentence": "the plot was not bad"}, {"sentence": "a bad film"}]
        removals = [
            {"type": "samples", "texts": ["a great film"], "num_samples": 2},
            {"type": "samples", "texts": ["a great film", "the plot was bad"] * 20},
        ]
        found = compare(
            predictor, inputs, ["leave-one-out"], ["comprehensiveness"], removals, output=tmp_path
        )
        short, long = found.removals
        assert short == "samples (texts ['a great film'], num_samples 2)"
        assert long.startswith("samples (40 texts ")
        assert len(long) < 40
        for name in found.removals:
            assert found.interval("leave-one-out", "comprehensiveness", name).count == 2

    @pytest.mark.parametrize(
        "wrong",
        [
            {},
            {"texts": []},
            {"texts": "a text"},
            {"texts": ["far", ""]},
            {"texts": ["far"], "file": "texts.txt"},
            {"file": "no/such/file.txt"},
            {"texts": ["far"], "num_samples": 0},
            {"texts": ["far"], "seed": "one"},
        ],
    )
    def test_what_is_none(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            SampleBaseline(**wrong)
        with pytest.raises(ConfigurationError):
            removal_of({"type": "samples", **wrong})

    def test_a_text_without_tokens(self, zoo: Zoo) -> None:
        removal = {"type": "samples", "texts": ["\u200b"]}
        method = LeaveOneOut(zoo.predictor("bert"), removal=removal)
        with pytest.raises(InterpretationError, match="has no tokens"):
            method.interpret_json({"sentence": "the plot"})
