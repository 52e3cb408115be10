"""Attention times gradient, by autograd through what Hugging Face's models show."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.interpret.attention.models import (
    SENTENCE,
    SHORT,
    eager,
    encoded,
    explained,
    of_kind,
    scores,
)
from tests.zoo.task_models import KINDS, predictor, tokenizer


def products(attentions: Any, value: torch.Tensor) -> torch.Tensor:
    """A ∘ ∂F/∂A, `(layers, heads, queries, keys)`."""
    gradients = torch.autograd.grad(value, attentions, retain_graph=True)
    own = [weights * gradient for weights, gradient in zip(attentions, gradients, strict=True)]
    return torch.stack(own)[:, 0].detach()


@pytest.mark.parametrize("name", ["bert", "distilbert", "deberta-v2", "gpt2", "qwen3"])
def test_a_classifier(name: str) -> None:
    outputs = eager(name, "text-classification")(**encoded(name, SENTENCE), output_attentions=True)
    expected = products(outputs.attentions, outputs.logits[0].log_softmax(-1).max())
    kind = "decoder" if name in ("gpt2", "qwen3") else "encoder"
    given = {"sentence": SENTENCE}
    (explanation,) = explained(
        "attention-x-gradient", name, "text-classification", given, matrices=True
    )
    assert of_kind(explanation, kind) == pytest.approx(expected.numpy(), abs=1e-5)
    assert scores(explanation, "sentence") == pytest.approx(
        expected.sum((0, 1, 2)).numpy(), abs=1e-5
    )
    settings = {"layers": 1, "heads": "mean", "query": "first", "target": "logit"}
    (explanation,) = explained(
        "attention-x-gradient", name, "text-classification", given, **settings
    )
    of_logit = products(outputs.attentions, outputs.logits[0].max())
    assert scores(explanation, "sentence") == pytest.approx(
        of_logit[1].mean(0)[0].numpy(), abs=1e-5
    )


def test_two_texts() -> None:
    outputs = eager("roberta", "text-classification")(
        **encoded("roberta", SENTENCE, SHORT), output_attentions=True
    )
    expected = products(outputs.attentions, outputs.logits[0].log_softmax(-1).max())
    given = {"premise": SENTENCE, "hypothesis": SHORT}
    (explanation,) = explained("attention-x-gradient", "roberta", "text-classification", given)
    assert scores(explanation, "premise", "hypothesis") == pytest.approx(
        expected.sum((0, 1, 2)).numpy(), abs=1e-5
    )


def test_a_translation() -> None:
    given = {"source": SENTENCE, "max_new_tokens": 3}
    written = predictor("t5", "seq2seq").predict_json(given)["token_ids"]
    start = tokenizer(KINDS["t5"].tokenizer).pad_token_id
    outputs = eager("t5", "seq2seq")(
        **encoded("t5", SENTENCE),
        decoder_input_ids=torch.tensor([[start, *written[:2]]]),
        output_attentions=True,
    )
    value = outputs.logits[0, -1].log_softmax(-1)[written[2]]
    explanation = explained("attention-x-gradient", "t5", "seq2seq", given)[2]
    for field, attentions in (
        ("source", outputs.cross_attentions),
        ("generated", outputs.decoder_attentions),
    ):
        expected = products(attentions, value).sum((0, 1, 2))
        assert scores(explanation, field) == pytest.approx(expected.numpy(), abs=1e-5)


def test_what_would_be_lost() -> None:
    """With sums throughout a score is the derivative along the removal of a token's column."""
    name = "bert"
    own = eager(name, "text-classification").double()
    batch = encoded(name, SENTENCE)
    (explanation,) = explained(
        "attention-x-gradient", name, "text-classification", {"sentence": SENTENCE}
    )
    label = int(own(**batch).logits.argmax())
    step = 1e-5
    for key in (0, 4, 9):
        values = []
        for change in (-step, step):

            def scaled(
                module: Any, args: Any, output: Any, key: int = key, change: float = change
            ) -> Any:
                output = output.clone()
                output[:, key] *= 1 + change
                return output

            # To scale a column of the weights is to scale the value of its token.
            handles = [
                layer.attention.self.value.register_forward_hook(scaled)
                for layer in own.bert.encoder.layer
            ]
            with torch.no_grad():
                values.append(float(own(**batch).logits[0].log_softmax(-1)[label]))
            for handle in handles:
                handle.remove()
        slope = (values[1] - values[0]) / (2 * step)
        assert scores(explanation, "sentence")[key] == pytest.approx(slope, abs=1e-5)
