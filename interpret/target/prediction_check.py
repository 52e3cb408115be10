"""Checks that the outputs to explain are the outputs that were predicted.

An input is predicted alone. When it is explained the model runs on it again, in a batch and with a
label, and must return the same outputs. Where it does not, its outputs depend on the padding of a
batch, on the other rows, or on the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from allennlp.data import Instance
from torch import Tensor

from ..contracts import Expected, ExpectsOutputs
from ..errors import InterpretationError
from ..inputs.explained import LOG_LIKELIHOOD
from .outputs import LOGITS, PROBABILITIES, SPAN_LOGITS

# Another attention kernel or another batch size gives other rounding errors. On a GPU kernels
# differ more from one batch size to the next, and TF32 has as many bits as half precision.
_SAME = {torch.float16: 2e-2, torch.bfloat16: 1e-1}
_SAME_OTHERWISE = 3e-4
_SAME_ON_A_GPU = 3e-3
_SAME_IN_TF32 = 2e-2
_COMPARED = (
    LOG_LIKELIHOOD,
    *LOGITS,
    *PROBABILITIES,
    *(name for names in SPAN_LOGITS for name in names),
)


def expected_outputs(model: Any, instance: Instance, prediction: Mapping[str, Any]) -> Expected:
    """What a model must return for a labelled instance, by the outputs of the prediction."""
    if isinstance(model, ExpectsOutputs):
        return model.expected_outputs(instance, prediction)
    return {name: prediction[name] for name in _COMPARED if name in prediction}


def row_outputs(outputs: Mapping[str, Any], row: int) -> Expected:
    """The outputs of one row of a batch that are compared."""
    return {
        name: outputs[name][row]
        for name in _COMPARED
        if isinstance(outputs.get(name), Tensor) and outputs[name].dim()
    }


def floats(outputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """A model's outputs that are floating tensors, without their graph."""
    return {
        name: value.detach()
        for name, value in outputs.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }


@dataclass
class Mismatch(Exception):
    """The model returned something else for an instance than it predicted.

    Attributes:
        row: The instance, by its number in the batch.
        name: The output.
        predicted: The number that was predicted, where they differ most.
        found: The number that was returned.
    """

    row: int
    name: str
    predicted: float
    found: float

    def error(self, model: str) -> InterpretationError:
        """The error for the user, where the instance was alone in its batch.

        Args:
            model: The name of the model's class.
        """
        return InterpretationError(
            f"{model} predicted {self.predicted:.6g} (output {self.name!r}) and returned "
            f"{self.found:.6g} when the same input was to be explained, so the explanation would "
            "be of another number; the model's forward pass depends on something else than the "
            "input (its own state, randomness, the label, or the tokens behind one that is "
            "explained: then explain each token of a generated text by itself, 'token')"
        )


def check_predicted(
    outputs: Mapping[str, Any], expected: Sequence[Expected | None], dtype: torch.dtype
) -> None:
    """Compares a model's outputs for labelled instances with their predictions.

    Args:
        outputs: What the model returned, a row for each instance.
        expected: What each row must be; None where nothing is known.
        dtype: The floating type that the model computes in.

    Raises:
        Mismatch: If one differs by more than rounding.
    """
    # From the device once, and not row by row.
    names = {name for one in expected for name in one or ()}
    tensors = {name: outputs[name] for name in names if isinstance(outputs.get(name), Tensor)}
    found_of = {name: one.detach().cpu() for name, one in tensors.items()}
    for row, one in enumerate(expected):
        for name, value in (one or {}).items():
            pair = _comparable(found_of.get(name), row, value)
            if pair is None:
                continue
            found, predicted = pair
            # The scale of the rounding error. A single number may be small by chance, as the
            # difference of two larger ones. The error of a log-probability is relative to the
            # probability, however small the logarithm.
            least = 1e-6 if found.numel() > 1 else 1e-2
            if "log_prob" in name or name == LOG_LIKELIHOOD:
                least = 1.0
            # Numbers that are not finite are compared below.
            scale = torch.cat([found, predicted]).nan_to_num(0.0, 0.0, 0.0).abs().amax()
            apart = (found - predicted).abs().nan_to_num(nan=torch.inf)
            apart = torch.where(found.isnan() & predicted.isnan(), 0.0, apart)
            worst = int(apart.argmax())
            share = float(apart[worst]) / max(float(scale), least)
            if share > _SAME_OTHERWISE and share > tolerance(tensors[name].device, dtype):
                raise Mismatch(row, name, float(predicted[worst]), float(found[worst]))


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether two outputs of a model differ by no more than rounding."""
    share = tolerance(one.device, one.dtype)
    scale = float(torch.maximum(one.abs(), other.abs()).amax())
    return bool(((one - other).abs() <= share * max(scale, 1e-6)).all())


def tolerance(device: torch.device, dtype: torch.dtype) -> float:
    """How far two outputs may differ by rounding, as a share of the largest number.

    Args:
        device: Where they were computed.
        dtype: The floating type that the model computes in.
    """
    on_gpu = device.type == "cuda"
    single = _SAME_ON_A_GPU if on_gpu else _SAME_OTHERWISE
    if on_gpu and torch.get_float32_matmul_precision() != "highest":
        single = _SAME_IN_TF32
    return _SAME.get(dtype, single)


def _comparable(output: Any, row: int, value: Any) -> tuple[Tensor, Tensor] | None:
    """Two outputs as flat numbers; None where they are not of the same form."""
    if not isinstance(output, Tensor) or not output.dim() or row >= len(output):
        return None
    predicted = torch.as_tensor(value).double().cpu()
    found = output[row].double()
    if predicted.dim() != found.dim() or not predicted.numel():
        return None
    if any(own > padded for own, padded in zip(predicted.shape, found.shape, strict=True)):
        return None
    found = found[tuple(slice(size) for size in predicted.shape)].flatten()
    predicted = predicted.flatten()
    # Masked positions hold the lowest number of the floating type.
    real = (predicted.abs() < 1e30) | (found.abs() < 1e30)
    return (found[real], predicted[real]) if bool(real.any()) else None
