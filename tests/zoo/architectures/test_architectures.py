"""Every architecture that transformers has for text is right or refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.zoo.architectures import FAULTS, Pair, Result, build, chosen, pairs, sweep
from tests.zoo.architectures.reference import Forward, input_x_gradient
from tests.zoo.architectures.result import read
from tests.zoo.misbehaving import check

#: One or two of each family, each task several times.
FAMILIES = (
    "albert:masked-lm",
    "bart:text-classification",
    "bert:multiple-choice",
    "bert-generation:causal-lm",
    "bloom:causal-lm",
    "camembert:token-classification",
    "convbert:question-answering",
    "deberta-v2:masked-lm",
    "distilbert:text-classification",
    "electra:token-classification",
    "esm:masked-lm",
    "gemma3_text:text-classification",
    "gpt2:causal-lm",
    "gpt_neox:token-classification",
    "llama:causal-lm",
    "mamba:causal-lm",
    "marian:seq2seq",
    "mistral:text-classification",
    "mobilebert:question-answering",
    "modernbert:masked-lm",
    "mpnet:multiple-choice",
    "opt:question-answering",
    "phi:text-classification",
    "qwen2:causal-lm",
    "roberta:question-answering",
    "seed_oss:token-classification",
    "starcoder2:causal-lm",
    "t5:text-classification",
    "xlm:token-classification",
    "xlm-roberta:text-classification",
)


@pytest.fixture(scope="module")
def families() -> dict[str, Result]:
    return {one.pair: one for one in sweep(chosen(_known(FAMILIES)), processes=1)}


@pytest.mark.parametrize("name", FAMILIES)
def test_family_is_right_or_refused(families: dict[str, Result], name: str) -> None:
    if name not in families:
        pytest.skip("this transformers has no such class")
    assert families[name].status not in FAULTS, families[name].found


@pytest.mark.slow
def test_every_pair_is_right_or_refused() -> None:
    faults = [one for one in sweep(pairs()) if one.status in FAULTS]
    assert not faults, "\n".join(f"{one.pair}: {one.status}: {one.why}" for one in faults)


class TestBuilder:
    def test_tables_have_every_task(self) -> None:
        every = pairs()
        assert len({pair.task for pair in every}) == 7
        assert len(every) > 400
        assert len(set(every)) == len(every)

    @pytest.mark.parametrize("name", ["bert:masked-lm", "llama:causal-lm", "t5:seq2seq"])
    def test_same_seed_same_weights(self, name: str) -> None:
        (pair,) = chosen([name])
        first, second, other = build(pair), build(pair), build(pair, seed=1)
        same = [
            torch.equal(one, two)
            for one, two in zip(first.model.parameters(), second.model.parameters(), strict=True)
        ]
        assert all(same)
        assert any(
            not torch.equal(one, two)
            for one, two in zip(first.model.parameters(), other.model.parameters(), strict=True)
        )

    def test_outputs_are_not_flat(self) -> None:
        built = build(chosen(["roberta:text-classification"])[0])
        logits = [
            built.model(**built.tokenizer(text, return_tensors="pt")).logits[0]
            for text in ("a great film", "john smith lives in london")
        ]
        assert (logits[0] - logits[1]).abs().max() > 0.01
        assert logits[0].std() > 0.01


class TestReference:
    def test_scores_of_a_sum_of_embeddings(self) -> None:
        """F = w · Σ e: a token's score is w · e."""
        model = _Sum()
        ids = torch.tensor([[1, 4, 2]])
        forward = Forward({"input_ids": ids}, lambda value: value[0], {"text": [1, 4, 2]})
        found = input_x_gradient(model, forward)
        expected = [float(model.layer.weight[one].detach() @ model.head) for one in (1, 4, 2)]
        assert found.parts == {"text": pytest.approx(expected, rel=1e-6)}
        assert found.value == pytest.approx(sum(expected), rel=1e-6)

    def test_call_of_other_ids_is_no_text(self) -> None:
        forward = Forward(
            {"input_ids": torch.tensor([[1, 4]])}, lambda value: value[0], {"text": [3, 3]}
        )
        assert input_x_gradient(_Sum(), forward).parts is None


class TestResult:
    def test_worst_status_counts(self) -> None:
        result = Result("bert:masked-lm", "BertForMaskedLM")
        result.note("refused", "lrp", "no")
        result.note("wrong", "prediction", "1  and\nnot 2")
        result.note("differs in a batch", "batch", "3")
        assert (result.status, result.why) == ("wrong", "prediction: 1 and not 2")
        assert len(result.found) == 3

    def test_not_a_number_is_the_largest_error(self) -> None:
        result = Result("a:b", "C")
        for error in (0.1, float("nan"), 0.2):
            result.number("scores", error)
        assert result.numbers["scores"] != result.numbers["scores"]

    def test_latest_line_of_a_pair_counts(self, tmp_path: Path) -> None:
        file = tmp_path / "results.jsonl"
        lines = [Result("a:b", "C", status).to_json() for status in ("crash", "right")]
        file.write_text("\n".join(lines), encoding="utf-8")
        assert json.loads(lines[0])["status"] == "crash"
        assert read(file)["a:b"].status == "right"
        assert read(tmp_path / "none.jsonl") == {}


class TestSweep:
    def test_process_that_dies_or_hangs_is_a_row(self) -> None:
        every = [Pair("dies", "x", "D"), Pair("hangs", "x", "H"), Pair("works", "x", "W")]
        found = {one.pair: one for one in sweep(every, 1, limit=2.0, check=check)}
        assert {name: one.status for name, one in found.items()} == {
            "dies:x": "crash",
            "hangs:x": "crash",
            "works:x": "right",
        }
        assert "exit code 3" in found["dies:x"].why
        assert "2 seconds" in found["hangs:x"].why


class _Sum(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Embedding(5, 3)
        self.head = torch.arange(3.0)

    def get_input_embeddings(self) -> Any:
        return self.layer

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return (self.layer(input_ids) @ self.head).sum(-1)


def _known(names: tuple[str, ...]) -> list[str]:
    there = {pair.name for pair in pairs()}
    return [name for name in names if name in there]
