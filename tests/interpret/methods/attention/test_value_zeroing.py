"""Value zeroing, by its definition: a pass of the model per token, a hook on the projection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from allennlp_saliency.interpret import InterpretationError, ValueZeroing
from allennlp_saliency.interpret.attention.block_rerun import Rerun
from tests.interpret.attention.models import (
    SENTENCE,
    eager,
    encoded,
    explained,
    normalized,
    of_kind,
    scores,
    zeroed,
)
from tests.zoo.task_models import KINDS, predictor, tokenizer

# Per architecture its blocks, the module that projects to values in one, and where they come out.
PARTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], slice]] = {
    "bert": (
        lambda m: m.bert.encoder.layer,
        lambda b: b.attention.self.value,
        slice(None),
    ),
    "distilbert": (
        lambda m: m.distilbert.transformer.layer,
        lambda b: b.attention.v_lin,
        slice(None),
    ),
    "deberta-v2": (
        lambda m: m.deberta.encoder.layer,
        lambda b: b.attention.self.value_proj,
        slice(None),
    ),
    "modernbert": (lambda m: m.model.layers, lambda b: b.attn.Wqkv, slice(32, 48)),
    "gpt2": (lambda m: m.transformer.h, lambda b: b.attn.c_attn, slice(32, 48)),
    "llama": (lambda m: m.model.layers, lambda b: b.self_attn.v_proj, slice(None)),
}
T5_PARTS = {
    "encoder": (lambda m: m.encoder.block, lambda b: b.layer[0].SelfAttention.v),
    "decoder": (lambda m: m.decoder.block, lambda b: b.layer[0].SelfAttention.v),
    "cross": (lambda m: m.decoder.block, lambda b: b.layer[1].EncDecAttention.v),
}
CAUSAL = ("gpt2", "llama")


def by_definition(name: str, batch: dict[str, Any]) -> np.ndarray:
    blocks, value, part = PARTS[name]
    own = eager(name, "text-classification")
    return np.stack([zeroed(own, block, value(block), part, batch) for block in blocks(own)])


@pytest.mark.parametrize("name", PARTS)
def test_a_classifier(name: str) -> None:
    expected = normalized(by_definition(name, encoded(name, SENTENCE)))
    given = {"sentence": SENTENCE}
    (explanation,) = explained("value-zeroing", name, "text-classification", given, matrices=True)
    found = of_kind(explanation, "decoder" if name in CAUSAL else "encoder")
    assert found == pytest.approx(expected, abs=1e-5)
    (matrix,) = explanation.matrices
    assert matrix.axes == ["layer", "query", "key"]
    for layers, own in (
        ("mean", expected.mean(0)),
        ("max", expected.max(0)),
        ("rollout", expected[1] @ expected[0]),
        (0, expected[0]),
        (-1, expected[1]),
    ):
        (explanation,) = explained(
            "value-zeroing", name, "text-classification", given, layers=layers
        )
        looked = own[-1] if name in CAUSAL else own.mean(0)
        assert scores(explanation, "sentence") == pytest.approx(looked, abs=1e-5)


@pytest.mark.parametrize("kind", T5_PARTS)
def test_a_translation(kind: str) -> None:
    given = {"source": SENTENCE, "max_new_tokens": 4}
    written = predictor("t5", "seq2seq").predict_json(given)["token_ids"]
    start = tokenizer(KINDS["t5"].tokenizer).pad_token_id
    so_far = torch.tensor([[start, *written[:3]]])
    own = eager("t5", "seq2seq")
    blocks, value = T5_PARTS[kind]
    batch = {**encoded("t5", SENTENCE), "decoder_input_ids": so_far}
    expected = normalized(
        np.stack([zeroed(own, b, value(b), slice(None), batch) for b in blocks(own)])
    )
    explanation = explained(
        "value-zeroing", "t5", "seq2seq", given, kind=kind, layers=1, matrices=True
    )[3]
    assert of_kind(explanation, kind) == pytest.approx(expected, abs=1e-5)
    field = "generated" if kind == "decoder" else "source"
    looked = expected[1].mean(0) if kind == "encoder" else expected[1][-1]
    assert scores(explanation, field) == pytest.approx(looked, abs=1e-5)


def test_after_the_last_norm() -> None:
    """GPT-2 puts a LayerNorm behind its last block."""
    own = eager("gpt2", "text-classification")
    batch = encoded("gpt2", SENTENCE)
    block = own.transformer.h[1]
    # Taken for the block's output: what the norm makes of it.
    changes = zeroed(own, own.transformer.ln_f, block.attn.c_attn, slice(32, 48), batch)
    (explanation,) = explained(
        "value-zeroing",
        "gpt2",
        "text-classification",
        {"sentence": SENTENCE},
        final_norm=True,
        layers=1,
        matrices=True,
    )
    found = of_kind(explanation, "decoder")
    assert found[1] == pytest.approx(normalized(changes), abs=1e-5)
    assert found[0] == pytest.approx(normalized(by_definition("gpt2", batch))[0], abs=1e-5)


def test_small_changes_count_as_none() -> None:
    changes = by_definition("bert", encoded("bert", SENTENCE))
    threshold = float(np.median(changes))
    kept = np.where(changes < threshold, 0, changes)
    (explanation,) = explained(
        "value-zeroing",
        "bert",
        "text-classification",
        {"sentence": SENTENCE},
        threshold=threshold,
        matrices=True,
    )
    expected = kept / np.maximum(kept.sum(-1, keepdims=True), 1e-12)
    assert of_kind(explanation, "encoder") == pytest.approx(expected, abs=1e-4)


def test_whatever_shares_a_batch() -> None:
    given = {"premise": SENTENCE, "hypothesis": "a great film"}
    for name in ("bert", "llama", "bart"):
        few, many = (
            explained("value-zeroing", name, "text-classification", given, token_budget=budget)
            for budget in (1, 100_000)
        )
        for one, other in zip(few[0].inputs, many[0].inputs, strict=True):
            assert one.attributions == pytest.approx(other.attributions, abs=1e-5)


def test_no_rollout_of_cross_attention() -> None:
    given = {"source": SENTENCE, "max_new_tokens": 1}
    with pytest.raises(InterpretationError, match="no rollout of cross attention"):
        explained("value-zeroing", "t5", "seq2seq", given, layers="rollout")
    (explanation,) = explained(
        "value-zeroing", "t5", "seq2seq", given, layers="rollout", kind="encoder"
    )
    assert scores(explanation, "source").sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "task", "key"), [("gpt2", "causal-lm", "prompt"), ("t5", "seq2seq", "source")]
)
def test_steps_of_a_text_are_measured_once(
    name: str, task: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a causal model does before a token it does there also when more tokens follow."""
    runs: list[int] = []
    without = Rerun.without

    def counted(self: Rerun, space: Any, sequences: Any, keys: Any) -> Any:
        runs.append(len(sequences))
        return without(self, space, sequences, keys)

    monkeypatch.setattr(Rerun, "without", counted)
    given = {key: "a great film", "max_new_tokens": 6}
    together = explained("value-zeroing", name, task, given, matrices=True)
    once, runs[:] = list(runs), []
    monkeypatch.setattr(ValueZeroing, "shares_prefixes", False)
    alone = explained("value-zeroing", name, task, given, token_budget=1, matrices=True)
    assert len(runs) == 6 * len(once)
    assert once == runs[-len(once) :]
    for one, other in zip(alone, together, strict=True):
        for mine, theirs in zip(one.matrices, other.matrices, strict=True):
            assert (mine.queries, mine.keys) == (theirs.queries, theirs.keys)
            assert mine.numpy() == pytest.approx(theirs.numpy(), abs=1e-5)
        for mine, theirs in zip(one.inputs, other.inputs, strict=True):
            assert mine.attributions == pytest.approx(theirs.attributions, abs=1e-5)
