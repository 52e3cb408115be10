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

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from allennlp.data import Instance
from allennlp.models import Model
from allennlp.predictors import Predictor

from ..contracts import Expected
from ..explanation import JsonDict
from ..inputs.explained import EXPLAINED, PRIVATE, Explained
from ..target.prediction_check import expected_outputs
from .replayed_prediction import replayed_prediction

Forward = Callable[..., dict[str, Any]]

# Modules that register labels; a list like that of AllenNLP's default plugins.
_DEFAULT = ("allennlp_saliency.predictors.allennlp_models",)


class PredictionLabels:
    """What is explained for one class of predictors, and by which number.

    An object serves any predictor of the class; it has no state.
    """

    def instances(self, predictor: Predictor, inputs: JsonDict) -> list[Instance]:
        """The instances that the model is run on for an input; the predictor's one by default.

        Args:
            predictor: The predictor, a private copy.
            inputs: What its `predict_json` takes; it may be changed.
        """
        return [predictor._json_to_instance(inputs)]

    def prediction(
        self,
        predictor: Predictor,
        inputs: JsonDict,
        instances: Sequence[Instance],
        outputs: Sequence[dict[str, Any]],
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
        run = model.forward

        def forward(*args: Any, **inputs: Any) -> dict[str, Any]:
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
    own = (
        Predictor.predictions_to_labeled_instances.__name__,
        Predictor.json_to_labeled_instances.__name__,
    )
    models = [*map(_name, type(predictor._model).__mro__), None]
    for kind in type(predictor).__mro__:
        found = [_LABELS[_name(kind), one] for one in models if (_name(kind), one) in _LABELS]
        if found:
            return found[0]()
        if any(name in vars(kind) for name in own):
            return None
    return None


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
