"""What interpreters give that know AllenNLP's contract alone: scores, and a model to tidy up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.predictors.saliency.json_lines import to_jsonable


def bare_scores(
    interpreter: AnyInterpreter, predictor: Predictor, inputs: JsonDict
) -> list[JsonDict]:
    """The scores of each instance, `{"grad_input_1": […]}`, as JSON.

    Args:
        interpreter: The interpreter.
        predictor: The predictor whose predictions it explains.
        inputs: The input.

    Raises:
        InterpretationError: If scores are not finite.
    """
    with _left_as_it_was(predictor._model, predictor):
        scores = interpreter.saliency_interpret_from_json(deepcopy(inputs))
    return [_finite(to_jsonable(scores[name]), name) for name in _in_order(scores)]


def _in_order(scores: Mapping[str, Any]) -> list[str]:
    """The keys `instance_K` by their number; others have no place in a line."""
    names = [name for name in scores if name.startswith("instance_") and name[9:].isdecimal()]
    return sorted(names, key=lambda name: int(name[9:]))


def _finite(scores: JsonDict, name: str) -> JsonDict:
    """The scores, in which None stands for what was not finite, if there is no None."""
    for key, values in scores.items():
        if _holds_none(values):
            raise InterpretationError(
                f"{name}.{key} holds numbers that are not finite; the gradients may have vanished: "
                "try an interpreter of allennlp_saliency"
            )
    return scores


def _holds_none(values: Any) -> bool:
    return any(map(_holds_none, values)) if isinstance(values, list) else values is None


@contextmanager
def _left_as_it_was(model: Model, predictor: Predictor) -> Iterator[None]:
    """Takes back what interpreters of AllenNLP leave behind, above all when they fail.

    Hooks and offsets that stay after an error would spoil the scores of every later input.
    """
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = [
        (registry, set(registry))
        for module in model.modules()
        for registry in (getattr(module, kind, None) for kind in kinds)
        if registry is not None
    ]
    full = {module: module._is_full_backward_hook for module in model.modules()}
    parameters = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    try:
        yield
    finally:
        for registry, kept in hooks:
            for key in [key for key in registry if key not in kept]:
                del registry[key]
        for module, flag in full.items():
            module._is_full_backward_hook = flag
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        predictor._token_offsets.clear()
