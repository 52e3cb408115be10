"""A difference of a label from itself is 0 whatever the text: it is refused."""

from __future__ import annotations

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from tests.zoo import Zoo

GIVEN = {"sentence": "the plot was not bad"}
TAGGED = {"sentence": "filmgoers lives in paris"}


@pytest.mark.parametrize("kind", ["contrast", "logit-difference", "probability-difference"])
@pytest.mark.parametrize("family", ["lstm", "bert", "pair"])
def test_only_inputs_with_that_prediction_fail(zoo: Zoo, family: str, kind: str) -> None:
    predictor, inputs = zoo.predictor(family), zoo.inputs(family)
    labels = [predictor.predict_json(one)["label"] for one in inputs]
    target = {"type": kind, "against": labels[0]}
    found = InputXGradient(predictor, target=target).interpret_each(inputs)
    for label, one in zip(labels, found, strict=True):
        if label != labels[0]:
            assert one.error is None
            continue
        assert isinstance(one.error, InterpretationError)
        assert f"'against' is {label!r}, which is the explained label itself" in str(one.error)
        assert "name another label, or take the target 'log-odds'" in str(one.error)


def test_by_name(zoo: Zoo) -> None:
    same = {"type": "contrast", "label": "neutral", "against": "neutral"}
    with pytest.raises(ConfigurationError, match="'label' and 'against' are both 'neutral'"):
        InputXGradient(zoo.predictor("lstm"), target=same).interpret_json(GIVEN)


def test_of_all_labels_one_may_be_it(zoo: Zoo) -> None:
    target = {"type": "all-labels", "of": {"type": "contrast", "against": "neutral"}}
    found = InputXGradient(zoo.predictor("lstm"), target=target).interpret_json(
        zoo.inputs("lstm")[0]
    )
    values = {one.target["label"]: one.target["value"] for one in found}
    assert values.pop("neutral") == 0.0
    assert all(values.values())


def test_tags(zoo: Zoo) -> None:
    predictor = zoo.predictor("lstm-tagger")
    every = InputXGradient(predictor).interpret_json(TAGGED)
    tags = [set(one.target["label"].split()) for one in every]
    for tag in set.union(*tags):
        against = InputXGradient(predictor, target={"type": "contrast", "against": tag})
        (found,) = against.interpret_each([TAGGED])
        assert (found.error is not None) == all(own == {tag} for own in tags)


def test_the_way_out(zoo: Zoo) -> None:
    (found,) = InputXGradient(zoo.predictor("lstm"), target="log-odds").interpret_json(GIVEN)
    assert any(score for one in found.inputs for score in one.attributions)
