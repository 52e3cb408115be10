"""What a model returns for padding is cut, as far as examples show which."""

from __future__ import annotations

from typing import Any

import numpy
from allennlp.data import Instance, Token
from allennlp.data.fields import TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer

from allennlp_saliency.interpret.interpreter.labels.own_lengths import OwnLengths, lengths_of


def instance(one: int, other: int) -> Instance:
    indexers: Any = {"tokens": SingleIdTokenIndexer()}
    texts = {"one": one, "other": other}
    made = Instance({n: TextField([Token("a")] * size, indexers) for n, size in texts.items()})
    for name in texts:
        made.indexed = True
        field: Any = made.fields[name]
        field._indexed_tokens = {"tokens": {"tokens": [0] * len(field.tokens)}}
    return made


def outputs(one: int, other: int) -> dict[str, Any]:
    return {
        "tags": ["t"] * one,
        "pairs": numpy.zeros((one, other + 2)),
        "label": "yes",
        "probs": numpy.zeros(3),
    }


def test_each_axis_has_the_length_of_its_field() -> None:
    sizes = [(3, 5), (4, 2), (6, 5)]
    instances = [instance(*one) for one in sizes]
    own = OwnLengths.learnt(instances, [outputs(*one) for one in sizes], [outputs(6, 5)] * 3)
    for one, size in zip(instances, sizes, strict=True):
        cut = own.cut(one, outputs(6, 5))
        assert cut is not None
        assert {name: numpy.shape(value) for name, value in cut.items()} == {
            name: numpy.shape(value) for name, value in outputs(*size).items()
        }
    new = own.cut(instance(2, 9), outputs(8, 9))
    assert new is not None
    assert new["pairs"].shape == (2, 11)
    assert new["tags"] == ["t", "t"]
    assert new["probs"].shape == (3,)


def test_where_two_lengths_fit_the_one_meant_is_not_known() -> None:
    sizes = [(3, 4), (5, 6)]
    alone = [{"tags": ["t"] * other} for _, other in sizes]
    together = [{"tags": ["t"] * 6}] * 2
    own = OwnLengths.learnt([instance(*one) for one in sizes], alone, together)
    assert own.cut(instance(3, 4), together[0]) == alone[0]
    assert own.cut(instance(1, 2), {"tags": ["t"] * 6}) == {"tags": ["t"] * 2}
    assert own.cut(instance(4, 4), {"tags": ["t"] * 6}) is None


def test_what_follows_no_length_is_left() -> None:
    instances = [instance(3, 3), instance(5, 5)]
    alone = [{"found": ["x"] * count} for count in (2, 7)]
    own = OwnLengths.learnt(instances, alone, [{"found": ["x"] * 7}] * 2)
    assert own == OwnLengths([])
    assert own.cut(instances[0], {"found": ["x"] * 7}) == {"found": ["x"] * 7}


def test_an_output_of_another_form_is_left() -> None:
    instances = [instance(3, 3), instance(5, 5)]
    own = OwnLengths.learnt(instances, [{"a": numpy.zeros(3)}, {"a": None}], [{}, {"a": "b"}])
    assert own == OwnLengths([])


def test_the_order_of_lengths_is_that_of_their_names() -> None:
    assert list(lengths_of(instance(1, 2))) == [
        ("one", "tokens___tokens"),
        ("other", "tokens___tokens"),
    ]
