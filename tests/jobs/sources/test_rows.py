"""Parquet, saved data sets, tables and lists in memory, and generators."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.jobs.sources import Item, Source, open_source

parquet = pytest.importorskip("pyarrow.parquet")
pyarrow = pytest.importorskip("pyarrow")


def everything(source: Source) -> list[Item]:
    return list(source.items(0, source.count()))


def given(source: Source) -> list[Any]:
    return [item.given for item in everything(source)]


ROWS = [{"sentence": f"text {number}", "stars": number, "id": number} for number in range(700)]


class TestParquet:
    """Files of row groups."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> str:
        path = tmp_path / "in.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=300)
        return str(path)

    def test_its_rows(self, path: str, sentiment: Predictor) -> None:
        source = open_source(path, predictor=sentiment)
        items = everything(source)
        assert source.count() == 700
        assert [item.given for item in items] == [{"sentence": one["sentence"]} for one in ROWS]
        assert (items[5].number, items[5].line, items[5].id) == (5, 6, "5")
        for start in (0, 255, 256, 299, 300, 650, 10):
            assert list(source.items(start, start + 70)) == items[start : start + 70]
        assert list(source.items(700, 800)) == []
        other = pickle.loads(pickle.dumps(source))
        assert list(other.items(10, 20)) == items[10:20]
        assert len(source.sha256()) == 64

    def test_a_file_that_changes_is_not_read_on(self, path: str) -> None:
        source = open_source(path)
        assert len(list(source.items(0, 5))) == 5
        parquet.write_table(pyarrow.Table.from_pylist(ROWS[1:]), path, row_group_size=300)
        with pytest.raises(ConfigurationError, match="was changed while it was read"):
            list(source.items(5, 10))

    def test_slices_in_turn_read_a_group_once(
        self, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = open_source(path)
        opened: list[str] = []
        original = parquet.ParquetFile

        def counted(name: str) -> Any:
            opened.append(name)
            return original(name)

        monkeypatch.setattr(parquet, "ParquetFile", counted)
        parts = [list(source.items(start, start + 50)) for start in range(0, 700, 50)]
        assert [item.given for part in parts for item in part] == ROWS
        # One begins anew at the row groups that a slice begins at.
        assert len(opened) <= 3

    def test_nested_columns_and_nulls(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = str(tmp_path / "in.parquet")
        rows = [
            {"sentence": "a", "tags": ["x", "y"], "more": {"a": 1, "b": [None]}},
            {"sentence": None, "tags": None, "more": None},
        ]
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        assert everything(open_source(path))[0].given == rows[0]
        assert everything(open_source(path))[1].given == {}
        first, second = everything(open_source(path, predictor=sentiment))
        assert first.given == {"sentence": "a"}
        assert "'sentence' is null" in str(second.problem)
        (item, _) = everything(open_source(path, columns={"choices": "tags"}, id_key="sentence"))
        assert (item.given, item.id) == ({"choices": ["x", "y"]}, "a")

    def test_a_column_has_to_be_named(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = str(tmp_path / "in.parquet")
        rows = [{"title": "t", "review": "a", "stars": 1}]
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        with pytest.raises(ConfigurationError, match="--columns sentence=COLUMN"):
            open_source(path, predictor=sentiment)
        columns = {"sentence": "review"}
        assert given(open_source(path, columns=columns, predictor=sentiment)) == [{"sentence": "a"}]

    def test_a_broken_file(self, path: str, tmp_path: Path) -> None:
        cut = tmp_path / "cut.parquet"
        cut.write_bytes(Path(path).read_bytes()[:-50])
        with pytest.raises(ConfigurationError, match=r"cut\.parquet cannot be read"):
            open_source(str(cut))
        holed = tmp_path / "holed.parquet"
        content = bytearray(Path(path).read_bytes())
        content[4:4000] = os.urandom(3996)
        holed.write_bytes(bytes(content))
        with pytest.raises(ConfigurationError, match=r"holed\.parquet cannot be read"):
            everything(open_source(str(holed)))

    def test_an_empty_one(self, tmp_path: Path) -> None:
        path = str(tmp_path / "in.parquet")
        parquet.write_table(pyarrow.table({"sentence": pyarrow.array([], pyarrow.string())}), path)
        assert everything(open_source(path)) == []


class TestDatasets:
    """Data sets of `datasets`, and folders of them."""

    @pytest.fixture(scope="class")
    def dataset(self) -> Any:
        datasets = pytest.importorskip("datasets")
        return datasets.Dataset.from_list(ROWS)

    def test_an_object(self, dataset: Any, sentiment: Predictor) -> None:
        source = open_source(dataset, predictor=sentiment)
        items = everything(source)
        assert [item.given for item in items] == [{"sentence": one["sentence"]} for one in ROWS]
        assert items[3].id == "3"
        assert list(source.items(100, 170)) == items[100:170]
        assert source.sha256() == open_source(ROWS).sha256()

    def test_a_folder(self, dataset: Any, tmp_path: Path) -> None:
        dataset.save_to_disk(str(tmp_path / "saved"))
        source = open_source(str(tmp_path / "saved"))
        assert given(source) == ROWS
        (arrow,) = (tmp_path / "saved").glob("*.arrow")
        first = source.sha256()
        arrow.write_bytes(arrow.read_bytes() + b" ")
        assert open_source(str(tmp_path / "saved")).sha256() != first

    def test_a_folder_of_splits(self, dataset: Any, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        splits = datasets.DatasetDict({"train": dataset, "test": dataset.select(range(3))})
        splits.save_to_disk(str(tmp_path / "saved"))
        with pytest.raises(ConfigurationError, match=r"saved/train or .*saved/test"):
            open_source(str(tmp_path / "saved"))
        assert open_source(str(tmp_path / "saved" / "test")).count() == 3
        with pytest.raises(ConfigurationError, match=r"give one: data\['train'\]"):
            open_source(splits)

    def test_another_folder(self, tmp_path: Path) -> None:
        pytest.importorskip("datasets")
        with pytest.raises(ConfigurationError, match="none that save_to_disk"):
            open_source(str(tmp_path))
        (tmp_path / "state.json").write_text("{")
        with pytest.raises(ConfigurationError, match="cannot be read"):
            open_source(str(tmp_path))


class TestTables:
    """Tables in memory."""

    def test_pandas(self, sentiment: Predictor) -> None:
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame(ROWS, index=range(7, 707))
        source = open_source(table, predictor=sentiment)
        assert everything(source)[3].id == "3"
        assert given(source)[:2] == [{"sentence": "text 0"}, {"sentence": "text 1"}]
        table.loc[8, "sentence"] = None
        table["id"] = table["id"].astype(float)
        items = everything(open_source(table, predictor=sentiment))
        assert "'sentence' is null" in str(items[1].problem)
        assert items[1].id == "1"
        twice = pandas.DataFrame([["a", "b"]], columns=["sentence", "sentence"])
        with pytest.raises(ConfigurationError, match="two columns 'sentence'"):
            open_source(twice)

    def test_polars(self, sentiment: Predictor) -> None:
        polars = pytest.importorskip("polars")
        source = open_source(polars.DataFrame(ROWS), predictor=sentiment)
        assert given(source)[698:] == [{"sentence": "text 698"}, {"sentence": "text 699"}]
        assert source.count() == 700
        assert [item.id for item in source.items(600, 602)] == ["600", "601"]


class TestLists:
    """Lists and generators."""

    def test_objects_texts_and_what_is_none(self, sentiment: Predictor) -> None:
        inputs = [
            {"sentence": "a", "id": "x"},
            "b",
            3,
            sentiment._json_to_instance({"sentence": "c"}),
        ]
        items = everything(open_source(inputs, predictor=sentiment))
        assert [item.problem is None for item in items] == [True, True, False, True]
        assert items[0].id == "x"
        assert items[1].given == {"sentence": "b"}
        assert items[3].given is inputs[3]
        assert len(open_source(inputs, predictor=sentiment).sha256()) == 64

    def test_a_key_can_be_named(self, sentiment: Predictor) -> None:
        inputs = [{"review": "a", "title": "b"}]
        columns = {"sentence": "review"}
        source = open_source(inputs, columns=columns, predictor=sentiment)
        assert given(source) == [{"sentence": "a", "title": "b"}]

    @pytest.mark.parametrize("inputs", [{"sentence": "a"}, 3, None])
    def test_what_is_no_list(self, inputs: Any) -> None:
        with pytest.raises(ConfigurationError):
            open_source(inputs)

    def test_a_generator_is_kept(self, tmp_path: Path, sentiment: Predictor) -> None:
        keep = tmp_path / "run" / "inputs.jsonl"
        options: dict[str, Any] = {"predictor": sentiment, "keep": keep}
        source = open_source(iter(["a", {"sentence": "b", "id": 2}, 3]), **options)
        items = everything(source)
        assert [item.given for item in items[:2]] == [{"sentence": "a"}, {"sentence": "b", "id": 2}]
        assert items[2].problem is not None
        again = open_source(iter(()), **options)
        assert again.sha256() == source.sha256()
        with pytest.raises(ConfigurationError, match="has other content than when the job began"):
            open_source(iter(["c"]), **options)
        assert [path.name for path in keep.parent.iterdir()] == ["inputs.jsonl"]
        with pytest.raises(ConfigurationError, match="give a list of them"):
            open_source(iter([sentiment._json_to_instance({"sentence": "c"})]), **options)

    def test_a_generator_without_a_place(self) -> None:
        source = open_source({"sentence": str(number)} for number in range(3))
        assert source.count() == 3
        assert given(source) == given(source)


class TestReader:
    """The archive's dataset reader."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> str:
        path = tmp_path / "in.jsonl"
        lines = [json.dumps({"text": f"text {number}", "label": "1"}) for number in range(20)]
        path.write_text("\n".join(lines))
        return str(path)

    @pytest.fixture
    def predictor(self) -> Any:
        from allennlp.data.dataset_readers import TextClassificationJsonReader

        class Reads:
            _dataset_reader = TextClassificationJsonReader()

        return Reads()

    def test_its_instances(self, path: str, predictor: Any) -> None:
        source = open_source(path, format="instances", predictor=predictor)
        assert source.count() == 20
        items = everything(source)
        assert [item.number for item in items] == list(range(20))
        assert str(items[4].given["tokens"][1]) == "4"  # type: ignore[index]
        shown = [str(item.given["tokens"]) for item in source.items(3, 9)]  # type: ignore[index]
        assert shown == [str(item.given["tokens"]) for item in items[3:9]]  # type: ignore[index]
        assert len(source.sha256()) == 64
        assert len(list(pickle.loads(pickle.dumps(source)).items(15, 30))) == 5

    def test_a_file_that_changes_is_not_read_on(self, path: str, predictor: Any) -> None:
        source = open_source(path, format="instances", predictor=predictor)
        assert len(list(source.items(0, 5))) == 5
        with Path(path).open("a", encoding="utf-8") as file:
            file.write("\n")
        with pytest.raises(ConfigurationError, match="was changed while it was read"):
            list(source.items(5, 10))

    def test_a_reader_that_fails_names_the_file(self, tmp_path: Path, predictor: Any) -> None:
        path = tmp_path / "bad.jsonl"
        path.write_text("no json")
        source = open_source(str(path), format="instances", predictor=predictor)
        with pytest.raises(ConfigurationError, match=r"JsonReader cannot read .*bad\.jsonl"):
            source.count()
        with pytest.raises(ConfigurationError, match="needs a predictor"):
            open_source(str(path), format="instances")

    def test_an_id_in_the_metadata(self, tmp_path: Path) -> None:
        from allennlp.data import DatasetReader, Instance
        from allennlp.data.fields import MetadataField

        class Numbers(DatasetReader):
            def _read(self, file_path: Any) -> Iterator[Instance]:
                for number in range(3):
                    yield Instance({"metadata": MetadataField({"id": number})})

        class Reads:
            _dataset_reader = Numbers()

        source = open_source("anything", format="instances", predictor=Reads())  # type: ignore[arg-type]
        assert [item.id for item in everything(source)] == ["0", "1", "2"]
        assert len(source.sha256()) == 64
