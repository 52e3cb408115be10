"""The predictor that a config names, and what interpreters give for inputs: explanations, or scores
alone where they know no others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import Explanation, JsonDict
from allennlp_saliency.interpret.interpreter.named import listed, unknown
from allennlp_saliency.interpret.space.packing import let_go

from .json_lines import to_jsonable

if TYPE_CHECKING:
    from allennlp_saliency.interpret import Interpretation


def wrapped(
    model: Model,
    dataset_reader: DatasetReader,
    name: str | None,
    arguments: JsonDict | None,
    frozen: bool,
    own_name: str,
) -> Predictor:
    """The predictor to interpret, made as `Predictor.from_archive` makes it.

    Args:
        model: The model.
        dataset_reader: What makes the instances.
        name: The predictor's registered name, None for the one that the model's class names.
        arguments: What its constructor takes besides.
        frozen: Whether to put the model into evaluation mode.
        own_name: The registered name of the calling predictor, which cannot interpret itself.

    Raises:
        ConfigurationError: If there is no such predictor, or it cannot be made.
    """
    available = [known for known in Predictor.list_available() if known != own_name]
    if name is None:
        name = model.default_predictor
        if name is None:
            raise ConfigurationError(
                f"{type(model).__name__} names no default predictor; name the one to interpret in "
                f'the predictor\'s arguments, {{"predictor": "…"}}: {listed(available)}'
            )
    if not isinstance(name, str) or (name not in available and "." not in name):
        raise ConfigurationError(unknown("predictor to interpret", [name], available))
    make = Predictor.by_name(name)
    modes = {module: module.training for module in model.modules()}
    try:
        made = make(model, dataset_reader, **(arguments or {}))
    except TypeError as error:
        raise ConfigurationError(
            f"predictor {name!r} cannot be made with predictor_args {arguments!r}: {error}"
        ) from error
    if not frozen:  # not every predictor passes the word on, and the default is to freeze
        for module, training in modes.items():
            module.training = training
    return made


logger = logging.getLogger(__name__)


@runtime_checkable
class Explains(Protocol):
    """An interpreter that gives explanations, and takes many inputs at once."""

    def interpret_each(
        self,
        inputs: Sequence[JsonDict],
        *,
        predict: bool = False,
        progress: bool | Callable[[int, int], None] = False,
        watch: Callable[[], None] | None = None,
    ) -> list[Interpretation]:
        """One interpretation per input, in order; an input's error is in its interpretation."""

    def interpret_each_instance(
        self,
        instances: Sequence[Instance],
        *,
        predict: bool = False,
        progress: bool | Callable[[int, int], None] = False,
    ) -> list[Interpretation]:
        """The same for instances that a dataset reader made."""

    def grad_inputs(self, explanation: Explanation) -> JsonDict:
        """The normalised scores by AllenNLP's keys, `{"grad_input_1": [...]}`."""


@dataclass(frozen=True)
class Outcome:
    """The result for one input: its prediction and its instances' scores, or the error."""

    prediction: JsonDict | None = None
    instances: list[JsonDict] = field(default_factory=list)
    error: Exception | None = None


def explained(
    interpreter: Explains,
    interpret: Callable[..., list[Interpretation]],
    inputs: Sequence[Any],
    told: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """One outcome per input, in order, whatever the interpreter does.

    Args:
        interpreter: The interpreter.
        interpret: Its method for inputs of their kind.
        inputs: The inputs; where an error of one stops all, they are interpreted one by one.
        told: Told how many of their instances are explained, and of how many.
    """
    if not inputs:
        return []
    try:
        return [
            Outcome(
                found.prediction,
                [
                    {**interpreter.grad_inputs(one), "explanation": one.to_json()}
                    for one in found.explanations
                ],
                found.error,
            )
            for found in interpret(inputs, predict=True, progress=told or False)
        ]
    except Exception as error:
        let_go(error)
        if len(inputs) == 1:
            return [Outcome(error=error)]
        logger.warning("interpreting %d inputs together failed: %s", len(inputs), error)
        return [one for given in inputs for one in explained(interpreter, interpret, [given])]


def scored(interpreter: AnyInterpreter, predictor: Predictor, inputs: JsonDict) -> Outcome:
    """The outcome of an input for an interpreter that gives scores alone."""
    prediction: JsonDict | None = None
    try:
        prediction = predictor.predict_json(deepcopy(inputs))
        return Outcome(prediction, bare_scores(interpreter, predictor, inputs))
    except Exception as error:
        let_go(error)
        return Outcome(prediction, [], error)


def bare_scores(
    interpreter: AnyInterpreter, predictor: Predictor, inputs: JsonDict
) -> list[JsonDict]:
    """The scores that an interpreter which knows AllenNLP's contract alone gives each instance,
    `{"grad_input_1": […]}`, as JSON.

    Args:
        interpreter: The interpreter.
        predictor: The predictor whose predictions it explains.
        inputs: The input.

    Raises:
        InterpretationError: If scores are not finite.
    """
    with left_as_it_was(predictor._model, predictor):
        scores = interpreter.saliency_interpret_from_json(deepcopy(inputs))
    # Other keys than `instance_K` have no place in a line.
    names = [name for name in scores if name.startswith("instance_") and name[9:].isdecimal()]
    names.sort(key=lambda name: int(name[9:]))
    found = [to_jsonable(scores[name]) for name in names]
    for name, instance in zip(names, found, strict=True):
        for key, values in instance.items():
            if _holds_none(values):
                raise InterpretationError(
                    f"{name}.{key} holds numbers that are not finite; the gradients may have "
                    "vanished: try an interpreter of allennlp_saliency"
                )
    return found


def _holds_none(values: Any) -> bool:
    return any(map(_holds_none, values)) if isinstance(values, list) else values is None


@contextmanager
def left_as_it_was(model: Model, predictor: Predictor) -> Iterator[None]:
    """Takes back what interpreters of AllenNLP leave behind when they fail: hooks and offsets that
    would spoil the scores of every later input."""
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
