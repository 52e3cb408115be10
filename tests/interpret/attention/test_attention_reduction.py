"""Matrices leave with the explanation where one asks for them: as numbers, or in a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from allennlp_saliency.interpret import AttentionMatrix, Explanation
from allennlp_saliency.interpret.explanation import ExplanationFormatError
from tests.interpret.attention.models import SENTENCE, explained, interpreter

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "explanation.schema.json").read_text(encoding="utf-8"))
GIVEN = {"source": SENTENCE, "max_new_tokens": 2}
METHODS = ("attention", "attention-rollout", "attention-x-gradient", "value-zeroing")


def valid(explanation: dict[str, object]) -> None:
    line = {"prediction": {}, "instance_1": {"explanation": explanation}}
    Draft202012Validator(SCHEMA).validate(line)


def test_there_are_none_unless_asked_for() -> None:
    for explanation in explained("attention", "t5", "seq2seq", GIVEN):
        assert explanation.matrices == []
        assert "matrices" not in explanation.to_json()


@pytest.mark.parametrize("method", METHODS)
def test_as_numbers(method: str) -> None:
    for explanation in explained(method, "t5", "seq2seq", GIVEN, matrices=True):
        text = json.dumps(explanation.to_json(), allow_nan=False)
        valid(json.loads(text))
        again = Explanation.from_json(json.loads(text))
        assert again == explanation
        assert [one.kind for one in again.matrices] == ["cross", "decoder"]
        for one, other in zip(again.matrices, explanation.matrices, strict=True):
            assert one.numpy().dtype == np.float32
            assert np.array_equal(one.numpy(), other.numpy())
            assert one.numpy().shape[-2:] == (len(one.queries), len(one.keys))


@pytest.mark.parametrize("method", METHODS)
def test_in_a_file(method: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    made = interpreter(method, "t5", "seq2seq", matrices=str(folder))
    here = explained(method, "t5", "seq2seq", GIVEN, matrices=True)
    for explanation, numbers in zip(made.interpret_json(GIVEN), here, strict=True):
        told = json.loads(json.dumps(explanation.to_json()))
        valid(told)
        assert all("values" not in one for one in told["matrices"])
        again = Explanation.from_json(told)
        assert again == explanation
        assert again != numbers
        for one, other in zip(again.matrices, numbers.matrices, strict=True):
            assert np.array_equal(one.numpy(), other.numpy())
            with np.load(str(one.file), allow_pickle=False) as file:
                assert file[f"{one.array}_queries"].tolist() == one.queries
                assert file[f"{one.array}_keys"].tolist() == one.keys
    files = sorted(folder.iterdir())
    assert len(files) == 2
    assert {file.suffix for file in files} == {".npz"}
    # The same again: the same files.
    made.interpret_json(GIVEN)
    assert sorted(folder.iterdir()) == files


def test_words_have_the_matrices_of_their_pieces() -> None:
    settings = {"matrices": True, "granularity": "word"}
    given = {"sentence": "badly unbelievable"}
    (explanation,) = explained("attention", "bert", "text-classification", given, **settings)
    (matrix,) = explanation.matrices
    assert len(matrix.keys) > len(explanation.inputs[0].tokens)


def test_what_does_not_fit() -> None:
    values = np.zeros((1, 2, 3), dtype=np.float32)
    axes = ["layer", "query", "key"]
    fitting = AttentionMatrix("encoder", axes, ["a", "b"], ["a", "b", "c"], values)
    assert AttentionMatrix.from_json(fitting.to_json()) == fitting
    for changed in (
        {"queries": ["a"]},
        {"axes": ["layer", "head", "query", "key"]},
        {"values": None},
        {"file": "both.npz"},
        {"keys": None},
    ):
        with pytest.raises(ExplanationFormatError):
            AttentionMatrix.from_json({**fitting.to_json(), **changed})
    with pytest.raises(ExplanationFormatError):
        AttentionMatrix.from_json({"kind": "encoder"})


def test_the_schema_knows_what_is_none() -> None:
    (explanation,) = explained(
        "attention", "bert", "text-classification", {"sentence": "a great film"}, matrices=True
    )
    told = explanation.to_json()
    for changed in ({"kind": "self"}, {"axes": ["layer"]}, {"file": 3}):
        wrong = {**told, "matrices": [{**told["matrices"][0], **changed}]}
        with pytest.raises(ValidationError):
            valid(wrong)
