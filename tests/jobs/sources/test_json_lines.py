"""Files with a JSON object a line: read from any place on, whatever is in them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.jobs.sources import Item, open_source
from allennlp_saliency.jobs.sources.fields import Fields
from allennlp_saliency.jobs.sources.files.json_lines import JsonLines, LineTooLong
from allennlp_saliency.jobs.sources.files.records import RecordsFile

from .read import everything, written


def numbered(count: int) -> bytes:
    """So many inputs, with blank lines among them."""
    lines = []
    for number in range(count):
        lines.append(json.dumps({"sentence": f"text {number}"}) + "\n" * (1 + number % 3))
    return "".join(lines).encode()


def test_an_item_has_its_number_its_line_and_its_id(tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", {"sentence": "a", "id": 7}, "", {"sentence": "b"})
    source = open_source(path)
    assert source.count() == 2
    first, second = everything(source)
    assert first == Item(0, 1, "7", {"sentence": "a", "id": 7}, {"sentence": "a", "id": 7})
    assert (second.number, second.line, second.id) == (1, 3, None)
    assert second.given == {"sentence": "b"}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("x", "x"),
        ("", ""),
        (12, "12"),
        (3.0, "3"),
        (0.5, "0.5"),
        (True, "true"),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
        (float("nan"), None),
    ],
)
def test_an_id_is_a_text_or_a_number(tmp_path: Path, value: Any, name: str | None) -> None:
    path = written(tmp_path / "in.jsonl", {"sentence": "a", "key": value})
    (item,) = everything(open_source(path, id_key="key"))
    assert item.id == name
    assert item.problem is None


def test_an_id_key_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", {"sentence": "a", "uid": 1})
    with pytest.raises(ConfigurationError, match=r"no column 'uidd' for the ids.*'uid'"):
        open_source(path, id_key="uidd")


def test_ids_need_not_differ(tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", {"sentence": "a", "id": 1}, {"sentence": "b", "id": 1})
    assert [(one.id, one.line) for one in everything(open_source(path))] == [("1", 1), ("1", 2)]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_a_slice_is_that_of_the_whole(tmp_path: Path, count: int) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(numbered(count))
    source = open_source(str(path))
    whole = everything(source)
    assert len(whole) == source.count() == count
    assert [item.number for item in whole] == list(range(count))
    for start in (0, 1, 62, 63, 64, 65, 130, 199, 200, 500):
        for stop in (start, start + 1, start + 70, 10_000):
            assert list(source.items(start, stop)) == whole[start:stop]


def test_slices_in_turn_open_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(numbered(400)))
    source = open_source(str(path))
    assert source.count() == 400
    from allennlp_saliency.jobs.sources.files import records

    begun = []

    def opened(name: str, original: Callable[[str], Any] = records.opened) -> Any:
        begun.append(name)
        return original(name)

    monkeypatch.setattr(records, "opened", opened)
    parts = [list(source.items(start, start + 30)) for start in range(0, 400, 30)]
    assert [item.number for part in parts for item in part] == list(range(400))
    assert len(begun) == 1
    assert len(list(source.items(5, 6))) == 1  # backwards
    assert len(begun) == 2


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), ("", bytes)],
)
def test_a_compressed_file_is_read_as_the_plain_one(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(numbered(150))
    packed = tmp_path / f"packed.jsonl{suffix}"
    packed.write_bytes(pack(numbered(100)) + pack(b"") + pack(numbered(150)[len(numbered(100)) :]))
    source, own = open_source(str(plain)), open_source(str(packed))
    assert own.sha256() == source.sha256()
    assert list(own.items(70, 140)) == list(source.items(70, 140))
    assert list(own.items(3, 9)) == list(source.items(3, 9))
    assert everything(own) == everything(source)


def test_zstd(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    path = tmp_path / "in.jsonl.zst"
    pack = zstandard.ZstdCompressor().compress
    path.write_bytes(pack(numbered(100)) + pack(numbered(100)))
    source = open_source(str(path))
    whole = everything(source)
    assert len(whole) == 200
    assert list(source.items(150, 170)) == whole[150:170]
    assert list(source.items(20, 30)) == whole[20:30]
    path.write_bytes(pack(os.urandom(5000))[:-900])
    with pytest.raises(ConfigurationError):
        open_source(str(path)).count()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_cut_file_is_refused_by_its_name(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(pack(numbered(5000))[:-20])
    with pytest.raises(ConfigurationError, match=r"cut\.jsonl\.gz cannot be read"):
        open_source(str(path)).count()


BROKEN = {
    "no JSON": b'{"sentence": ',
    "an array": b"[1, 2]",
    "a text": b'"text"',
    "null": b"null",
    "no UTF-8": b'{"sentence": "caf\xe9"}',
    "NUL bytes": b"\x00\x00\x00",
    "too deep": b'{"sentence": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "two objects": b'{"a": 1} {"a": 2}',
    "a key without a value": b'{"sentence"}',
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("place", [0, 1])
def test_a_line_that_cannot_be_read_costs_one_item(
    tmp_path: Path, broken: bytes, place: int
) -> None:
    path = tmp_path / "in.jsonl"
    lines = [b'{"sentence": "a"}', b'{"sentence": "b"}']
    lines.insert(place, broken)
    path.write_bytes(b"\n".join(lines))
    items = everything(open_source(str(path)))
    assert [item.problem is None for item in items] == [n != place for n in range(3)]
    assert items[place].given is None
    assert items[place].line == place + 1
    json.dumps(items[place].raw)
    assert str(items[place].raw).startswith(broken[:10].decode("utf-8", "replace"))


def test_byte_order_mark_carriage_returns_and_no_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"sentence": "a"}\r\n \t \r\n\r\n{"sentence": "b"}')
    items = everything(open_source(str(path)))
    assert [(one.line, one.given) for one in items] == [
        (1, {"sentence": "a"}),
        (4, {"sentence": "b"}),
    ]


def test_a_line_separator_within_a_text_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"sentence": "a\u2028b\x85c"}\n{"sentence": "d"}\n', encoding="utf-8")
    assert [one.line for one in everything(open_source(str(path)))] == [1, 2]


def test_a_huge_line_is_cut_and_costs_one_item(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    huge = b'{"sentence": "' + b"x" * 5000 + b'"}'
    path.write_bytes(b'{"sentence": "a"}\n' + huge + b'\n{"sentence": "b"}\n' + huge)
    form = JsonLines(Fields({}), json.loads)
    source = RecordsFile(str(path), form, most=1000)
    items = everything(source)
    assert [item.line for item in items] == [1, 2, 3, 4]
    assert isinstance(items[1].problem, LineTooLong)
    assert isinstance(items[3].problem, LineTooLong)
    assert len(items[1].raw) < 1100
    assert items[2].given == {"sentence": "b"}
    whole = RecordsFile(str(path), form)
    assert whole.sha256() == source.sha256()
    assert len(everything(whole)[1].given["sentence"]) == 5000


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b'[\n{"sentence": "a"}\n]\n', "jq -c"),
        (b'{\n  "sentence": "a"\n}\n', "jq -c"),
        (b'[{"sentence": "a"}, {"sentence": "b"}]', "jq -c"),
        (b"id,sentence\n1,a\n2,b\n", "--format csv"),
        (b"id\tsentence\n1\ta\n", "--format tsv"),
        (b"a great film\nor not\n", "--format text"),
        ('{"sentence": "a"}'.encode("utf-16"), "iconv -f UTF-16"),
        (b"PAR1....", "--format parquet"),
        (b"PK\x03\x04....", "workbook"),
    ],
)
def test_another_format_is_refused_with_the_way_out(
    tmp_path: Path, content: bytes, hint: str
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        open_source(str(path))
    assert hint in str(caught.value)
    assert "in.jsonl" in str(caught.value)


def test_an_empty_file_has_no_items(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"\n \n")
    source = open_source(str(tmp_path / "in.jsonl"), id_key="uid", columns={"sentence": "text"})
    assert source.count() == 0
    assert everything(source) == []


def test_a_missing_file_and_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.jsonl cannot be read"):
        open_source(str(tmp_path / "missing.jsonl"))
    with pytest.raises(ConfigurationError, match="no format 'cvs'; did you mean 'csv'"):
        open_source(str(tmp_path / "missing.jsonl"), format="cvs")


def test_several_files_are_one_source(tmp_path: Path) -> None:
    paths = []
    for number, count in enumerate((70, 0, 3, 80)):
        paths.append(tmp_path / f"{number}.jsonl")
        paths[-1].write_bytes(numbered(count))
    source = open_source([str(paths[0]), *paths[1:]])
    whole = everything(source)
    assert source.count() == len(whole) == 153
    assert [item.number for item in whole] == list(range(153))
    assert (whole[72].line, whole[72].file) == (4, str(paths[2]))
    assert list(source.items(60, 90)) == whole[60:90]
    assert list(source.items(150, 999)) == whole[150:]
    assert source.sha256() != open_source([*paths[1:], paths[0]]).sha256()
    assert open_source([]).count() == 0


def test_a_file_that_changes_is_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(numbered(10))
    source = open_source(str(path))
    assert source.count() == 10
    path.write_bytes(numbered(11))
    with pytest.raises(ConfigurationError, match="was changed while it was read"):
        list(source.items(0, 5))


def test_a_pickled_source_goes_on_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(numbered(100))
    source = open_source(str(path))
    list(source.items(0, 50))
    other = pickle.loads(pickle.dumps(source))
    assert list(other.items(50, 100)) == list(source.items(50, 100))
    assert other.sha256() == source.sha256()


def test_threads_share_a_source(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(numbered(300)))
    source = open_source(str(path))
    source.count()
    found: dict[int, list[int]] = {}

    def read(start: int) -> None:
        found[start] = [item.number for item in source.items(start, start + 50)]

    threads = [threading.Thread(target=read, args=(start,)) for start in range(0, 300, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {start: list(range(start, start + 50)) for start in range(0, 300, 50)}


def test_a_key_that_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [
        '{"sentence": "a", "sentence": "b"}',
        '{"sentence": "a", "sentence": "a"}',
        '{"sentence": "a", "more": {"x": 1, "x": [2]}}',
        '{"sentence": "a \\"sentence\\": b"}',
        '{"sentence"\t: "a", "sentence"  : "b"}',
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    first, same, inner, quoted, spaced = everything(open_source(str(path)))
    assert "'sentence' is there twice, with 'a' and 'b'; keep one" in str(first.problem)
    assert same.given == {"sentence": "a"}
    assert "'x' is there twice" in str(inner.problem)
    assert quoted.given == {"sentence": 'a "sentence": b'}
    assert str(spaced.problem) == str(first.problem)


def test_a_byte_order_mark_where_files_were_joined(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"sentence": "a"}\r\n' * 3)
    assert [item.given for item in everything(open_source(str(path)))] == [{"sentence": "a"}] * 3


def test_bytes_are_no_list_of_inputs() -> None:
    with pytest.raises(ConfigurationError, match="a list of objects or a table, not bytes"):
        open_source(b"a film")
