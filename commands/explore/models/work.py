"""What a model does for a request, in the thread of its queue."""

from __future__ import annotations

import inspect
from copy import deepcopy
from functools import partial
from typing import Any

from allennlp.interpret.attackers import Attacker, Hotflip, InputReduction

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.reading import InputKeys
from allennlp_saliency.interpret.model.hooks import before_each_pass
from allennlp_saliency.predictors.saliency.json_lines import to_jsonable
from allennlp_saliency.predictors.saliency.outcomes import (
    Explains,
    explained,
    left_as_it_was,
    scored,
)

from ..errors import readable
from ..jobs import Watch
from .served import ServedModel

ATTACKERS: dict[str, type[Attacker]] = {"hotflip": Hotflip, "input_reduction": InputReduction}


def predicted(model: ServedModel, predictor: str, inputs: JsonDict, watch: Watch) -> JsonDict:
    """What a model predicts.

    Raises:
        Refused: If it cannot read the input.
    """
    own, read = model.predictors[predictor], InputKeys(deepcopy(inputs))
    try:
        with before_each_pass(own._model, watch):
            return to_jsonable(own.predict_json(read))
    except Exception as error:
        raise readable(error, read) from error


def interpreted(
    model: ServedModel, predictor: str, inputs: JsonDict, parameters: JsonDict, watch: Watch
) -> JsonDict:
    """What a model predicts, and why.

    Returns:
        `prediction`; `instances`, one for each thing that is explained: AllenNLP's `grad_input_M`
        and, of an interpreter that gives one, the `explanation`.

    Raises:
        Refused: If the input cannot be interpreted.
    """
    own, read = model.predictors[predictor], InputKeys(deepcopy(inputs))
    interpreter = model.interpreter(predictor, parameters)
    if isinstance(interpreter, Explains):
        interpret = interpreter.interpret_each
        if "watch" in inspect.signature(interpret).parameters:
            interpret = partial(interpret, watch=watch)
        (outcome,) = explained(interpreter, interpret, [read])
    else:
        with before_each_pass(own._model, watch):
            outcome = scored(interpreter, own, read)
    if outcome.error is not None:
        raise readable(outcome.error, read) from outcome.error
    return to_jsonable({"prediction": outcome.prediction, "instances": outcome.instances})


def attacked(
    model: ServedModel, predictor: str, name: str, asked: JsonDict, watch: Watch
) -> JsonDict:
    """What AllenNLP's attacker makes of an input.

    Args:
        asked: `inputs`, `input_field_to_attack` and `grad_input_field`, as `attack_from_json` of
            an attacker takes them.

    Raises:
        Refused: If the attacker fails.
    """
    own = model.predictors[predictor]
    arguments: dict[str, Any] = deepcopy(asked)
    read = arguments["inputs"] = InputKeys(arguments["inputs"])
    try:
        with left_as_it_was(own._model, own), before_each_pass(own._model, watch):
            attacker = ATTACKERS[name](own)
            attacker.initialize()
            return to_jsonable(attacker.attack_from_json(**arguments))
    except Exception as error:
        raise readable(error, read) from error
