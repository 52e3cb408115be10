"""Predicates and their arguments: what of them can be explained."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from tests.zoo.allennlp_models import Archives

TEXT = {"sentence": "John knew the actor and the dog had a little book in Paris , but she lived ."}
LOWER = {"sentence": TEXT["sentence"].lower()}


@pytest.fixture(scope="module")
def predictor(archives: Archives) -> Callable[[str], Any]:
    @cache
    def load(name: str) -> Predictor:
        return archives.predictor(name)

    return load


def probabilities(predictor: Any, text: dict[str, str]) -> list[tuple[list[str], np.ndarray]]:
    """For each verb the tags and their probabilities, by the model itself."""
    found = []
    for instance in predictor._sentence_to_srl_instances(dict(text)):
        outputs = predictor._model.forward_on_instance(instance)
        tags = outputs.get("wordpiece_tags", outputs["tags"])
        places = [predictor._model.vocab.get_token_index(tag, "labels") for tag in tags]
        found.append((tags, outputs["class_probabilities"][range(len(tags)), places]))
    return found


def test_a_sentence_without_verbs_has_no_explanations(predictor: Any) -> None:
    (found,) = InputXGradient(predictor("srl-lstm")).interpret_each(
        [{"sentence": "awful"}], predict=True
    )
    assert (found.error, found.explanations) == (None, [])
    assert found.prediction == {"verbs": [], "words": ["awful"]}


def test_each_verb_is_named(predictor: Any) -> None:
    found = InputXGradient(predictor("srl-lstm")).interpret_json(TEXT)
    words = TEXT["sentence"].split()
    assert [one.target["verb"] for one in found] == ["knew", "had", "lived"]
    for one in found:
        (place,) = one.target["verb_positions"]
        assert words[place] == one.target["verb"]
        assert one.target["positions"] == list(range(len(words)))


@pytest.mark.parametrize("name", ["srl-lstm", "srl-bert"])
def test_arguments_are_explained_by_themselves(predictor: Any, name: str) -> None:
    found = InputXGradient(predictor(name), target="arguments").interpret_json(TEXT)
    assert found
    verbs = dict(zip(["knew", "had", "lived"], probabilities(predictor(name), TEXT), strict=True))
    for one in found:
        tags, own = verbs[one.target["verb"]]
        positions = one.target["positions"]
        assert one.target["label"] == " ".join(tags[n] for n in positions)
        assert one.target["role"] == tags[positions[0]].partition("-")[2] != "V"
        assert one.target["value"] == pytest.approx(np.log(own[positions]).mean(), rel=1e-4)


def test_arguments_of_one_role(predictor: Any) -> None:
    every = InputXGradient(predictor("srl-lstm"), target="arguments").interpret_json(TEXT)
    roles = [one.target["role"] for one in every]
    assert len(set(roles)) > 1
    for role in {*roles, "ARG9"}:
        target = {"type": "arguments", "role": role}
        found = InputXGradient(predictor("srl-lstm"), target=target).interpret_json(TEXT)
        assert [one.target["role"] for one in found] == [role] * roles.count(role)
        expected = [one.inputs for one in every if one.target["role"] == role]
        assert [one.inputs for one in found] == expected


def test_other_targets_of_arguments(predictor: Any) -> None:
    own = predictor("srl-lstm")
    logits = [
        own._model.forward_on_instance(instance)["logits"]
        for instance in own._sentence_to_srl_instances(dict(TEXT))
    ]
    target = {"type": "arguments", "of": {"type": "contrast", "against": "O"}}
    found = InputXGradient(own, target=target).interpret_json(TEXT)
    verbs = dict(zip(["knew", "had", "lived"], logits, strict=True))
    outside = own._model.vocab.get_token_index("O", "labels")
    for one in found:
        positions = one.target["positions"]
        tags = [
            own._model.vocab.get_token_index(tag, "labels") for tag in one.target["label"].split()
        ]
        values = verbs[one.target["verb"]][positions]
        margin = values[range(len(positions)), tags] - values[:, outside]
        assert one.target["value"] == pytest.approx(margin.mean(), rel=1e-4, abs=1e-6)


def test_wordpieces_say_where_in_the_sentence_they_stand(predictor: Any) -> None:
    (one, *_) = InputXGradient(predictor("srl-bert")).interpret_json(LOWER)
    (text,) = one.inputs
    for token, span in zip(text.tokens, text.offsets, strict=True):
        if token in ("[CLS]", "[SEP]"):
            assert span is None
        else:
            assert span is not None
            assert LOWER["sentence"][slice(*span)] == token.removeprefix("##")


def test_wordpieces_become_words(predictor: Any) -> None:
    pieces = InputXGradient(predictor("srl-bert")).interpret_json(LOWER)
    found = InputXGradient(predictor("srl-bert"), granularity="word").interpret_json(LOWER)
    for one, whole in zip(pieces, found, strict=True):
        (text,) = whole.inputs
        assert text.tokens == ["[CLS]", *LOWER["sentence"].split(), "[SEP]"]
        assert sum(text.attributions) == pytest.approx(sum(one.inputs[0].attributions))
        (place,) = whole.target["verb_positions"]
        assert text.tokens[place] == whole.target["verb"]


def test_instances_of_a_reader_are_explained_too(predictor: Any) -> None:
    own = predictor("srl-lstm")
    instances = own._sentence_to_srl_instances(dict(TEXT))
    interpreter = InputXGradient(own)
    found = interpreter.interpret_each_instance(instances)
    expected = interpreter.interpret_json(TEXT)
    for one, other in zip(found, expected, strict=True):
        ((alone,), (text,)) = one.explanations[0].inputs, other.inputs
        assert (alone.tokens, alone.attributions) == (text.tokens, text.attributions)
        # An instance was made of no JSON.
        assert (alone.text, text.text) == (None, TEXT["sentence"])


def test_an_unknown_tag_is_named(predictor: Any) -> None:
    target = {"type": "logit", "label": "B-ARG7"}
    with pytest.raises(InterpretationError, match="B-ARG7"):
        InputXGradient(predictor("srl-lstm"), target=target).interpret_json(TEXT)
