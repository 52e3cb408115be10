"""A predictor's output for an input, from model outputs that are known already."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from allennlp.common.util import sanitize
from allennlp.data import Instance
from allennlp.models import Model
from allennlp.predictors import Predictor

from ..explanation import JsonDict
from ..inputs.explained import PRIVATE


def replayed_prediction(
    predictor: Predictor,
    inputs: JsonDict,
    instances: Sequence[Instance],
    outputs: Sequence[Mapping[str, Any]],
) -> JsonDict:
    """The result of `predict_json` for an input whose instances the model has run on.

    Args:
        predictor: A private copy of the predictor.
        inputs: What its `predict_json` takes; it may be changed.
        instances: Instances that the predictor makes of them.
        outputs: What the model returned for each. Where the predictor asks for other instances, or
            runs the model in another way, the model itself answers.
    """
    if _is_plain(predictor) and len(outputs) == 1:
        return without_explained(outputs[0])
    replaying = copy.copy(predictor)
    replaying._model = _Replay(predictor._model, instances, outputs)  # type: ignore[assignment]
    return without_explained(replaying.predict_json(inputs))


def without_explained(outputs: Mapping[str, Any]) -> JsonDict:
    """Outputs as JSON, without those that exist for explanations only."""
    return sanitize({key: value for key, value in outputs.items() if not _is_ours(key)})


def _is_ours(key: Any) -> bool:
    return isinstance(key, str) and key.startswith(PRIVATE)


def _is_plain(predictor: Predictor) -> bool:
    """Whether a predictor returns what its model returns."""
    kind = type(predictor)
    return (
        kind.predict_json is Predictor.predict_json
        and kind.predict_instance is Predictor.predict_instance
    )


def _key(instance: Instance) -> str | None:
    """The content of an instance as a key; None where a field has no readable form."""
    try:
        shown = instance.human_readable_dict()
        return repr({name: one for name, one in shown.items() if not _is_ours(name)})
    except NotImplementedError:
        return None


class _Replay:
    """A model that returns known outputs for known instances."""

    def __init__(
        self,
        model: Model,
        instances: Sequence[Instance],
        outputs: Sequence[Mapping[str, Any]],
    ) -> None:
        self._model = model
        self._known: dict[str | None, Mapping[str, Any]] = dict(
            zip(map(_key, instances), outputs, strict=True)
        )
        self._known.pop(None, None)

    def forward_on_instance(self, instance: Instance) -> dict[str, Any]:
        return self.forward_on_instances([instance])[0]

    def forward_on_instances(self, instances: Sequence[Instance]) -> list[dict[str, Any]]:
        found = [self._known.get(_key(instance)) for instance in instances]
        if any(one is None for one in found):
            return self._model.forward_on_instances(list(instances))
        # Copies, as predictors change them.
        return [
            {key: value for key, value in one.items() if not _is_ours(key)} for one in found if one
        ]

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        return self._model(*args, **inputs)

    def __getattr__(self, name: str) -> Any:
        if name == "_model":
            raise AttributeError(name)
        return getattr(self._model, name)
