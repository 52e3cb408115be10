"""Inputs as people have them: texts, tables, data sets, generators, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import nn

from allennlp_saliency.interpret import (
    ExplainedInputs,
    Explanations,
    InputXGradient,
    InterpretationError,
    LeaveOneOut,
)
from allennlp_saliency.interpret.interpreter.given import text_keys

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
TEXTS = ["the verdict and the goal.", "a goal"]
ROWS = [{"sentence": text} for text in TEXTS]


def predictor_of(name: str) -> Predictor:
    return Predictor.from_path(FIXTURES / name / "model.tar.gz", import_plugins=False)


@pytest.fixture(scope="module")
def topics() -> InputXGradient:
    return InputXGradient(predictor_of("topics"))


@pytest.fixture(scope="module")
def expected(topics: InputXGradient) -> ExplainedInputs:
    return topics.interpret_batch_json(ROWS)


def pandas_table() -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"sentence": TEXTS, "label": ["law", None], "id": [1, 2]})


def pandas_column() -> Any:
    return pandas_table()["sentence"]


def polars_table() -> Any:
    return pytest.importorskip("polars").DataFrame({"sentence": TEXTS})


def data_set() -> Any:
    return pytest.importorskip("datasets").Dataset.from_dict({"sentence": TEXTS})


@pytest.mark.parametrize(
    "make",
    [
        lambda: ROWS,
        lambda: tuple(ROWS),
        lambda: TEXTS,
        lambda: iter(TEXTS),
        lambda: (row for row in ROWS),
        pandas_table,
        pandas_column,
        polars_table,
        data_set,
    ],
    ids=[
        "list",
        "tuple",
        "texts",
        "iterator",
        "generator",
        "table",
        "column",
        "polars",
        "datasets",
    ],
)
def test_many_inputs(
    make: Callable[[], Any], topics: InputXGradient, expected: ExplainedInputs
) -> None:
    found = topics.interpret_batch_json(make())
    assert found == expected
    assert isinstance(found, ExplainedInputs)
    assert all(isinstance(one, Explanations) for one in found)


def test_one_input(topics: InputXGradient, expected: ExplainedInputs) -> None:
    (found,) = topics.interpret_json(TEXTS[0])
    assert found.inputs[0].attributions == pytest.approx(
        expected[0][0].inputs[0].attributions, abs=1e-6
    )
    assert topics.saliency_interpret_from_json(TEXTS[0]) == topics.saliency_interpret_from_json(
        ROWS[0]
    )
    assert topics.interpret_json(pandas_table().iloc[0]) == topics.interpret_json(ROWS[0])


def test_a_black_box_takes_texts_too() -> None:
    interpreter = LeaveOneOut(predictor_of("topics"), target="output", removal="delete")
    assert interpreter.interpret_json(TEXTS[0]) == interpreter.interpret_json(ROWS[0])


def test_what_a_table_lacks_is_no_text(topics: InputXGradient) -> None:
    table = pandas_table()
    table.loc[1, "sentence"] = None
    with pytest.raises(InterpretationError, match=r"lacks the key 'sentence' .* it has 'id'"):
        topics.interpret_batch_json(table)


def test_a_stream_reads_no_more_than_it_needs(
    topics: InputXGradient, expected: ExplainedInputs
) -> None:
    read = []

    def texts() -> Iterator[str]:
        for number in range(100):
            read.append(number)
            yield TEXTS[number % 2]

    stream = topics.interpret_stream(texts(), at_once=4)
    assert read == []
    found = [next(stream) for _ in range(6)]
    assert len(read) == 8
    for number, one in enumerate(found):
        scores = expected[number % 2][0].inputs[0].attributions
        assert one[0].inputs[0].attributions == pytest.approx(scores, abs=1e-6)
    assert len(list(topics.interpret_stream(TEXTS))) == 2
    with pytest.raises(ConfigurationError, match="at_once"):
        topics.interpret_stream(TEXTS, at_once=0)


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("interpret_json", lambda: TEXTS, r"takes one input, not a list; .*interpret_batch_json"),
        ("interpret_json", pandas_table, r"takes one input, not a table; .*interpret_batch_json"),
        ("interpret_json", data_set, r"takes one input, not a table; .*interpret_batch_json"),
        ("interpret_json", lambda: 3, "an input is a JSON object, not int"),
        ("interpret_json", lambda: None, "an input is a JSON object, not NoneType"),
        ("interpret_batch_json", lambda: "a", r'interpret_json\({"sentence": "a"}\) or .*\["a"\]'),
        ("interpret_batch_json", lambda: ROWS[0], r"interpret_batch_json\(\[input\]\)"),
        ("interpret_batch_json", lambda: 3, "list of JSON objects, not int"),
        ("interpret_batch_json", lambda: [3], "an input is a JSON object, not int"),
        ("interpret_batch_json", lambda: {"test": data_set()}, r"batch_json\(data\['test'\]\)"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_line_to_type(
    method: str, given: Callable[[], Any], message: str, topics: InputXGradient
) -> None:
    with pytest.raises(InterpretationError, match=message):
        getattr(topics, method)(given())


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("sentiment", ["sentence"]),
        ("ner", ["sentence"]),
        ("entailment", ["premise", "hypothesis"]),
        ("multi-label", ["sentence"]),
        ("translate", ["source"]),
        ("copy-lm", ["prompt"]),
        ("question-answering", ["question", "passage"]),
        ("choices", ["prompt", "choices"]),
    ],
)
def test_the_texts_that_a_predictor_needs(name: str, keys: list[str]) -> None:
    predictor = predictor_of(name)
    assert text_keys(predictor) == keys
    if len(keys) > 1:
        line = f'type interpret_json\\({{"{keys[0]}": "…", "{keys[1]}": "…"}}\\)'
        with pytest.raises(InterpretationError, match=line):
            InputXGradient(predictor).interpret_json("a text")


def test_predictors_that_say_nothing_of_their_texts() -> None:
    assert text_keys(SimpleNamespace()) == ()  # type: ignore[arg-type]
    lines = SimpleNamespace(predict=lambda jsonline: None)
    assert text_keys(lines) == ()  # type: ignore[arg-type]
    masked = SimpleNamespace(predict=lambda sentence_with_masks, top=1: None)
    assert text_keys(masked) == ["sentence"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (nn.Linear(1, 1), r"InputXGradient\(TransformersPredictor.from_pretrained\(model, token"),
        ("model.tar.gz", r"InputXGradient\(Predictor.from_path"),
        (Predictor, r"InputXGradient\(Predictor.from_path"),
    ],
)
def test_what_is_no_predictor_is_refused_with_the_line_to_type(given: Any, line: str) -> None:
    with pytest.raises(ConfigurationError, match=line):
        InputXGradient(given)
