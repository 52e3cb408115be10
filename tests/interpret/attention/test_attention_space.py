"""Whose the positions are, in models of any kind; and that nobody notices."""

from __future__ import annotations

import copy
import threading
from itertools import chain, pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from allennlp.common import Params
from allennlp.data import DatasetReader
from allennlp.models import Model
from allennlp.modules.transformer import TransformerStack
from allennlp.predictors import Predictor, TextClassifierPredictor
from torch import Tensor
from transformers import AutoTokenizer

from allennlp_saliency.interpret import Explanation, SaliencyInterpreter
from allennlp_saliency.interpret.attention.recorder import Recorder
from allennlp_saliency.interpret.space.packing import TokenBudget
from allennlp_saliency.predictors import TransformersPredictor
from tests.interpret.attention.models import SENTENCE, of_kind, one_group, scores
from tests.zoo import Zoo, vocabulary
from tests.zoo.task_models import KINDS, model, tokenizer
from tests.zoo.transformers import spread

METHODS = ("attention", "attention-rollout", "attention-x-gradient", "value-zeroing")


def explain(method: str, predictor: Predictor, given: Any, **settings: Any) -> Explanation:
    made: Any = SaliencyInterpreter.by_name(method)(predictor, **settings)
    (explanation,) = made.interpret_json(given)
    return explanation


class TestWordpieces:
    """AllenNLP's embedder averages the wordpieces of a word."""

    def test_are_added_up(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert-mismatched")
        given = zoo.inputs("bert-mismatched")[2]
        embedder: Any = predictor._model
        indexer: Any = next(iter(predictor._dataset_reader._token_indexers.values()))
        words = [token.text for token in predictor._json_to_instance(given)["tokens"]]
        own = indexer._matched_indexer._tokenizer
        pieces = [own(word, add_special_tokens=False)["input_ids"] for word in words]
        assert max(map(len, pieces)) > 1
        ids = [own.cls_token_id, *chain(*pieces), own.sep_token_id]
        transformer = next(
            copy.deepcopy(module)
            for module in embedder.modules()
            if type(module).__name__ == "BertModel"
        )
        transformer.set_attn_implementation("eager")
        with torch.no_grad():
            outputs = transformer.eval()(torch.tensor([ids]), output_attentions=True)
        weights = np.stack([layer[0].numpy() for layer in outputs.attentions])
        explanation = explain("attention", predictor, given, matrices=True)
        assert of_kind(explanation, "encoder") == pytest.approx(weights, abs=1e-5)
        (matrix,) = explanation.matrices
        assert matrix.keys == own.convert_ids_to_tokens(ids)
        looked = weights.mean((0, 1, 2))
        ends = np.cumsum([1, *map(len, pieces)])
        expected = [looked[a:b].sum() for a, b in pairwise(ends)]
        (one,) = explanation.inputs
        assert one.attributions == pytest.approx(expected, abs=1e-6)
        assert one.unassigned == pytest.approx(looked[0] + looked[-1], abs=1e-6)
        # From a word of several pieces: their mean.
        word = max(range(len(words)), key=lambda number: len(pieces[number]))
        rows = weights.mean((0, 1))[ends[word] : ends[word + 1]].mean(0)
        expected = [rows[a:b].sum() for a, b in pairwise(ends)]
        explanation = explain("attention", predictor, given, query=word)
        assert explanation.inputs[0].attributions == pytest.approx(expected, abs=1e-6)

    def test_two_texts_that_are_read_one_by_one(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("pair-bert")
        given = zoo.inputs("pair-bert")[2]
        for method in ("attention", "attention-rollout", "value-zeroing"):
            explanation = explain(method, predictor, given, matrices=True)
            assert len(explanation.matrices) == 2
            for one in explanation.inputs:
                assert sum(one.attributions) + one.unassigned == pytest.approx(1, abs=1e-5)
            swapped = {"premise": given["hypothesis"], "hypothesis": given["premise"]}
            other = explain(method, predictor, swapped)
            for one, two in zip(explanation.inputs, reversed(other.inputs), strict=True):
                assert one.attributions == pytest.approx(two.attributions, abs=1e-5)

    def test_a_text_that_is_folded_into_segments(self, zoo: Zoo) -> None:
        folder = zoo.transformer("bert")
        part = {"type": "pretrained_transformer", "model_name": folder}
        folded = {**part, "max_length": 8}
        reader = {
            "type": "text_classification_json",
            "text_key": "sentence",
            "tokenizer": part,
            "token_indexers": {"tokens": folded},
        }
        config = {
            "type": "basic_classifier",
            "text_field_embedder": {"token_embedders": {"tokens": folded}},
            "seq2vec_encoder": {"type": "cls_pooler", "embedding_dim": 16},
            "namespace": "tags",
        }
        own: Any = Model.from_params(Params(copy.deepcopy(config)), vocab=vocabulary())
        predictor = TextClassifierPredictor(
            own.eval(), DatasetReader.from_params(Params(copy.deepcopy(reader)))
        )
        explanation = explain("attention", predictor, {"sentence": SENTENCE}, matrices=True)
        (one,) = explanation.inputs
        names = one.tokens[1:-1]
        segments = [["[CLS]", *names[i : i + 6], "[SEP]"] for i in range(0, len(names), 6)]
        assert len(segments) > 2
        transformer = copy.deepcopy(own._text_field_embedder.token_embedder_tokens)
        transformer = transformer.transformer_model
        transformer.set_attn_implementation("eager")
        words = AutoTokenizer.from_pretrained(folder)
        looked, beside = [], 0.0
        for number, segment in enumerate(segments):
            ids = torch.tensor([words.convert_tokens_to_ids(segment)])
            with torch.no_grad():
                attentions = transformer(ids, output_attentions=True).attentions
            weights = torch.stack(attentions)[:, 0].numpy()
            assert explanation.matrices[number].keys == segment
            assert explanation.matrices[number].numpy() == pytest.approx(weights, abs=1e-5)
            share = weights.mean((0, 1, 2)) / len(segments)
            first, last = number == 0, number == len(segments) - 1
            looked += share[0 if first else 1 : None if last else -1].tolist()
            beside += (0 if first else share[0]) + (0 if last else share[-1])
        assert one.attributions == pytest.approx(looked, abs=1e-6)
        assert one.unassigned == pytest.approx(beside, abs=1e-6)


class TestAnyTransformer:
    """torch's own encoder, as AllenNLP wraps it, over word embeddings or over an LSTM's states."""

    def predictor(self, encoder: dict[str, Any]) -> Predictor:
        vocab = vocabulary()
        config = {
            "type": "basic_classifier",
            "text_field_embedder": {
                "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 8}}
            },
            "seq2seq_encoder": encoder,
            "seq2vec_encoder": {"type": "boe", "embedding_dim": 8, "averaged": True},
        }
        made = Model.from_params(Params(config), vocab=vocab)
        spread(made, 3)
        made.eval()
        reader = DatasetReader.from_params(
            Params({"type": "text_classification_json", "text_key": "sentence"})
        )
        return TextClassifierPredictor(made, reader)

    TRANSFORMER: ClassVar[dict[str, Any]] = {
        "type": "pytorch_transformer",
        "input_dim": 8,
        "num_layers": 2,
        "feedforward_hidden_dim": 16,
        "num_attention_heads": 2,
    }

    def test_torchs_own(self) -> None:
        predictor = self.predictor(dict(self.TRANSFORMER))
        sentence = {"sentence": "the great film was not a bad film"}
        copied: Any = copy.deepcopy(predictor._model)
        expected: list[Tensor] = []

        def attend(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            kwargs = {**kwargs, "need_weights": True, "average_attn_weights": False}
            expected.append(module.forward(*args, **kwargs)[1][0].detach())

        for block in copied._seq2seq_encoder._transformer.layers:
            block.self_attn.register_forward_hook(attend, with_kwargs=True)
        instance = predictor._json_to_instance(sentence)
        predictor._dataset_reader.apply_token_indexers(instance)
        copied.forward_on_instance(instance)
        explanation = explain("attention", predictor, sentence, matrices=True)
        found = of_kind(explanation, "encoder")
        assert found == pytest.approx(torch.stack(expected).numpy(), abs=1e-5)
        assert explanation.inputs[0].attributions == pytest.approx(found.mean((0, 1, 2)), abs=1e-6)
        for method in METHODS:
            assert any(explain(method, predictor, sentence).inputs[0].attributions)

    def test_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        predictor = self.predictor(dict(self.TRANSFORMER))
        given = [{"sentence": "the great film was not a bad film"}, {"sentence": "the film"}]
        for method in METHODS:
            made: Any = SaliencyInterpreter.by_name(method)(predictor)
            alone = [made.interpret_json(one)[0] for one in given]
            with monkeypatch.context() as patch:
                patch.setattr(TokenBudget, "groups", one_group)
                together = [one for (one,) in made.interpret_batch_json(given)]
            for one, other in zip(alone, together, strict=True):
                assert one.inputs[0].attributions == pytest.approx(
                    other.inputs[0].attributions, abs=1e-5
                )

    def test_states_of_several_tokens_each(self) -> None:
        """Behind an LSTM states depend on all tokens: then positions are taken as they come."""
        lstm = {"type": "lstm", "input_size": 8, "hidden_size": 8}
        both = {"type": "compose", "encoders": [lstm, dict(self.TRANSFORMER)]}
        predictor = self.predictor(both)
        sentence = {"sentence": "the great film was not a bad film"}
        explanation = explain("attention", predictor, sentence, matrices=True)
        found = of_kind(explanation, "encoder").mean((0, 1, 2))
        assert explanation.inputs[0].attributions == pytest.approx(found, abs=1e-6)


def test_allennlps_own() -> None:
    stack = TransformerStack(2, hidden_size=16, intermediate_size=32, num_attention_heads=2).eval()
    recorder = Recorder(stack)
    states, mask = torch.randn(3, 5, 16, requires_grad=True), torch.ones(3, 5).bool()
    mask[1, 3:] = False
    with recorder.listening():
        stack(states, attention_mask=mask)
    (run,) = recorder.runs()
    assert run.own_kind == "encoder"
    assert len(run.calls) == 2
    for call in run.calls:
        outputs = call.frame.module(call.given, attention_mask=mask, output_attentions=True)
        assert torch.allclose(call.weights, outputs.attention_probs, atol=1e-6)
        assert not call.weights[1, :, :, 3:].any()
        assert call.block is not None
        assert type(call.block.module).__name__ == "TransformerLayer"


class TestOtherImplementations:
    """An attention whose weights nobody can see is computed eagerly, on the twin alone."""

    def test_a_fused_one(self) -> None:
        from transformers import AttentionInterface

        called: list[int] = []

        def fused(
            module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **more: Any
        ) -> tuple[Tensor, None]:
            called.append(1)
            products = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).exp().tril()
            shares = products / products.sum(-1, keepdim=True)
            return (shares @ value).transpose(1, 2), None

        AttentionInterface.register("fused-in-a-test", fused)
        own = model("gpt2", "text-classification")
        words = tokenizer(KINDS["gpt2"].tokenizer)
        predictor = TransformersPredictor.from_pretrained(own, words)
        given = {"sentence": SENTENCE}
        expected = {
            method: scores(explain(method, predictor, given), "sentence") for method in METHODS
        }
        own.config._attn_implementation = "fused-in-a-test"
        for method in METHODS:
            called.clear()
            explanation = explain(method, predictor, given)
            # By the prediction, which is the user's way; not by the method.
            assert len(called) == 2
            assert scores(explanation, "sentence") == pytest.approx(expected[method], abs=1e-5)
        configs = [module.config for module in own.modules() if hasattr(module, "config")]
        assert {config._attn_implementation for config in configs} == {"fused-in-a-test"}


class TestHalfPrecision:
    @pytest.mark.parametrize("name", ["bert", "gpt2"])
    def test_bfloat16(self, name: str) -> None:
        own = model(name, "text-classification")
        words = tokenizer(KINDS[name].tokenizer)
        full, half = (
            TransformersPredictor.from_pretrained(own, words, dtype=dtype)
            for dtype in (None, "bfloat16")
        )
        for method in METHODS:
            given = {"premise": SENTENCE, "hypothesis": "a great film"}
            for one, other in zip(
                explain(method, full, given).inputs,
                explain(method, half, given).inputs,
                strict=True,
            ):
                assert one.attributions == pytest.approx(other.attributions, abs=0.05)


class TestThreads:
    def test_two_at_once(self) -> None:
        own = model("gpt2", "causal-lm")
        predictor = TransformersPredictor.from_pretrained(own, tokenizer(KINDS["gpt2"].tokenizer))
        given = [
            {"prompt": SENTENCE, "max_new_tokens": 3},
            {"prompt": "a great film", "continuation": " plot was"},
        ]
        for method in ("attention", "value-zeroing"):
            made: Any = SaliencyInterpreter.by_name(method)(predictor, matrices=True)
            expected = [made.interpret_json(one) for one in given]
            results: dict[int, list[Any]] = {0: [], 1: []}

            def work(number: int, made: Any = made, results: Any = results) -> None:
                for _ in range(5):
                    results[number].append(made.interpret_json(given[number]))

            threads = [threading.Thread(target=work, args=(number,)) for number in results]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for number, found in results.items():
                assert len(found) == 5
                assert all(one == expected[number] for one in found)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return Zoo(tmp_path_factory.mktemp("zoo"))
