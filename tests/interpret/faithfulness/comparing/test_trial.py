"""What fits no input is found before the work begins, and left out where something is left."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from allennlp_saliency.interpret import (
    Interpretation,
    InterpretationError,
    LeaveOneOut,
    Random,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.faithfulness import Comprehensiveness, compare
from allennlp_saliency.interpret.faithfulness.comparing import trial
from tests.zoo.functions import predictor_of, spread_vectors

WORDS = ("up", "down", "left", "right", "far")
WEIGHTS = torch.tensor([0.7, -0.4, 0.2])
INPUTS = [
    {"sentence": text} for text in ("up down left", "far up", "right left down up", "up", "down")
]
REST: Any = (["comprehensiveness"], ["zero"])


def additive(x: Tensor) -> Tensor:
    """Logits that are sums over tokens; the second is 0."""
    total = (x @ WEIGHTS).sum(1)
    return torch.stack([total, torch.zeros_like(total)], dim=-1)


@pytest.fixture(scope="module")
def predictor() -> Any:
    return predictor_of(additive, spread_vectors(WORDS, 3))


class Picky(LeaveOneOut):
    """Explains texts alone that have a word, and notes what it was asked."""

    def __init__(self, predictor: Any, word: str, name: str = "picky") -> None:
        super().__init__(predictor)
        self._word, self._name = word, name
        self.asked: list[list[str]] = []

    def interpret_each(self, inputs: Any, *rest: Any, **more: Any) -> Any:
        self.asked.append([one["sentence"] for one in inputs])
        return [
            own
            if self._word in given["sentence"]
            else Interpretation(error=InterpretationError(f"no {self._word!r} in it"))
            for given, own in zip(
                inputs, super().interpret_each(inputs, *rest, **more), strict=True
            )
        ]

    def config(self) -> dict[str, Any]:
        return {"type": self._name}


def test_a_method_that_does_not_fit_the_model_is_left_out_and_costs_the_others_nothing(
    predictor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    found = compare(predictor, INPUTS, ["attention", "leave-one-out"], *REST)
    assert found.methods == ["leave-one-out", "random"]
    assert list(found.left_out) == ["attention"]
    assert found.left_out["attention"].startswith("does not fit the model: FunctionModel has no ")
    assert not found.errors
    line = f"left out: attention, which {found.left_out['attention']}"
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING] == [line]
    assert found.to_markdown().endswith(f"\n- {line}\n")
    alone = compare(predictor, INPUTS, ["leave-one-out"], *REST)
    for name in found.methods:
        of_both = found.interval(name, "comprehensiveness", "zero")
        assert of_both == alone.interval(name, "comprehensiveness", "zero")


def test_all_that_fails_is_told_at_once_and_before_the_work(
    predictor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Picky(predictor, "absent", "one"), Picky(predictor, "nowhere", "other")
    with pytest.raises(ConfigurationError) as refused:
        compare(predictor, INPUTS, [one, other, "attention"], *REST)
    first, *lines = str(refused.value).splitlines()
    assert first == "no interpreter is left to compare"
    assert lines[:2] == [
        "  one fails on the first 3 inputs: no 'absent' in it",
        "  other fails on the first 3 inputs: no 'nowhere' in it",
    ]
    assert lines[2].startswith("  attention does not fit the model: ")
    # An input at a time: no job has begun.
    assert one.asked == [[given["sentence"]] for given in INPUTS[:3]]


def test_what_works_on_one_of_the_first_inputs_takes_part(predictor: Any) -> None:
    method = Picky(predictor, "far")
    found = compare(predictor, INPUTS, [method, "leave-one-out"], *REST)
    assert found.methods == ["picky", "leave-one-out", "random"]
    assert not found.left_out
    assert [one["input"] for one in found.errors] == [0, 2, 3, 4]
    assert method.asked[:2] == [["up down left"], ["far up"]]
    assert len(method.asked[2]) == len(INPUTS)


def test_what_works_is_tried_once(predictor: Any) -> None:
    method = Picky(predictor, "")
    compare(predictor, INPUTS, [method], *REST)
    assert [len(one) for one in method.asked] == [1, len(INPUTS)]


def test_an_input_that_nothing_explains_says_nothing_of_a_method(predictor: Any) -> None:
    wrong: list[Any] = [{"text": "far up"}, {"wrong": 1}]
    found = compare(predictor, [*wrong, *INPUTS], ["leave-one-out", "attention"], *REST)
    assert found.methods == ["leave-one-out", "random"]
    assert list(found.left_out) == ["attention"]
    assert {one["input"] for one in found.errors} == {0, 1}
    # Where no input is explained at all, each is an error, and no method is to blame.
    nothing = compare(predictor, wrong, ["leave-one-out", "attention"], *REST)
    assert not nothing.left_out
    assert {one["input"] for one in nothing.errors} == {0, 1}
    assert "- On 0 inputs, by comprehensiveness (zero): nothing was measured." in (
        nothing.to_markdown()
    )


class Mute(Random):
    """As a tagger that finds nothing in the first texts."""

    def interpret_each(self, inputs: Any, *rest: Any, **more: Any) -> Any:
        return [
            Interpretation() if "down" in given["sentence"] else own
            for given, own in zip(
                inputs, super().interpret_each(inputs, *rest, **more), strict=True
            )
        ]

    def config(self) -> dict[str, Any]:
        return {"type": "random"}


def test_an_input_of_which_nothing_is_predicted_says_nothing(predictor: Any) -> None:
    method = Picky(predictor, "far")
    found = compare(predictor, INPUTS[:2], [method, Mute(predictor)], *REST)
    assert "picky" in found.methods
    assert method.asked[0] == ["far up"]


def test_a_removal_that_fits_no_input_is_left_out(predictor: Any) -> None:
    settings: Any = (predictor, INPUTS, ["leave-one-out"], ["comprehensiveness"])
    found = compare(*settings, ["mask", "zero"])
    assert found.removals == ["zero"]
    assert "has no mask token" in found.left_out["removal mask"]
    assert not found.errors
    assert "Removal: mask" not in found.to_markdown()
    with pytest.raises(ConfigurationError) as refused:
        compare(*settings, ["mask"])
    assert str(refused.value).startswith("no removal is left to compare\n  removal mask fails on ")


def test_a_metric_or_a_target_that_never_works_is_told_at_once(
    predictor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = Picky(predictor, "")
    label = {"type": "log-likelihood", "label": "absent"}
    with pytest.raises(ConfigurationError, match=r"zero does not fit the model: .*'absent'"):
        compare(predictor, INPUTS, [method], *REST, target=label)
    monkeypatch.setattr(Comprehensiveness, "measure", raises)
    with pytest.raises(ConfigurationError, match="first 3 inputs: it needs a chart"):
        compare(predictor, INPUTS, [method], *REST)
    assert all(len(one) == 1 for one in method.asked)


def raises(*_: Any) -> Any:
    raise InterpretationError("it needs a chart")


def test_what_was_left_out_stays_out_when_the_job_goes_on(
    predictor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Any = (predictor, INPUTS, ["attention", "leave-one-out"], ["comprehensiveness"])
    whole = compare(*settings, ["mask", "zero"], output=tmp_path)
    path = tmp_path / "measured.jsonl"
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(kept[:2]))
    monkeypatch.setattr(trial, "_LOOKED_AT", 0)  # Nothing is tried again.
    again = compare(*settings, ["mask", "zero"], output=tmp_path)
    assert again.left_out == whole.left_out
    assert (again.methods, again.removals) == (whole.methods, whole.removals)
    assert list(again.conclusion_rows()) == list(whole.conclusion_rows())
    assert set(json.loads((tmp_path / "left_out.json").read_text("utf-8"))) == {
        "attention",
        "removal mask",
    }


def test_passes_are_counted(predictor: Any, tmp_path: Path) -> None:
    found = compare(predictor, INPUTS, ["leave-one-out"], *REST, output=tmp_path)
    assert found.passes["leave-one-out"] > found.passes["random"] > 0
    again = compare(predictor, INPUTS, ["leave-one-out"], *REST, output=tmp_path)
    assert (again.passes, again.seconds) == (found.passes, found.seconds)


def test_random_alone_is_tried_too(predictor: Any) -> None:
    found = compare(predictor, INPUTS, [Random(predictor, seed=3)], *REST)
    assert found.methods == ["random"]
    (row,) = found.conclusion_rows()
    assert row["conclusion"].endswith(": there is only random.")


def test_interpreters_of_others_are_asked_as_they_are(predictor: Any) -> None:
    """What is given is left as it is: nothing of a trial stays with it."""
    method = LeaveOneOut(predictor)
    before = json.dumps(method.config())
    compare(predictor, INPUTS[:1], [method], *REST)
    assert isinstance(method, SaliencyInterpreter)
    assert json.dumps(method.config()) == before
