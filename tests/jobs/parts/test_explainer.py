"""A part: its rows and errors, and that it depends on nothing but itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.jobs.parts.explainer import Explainer, names
from allennlp_saliency.jobs.parts.part import Part
from allennlp_saliency.jobs.sources import Item
from tests.jobs.conftest import SENTENCES

STEPS = {"type": "integrated-gradients", "steps": 3}


def item(number: int, sentence: str) -> Item:
    given = {"sentence": sentence}
    return Item(number, number + 1, None, given, given)


def without_seconds(part: Part) -> Part:
    return replace(part, seconds=0.0)


def test_a_part_does_not_depend_on_those_before_it(predictor: Predictor) -> None:
    explainer = Explainer(predictor, [STEPS])
    parts = [
        [item(number, one) for number, one in enumerate(SENTENCES[start : start + 3])]
        for start in (0, 3)
    ]
    both = [without_seconds(explainer.part(items)) for items in parts]
    assert without_seconds(Explainer(predictor, [STEPS]).part(parts[1])) == both[1]


@pytest.mark.parametrize("count", [1, 6])
def test_interpreters_share_readings_and_give_what_each_gives_alone(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    both = [{"type": "gradient", "target": "logit"}, STEPS, {"type": "leave-one-out"}]
    items = [item(number, one) for number, one in enumerate(SENTENCES[:count])]
    read = predictor._json_to_instance({"sentence": SENTENCES[1]})
    items += [Item(number, None, None, read, "raw") for number in (count, count + 1)]
    alone = [Explainer(predictor, [one]).part(items).rows for one in both]
    reads: list[str] = []
    made = type(predictor)._json_to_instance

    def counted(self: Predictor, given: dict[str, str]) -> Any:
        reads.append(given["sentence"])
        return made(self, given)

    monkeypatch.setattr(type(predictor), "_json_to_instance", counted)
    together = Explainer(predictor, both).part(items)
    rows = [row for of_input in zip(*alone, strict=True) for row in of_input]
    assert json.dumps(together.rows) == json.dumps(rows)
    assert reads == SENTENCES[:count]
    assert [
        row["instance_1"]["explanation"]["interpreter"]["type"] for row in together.rows[:3]
    ] == [one["type"] for one in both]


def test_instances_and_json_may_be_mixed(predictor: Predictor) -> None:
    read = predictor._json_to_instance({"sentence": SENTENCES[1]})
    items = [item(0, SENTENCES[0]), Item(1, None, "b", read, "raw"), item(2, SENTENCES[2])]
    part = Explainer(predictor, [{"type": "gradient"}]).part(items)
    assert [(row["id"], row["line"]) for row in part.rows] == [(None, 1), ("b", None), (None, 3)]
    plain = Explainer(predictor, [{"type": "gradient"}]).part([item(1, SENTENCES[1])])
    scores = [p["instance_1"]["explanation"]["inputs"][0] for p in (part.rows[1], plain.rows[0])]
    assert scores[0]["attributions"] == pytest.approx(scores[1]["attributions"], abs=1e-6)
    assert not part.errors


def test_interpreters_of_allennlp_explain_json(predictor: Predictor) -> None:
    read = predictor._json_to_instance({"sentence": SENTENCES[1]})
    items = [item(0, SENTENCES[0]), Item(1, 2, None, read, "raw")]
    part = Explainer(predictor, [{"type": "simple-gradient"}]).part(items)
    (row,) = part.rows
    assert list(row["instance_1"]) == ["grad_input_1"]
    assert part.tokens == len(row["instance_1"]["grad_input_1"])
    (error,) = part.errors
    assert "interprets JSON inputs alone" in error["error"]["message"]
    assert error["input"] == "raw"


def test_an_error_of_one_interpreter_is_its_own(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(predictor, [STEPS, {"type": "gradient"}])

    def fails(self: Any, space: Any) -> Any:
        raise RuntimeError("not today")

    monkeypatch.setattr(SaliencyInterpreter.by_name("gradient"), "attribute", fails)
    part = explainer.part([item(0, SENTENCES[0])])
    assert [row["interpreter"] for row in part.rows] == ["integrated-gradients"]
    (error,) = part.errors
    assert error == {
        "id": None,
        "line": 1,
        "number": 0,
        "interpreter": "gradient",
        "error": {"type": "RuntimeError", "message": "not today"},
        "input": {"sentence": SENTENCES[0]},
    }
    assert part.statistics["failed"] == 1


def test_too_many_tokens(predictor: Predictor) -> None:
    items = [item(0, "a film"), item(1, "a great film")]
    part = Explainer(predictor, [STEPS, {"type": "gradient"}], max_tokens=4).part(items)
    assert [row["line"] for row in part.rows] == [1, 1]
    (error,) = part.errors
    assert error["interpreter"] is None
    assert error["error"]["message"] == "the input has 5 tokens, and max_tokens is 4"


def test_the_size_of_batches_is_that_of_the_job_or_the_interpreters_own(
    predictor: Predictor,
) -> None:
    given = [
        {"type": "gradient"},
        {"type": "lime", "token_budget": 64},
        {"type": "simple-gradient"},
    ]
    made = Explainer(predictor, given, batch_tokens=100)._made()
    assert [getattr(one, "token_budget", None) for one in made] == [100, 64, None]


def test_names() -> None:
    given = [{"type": "lime"}, {"type": "lrp"}, {"type": "lime", "seed": 1}]
    assert names(given) == ["lime", "lrp", "lime-2"]


def test_an_interpreter_that_there_is_not(predictor: Predictor) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'gradient'"):
        Explainer(predictor, [{"type": "gradent"}])


def test_how_far_a_part_is(predictor: Predictor) -> None:
    """Of two interpreters each is half of the work; what is told never falls, and ends at all."""
    told: list[float] = []
    items = [item(number, one) for number, one in enumerate(SENTENCES[:6])]
    given = [{**STEPS, "token_budget": 60}, {"type": "gradient"}]
    Explainer(predictor, given, told=told.append).part([*items, item(6, "")])
    assert told == sorted(told)
    assert len(told) >= 4
    assert 3.5 in told
    assert told[-1] == 7


def test_an_input_without_text_is_one_error_for_all_interpreters(predictor: Predictor) -> None:
    several: list[dict[str, Any]] = [
        {"type": "gradient"},
        {"type": "leave-one-out"},
        {"type": "lime", "num_samples": 8},
        {"type": "kernel-shap", "target": "output"},
        {"type": "simple-gradient"},  # AllenNLP's own, which scores what the model adds
    ]
    part = Explainer(predictor, several).part([item(0, ""), item(1, " "), item(2, SENTENCES[0])])
    assert [(one["number"], one["interpreter"]) for one in part.errors] == [(0, None), (1, None)]
    messages = {one["error"]["message"] for one in part.errors}
    assert messages == {"the input has no text, so there is nothing to explain"}
    assert [row["line"] for row in part.rows] == [3] * len(several)
    alone = Explainer(predictor, [{"type": "lime", "target": "output"}]).part([item(0, "")])
    assert not alone.rows
    assert alone.errors[0]["error"]["message"] in messages
