"""Tensors in nested values: found in order, replaced, types kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import BatchEncoding
from transformers.modeling_outputs import BaseModelOutput

from allennlp_saliency.interpret.nested import mapped, tensors_in


class Pair(NamedTuple):
    first: Any
    second: Any


X, Y = torch.ones(2), torch.zeros(3)

VALUES: list[Callable[[Tensor, Tensor], Any]] = [
    lambda x, y: [x, (y, 3)],
    lambda x, y: (x, [y], None),
    lambda x, y: Pair(x, Pair("text", y)),
    lambda x, y: {"a": x, "b": {"c": y}},
    lambda x, y: OrderedDict(b=x, a=y),
    lambda x, y: BaseModelOutput(last_hidden_state=x, attentions=(y,)),
    lambda x, y: BatchEncoding({"a": x, "b": [y]}),
]


@pytest.mark.parametrize("made_of", VALUES)
def test_tensors_are_found_in_order_and_replaced_in_values_of_the_same_type(
    made_of: Callable[[Tensor, Tensor], Any],
) -> None:
    value = made_of(X, Y)
    assert list(map(id, tensors_in(value))) == [id(X), id(Y)]
    changed = mapped(value, torch.neg)
    assert type(changed) is type(value)
    assert [one.tolist() for one in tensors_in(changed)] == [[-1, -1], [0, 0, 0]]
    assert list(map(id, tensors_in(value))) == [id(X), id(Y)]
    if isinstance(changed, BaseModelOutput):
        assert changed.last_hidden_state is changed["last_hidden_state"]


@pytest.mark.parametrize("made_of", VALUES)
def test_a_value_in_which_nothing_changes_is_the_same_object(
    made_of: Callable[[Tensor, Tensor], Any],
) -> None:
    value = made_of(X, Y)
    assert mapped(value, lambda one: one) is value


def test_other_objects_are_left_alone() -> None:
    generator = (one for one in (X, Y))
    assert list(tensors_in([generator, "text", 3, None])) == []
    assert mapped(generator, torch.neg) is generator
    assert list(generator) == [X, Y]
