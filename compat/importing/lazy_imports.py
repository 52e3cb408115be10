"""What AllenNLP imports at its start and text prediction never needs, imported when it is used.

`import allennlp` and each of its commands import spaCy, nltk, scikit-learn, SciPy's statistics and
the clients of two cloud stores. Each module below gets stand-ins for what it only names (see
`stand_ins`). Where the library is imported already, the module gets the real thing at once.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from ..registry import around
from .deferring_import import Deferred, DeferringImport, show_real_things
from .stand_ins import Call, Source, StandIn, fetched

WHY = "imports what text prediction does not need; imported when it is used"
SWITCH = "ALLENNLP_SALIENCY_LAZY_IMPORTS"
"""An environment variable: "0" has everything imported at the start, as AllenNLP itself does."""

_SKLEARN = Deferred(
    ("sklearn", "scipy"), also={"sklearn": ("sklearn.svm",), "scipy": ("scipy.linalg",)}
)
_ASSIGNMENT = "scipy.optimize.linear_sum_assignment"
_BART, _BERT, _GPT2 = (
    f"transformers.models.{name}.modeling_{name}" for name in ("bart", "bert", "gpt2")
)
_M = "allennlp_models"
_PARSING = f"{_M}.structured_prediction"
_STORAGE = "google.cloud.storage"

# By the module that imports them, full names of what it does not need at once.
_NAMES = {
    "allennlp": "spacy",
    "allennlp.common.util": "spacy spacy.tokens.Token spacy.cli.download.download "
    "spacy.language.Language",
    "allennlp.common.file_utils": "lmdb",
    "allennlp.common.cached_transformers": "transformers transformers.PreTrainedModel",
    "allennlp.data.fields.text_field": "spacy spacy.tokens.Token",
    "allennlp.data.token_indexers.spacy_indexer": "spacy spacy.tokens.Token",
    "allennlp.data.tokenizers.sentence_splitter": "spacy",
    "allennlp.data.tokenizers.spacy_tokenizer": "spacy spacy.tokens.Doc spacy.tokens.Token",
    "allennlp.fairness.fairness_metrics": "scipy.stats.wasserstein_distance",
    "allennlp.modules.elmo": "h5py",
    "allennlp.modules.elmo_lstm": "h5py",
    "allennlp.modules.token_embedders.embedding": "h5py",
    "allennlp.modules.transformer.activation_layer": f"{_BERT}.ACT2FN",
    "allennlp.training.callbacks.tensorboard": "tensorboardX.SummaryWriter",
    "allennlp.training.metrics.auc": "sklearn.metrics",
    "allennlp.training.metrics.evalb_bracketing_scorer": "nltk.Tree",
    "allennlp.training.metrics.spearman_correlation": "scipy.stats",
    "cached_path.schemes.gs": f"{_STORAGE} {_STORAGE}.Client {_STORAGE}.blob.Blob "
    f"{_STORAGE}.retry.DEFAULT_RETRY",
    "cached_path.schemes.r2": "boto3.dynamodb boto3.session botocore.config.Config",
    "cached_path.schemes.s3": "boto3.session botocore.client",
    f"{_M}.classification.dataset_readers.stanford_sentiment_tree_bank": "nltk.tree.Tree",
    f"{_M}.common.ontonotes": "nltk.Tree",
    f"{_M}.coref.metrics.conll_coref_scores": _ASSIGNMENT,
    f"{_M}.coref.predictors.coref": "spacy.tokens.Doc",
    f"{_M}.generation.dataset_readers.cnn_dm": "ftfy",
    f"{_M}.generation.models.bart": f"{_BART}.BartModel {_BART}.BartForConditionalGeneration",
    f"{_M}.lm.modules.language_model_heads.bert": f"{_BERT}.BertConfig {_BERT}.BertForMaskedLM",
    f"{_M}.lm.modules.language_model_heads.gpt2": f"{_GPT2}.GPT2Config {_GPT2}.GPT2LMHeadModel",
    f"{_M}.rc.tools.drop": _ASSIGNMENT,
    f"{_PARSING}.dataset_readers.penn_tree_bank": (
        "nltk.corpus.reader.bracket_parse.BracketParseCorpusReader nltk.tree.Tree"
    ),
    f"{_PARSING}.models.constituency_parser": "nltk.Tree",
    f"{_PARSING}.models.srl_bert": f"{_BERT}.BertModel",
    f"{_PARSING}.predictors.srl": "spacy.tokens.Doc",
}
# Every model of transformers 5 imports the losses of those that find objects in images.
_LOSSES = "deformable_detr for_object_detection grounding_dino lw_detr rf_detr rt_detr"

DEFERRED = {
    **{module: Deferred(tuple(names.split())) for module, names in _NAMES.items()},
    **{f"transformers.loss.loss_{name}": Deferred((_ASSIGNMENT,)) for name in _LOSSES.split()},
    "allennlp.fairness.bias_direction": _SKLEARN,
    "allennlp.fairness.bias_mitigators": _SKLEARN,
}


def wanted() -> bool:
    """Whether imports are to be deferred; the environment may say no."""
    return os.environ.get(SWITCH) != "0"


@contextmanager
def deferring(name: str, deferred: Deferred) -> Iterator[DeferringImport]:
    """Give the module of this name stand-ins while it is executed, and show only real things
    afterwards."""
    module = sys.modules[name]
    importing = DeferringImport(module, deferred)
    try:
        yield importing
    finally:
        importing.hand_back()
    show_real_things(module)


def _stand_ins_in(name: str, deferred: Deferred) -> Callable[[], Iterator[DeferringImport]]:
    def lazy_imports() -> Iterator[DeferringImport]:
        """Stand-ins in the module's own namespace, while and after it is executed."""
        if wanted():
            with deferring(name, deferred) as importing:
                yield importing

    return lazy_imports


for _name, _deferred in DEFERRED.items():
    around(_name, why=WHY, optional=True)(_stand_ins_in(_name, _deferred))


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


@around(
    "allennlp_models.rc.tools.narrativeqa",
    why="its import downloads nltk's data, and every command of AllenNLP imports it",
)
def nltk_download() -> Iterator[bool]:
    """Download nothing during the import; where the data is missing, nltk says so when asked.

    Where imports wait until they are used, a stand-in sees to it.
    """
    if wanted():
        return
    import nltk

    original, importer = nltk.download, threading.get_ident()

    def download(*args: Any, **kwargs: Any) -> Any:
        return threading.get_ident() != importer and original(*args, **kwargs)

    with patch.object(nltk, "download", download):
        yield True
