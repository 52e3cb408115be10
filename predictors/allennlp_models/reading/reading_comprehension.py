"""Reading comprehension: why the answer stands here, or is this number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from allennlp.data import Instance
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.inputs.explained import LOG_LIKELIHOOD, Explained, explained_by
from allennlp_saliency.interpret.interpreter.predictor_labels import (
    Forward,
    PredictionLabels,
    labels_for,
)

from ..kinds import kinds_of
from .number_answers import Answer, number_answer, of_numbers
from .span_answers import ensemble_layers, of_ensemble, of_spans, span_answer


@labels_for("allennlp_models.rc.predictors.bidaf.ReadingComprehensionPredictor")
class ReadingComprehensionLabels(PredictionLabels):
    """The best answer: a span by log p(start) + log p(end), one of NAQANet's four kinds by its
    log-probability and that of its kind."""

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        if "best_span" in outputs:
            return [span_answer(instance, outputs)]
        answer = outputs.get("answer")
        if isinstance(answer, dict) and "answer_type" in answer:
            return [number_answer(instance, outputs)]
        raise InterpretationError(
            f"{type(predictor._model).__name__} returns neither a 'best_span' nor an 'answer' with "
            f"a type, only {sorted(outputs)}, so what it answers is not known here; override "
            f"predictions_to_labeled_instances in {type(predictor).__name__}"
        )

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        """The logits of spans; the log-probability of other answers, by the same input alone."""
        what = explained_by(instance)
        names = ("span_start_logits", "span_end_logits")
        if what is None or all(name in outputs for name in names):
            return super().expected(model, instance, outputs)
        alone = model.forward_on_instance(instance)
        return {LOG_LIKELIHOOD: float(alone[LOG_LIKELIHOOD])}

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            return run(**inputs)
        choices = [one.choice for one in what]
        if isinstance(choices[0], Answer):
            return of_numbers(model, run, inputs, choices)
        if _is_ensemble(model):
            return of_ensemble(model, run, inputs, choices)
        return of_spans(run(**inputs), choices)

    def attach(self, model: Model) -> None:
        """As for others; an ensemble names the layers of all its members."""
        super().attach(model)
        if _is_ensemble(model):
            own: Any = model
            own.text_layers = partial(ensemble_layers, model)


def _is_ensemble(model: Model) -> bool:
    return "allennlp_models.rc.models.bidaf_ensemble.BidafEnsemble" in kinds_of(model)
