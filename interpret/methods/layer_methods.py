"""Gradient methods at a layer inside the model, in the place of the input embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance
from allennlp.predictors import Predictor
from torch import Tensor

from ..interpreter.saliency_interpreter import SaliencyInterpreter
from ..model.embedding_layers import inner_layer_name
from ..space.embedding_space import EmbeddingSpace
from ..space.session import Session
from ..space.variants.layer_space import LayerSpace
from ..target.row_loss import RowLoss
from .gradient.gradient import InputXGradient
from .path.baseline_method import BaselineMethod
from .path.integrated_gradients import IntegratedGradients


class AtLayer(SaliencyInterpreter):
    """A method whose coordinates are the outputs of an inner layer.

    Args:
        predictor: The predictor whose predictions are explained.
        layer: The layer: its dotted name as in `model.named_modules()`, the end of that name, or
            the number of a block; its output must have a vector per token or wordpiece. None for
            the input embeddings.
        common: What the method takes itself.

    Raises:
        ConfigurationError: If the layer is neither a name nor a number.
        InterpretationError: When interpreting, if no layer has that name.
    """

    def __init__(self, predictor: Predictor, layer: str | int | None = None, **common: Any) -> None:
        super().__init__(predictor, **common)
        named = isinstance(layer, (str, Integral)) and not isinstance(layer, bool)
        if layer is not None and not named:
            raise ConfigurationError(
                f"layer is the name of a layer or a block's number, not {layer!r:.100} of type "
                f"{type(layer).__name__}"
            )
        self.layer = layer
        self.shares_prefixes = layer is None

    def check_settings(self) -> None:
        super().check_settings()
        if self.layer is not None:
            inner_layer_name(self.predictor._model, self.layer)

    def space(
        self, session: Session, instances: Sequence[Instance], row_loss: RowLoss
    ) -> EmbeddingSpace:
        if self.layer is None:
            return super().space(session, instances, row_loss)
        return LayerSpace(session, instances, row_loss, self.layer)


class LayerBaselineMethod(AtLayer, BaselineMethod):
    """A method that compares a layer's states for the input with those for a baseline.

    Args:
        predictor: The predictor whose predictions are explained.
        layer: As in `AtLayer`.
        common: The baseline of the input embeddings, and what the method takes itself.
    """

    def baselines(self, space: EmbeddingSpace) -> list[Tensor]:
        points = super().baselines(space.at_input_embeddings())
        return [space.states_at(point) for point in points]


@SaliencyInterpreter.register("layer-gradient-x-activation")
class LayerGradientXActivation(AtLayer, InputXGradient):
    """score_t = h_t · ∂F/∂h_t for the layer's output h.

    captum's `LayerGradientXActivation`, after Shrikumar et al. 2016, "Not Just a Black Box".
    """


@SaliencyInterpreter.register("layer-integrated-gradients")
class LayerIntegratedGradients(LayerBaselineMethod, IntegratedGradients):
    """Integrated gradients on the straight path between a layer's outputs for the baseline and
    for the input; complete as `integrated-gradients` is.

    Sundararajan, Taly and Yan 2017, equation 1, with the layer's output for x.
    """
