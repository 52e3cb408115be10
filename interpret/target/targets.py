"""The number that is explained: a function of a model's outputs, one number per row.

A custom target is a function of the outputs, or a class with a name for configs:

    @Target.register("runner-up-margin")
    class RunnerUpMargin(Target):
        def __call__(self, outputs):
            best = outputs.logits.topk(2).values
            return best[:, 0] - best[:, 1]

An explanation names the instance's label only where the target explains that label; a custom
target declares this by overriding `explained_label`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from allennlp.common import Registrable
from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance
from allennlp.models import Model
from torch import Tensor

from ..errors import InterpretationError
from ..explanation import JsonDict
from ..inputs.explained import LOG_LIKELIHOOD, PROBABILITY
from ..inputs.labels import carries, check_label, check_label_of, relabelled
from .functions import check_function, check_repeats, check_rows, function_name, untouched
from .outputs import ModelOutputs

_SATURATED = 0.999
_OTHER = (
    "name another label, or take the target 'log-odds', which sets the label against all others"
)


class Target(Registrable):
    """A differentiable number per row of a batch.

    Args:
        label: The label to explain, by name. None explains the prediction.

    Raises:
        ConfigurationError: If the label is no name.
    """

    default_implementation = "log-likelihood"

    name_hint: ClassVar[str] = (
        '. If {name} is a label, type {{"type": "log-likelihood", "label": {name}}}'
    )
    """What the error about an unknown name, `{name}` in JSON, ends with: many expect a label in its
    place."""

    def __init__(self, label: str | None = None) -> None:
        if label is not None:
            _check_name("label", label)
        self.label = label

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        """The target, `(rows,)`.

        Args:
            outputs: What the model returned: its keys, and `logits`, `probabilities`,
                `log_likelihood` and `at()`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement __call__()")

    @classmethod
    def of_function(cls, function: Callable[[ModelOutputs], Tensor]) -> Target:
        """A plain function of the outputs as a target."""
        return FunctionTarget(function)

    @property
    def title(self) -> str:
        """What errors call the target."""
        return type(self).__name__

    def at_input(self, outputs: ModelOutputs) -> Target:
        """The target with the choices fixed that depend on the unchanged input; most have none.

        Args:
            outputs: What the model returned for the instances as they are, one row each.
        """
        return self

    def check(self, model: Model) -> None:
        """Checks the target against a model, as far as possible without an input.

        Args:
            model: The model.

        Raises:
            SettingError: If the model has no label of the target's name.
        """
        if self.label is not None:
            check_label("label", self.label, model)

    def instances(self, instance: Instance, model: Model) -> list[Instance]:
        """The labelled instances to explain for one labelled instance.

        Args:
            instance: An instance labelled with the model's prediction.
            model: The model.

        Raises:
            InterpretationError: If the label is unknown.
        """
        return [instance] if self.label is None else [relabelled(instance, self.label, model)]

    def explained_label(self, label: JsonDict) -> JsonDict:
        """The part of an instance's label that the target explains.

        Args:
            label: `label`, the name of the label that the instance carries; where tokens carry it,
                `positions` and maybe `field`.

        Returns:
            The same for a target that explains this label. For others, as here, `label` is None,
            unless the target has a label by name.
        """
        return {"label": None} if self.label is None else label

    def saturated(self, value: float) -> bool:
        """Whether the target is so close to a limit of its range that its gradient vanishes.

        Args:
            value: The target at an input.
        """
        return False

    def unsaturated(self, outputs: ModelOutputs) -> str | None:
        """The name of a target for the same label that does not saturate and that the outputs
        allow; None where there is none."""
        return None


@runtime_checkable
class RefusesInputs(Protocol):
    """A target that says nothing of some inputs."""

    def check_input(self, instances: Sequence[Instance], model: Model) -> None:
        """Refuses an input of which the target says nothing.

        Args:
            instances: The labelled instances to explain, as the target's `instances` made them.
            model: The model.

        Raises:
            InterpretationError: If it says nothing of any.
        """


class LabelTarget(Target):
    """A target that explains the label of the instance.

    Args:
        label: The label to explain, by name. None explains the prediction.
    """

    def explained_label(self, label: JsonDict) -> JsonDict:
        return label


@Target.register("log-likelihood")
class LogLikelihood(LabelTarget):
    """Minus the model's loss for the label: for every predictor that labels its instances.

    Where the model's probability is near 1, the loss is near its minimum and gradients vanish.
    """

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        return outputs.log_likelihood

    def saturated(self, value: float) -> bool:
        return math.log(_SATURATED) < value <= 0

    def unsaturated(self, outputs: ModelOutputs) -> str | None:
        if outputs.has_logits:
            return "logit"
        return "span" if outputs.has_span_logits else None


@Target.register("log-odds")
class LogOdds(LogLikelihood):
    """log p - log(1 - p) of the label: the logarithm of its odds against all others.

    Cohen-Wang et al. 2024, "ContextCite: Attributing Model Generation to Context", section 3, where
    a text that was written has the probability of all its tokens.
    """

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        log_p = outputs.log_likelihood
        # As near to 1 as a probability in this precision may be.
        others = -torch.expm1(log_p.clamp_max(-torch.finfo(log_p.dtype).eps))
        return log_p - others.log()


@Target.register("logit")
class Logit(LabelTarget):
    """The label's logit: does not saturate where the probability is near 0 or 1. For a model with
    one output, that output."""

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        return outputs.at(outputs.logits)


@Target.register("probability")
class Probability(LabelTarget):
    """The label's probability; of an answer that no label names, such as a span of a passage, the
    exponential of its log-likelihood."""

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        if PROBABILITY in outputs:
            return outputs[PROBABILITY]
        if LOG_LIKELIHOOD in outputs and not outputs.has_probabilities:
            return outputs.log_likelihood.exp()
        return outputs.at(outputs.probabilities)

    def saturated(self, value: float) -> bool:
        return not 1 - _SATURATED < value < _SATURATED

    def unsaturated(self, outputs: ModelOutputs) -> str | None:
        if outputs.has_logits:
            return "logit"
        return "log-likelihood" if PROBABILITY in outputs or LOG_LIKELIHOOD in outputs else None


@Target.register("logit-difference")
@Target.register("contrast")
class LogitDifference(LabelTarget):
    """How much more one label is than another: the difference of their logits, which is the
    difference of their log-probabilities.

    Args:
        against: The other label, by name.
        label: The label to explain, by name. None explains the prediction.

    Raises:
        ConfigurationError: If a label is no name, or both are the same.
    """

    example: ClassVar[JsonDict] = {"against": "negative"}

    def __init__(self, against: str, label: str | None = None) -> None:
        super().__init__(label)
        _check_name("against", against)
        if label == against:
            raise ConfigurationError(f"'label' and 'against' are both {against!r}; {_OTHER}")
        self.against = against

    def check(self, model: Model) -> None:
        super().check(model)
        check_label("against", self.against, model)

    def instances(self, instance: Instance, model: Model) -> list[Instance]:
        check_label_of(instance, self.against, model)
        return super().instances(instance, model)

    def check_input(self, instances: Sequence[Instance], model: Model) -> None:
        # Of several predictions of an input one may be the other label.
        if instances and all(carries(one, self.against, model) for one in instances):
            raise InterpretationError(
                f"'against' is {self.against!r}, which is the explained label itself, so the "
                f"difference is 0 whatever the text; {_OTHER}"
            )

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        logits = outputs.logits
        return outputs.at(logits) - outputs.at(logits, self.against)


@Target.register("probability-difference")
class ProbabilityDifference(LogitDifference):
    """How much more probable one label is than another.

    Args:
        against: The other label, by name.
        label: The label to explain, by name. None explains the prediction.
    """

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        probabilities = outputs.probabilities
        return outputs.at(probabilities) - outputs.at(probabilities, self.against)

    def saturated(self, value: float) -> bool:
        return abs(value) > _SATURATED

    def unsaturated(self, outputs: ModelOutputs) -> str | None:
        return "logit-difference" if outputs.has_logits else None


@Target.register("entropy")
class Entropy(Target):
    """-Σ p log p over the classes, in nats: the model's uncertainty. For tags the mean over the
    positions explained."""

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        log_p = outputs.logits.log_softmax(-1)
        entropy = -(log_p.exp() * log_p).sum(-1)
        return entropy if entropy.dim() == 1 else outputs.mean_explained(entropy)

    def explained_label(self, label: JsonDict) -> JsonDict:
        # Of all labels, at the positions of the instance's.
        return {**label, "label": None}


class FunctionTarget(Target):
    """A function of the model's outputs as a target. What it computes is not known, so it has the
    function's name and no label.

    Args:
        function: Takes `ModelOutputs`, returns a number per row, `(rows,)`.

    Raises:
        ConfigurationError: If it cannot be called with the outputs alone.
    """

    def __init__(self, function: Callable[[ModelOutputs], Tensor]) -> None:
        super().__init__()
        check_function(function)
        self.function = function_name(function)
        self._function = function

    @property
    def title(self) -> str:
        return self.function

    def at_input(self, outputs: ModelOutputs) -> Target:
        found = check_repeats(self, outputs, self.title)
        if isinstance(found, Tensor) and found.dim() == 1 and not found.is_complex():
            check_rows(self, found, outputs.beside_another(), self.title)
        return self

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        return untouched(self._function, outputs, self.title)


def _check_name(parameter: str, given: Any) -> None:
    # from_params lets any type through where annotations are strings.
    if not isinstance(given, str):
        raise ConfigurationError(
            f'{parameter!r} of a target is a label\'s name, a string such as "positive" (or '
            f'"3" where labels have no names), not {given!r} of type {type(given).__name__}'
        )
