"""The same numbers as Hugging Face's own forward pass, plain autograd, and AllenNLP's embedder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.data import Vocabulary
from allennlp.data.dataset_readers import TextClassificationJsonReader
from allennlp.data.token_indexers import PretrainedTransformerIndexer
from allennlp.data.tokenizers import PretrainedTransformerTokenizer
from allennlp.models import BasicClassifier
from allennlp.modules import FeedForward
from allennlp.modules.seq2vec_encoders import BertPooler, ClsPooler
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import PretrainedTransformerEmbedder
from allennlp.predictors import Predictor, TextClassifierPredictor
from torch import nn

from allennlp_saliency.interpret import InputXGradient, SaliencyInterpreter
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import (
    KINDS,
    LABELS,
    inputs,
    model,
    predictor,
    supported,
    tokenizer,
)

SENTENCES = ("a great film", "john smith lives in london, but the plot was not very good !")


def encoded(name: str, *texts: Any, **more: Any) -> dict[str, Any]:
    """What Hugging Face's users pass to their models."""
    batch = dict(tokenizer(KINDS[name].tokenizer)(*texts, return_tensors="pt", **more))
    if name not in ("bert", "electra", "albert"):
        batch.pop("token_type_ids", None)
    return batch


def own_model(name: str, task: str) -> Any:
    return predictor(name, task)._model.transformer


def having(task: str) -> list[str]:
    return [name for name, other in supported() if other == task]


class TestLogits:
    @pytest.mark.parametrize("name", having("text-classification"))
    @pytest.mark.parametrize("pair", [False, True])
    def test_text_classification(self, name: str, pair: bool) -> None:
        texts = SENTENCES if pair else SENTENCES[1:]
        keys = ("premise", "hypothesis") if pair else ("sentence",)
        with torch.no_grad():
            expected = own_model(name, "text-classification")(**encoded(name, *texts)).logits[0]
        got = predictor(name, "text-classification").predict_json(
            dict(zip(keys, texts, strict=True))
        )
        assert got["logits"] == pytest.approx(expected.tolist(), abs=1e-5)

    @pytest.mark.parametrize("name", having("question-answering"))
    def test_question_answering(self, name: str) -> None:
        given = inputs(name, "question-answering")[0]
        with torch.no_grad():
            outputs = own_model(name, "question-answering")(
                **encoded(name, given["question"], given["passage"])
            )
        got = predictor(name, "question-answering").predict_json(given)
        sides = tokenizer(KINDS[name].tokenizer)(given["question"], given["passage"])
        places = [i for i, side in enumerate(sides.sequence_ids()) if side == 1]
        for key, logits in (
            ("span_start_logits", outputs.start_logits),
            ("span_end_logits", outputs.end_logits),
        ):
            expected = logits[0, places].tolist()
            assert got[key][: len(places)] == pytest.approx(expected, abs=1e-5)
            assert all(rest < -1e30 for rest in got[key][len(places) :])

    @pytest.mark.parametrize("name", having("multiple-choice"))
    def test_multiple_choice(self, name: str) -> None:
        given = inputs(name, "multiple-choice")[0]
        prompts = [given["prompt"]] * len(given["choices"])
        batch = encoded(name, prompts, given["choices"], padding=True)
        with torch.no_grad():
            outputs = own_model(name, "multiple-choice")(
                **{key: value.unsqueeze(0) for key, value in batch.items()}
            )
        got = predictor(name, "multiple-choice").predict_json(given)
        assert got["logits"] == pytest.approx(outputs.logits[0].tolist(), abs=1e-5)

    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2", "modernbert"])
    def test_choices_of_several_lengths(self, name: str, side: str) -> None:
        """Each choice counts as it does alone, whatever side the tokenizer pads."""
        pieces = copy.deepcopy(tokenizer(KINDS[name].tokenizer))
        pieces.padding_side = side
        own = own_model(name, "multiple-choice")
        made = TransformersPredictor.from_pretrained(own, pieces, task="multiple-choice")
        choices = ["good", "a very very great film", "not"]
        alone = []
        for choice in choices:
            batch = encoded(name, "the plot was", choice)
            with torch.no_grad():
                alone.append(
                    own(**{key: one.unsqueeze(0) for key, one in batch.items()}).logits[0, 0].item()
                )
        given = {"prompt": "the plot was", "choices": choices}
        assert made.predict_json(given)["logits"] == pytest.approx(alone, abs=1e-5)
        (found,) = InputXGradient(made, target="logit").interpret_json(given)
        assert found.target["value"] == pytest.approx(max(alone), abs=1e-5)
        assert found.target["label"] == str(alone.index(max(alone)))

    @pytest.mark.parametrize("name", having("masked-lm"))
    def test_masked_lm(self, name: str) -> None:
        given = inputs(name, "masked-lm")[0]
        batch = encoded(name, given["sentence"])
        with torch.no_grad():
            logits = own_model(name, "masked-lm")(**batch).logits[0]
        mask = tokenizer(KINDS[name].tokenizer).mask_token_id
        at = torch.nonzero(batch["input_ids"][0] == mask).flatten()
        best = logits[at].log_softmax(-1).max(-1)
        got = predictor(name, "masked-lm").predict_json(given)
        assert got["token_ids"] == best.indices.tolist()
        assert got["log_probs"] == pytest.approx(best.values.tolist(), abs=1e-5)

    @pytest.mark.parametrize("name", [*having("causal-lm"), *having("seq2seq")])
    def test_generation(self, name: str) -> None:
        task = "seq2seq" if name in having("seq2seq") else "causal-lm"
        key = "source" if task == "seq2seq" else "prompt"
        batch = encoded(name, "a great film")
        most = 6
        wanted = own_model(name, task).generate(
            **batch,
            max_new_tokens=most,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
            pad_token_id=0,
        )
        ids = wanted.sequences[0, -len(wanted.logits) :].tolist()
        got = predictor(name, task).predict_json({key: "a great film", "max_new_tokens": most})
        assert got["token_ids"] == ids
        scores = [
            float(logits[0].log_softmax(-1)[one])
            for logits, one in zip(wanted.logits, ids, strict=True)
        ]
        assert got["log_probs"] == pytest.approx(scores, abs=1e-4)


class TestGradients:
    """By hand: embed the ids, differentiate the log-probability."""

    def test_every_step_of_gpt2(self) -> None:
        given = {"prompt": "a great film", "max_new_tokens": 5}
        own = own_model("gpt2", "causal-lm")
        prompt = encoded("gpt2", given["prompt"])["input_ids"]
        written = predictor("gpt2", "causal-lm").predict_json(given)["token_ids"]
        explanations = explained("causal-lm", "gpt2", given)
        assert len(explanations) == len(written) == 5
        for step, explanation in enumerate(explanations):
            ids = torch.cat([prompt, torch.tensor([written[:step]]).long()], dim=1)
            vectors = own.transformer.wte(ids).detach().requires_grad_()
            logits = own(inputs_embeds=vectors).logits[0, -1]
            value = logits.log_softmax(-1)[written[step]]
            (gradient,) = torch.autograd.grad(value, vectors)
            scores = (gradient * vectors).sum(-1)[0].tolist()
            generated, before = explanation.inputs
            assert (before.field, generated.field) == ("prompt", "generated")
            assert before.attributions + generated.attributions == pytest.approx(scores, abs=1e-5)
            assert explanation.target["value"] == pytest.approx(value.item(), abs=1e-5)

    def test_every_step_of_t5(self) -> None:
        given = {"source": "a great film", "max_new_tokens": 4}
        own = own_model("t5", "seq2seq")
        source = encoded("t5", given["source"])["input_ids"]
        written = predictor("t5", "seq2seq").predict_json(given)["token_ids"]
        for step, explanation in enumerate(explained("seq2seq", "t5", given)):
            start = tokenizer("pieces-eos").pad_token_id
            so_far = torch.tensor([[start, *written[:step]]])
            first = own.shared(source).detach().requires_grad_()
            second = own.shared(so_far).detach().requires_grad_()
            logits = own(inputs_embeds=first, decoder_inputs_embeds=second).logits[0, -1]
            value = logits.log_softmax(-1)[written[step]]
            gradients = torch.autograd.grad(value, (first, second))
            for one, vectors, gradient in zip(
                reversed(explanation.inputs), (first, second), gradients, strict=True
            ):
                scores = (gradient * vectors).sum(-1)[0].tolist()
                assert one.attributions == pytest.approx(scores, abs=1e-5)

    def test_two_texts_in_one_sequence(self) -> None:
        given = {"premise": SENTENCES[0], "hypothesis": SENTENCES[1]}
        own = own_model("bert", "text-classification")
        batch = encoded("bert", *SENTENCES)
        vectors = own.bert.embeddings.word_embeddings(batch.pop("input_ids"))
        vectors = vectors.detach().requires_grad_()
        logits = own(inputs_embeds=vectors, **batch).logits[0]
        (gradient,) = torch.autograd.grad(logits.log_softmax(-1).max(), vectors)
        scores = (gradient * vectors).sum(-1)[0].tolist()
        hypothesis, premise = explained("text-classification", "bert", given)[0].inputs
        assert premise.attributions + hypothesis.attributions == pytest.approx(scores, abs=1e-5)

    def test_a_label_among_several(self) -> None:
        own = model("roberta", "text-classification", problem_type="multi_label_classification")
        own.classifier.out_proj.bias.data += 1.0
        made = TransformersPredictor.from_pretrained(own, tokenizer("bytes"))
        given = {"sentence": SENTENCES[1]}
        batch = encoded("roberta", given["sentence"])
        vectors = own.roberta.embeddings.word_embeddings(batch.pop("input_ids"))
        vectors = vectors.detach().requires_grad_()
        logits = own(inputs_embeds=vectors, **batch).logits[0]
        there = [label for label in range(len(LABELS)) if logits[label] > 0]
        interpreter: Any = SaliencyInterpreter.by_name("input-x-gradient")(made)
        explanations = interpreter.interpret_json(given)
        assert [e.target["label"] for e in explanations] == [LABELS[label] for label in there]
        assert len(there) > 1
        for label, explanation in zip(there, explanations, strict=True):
            value = nn.functional.logsigmoid(logits[label])
            (gradient,) = torch.autograd.grad(value, vectors, retain_graph=True)
            scores = (gradient * vectors).sum(-1)[0].tolist()
            assert explanation.target["value"] == pytest.approx(value.item(), abs=1e-6)
            assert explanation.inputs[0].attributions == pytest.approx(scores, abs=1e-5)

    def test_a_number(self) -> None:
        own = model("bert", "text-classification", num_labels=1)
        made = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"))
        given = {"sentence": SENTENCES[0]}
        batch = encoded("bert", given["sentence"])
        vectors = own.bert.embeddings.word_embeddings(batch.pop("input_ids"))
        vectors = vectors.detach().requires_grad_()
        value = own(inputs_embeds=vectors, **batch).logits[0, 0]
        (gradient,) = torch.autograd.grad(value, vectors)
        interpreter: Any = SaliencyInterpreter.by_name("input-x-gradient")(made)
        (explanation,) = interpreter.interpret_json(given)
        assert explanation.target["type"] == "logit"
        assert explanation.target["value"] == pytest.approx(value.item(), abs=1e-6)
        assert made.predict_json(given)["score"] == pytest.approx(value.item(), abs=1e-6)
        scores = (gradient * vectors).sum(-1)[0].tolist()
        assert explanation.inputs[0].attributions == pytest.approx(scores, abs=1e-5)

    def test_an_answer(self) -> None:
        given = inputs("bert", "question-answering")[0]
        own = own_model("bert", "question-answering")
        batch = encoded("bert", given["question"], given["passage"])
        vectors = own.bert.embeddings.word_embeddings(batch.pop("input_ids"))
        vectors = vectors.detach().requires_grad_()
        outputs = own(inputs_embeds=vectors, **batch)
        (explanation,) = explained("question-answering", "bert", given)
        passage, question = explanation.inputs
        first, positions = len(question.tokens), explanation.target["positions"]
        start, end = positions[0], positions[-1]
        value = outputs.start_logits[0, first + start] + outputs.end_logits[0, first + end]
        (gradient,) = torch.autograd.grad(value, vectors)
        scores = (gradient * vectors).sum(-1)[0].tolist()
        assert question.attributions + passage.attributions == pytest.approx(scores, abs=1e-5)


class TestAllenNLP:
    """The same weights inside AllenNLP's own classifier give the same scores."""

    @pytest.mark.parametrize("name", ["bert", "distilbert", "gpt2"])
    @pytest.mark.parametrize(
        "method", ["gradient", "input-x-gradient", "integrated-gradients", "deeplift", "lrp"]
    )
    def test_same_scores(self, tmp_path: Path, name: str, method: str) -> None:
        ours = predictor(name, "text-classification")
        theirs = in_allennlp(name, tmp_path)
        for sentence in SENTENCES:
            left, right = (
                SaliencyInterpreter.by_name(method)(one).interpret_json({"sentence": sentence})[0]  # type: ignore[attr-defined]
                for one in (ours, theirs)
            )
            assert left.inputs[0].tokens == right.inputs[0].tokens
            assert left.target["value"] == pytest.approx(right.target["value"], abs=1e-5)
            assert left.inputs[0].attributions == pytest.approx(
                right.inputs[0].attributions, abs=1e-5
            )


def explained(task: str, name: str, given: dict[str, Any]) -> list[Any]:
    interpreter: Any = SaliencyInterpreter.by_name("input-x-gradient")(predictor(name, task))
    return interpreter.interpret_json(given)


def in_allennlp(name: str, folder: Path) -> Predictor:
    """A `BasicClassifier` over AllenNLP's own embedder, with the head's weights."""
    own = own_model(name, "text-classification")
    own.save_pretrained(folder)
    tokenizer(KINDS[name].tokenizer).save_pretrained(folder)
    where = str(folder)
    embedder = PretrainedTransformerEmbedder(where)
    if name == "bert":
        pooler: Any = BertPooler(where)
    else:
        pooler = ClsPooler(16, cls_is_last_token=name == "gpt2")
    between = None
    if name == "distilbert":
        between = FeedForward(16, 1, 16, nn.ReLU())
        between._linear_layers[0] = own.pre_classifier
    vocab = Vocabulary()
    for label in LABELS:
        vocab.add_token_to_namespace(label, "labels")
    made = BasicClassifier(
        vocab,
        BasicTextFieldEmbedder({"tokens": embedder}),
        pooler,
        feedforward=between,
        namespace="tags",
    )
    head = own.score if name == "gpt2" else own.classifier
    with torch.no_grad():
        made._classification_layer.weight.copy_(head.weight)
        made._classification_layer.bias.copy_(0 if head.bias is None else head.bias)
    reader = TextClassificationJsonReader(
        token_indexers={"tokens": PretrainedTransformerIndexer(where)},
        tokenizer=PretrainedTransformerTokenizer(where),
    )
    return TextClassifierPredictor(made.eval(), reader)
