"""Methods that combine gradients at points on or around the path from baseline to input."""

from .deeplift import DeepLift, LayerDeepLift
from .discretized_integrated_gradients import DiscretizedIntegratedGradients
from .gradient import Gradient, GradientNorm
from .gradient_moments import SquareGradients, VarGradients
from .gradient_shap import GradientShap
from .input_x_gradient import InputXGradient
from .integrated_gradients import IntegratedGradients
from .layer_methods import LayerGradientXActivation, LayerIntegratedGradients
from .lrp import LayerwiseRelevancePropagation
from .one_hot_gradient import OneHotGradient
from .sequential_integrated_gradients import SequentialIntegratedGradients
from .smooth_gradients import SmoothGradients

__all__ = [
    "DeepLift",
    "DiscretizedIntegratedGradients",
    "Gradient",
    "GradientNorm",
    "GradientShap",
    "InputXGradient",
    "IntegratedGradients",
    "LayerDeepLift",
    "LayerGradientXActivation",
    "LayerIntegratedGradients",
    "LayerwiseRelevancePropagation",
    "OneHotGradient",
    "SequentialIntegratedGradients",
    "SmoothGradients",
    "SquareGradients",
    "VarGradients",
]
