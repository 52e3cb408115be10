"""Attention weights, against what Hugging Face's models show of theirs."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common import Params

from allennlp_saliency.interpret import InterpretationError, SaliencyInterpreter
from allennlp_saliency.interpret.attention.recorder import AttentionCall, Frame
from allennlp_saliency.interpret.space.packing import TokenBudget
from tests.interpret.attention.models import (
    SENTENCE,
    SHORT,
    eager,
    encoded,
    explained,
    interpreter,
    of_kind,
    one_group,
    scores,
    shown,
)
from tests.zoo.task_models import KINDS, inputs, predictor, supported, tokenizer

CAUSAL = ("gpt2", "llama", "qwen3", "gemma")
ENCODER_DECODERS = ("t5", "bart")


def classifiers() -> list[str]:
    return [name for name, task in supported() if task == "text-classification"]


class TestAgainstHuggingFace:
    @pytest.mark.parametrize("name", classifiers())
    def test_every_layer_and_head(self, name: str) -> None:
        with torch.no_grad():
            outputs = eager(name, "text-classification")(
                **encoded(name, SENTENCE), output_attentions=True
            )
        expected = shown(outputs)
        for kind in ("encoder", "decoder", "cross") if name in ENCODER_DECODERS else ("self",):
            own = kind if kind != "self" else "decoder" if name in CAUSAL else "encoder"
            (explanation,) = explained(
                "attention",
                name,
                "text-classification",
                {"sentence": SENTENCE},
                kind=own,
                matrices=True,
            )
            assert explanation.details["attention"] == [own]
            assert of_kind(explanation, own) == pytest.approx(expected[kind][:, 0], abs=1e-5)
            (matrix,) = explanation.matrices
            assert matrix.axes == ["layer", "head", "query", "key"]
            if own != "decoder" or name in CAUSAL:
                assert matrix.keys == explanation.inputs[0].tokens

    @pytest.mark.parametrize(
        ("layers", "heads"), [("mean", "mean"), ("max", "max"), (1, 0), (-1, "max"), ("sum", -1)]
    )
    def test_layers_and_heads(self, layers: Any, heads: Any) -> None:
        with torch.no_grad():
            outputs = eager("bert", "text-classification")(
                **encoded("bert", SENTENCE), output_attentions=True
            )
        weights = shown(outputs)["self"][:, 0]
        take = {"mean": np.mean, "max": np.max, "sum": np.sum}
        one_head = take[heads](weights, 1) if isinstance(heads, str) else weights[:, heads]
        matrix = take[layers](one_head, 0) if isinstance(layers, str) else one_head[layers]
        given = {"sentence": SENTENCE}
        settings = {"layers": layers, "heads": heads}
        (explanation,) = explained("attention", "bert", "text-classification", given, **settings)
        assert scores(explanation, "sentence") == pytest.approx(matrix.mean(0), abs=1e-6)

    def test_where_it_looks_from(self) -> None:
        with torch.no_grad():
            outputs = eager("bert", "text-classification")(
                **encoded("bert", SENTENCE), output_attentions=True
            )
        matrix = shown(outputs)["self"][:, 0].mean((0, 1))
        for query, expected in (
            (None, matrix.mean(0)),
            ("mean", matrix.mean(0)),
            ("sum", matrix.sum(0)),
            ("first", matrix[0]),
            ("last", matrix[-1]),
            (3, matrix[3]),
            (-2, matrix[-2]),
        ):
            (explanation,) = explained(
                "attention", "bert", "text-classification", {"sentence": SENTENCE}, query=query
            )
            assert scores(explanation, "sentence") == pytest.approx(expected, abs=1e-6)

    def test_two_texts_in_one_sequence(self) -> None:
        with torch.no_grad():
            outputs = eager("bert", "text-classification")(
                **encoded("bert", SENTENCE, SHORT), output_attentions=True
            )
        weights = shown(outputs)["self"][:, 0]
        given = {"premise": SENTENCE, "hypothesis": SHORT}
        (explanation,) = explained("attention", "bert", "text-classification", given, matrices=True)
        assert scores(explanation, "premise", "hypothesis") == pytest.approx(
            weights.mean((0, 1, 2)), abs=1e-6
        )
        assert of_kind(explanation, "encoder") == pytest.approx(weights, abs=1e-6)

    def test_every_choice_is_a_sequence(self) -> None:
        (given,) = inputs("bert", "multiple-choice")[:1]
        batch = encoded("bert", [given["prompt"]] * 2, given["choices"], padding=True)
        with torch.no_grad():
            outputs = eager("bert", "multiple-choice")(
                **{key: value.unsqueeze(0) for key, value in batch.items()}, output_attentions=True
            )
        weights = shown(outputs)["self"]
        (explanation,) = explained("attention", "bert", "multiple-choice", given, matrices=True)
        assert len(explanation.matrices) == 2
        lengths = batch["attention_mask"].sum(1).tolist()
        assert lengths[0] != lengths[1]
        prompt = len(explanation.inputs[0].tokens)
        looked = np.zeros(prompt)
        for choice, (matrix, length) in enumerate(zip(explanation.matrices, lengths, strict=True)):
            own = weights[:, choice, :, :length, :length]
            assert matrix.numpy() == pytest.approx(own, abs=1e-6)
            share = own.mean((0, 1, 2)) / 2
            assert scores(explanation, f"choices[{choice}]") == pytest.approx(
                share[prompt:], abs=1e-6
            )
            looked += share[:prompt]
        assert scores(explanation, "prompt") == pytest.approx(looked, abs=1e-6)

    @pytest.mark.parametrize("name", CAUSAL)
    def test_every_generated_token(self, name: str) -> None:
        given = {"prompt": SHORT, "max_new_tokens": 4}
        prompt = encoded(name, SHORT)["input_ids"]
        written = predictor(name, "causal-lm").predict_json(given)["token_ids"]
        explanations = explained("attention", name, "causal-lm", given, layers=0, heads=1)
        assert len(explanations) == len(written) == 4
        own = eager(name, "causal-lm")
        for step, explanation in enumerate(explanations):
            ids = torch.cat([prompt, torch.tensor([written[:step]]).long()], dim=1)
            with torch.no_grad():
                weights = shown(own(input_ids=ids, output_attentions=True))["self"]
            # The last position predicts the token.
            assert scores(explanation, "prompt", "generated") == pytest.approx(
                weights[0, 0, 1, -1], abs=1e-5
            )

    @pytest.mark.parametrize("name", ENCODER_DECODERS)
    def test_every_token_of_a_translation(self, name: str) -> None:
        given = {"source": SENTENCE, "max_new_tokens": 4}
        source = encoded(name, SENTENCE)
        written = predictor(name, "seq2seq").predict_json(given)["token_ids"]
        explanations = explained("attention", name, "seq2seq", given, matrices=True)
        own = eager(name, "seq2seq")
        start = tokenizer(KINDS[name].tokenizer).pad_token_id
        for step, explanation in enumerate(explanations):
            so_far = torch.tensor([[start, *written[:step]]])
            with torch.no_grad():
                weights = shown(own(**source, decoder_input_ids=so_far, output_attentions=True))
            for kind, field in (("cross", "source"), ("decoder", "generated")):
                assert of_kind(explanation, kind) == pytest.approx(weights[kind][:, 0], abs=1e-5)
                assert scores(explanation, field) == pytest.approx(
                    weights[kind][:, 0].mean((0, 1))[-1], abs=1e-5
                )
            alone = explained("attention", name, "seq2seq", given, kind="encoder")[step]
            assert scores(alone, "source") == pytest.approx(
                weights["encoder"][:, 0].mean((0, 1, 2)), abs=1e-5
            )
            assert not scores(alone, "generated").any()

    def test_where_the_label_stands(self) -> None:
        given = inputs("bert", "token-classification")[0]
        own = eager("bert", "token-classification")
        with torch.no_grad():
            outputs = own(**encoded("bert", given["sentence"]), output_attentions=True)
        matrix = shown(outputs)["self"][:, 0].mean((0, 1))
        explanations = explained("attention", "bert", "token-classification", given)
        assert explanations
        for explanation in explanations:
            at = explanation.target["positions"]
            assert scores(explanation, "sentence") == pytest.approx(matrix[at].mean(0), abs=1e-6)

    def test_from_the_gap(self) -> None:
        given = inputs("bert", "masked-lm")[0]
        batch = encoded("bert", given["sentence"])
        with torch.no_grad():
            outputs = eager("bert", "masked-lm")(**batch, output_attentions=True)
        matrix = shown(outputs)["self"][:, 0].mean((0, 1))
        gaps = torch.nonzero(batch["input_ids"][0] == tokenizer("wordpiece").mask_token_id)
        explanations = explained("attention", "bert", "masked-lm", given)
        assert len(explanations) == len(gaps) == 2
        for explanation, gap in zip(explanations, gaps.flatten().tolist(), strict=True):
            assert scores(explanation, "sentence") == pytest.approx(matrix[gap], abs=1e-6)

    @pytest.mark.parametrize("name", ["gpt2", "qwen3"])
    def test_a_prompt_of_one_token(self, name: str) -> None:
        ids = encoded(name, "a")["input_ids"]
        assert ids.shape[1] == 1
        (explanation,) = explained(
            "attention", name, "causal-lm", {"prompt": "a", "max_new_tokens": 1}, matrices=True
        )
        assert scores(explanation, "prompt") == pytest.approx([1])
        assert of_kind(explanation, "decoder").tolist() == [[[[1.0]], [[1.0]]]] * 2

    def test_grouped_heads_of_a_single_query(self) -> None:
        # transformers computes them as if they were its positions.
        weights = torch.rand(3, 2, 4, 7)
        module = Frame(torch.nn.Identity(), (), {}, None)
        call = AttentionCall(weights, module, torch.zeros(3, 1, 16), None, 0)
        assert call.weights.shape == (3, 8, 1, 7)
        assert torch.equal(call.weights[:, 5, 0], weights[:, 1, 1])


METHODS = ("attention", "attention-rollout", "attention-x-gradient", "value-zeroing")
TOGETHER = [
    ("roberta", "text-classification"),
    ("deberta-v2", "question-answering"),
    ("modernbert", "multiple-choice"),
    ("gpt2", "text-classification"),
    ("gpt2", "causal-lm"),
    ("llama", "causal-lm"),
    ("t5", "seq2seq"),
    ("bart", "text-classification"),
]


class TestBatches:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(("name", "task"), TOGETHER)
    def test_padding_changes_nothing(
        self, name: str, task: str, method: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Encoders are padded behind, decoders before their texts."""
        given = inputs(name, task)
        made = interpreter(method, name, task, matrices=True)
        alone = [made.interpret_json(one) for one in given]
        monkeypatch.setattr(TokenBudget, "groups", one_group)
        together = made.interpret_batch_json(given)
        assert [len(one) for one in together] == [len(one) for one in alone]
        for left, right in zip(chain(*together), chain(*alone), strict=True):
            for one, other in zip(left.inputs, right.inputs, strict=True):
                assert one.tokens == other.tokens
                assert one.attributions == pytest.approx(other.attributions, abs=1e-5)
            for mine, theirs in zip(left.matrices, right.matrices, strict=True):
                assert (mine.queries, mine.keys) == (theirs.queries, theirs.keys)
                assert mine.numpy() == pytest.approx(theirs.numpy(), abs=1e-5)


class TestErrors:
    def test_no_such_attention(self) -> None:
        with pytest.raises(InterpretationError, match="no cross attention, but encoder"):
            explained("attention", "bert", "text-classification", {"sentence": SHORT}, kind="cross")

    def test_no_such_layer_or_head(self) -> None:
        for settings in ({"layers": 2}, {"heads": -3}):
            with pytest.raises(InterpretationError, match="the model has 2"):
                explained(
                    "attention", "bert", "text-classification", {"sentence": SHORT}, **settings
                )

    def test_no_such_token(self) -> None:
        with pytest.raises(InterpretationError, match="no token 40"):
            explained("attention", "bert", "text-classification", {"sentence": SHORT}, query=40)

    @pytest.mark.parametrize(
        "settings",
        [
            {"kind": "self"},
            {"layers": "median"},
            {"heads": True},
            {"query": "middle"},
            {"matrices": 3},
            # Meant as false; it made a folder of that name.
            {"matrices": "no"},
            {"matrices": ""},
        ],
    )
    def test_parameters(self, settings: dict[str, Any]) -> None:
        from allennlp.common.checks import ConfigurationError

        with pytest.raises(ConfigurationError, match=next(iter(settings))):
            interpreter("attention", "bert", "text-classification", **settings)


class TestConfigs:
    @pytest.mark.parametrize(
        "config",
        [
            {"type": "attention", "layers": 1, "heads": "max", "query": -1, "matrices": True},
            {"type": "attention", "layers": "sum", "heads": 0, "kind": "encoder", "query": "last"},
            {"type": "attention-rollout", "layer": 0, "heads": 1, "residual": 0.25},
            {"type": "attention-x-gradient", "layers": -1, "heads": "mean", "query": 2},
            {"type": "value-zeroing", "layers": 1, "final_norm": True, "threshold": 0.001},
        ],
    )
    def test_all_parameters_are_taken_and_told(self, config: dict[str, Any]) -> None:
        made: Any = SaliencyInterpreter.from_params(
            Params(dict(config)), predictor=predictor("bert", "text-classification")
        )
        for name, value in config.items():
            if name != "type":
                assert getattr(made, name) == value
                assert type(getattr(made, name)) is type(value)
        (explanation,) = made.interpret_json({"sentence": SENTENCE})
        assert config.items() <= explanation.interpreter.items()
        again: Any = SaliencyInterpreter.from_params(
            Params(dict(explanation.interpreter)),
            predictor=predictor("bert", "text-classification"),
        )
        assert again.interpret_json({"sentence": SENTENCE}) == [explanation]
