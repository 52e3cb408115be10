"""Whether a method's scores depend on what the model has learned."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from allennlp.common import Params
from allennlp.predictors import Predictor

from .. import checks
from ..errors import InterpretationError
from ..explanation import Explanation, JsonDict
from ..interpreter.batch_sharing import BatchSharing
from ..interpreter.labels.labelling import Labelled, label_json
from ..interpreter.labels.predictor_labels import labels_of
from ..interpreter.run import Run
from ..interpreter.saliency_interpreter import SaliencyInterpreter
from ..model.private_copy import private_copy
from ..model.twin import Twin


def parameter_randomization(
    predictor: Predictor,
    inputs: Sequence[JsonDict],
    interpreter: str | Mapping[str, Any],
    seed: int = 0,
) -> list[float]:
    """Spearman's correlation of a method's scores with those of the same labels by a model that has
    learned nothing: each of its parameters has its values in a random order.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 4 (independent randomisation, of
    all parameters at once). Near 0 is what a method should have; near 1 it shows the input, and not
    what the model makes of it. The values of a parameter are drawn again from themselves, so that
    layers keep their scale.

    Args:
        predictor: The predictor whose predictions are explained; it is left as it is.
        inputs: What its `predict_json` takes.
        interpreter: A name or a params dict.
        seed: Seed of the random orders.

    Returns:
        Per explanation of all inputs the correlation; NaN where it has fewer than two tokens, or
        all its scores are the same.

    Raises:
        ConfigurationError: If the interpreter names nothing that there is, or the seed is none.
        InterpretationError: If an input cannot be explained.
    """
    seed = checks.seed("seed", seed)
    before = _interpreter(predictor, interpreter).interpret_batch_json(inputs)
    random = copy.copy(predictor)
    random._model = private_copy(predictor._model).model  # type: ignore[assignment]
    _shuffle(random._model, seed)
    method = _interpreter(random, interpreter)
    twin = Twin(predictor)
    labels = labels_of(twin.predictor)
    if labels is not None:
        labels.attach(twin.model)
    known = [
        # What the random model returns is not what was predicted, and need not be.
        replace(one, instances=[replace(own, outputs={}) for own in one.instances])
        for one in label_json(twin.predictor, inputs, False, labels)
    ]

    def label(*_: Any) -> list[Labelled]:
        return known

    after = Run(method, BatchSharing(), set(), len(inputs)).interpretations(
        label, inputs, False, False
    )
    found = []
    for own, other in zip(before, after, strict=True):
        if other.error is not None:
            raise other.error
        found += [_correlation(*pair) for pair in zip(own, other.explanations, strict=True)]
    return found


def _interpreter(predictor: Predictor, given: str | Mapping[str, Any]) -> SaliencyInterpreter:
    params = Params({"type": given} if isinstance(given, str) else copy.deepcopy(dict(given)))
    return SaliencyInterpreter.from_params(params, predictor=predictor)


def _shuffle(model: torch.nn.Module, seed: int) -> None:
    """Puts the values of each parameter of a private copy in a random order."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    parameters = list(model.parameters())
    if not parameters:
        raise InterpretationError("the model has no parameters that could be randomised")
    for parameter in parameters:
        order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
        # A tensor of its own: the copy shares the values with the user's model until here.
        parameter.data = parameter.detach().flatten()[order].reshape(parameter.shape)


def _correlation(one: Explanation, other: Explanation) -> float:
    # Imported here: it takes long, and only this needs it.
    from scipy.stats import spearmanr

    scores = [
        np.array([score for own in each.inputs for score in own.attributions])
        for each in (one, other)
    ]
    if len(scores[0]) < 2 or not all(map(np.ptp, scores)):
        return float("nan")
    return float(spearmanr(*scores).statistic)
