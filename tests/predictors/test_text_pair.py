"""The reader, the model and the predictor for two texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.data import Batch, DatasetReader, Vocabulary
from allennlp.models import Model
from allennlp.predictors import Predictor

import allennlp_saliency.predictors  # noqa: F401

PAIRS: list[dict[str, str]] = [
    {"premise": "a dog sleeps", "hypothesis": "an animal sleeps", "label": "entailment"},
    {
        "premise": "the old cat sits on the roof of the barn",
        "hypothesis": "a dog sits",
        "label": "contradiction",
    },
    {"premise": "an animal runs", "hypothesis": "the grey dog runs home", "label": "neutral"},
]


@pytest.fixture
def reader() -> DatasetReader:
    return DatasetReader.from_params(
        Params({"type": "text-pair", "tokenizer": {"type": "whitespace"}})
    )


@pytest.fixture
def instances(reader: Any, tmp_path: Path) -> list[Any]:
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n\n".join(json.dumps(pair) for pair in PAIRS), encoding="utf-8")
    return list(reader.read(path))


@pytest.fixture
def model(instances: list[Any]) -> Model:
    torch.manual_seed(5)
    params = {
        "type": "text-pair",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 6}}
        },
        "attention": {"type": "cosine"},
        "compare": {"input_dim": 6, "num_layers": 1, "hidden_dims": 5, "activations": "tanh"},
        "aggregate": {"input_dim": 10, "num_layers": 1, "hidden_dims": 3, "activations": "linear"},
        "dropout": 0.3,
    }
    return Model.from_params(Params(params), vocab=Vocabulary.from_instances(instances)).eval()


def run(model: Any, instances: list[Any]) -> dict[str, Any]:
    batch = Batch(instances)
    batch.index_instances(model.vocab)
    return model(**batch.as_tensor_dict())


def test_reader_reads_texts_and_labels(instances: list[Any]) -> None:
    assert len(instances) == 3
    assert [t.text for t in instances[0]["premise"].tokens] == ["a", "dog", "sleeps"]
    assert [t.text for t in instances[0]["hypothesis"].tokens] == ["an", "animal", "sleeps"]
    assert [instance["label"].label for instance in instances] == [p["label"] for p in PAIRS]


def test_reader_takes_other_keys_and_no_label(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"one": "a b", "two": "c", "gold": "yes"}\n{"one": "d", "two": "e"}\n')
    params = {
        "type": "text-pair",
        "tokenizer": {"type": "whitespace"},
        "premise_key": "one",
        "hypothesis_key": "two",
        "label_key": "gold",
    }
    reader: Any = DatasetReader.from_params(Params(params))
    first, second = reader.read(path)
    assert [t.text for t in first["premise"].tokens] == ["a", "b"]
    assert first["label"].label == "yes"
    assert "label" not in second


def test_outputs_are_of_each_pair(model: Any, instances: list[Any]) -> None:
    outputs = run(model, instances)
    assert outputs["logits"].shape == outputs["probs"].shape == (3, 3)
    gold = torch.tensor([model.vocab.get_token_index(pair["label"], "labels") for pair in PAIRS])
    chosen = outputs["probs"][torch.arange(3), gold]
    torch.testing.assert_close(outputs["loss"], -chosen.log().mean())
    assert model.get_metrics(reset=True)["accuracy"] == pytest.approx(
        (outputs["probs"].argmax(-1) == gold).float().mean().item()
    )


def test_padding_changes_nothing(model: Any, instances: list[Any]) -> None:
    together = run(model, instances)["logits"]
    alone = torch.cat([run(model, [instance])["logits"] for instance in instances])
    torch.testing.assert_close(together, alone)


def test_the_texts_are_not_interchangeable(model: Any, reader: Any) -> None:
    def logits(premise: str, hypothesis: str) -> torch.Tensor:
        instance = reader.text_to_instance(premise, hypothesis)
        reader.apply_token_indexers(instance)
        return run(model, [instance])["logits"]

    assert not torch.allclose(logits("a dog", "an animal"), logits("an animal", "a dog"))


def test_every_word_of_both_texts_gets_a_gradient(model: Any, instances: list[Any]) -> None:
    seen: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    embedding = model._text_field_embedder.token_embedder_tokens
    handle = embedding.register_forward_hook(keep)
    run(model, instances)["loss"].backward()
    handle.remove()
    # The premise is embedded first.
    assert [tuple(e.shape[:2]) for e in seen] == [(3, 10), (3, 5)]
    for field, embedded in zip(("premise", "hypothesis"), seen, strict=True):
        for row, instance in enumerate(instances):
            size = len(instance[field].tokens)
            assert embedded.grad is not None
            norms = embedded.grad[row].norm(dim=-1)
            # A word with its exact like in the other text may add nothing.
            assert (norms[:size] > 0).sum() >= size - 2
            assert (norms[size:] == 0).all()


def test_words_that_both_texts_share_add_nothing(model: Any, reader: Any) -> None:
    """With an attention that is sharp enough, equal texts look like equal texts of other words."""
    model._sharpness = 1e6

    def logits(text: str) -> torch.Tensor:
        instance = reader.text_to_instance(text, text)
        reader.apply_token_indexers(instance)
        return run(model, [instance])["logits"]

    torch.testing.assert_close(logits("dog sits home"), logits("cat sleeps barn"))
    assert not torch.allclose(logits("dog sits"), logits("dog"))


def test_labelled_instances_have_the_predicted_label(model: Any, reader: Any) -> None:
    predictor: Any = Predictor.by_name("text-pair")(model, reader)
    assert model.default_predictor == "text-pair"
    pair = {"premise": "a dog sleeps", "hypothesis": "an animal runs", "label": "ignored"}
    prediction = predictor.predict_json(pair)
    assert prediction == predictor.predict(pair["premise"], pair["hypothesis"])
    (labeled,) = predictor.json_to_labeled_instances(pair)
    index = labeled["label"].label
    assert prediction["label"] == model.vocab.get_token_from_index(index, "labels")
    assert index == max(range(3), key=lambda i: prediction["probs"][i])
