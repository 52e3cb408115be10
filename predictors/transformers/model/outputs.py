"""What a Hugging Face model returns, by name: an object, a dictionary, a tuple or a tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError


def named_outputs(
    found: Any,
    sizes: Mapping[str, int],
    transformer: nn.Module,
    labels: Mapping[int, str] | None = None,
) -> Any:
    """A model's outputs as attributes.

    Args:
        found: What `forward` returned. Of a tuple or a list the first values are taken for those
            that are read, in their order, as transformers has it where no labels are given.
        sizes: The outputs that are read, and how many dimensions each has.
        transformer: The model.
        labels: Names of the labels that the logits are of, by number, as the config has them; None
            where they are of something else.

    Raises:
        InterpretationError: If one is missing, or is no tensor of so many dimensions; or if a
            value without a name is not of as many labels as the config names.
    """
    if labels is not None and isinstance(found, (tuple, list, Tensor)):
        _check_labels(found, sizes["logits"], labels, transformer)
    found = _by_name(found, [*sizes])
    what = type(transformer).__name__
    for name, size in sizes.items():
        value = getattr(found, name, None)
        if value is None:
            others = ", ".join(sorted(map(str, vars(found)))) or type(found).__name__
            raise InterpretationError(
                f"{what} returns no {name} but {others}; use a model with a head for the task, or "
                f"let its forward return {{'{name}': …}}"
            )
        if isinstance(value, numpy.ndarray):
            value = torch.as_tensor(value)
            found = SimpleNamespace(**{**vars(found), name: value})
        if not isinstance(value, Tensor) or value.dim() != size:
            shape = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.60}"
            raise InterpretationError(
                f"{what} returns {name} of {shape}; a tensor of {size} dimensions is needed, "
                f"{_MEANING[size]}"
            )
    return found


_MEANING = {2: "(texts, labels)", 3: "(texts, tokens, labels)"}


def check_positions(logits: Tensor, count: int, transformer: nn.Module) -> None:
    """Makes sure that it is known which token each row of logits is of.

    Args:
        logits: `(rows, positions, …)`.
        count: How many tokens the model was given.
        transformer: The model.

    Raises:
        InterpretationError: If there are fewer positions than tokens, or more and the model is
            none of transformers' own, which have padding behind their texts.
    """
    positions, kind = logits.shape[1], type(transformer)
    own = kind.__module__.partition(".")[0] == "transformers"
    if positions < count or (positions > count and not own):
        raise InterpretationError(
            f"{kind.__name__} returns logits for {positions} positions of a text of {count} "
            "tokens, so it is not known which is of which; let its forward return one for each "
            "token that it is given, special tokens among them"
        )


def _check_labels(found: Any, size: int, labels: Mapping[int, str], transformer: nn.Module) -> None:
    """A model that returns states first, and logits behind them, has names for fewer labels."""
    values = [found] if isinstance(found, Tensor) else [*found]
    if not values or hasattr(found, "logits") or not isinstance(values[0], Tensor):
        return
    fits = [isinstance(one, Tensor) and one.shape[-1:] == (len(labels),) for one in values]
    same = [one and value.dim() == size for one, value in zip(fits, values, strict=True)]
    # Two labels called so are what a config has that says nothing of labels.
    named = dict(labels) != {0: "LABEL_0", 1: "LABEL_1"}
    if values[0].dim() != size or same[0] or not (named or any(same)):
        return
    name, known = type(transformer).__name__, ", ".join(map(repr, labels.values()))
    raise InterpretationError(
        f"{name} returns first, without a name, numbers for {values[0].shape[-1]} labels, and its "
        f"config names {len(labels)} ({known:.60}); let its forward return {{'logits': …}}, or set "
        "model.config.num_labels"
    )


def _by_name(found: Any, names: Sequence[str]) -> Any:
    """An object whose attributes are the outputs."""
    if isinstance(found, Tensor):
        found = (found,)
    if isinstance(found, Mapping):
        return SimpleNamespace(**{str(name): value for name, value in found.items()})
    if isinstance(found, (tuple, list)) and not hasattr(found, names[0]):
        return SimpleNamespace(**dict(zip(names, found, strict=False)))
    return found
