"""A spaCy model that is not installed is never downloaded."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import spacy
from allennlp.common import util
from allennlp.data.tokenizers import SpacyTokenizer
from allennlp.data.tokenizers.sentence_splitter import SpacySentenceSplitter


@pytest.fixture(autouse=True)
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing loaded, and a download that fails the test."""

    def download(name: str) -> None:
        raise AssertionError(f"tried to download {name}")

    monkeypatch.setattr(util, "LOADED_SPACY_MODELS", {})
    monkeypatch.setattr(util, "spacy_download", download)


def test_tokens_without_the_model() -> None:
    with pytest.warns(UserWarning, match="'en_missing' is not installed.*tags.*are empty"):
        tokenizer = SpacyTokenizer("en_missing")
    tokens = tokenizer.tokenize("It isn't bad.")
    assert [token.text for token in tokens] == ["It", "is", "n't", "bad", "."]
    assert [token.idx for token in tokens] == [0, 3, 5, 9, 12]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SpacyTokenizer("en_missing")


def test_sentences_by_rule_without_the_model() -> None:
    with pytest.warns(UserWarning, match="not installed"):
        splitter = SpacySentenceSplitter("en_missing", rule_based=True)
    assert splitter.split_sentences("It works. It does.") == ["It works.", "It does."]


def test_parse_and_ner_need_the_model() -> None:
    with pytest.raises(OSError, match="'en_missing' is not installed, and parse and ner cannot"):
        SpacyTokenizer("en_missing", parse=True, ner=True)


def test_an_installed_model_is_used(tmp_path: Path) -> None:
    model = spacy.blank("en")
    model.meta["name"] = "mine"
    model.to_disk(tmp_path / "mine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = util.get_spacy_model(str(tmp_path / "mine"), parse=True)
    assert loaded.meta["name"] == "mine"
