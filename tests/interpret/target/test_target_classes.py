"""Entropy, differences, all labels, spans, functions and regressions: by the outputs' numbers."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from allennlp_saliency.interpret import (
    Explanation,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    SettingError,
    Target,
)
from tests.zoo import LABELS, TAGS, Zoo
from tests.zoo.functions import predictor_of, spread_vectors

LABELLED = [
    (name, parameter)
    for name in sorted(Target.list_available())
    for parameter in ("label", "against")
    if parameter in inspect.signature(Target.by_name(name)).parameters
]
GIVEN = {"sentence": "the plot was not bad"}
TAGGED = {"sentence": "filmgoers lives in paris"}


def explain(zoo: Zoo, family: str, target: Any, given: dict[str, str] = GIVEN) -> Explanation:
    (explanation,) = InputXGradient(zoo.predictor(family), target=target).interpret_json(given)
    return explanation


def attributions(explanation: Explanation) -> np.ndarray:
    return np.array([s for one in explanation.inputs for s in one.attributions])


def entropy(p: Any) -> Any:
    return -(p * np.log(p)).sum(-1)


class TestEntropy:
    @pytest.mark.parametrize("family", ["lstm", "bert"])
    def test_value_and_gradient(self, zoo: Zoo, family: str) -> None:
        p = np.array(zoo.predictor(family).predict_json(GIVEN)["probs"])
        explanation = explain(zoo, family, "entropy")
        assert explanation.target["value"] == pytest.approx(entropy(p), abs=1e-5)
        # dH = -Σ p_i (log p_i + H) d log-odds, and those of labels are log-likelihoods.
        parts = [
            attributions(explain(zoo, family, {"type": "log-likelihood", "label": label}))
            for label in LABELS
        ]
        expected = -sum(
            q * (math.log(q) + 1) * part for q, part in zip(p.tolist(), parts, strict=True)
        )
        assert attributions(explanation) == pytest.approx(expected, abs=1e-5)
        assert np.abs(expected).max() > 1e-3

    def test_of_tags(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("lstm-tagger")
        p = np.array(predictor.predict_json(TAGGED)["class_probabilities"])
        explanations = InputXGradient(predictor, target="entropy").interpret_json(TAGGED)
        assert len(explanations) > 1
        for explanation in explanations:
            own = entropy(p)[explanation.target["positions"]].mean()
            assert explanation.target["value"] == pytest.approx(own, abs=1e-5)

    def test_sure_and_unsure(self) -> None:
        vectors = {"sure": (40.0, 0.0), "unsure": (1.0, 1.0)}
        predictor = predictor_of(lambda x: x.sum(1), vectors)
        for word, value in (("sure", 0.0), ("unsure", math.log(2))):
            (explanation,) = InputXGradient(predictor, target="entropy").interpret_json(
                {"sentence": word}
            )
            assert explanation.target["value"] == pytest.approx(value, abs=1e-6)


class TestDifferences:
    @pytest.mark.parametrize("label", [None, "neutral"])
    def test_by_the_outputs(self, zoo: Zoo, label: str | None) -> None:
        predicted = zoo.predictor("lstm").predict_json(GIVEN)
        p, logits = np.array(predicted["probs"]), np.array(predicted["logits"])
        own = int(p.argmax()) if label is None else LABELS.index(label)
        for against, other in enumerate(LABELS):
            if against == own:
                continue  # refused, see below
            named = {"against": other} | ({} if label is None else {"label": label})
            for name, scores in (
                ("probability-difference", p),
                ("logit-difference", logits),
                ("contrast", logits),
            ):
                explanation = explain(zoo, "lstm", {"type": name, **named})
                value = scores[own] - scores[against]
                assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
                assert explanation.target["against"] == other
                assert explanation.target["label"] == LABELS[own]

    def test_is_the_difference_of_two_explanations(self, zoo: Zoo) -> None:
        for name, single in (("probability-difference", "probability"), ("contrast", "logit")):
            found = explain(zoo, "bert", {"type": name, "label": "neutral", "against": "positive"})
            left, right = (
                attributions(explain(zoo, "bert", {"type": single, "label": label}))
                for label in ("neutral", "positive")
            )
            assert attributions(found) == pytest.approx(left - right, abs=1e-5)

    def test_of_tags(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("lstm-tagger")
        predicted = predictor.predict_json(TAGGED)
        p = np.array(predicted["class_probabilities"])
        target = {"type": "probability-difference", "against": "O"}
        for explanation in InputXGradient(predictor, target=target).interpret_json(TAGGED):
            at = explanation.target["positions"]
            own = [p[i, TAGS.index(predicted["tags"][i])] - p[i, TAGS.index("O")] for i in at]
            assert explanation.target["value"] == pytest.approx(np.mean(own), abs=1e-5)

    def test_unknown(self, zoo: Zoo) -> None:
        with pytest.raises(InterpretationError, match=r"'postive'.*'positive'"):
            explain(zoo, "lstm", {"type": "probability-difference", "against": "postive"})
        with pytest.raises(ConfigurationError):
            explain(zoo, "lstm", "probability-difference")


class TestAllLabels:
    @pytest.mark.parametrize("family", ["lstm", "bert", "pair"])
    @pytest.mark.parametrize("of", ["logit", "probability", "log-likelihood"])
    def test_one_explanation_per_label(self, zoo: Zoo, family: str, of: str) -> None:
        given = zoo.inputs(family)[2]
        predictor = zoo.predictor(family)
        interpreter = InputXGradient(predictor, target={"type": "all-labels", "of": of})
        found = interpreter.interpret_json(given)
        assert [one.target["label"] for one in found] == list(LABELS)
        for label, explanation in zip(LABELS, found, strict=True):
            alone = explain(zoo, family, {"type": of, "label": label}, given)
            assert explanation.target["value"] == pytest.approx(alone.target["value"], abs=1e-5)
            assert attributions(explanation) == pytest.approx(attributions(alone), abs=1e-5)
            assert explanation.target["type"] == "all-labels"
            assert explanation.target["of"] == {"type": of}
            json.dumps(explanation.to_json())

    def test_in_the_order_of_the_vocabulary(self) -> None:
        labels = ("zebra", "ape", "monkey")
        predictor = predictor_of(lambda x: x.sum(1), spread_vectors(("up",), 3), labels)
        found = InputXGradient(predictor, target="all-labels").interpret_json({"sentence": "up"})
        assert [one.target["label"] for one in found] == list(labels)
        values = [one.target["value"] for one in found]
        assert values == pytest.approx(spread_vectors(("up",), 3)["up"], abs=1e-6)

    def test_packed_together(self, zoo: Zoo) -> None:
        rows: list[int] = []

        def counting(outputs: Any) -> Tensor:
            rows.append(len(outputs.rows))
            return outputs.at(outputs.logits)

        target = {"type": "all-labels", "of": counting}
        from allennlp_saliency.interpret.target.each_target import AllLabels
        from allennlp_saliency.interpret.target.targets import FunctionTarget

        interpreter = Gradient(
            zoo.predictor("lstm"), target=AllLabels(FunctionTarget(target["of"]))
        )
        found = interpreter.interpret_batch_json([GIVEN, {"sentence": "the film was a bad"}])
        assert [len(one) for one in found] == [3, 3]
        # Twice to see that it repeats itself, and with two rows to see that it does not mix them.
        assert sorted(rows) == [2, 6, 6, 6]

    def test_every_tag_of_every_entity(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("lstm-tagger")
        predicted = predictor.predict_json(TAGGED)
        logits = np.array(predicted["logits"])
        entities = InputXGradient(predictor, target="logit").interpret_json(TAGGED)
        found = InputXGradient(predictor, target="all-labels").interpret_json(TAGGED)
        assert len(found) == len(entities) * len(TAGS)
        for number, explanation in enumerate(found):
            tag = TAGS[number % len(TAGS)]
            if tag == "O":
                continue
            positions = entities[number // len(TAGS)].target["positions"]
            assert explanation.target["positions"] == positions
            assert set(explanation.target["label"].split()) == {tag}
            value = logits[positions, TAGS.index(tag)].mean()
            assert explanation.target["value"] == pytest.approx(value, abs=1e-5)

    def test_without_labels(self) -> None:
        predictor = predictor_of(lambda x: x.sum(1)[:, :1], spread_vectors(("up",), 2), ())
        with pytest.raises(SettingError, match="in no single label field"):
            InputXGradient(predictor, target="all-labels").interpret_json({"sentence": "up"})


class TestSpans:
    """The values are worked out in `test_gradient_methods`."""

    def predictor(self) -> Any:
        class Spans(torch.nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x

        predictor = predictor_of(
            Spans(), {"a": (1.0, 3.0), "b": (5.0, 0.0), "c": (2.0, 4.0), "d": (0.0, 6.0)}
        )
        model: Any = predictor._model
        forward = type(model).forward

        class Answering(type(model)):  # type: ignore[misc]
            def forward(self, tokens: Any, label: Any = None) -> Any:
                start, end = forward(self, tokens)["logits"].unbind(-1)
                return {"start_logits": start, "end_logits": end}

        model.__class__ = Answering
        predictor.predictions_to_labeled_instances = (  # type: ignore[method-assign]
            lambda instance, outputs: [instance]
        )
        return predictor

    @pytest.mark.parametrize(
        ("text", "target", "value"),
        [
            # starts 5 2 1, ends 0 4 3: from b to c.
            ("b c a", "span", 9),
            # starts 1 2 5, ends 3 4 0: b as a start has its own end alone, c itself is better.
            ("a c b", "span", 6),
            # starts 0 5, ends 6 0: 6 + 5 would end before it begins.
            ("d b", "span", 6),
            ("b c a", {"type": "span", "start": 1, "end": 2}, 5),
            ("b c a", {"type": "span", "start": 2, "end": 0}, 1),
            ("b c a", {"type": "span", "end": 2}, 8),
        ],
    )
    def test_best_or_given(self, text: str, target: Any, value: float) -> None:
        interpreter = InputXGradient(self.predictor(), target=target)
        (explanation,) = interpreter.interpret_json({"sentence": text})
        assert explanation.target["value"] == pytest.approx(value)
        # Linear: each start and end logit is the word's own.
        assert sum(explanation.inputs[0].attributions) == pytest.approx(value)

    @pytest.mark.parametrize("wrong", [{"start": 3}, {"start": 0, "end": 9}])
    def test_beyond_the_text(self, wrong: dict[str, int]) -> None:
        interpreter = InputXGradient(self.predictor(), target={"type": "span", **wrong})
        with pytest.raises(InterpretationError, match=r"span from .* positions 0 to 2"):
            interpreter.interpret_json({"sentence": "b c a"})

    def test_no_span_logits(self, zoo: Zoo) -> None:
        with pytest.raises(InterpretationError, match=r"no span logits.*question answering"):
            explain(zoo, "lstm", "span")


class TestFunctions:
    def test_a_plain_function(self, zoo: Zoo) -> None:
        def margin(outputs: Any) -> Tensor:
            return outputs.logits[:, 0] - 2 * outputs.logits[:, 2]

        logits = zoo.predictor("lstm").predict_json(GIVEN)["logits"]
        explanation = explain(zoo, "lstm", margin)
        assert explanation.target["value"] == pytest.approx(logits[0] - 2 * logits[2], abs=1e-5)
        assert explanation.target["function"] == "margin"
        json.dumps(explanation.to_json())
        left, right = (
            attributions(explain(zoo, "lstm", {"type": "logit", "label": LABELS[i]}))
            for i in (0, 2)
        )
        assert attributions(explanation) == pytest.approx(left - 2 * right, abs=1e-5)

    def test_a_callable_object(self, zoo: Zoo) -> None:
        class Scaled:
            def __call__(self, outputs: Any) -> Tensor:
                return 3 * outputs.at(outputs.logits)

        tripled = explain(zoo, "lstm", Scaled())
        assert tripled.target["function"] == "Scaled"
        single = attributions(explain(zoo, "lstm", "logit"))
        assert attributions(tripled) == pytest.approx(3 * single, abs=1e-5)

    def test_with_other_methods_and_batches(self, zoo: Zoo) -> None:
        interpreter = IntegratedGradients(
            zoo.predictor("bert"), target=lambda outputs: outputs["logits"].norm(dim=-1), steps=24
        )
        inputs = zoo.inputs("bert")
        together = interpreter.interpret_batch_json(inputs)
        for given, (packed,) in zip(inputs, together, strict=True):
            (alone,) = interpreter.interpret_json(given)
            assert attributions(packed) == pytest.approx(attributions(alone), abs=1e-5)

    def test_nothing_of_the_kind(self, zoo: Zoo) -> None:
        with pytest.raises(ConfigurationError, match=r"no target 'logits'; did you mean 'logit'"):
            InputXGradient(zoo.predictor("lstm"), target="logits")
        with pytest.raises(ConfigurationError, match="a target is an object, a name"):
            InputXGradient(zoo.predictor("lstm"), target=3)  # type: ignore[arg-type]

    @pytest.mark.parametrize(("name", "parameter"), LABELLED)
    @pytest.mark.parametrize("label", [3, 1.0, True, ["positive"]])
    def test_a_label_is_a_name(self, zoo: Zoo, name: str, parameter: str, label: Any) -> None:
        given = {"type": name, parameter: label}
        if parameter == "label" and (name, "against") in LABELLED:
            given["against"] = "negative"
        with pytest.raises(ConfigurationError, match=f"'{parameter}' .* string") as caught:
            InputXGradient(zoo.predictor("lstm"), target=given)
        assert repr(label) in str(caught.value)


class TestRegression:
    """A model of one output, which no label says anything of."""

    VECTORS = spread_vectors(("up", "down"), 3)

    def predictor(self) -> Any:
        return predictor_of(lambda x: x.sum((1, 2))[:, None] ** 3, self.VECTORS, ())

    def test_the_output_itself(self) -> None:
        (explanation,) = InputXGradient(self.predictor(), target="logit").interpret_json(
            {"sentence": "up down"}
        )
        up, down = (sum(self.VECTORS[word]) for word in ("up", "down"))
        total = up + down
        assert explanation.target["value"] == pytest.approx(total**3, rel=1e-4)
        assert explanation.target["label"] is None
        expected = [3 * total**2 * one for one in (up, down)]
        assert attributions(explanation) == pytest.approx(expected, rel=1e-4)

    def test_many_at_once(self) -> None:
        inputs = [{"sentence": text} for text in ("up", "down up", "down")]
        interpreter = IntegratedGradients(self.predictor(), target="logit", steps=4)
        for given, (packed,) in zip(inputs, interpreter.interpret_batch_json(inputs), strict=True):
            (alone,) = interpreter.interpret_json(given)
            assert attributions(packed) == pytest.approx(attributions(alone), abs=1e-5)
            assert packed.convergence_delta == pytest.approx(0, abs=1e-4)

    def test_its_loss_needs_a_label(self) -> None:
        with pytest.raises(InterpretationError, match="no loss"):
            InputXGradient(self.predictor()).interpret_json({"sentence": "up"})
