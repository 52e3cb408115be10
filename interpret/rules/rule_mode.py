"""The forward pass under rules: which operation gets which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ..nested import tensors_in
from ..operations.calls import (
    Call,
    CallMode,
    depends,
    in_place,
    not_in_place,
    operation,
    pure,
)
from ..operations.decompositions import DECOMPOSITIONS, special
from ..operations.kinds import FRESH, PRODUCTS, READS, SHAPED_LIKE, STRUCTURAL, VIEWS
from .hidden import Hidden
from .steps import Origins, StepCall
from .watch import Watch

Rule = Callable[[Call], Any]
StepRule = Callable[[StepCall], Any]
NumberRule = Callable[[str, Any], None]


class RuleMode(CallMode):
    """Applies a rule to each operation of a forward pass that has one.

    Args:
        rules: By operation. Under "product" what is done where several factors of a product
            depend on the embeddings; under "otherwise" where an operation is not linear and has
            no rule, None to take its gradient.
        step_rule: What is done where an argument is a step function of the embeddings: a mask, a
            choice, a place. None to take those as constants.
        number_rule: Is given the numbers of Python that the model reads off tensors which depend
            on the embeddings, with the operation's name.
        watch: Sees each operation that is not taken apart and makes no view.

    Attributes:
        unsupported_ops: Names of operations that are neither linear nor have a rule, or run inside
            an `autograd.Function` that has a backward pass; their gradient is kept.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        step_rule: StepRule | None = None,
        number_rule: NumberRule | None = None,
        watch: Watch | None = None,
    ) -> None:
        super().__init__()
        self._rules = rules
        self._step_rule = step_rule
        self._number_rule = number_rule
        self._watch = watch
        self._hidden = Hidden()
        self._origins = Origins()
        self._unsupported: set[str] = set()
        self._fresh: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    @property
    def unsupported_ops(self) -> set[str]:
        return self._unsupported | self._hidden.unknown

    def call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        if operation(func) == "requires_grad" and args[0] in self._fresh:
            # A leaf that depends on nothing would take its share out of sight.
            return args[0]
        args, kwargs = self._hidden.revealed(args), self._hidden.revealed(dict(kwargs))
        if not depends((args, kwargs)) and not self._made(args, kwargs):
            return func(*args, **kwargs)
        if torch.is_grad_enabled():
            return self._computed(func, args, kwargs)
        with torch.enable_grad():
            result = self._computed(func, args, kwargs)
        return self._hidden.hide(result)

    def _made(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether an argument is a step function of the embeddings."""
        return bool(self._origins) and any(map(self._origins.is_step, tensors_in((args, kwargs))))

    def _computed(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        name = operation(func)
        if name in READS:
            return self._read(name, func, args, kwargs)
        asked, args, kwargs = not_in_place(func, args, kwargs)
        if name == "__setitem__" and (self._made(args, kwargs) or name in self._rules):
            result = self.apply(name, with_items, (args[0].clone(), *args[1:]), kwargs)
            args[0].copy_(result)
            self._note(name, args[1:], args[0])
            return None
        if asked or (in_place(func) and self._treats(name, args, kwargs)):
            made = self._made(args, kwargs)
            given = (args[0] if made else args[0].clone(), *args[1:])
            result = self.apply(name, pure(func, name) if made else func, given, kwargs)
            changed = args[0].copy_(result)
            self._note(name, (result, args[1:]), changed)
            return changed
        return self.apply(name, func, args, kwargs)

    def _read(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Numbers of Python, which no gradient follows."""
        number = func(args[0].detach(), *args[1:], **kwargs)
        if self._number_rule is not None and isinstance(number, (bool, int, list)):
            self._number_rule(name, number)
        return number

    def _note(self, name: str, args: Any, result: Any) -> None:
        if self._step_rule is not None:
            self._origins.note(name, args, result)

    def _treats(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        if self._made(args, kwargs):
            return True
        apart = name in DECOMPOSITIONS or special(name, args, {}) is not None
        return apart or self._has_rule(name, args) or (name in PRODUCTS and _dependent(args) > 1)

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
        if depends((args, dict(kwargs))):
            apart = DECOMPOSITIONS.get(name) or special(name, args, kwargs)
            if apart is not None:
                with self:
                    return apart(*args, **kwargs)
        if self._watch is None or name in VIEWS:
            return self._whole(name, func, args, kwargs)

        def compute(args: Any, kwargs: Any) -> Any:
            return self._whole(name, func, args, kwargs)

        return self._watch(name, args, dict(kwargs), in_place(func), compute)

    def _whole(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """An operation that is not taken apart."""
        if depends((args, dict(kwargs))):
            if name == "einsum" and isinstance(args[1], (list, tuple)):
                args = (args[0], *args[1])
            if depends(list(kwargs.values())) and (name in self._rules or name in PRODUCTS):
                args, kwargs = _positional(args, kwargs)
            rule = None
            if self._has_rule(name, args):
                rule = self._rules[name]
            elif name in PRODUCTS and _dependent(args) > 1:
                rule = self._rules["product"]
            elif name not in STRUCTURAL and not in_place(func):
                rule = self._rules.get("otherwise")
            if rule is not None:
                result = rule(Call(name, pure(func, name), args, kwargs))
                if rule is self._rules.get("otherwise") and depends(result):
                    self._unsupported.add(name)
                self._note(name, (args, dict(kwargs)), result)
                return result
        result = self._linear(name, func, args, kwargs)
        if name not in STRUCTURAL and depends((args, dict(kwargs))) and depends(result):
            self._unsupported.add(name)
        return result

    def _linear(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """An operation that is linear in what depends on the embeddings, as it is, or by the rule
        for steps."""
        result = func(*args, **kwargs)
        given = (args, dict(kwargs))
        if name in FRESH:
            if isinstance(result, Tensor):
                self._fresh[result] = True
            return result
        if self._step_rule is None:
            return result
        if self._made(args, kwargs) and isinstance(result, Tensor) and result.is_floating_point():
            origin = self._origins.of(given)
            assert origin is not None
            function = with_items if name == "__setitem__" else pure(func, name)
            return self._step_rule(StepCall(name, function, args, kwargs, self._origins, origin))
        if name in SHAPED_LIKE:
            self._note(name, args[:1], result)
        elif name != "broadcast_tensors":
            self._note(name, given, result)
        return result


def with_items(tensor: Tensor, places: Any, values: Any) -> Tensor:
    """A copy of a tensor with other numbers in some places."""
    changed = tensor.clone()
    changed[places] = values
    return changed


def _dependent(args: tuple[Any, ...]) -> int:
    return sum(map(depends, args))


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
