"""Which targets explain the label that an instance carries, and which have none."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from torch import Tensor

from allennlp_saliency.interpret import Explanation, InputXGradient, Target
from allennlp_saliency.interpret.target.targets import LabelTarget, Logit
from tests.zoo.functions import predictor_of

VECTORS = {"a": (1.0, 2.0), "b": (3.0, -1.0)}


def explain(target: Any) -> Explanation:
    predictor = predictor_of(lambda x: x.sum(1), VECTORS)
    (explanation,) = InputXGradient(predictor, target=target).interpret_json({"sentence": "a b"})
    return explanation


def margin(outputs: Any) -> Tensor:
    return outputs["logits"][:, 0] - outputs["logits"][:, 1]


class Negated:
    def __call__(self, outputs: Any) -> Tensor:
        return -margin(outputs)

    def method(self, outputs: Any) -> Tensor:
        return margin(outputs)


class TestFunctions:
    @pytest.mark.parametrize(
        ("function", "name"),
        [
            (margin, "margin"),
            (lambda outputs: outputs["logits"][:, 1], "<lambda>"),
            (partial(margin), "margin"),
            (Negated(), "Negated"),
            (Negated().method, "method"),
        ],
    )
    def test_have_their_name_and_no_label(self, function: Any, name: str) -> None:
        target = explain(function).target
        assert (target["type"], target["function"]) == ("FunctionTarget", name)
        assert target["label"] is None


class TestClasses:
    def test_of_ones_own_have_no_label(self) -> None:
        class Margin(Target):
            def __call__(self, outputs: Any) -> Tensor:
                return margin(outputs)

        assert explain(Margin()).target["label"] is None

    def test_unless_they_were_given_one(self) -> None:
        class Own(Target):
            def __call__(self, outputs: Any) -> Tensor:
                return outputs.at(outputs.logits)

        assert explain(Own("yes")).target["label"] == "yes"

    def test_or_say_so(self) -> None:
        class Own(LabelTarget):
            def __call__(self, outputs: Any) -> Tensor:
                return outputs.at(outputs.logits)

        class Doubled(Logit):
            def __call__(self, outputs: Any) -> Tensor:
                return 2 * super().__call__(outputs)

        assert explain(Own()).target["label"] == explain(Doubled()).target["label"] == "no"


@pytest.mark.parametrize(
    ("target", "label"),
    [
        ("log-likelihood", "no"),
        ("logit", "no"),
        ("probability", "no"),
        ({"type": "logit", "label": "yes"}, "yes"),
        ({"type": "contrast", "against": "yes"}, "no"),
        ({"type": "probability-difference", "against": "yes"}, "no"),
        ("entropy", None),
    ],
)
def test_registered(target: Any, label: str | None) -> None:
    assert explain(target).target["label"] == label


def test_all_labels() -> None:
    predictor = predictor_of(lambda x: x.sum(1), VECTORS)
    found = InputXGradient(predictor, target="all-labels").interpret_json({"sentence": "a b"})
    assert [one.target["label"] for one in found] == ["no", "yes"]


@pytest.mark.parametrize(
    ("target", "label"),
    [
        (Target.by_name("span")(), "in paris"),
        (Target.by_name("span")(start=1), None),
        (Target.by_name("span")(end=3), None),
    ],
)
def test_of_a_span(target: Target, label: str | None) -> None:
    carried = {"label": "in paris", "positions": [2, 3], "field": "passage"}
    expected = carried if label else {"label": None}
    assert target.explained_label(carried) == expected


def test_entropy_of_tags_is_that_at_their_positions() -> None:
    carried = {"label": "B-PER I-PER", "positions": [2, 3]}
    found = Target.by_name("entropy")().explained_label(carried)
    assert found == {"label": None, "positions": [2, 3]}
