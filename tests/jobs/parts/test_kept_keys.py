"""What rows keep of an input beside its scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.data.fields import LabelField
from allennlp.predictors import Predictor

from allennlp_saliency.jobs import Job, JobError, RunFolder, interpret_dataset, run_job
from tests.jobs.conftest import SENTENCES, MakeJob, write_lines

LABELS: list[Any] = ["positive", 3, None]


@pytest.fixture
def labelled(inputs: Path) -> Path:
    """Three sentences: with a label, with a number for one, without one."""
    rows: list[dict[str, Any]] = [
        {"sentence": one, "label": label} for one, label in zip(SENTENCES, LABELS, strict=False)
    ]
    del rows[2]["label"]
    write_lines(inputs, rows)
    return inputs


@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_rows_keep_what_is_asked_for(
    make_job: MakeJob, labelled: Path, tmp_path: Path, output_format: str
) -> None:
    run_job(make_job(keep=["label"], output_format=output_format), silent=True)
    kept = [row["kept"] for row in RunFolder(tmp_path / "run").rows()]
    assert kept == [{"label": label} for label in LABELS]
    if output_format == "parquet":
        import pyarrow.parquet

        (path,) = (tmp_path / "run").glob("*.parquet")
        column = pyarrow.parquet.read_table(path).column("kept").to_pylist()
        assert list(map(json.loads, column)) == kept


def test_errors_keep_it_too(make_job: MakeJob, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    rows = [{"sentence": SENTENCES[0], "label": "a"}, {"other": 1, "label": "b"}, "{"]
    write_lines(path, rows)
    run_job(make_job(inputs=path, keep="label"), silent=True)
    folder = RunFolder(tmp_path / "run")
    assert [row["kept"]["label"] for row in folder.rows()] == ["a"]
    assert [error["kept"]["label"] for error in folder.errors()] == ["b", None]


def test_nothing_is_kept_by_default(make_job: MakeJob, labelled: Path, tmp_path: Path) -> None:
    run_job(make_job(), silent=True)
    assert not any("kept" in row for row in RunFolder(tmp_path / "run").rows())


def test_a_run_goes_on_only_where_it_keeps_the_same(make_job: MakeJob, labelled: Path) -> None:
    assert "keep" not in make_job().identity()  # as in runs from before there was such a setting
    run_job(make_job(), silent=True)
    with pytest.raises(JobError, match=r'keep: none there, \["label"\] here'):
        run_job(make_job(keep="label"), silent=True)
    run_job(make_job(output="other", keep="label"), silent=True)
    with pytest.raises(JobError, match=r'keep: \["label"\] there, none here'):
        run_job(make_job(output="other"), silent=True)


def test_from_a_table(make_job: MakeJob, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f'sentence,label,by\n"{SENTENCES[0]}",positive,ann\n', encoding="utf-8")
    run_job(make_job(inputs=path, keep="by"), silent=True)
    assert [row["kept"] for row in RunFolder(tmp_path / "run").rows()] == [{"by": "ann"}]


@pytest.mark.parametrize("kind", ["parquet", "dataset", "pandas"])
def test_a_column_that_the_predictor_does_not_read(
    predictor: Predictor, tmp_path: Path, kind: str
) -> None:
    columns = {"sentence": SENTENCES[:2], "label": ["positive", None], "more": [1, 2]}
    inputs: Any = pytest.importorskip("pandas").DataFrame(columns)
    if kind == "parquet":
        inputs.to_parquet(tmp_path / "in.parquet")
        inputs = tmp_path / "in.parquet"
    elif kind == "dataset":
        inputs = pytest.importorskip("datasets").Dataset.from_dict(columns)
    rows = list(interpret_dataset(predictor, inputs, "gradient", keep="label"))
    assert [row["kept"] for row in rows] == [{"label": "positive"}, {"label": None}]
    with pytest.raises(ConfigurationError, match="'lable'; there are 'sentence', 'label', 'more'"):
        list(interpret_dataset(predictor, inputs, "gradient", keep="lable"))


def test_of_the_instances_of_a_reader_its_fields(predictor: Predictor) -> None:
    instance = predictor._json_to_instance({"sentence": SENTENCES[0]})
    instance.add_field("label", LabelField("positive"))
    tokens = [token.text for token in instance["tokens"].tokens]  # type: ignore[attr-defined]
    (row,) = interpret_dataset(predictor, [instance], "gradient", keep=["label", "tokens"])
    assert row["kept"] == {"label": "positive", "tokens": tokens}
    with pytest.raises(ConfigurationError, match="'id'; there are 'tokens', 'label'"):
        list(interpret_dataset(predictor, [instance], "gradient", keep="id"))


def test_what_python_holds_is_kept_as_json(predictor: Predictor) -> None:
    rows = [{"sentence": SENTENCES[0], "where": Path("there"), "score": float("nan")}]
    (row,) = interpret_dataset(predictor, rows, "gradient", keep=["where", "score"])
    assert row["kept"] == {"where": "there", "score": None}


def test_a_key_that_no_input_has(make_job: MakeJob, labelled: Path, predictor: Predictor) -> None:
    message = "keep: none of the first inputs has 'lable'; there are 'sentence', 'label'"
    with pytest.raises(ConfigurationError, match=message):
        run_job(make_job(keep=["label", "lable"]), silent=True)
    with pytest.raises(ConfigurationError, match=message):
        list(interpret_dataset(predictor, labelled, "gradient", keep="lable"))
    with pytest.raises(ConfigurationError, match="there are 'text'"):
        list(interpret_dataset(predictor, SENTENCES[:2], "gradient", keep="label"))


def test_several_keys_in_one_text() -> None:
    assert Job("model", "inputs", "gradient", keep="label,by").keep == ("label", "by")


@pytest.mark.parametrize("keep", [3, [""], [1], {"label": 1}])
def test_what_is_no_list_of_keys(keep: Any) -> None:
    with pytest.raises(ConfigurationError, match="keep is a list of keys or columns; got"):
        Job("model", "inputs", "gradient", keep=keep)
