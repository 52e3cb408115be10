"""Modules of allennlp-models that use what they import as soon as they are imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

from ..registry import around
from .deferring_import import Deferred, DeferringImport
from .lazy_imports import WHY, deferring, wanted
from .stand_ins import Call, Source, StandIn, fetched

_NARRATIVE_QA = "allennlp_models.rc.tools.narrativeqa"
_TAGS = "allennlp_models.structured_prediction.predictors.util"
_TREES = "allennlp_models.structured_prediction.predictors.constituency_parser"
_SYMBOLS = "POS PUNCT SYM ADJ CCONJ NUM DET ADV ADP X VERB NOUN PROPN PART INTJ SPACE PRON"


def resource_filename(package_or_module: str, resource_name: str) -> str:
    """The path of a file beside a module, as `pkg_resources.resource_filename` gives it."""
    folder = os.path.dirname(str(sys.modules[package_or_module].__file__))
    return os.path.join(folder, resource_name)


@around(
    "rouge.rouge",
    why="it imports pkg_resources, which setuptools 82 and newer do not have",
    optional=True,
)
def rouge_resources() -> Iterator[DeferringImport]:
    """The one function of pkg_resources that py-rouge calls, where that is gone."""
    if find_spec("pkg_resources") is not None:
        return
    given = {"pkg_resources": SimpleNamespace(resource_filename=resource_filename)}
    with deferring("rouge.rouge", Deferred(given=given)) as importing:
        yield importing


@around(
    _NARRATIVE_QA,
    why="its import asks nltk for its data, downloads what is missing, and sets up py-rouge",
    optional=True,
)
def narrative_qa() -> Iterator[DeferringImport]:
    """Download nothing, and set up what scores answers when an answer is scored."""
    if not wanted() or find_spec("rouge") is None or find_spec("nltk") is None:
        return
    namespace = vars(sys.modules[_NARRATIVE_QA])
    deferred = Deferred(
        imports=(
            "nltk.translate.bleu_score.sentence_bleu",
            "nltk.tokenize.word_tokenize",
            "nltk.translate.meteor_score.meteor_score",
        ),
        given={
            # While the module is executed, nltk has all the data that it is asked for.
            "nltk": SimpleNamespace(data=SimpleNamespace(find=lambda resource: None)),
            "rouge": SimpleNamespace(
                Rouge=lambda **settings: StandIn(
                    Call("rouge", "Rouge", keywords=settings), namespace
                )
            ),
        },
    )
    with deferring(_NARRATIVE_QA, deferred) as importing:
        yield importing
        for name in ("nltk", "rouge"):
            namespace[name] = StandIn(Source(name), namespace)


@dataclass(frozen=True, eq=False)
class FeatureTable(Source):
    """A table of spaCy's features by tag, which gets spaCy's numbers when it is read.

    Args:
        table: the features by tag, with stand-ins for the numbers.
    """

    table: dict[str, dict[Any, Any]] = field(default_factory=dict)

    @property
    def loaded(self) -> bool:
        """Never: the numbers are not there yet."""
        return False

    def fetch(self) -> dict[str, dict[Any, Any]]:
        """The same table, with the numbers."""

        def number(value: Any) -> Any:
            return fetched(value) if type(value) is StandIn else value

        for tag, features in list(self.table.items()):
            self.table[tag] = {number(name): number(value) for name, value in features.items()}
        return self.table

    def may_have_made(self, classes: Iterable[type]) -> bool:
        """A table makes nothing."""
        return False


@around(_TAGS, why=WHY, optional=True)
def feature_table() -> Iterator[DeferringImport]:
    """The features of spaCy's tags without spaCy, until somebody reads them."""
    if not wanted() or "spacy.symbols" in sys.modules:
        return
    symbols = Deferred(tuple(f"spacy.symbols.{name}" for name in _SYMBOLS.split()))
    with deferring(_TAGS, symbols) as importing:
        yield importing
        _stand_for_table(vars(sys.modules[_TAGS]))


@around(_TREES, why=WHY, optional=True)
def constituency_parser() -> Iterator[DeferringImport]:
    """The tags themselves, without their features, are all that this module needs at first."""
    table = vars(import_module(_TAGS)).get("TAG_MAP")
    source = table._source if type(table) is StandIn else None
    if not wanted() or not isinstance(source, FeatureTable):
        return
    tags = SimpleNamespace(TAG_MAP=source.table)
    with deferring(_TREES, Deferred(("nltk.Tree",), given={"util": tags})) as importing:
        yield importing
        _stand_for_table(vars(sys.modules[_TREES]))


def _stand_for_table(namespace: dict[str, Any]) -> None:
    table = namespace["TAG_MAP"]
    namespace["TAG_MAP"] = StandIn(FeatureTable("spacy", table=table), namespace)
