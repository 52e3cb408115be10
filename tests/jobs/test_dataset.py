"""The rows of a data set, from Python."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.jobs import interpret_dataset
from tests.jobs import small_models

pytest.importorskip("allennlp_saliency.jobs.run")

TEXTS = ["a great film", "", "a film that nobody likes", "great", "dull"]


@pytest.fixture(scope="module")
def sentiment() -> Predictor:
    return small_models.sentiment()


def test_a_row_for_each_input_and_interpreter(sentiment: Predictor) -> None:
    names = ["gradient", "input-x-gradient"]
    rows = list(interpret_dataset(sentiment, TEXTS, names, part_size=2))
    assert [(row["line"], row["interpreter"]) for row in rows] == [
        (1, "gradient"),
        (1, "input-x-gradient"),
        (2, None),
        *((line, name) for line in (3, 4, 5) for name in names),
    ]
    assert rows[2]["error"]["type"] == "InterpretationError"
    assert rows[2]["input"] == {"text": ""}
    (expected,) = InputXGradient(sentiment).interpret_json({"sentence": TEXTS[0]})
    found = Explanation.from_json(rows[1]["instance_1"]["explanation"])
    assert found.inputs[0].tokens == expected.inputs[0].tokens
    assert found.inputs[0].attributions == pytest.approx(expected.inputs[0].attributions, rel=1e-4)
    json.dumps(rows, allow_nan=False)


def test_inputs_come_from_anywhere(tmp_path: Path, sentiment: Predictor) -> None:
    path = tmp_path / "in.csv"
    path.write_text("uid,review\nu1,a great film\nu2,dull\n")
    options: dict[str, Any] = {"columns": {"sentence": "review"}, "id_key": "uid"}
    objects = [{"uid": "u1", "review": "a great film"}, {"uid": "u2", "review": "dull"}]
    expected = list(interpret_dataset(sentiment, str(path), "gradient", **options))
    assert [(row["id"], row["line"]) for row in expected] == [("u1", 2), ("u2", 3)]
    for inputs in (objects, iter(objects)):
        rows = list(interpret_dataset(sentiment, inputs, "gradient", **options))
        assert [row["id"] for row in rows] == ["u1", "u2"]
        assert [row["instance_1"] for row in rows] == [row["instance_1"] for row in expected]


def test_a_generator_is_read_as_its_rows_are_asked_for(sentiment: Predictor) -> None:
    read = []

    def inputs() -> Iterator[str]:
        for number in itertools.count():
            read.append(number)
            yield f"a great film {number}"

    rows = interpret_dataset(sentiment, inputs(), "gradient", part_size=3)
    lines = [row["line"] for row in itertools.islice(rows, 7)]
    assert lines == [1, 2, 3, 4, 5, 6, 7]
    assert len(read) == 9
    limited = interpret_dataset(sentiment, inputs(), "gradient", part_size=3, limit=4)
    assert [row["line"] for row in limited] == [1, 2, 3, 4]


def test_a_folder_keeps_the_rows(tmp_path: Path, sentiment: Predictor) -> None:
    output = tmp_path / "run"
    rows = list(interpret_dataset(sentiment, TEXTS, "gradient", output, part_size=2))
    assert [row["line"] for row in rows] == [1, 3, 4, 5, 2]
    assert "error" in rows[-1]
    assert (output / "config.json").exists()
    files = {path: path.read_bytes() for path in output.glob("part-*")}
    assert len(files) == 3
    assert list(interpret_dataset(sentiment, TEXTS, "gradient", output, part_size=2)) == rows
    assert {path: path.read_bytes() for path in output.glob("part-*")} == files
    apart = interpret_dataset(sentiment, TEXTS, "gradient", part_size=2)
    assert sorted(apart, key=lambda row: row["line"]) == sorted(rows, key=lambda row: row["line"])


def test_a_list_of_files(tmp_path: Path, sentiment: Predictor) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_text('{"sentence": "a great film"}\n')
    rows = list(interpret_dataset(sentiment, [str(path) for path in paths], "gradient"))
    assert [row["line"] for row in rows] == [1, 1]


def test_errors_come_at_once(tmp_path: Path, sentiment: Predictor) -> None:
    with pytest.raises(ConfigurationError, match="unknown interpreter"):
        interpret_dataset(sentiment, TEXTS, "gradent")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        interpret_dataset(sentiment, str(tmp_path / "missing.jsonl"), "gradient")
    with pytest.raises(ConfigurationError, match="shard is for a job with an output"):
        interpret_dataset(sentiment, TEXTS, "gradient", shard=(0, 2))
    with pytest.raises(ConfigurationError, match="name a folder, or a number"):
        interpret_dataset(sentiment, TEXTS, "gradient", batch_tokens="auto")
