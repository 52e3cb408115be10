"""A private twin of a predictor: the same weights in memory, everything else its own.

Interpreting means hooking layers, running labelled instances (which counts in the model's
metrics), switching dropout off and asking for gradients. Done on the user's model, each of these
has to be undone, and none can be undone for a thread that predicts meanwhile. So nothing is done
on the user's model: modules are copied, tensors are shared.
"""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import cache, partial, wraps
from typing import Any

import torch
import torch.nn.functional as F
from allennlp.models import Model
from allennlp.modules.encoder_base import _EncoderBase
from allennlp.predictors import Predictor
from allennlp.training.metrics import Metric
from torch import Tensor, nn

from ..errors import InterpretationError
from ..nested import mapped, tensors_in
from ..operations.calls import CallMode
from .model_checks import GradientPaths, RandomPasses
from .private_copy import PrivateCopy, private_copy


def _refuse_stray_calls(model: nn.Module, copied: PrivateCopy) -> None:
    """Watches those modules of a copy that may lead to the user's modules by ways that cannot be
    followed (an object that looks a module up, a method of a class that closes over one): an
    operation on a weight of the user's own raises an `InterpretationError`."""
    unknown = {id(module): (module, what) for module, what in reversed(copied.unknown)}
    for module in copied.model.modules():
        if module._forward_hooks or module._forward_pre_hooks:
            unknown.setdefault(id(module), (module, "a hook"))
    tensors = {
        id(tensor): (f"{name}.{own}" if name else own, tensor)
        for name, module in model.named_modules()
        for own, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is not None and copied.memo.get(id(tensor)) is not tensor
    }
    active = threading.local()
    for module, what in unknown.values():
        mode = partial(_StrayCalls, f"{what} of a {type(module).__name__}", tensors)
        module.forward = _watched(module.forward, mode, active)
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key, hook in hooks.items():
                hooks[key] = _watched(hook, mode, active)


def _watched(
    call: Callable[..., Any], mode: Callable[[], CallMode], active: threading.local
) -> Callable[..., Any]:
    @wraps(call)
    def watched(*args: Any, **options: Any) -> Any:
        if getattr(active, "now", False):
            return call(*args, **options)
        active.now = True
        try:
            with mode():
                return call(*args, **options)
        finally:
            active.now = False

    return watched


class _StrayCalls(CallMode):
    def __init__(self, what: str, tensors: Mapping[int, tuple[str, Tensor]]) -> None:
        super().__init__()
        self._what = what
        self._tensors = tensors

    def call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        for one in tensors_in((args, kwargs)):
            if id(one) in self._tensors:
                raise InterpretationError(
                    f"{self._what} runs a module of the predictor's own model (it uses "
                    f"{self._tensors[id(one)][0]!r}), where nothing must be changed or counted, "
                    "and the scores would be of another function; let the wrapper hold what it "
                    "wraps in a closure, a functools.partial or an attribute of the module, or "
                    "take it off while you explain"
                )
        return func(*args, **kwargs)


# Named, not imported: their module brings most of transformers with it.
_TANH_GELUS = (
    "transformers.activations.NewGELUActivation",
    "transformers.activations.FastGELUActivation",
)

# The hooks of AllenNLP's `Predictor.capture_model_internals`, and of those that an exception left.
_CAPTURING = "Predictor.capture_model_internals."


class Twin:
    """A copy of a predictor: to hook, run and differentiate it has no effect on the user's own.

    The twin is in evaluation mode, its parameters share storage with the user's and need no
    gradient, so that a backward pass stops at the embeddings and saves nothing for them. The
    vocabulary, tokenizers and configs are shared; metrics and other state are copies.

    Args:
        predictor: The user's predictor. It is read, never written.
        checked: The models that earlier twins have checked; see `GradientPaths`.

    Raises:
        InterpretationError: If the model cannot be copied.

    Attributes:
        predictor: The twin predictor.
        model: Its model.
        device: Where the model takes its inputs.
        dtype: The floating type of the model's parameters.
        gradient_paths: Whether gradients come back through its modules.
        random_passes: Whether its forward pass is random although it is in evaluation mode.
    """

    def __init__(self, predictor: Predictor, checked: set[int] | None = None) -> None:
        checked = set() if checked is None else checked
        copied = private_copy(predictor._model)
        model: Any = copied.model
        self._memo = copied.memo
        model.eval()
        may_stray = bool(copied.unknown)
        for module in model.modules():
            kind = type(module)
            for key, hook in list(module._forward_hooks.items()):
                # What the user captures is what the user's own model computes.
                if getattr(hook, "__qualname__", "").startswith(_CAPTURING):
                    del module._forward_hooks[key]
            may_stray |= bool(module._forward_hooks or module._forward_pre_hooks)
            # They watch or change what is learnt from; a rule's backward pass is none of theirs.
            module._backward_hooks.clear()
            module._backward_pre_hooks.clear()
            if isinstance(module, _EncoderBase):
                _hold_state(module)
            elif f"{kind.__module__}.{kind.__qualname__}" in _TANH_GELUS:
                if "forward" not in vars(module):
                    _fuse(module)
            elif "support_avx512bf16_for_cpu" in vars(module):
                # On processors with AVX512, bitsandbytes packs a layer's weights for a kernel that
                # has no backward pass, as soon as the layer runs without gradients.
                vars(module)["support_avx512bf16_for_cpu"] = False
        if any(getattr(one, "max_norm", None) is not None for one in model.modules()):
            _keep_renormalised(model)
        for value in self._memo.values():
            if isinstance(value, Metric):
                # Nobody reads these metrics, they take time at every point, and some raise errors:
                # span measures do for tags that fit no scheme.
                value.__class__ = type(type(value).__name__, (_Mute, type(value)), {})
        if may_stray:
            _refuse_stray_calls(predictor._model, copied)
        self.model: Model = model
        self.gradient_paths = GradientPaths(model, predictor._model, checked)
        self.predictor: Predictor = copy.copy(predictor)
        self.predictor._model = model
        self.predictor._token_offsets = []
        self.device, self.dtype = place(model)
        self.random_passes = RandomPasses(self.device)
        if self.dtype is torch.bfloat16:
            _return_floats(model)
        find, name = Model._get_prediction_device, "_get_prediction_device"
        if getattr(type(model), name, None) is find and name not in vars(model):
            # It goes through all parameters: once, not before each prediction. A proxy, as the copy
            # must not hold itself.
            vars(model)[name] = cache(partial(find, weakref.proxy(model)))
        if self.device.type == "cuda":
            # cuDNN differentiates recurrent layers in training mode only, which differs from
            # evaluation mode by dropout: so training mode without dropout.
            for module in model.modules():
                if isinstance(module, nn.RNNBase):
                    module.dropout, module.training = 0.0, True

    def counterpart(self, module: nn.Module) -> nn.Module:
        """The twin's copy of a module of the user's model.

        Raises:
            InterpretationError: If the module is no part of the predictor's model.
        """
        if any(module is own for own in self.model.modules()):
            return module
        twin = self._memo.get(id(module))
        if not isinstance(twin, nn.Module):
            raise InterpretationError(
                f"the predictor names a {type(module).__name__} to interpret that is no part of "
                "its model; return a submodule of `self._model`"
            )
        return twin


def _keep_renormalised(model: nn.Module) -> None:
    """Gives embeddings with a `max_norm` weights of their own: each look-up shortens vectors in
    place, which would be the user's. What shares these weights shares the copy."""
    renormalised = (one for one in model.modules() if getattr(one, "max_norm", None) is not None)
    shared = {
        id(weight): weight
        for one in renormalised
        if (weight := one._parameters.get("weight")) is not None
    }
    copies = {
        number: nn.Parameter(weight.detach().clone(), requires_grad=False)
        for number, weight in shared.items()
    }
    for module in model.modules():
        for name, weight in module._parameters.items():
            module._parameters[name] = copies.get(id(weight), weight)


def name_of(model: nn.Module) -> str:
    """The name of a model in messages: its transformer's, where it is a transformer with a head."""
    return type(getattr(model, "transformer", model)).__name__


def _fuse(gelu: nn.Module) -> None:
    """Replaces an activation's formula, a dozen operations, by one kernel that takes as long as one
    of these, forwards and backwards."""
    formula = gelu.forward

    def forward(x: Tensor) -> Tensor:
        # In half precision the formula's rounding errors are part of the model's function.
        exact = x.dtype in (torch.float32, torch.float64)
        return F.gelu(x, approximate="tanh") if exact else formula(x)

    gelu.forward = forward


class _Mute:
    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Counts nothing."""


def _hold_state(encoder: _EncoderBase) -> None:
    """Makes a stateful encoder start every text from the state of the first row of the user's, as a
    text alone would: a row is a copy of an instance in the place of any other. None changes it."""
    states = encoder._states

    def initial(batch_size: int, num_valid: int, sorting_indices: Tensor) -> Any:
        if states is None:
            return None
        rows = tuple(state[:, :1].expand(-1, num_valid, -1).contiguous() for state in states)
        return rows if len(rows) > 1 else rows[0]

    encoder._get_initial_states = initial  # type: ignore[method-assign]
    encoder._update_states = lambda *_: None  # type: ignore[method-assign]


def place(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a model takes its inputs, and the floating type of its parameters.

    Inputs go to the device of the first parameter, also for a model that is spread over several
    devices: its hooks move them on. Offloaded parameters are on the device 'meta'; then inputs go
    to the device that these are loaded to.
    """
    dtype = None
    for parameter in model.parameters():
        if parameter.is_floating_point():
            if parameter.device.type != "meta":
                return parameter.device, parameter.dtype
            dtype = dtype or parameter.dtype
    if dtype is None:
        return torch.device("cpu"), torch.get_default_dtype()
    for module in model.modules():
        device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device), dtype
    raise InterpretationError(
        f"{name_of(model)} has no weights, only their shapes (on the device 'meta'); load it with "
        "them"
    )


def _return_floats(model: Model) -> None:
    # AllenNLP returns predictions as numpy arrays, and numpy has no bfloat16.
    readable = model.make_output_human_readable

    def widened(value: Tensor) -> Tensor:
        return value.float() if value.dtype is torch.bfloat16 else value

    def make_output_human_readable(output_dict: dict[str, Any]) -> dict[str, Any]:
        return mapped(readable(mapped(output_dict, widened)), widened)

    model.make_output_human_readable = make_output_human_readable  # type: ignore[method-assign]
