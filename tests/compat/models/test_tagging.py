"""Predictors that read part-of-speech tags: never silently empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import SpacyTokenizer

MISSING = "en_missing"


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a spaCy pipeline that takes every word for a verb."""
    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("attribute_ruler")
    ruler.add([[{"IS_SPACE": False}]], {"POS": "VERB", "TAG": "VB"})
    path = tmp_path_factory.mktemp("tagged")
    pipeline.to_disk(path)
    return str(path)


class Reader:
    """Takes what a predictor gives it."""

    use_language_specific_pos = False

    def text_to_instance(self, *args: Any) -> Any:
        """What it was given."""
        return args


def _predictor(name: str, language: str, **model: Any) -> Any:
    from allennlp_models.structured_prediction import predictors

    given = torch.nn.Linear(1, 1)
    for attribute, value in {"vocab": None, **model}.items():
        setattr(given, attribute, value)
    return getattr(predictors, name)(given, Reader(), language=language)


def _ask(predictor: Any) -> Any:
    if hasattr(predictor, "_sentence_to_srl_instances"):
        return predictor._sentence_to_srl_instances({"sentence": "It works"})
    if type(predictor).__name__ == "OpenIePredictor":
        return predictor.predict_json({"sentence": "It works"})
    return predictor._json_to_instance({"sentence": "It works"})


READERS = {
    "SemanticRoleLabelerPredictor": {},
    "OpenIePredictor": {"forward_on_instance": lambda instance: {"tags": ["O", "B-V"]}},
    "BiaffineDependencyParserPredictor": {"_pos_tag_embedding": object()},
    "ConstituencyParserPredictor": {"pos_tag_embedding": object()},
}


@pytest.mark.filterwarnings("ignore:The spaCy model")
@pytest.mark.parametrize(("name", "model"), READERS.items(), ids=READERS.keys())
def test_without_tags_the_error_says_what_to_install(
    name: str, model: dict[str, Any], tagged: str, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match=rf"{name} reads .*spacy download {MISSING}.*predictor-args"):
        _ask(_predictor(name, MISSING, **model))
    # One that is there and has no tagger is no better.
    spacy.blank("en").to_disk(tmp_path)
    with pytest.raises(OSError, match="has no tagger"):
        _ask(_predictor(name, str(tmp_path), **model))
    assert _ask(_predictor(name, tagged, **model))


@pytest.mark.filterwarnings("ignore:The spaCy model")
def test_srl_of_words_needs_tags_too(tagged: str) -> None:
    with pytest.raises(OSError, match="reads part-of-speech tags"):
        _predictor("SemanticRoleLabelerPredictor", MISSING).predict_tokenized(["It", "works"])
    predictor = _predictor("SemanticRoleLabelerPredictor", tagged)
    assert len(predictor.tokens_to_instances(predictor._tokenizer.tokenize("It works"))) == 2
    assert predictor.tokens_to_instances([]) == []


@pytest.mark.filterwarnings("ignore:The spaCy model")
@pytest.mark.parametrize(
    "name", ["BiaffineDependencyParserPredictor", "ConstituencyParserPredictor"]
)
def test_parsers_that_read_no_tags_need_none(name: str) -> None:
    words, _ = _ask(_predictor(name, MISSING))
    assert words == ["It", "works"]


@pytest.mark.filterwarnings("ignore:The spaCy model")
@pytest.mark.parametrize("feature", ["pos_", "tag_", "lemma_", "dep_", "ent_type_"])
def test_indexers_of_what_is_not_there_say_so(feature: str) -> None:
    tokens = SpacyTokenizer(MISSING).tokenize("It works")
    indexer = SingleIdTokenIndexer(feature_name=feature)
    with pytest.raises(ValueError, match=f"did not have attribute {feature}"):
        indexer.count_vocab_items(tokens[0], {})
    # The user said what stands for it.
    counter: dict[str, dict[str, int]] = {"tokens": {"NONE": 0}}
    SingleIdTokenIndexer(feature_name=feature, default_value="NONE").count_vocab_items(
        tokens[0], counter
    )
    assert counter["tokens"] == {"NONE": 1}


def test_what_an_installed_pipeline_leaves_empty_stays_empty(tagged: str) -> None:
    tokens = SpacyTokenizer(tagged).tokenize("It works")
    assert [(token.pos_, token.tag_, token.ent_type_) for token in tokens] == [
        ("VERB", "VB", "")
    ] * 2
