"""CSV and TSV: what is read of a row, and what a broken row costs."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.jobs.sources import Item, Source, open_source


def written(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    return str(path)


def everything(source: Source) -> list[Item]:
    return list(source.items(0, source.count()))


def given(source: Source) -> list[Any]:
    return [item.given for item in everything(source)]


def test_a_row_is_an_object(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", "id,sentence\n7,a\n\n8,\n")
    first, second = everything(open_source(path))
    assert (first.number, first.line, first.id) == (0, 2, "7")
    assert first.given == {"id": "7", "sentence": "a"}
    assert (second.number, second.line, second.id) == (1, 4, "8")


def test_quotes_and_line_breaks_within_cells(tmp_path: Path) -> None:
    path = written(
        tmp_path / "in.csv",
        'sentence,note\r\n"a ""great"", film","x\ny"\r\n"two\r\n\r\nlines",z\r\n5" wide,w\r\n',
    )
    items = everything(open_source(path))
    assert [(one.line, one.given) for one in items] == [
        (2, {"sentence": 'a "great", film', "note": "x\ny"}),
        (4, {"sentence": "two\r\n\r\nlines", "note": "z"}),
        (7, {"sentence": '5" wide', "note": "w"}),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_slice_is_that_of_the_whole(tmp_path: Path, packed: bool) -> None:
    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(["id", "sentence"])
    for number in range(200):
        writer.writerow([number, f'text "{number}"\n, more' if number % 3 else f"text {number}"])
    content = rows.getvalue().encode()
    path = tmp_path / f"in.csv{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(content) if packed else content)
    source = open_source(str(path))
    whole = everything(source)
    assert [item.id for item in whole] == [str(number) for number in range(200)]
    assert all(item.problem is None for item in whole)
    for start in (0, 1, 63, 64, 65, 130, 199, 10):
        assert list(source.items(start, start + 40)) == whole[start : start + 40]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1", "has 1 cells, and there are 2 columns: 'id', 'sentence'"),
        ("1,a,b", "has 3 cells"),
        ("id,sentence", "repeats the names"),
        ('1,"a" b', "a quote on line 3 ends a cell, and more follows"),
        ('1,"never closed', "a quote that is opened on line 3 is not closed, up to line 5"),
        ("1,a\rb", "the row is no CSV: new-line character"),
        ("1,caf\udce9", "can't decode byte 0xe9"),
    ],
)
def test_a_broken_row_costs_one_item(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "in.csv"
    text = f"id,sentence\n1,first\n{row}\n3,third\n4,fourth\n"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    items = everything(open_source(str(path)))
    assert [item.id for item in items] == ["1", None, "3", "4"]
    assert message in str(items[1].problem)
    assert items[1].given is None
    assert items[1].line == 3
    assert items[1].raw


def test_a_quote_that_nobody_closes_in_a_long_file(tmp_path: Path) -> None:
    lines = [f"{number},some text of some length that goes on" for number in range(6000)]
    lines[10] = '10,"not closed'
    path = written(tmp_path / "in.csv", "id,sentence\n" + "\n".join(lines) + "\n")
    source = open_source(path)
    items = everything(source)
    assert [item.number for item in items if item.problem is not None] == [10]
    assert len(items) == 6000
    assert [item.id for item in source.items(9, 12)] == ["9", None, "11"]


def test_nul_bytes_are_a_text_of_the_cell(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", "sentence,n\na\x00b,1\n")
    assert given(open_source(path)) == [{"sentence": "a\x00b", "n": "1"}]


@pytest.mark.parametrize("text", ["id;sentence\n1;a, b\n", "id\tsentence\n1\ta, b\n"])
def test_other_characters_between_cells(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "in.csv", text)
    assert given(open_source(path)) == [{"id": "1", "sentence": "a, b"}]


def test_tsv_has_no_quotes_unless_it_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "in.tsv", 'id\tsentence\n1\t"not closed\n2\t"a"\n')
    assert given(open_source(path)) == [
        {"id": "1", "sentence": '"not closed'},
        {"id": "2", "sentence": '"a"'},
    ]
    quoted = written(tmp_path / "quoted.tsv", 'id\tsentence\n1\t"a\tb\nc"\n')
    assert given(open_source(quoted, format="csv")) == [{"id": "1", "sentence": "a\tb\nc"}]


def test_byte_order_mark_and_spaces_in_the_header(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", "\ufeffid, sentence\n1,a\n")
    assert given(open_source(path)) == [{"id": "1", "sentence": "a"}]
    quoted = written(tmp_path / "quoted.csv", '\ufeff"id","sentence"\n1,a\n')
    assert given(open_source(quoted)) == [{"id": "1", "sentence": "a"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: its first row has to name the columns"),
        (b"\n\n", "is empty"),
        (b"sent\xe9nce,id\na,1\n", "is no UTF-8 text"),
        (b'"sentence\n', "the first row of .*cannot be read"),
        ("sentence\na\n".encode("utf-16"), "iconv"),
    ],
)
def test_a_file_without_columns_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        open_source(str(path))


def test_a_header_alone_has_no_items(tmp_path: Path) -> None:
    source = open_source(written(tmp_path / "in.csv", "id,sentence"))
    assert source.count() == 0
    assert everything(source) == []


class TestColumns:
    """Which columns are read."""

    def test_the_predictors_own(self, tmp_path: Path, entailment: Predictor) -> None:
        path = written(tmp_path / "in.csv", "hypothesis,x,premise,id\nh,1,p,9\n")
        (item,) = everything(open_source(path, predictor=entailment))
        assert item.given == {"premise": "p", "hypothesis": "h"}
        assert item.id == "9"
        assert item.raw == {"hypothesis": "h", "x": "1", "premise": "p", "id": "9"}

    @pytest.mark.parametrize(
        "text",
        [
            "review,id\ntext,7\n",
            "stars,review\n4.5,text\n",
            "title,text,label\nt,text,good\n",
            "title,Sentence,label\nt,text,good\n",
        ],
    )
    def test_the_one_text(self, tmp_path: Path, sentiment: Predictor, text: str) -> None:
        (item,) = everything(open_source(written(tmp_path / "a.csv", text), predictor=sentiment))
        assert item.given == {"sentence": "text"}

    def test_one_of_several(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = written(tmp_path / "in.csv", "title,review\nt,text\n")
        with pytest.raises(ConfigurationError) as caught:
            open_source(path, predictor=sentiment)
        assert str(caught.value).endswith(
            "has no such column; its columns are 'title', 'review'. Say which is meant: "
            "--columns sentence=COLUMN"
        )
        columns = {"sentence": "review"}
        assert given(open_source(path, columns=columns, predictor=sentiment)) == [
            {"sentence": "text"}
        ]

    def test_a_table_without_its_header(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = written(tmp_path / "in.csv", "a great film,pos\nor not,neg\n")
        with pytest.raises(ConfigurationError, match="its columns are 'a great film', 'pos'"):
            open_source(path, predictor=sentiment)

    def test_a_column_or_an_id_that_is_not_there(self, tmp_path: Path) -> None:
        path = written(tmp_path / "in.csv", "review,uid\na,1\n")
        with pytest.raises(ConfigurationError, match="did you mean 'review'"):
            open_source(path, columns={"sentence": "reviews"})
        with pytest.raises(ConfigurationError, match="no column 'id' for the ids"):
            open_source(path, id_key="id")
        assert everything(open_source(path, id_key="uid"))[0].id == "1"

    def test_a_column_that_is_there_twice(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = written(tmp_path / "in.csv", "sentence,x,x\na,1,2\n")
        assert given(open_source(path, predictor=sentiment)) == [{"sentence": "a"}]
        with pytest.raises(ConfigurationError, match="two columns 'x'"):
            open_source(path)

    def test_an_empty_cell(self, tmp_path: Path, bert: Predictor, sentiment: Predictor) -> None:
        """Of a text that is needed an empty text, which the predictor refuses; of others none."""
        key = bert.text_keys[0]  # type: ignore[attr-defined]
        others = [name for name in bert.reads if name != key]  # type: ignore[attr-defined]
        path = written(tmp_path / "in.csv", f"{key},{','.join(others)}\n{',' * len(others)}\na\n")
        items = everything(open_source(path, predictor=bert))
        assert items[0].given == {key: ""}
