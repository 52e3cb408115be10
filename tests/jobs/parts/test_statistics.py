"""What a summary adds up."""

from __future__ import annotations

import pytest

from allennlp_saliency.jobs.parts.statistics import MOST_LABELS, OTHERS, Statistics, kind_of


@pytest.mark.parametrize(
    ("warning", "kind"),
    [
        (
            "the attributions lack -1.2e-05 of the difference 3,100 that they should add up to; x",
            "the attributions lack # of the difference # that they should add up to",
        ),
        (
            "97.5% of the attention is on one position, 0 ('[CLS]'): an attention sink",
            "# of the attention is on one position, # ('…')",
        ),
        ("all scores of field 'choices[1]' are zero: at", "all scores of field '…' are zero"),
        ("layer h2o says x1", "layer h2o says x1"),
    ],
)
def test_a_kind_of_warning_has_no_numbers_and_no_names(warning: str, kind: str) -> None:
    assert kind_of(warning) == kind


def test_the_rarest_of_many_labels_share_a_name() -> None:
    statistics = Statistics(["m"])
    for number in range(MOST_LABELS + 3):
        scored = {"tokens": ["a"], "attributions": [1.0]}
        explanation = {"target": {"label": f"l{number:02d}"}, "inputs": [scored]}
        for _ in range(1 if number > MOST_LABELS - 1 else 2):
            statistics.add("m", {"instance_1": {"explanation": explanation}})
    labels = statistics.to_json()["interpreters"]["m"]["labels"]
    assert len(labels) == MOST_LABELS + 1
    assert labels[OTHERS] == {"explanations": 3, "tokens": {"a": [3, 3.0, 3.0]}}
    assert labels["l00"] == {"explanations": 2, "tokens": {"a": [2, 2.0, 2.0]}}
