"""The forward pass under rules: which operation gets which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ..operations.calls import (
    Call,
    CallMode,
    depends,
    in_place,
    not_in_place,
    operation,
    pure,
)
from ..operations.decompositions import decomposition
from ..operations.kinds import FRESH, PRODUCTS, READS, SHAPED_LIKE, STRUCTURAL, VIEWS
from .steps import Origins, StepCall
from .surrogates import Hidden
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
        called: Names of the operations on what depends on the embeddings, "product" and "otherwise"
            among them where their rules were asked for.
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
        self.called: set[str] = set()
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
        call = Call(operation(func), func, *self._hidden.revealed((args, dict(kwargs))))
        if not call.depends and not self._made(call):
            return call.plain()
        if torch.is_grad_enabled():
            return self._computed(call)
        with torch.enable_grad():
            result = self._computed(call)
        return self._hidden.hide(result)

    def _made(self, call: Call) -> bool:
        """Whether an argument is a step function of the embeddings."""
        return bool(self._origins) and any(map(self._origins.is_step, call.tensors))

    def _computed(self, call: Call) -> Any:
        if call.name in READS:
            return self._read(call)
        asked, args, kwargs = not_in_place(call.function, call.args, call.kwargs)
        call, made = replace(call, args=args, kwargs=kwargs), self._made(call)
        if call.name == "__setitem__":
            if made or call.name in self._rules:
                given = (args[0].clone(), *args[1:])
                args[0].copy_(self._apply(replace(call, function=with_items, args=given)))
                self._note(call.name, args[1:], args[0])
                return None
        elif asked or (in_place(call.function) and (made or self._is_treated(call))):
            function = pure(call.function, call.name) if made else call.function
            given = (args[0] if made else args[0].clone(), *args[1:])
            result = self._apply(replace(call, function=function, args=given))
            changed = args[0].copy_(result)
            self._note(call.name, (result, args[1:]), changed)
            return changed
        return self._apply(call)

    def _read(self, call: Call) -> Any:
        """Numbers of Python, which no gradient follows."""
        first, *rest = call.args
        number = call.function(first.detach(), *rest, **call.kwargs)
        if self._number_rule is not None and isinstance(number, (bool, int, list)):
            self._number_rule(call.name, number)
        return number

    def _note(self, name: str, args: Any, result: Any) -> None:
        if self._step_rule is not None:
            self._origins.note(name, args, result)

    def _is_treated(self, call: Call) -> bool:
        apart = decomposition(call.name, call.args, call.kwargs)
        return apart is not None or self._rule_for(call) is not None

    def _rule_for(self, call: Call) -> Rule | None:
        # Divided by a constant is linear.
        if call.name in self._rules and (call.name != "div" or depends(call.args[1:])):
            return self._rules[call.name]
        if call.name in PRODUCTS and len(call.operands) > 1:
            return self._rules["product"]
        if call.name in STRUCTURAL or in_place(call.function):
            return None
        return self._rules.get("otherwise")

    def _apply(self, call: Call) -> Any:
        """One operation: by its rule, taken apart, or as it is."""
        apart = decomposition(call.name, call.args, call.kwargs) if call.depends else None
        if apart is not None:
            with self:
                return apart(*call.args, **call.kwargs)
        if self._watch is None or call.name in VIEWS:
            return self._whole(call)
        return self._watch(call, self._whole)

    def _whole(self, call: Call) -> Any:
        """An operation that is not taken apart."""
        if not call.depends:
            return self._linear(call)
        if call.name == "einsum" and isinstance(call.args[1], (list, tuple)):
            call = replace(call, args=(call.args[0], *call.args[1]))
        if depends(dict(call.kwargs)) and (call.name in self._rules or call.name in PRODUCTS):
            call = _positional(call)
        rule = self._rule_for(call)
        own = rule is not None and call.name not in self._rules
        product = call.name in PRODUCTS and len(call.operands) > 1
        self.called |= {call.name, *(["product" if product else "otherwise"] if own else [])}
        if rule is None:
            result = self._linear(call)
        else:
            result = rule(replace(call, function=pure(call.function, call.name)))
            self._note(call.name, (call.args, call.kwargs), result)
        without = rule in (None, self._rules.get("otherwise")) and call.name not in STRUCTURAL
        if without and depends(result):
            self._unsupported.add(call.name)
        return result

    def _linear(self, call: Call) -> Any:
        """An operation that is linear in what depends on the embeddings, as it is, or by the rule
        for steps."""
        result = call.plain()
        if call.name in FRESH:
            if isinstance(result, Tensor):
                self._fresh[result] = True
            return result
        if self._step_rule is None:
            return result
        given = (call.args, call.kwargs)
        if self._made(call) and isinstance(result, Tensor) and result.is_floating_point():
            origin = self._origins.of(given)
            assert origin is not None
            function = pure(call.function, call.name)
            return self._step_rule(StepCall(call.name, function, *given, self._origins, origin))
        if call.name != "broadcast_tensors":
            self._note(call.name, call.args[:1] if call.name in SHAPED_LIKE else given, result)
        return result


def with_items(tensor: Tensor, places: Any, values: Any) -> Tensor:
    """A copy of a tensor with other numbers in some places."""
    changed = tensor.clone()
    changed[places] = values
    return changed


def _positional(call: Call) -> Call:
    """Operands that were given by name, first: rules look for them there."""
    operands = {name: value for name, value in call.kwargs.items() if depends(value)}
    rest = {name: value for name, value in call.kwargs.items() if name not in operands}
    return replace(call, args=(*call.args, *operands.values()), kwargs=rest)
