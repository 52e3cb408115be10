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

from ..registry import around
from .deferring_import import Deferred, DeferringImport, show_real_things

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
