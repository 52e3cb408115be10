"""What interpreters return is a list like any other, which can show itself and is a table."""

from __future__ import annotations

import copy
import json
import pickle
import sys

import pytest

from allennlp_saliency.interpret import ExplainedInputs, Explanation, Explanations, InputAttribution


def explanation(label: str, errors: list[float] | None = None) -> Explanation:
    spans = [(0, 1), None]
    one = InputAttribution("text", "grad_input_1", ["a", "film"], spans, [0.5, -1.0], 0.0, errors)
    return Explanation({"type": "gradient"}, {"type": "logit", "label": label}, [one])


ONE = Explanations([explanation("good"), explanation("bad")])


def test_it_is_a_list() -> None:
    plain = [explanation("good"), explanation("bad")]
    assert plain == ONE
    assert isinstance(ONE, list)
    assert [*ONE, *ONE] == plain + plain
    assert repr(ONE) == repr(plain)
    assert copy.deepcopy(ONE) == ONE
    assert pickle.loads(pickle.dumps(ONE)) == ONE
    first, second = ONE
    assert (
        json.loads(json.dumps([first.to_json(), second.to_json()]))[1]["target"]["label"] == "bad"
    )


def test_rows_are_tokens() -> None:
    (first, second) = explanation("good", [0.1, 0.2]).rows()
    assert first == {
        "field": "text",
        "position": 0,
        "token": "a",
        "start": 0,
        "end": 1,
        "score": 0.5,
        "standard_error": 0.1,
    }
    assert second["start"] is None
    rows = list(ExplainedInputs([Explanations(), ONE]).rows())
    assert [(row["input"], row["explanation"], row["label"]) for row in rows] == [
        *[(1, 0, "good")] * 2,
        *[(1, 1, "bad")] * 2,
    ]
    assert sum(row["score"] for row in rows) == -1.0


def test_tables() -> None:
    pytest.importorskip("pandas")
    frame = ONE.to_pandas()
    columns = ["explanation", "label", "field", "position", "token", "start", "end", "score"]
    assert list(frame.columns) == columns
    assert frame.groupby("label")["score"].sum().to_dict() == {"bad": -0.5, "good": -0.5}
    assert list(ONE[0].to_pandas().columns) == columns[2:]
    assert frame["start"].isna().tolist() == [False, True] * 2
    assert frame["end"][0] == 1
    assert str(frame["end"].dtype) == "Int64"
    assert list(ExplainedInputs([ONE]).to_pandas().columns) == ["input", *columns]


def test_a_table_of_nothing_has_its_columns() -> None:
    pytest.importorskip("pandas")
    for empty in (Explanations(), ExplainedInputs([Explanations()])):
        frame = empty.to_pandas()
        assert len(frame) == 0
        assert "score" in frame.columns


@pytest.mark.parametrize("given", [ONE[0], ONE, ExplainedInputs([ONE])])
def test_without_pandas_the_error_says_what_to_install(
    given: Explanations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'allennlp-saliency\[notebook\]'"):
        given.to_pandas()


@pytest.mark.parametrize("given", [ONE[0], ONE, ExplainedInputs([ONE])])
def test_notebooks_get_html(given: Explanations) -> None:
    html = given._repr_html_()
    assert html.startswith("<div")
    assert ">film</span>" in html


@pytest.mark.parametrize("given", [ONE[0], ONE, ExplainedInputs([ONE])])
def test_terminals_get_text(given: Explanations, capsys: pytest.CaptureFixture[str]) -> None:
    given.show()
    assert "film -1.00" in capsys.readouterr().out


def test_several_inputs_have_headings(capsys: pytest.CaptureFixture[str]) -> None:
    ExplainedInputs([ONE, ONE]).show(words=True)
    assert "input 2 of 2" in capsys.readouterr().out


def test_a_part_and_a_sum_show_themselves_too() -> None:
    both = ExplainedInputs([Explanations([]), Explanations([])])
    assert isinstance(both[:1], ExplainedInputs)
    assert isinstance(both[0][:0], Explanations)
    assert isinstance(both + both, ExplainedInputs)
    assert len(both + both) == 4
