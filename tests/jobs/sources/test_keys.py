"""What a predictor reads of a line: under another key, or of a line that is a text."""

from __future__ import annotations

from pathlib import Path

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.jobs.sources import open_source

from .read import everything, written


class TestKeys:
    """What a predictor reads under another key."""

    def test_a_key_can_be_named(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = written(tmp_path / "in.jsonl", {"review": "a", "n": 1}, {"n": 2})
        source = open_source(path, columns={"sentence": "review"}, predictor=sentiment)
        first, second = everything(source)
        assert first.given == {"sentence": "a", "n": 1}
        assert first.raw == {"review": "a", "n": 1}
        assert "'review' is not there" in str(second.problem)

    def test_the_only_text_is_taken(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = written(tmp_path / "in.jsonl", {"id": "x1", "review": "a", "stars": 4})
        (item,) = everything(open_source(path, predictor=sentiment))
        assert item.given == {"sentence": "a", "id": "x1", "stars": 4}

    def test_one_of_many_has_to_be_named(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = written(tmp_path / "in.jsonl", {"title": "t", "review": "a"})
        with pytest.raises(ConfigurationError) as caught:
            open_source(path, predictor=sentiment)
        assert "'title', 'review'" in str(caught.value)
        assert "--columns sentence=COLUMN" in str(caught.value)

    def test_two_texts_are_not_guessed(self, tmp_path: Path, entailment: Predictor) -> None:
        path = written(tmp_path / "in.jsonl", {"premise": "t", "sentence2": "a"})
        with pytest.raises(ConfigurationError, match="--columns hypothesis=COLUMN"):
            open_source(path, predictor=entailment)
        columns = {"hypothesis": "sentence2"}
        (item,) = everything(open_source(path, columns=columns, predictor=entailment))
        assert item.given == {"premise": "t", "hypothesis": "a"}

    def test_a_key_that_is_not_known_here(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = written(tmp_path / "in.jsonl", {"a": "t", "b": "u"})
        columns = {"own_key": "a"}
        (item,) = everything(open_source(path, columns=columns, predictor=sentiment))
        assert item.given == {"own_key": "t", "b": "u"}

    def test_a_column_that_is_not_there(self, tmp_path: Path) -> None:
        path = written(tmp_path / "in.jsonl", {"review": "a"})
        with pytest.raises(ConfigurationError, match=r"no column 'reviw' for 'sentence'.*'review'"):
            open_source(path, columns={"sentence": "reviw"})

    def test_the_predictor_parses(self, tmp_path: Path, bert: Predictor) -> None:
        path = written(tmp_path / "in.jsonl", {"text": "a"})
        (item,) = everything(open_source(path, predictor=bert))
        assert item.given == {next(iter(bert.text_keys)): "a"}  # type: ignore[attr-defined]


class TestPlainText:
    """A text a line."""

    def test_a_line_is_a_text(self, tmp_path: Path, sentiment: Predictor) -> None:
        path = tmp_path / "in.txt"
        path.write_bytes(b"\xef\xbb\xbfa great film\r\n\n  caf\xc3\xa9 \nnot \xe9\n")
        items = everything(open_source(str(path), predictor=sentiment))
        assert [(one.line, one.given) for one in items] == [
            (1, {"sentence": "a great film"}),
            (3, {"sentence": "  café "}),
            (4, None),
        ]
        assert isinstance(items[2].problem, UnicodeDecodeError)
        assert "convert this one, such as by iconv -f LATIN1" in str(items[2].problem)
        assert items[2].raw == "not \\xe9"

    def test_where_two_texts_are_read(self, tmp_path: Path, entailment: Predictor) -> None:
        (tmp_path / "in.txt").write_text("a\n")
        with pytest.raises(ConfigurationError, match="reads premise and hypothesis"):
            open_source(str(tmp_path / "in.txt"), predictor=entailment)
        with pytest.raises(ConfigurationError, match="write an object a line"):
            open_source(str(tmp_path / "in.txt"))
