"""What stands in a page, without a browser."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allennlp_saliency.interpret.explanation import Explanation, ExplanationFormatError
from allennlp_saliency.views.html import Case, cases_of, json_for_html, page_data, report
from tests.views.html.samples import (
    attended,
    entities,
    explanation,
    hostile_explanations,
    translation,
    with_scores,
)

_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def data_of(page: str) -> dict[str, Any]:
    (found,) = _DATA.findall(page)
    return json.loads(found)


def line(*explanations: Explanation, **prediction: Any) -> dict[str, Any]:
    instances = {
        f"instance_{number}": {"explanation": one.to_json()}
        for number, one in enumerate(explanations, start=1)
    }
    return {"prediction": prediction, **instances}


def test_the_page_is_returned_and_written(tmp_path: Path) -> None:
    page = report([explanation()], tmp_path / "out.html", title="<b>Films</b>")
    assert (tmp_path / "out.html").read_text(encoding="utf-8") == page
    assert "<title>&lt;b&gt;Films&lt;/b&gt;</title>" in page
    assert page.count("<script") == 2


@pytest.mark.parametrize(
    "shown",
    [
        explanation(),
        [explanation()],
        Case([explanation()]),
        line(explanation()),
        explanation().to_json(),
    ],
)
def test_what_is_taken(shown: Any) -> None:
    assert data_of(report([shown]))["explanations"] == [explanation().to_json()]
    assert data_of(report(shown))["explanations"] == [explanation().to_json()]


@pytest.mark.parametrize("shown", ["text", 3, [3], [line(explanation())]])
def test_what_is_refused(shown: Any) -> None:
    with pytest.raises(TypeError, match="json"):
        report([shown])


def test_a_line_that_cannot_be_read() -> None:
    with pytest.raises(ExplanationFormatError, match="format"):
        report([{"prediction": {}, "instance_1": {"explanation": {"format": 9}}}])
    with pytest.raises(ExplanationFormatError, match="instance_1"):
        report([{"something": "else"}])


def test_the_numbers_are_those_of_the_files(lines: dict[str, list[dict[str, Any]]]) -> None:
    written = [
        json.loads(json.dumps(one["explanation"]))
        for own in lines.values()
        for line in own
        for name, one in line.items()
        if name.startswith("instance_")
    ]
    assert len(written) > 40
    found = data_of(report(line for own in lines.values() for line in own))["explanations"]

    def in_order(explanations: list[Any]) -> list[str]:
        return sorted(json.dumps(one, sort_keys=True) for one in explanations)

    assert in_order(found) == in_order(written)


def test_attention_is_kept_to_the_bit() -> None:
    one = attended()
    (matrix,) = data_of(report([one]))["explanations"][0]["matrices"]
    numbers = np.frombuffer(base64.b64decode(matrix["float32"]), "<f4").reshape(matrix["shape"])
    assert np.array_equal(numbers, one.matrices[0].numpy())
    filed = replace(one.matrices[0], values=None, file="gone.npz", array="a")
    (matrix,) = data_of(report([replace(one, matrices=[filed])]))["explanations"][0]["matrices"]
    assert "gone.npz" in matrix["missing"]


class TestCases:
    def test_methods_of_one_input_are_one_case(self) -> None:
        first, second = with_scores([1.0] * 10, "a"), with_scores([2.0] * 10, "b")
        assert len(cases_of([[first], [second]])) == 1
        assert len(cases_of([first, second])) == 1
        assert len(cases_of([line(first), line(second)])) == 1

    def test_a_row_of_a_run_is_called_by_its_id(self) -> None:
        first, second = with_scores([1.0] * 10, "a"), with_scores([2.0] * 10, "b")
        (case,) = cases_of([{"id": 7, **line(one)} for one in (first, second)])
        assert case.title == "7"
        assert len(case.explanations) == 2
        assert cases_of([{"id": None, **line(first)}])[0].title is None

    def test_an_input_that_stands_there_twice_is_shown_twice(self) -> None:
        assert len(cases_of([[explanation()], [explanation()]])) == 2

    def test_outputs_that_come_one_by_one_are_one_case(self) -> None:
        assert len(cases_of(entities())) == 1
        assert len(cases_of(translation())) == 1
        assert len(cases_of([entities(), translation()])) == 2

    def test_the_same_output_by_other_tokens(self) -> None:
        (first, _), whole = entities(), entities()[0]
        words = replace(
            whole.inputs[0],
            tokens=["Ada Lovelace", "saw Turin"],
            offsets=[(0, 12), (13, 22)],
            attributions=[1.0, 2.0],
        )
        target = {**whole.target, "positions": [0]}
        other = replace(whole, interpreter={"type": "x"}, inputs=[words], target=target)
        (card,) = page_data(cases_of([first, other]))["cards"]
        assert [method["outputs"] for method in card["methods"]] == [[0], [1]]

    def test_methods_of_one_name_are_told_apart(self) -> None:
        other = explanation(interpreter={"type": "integrated-gradients", "steps": 64})
        (card,) = page_data(cases_of([explanation(), other]))["cards"]
        names = [method["name"] for method in card["methods"]]
        assert names == ["integrated-gradients (steps 32)", "integrated-gradients (steps 64)"]

    def test_an_error_is_shown(self) -> None:
        error = {"type": "KeyError", "message": "sentence", "line": 3}
        (card,) = page_data(cases_of([{"error": error, "input": {"a": 1}}]))["cards"]
        assert card["error"] == error
        assert '"a": 1' in card["given"]

    def test_nothing_to_explain(self) -> None:
        (card,) = page_data(cases_of([line(tags=["O"], words=["a"])]))["cards"]
        assert (card["prediction"], card["outputs"]) == ("every tag is O", [])


def test_outputs_have_names() -> None:
    data = page_data(cases_of([entities(), translation()]))
    assert data["cards"][0]["outputs"] == ["PER: Ada Lovelace", "LOC: Turin"]
    assert data["cards"][1]["outputs"] == ["le", "chat", "</s>"]
    assert data["cards"][1]["prediction"] == "le chat"
    prefixes = [view["prefix"] for view in data["views"][2:]]
    assert prefixes == [[], [0], [0, 1]]


def test_a_written_text_that_is_not_known() -> None:
    """As AllenNLP's generators have it: tokens alone, the first of which begins the text."""
    explanations = []
    for one in translation():
        generated = one.inputs[0]
        begun = replace(
            generated,
            tokens=["@start@", *generated.tokens],
            offsets=[None] * (len(generated.tokens) + 1),
            attributions=[0.0, *generated.attributions],
            text=None,
        )
        explanations.append(replace(one, inputs=[begun, one.inputs[1]]))
    data = page_data(cases_of([explanations]))
    assert [view["prefix"] for view in data["views"]] == [[None], [None, 0], [None, 0, 1]]
    assert data["cards"][0]["prediction"] == "le chat"


def test_names_of_other_outputs() -> None:
    words = explanation().inputs
    for target, name in (
        ({"verb": "saw", "positions": [6]}, "saw"),
        ({"verb": "saw", "role": "ARG1", "positions": [6, 7]}, "ARG1 of saw: never dull"),
        ({"label": "nsubj", "head": "dull", "positions": [4]}, "nsubj: dull → film"),
        ({"label": "Ada", "mention": "she", "positions": [4]}, "she → Ada"),
        ({"label": "", "no_answer": True}, "no answer"),
        ({"label": None}, "entropy"),
    ):
        one = explanation(target={"type": "entropy", "value": 1.0, **target}, inputs=words)
        (card,) = page_data(cases_of([one]))["cards"]
        assert card["outputs"] == [name]


def test_words_and_sentences_of_a_layout() -> None:
    (layout,) = page_data(cases_of([explanation()]))["layouts"]
    assert layout["word"] == [[1, 2, 3]]
    assert layout["sentence"] == [[1, 2, 3, 4, 5, 6, 7, 8]]
    assert (
        "".join(text for text, _, kind in layout["pieces"] if kind != 1)
        == explanation().inputs[0].text
    )


@given(st.text(alphabet=st.characters(), max_size=30))
def test_json_ends_no_script(text: str) -> None:
    made = json_for_html({"a": [text + "</script><!--\u2028&"]})
    assert not set("<>&\u2028\u2029") & set(made)
    made.encode("utf-8")
    assert json.loads(made) == {"a": [text + "</script><!--\u2028&"]}


def test_numbers_that_are_none() -> None:
    assert json_for_html({"a": (float("nan"), 1.5)}) == '{"a":[null,1.5]}'


def test_hostile_tokens_are_data() -> None:
    page = report(hostile_explanations())
    assert "<img" not in page
    assert "{{" in page
    assert page.count("</script>") == 2
    assert data_of(page)["explanations"] == [
        json.loads(json.dumps(one.to_json())) for one in hostile_explanations()
    ]
