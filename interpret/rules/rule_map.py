"""Which operation gets which rule, and how a user changes that."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from ..errors import InterpretationError, close_names
from ..nested import tensors_in
from ..operations.calls import Call
from ..operations.kinds import PRODUCTS

Rule = Callable[..., Any]
"""`rule(call, passed)`: the operation's result with a gradient of another kind. `passed` is what
the method knows of its pass: an `LrpPass`, a `Reference` of DeepLIFT."""

R = TypeVar("R", bound=Rule)
_SAME = 1e-3


class RuleMap(Mapping[str, str]):
    """The rules of a method: those that it has by default as a mapping, `LRP_RULES["softmax"]` is
    "taylor"; and all that are registered for it.

    Operations are called what torch calls them: "softmax", "layer_norm". Under "product" stands
    what is done where several factors of a product (`mul`, `matmul`, …) depend on the embeddings,
    under "otherwise" what is done for an operation that is not linear and not in the map.

    Args:
        method: What errors call the method.
    """

    def __init__(self, method: str) -> None:
        self.method = method
        self._defaults: dict[str, str] = {}
        self._functions: dict[str, Rule] = {}

    def __getitem__(self, operation: str) -> str:
        return self._defaults[operation]

    def __iter__(self) -> Iterator[str]:
        return iter(self._defaults)

    def __len__(self) -> int:
        return len(self._defaults)

    @property
    def names(self) -> list[str]:
        """The registered rules."""
        return sorted(self._functions)

    @property
    def operations(self) -> list[str]:
        """The operations that a rule can be given for."""
        return sorted({*self, *PRODUCTS})

    def register(self, name: str, operations: Collection[str] = ()) -> Callable[[R], R]:
        """A decorator that gives a rule its name, by which `rules` and a config can ask for it.

        Args:
            name: The name.
            operations: Those that get the rule by default.

        Raises:
            ConfigurationError: If there is such a rule, or an operation has one.
        """

        def registered(rule: R) -> R:
            if name in self._functions:
                raise ConfigurationError(f"{self.method} has a rule {name!r} already")
            for operation in operations:
                if operation in self:
                    raise ConfigurationError(f"{self.method} has a rule for {operation!r} already")
            self._functions[name] = rule
            self._defaults.update(dict.fromkeys(sorted(operations), name))
            return rule

        return registered

    def functions(self, changes: Mapping[str, str | Rule] | None = None) -> dict[str, Rule]:
        """The rules by operation.

        Args:
            changes: Names of rules, or functions, for the operations that are to have others than
                by default.

        Raises:
            ConfigurationError: If there is no such operation, or no such rule.
        """
        found = {operation: self._functions[name] for operation, name in self.items()}
        for operation, rule in self._checked(changes).items():
            if self.get(operation) != rule:
                function = self._functions[rule] if isinstance(rule, str) else rule
                found[operation] = _verified(_name(rule), function)
        return found

    def bound(
        self, passed: Any, rules: Mapping[str, Rule] | None = None
    ) -> dict[str, Callable[[Call], Any]]:
        """The rules by operation for one pass, as `RuleMode` takes them.

        Args:
            passed: What the method knows of its pass; rules are given it.
            rules: By operation; None for those that there are by default.
        """

        def of(rule: Rule) -> Callable[[Call], Any]:
            return lambda call: rule(call, passed)

        given = self.functions() if rules is None else rules
        return {operation: of(rule) for operation, rule in given.items()}

    def described(self, changes: Mapping[str, str | Rule] | None) -> dict[str, str] | None:
        """Changes as they stand in a config; functions by their names. None where there are none.

        Raises:
            ConfigurationError: If there is no such operation, or no such rule.
        """
        return {one: _name(rule) for one, rule in self._checked(changes).items()} or None

    def unused(self, rules: Mapping[str, str] | None, called: Collection[str]) -> list[str]:
        """The warning that a model does not call some operations that have a user's rule.

        Args:
            rules: The user's rules; None where there are none.
            called: The operations that it called, see `RuleMode`.
        """
        missing = sorted((rules or {}).keys() - set(called))
        if not missing:
            return []
        return [
            f"rules: the model calls no {' and no '.join(map(repr, missing))} on what depends on "
            "the text, so that rule changes nothing; of the operations that take one it calls "
            f"{', '.join(sorted(set(called) & set(self.operations))) or 'none'}"
        ]

    def _checked(self, changes: Any) -> dict[str, str | Rule]:
        changes = changes.as_dict(quiet=True) if isinstance(changes, Params) else changes
        if changes is not None and not isinstance(changes, Mapping):
            raise ConfigurationError(
                'rules is a mapping of operations to rules, {"softmax": "identity"}, not '
                f"{changes!r:.100}"
            )
        found: dict[str, str | Rule] = {}
        for key, rule in (changes or {}).items():
            operation = str(key).replace("-", "_")
            if operation not in self.operations:
                raise ConfigurationError(
                    f"rules: {self.method} takes no rule for an operation {key!r}; "
                    f"{_meant(operation, self.operations)}"
                )
            if not callable(rule) and rule not in self.names:
                raise ConfigurationError(
                    f"rules: {self.method} has no rule {rule!r}; "
                    f"{_meant(str(rule), self.names)}; or give a function"
                )
            found[operation] = rule
        return found


def check_finite(found: Tensor, rules: Mapping[str, str] | None, way_out: str = "") -> None:
    """Makes sure that what a pass under a user's rules hands back is finite.

    Args:
        found: What it hands back.
        rules: The user's rules; None where there are none.
        way_out: What else may help.

    Raises:
        InterpretationError: If it is not.
    """
    if rules and not found.isfinite().all():
        raise InterpretationError(
            f"with the rules {dict(rules)} the relevance is not finite: a rule divides by nothing, "
            f"or by next to nothing; guard its division{way_out}"
        )


def _meant(name: str, known: Sequence[str]) -> str:
    """The names that may be meant, or all."""
    close = close_names(name, known)
    return close if close.startswith("did you mean") else f"there are: {', '.join(known)}"


def _name(rule: str | Rule) -> str:
    return rule if isinstance(rule, str) else getattr(rule, "__qualname__", repr(rule))


def _verified(name: str, rule: Rule) -> Rule:
    """A rule that is made sure to return what its operation returns."""

    def verified(call: Call, passed: Any) -> Any:
        with torch.no_grad():
            expected = call.plain()
        where = f"the rule {name!r} for {call.name!r}"
        try:
            result = rule(call, passed)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise InterpretationError(f"{where} fails: {error}") from error
        except RuntimeError as error:
            # Subclasses are errors that say why there is no explanation.
            if type(error) is not RuntimeError:
                raise
            raise InterpretationError(f"{where} fails: {error}") from error
        shapes, wanted = ([one.shape for one in tensors_in(x)] for x in (result, expected))
        if shapes != wanted:
            raise InterpretationError(
                f"{where} returns tensors of shape {list(map(tuple, shapes))}, not "
                f"{list(map(tuple, wanted))}"
            )
        if not all(map(_same, tensors_in(result), tensors_in(expected))):
            raise InterpretationError(
                f"{where} returns other values than the operation, so another prediction would be "
                "explained; let it return attach(values, surrogate)"
            )
        return result

    return verified


def _same(found: Tensor, expected: Tensor) -> bool:
    size = expected.detach().abs().nan_to_num(0, 0, 0).amax() if expected.numel() else 0
    scale = float(size)
    return torch.allclose(
        found.detach().to(expected.dtype), expected, _SAME, _SAME * scale, equal_nan=True
    )
