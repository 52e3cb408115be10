"""What the errors of names and params say: what is needed, and something that can be typed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import Target
from allennlp_saliency.interpret.coalitions.removal import Removal
from allennlp_saliency.interpret.registry import construct
from allennlp_saliency.interpret.space.baselines import Baseline


@pytest.mark.parametrize(
    ("base", "given", "told"),
    [
        (Target, "contrast", "the target 'contrast' needs 'against' (the other label, by name)"),
        (Target, {"type": "logit-difference", "label": "a"}, "'logit-difference' needs 'against'"),
        (Target, "probability-difference", "needs 'against' (the other label, by name)"),
        (Baseline, "token", "the baseline 'token' needs 'token' (the token, as it stands in"),
        (Baseline, {"type": "text"}, "the baseline 'text' needs 'text' (the text), such as"),
        (Baseline, "average", "the baseline 'average' needs 'baselines' (the baselines), such as"),
        (Removal, "baseline", "the removal 'baseline' needs 'baseline' (the baseline), such as"),
    ],
)
def test_what_is_lacking_is_named_with_an_example_that_works(
    base: Any, given: Any, told: str
) -> None:
    with pytest.raises(ConfigurationError) as failure:
        construct(base, given, parameter="of")
    message = failure.value.message
    assert message.startswith("'of': the ")
    assert told in message
    example = json.loads(message.partition(", such as ")[2])
    assert example["type"] == (given if isinstance(given, str) else given["type"])
    assert isinstance(construct(base, example), base)


@pytest.mark.parametrize("label", ["positive", 'a "b"', "it's", "größer", "{0}"])
def test_a_label_in_the_place_of_a_target_has_a_suggestion_in_json(label: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        construct(Target, label)
    suggestion = failure.value.message.partition("is a label, type ")[2]
    assert json.loads(suggestion) == {"type": "log-likelihood", "label": label}
    assert isinstance(construct(Target, json.loads(suggestion)), Target)
