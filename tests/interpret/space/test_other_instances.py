"""The target of other texts with the labels of those explained, and no padding beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from allennlp.data import Instance
from torch import Tensor

from allennlp_saliency.interpret import EmbeddingSpace
from allennlp_saliency.interpret.space.other_instances import values_of
from tests.interpret.space.test_embedding_space import (
    MEAN,
    VECTORS,
    WORDS,
    counted,
    doubled_loss,
    space_of,
    squares,
    value,
)

OTHERS = ("down left", "up", "left up down", "right", "up up")


def others(space: EmbeddingSpace, rows: Sequence[int], texts: Sequence[str]) -> list[Instance]:
    """Instances that carry the labels of the space's, with other texts."""
    predictor, made = space.session.twin.predictor, []
    for row, text in zip(rows, texts, strict=True):
        fields = dict(predictor._json_to_instance({"sentence": text}).fields)
        made.append(Instance(fields | {"label": space.instances[row]["label"]}))
        predictor._dataset_reader.apply_token_indexers(made[-1])
    return made


def vectors(text: str) -> Tensor:
    """`(1, words, dim)`."""
    return torch.tensor([[VECTORS[word] for word in text.split()]])


def found(space: EmbeddingSpace, rows: Sequence[int], texts: Sequence[str]) -> Tensor:
    return values_of(space, others(space, rows, texts), torch.tensor(rows))


ROWS = [0, 1, 1, 0, 0]


@pytest.mark.parametrize("budget", [1, 4, 1000])
def test_values(budget: int) -> None:
    space = space_of(budget=budget)
    values = found(space, ROWS, OTHERS)
    expected = torch.cat([value(vectors(text)) for text in OTHERS])
    assert torch.allclose(values, expected, rtol=1e-5)
    assert (values.dtype, values.requires_grad) == (torch.float64, False)


def test_padding_takes_no_part() -> None:
    """The mean over all positions is another where there is padding."""

    def mean(x: Tensor) -> Tensor:
        return squares(x) / x.shape[1]

    values = found(space_of(mean), ROWS, OTHERS)
    expected = torch.cat([value(vectors(text)) / len(text.split()) for text in OTHERS])
    assert torch.allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize(("budget", "passes"), [(1000, [2, 2, 1]), (2, [2, 1, 1, 1])])
def test_texts_of_one_length_share_a_pass(budget: int, passes: list[int]) -> None:
    """As many as fit: the shorter ones first."""
    space = space_of(budget=budget)
    rows = counted(space)
    found(space, ROWS, OTHERS)
    assert rows == passes


def test_labels_are_those_of_the_instances() -> None:
    """The first word decides by its sign, and each text is asked for its instance's label."""

    def first_word(x: Tensor) -> Tensor:
        return torch.stack([x[:, 0, 0], -x[:, 0, 0]], dim=-1)

    ordered = sorted(WORDS, key=lambda word: VECTORS[word][0])
    space = space_of(first_word, "logit", (ordered[0], ordered[-1]))
    signs = torch.tensor([-1.0, 1.0])[torch.tensor(ROWS)]
    first = torch.stack([vectors(text)[0, 0, 0] for text in OTHERS])
    expected = (signs * first).tolist()
    assert found(space, ROWS, OTHERS).tolist() == pytest.approx(expected)


def test_one_loss_for_the_batch() -> None:
    space = space_of(target="log-likelihood", losses=MEAN)
    expected = -torch.cat([doubled_loss(vectors(text)) for text in OTHERS])
    rows = counted(space)
    assert torch.allclose(found(space, ROWS, OTHERS), expected, rtol=1e-5)
    # Together first; where that gives no row's loss, each alone.
    assert rows == [2, 1, 1, 2, 1, 1, 1]
    assert not space.session.budget.single


def test_a_text_that_does_not_fit_into_memory_beside_others() -> None:
    space = space_of()
    narrow: list[int] = []

    def refuse(module: Any, args: Any, kwargs: Any) -> None:
        rows = len(kwargs["tokens"]["tokens"]["tokens"])
        if rows > 1:
            raise MemoryError
        narrow.append(rows)

    space.model.register_forward_pre_hook(refuse, with_kwargs=True)
    expected = torch.cat([value(vectors(text)) for text in OTHERS])
    assert torch.allclose(found(space, ROWS, OTHERS), expected, rtol=1e-5)
    assert narrow == [1] * 5


def test_none() -> None:
    assert found(space_of(), [], []).shape == (0,)
