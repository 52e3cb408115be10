"""Classes of texts and of pairs of texts.

AllenNLP's predictors look for the class in the one output that the model of their task has. Of a
model that returns another (BiMPM, a `basic_classifier` for entailment, the biattentive
classification network) they could say no label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from allennlp.data import Instance
from allennlp.data.fields import LabelField
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.inputs.explained import Explained, explained
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import PredictionLabels
from allennlp_saliency.interpret.target.outputs import LOGITS, PROBABILITIES

_LABEL = "label"
# A model names its prediction by its probabilities.
_SCORES = (*PROBABILITIES, *LOGITS)


class ClassLabels(PredictionLabels):
    """The class with the highest logit or probability, whichever the model returns."""

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        scores = next((outputs[key] for key in _SCORES if key in outputs), None)
        if scores is None or np.ndim(scores) != 1:
            model = type(predictor._model).__name__
            raise InterpretationError(
                f"{model} returns neither logits nor probabilities of its classes (looked for "
                f"{', '.join(_SCORES)}), only {sorted(outputs)}; return one of "
                f"them, or override predictions_to_labeled_instances in "
                f"{type(predictor).__name__}"
            )
        label = LabelField(int(np.argmax(scores)), skip_indexing=True)
        return [explained(instance, Explained(label_field=_LABEL), label=label)]
