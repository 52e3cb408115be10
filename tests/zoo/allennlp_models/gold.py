"""Instances as a dataset reader makes them of a file with targets."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any
from unittest.mock import patch

from allennlp.data import Instance
from allennlp.data.vocabulary import DEFAULT_OOV_TOKEN
from allennlp.predictors import Predictor
from nltk import Tree

from .archives import JsonDict


def _name(predictor: Predictor, namespace: str) -> str:
    """The last entry of a namespace, which is rarely what a model predicts."""
    names = predictor._model.vocab.get_token_to_index_vocabulary(namespace)
    return [one for one in names if one != DEFAULT_OOV_TOKEN][-1]


def _tree(predictor: Predictor, given: JsonDict) -> JsonDict:
    words = [Tree("X", [word]) for word in given["tokens"]]
    return {"gold_tree": Tree(_name(predictor, "labels"), words)}


def _class(predictor: Predictor, given: JsonDict) -> JsonDict:
    return {"label": _name(predictor, "labels")}


def _tags(name: str) -> Callable[[Predictor, JsonDict], JsonDict]:
    return lambda predictor, given: {name: ["O"] * len(given["tokens"])}


def _span(predictor: Predictor, given: JsonDict) -> JsonDict:
    first = given["passage_text"].split()[0]
    return {"char_spans": [(0, len(first))], "answer_texts": [first]}


_NUMBER = {"number": "3", "date": {}, "spans": []}
# By the name of a reader's class, what `text_to_instance` takes besides, in a file with targets.
_GOLD: dict[str, Callable[[Predictor, JsonDict], JsonDict]] = {
    "StanfordSentimentTreeBankDatasetReader": lambda predictor, _: {
        "sentiment": _name(predictor, "labels")
    },
    "SquadReader": _span,
    "DropReader": lambda *_: {"answer_annotations": [_NUMBER]},
    "TransformerSquadReader": lambda *_: {"answers": ["x"], "token_answer_span": (0, 0)},
    "QuoraParaphraseDatasetReader": _class,
    "SnliReader": _class,
    "CommonsenseQaReader": lambda *_: {"label": 0},
    "PiqaReader": lambda *_: {"label": 0},
    "SwagReader": lambda *_: {"label": 0},
    "PennTreeBankConstituencySpanDatasetReader": _tree,
    "ConllCorefReader": lambda *_: {"gold_clusters": [[(0, 0), (1, 1)]]},
    "Conll2003DatasetReader": _tags("ner_tags"),
    "SrlReader": _tags("tags"),
    "UniversalDependenciesDatasetReader": lambda predictor, given: {
        "dependencies": [(_name(predictor, "head_tags"), 0)] * len(given["words"])
    },
    "MaskedLanguageModelingReader": lambda _, given: {
        "targets": ["film"] * given["sentence"].count("[MASK]")
    },
    "NextTokenLMReader": lambda *_: {"target": "film"},
    "Seq2SeqDatasetReader": lambda *_: {"target_string": "john knew awful"},
    "CopyNetDatasetReader": lambda *_: {"target_string": "john knew awful", "weight": 0.5},
}
# The predictor gives the reader spans that stand for unknown answers.
_ALWAYS = ("QuACReader",)


def with_gold(predictor: Predictor, read: Callable[[], Any]) -> list[Instance]:
    """What a reader makes of the texts that a predictor gives it, with a target.

    Args:
        predictor: The predictor.
        read: Makes the predictor read an input.

    Returns:
        One instance for each call of `text_to_instance`; empty where a reader has no instances
        without a target.
    """
    reader: Any = predictor._dataset_reader
    kind = type(reader).__name__
    if kind in _ALWAYS:
        return []
    own = reader.text_to_instance
    calls: list[JsonDict] = []

    def note(*args: Any, **options: Any) -> Instance:
        calls.append(dict(signature(own).bind(*args, **options).arguments))
        return own(*args, **options)

    with patch.object(reader, "text_to_instance", note):
        read()
    return [own(**{**one, **_GOLD[kind](predictor, one)}) for one in calls]
