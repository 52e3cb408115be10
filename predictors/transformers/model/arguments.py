"""The names of what a Hugging Face model's `forward` takes, through wrappers around it."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

#: What tokenizers make, and their users hand to a model.
_OF_TOKENIZERS = frozenset(("input_ids", "attention_mask", "token_type_ids"))


def arguments_of(transformer: nn.Module) -> frozenset[str]:
    """The names of what a Hugging Face model's `forward` takes.

    A wrapper that passes everything on (of adapters, say, or one of the user's own with
    `**kwargs`) takes what the model in it does, or what tokenizers make where none is in it.
    """
    named: set[str] = set()
    inner: Any = transformer
    while isinstance(inner, nn.Module):
        own, variable = _arguments(inner.forward)
        if not own and "forward" in vars(inner):
            # A function put in the place of the class's, for timing or logging, passes all on.
            own, variable = _arguments(type(inner).forward)
        own |= _handed_to_super(type(inner)) if variable else set()
        named |= own | variable
        if variable and _is_the_users(inner) and "attention_mask" not in own:
            inner = _only_reader(inner)
            named |= set() if inner is not None else _OF_TOKENIZERS
            continue
        modules = inner._modules
        passes_all = None if own else modules.get("model")
        inner = modules["base_model"] if variable and "base_model" in modules else passes_all
    return frozenset(named)


def required_beside_text(transformer: nn.Module) -> set[str]:
    """The arguments without which a model's `forward` cannot be called, but for those that are made
    of texts: pictures, say."""
    parameters = inspect.signature(transformer.forward).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = {
        one.name
        for one in parameters
        if one.default is inspect.Parameter.empty and one.kind not in variable
    }
    decoders = {f"decoder_{name}" for name in _OF_TOKENIZERS}
    return needed - _OF_TOKENIZERS - decoders


def takes_any(transformer: nn.Module, name: str) -> bool:
    """Whether a model's `forward` may be called with an argument, by its signature."""
    parameters = inspect.signature(transformer.forward).parameters
    any_name = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    return any_name or name in parameters


def _is_the_users(module: nn.Module) -> bool:
    """Whether a class is of neither transformers nor a library of adapters."""
    return type(module).__module__.partition(".")[0] not in ("transformers", "peft", "torch")


def _only_reader(module: nn.Module) -> nn.Module | None:
    """The only submodule that takes token ids, None if there are none or several."""
    found = [
        one
        for one in module.children()
        if "input_ids" in arguments_of(one) or hasattr(one, "get_input_embeddings")
    ]
    return found[0] if len(found) == 1 else None


def _arguments(function: Any) -> tuple[set[str], set[str]]:
    """The names of a function's arguments, and those of its `*args` and `**kwargs`."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    every = inspect.signature(function).parameters
    variable = {name for name, one in every.items() if one.kind in kinds}
    return {*every} - variable - {"self"}, variable


def _handed_to_super(kind: type) -> set[str]:
    """The arguments that the `forward` of a class takes, with those of the base classes that it
    passes `*args` or `**kwargs` on to."""
    found: set[str] = set()
    for forward in (vars(base)["forward"] for base in kind.__mro__ if "forward" in vars(base)):
        own, variable = _arguments(forward)
        found |= own
        code = getattr(inspect.unwrap(forward), "__code__", None)
        if not variable or code is None or "super" not in code.co_names:
            break
    return found
