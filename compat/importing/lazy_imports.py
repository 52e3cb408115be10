"""What AllenNLP imports at its start and text prediction never needs, imported when it is used.

`import allennlp` and each of its commands import spaCy, nltk, scikit-learn, SciPy's statistics and
the clients of two cloud stores. Each module below gets stand-ins for what it only names (see
`stand_ins`). Where the library is imported already, the module gets the real thing at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from ..registry import around
from .deferring_import import Deferred, DeferringImport, show_real_things

WHY = "imports what text prediction does not need; imported when it is used"
SWITCH = "ALLENNLP_SALIENCY_LAZY_IMPORTS"
"""An environment variable: "0" has everything imported at the start, as AllenNLP itself does."""

_SPACY_TOKEN = Deferred(("spacy", "spacy.tokens.Token"))
_SKLEARN = Deferred(
    ("sklearn", "scipy"), also={"sklearn": ("sklearn.svm",), "scipy": ("scipy.linalg",)}
)
_ASSIGNMENT = "scipy.optimize.linear_sum_assignment"
_BART = "transformers.models.bart.modeling_bart"
_BERT = "transformers.models.bert.modeling_bert"
_GPT2 = "transformers.models.gpt2.modeling_gpt2"
_M = "allennlp_models"

DEFERRED = {
    "allennlp": Deferred(("spacy",)),
    "allennlp.common.util": Deferred(
        (
            "spacy",
            "spacy.tokens.Token",
            "spacy.cli.download.download",
            "spacy.language.Language",
        )
    ),
    "allennlp.common.file_utils": Deferred(("lmdb",)),
    "allennlp.common.cached_transformers": Deferred(
        ("transformers", "transformers.PreTrainedModel")
    ),
    "allennlp.data.fields.text_field": _SPACY_TOKEN,
    "allennlp.data.token_indexers.spacy_indexer": _SPACY_TOKEN,
    "allennlp.data.tokenizers.sentence_splitter": Deferred(("spacy",)),
    "allennlp.data.tokenizers.spacy_tokenizer": Deferred(
        ("spacy", "spacy.tokens.Doc", "spacy.tokens.Token")
    ),
    "allennlp.fairness.bias_direction": _SKLEARN,
    "allennlp.fairness.bias_mitigators": _SKLEARN,
    "allennlp.fairness.fairness_metrics": Deferred(("scipy.stats.wasserstein_distance",)),
    "allennlp.modules.elmo": Deferred(("h5py",)),
    "allennlp.modules.elmo_lstm": Deferred(("h5py",)),
    "allennlp.modules.token_embedders.embedding": Deferred(("h5py",)),
    "allennlp.modules.transformer.activation_layer": Deferred((f"{_BERT}.ACT2FN",)),
    "allennlp.training.callbacks.tensorboard": Deferred(("tensorboardX.SummaryWriter",)),
    "allennlp.training.metrics.auc": Deferred(("sklearn.metrics",)),
    "allennlp.training.metrics.evalb_bracketing_scorer": Deferred(("nltk.Tree",)),
    "allennlp.training.metrics.spearman_correlation": Deferred(("scipy.stats",)),
    "cached_path.schemes.gs": Deferred(
        (
            "google.cloud.storage",
            "google.cloud.storage.Client",
            "google.cloud.storage.blob.Blob",
            "google.cloud.storage.retry.DEFAULT_RETRY",
        )
    ),
    "cached_path.schemes.r2": Deferred(
        ("boto3.dynamodb", "boto3.session", "botocore.config.Config")
    ),
    "cached_path.schemes.s3": Deferred(("boto3.session", "botocore.client")),
    # Every model of transformers 5 imports the losses of those that find objects in images.
    **{
        f"transformers.loss.loss_{name}": Deferred((_ASSIGNMENT,))
        for name in (
            *("deformable_detr", "for_object_detection", "grounding_dino"),
            *("lw_detr", "rf_detr", "rt_detr"),
        )
    },
    # allennlp-models
    f"{_M}.classification.dataset_readers.stanford_sentiment_tree_bank": Deferred(
        ("nltk.tree.Tree",)
    ),
    f"{_M}.common.ontonotes": Deferred(("nltk.Tree",)),
    f"{_M}.coref.metrics.conll_coref_scores": Deferred((_ASSIGNMENT,)),
    f"{_M}.coref.predictors.coref": Deferred(("spacy.tokens.Doc",)),
    f"{_M}.generation.dataset_readers.cnn_dm": Deferred(("ftfy",)),
    f"{_M}.generation.models.bart": Deferred(
        (f"{_BART}.BartModel", f"{_BART}.BartForConditionalGeneration")
    ),
    f"{_M}.lm.modules.language_model_heads.bert": Deferred(
        (f"{_BERT}.BertConfig", f"{_BERT}.BertForMaskedLM")
    ),
    f"{_M}.lm.modules.language_model_heads.gpt2": Deferred(
        (f"{_GPT2}.GPT2Config", f"{_GPT2}.GPT2LMHeadModel")
    ),
    f"{_M}.rc.tools.drop": Deferred((_ASSIGNMENT,)),
    f"{_M}.structured_prediction.dataset_readers.penn_tree_bank": Deferred(
        ("nltk.corpus.reader.bracket_parse.BracketParseCorpusReader", "nltk.tree.Tree")
    ),
    f"{_M}.structured_prediction.models.constituency_parser": Deferred(("nltk.Tree",)),
    f"{_M}.structured_prediction.models.srl_bert": Deferred((f"{_BERT}.BertModel",)),
    f"{_M}.structured_prediction.predictors.srl": Deferred(("spacy.tokens.Doc",)),
}


def wanted() -> bool:
    """Whether imports are to be deferred; the environment may say no."""
    return os.environ.get(SWITCH) != "0"


@contextmanager
def deferring(module: ModuleType, deferred: Deferred) -> Iterator[DeferringImport]:
    """Give a module stand-ins while it is executed, and show only real things afterwards.

    Args:
        module: the module, before it is executed.
        deferred: what it does not need at once.
    """
    importing = DeferringImport(module, deferred)
    try:
        yield importing
    finally:
        importing.hand_back()
    show_real_things(module)


def _stand_ins_in(name: str, deferred: Deferred) -> Callable[[], Iterator[DeferringImport | bool]]:
    def lazy_imports() -> Iterator[DeferringImport | bool]:
        """Stand-ins in the module's own namespace, while and after it is executed."""
        if not wanted():
            yield False
            return
        with deferring(sys.modules[name], deferred) as importing:
            yield importing

    return lazy_imports


for _name, _deferred in DEFERRED.items():
    around(_name, why=WHY, optional=True)(_stand_ins_in(_name, _deferred))
