"""Foils that the model chooses: the most probable other token in the place of each."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from allennlp_saliency.interpret import InputXGradient
from tests.predictors.transformers.generation.test_spans import in_windows
from tests.zoo.task_models import KINDS, predictor, tokenizer

WRITTEN = {
    "gpt2": ("causal-lm", {"prompt": "a great film", "max_new_tokens": 4}),
    "t5": ("seq2seq", {"source": "a great film", "max_new_tokens": 4}),
}
GIVEN = {
    "gpt2": ("causal-lm", {"prompt": "a great film", "continuation": " but the plot"}),
    "t5": ("seq2seq", {"source": "a great film", "target": "the plot"}),
}
each = pytest.mark.parametrize(
    ("name", "given"), [(name, given) for given in (WRITTEN, GIVEN) for name in given]
)


def logits_of(name: str, json: dict[str, Any], ids: list[int]) -> torch.Tensor:
    """The model's own, token by token, `(tokens, vocabulary)`."""
    own: Any = predictor(name, WRITTEN[name][0])._model.transformer  # type: ignore[union-attr]
    before = tokenizer(KINDS[name].tokenizer)(
        json.get("prompt", json.get("source")), return_tensors="pt"
    ).input_ids
    rows = []
    for number in range(len(ids)):
        written = torch.tensor([ids[:number]], dtype=torch.long)
        if name == "gpt2":
            rows.append(own(torch.cat([before, written], dim=1)).logits[0, -1])
        else:
            start = torch.cat([torch.zeros(1, 1, dtype=torch.long), written], dim=1)
            rows.append(own(before, decoder_input_ids=start).logits[0, -1])
    return torch.stack(rows).detach()


@each
class TestRunnersUp:
    def test_by_hand(self, name: str, given: Any) -> None:
        task, json = given[name]
        made = predictor(name, task)
        ids = made.predict_json(json)["token_ids"]
        logits = logits_of(name, json, ids)
        found = InputXGradient(made, target="foil-difference").interpret_json(
            {**json, "foil": "runner-up"}
        )
        assert len(found) == len(ids)
        for explanation, row, own in zip(found, logits, ids, strict=True):
            best = row.topk(2).indices.tolist()
            other = best[0] if best[0] != own else best[1]
            if given is WRITTEN:
                assert best == [own, other]
            value = (row[own] - row[other]).item()
            assert explanation.target["value"] == pytest.approx(value, abs=1e-4)
            name_of = tokenizer(KINDS[name].tokenizer).convert_ids_to_tokens
            assert explanation.target["foil"] == name_of(other)
            assert explanation.target["label"] == name_of(own)

    def test_of_a_span(self, name: str, given: Any) -> None:
        task, json = given[name]
        interpreter = InputXGradient(predictor(name, task), target="foil-difference")
        tokens = interpreter.interpret_json({**json, "foil": "runner-up"})
        (span,) = interpreter.interpret_json({**json, "foil": "runner-up", "explain": "span"})
        values = [one.target["value"] for one in tokens]
        assert span.target["value"] == pytest.approx(sum(values), abs=1e-4)
        ids = tokenizer(KINDS[name].tokenizer).convert_tokens_to_ids(
            [one.target["foil"] for one in tokens]
        )
        assert span.target["foil"] == tokenizer(KINDS[name].tokenizer).decode(ids)

    def test_only_where_it_is_compared_with(self, name: str, given: Any) -> None:
        task, json = given[name]
        found = InputXGradient(predictor(name, task)).interpret_json({**json, "foil": "runner-up"})
        assert all("foil" not in one.target for one in found)


def test_a_foil_that_is_given_is_named() -> None:
    json = {**GIVEN["gpt2"][1], "foil": " london and mary"}
    interpreter = InputXGradient(predictor("gpt2", "causal-lm"), target="foil-difference")
    foils = [one.target["foil"] for one in interpreter.interpret_json(json)]
    assert "".join(foils).replace("Ġ", " ").startswith(" london")
    (span,) = interpreter.interpret_json({**json, "explain": [[0, 3]]})
    assert span.target["foil"] == "".join(foils[:3]).replace("Ġ", " ")


def test_after_a_source_that_is_read_in_windows() -> None:
    made = in_windows()
    json = {"source": "a great film, but the plot was not very good", "max_new_tokens": 2}
    found = InputXGradient(made, target="foil-difference").interpret_json(
        {**json, "foil": "runner-up"}
    )
    assert len(found) == 2
    assert all(one.target["foil"] != one.target["label"] for one in found)
    assert all(one.target["value"] != 0 for one in found)
