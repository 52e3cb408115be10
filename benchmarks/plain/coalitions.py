"""The masked copies that methods which remove units ask for, for contestants in plain torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from allennlp_saliency.interpret.methods.perturbation.context_cite import ablations
from allennlp_saliency.interpret.methods.perturbation.kernel_shap import (
    every_coalition,
    paired_coalitions,
)
from allennlp_saliency.interpret.methods.perturbation.lime import neighbours

EXACT_UNITS = 9
"""Up to so many units 512 samples are all that there are."""


def coalitions(method: str, units: int, samples: int) -> Tensor:
    """Which units stay in each row that a method cannot do without, `(rows, units)`; no row twice.

    Args:
        method: The name that it is registered under.
        units: Units of the input.
        samples: Rows that it samples.
    """
    generator = np.random.default_rng(0)
    whole, empty = np.ones((1, units), dtype=bool), np.zeros((1, units), dtype=bool)
    if method in ("leave-one-out", "leave-one-out-parts"):
        return torch.from_numpy(np.concatenate([whole, ~np.eye(units, dtype=bool)]))
    if method == "lime":
        masks = neighbours(units, samples, generator)
    elif method == "context-cite":
        masks = ablations(units, samples, generator)
    elif method == "kernel-shap" and units <= EXACT_UNITS:
        masks = np.concatenate([empty, whole, every_coalition(units)])
    elif method == "kernel-shap":
        masks = np.concatenate([empty, whole, paired_coalitions(units, samples // 2, generator)])
    else:
        raise ValueError(f"the rows of {method} are not known")
    return torch.from_numpy(np.unique(masks, axis=0))
