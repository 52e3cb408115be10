"""What is explained of the predictors of allennlp-models and of AllenNLP, one file a kind.

Nothing here imports allennlp-models: its predictors are known by their classes' names. A file of
this package is imported when a predictor is interpreted that needs it.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    PredictionLabels,
    labels_for,
)

_CORE, _M = "allennlp.predictors", "allennlp_models"
_LM, _MC, _RC = (f"{_M}.{name}.predictors" for name in ("lm", "mc", "rc"))
_PARSING = f"{_M}.structured_prediction.predictors"
_PAIRS = f"{_M}.pair_classification.predictors.textual_entailment"


def kinds_of(thing: Any) -> list[str]:
    """The full names of an object's class and of those that it is derived from, in that order."""
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(thing).__mro__]


def _made(place: str) -> PredictionLabels:
    module, _, name = place.rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), name)()


def _register(place: str, *predictors: str, model: str | None = None) -> None:
    labels: Any = partial(_made, place)
    labels_for(*predictors, model=model)(labels)


_register(
    "classification.ClassLabels",
    f"{_CORE}.text_classifier.TextClassifierPredictor",
    f"{_PAIRS}.TextualEntailmentPredictor",
)
_register("multitask.TaskLabels", f"{_CORE}.multitask.MultiTaskPredictor")
_register(
    "structure.tags.RandomFieldLabels",
    f"{_CORE}.sentence_tagger.SentenceTaggerPredictor",
    model=f"{_M}.tagging.models.crf_tagger.CrfTagger",
)
for _place, _predictor in {
    "multiple_choice.AlternativeLabels": f"{_MC}.transformer_mc.TransformerMCPredictor",
    "reading.dialog_qa.DialogQALabels": f"{_RC}.dialog_qa.DialogQAPredictor",
    "reading.reading_comprehension.ReadingComprehensionLabels": (
        f"{_RC}.bidaf.ReadingComprehensionPredictor"
    ),
    "reading.transformer_qa.TransformerQALabels": f"{_RC}.transformer_qa.TransformerQAPredictor",
    "structure.parses.ConstituentLabels": (
        f"{_PARSING}.constituency_parser.ConstituencyParserPredictor"
    ),
    "structure.coreference.AntecedentLabels": f"{_M}.coref.predictors.coref.CorefPredictor",
    "structure.parses.ArcLabels": (
        f"{_PARSING}.biaffine_dependency_parser.BiaffineDependencyParserPredictor"
    ),
    "structure.tags.OpenInformationLabels": f"{_PARSING}.openie.OpenIePredictor",
    "structure.tags.SemanticRoleLabels": f"{_PARSING}.srl.SemanticRoleLabelerPredictor",
    "writing.language_models.MaskedTokenLabels": (
        f"{_LM}.masked_language_model.MaskedLanguageModelPredictor"
    ),
    "writing.language_models.NextTokenLabels": f"{_LM}.next_token_lm.NextTokenLMPredictor",
    "writing.seq2seq.Seq2SeqLabels": f"{_M}.generation.predictors.seq2seq.Seq2SeqPredictor",
}.items():
    _register(_place, _predictor)
