"""Tokens of a generated text that are explained together: F = Σ log p(y_t | y_<t, x)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from allennlp_saliency.interpret import (
    Explanation,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.methods.attention.attention_interpreter import AttentionInterpreter
from allennlp_saliency.interpret.space.embedding_space import EmbeddingSpace
from allennlp_saliency.predictors import TransformersPredictor
from tests.interpret.properties.cases import METHODS, make
from tests.zoo.task_models import KINDS, model, predictor, tokenizer

JsonDict = dict[str, Any]

GPT2: JsonDict = {"prompt": "a great film", "continuation": " but the plot was not"}
T5: JsonDict = {"source": "a great film", "target": "the plot was not very"}
GIVEN = {"gpt2": ("causal-lm", GPT2), "t5": ("seq2seq", T5)}
each_model = pytest.mark.parametrize("name", GIVEN)


def of(name: str, explain: Any = None, **more: Any) -> tuple[Any, JsonDict]:
    """A predictor, and an input that asks for spans."""
    task, given = GIVEN[name]
    asked = {} if explain is None else {"explain": explain}
    return predictor(name, task), {**given, **asked, **more}


def in_windows() -> TransformersPredictor:
    """A predictor that reads sources of more than eight tokens in windows."""
    return TransformersPredictor.from_pretrained(
        model("t5", "seq2seq"),
        tokenizer("pieces-eos"),
        task="seq2seq",
        overlong="window",
        max_length=8,
    )


def scores(explanation: Explanation) -> dict[str, list[float]]:
    return {one.field: one.attributions for one in explanation.inputs}


def flat(explanation: Explanation) -> list[float]:
    return [score for one in explanation.inputs for score in one.attributions]


class TestByHand:
    """The gradient of a span is the sum of those of its tokens, by autograd."""

    @pytest.mark.parametrize(("first", "end"), [(0, 9), (0, 1), (2, 6), (5, 9)])
    def test_gpt2(self, first: int, end: int) -> None:
        made, json = of("gpt2", [[first, end]])
        own = made._model.transformer
        own_tokenizer = tokenizer(KINDS["gpt2"].tokenizer)
        before, after = (
            own_tokenizer(json[key], return_tensors="pt").input_ids
            for key in ("prompt", "continuation")
        )
        total = torch.zeros(before.shape[1] + first)
        value = 0.0
        for step in range(first, end):
            whole = torch.cat([before[0], after[0, :step]]).unsqueeze(0)
            vectors = own.transformer.wte(whole).detach().requires_grad_()
            log_prob = own(inputs_embeds=vectors).logits[0, -1].log_softmax(-1)[after[0, step]]
            (gradient,) = torch.autograd.grad(log_prob, vectors)
            total += (gradient * vectors).sum(-1)[0, : len(total)].detach()
            value += log_prob.item()
        (explanation,) = InputXGradient(made).interpret_json(json)
        found = scores(explanation)
        assert found["prompt"] + found["generated"] == pytest.approx(total.tolist(), abs=1e-5)
        assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
        assert explanation.target["positions"] == list(range(first, end))

    def test_t5(self) -> None:
        made, json = of("t5", "span")
        own = made._model.transformer
        predicted = made.predict_json(json)
        source = tokenizer("pieces-eos")(json["source"], return_tensors="pt").input_ids
        vectors = own.shared(source).detach().requires_grad_()
        total, ids = torch.zeros(source.shape[1]), predicted["token_ids"]
        for step, token in enumerate(ids):
            start = torch.tensor([[own.config.decoder_start_token_id or 0, *ids[:step]]])
            logits = own(inputs_embeds=vectors, decoder_input_ids=start).logits[0, -1]
            (gradient,) = torch.autograd.grad(logits.log_softmax(-1)[token], vectors)
            total += (gradient * vectors).sum(-1)[0].detach()
        (explanation,) = InputXGradient(made).interpret_json(json)
        assert scores(explanation)["source"] == pytest.approx(total.tolist(), abs=1e-5)
        assert explanation.target["value"] == pytest.approx(sum(predicted["log_probs"]), abs=1e-5)
        # What the decoder starts from is no token of the span.
        assert len(scores(explanation)["generated"]) == 1


@each_model
class TestSpans:
    def test_a_token_is_a_span_of_one(self, name: str) -> None:
        made, json = of(name)
        tokens = InputXGradient(made).interpret_json(json)
        each = [[number, number + 1] for number in range(len(tokens))]
        spans = InputXGradient(made).interpret_json({**json, "explain": each})
        assert len(spans) == len(tokens) > 4
        for one, other in zip(spans, tokens, strict=True):
            assert flat(one) == pytest.approx(flat(other), abs=1e-6)
            assert one.target["value"] == pytest.approx(other.target["value"], abs=1e-5)

    def test_integrated_gradients_are_complete(self, name: str) -> None:
        made, json = of(name, [[1, 5]])
        (explanation,) = IntegratedGradients(made, tolerance=1e-3).interpret_json(json)
        due = explanation.target["value"] - explanation.target["baseline_value"]
        assert sum(flat(explanation)) == pytest.approx(due, abs=2e-3 * abs(due))
        assert [one.unassigned for one in explanation.inputs] == [0, 0]

    def test_the_span_keeps_its_own_tokens(self, name: str) -> None:
        """F at the baseline is that of the span itself behind an input without information."""
        made, json = of(name, "span")
        (explanation,) = IntegratedGradients(made, baseline="zero", steps=8).interpret_json(json)
        own = made._model.transformer
        predicted = made.predict_json(json)
        ids = torch.tensor([predicted["token_ids"]])
        embed = own.get_input_embeddings()
        if name == "gpt2":
            before = tokenizer(KINDS[name].tokenizer)(json["prompt"]).input_ids
            zero = torch.zeros(1, len(before), 16)
            vectors = torch.cat([zero, embed(ids[:, :-1])], dim=1)
            logits = own(inputs_embeds=vectors).logits[0, len(before) - 1 :]
        else:
            source = embed(tokenizer("pieces-eos")(json["source"], return_tensors="pt").input_ids)
            # The end of the source and the start of the decoder are special tokens.
            source[:, :-1] = 0
            start = torch.cat([torch.zeros(1, 1, dtype=torch.long), ids[:, :-1]], dim=1)
            logits = own(inputs_embeds=source, decoder_input_ids=start).logits[0]
        value = logits.log_softmax(-1).gather(1, ids.T).sum().item()
        assert explanation.target["baseline_value"] == pytest.approx(value, abs=1e-4)

    def test_in_a_batch_as_alone(self, name: str) -> None:
        made, json = of(name, "span")
        text = "prompt" if name == "gpt2" else "source"
        inputs = [
            json,
            {**json, "explain": [[0, 3], [1, 4]]},
            {**json, text: "mary lives in paris, not in london, and so on"},
            {text: "mary", "max_new_tokens": 5, "explain": [[2, 5]]},
            {text: "mary", "max_new_tokens": 2},
        ]
        interpreter = IntegratedGradients(made, steps=8, token_budget=4096)
        together = interpreter.interpret_batch_json(inputs)
        assert [len(each) for each in together] == [1, 2, 1, 1, 2]
        for json, each in zip(inputs, together, strict=True):
            for one, other in zip(each, interpreter.interpret_json(json), strict=True):
                assert flat(one) == pytest.approx(flat(other), abs=1e-5)
                assert one.target["label"] == other.target["label"]
                assert one.target["value"] == pytest.approx(other.target["value"], abs=1e-4)

    def test_the_value_is_the_sum_of_the_predicted(self, name: str) -> None:
        made, json = of(name, [[0, 2], [1, 3]], max_new_tokens=4)
        json = {key: one for key, one in json.items() if key not in ("continuation", "target")}
        (one,) = Gradient(made).interpret_each([json], predict=True)
        assert one.prediction is not None
        assert one.error is None
        for (first, end), explanation in zip(json["explain"], one.explanations, strict=True):
            own = one.prediction["log_probs"][first:end]
            assert explanation.target["value"] == pytest.approx(sum(own), abs=1e-4)

    def test_a_prediction_of_something_else_is_found(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, json = of(name, "span")
        kind = type(made._model)
        found = kind._log_probs

        def less(*args: Any) -> list[float]:
            return [one - 0.1 for one in found(*args)]

        monkeypatch.setattr(kind, "_log_probs", less)
        monkeypatch.setattr(made._model._cache, "causal", 0)
        with pytest.raises(InterpretationError, match="explain each token"):
            Gradient(made).interpret_json(json)

    def test_the_foil_of_each_token_is_taken_off(self, name: str) -> None:
        made, json = of(name, foil=" london and mary in paris")
        tokens = InputXGradient(made, target="foil-difference").interpret_json(json)
        span = {**json, "explain": "span"}
        (explanation,) = InputXGradient(made, target="foil-difference").interpret_json(span)
        assert len(explanation.target["positions"]) == len(tokens)
        values = [one.target["value"] for one in tokens]
        assert explanation.target["value"] == pytest.approx(sum(values), abs=1e-4)
        field = explanation.inputs[-1].field
        sums = torch.tensor([scores(one)[field] for one in tokens]).sum(0)
        assert scores(explanation)[field] == pytest.approx(sums.tolist(), abs=1e-5)
        target = {"type": "foil-difference", "of": "probability"}
        with pytest.raises(InterpretationError, match="the logits are compared"):
            InputXGradient(made, target=target).interpret_json(span)

    def test_another_prompt_is_compared_with_token_by_token(self, name: str) -> None:
        changed = {"changed_prompt" if name == "gpt2" else "changed_source": "mary"}
        made, json = of(name, "span", **changed)
        with pytest.raises(InterpretationError, match="token by token"):
            Gradient(made).interpret_json(json)

    def test_words(self, name: str) -> None:
        made, json = of(name, [[3, 6]])
        (words,) = InputXGradient(made, granularity="word").interpret_json(json)
        (tokens,) = InputXGradient(made).interpret_json(json)
        assert sum(flat(words)) == pytest.approx(sum(flat(tokens)), abs=1e-6)
        assert words.inputs[-1].tokens[:3] == ["a", "great", "film"]

    def test_probability(self, name: str) -> None:
        made, json = of(name, [[0, 2]])
        (explanation,) = Gradient(made, target="probability").interpret_json(json)
        predicted = made.predict_json(json)["log_probs"]
        value = torch.tensor(predicted[:2]).sum().exp().item()
        assert explanation.target["value"] == pytest.approx(value, rel=1e-4)

    @pytest.mark.parametrize("target", ["logit", "entropy"])
    def test_targets_of_single_labels(self, name: str, target: str) -> None:
        made, json = of(name, "span")
        with pytest.raises(InterpretationError, match=r"use the target 'log-likelihood'$"):
            Gradient(made, target=target).interpret_json(json)


@pytest.mark.parametrize("method", METHODS)
def test_every_method(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = EmbeddingSpace._run

    def watched(self: EmbeddingSpace, rows: torch.Tensor, points: torch.Tensor) -> Any:
        held = self.layout.expand(self.layout.held[rows])
        assert torch.equal(points[held], self.embeddings[rows][held])
        return run(self, rows, points)

    monkeypatch.setattr(EmbeddingSpace, "_run", watched)
    made, json = of("gpt2", [[1, 4], [0, 2]])
    settings = {"layer": 0} if method.startswith("layer-") else {}
    interpreter = make(method, made, **settings)
    if issubclass(SaliencyInterpreter.by_name(method), AttentionInterpreter):
        with pytest.raises(InterpretationError, match="one token at a time"):
            interpreter.interpret_json(json)
        return
    other = {**json, "prompt": "mary lives in paris"}
    explanations, more = interpreter.interpret_batch_json([json, other])
    for each, alone in ((explanations, json), (more, other)):
        for one, same in zip(each, interpreter.interpret_json(alone), strict=True):
            assert flat(one) == pytest.approx(flat(same), abs=1e-5)
            if one.convergence_delta is not None and "discretized" not in method:
                assert abs(one.convergence_delta) < 0.1
    assert [len(scores(one)["generated"]) for one in explanations] == [1, 0]
    assert any(flat(explanations[0]))


def test_relevance_of_the_span_itself_is_absorbed() -> None:
    made, json = of("gpt2", "span")
    (explanation,) = SaliencyInterpreter.by_name("lrp")(made).interpret_json(json)  # type: ignore[attr-defined]
    absorbed = explanation.details["absorbed"]
    assert absorbed["the explained tokens"] != 0
    whole = sum(absorbed.values()) + sum(flat(explanation))
    assert whole == pytest.approx(explanation.target["value"], abs=1e-3)


@pytest.mark.parametrize("method", ["layer-integrated-gradients", "layer-deeplift"])
def test_what_a_layer_makes_of_the_span_is_unassigned(method: str) -> None:
    """There the states of the span's own tokens depend on the prompt."""
    made, json = of("gpt2", "span")
    (explanation,) = make(method, made, layer=0).interpret_json(json)
    assert explanation.inputs[1].unassigned != 0
    assert abs(explanation.convergence_delta or 0) < 1e-3


class TestPasses:
    """A span of 32 tokens takes a pass, not 32."""

    @pytest.mark.parametrize("name", ["gpt2", "t5"])
    def test_count(self, name: str) -> None:
        task, given = GIVEN[name]
        made = predictor(name, task)
        text = "prompt" if name == "gpt2" else "source"
        after = "continuation" if name == "gpt2" else "target"
        words = " mary lives in paris and john in london, not in a film, but the plot was bad"
        json = {text: given[text], after: f"{words}.{words}"}
        made._model._cache.causal = 0
        calls: list[tuple[bool, int]] = []
        own = made._model.transformer

        def note(module: Any, args: Any, kwargs: Any, outputs: Any) -> None:
            calls.append((outputs.logits.requires_grad, len(outputs.logits)))

        hook = own.register_forward_hook(note, with_kwargs=True)
        try:
            (explanation,) = Gradient(made).interpret_json({**json, "explain": [[0, 32]]})
            with_gradients = [rows for graph, rows in calls if graph]
            # Beside it, once for the model, what shows that no token depends on those behind it.
            assert with_gradients == [1]
            assert len(calls) == 3
            calls.clear()
            Gradient(made).interpret_json({**json, "explain": [[0, 32]]})
            assert calls == [(True, 1)]
            calls.clear()
            IntegratedGradients(made, steps=8).interpret_json({**json, "explain": [[0, 32]]})
            # A row for each of the points at most.
            assert sum(rows for graph, rows in calls if graph) <= 1 + 16
        finally:
            hook.remove()
        assert len(explanation.target["positions"]) == 32
