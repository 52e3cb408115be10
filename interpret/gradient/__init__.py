"""Methods that combine gradients at points on or around the path from baseline to input."""

from .gradient import Gradient, GradientNorm
from .input_x_gradient import InputXGradient
from .integrated_gradients import IntegratedGradients
from .smooth_gradients import SmoothGradients

__all__ = [
    "Gradient",
    "GradientNorm",
    "InputXGradient",
    "IntegratedGradients",
    "SmoothGradients",
]
