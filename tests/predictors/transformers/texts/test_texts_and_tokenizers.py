"""Texts and tokenizers that are easy to get wrong."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from allennlp_saliency.interpret import Explanation, InterpretationError, SaliencyInterpreter
from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.transformers.texts.hf_tokenizer import Pieces
from tests.zoo.task_models import KINDS, inputs, model, predictor, tokenizer


def explain(made: Any, given: dict[str, Any], method: str = "input-x-gradient") -> Any:
    interpreter: Any = SaliencyInterpreter.by_name(method)(made)
    return interpreter.interpret_json(given)


class TestPadding:
    @pytest.mark.parametrize(
        ("name", "task"),
        [
            ("gpt2", "text-classification"),
            ("gpt2", "causal-lm"),
            ("llama", "text-classification"),
            ("roberta", "text-classification"),
            ("t5", "seq2seq"),
        ],
    )
    @pytest.mark.parametrize("side", ["left", "right"])
    def test_the_side_is_all_the_same(self, name: str, task: str, side: str) -> None:
        own = copy.deepcopy(tokenizer(KINDS[name].tokenizer))
        own.padding_side = side
        made = TransformersPredictor.from_pretrained(model(name, task), own)
        given = inputs(name, task)
        interpreter: Any = SaliencyInterpreter.by_name("input-x-gradient")(made, token_budget=10000)
        together = interpreter.interpret_batch_json(given)
        for one, explanations in zip(given, together, strict=True):
            alone = explain(predictor(name, task), one)
            assert scores(explanations) == pytest.approx(scores(alone), abs=1e-5)

    def test_a_batch_without_a_padding_token(self) -> None:
        own = model("gpt2", "text-classification")
        own.config.pad_token_id = None
        made = TransformersPredictor.from_pretrained(own, tokenizer("bare-bytes"))
        sentences = [{"sentence": "a"}, {"sentence": "a great film, but the plot"}]
        together = made.predict_batch_json(sentences)
        for one, prediction in zip(sentences, together, strict=True):
            ids = tokenizer("bare-bytes")(one["sentence"], return_tensors="pt").input_ids
            with torch.no_grad():
                expected = own(input_ids=ids).logits[0].tolist()
            assert prediction["logits"] == pytest.approx(expected, abs=1e-5)


class TestSharedBatches:
    """Texts of about the same length go through the model together, padded."""

    @pytest.mark.parametrize(
        ("name", "task", "key"),
        [
            ("bert", "text-classification", "sentence"),
            ("roberta", "text-classification", "sentence"),
            ("gpt2", "text-classification", "sentence"),
            ("llama", "text-classification", "sentence"),
            ("bart", "text-classification", "sentence"),
            ("deberta-v2", "token-classification", "sentence"),
            ("modernbert", "text-classification", "sentence"),
            ("gpt2", "causal-lm", "prompt"),
            ("llama", "causal-lm", "prompt"),
            ("qwen3", "causal-lm", "prompt"),
            ("gemma", "causal-lm", "prompt"),
            ("t5", "seq2seq", "source"),
            ("bart", "seq2seq", "source"),
        ],
    )
    def test_padding_changes_nothing(self, name: str, task: str, key: str) -> None:
        given: list[dict[str, Any]] = [{key: " ".join(["a great"] * n)} for n in (11, 12, 12)]
        for one in given:
            if key != "sentence":
                one["max_new_tokens"] = 4
        made = predictor(name, task)
        twins: list[int] = []
        interpreter: Any = SaliencyInterpreter.by_name("input-x-gradient")(made, token_budget=10000)
        sharing = interpreter._sharing
        explain_jobs = sharing.explain
        sharing.explain = lambda jobs, explain: (
            twins.append(len({str(job.instance.get_padding_lengths()) for job in jobs}))
            or explain_jobs(jobs, explain)
        )
        together = interpreter.interpret_batch_json(given)
        # Texts of different lengths were in one batch.
        assert max(twins) > 1
        for one, explanations in zip(given, together, strict=True):
            alone = explain(made, one)
            assert [e.target["label"] for e in explanations] == [e.target["label"] for e in alone]
            assert scores(explanations) == pytest.approx(scores(alone), abs=1e-5)


class TestInnerLayers:
    @pytest.mark.parametrize(
        ("name", "layer"),
        [
            ("bert", "bert.encoder.layer.0"),
            ("gpt2", "transformer.h.0"),
            ("llama", "model.layers.0"),
        ],
    )
    def test_one_text(self, name: str, layer: str) -> None:
        given = [{"sentence": " ".join(["a great"] * n)} for n in (11, 12)]
        interpreter: Any = SaliencyInterpreter.by_name("layer-gradient-x-activation")(
            predictor(name, "text-classification"), layer=f"transformer.{layer}"
        )
        together = interpreter.interpret_batch_json(given)
        alone = [interpreter.interpret_json(one) for one in given]
        for left, right in zip(together, alone, strict=True):
            assert scores(left) == pytest.approx(scores(right), abs=1e-5)
            assert any(scores(left))

    def test_several_texts_in_one_sequence(self) -> None:
        """Each position of the sequence belongs to the token of one of the texts."""
        interpreter: Any = SaliencyInterpreter.by_name("layer-gradient-x-activation")(
            predictor("bert", "text-classification"),
            layer="transformer.bert.encoder.layer.0",
            target="logit",
        )
        given = {"premise": "a great film", "hypothesis": "a film"}
        (explanation,) = interpreter.interpret_json(given)
        own = model("bert", "text-classification")
        pair = tokenizer("wordpiece")(given["premise"], given["hypothesis"], return_tensors="pt")
        states: list[torch.Tensor] = []

        def kept(module: Any, args: Any, output: Any) -> Any:
            states.append((output[0] if isinstance(output, tuple) else output).detach())
            states[-1].requires_grad_()
            return (states[-1], *output[1:]) if isinstance(output, tuple) else states[-1]

        hook = own.bert.encoder.layer[0].register_forward_hook(kept)
        try:
            logits = own(**pair).logits[0]
        finally:
            hook.remove()
        (gradient,) = torch.autograd.grad(logits.max(), states[0])
        by_hand = (gradient * states[0]).sum(-1)[0].tolist()
        by_field = {one.field: one for one in explanation.inputs}
        premise, hypothesis = by_field["premise"], by_field["hypothesis"]
        tokens = tokenizer("wordpiece").convert_ids_to_tokens(pair["input_ids"][0])
        assert [*premise.tokens, *hypothesis.tokens] == tokens
        assert [*premise.attributions, *hypothesis.attributions] == pytest.approx(by_hand, abs=1e-5)


class TestPrompts:
    def test_empty(self) -> None:
        with pytest.raises(InterpretationError, match="prompt has no tokens"):
            explain(predictor("gpt2", "causal-lm"), {"prompt": ""})

    def test_empty_after_a_start(self) -> None:
        explanations = explain(predictor("llama", "causal-lm"), {"prompt": "", "max_new_tokens": 2})
        assert [e.inputs[1].tokens for e in explanations] == [["<s>"], ["<s>"]]

    @pytest.mark.parametrize("name", ["gpt2", "llama"])
    def test_one_token(self, name: str) -> None:
        explanations = explain(predictor(name, "causal-lm"), {"prompt": "a", "max_new_tokens": 2})
        assert [len(e.inputs[0].tokens) for e in explanations] == list(range(len(explanations)))

    def test_given_continuation(self) -> None:
        explanations = explain(
            predictor("gpt2", "causal-lm"), {"prompt": "mary lives", "continuation": " in paris"}
        )
        own = tokenizer("bare-bytes")
        expected = own.convert_ids_to_tokens(own(" in paris")["input_ids"])
        assert [e.target["label"] for e in explanations] == expected
        assert explanations[-1].inputs[0].offsets[0] == (1, 3)

    def test_continuation_that_merges_with_the_prompt(self) -> None:
        explanations = explain(
            predictor("gpt2", "causal-lm"), {"prompt": "mary liv", "continuation": "es"}
        )
        assert explanations[0].inputs[1].tokens[-1] != "Ġlives"

    def test_foil(self) -> None:
        interpreter: Any = SaliencyInterpreter.by_name("input-x-gradient")(
            predictor("gpt2", "causal-lm"), target={"type": "contrast", "against": " paris"}
        )
        given = {"prompt": "mary lives in", "continuation": " london"}
        (explanation,) = interpreter.interpret_json(given)
        own = predictor("gpt2", "causal-lm")._model.transformer  # type: ignore[union-attr]
        ids = tokenizer("bare-bytes")(given["prompt"], return_tensors="pt").input_ids
        one, other = (
            tokenizer("bare-bytes")(word)["input_ids"][0] for word in (" london", " paris")
        )
        with torch.no_grad():
            logits = own(input_ids=ids).logits[0, -1]
        assert explanation.target["value"] == pytest.approx(
            float(logits[one] - logits[other]), abs=1e-5
        )

    def test_a_chat(self) -> None:
        own = copy.deepcopy(tokenizer("pieces-bos"))
        own.chat_template = (
            "<s>{% for m in messages %}{{ m['role'] }}: {{ m['content'] }} {% endfor %}"
            "{% if add_generation_prompt %}assistant:{% endif %}"
        )
        made = TransformersPredictor.from_pretrained(model("llama", "causal-lm"), own)
        given = {"messages": [{"role": "user", "content": "where is mary"}], "max_new_tokens": 1}
        (explanation,) = explain(made, given)
        tokens = explanation.inputs[1].tokens
        assert tokens.count("<s>") == 1
        text = "<s>user: where is mary assistant:"
        assert explanation.inputs[1].offsets[-1] == (len(text) - 1, len(text))

    def test_no_chat_template(self) -> None:
        with pytest.raises(InterpretationError, match="no chat template"):
            explain(predictor("gpt2", "causal-lm"), {"messages": []})

    @pytest.mark.parametrize("given", [{}, {"prompt": "a", "messages": []}])
    def test_neither_or_both(self, given: dict[str, Any]) -> None:
        with pytest.raises(InterpretationError, match="'prompt'"):
            explain(predictor("gpt2", "causal-lm"), given)

    def test_no_new_tokens(self) -> None:
        with pytest.raises(InterpretationError, match="max_new_tokens"):
            explain(predictor("gpt2", "causal-lm"), {"prompt": "a", "max_new_tokens": 0})


class TestLongTexts:
    @pytest.mark.parametrize(
        ("name", "most"),
        [("bert", 128), ("roberta", 126), ("distilbert", 128), ("gpt2", 128), ("bart", 128)],
    )
    def test_as_long_as_it_may_be(self, name: str, most: int) -> None:
        made = predictor(name, "text-classification")
        around = len(Pieces(tokenizer(KINDS[name].tokenizer)).text("")) - 1
        # One token a word. RoBERTa leaves two of its 128 positions unused.
        longest = " ".join(["a"] * (most - 1 - around))
        (explanation,) = explain(made, {"sentence": longest})
        assert len(explanation.inputs[0].tokens) == most
        with pytest.raises(InterpretationError, match=f"has {most + 1} tokens"):
            explain(made, {"sentence": longest + " a"})

    def test_more_than_a_prompt_leaves_room_for(self) -> None:
        given = {"prompt": " ".join(["a"] * 120), "max_new_tokens": 10}
        told = r"'prompt' has 120 tokens, max_new_tokens=10 .* at most 128; .*fewer tokens"
        with pytest.raises(InterpretationError, match=told):
            explain(predictor("gpt2", "causal-lm"), given)
        assert len(explain(predictor("gpt2", "causal-lm"), {**given, "max_new_tokens": 9})) > 0

    def test_a_continuation_that_a_prompt_leaves_no_room_for(self) -> None:
        given = {"prompt": " ".join(["a"] * 120), "continuation": " a" * 10}
        with pytest.raises(InterpretationError, match="the continuation 9 more") as caught:
            explain(predictor("gpt2", "causal-lm"), given)
        assert "fewer" not in str(caught.value)

    def test_more_than_a_decoder_can_write(self) -> None:
        made, given = predictor("bart", "seq2seq"), {"source": "a great film"}
        tokens = len(tokenizer("bytes")(given["source"])["input_ids"])
        told = f"max_new_tokens=129 .* source of {tokens} tokens.* at most 128"
        with pytest.raises(InterpretationError, match=told):
            explain(made, {**given, "max_new_tokens": 129})
        assert made.predict_json({**given, "max_new_tokens": 128})["tokens"]

    @pytest.mark.parametrize("name", ["deberta-v2", "llama", "t5"])
    def test_no_positions_to_run_out_of(self, name: str) -> None:
        (explanation,) = explain(
            predictor(name, "text-classification"), {"sentence": " ".join(["a"] * 200)}
        )
        assert len(explanation.inputs[0].tokens) > 200


class TestOtherTexts:
    def test_the_start_of_a_decoder_is_worth_no_warning(self) -> None:
        given = {"source": "a great film", "max_new_tokens": 2}
        first, *_ = explain(predictor("bart", "seq2seq"), given, "deeplift")
        assert first.inputs[0].attributions == [0.0]
        assert not any("zero" in warning for warning in first.warnings)

    def test_no_gap(self) -> None:
        with pytest.raises(InterpretationError, match=r"\[MASK\]"):
            explain(predictor("bert", "masked-lm"), {"sentence": "a great film"})

    def test_no_passage(self) -> None:
        with pytest.raises(InterpretationError, match="passage has no tokens"):
            explain(predictor("bert", "question-answering"), {"question": "a", "passage": " "})

    def test_no_choices(self) -> None:
        with pytest.raises(InterpretationError, match="'choices'"):
            explain(predictor("bert", "multiple-choice"), {"prompt": "a", "choices": []})

    def test_empty_sentence_between_special_tokens(self) -> None:
        (explanation,) = explain(predictor("bert", "text-classification"), {"sentence": ""})
        assert explanation.inputs[0].tokens == ["[CLS]", "[SEP]"]

    def test_right_to_left(self) -> None:
        text = "שלום עולם"
        (explanation,) = explain(predictor("bert", "text-classification"), {"sentence": text})
        offsets = [span for span in explanation.inputs[0].offsets if span is not None]
        assert "".join(text[slice(*span)] for span in offsets) == text.replace(" ", "")

    def test_tags_without_an_outside(self) -> None:
        own = model("bert", "token-classification")
        own.config.id2label = dict(enumerate(("NOUN", "VERB", "DET", "ADP", "PUNCT")))
        made = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"))
        given = {"sentence": "mary lives in paris"}
        explanations = explain(made, given)
        assert [e.target["label"] for e in explanations] == made.predict_json(given)["tags"]
        assert len(explanations) == 4


def scores(explanations: list[Explanation]) -> list[float]:
    return [score for e in explanations for one in e.inputs for score in one.attributions]
