"""Targets that give several explanations of one instance, one for each label or argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from allennlp.data import Instance
from allennlp.data.fields import SequenceLabelField
from allennlp.models import Model
from torch import Tensor

from .. import checks
from ..errors import SettingError
from ..explanation import JsonDict
from ..inputs.explained import Explained, explained, explained_by
from ..inputs.labels import every_label, label_field, relabelled
from ..inputs.texts import tag_spans
from ..registry import construct
from .outputs import ModelOutputs
from .targets import RefusesInputs, Target


class TargetOfEach(Target):
    """Applies another target to each of several labelled instances made from one.

    Args:
        of: The target: an object, a registered name or a params dict.
    """

    def __init__(self, of: Target | str | dict[str, Any] = "logit") -> None:
        super().__init__()
        self.of = construct(Target, of, parameter="of")

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        return self.of(outputs)

    def at_input(self, outputs: ModelOutputs) -> Target:
        return self.of.at_input(outputs)

    def check(self, model: Model) -> None:
        self.of.check(model)

    def check_input(self, instances: Sequence[Instance], model: Model) -> None:
        if isinstance(self.of, RefusesInputs):
            self.of.check_input(instances, model)

    def explained_label(self, label: JsonDict) -> JsonDict:
        return label

    def saturated(self, value: float) -> bool:
        return self.of.saturated(value)

    def unsaturated(self, outputs: ModelOutputs) -> str | None:
        return self.of.unsaturated(outputs)


@Target.register("all-labels")
class AllLabels(TargetOfEach):
    """Another target, for every label of the model: one explanation each, packed together.

    Args:
        of: The target: an object, a registered name or a params dict.
    """

    def instances(self, instance: Instance, model: Model) -> list[Instance]:
        return [relabelled(instance, label, model) for label in every_label(instance, model)]


@Target.register("arguments")
class Arguments(TargetOfEach):
    """Another target, for every argument of a predicate: one explanation each, of the tags of the
    argument's tokens. For semantic roles and open information extraction.

    Args:
        role: The role of the arguments, "ARG0"; None for all that are predicted. Where a predicate
            has no such argument, there is no explanation.
        of: The target: an object, a registered name or a params dict. By default it is the mean of
            the log-probabilities of the argument's tags.
    """

    def __init__(
        self, role: str | None = None, of: Target | str | dict[str, Any] = "log-likelihood"
    ) -> None:
        super().__init__(of)
        self.role = None if role is None else checks.text("role", role)

    def instances(self, instance: Instance, model: Model) -> list[Instance]:
        name = label_field(instance)
        tags = instance.fields[name] if name is not None else None
        if not isinstance(tags, SequenceLabelField):
            raise SettingError(
                f"{type(model).__name__} predicts no tags, so there are no arguments to explain; "
                "use the target 'log-likelihood', which explains predictions of every kind"
            )
        what = explained_by(instance) or Explained(label_field=name)
        wanted = []
        names = list(map(str, tags.labels))
        for start, end in tag_spans(names):
            role = names[start].partition("-")[2]
            if role == self.role or (self.role is None and role != "V"):
                label = {**(what.label or {}), "role": role}
                positions = range(start, end)
                wanted.append(explained(instance, replace(what, label=label, positions=positions)))
        return wanted
