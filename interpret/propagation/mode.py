"""The forward pass under rules: which operation gets which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .calls import Call, CallMode, depends, in_place, not_in_place, operation, pure
from .decompositions import (
    DECOMPOSITIONS,
    addbmm,
    addmm,
    linear,
    maximum,
    min_over,
    minimum,
    norm_layer,
)

Rule = Callable[[Call], Any]

STRUCTURAL = frozenset(
    """
__array__ __bool__ __contains__ __eq__ __float__ __format__ __ge__ __get__ __getitem__ __gt__
__hash__ __int__ __le__ __len__ __lt__ __ne__ __repr__ __set__ __setitem__ _pack_padded_sequence
_pad_packed_sequence adaptive_avg_pool1d add addbmm addmm all allclose alpha_dropout any argmax
argmin argsort atleast_1d atleast_2d avg_pool1d avg_pool2d baddbmm batch_norm bfloat16
broadcast_tensors broadcast_to can_cast cat chunk clone concat concatenate constant_pad_nd
contiguous conv1d conv2d conv3d copy count_nonzero cpu cuda cumsum data_ptr dequantize detach
diag_embed diagonal dim div double dropout dropout1d dropout2d dropout3d dstack einsum
empty_like eq equal expand expand_as feature_alpha_dropout fill flatten flip float full_like
gather ge get_device gt half has_torch_function hstack index_add index_fill index_put
index_select is_complex is_contiguous is_floating_point is_inference is_nested is_same_size
is_set_to isclose isfinite isinf isnan item le linear lt masked_fill masked_scatter
masked_select matmul mean movedim mT mul narrow ne neg new_empty new_full new_ones new_tensor
new_zeros nll_loss nonzero numel numpy ones_like pad permute promote_types rand_like randn_like
ravel register_hook repeat repeat_interleave requires_grad reshape reshape_as result_type
retain_grad rmatmul roll rsub scatter scatter_add select size split split_with_sizes
squeeze stack storage_offset stride sub sum swapaxes swapdims T take_along_dim tensor_split tile
to tolist transpose tril triu type type_as unbind unflatten unfold unsqueeze view view_as
vstack where zero zeros_like
""".split()
)
"""Operations that are linear in what depends on the embeddings (products: as long as one factor
does), or whose results carry no gradient."""

PRODUCTS = frozenset({"mul", "matmul", "rmatmul", "einsum", "linear", "conv1d", "bilinear"})
"""Operations that are linear in each of several operands."""


class RuleMode(CallMode):
    """Applies a rule to each operation of a forward pass that has one.

    Args:
        rules: By operation. Under "product" what is done where several factors of a product
            depend on the embeddings.

    Attributes:
        unruled: Names of operations that are neither linear nor have a rule, or are computed inside
            an `autograd.Function` that has a backward pass; their gradient is taken as it is.
    """

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        super().__init__()
        self._rules = rules
        self.unruled: set[str] = set()

    def call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        if not depends(args) and not depends(list(kwargs.values())):
            return func(*args, **kwargs)
        name = operation(func)
        if not torch.is_grad_enabled():
            # Inside an autograd.Function, which brings a backward pass of its own.
            if name not in STRUCTURAL:
                self.unruled.add(name)
            return func(*args, **kwargs)
        asked, args, kwargs = not_in_place(func, args, kwargs)
        if asked or (in_place(func) and self._treats(name, args)):
            result = self.apply(name, func, (args[0].clone(), *args[1:]), kwargs)
            return args[0].copy_(result)
        return self.apply(name, func, args, kwargs)

    def _treats(self, name: str, args: tuple[Any, ...]) -> bool:
        special = name in DECOMPOSITIONS or _special(name, args, {}) is not None
        return special or self._has_rule(name, args) or (name in PRODUCTS and _dependent(args) > 1)

    def _has_rule(self, name: str, args: tuple[Any, ...]) -> bool:
        # Divided by a constant is linear.
        return name in self._rules and (name != "div" or depends(args[1:]))

    def apply(
        self,
        name: str,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """One operation: by its rule, taken apart, or as it is."""
        apart = DECOMPOSITIONS.get(name) or _special(name, args, kwargs)
        if apart is not None:
            with self:
                return apart(*args, **kwargs)
        if name == "einsum" and isinstance(args[1], (list, tuple)):
            args = (args[0], *args[1])
        if depends(list(kwargs.values())) and (name in self._rules or name in PRODUCTS):
            args, kwargs = _positional(args, kwargs)
        if self._has_rule(name, args):
            return self._rules[name](Call(name, pure(func, name), args, kwargs))
        if name in PRODUCTS and _dependent(args) > 1:
            return self._rules["product"](Call(name, pure(func, name), args, kwargs))
        if name not in STRUCTURAL:
            self.unruled.add(name)
        return func(*args, **kwargs)


def _dependent(args: tuple[Any, ...]) -> int:
    return sum(map(depends, args))


def _special(
    name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Callable[..., Any] | None:
    """How to take apart an operation that only some arguments make more than linear."""
    if name in ("addmm", "addbmm") and _dependent(args[1:3]) > 1:
        return addmm if name == "addmm" else addbmm
    if name == "linear" and _dependent((*args[:2], kwargs.get("weight"))) > 1:
        return linear
    if name in ("layer_norm", "rms_norm") and _dependent((*args, *kwargs.values())) > 1:
        return norm_layer(name)
    if name == "rdiv":
        return lambda x, other: torch.div(other, x)
    if name in ("max", "min") and len(args) > 1 and isinstance(args[1], Tensor):
        return maximum if name == "max" else minimum
    if name == "min":
        return min_over
    return None


def _positional(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Operands that were given by name, first: rules look for them there."""
    operands = {name: value for name, value in kwargs.items() if depends(value)}
    rest = {name: value for name, value in kwargs.items() if name not in operands}
    return (*args, *operands.values()), rest


def operand_and_dim(call: Call) -> tuple[Tensor, int]:
    """The operand, in the type that was asked for, and the dimension of a softmax, however they
    were given."""
    x, *rest = call.args
    kwargs = dict(call.kwargs)
    dim = kwargs.get("dim", rest[0] if rest else None)
    dtype = kwargs.get("dtype", next((value for value in rest[1:] if _is_dtype(value)), None))
    if dtype is not None:
        x = x.to(dtype)
    if dim is None:
        # What torch.nn.functional takes for granted, with a warning.
        dim = 0 if x.dim() in (0, 1, 3) else 1
    return x, dim


def _is_dtype(value: Any) -> bool:
    return type(value).__name__ == "dtype"
