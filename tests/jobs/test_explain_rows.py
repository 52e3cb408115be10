"""Explanations as columns of a data set."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.jobs import ExplainRows
from tests.jobs import small_models

datasets = pytest.importorskip("datasets")

ARCHIVE = Path(__file__).resolve().parents[2] / "fixtures" / "sentiment" / "model.tar.gz"
TEXTS = ["a great film", None, "a film that nobody likes", "great"]


@pytest.fixture(scope="module")
def sentiment() -> Predictor:
    return small_models.sentiment()


@pytest.fixture(scope="module")
def entailment() -> Predictor:
    return small_models.entailment()


@pytest.fixture(scope="module")
def dataset() -> Any:
    return datasets.Dataset.from_dict({"review": TEXTS, "stars": [5, 3, 1, 4]})


@pytest.fixture(scope="module")
def rows() -> ExplainRows:
    return ExplainRows(ARCHIVE, "input-x-gradient")


def test_columns_are_added(dataset: Any, rows: ExplainRows, sentiment: Predictor) -> None:
    found = dataset.map(rows, batched=True, batch_size=3, load_from_cache_file=False)
    assert found["review"] == TEXTS
    interpreter = InputXGradient(sentiment)
    for number in (0, 2, 3):
        (expected,) = interpreter.interpret_json({"sentence": TEXTS[number]})
        row = found[number]
        assert row["tokens"] == expected.inputs[0].tokens
        assert row["attributions"] == pytest.approx(expected.inputs[0].attributions, rel=1e-4)
        assert set(row["fields"]) == {expected.inputs[0].field}
        assert row["label"] == expected.target["label"]
        assert row["value"] == pytest.approx(expected.target["value"], rel=1e-5)
        (whole,) = map(json.loads, row["explanations"])
        assert Explanation.from_json(whole).inputs[0].tokens == row["tokens"]
        assert row["error"] == ""
    failed = found[1]
    assert "'review' is null" in failed["error"]
    assert (failed["tokens"], failed["label"], failed["explanations"]) == ([], "", [])
    assert math.isnan(failed["value"])


def test_two_texts_and_a_null(entailment: Predictor) -> None:
    columns = {"premise": "a", "hypothesis": "b"}
    own = ExplainRows(entailment, {"type": "gradient", "target": "probability"}, columns)
    found = own({"a": ["two dogs run", None], "b": ["a dog runs", "x"]})
    assert set(found["fields"][0]) == {"premise", "hypothesis"}
    assert len(found["fields"][0]) == len(found["tokens"][0]) == len(found["attributions"][0])
    assert "'a' is null" in found["error"][1]


def test_a_named_model_is_known_again(dataset: Any, rows: ExplainRows) -> None:
    """`datasets` takes its cache by the hash of the function."""
    from datasets.fingerprint import Hasher

    rows({"review": ["a great film"]})
    other = ExplainRows(ARCHIVE, "input-x-gradient")
    assert Hasher.hash(rows) == Hasher.hash(other)
    assert rows.fingerprint(dataset) == other.fingerprint(dataset)
    changed = ExplainRows(ARCHIVE, {"type": "input-x-gradient", "target": "probability"})
    assert Hasher.hash(rows) != Hasher.hash(changed)
    assert rows.fingerprint(dataset) != changed.fingerprint(dataset)
    assert rows.fingerprint(dataset) != rows.fingerprint(dataset.select([0]))


def test_a_predictor_goes_by_its_content(dataset: Any, sentiment: Predictor) -> None:
    own = ExplainRows(sentiment, "gradient")
    assert own.fingerprint(dataset) == ExplainRows(sentiment, "gradient").fingerprint(dataset)


@pytest.mark.parametrize("by_path", [True, False])
def test_it_is_pickled(rows: ExplainRows, sentiment: Predictor, by_path: bool) -> None:
    own = rows if by_path else ExplainRows(sentiment, "input-x-gradient")
    content = pickle.dumps(own)
    assert (len(content) < 5000) == by_path
    batch = {"review": ["a great film"]}
    assert pickle.loads(content)(batch) == own(batch)


def test_what_is_refused(sentiment: Predictor) -> None:
    with pytest.raises(ConfigurationError, match="unknown interpreter: 'gradent'"):
        ExplainRows(sentiment, "gradent")
    with pytest.raises(ConfigurationError, match="gives scores without tokens"):
        ExplainRows(sentiment, "simple-gradient")
    with pytest.raises(ConfigurationError, match="--columns sentence=COLUMN"):
        ExplainRows(sentiment, "gradient")({"title": ["a"], "review": ["b"]})
