"""The lower bound with the prediction of the label that is explained.

One more forward pass for each text, without gradients; of a gradient at the input none, for there
the pass that predicts has the graph.
"""

from __future__ import annotations

import torch
from allennlp.predictors import Predictor

from ..case import Case, Job, Scores
from ..plain.parts import Parts, by_length, encode
from . import lower_bound


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    bound = lower_bound.prepare(case, predictor)
    parts = Parts.of(predictor)
    encoded = encode(
        predictor, case.texts, by_length(predictor, case.texts, len(case.texts), padded=False)
    )

    def run() -> Scores:
        if case.method != "input-x-gradient":
            with torch.no_grad():
                for one in encoded:
                    parts.log_probabilities(None, input_ids=one.ids).argmax(-1).cpu()
        return bound.run()

    return Job(run)
