"""Labels for predictors that do not implement `predictions_to_labeled_instances`.

AllenNLP asks a predictor for labelled instances by this method, and many of allennlp-models do not
implement it. A class of labels, registered for the predictor's class, defines what the predictions
of such a predictor are, and which number of the model scores one:

    @labels_for("my_package.predictors.ArcPredictor")
    class ArcLabels(PredictionLabels):
        def labelled(self, predictor, instance, outputs):
            ...

A user's subclass that implements `predictions_to_labeled_instances` itself takes precedence.
"""

from __future__ import annotations

import copy
import importlib
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any, ClassVar, cast

from allennlp.common.util import sanitize
from allennlp.data import Instance
from allennlp.models import Model
from allennlp.predictors import Predictor

from ...contracts import Expected
from ...explanation import JsonDict
from ...inputs.explained import EXPLAINED, PRIVATE, Explained
from ...target.prediction_check import expected_outputs

Forward = Callable[..., dict[str, Any]]
Instances = Sequence[Instance]
Outputs = Sequence[dict[str, Any]]

# Modules that register labels; a list like that of AllenNLP's default plugins.
_DEFAULT = ("allennlp_saliency.predictors.allennlp_models",)


class PredictionLabels:
    """What is explained for one class of predictors, and by which number.

    An object serves any predictor of the class; it has no state.
    """

    writes: ClassVar[bool] = False
    """Whether the predictor's model writes text; then each input is predicted alone."""

    def instances(self, predictor: Predictor, inputs: JsonDict) -> list[Instance]:
        """The instances that the model is run on for an input; the predictor's one by default.

        Args:
            predictor: The predictor, a private copy.
            inputs: What its `predict_json` takes; it may be changed.
        """
        return [predictor._json_to_instance(inputs)]

    def prediction(
        self, predictor: Predictor, inputs: JsonDict, instances: Instances, outputs: Outputs
    ) -> JsonDict:
        """The result of `predict_json` for an input. By default the method is run, with the known
        outputs of the model for its instances in place of a second forward pass.

        Args:
            predictor: The predictor, a private copy.
            inputs: What its `predict_json` takes; it may be changed.
            instances: The instances that were made of it.
            outputs: What the model returned for each.
        """
        return replayed_prediction(predictor, inputs, instances, outputs)

    def chosen(self, outputs: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        """Which of an input's instances have predictions to explain; all by default.

        Args:
            outputs: What the model returned for each.
        """
        return range(len(outputs))

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        """One labelled instance for each prediction to explain.

        Args:
            predictor: The predictor, a private copy.
            instance: One of `instances`.
            outputs: What the model returned for it.

        Returns:
            Copies of the instance with the label, in a label field or by `explained`.

        Raises:
            InterpretationError: If there is nothing that can be explained, with the reason.
        """
        raise NotImplementedError

    def details(self, predictor: Predictor, outputs: Mapping[str, Any]) -> JsonDict:
        """Entries for `Explanation.details` of all explanations of an instance.

        Args:
            predictor: The predictor, a private copy.
            outputs: What the model returned for the instance.
        """
        return {}

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        """The outputs that the model must return for a labelled instance, by name and without the
        batch dimension; otherwise the explanation would be of another number.

        Args:
            model: A private copy of the model.
            instance: A labelled instance, maybe with another label than `labelled` gave it.
            outputs: What the model returned when it predicted.
        """
        return expected_outputs(model, instance, outputs)

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """The model's forward pass, extended by the outputs that explanations need.

        Args:
            model: A private copy of the model.
            run: Its own `forward`.
            what: What is explained of each row; None where the instances do not specify it.
            inputs: The arguments of `forward`. Those of fields that are named `explained_…` are
                not for the model; where it predicts, they are left out.

        Returns:
            The model's outputs; `explained_log_likelihood` among them, `(rows,)`, is what the
            target `log-likelihood` is then, in the place of minus the loss.
        """
        return run(**inputs)

    def attach(self, model: Model) -> None:
        """Wraps the `forward` of a private copy of a model in this one."""
        # The copy must not hold itself: it is let go without the garbage collector, which would
        # have to look through everything there is.
        own, wrapped = weakref.ref(model), vars(model).get("forward")

        def forward(*args: Any, **inputs: Any) -> dict[str, Any]:
            model = cast(Model, own())
            run = wrapped or MethodType(type(model).forward, model)
            what = inputs.pop(EXPLAINED, None)
            if what is None:
                inputs = {name: one for name, one in inputs.items() if not name.startswith(PRIVATE)}
            return self.forward(model, run, what, inputs)

        model.forward = forward  # type: ignore[method-assign]


_LABELS: dict[tuple[str, str | None], type[PredictionLabels]] = {}


def labels_for(
    *predictors: str, model: str | None = None
) -> Callable[[type[PredictionLabels]], type[PredictionLabels]]:
    """Registers labels for predictors by their classes' full names, so that these need not be
    imported.

    Args:
        predictors: The classes.
        model: The class of the model, where the labels are for predictors of that alone.
    """

    def register(labels: type[PredictionLabels]) -> type[PredictionLabels]:
        _LABELS.update({(name, model): labels for name in predictors})
        return labels

    return register


def labels_of(predictor: Predictor) -> PredictionLabels | None:
    """The labels that are registered for a predictor, None where it has labels of its own."""
    for name in _DEFAULT:
        importlib.import_module(name)
    own = (Predictor.predictions_to_labeled_instances, Predictor.json_to_labeled_instances)
    models = [f"{one.__module__}.{one.__qualname__}" for one in type(predictor._model).__mro__]
    for kind in type(predictor).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        for model in (*models, None):
            if (name, model) in _LABELS:
                return _LABELS[name, model]()
        if any(method.__name__ in vars(kind) for method in own):
            return None
    return None


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
    kind, model = type(predictor), predictor._model
    plain = kind.predict_json is Predictor.predict_json
    if plain and kind.predict_instance is Predictor.predict_instance and len(outputs) == 1:
        return without_explained(outputs[0])
    known = dict(zip(map(_content, instances), outputs, strict=True))
    known.pop(None, None)

    def forward_on_instances(given: Sequence[Instance]) -> list[dict[str, Any]]:
        found = [known.get(_content(instance)) for instance in given]
        if any(one is None for one in found):
            return model.forward_on_instances(list(given))
        # Copies, as predictors change them.
        return [_without_private(one) for one in found if one is not None]

    replaying = copy.copy(predictor)
    replaying._model = answering = copy.copy(model)
    answering.forward_on_instances = forward_on_instances  # type: ignore[method-assign,assignment]
    answering.forward_on_instance = lambda one: forward_on_instances([one])[0]  # type: ignore[method-assign,assignment]
    return without_explained(replaying.predict_json(inputs))


def without_explained(outputs: Mapping[str, Any]) -> JsonDict:
    """Outputs as JSON, without those that exist for explanations only."""
    return sanitize(_without_private(outputs))


def _without_private(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: one
        for key, one in values.items()
        if not (isinstance(key, str) and key.startswith(PRIVATE))
    }


def _content(instance: Instance) -> str | None:
    """The content of an instance as a key; None where a field has no readable form."""
    try:
        return repr(_without_private(instance.human_readable_dict()))
    except NotImplementedError:
        return None
