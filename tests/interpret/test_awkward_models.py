"""Models as they come: for each the numbers that autograd gives by hand, or an error that helps."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.data import Instance, Vocabulary
from allennlp.data.fields import LabelField, MultiLabelField, TextField
from allennlp.data.token_indexers import (
    PretrainedTransformerIndexer,
    PretrainedTransformerMismatchedIndexer,
    SingleIdTokenIndexer,
    TokenCharactersIndexer,
)
from allennlp.data.tokenizers import PretrainedTransformerTokenizer, Token
from allennlp.modules import TextFieldEmbedder
from allennlp.modules.seq2seq_encoders import GruSeq2SeqEncoder, LstmSeq2SeqEncoder
from allennlp.modules.seq2vec_encoders import CnnEncoder
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import (
    Embedding,
    PretrainedTransformerEmbedder,
    PretrainedTransformerMismatchedEmbedder,
    TokenCharactersEncoder,
)
from allennlp.predictors import Predictor
from allennlp.training.metrics import CategoricalAccuracy
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    SmoothGradients,
)
from tests.interpret.awkward_models import (
    DIM,
    Awkward,
    AwkwardPredictor,
    Reader,
    awkward,
    by_hand,
    check_batch_equals_single,
    check_field,
    collated,
    explain,
    field_of,
    labeled,
    piece_ids,
    predictor_of,
    sums,
    vocabulary,
    word_ids,
    words_embedder,
)
from tests.interpret.awkward_taggers import BIO, tagger
from tests.zoo import LABELS, Zoo
from tests.zoo.transformers import Architecture, spread, write_transformer

TEXT = "the plot was not bad but good"
SHORT = "great film"
# "badly" and "filmgoers" are two wordpieces, "xkz" three.
SPLIT = "the badly xkz filmgoers had not good"


def words_layer(predictor: Predictor) -> nn.Module:
    return predictor._model.text_field_embedder._token_embedders["tokens"]


def check_words(predictor: Predictor, rel: float = 1e-4, **options: Any) -> None:
    """All that holds for a predictor over words: the right numbers, together as alone."""
    (instance,) = labeled(predictor, {"tokens": TEXT})
    calls = by_hand(predictor, instance, words_layer(predictor))
    found = field_of(explain(predictor, {"tokens": TEXT}, **options), "tokens")
    check_field(found, calls, word_ids(predictor), rel=rel)
    check_batch_equals_single(predictor, [{"tokens": TEXT}, {"tokens": SHORT}], rel=10 * rel)


# --- Transformers -------------------------------------------------------------------------------


OTHERS = {
    "t5": Architecture(
        "t5",
        "wordpiece",
        {
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 32,
            "num_layers": 2,
            "num_heads": 2,
            "num_decoder_layers": 1,
        },
    ),
    "deberta-v2": Architecture(
        "deberta-v2",
        "wordpiece",
        {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": True,
        },
    ),
    "funnel": Architecture(
        "funnel",
        "wordpiece",
        {"block_sizes": [1, 1], "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32},
    ),
}


@pytest.fixture(scope="session")
def folder(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a transformer, of the zoo's or of `OTHERS`."""
    made: dict[str, str] = {}

    def find(name: str) -> str:
        if name not in OTHERS:
            return zoo.transformer(name)
        if name not in made:
            path = tmp_path_factory.mktemp("transformer") / name
            made[name] = str(write_transformer(path, OTHERS[name]))
        return made[name]

    return find


def transformer(
    folder: str, mismatched: bool, max_length: int | None = None, **options: Any
) -> Predictor:
    """A predictor over a transformer; the transformer keeps the weights of its folder."""
    common: dict[str, Any] = {"model_name": folder, "max_length": max_length}
    if mismatched:
        indexer: Any = PretrainedTransformerMismatchedIndexer(**common)
        embedder: Any = PretrainedTransformerMismatchedEmbedder(**common, **options)
        tokenizer = None
    else:
        indexer = PretrainedTransformerIndexer(**common)
        embedder = PretrainedTransformerEmbedder(**common, **options)
        tokenizer = PretrainedTransformerTokenizer(folder)
    model = Awkward(vocabulary(), BasicTextFieldEmbedder({"tokens": embedder}))
    for number, part in enumerate((model.inner, model.head)):
        spread(part, number)
    return predictor_of(model, {"tokens": indexer}, tokenizer, seed=None)


def first_layer(predictor: Predictor, key: str = "tokens") -> nn.Module:
    """The table of word embeddings, found by what is called with indices: no model is asked."""
    embedder = predictor._model.text_field_embedder._token_embedders[key]
    part = getattr(embedder, "_matched_embedder", embedder).transformer_model
    tables = [
        module
        for name, module in part.named_modules()
        if isinstance(module, nn.Embedding)
        and ("word" in name or name in ("wte", "embed_tokens") or "embed_tokens" in name)
    ]
    return tables[0]


@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bert", {}),
        ("roberta", {}),
        ("distilbert", {}),
        ("electra", {}),
        ("albert", {}),
        ("gpt2", {}),
        ("xlnet", {}),
        ("t5", {"sub_module": "encoder"}),
        ("deberta-v2", {}),
        ("bert", {"last_layer_only": False}),
        ("bert", {"train_parameters": False}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or None,
)
def test_any_transformer(
    folder: Callable[[str], str], name: str, options: dict[str, Any], mismatched: bool
) -> None:
    predictor = transformer(folder(name), mismatched, **options)
    (instance,) = labeled(predictor, {"tokens": SPLIT})
    calls = by_hand(predictor, instance, first_layer(predictor))
    found = field_of(explain(predictor, {"tokens": SPLIT}), "tokens")

    texts = [token.text for token in instance["tokens"].tokens]
    assert found.tokens == texts
    assert (found.tokens == SPLIT.split()) == mismatched
    ids = piece_ids(folder(name))
    spaced = (lambda word: ids(" " + word)) if mismatched and name in ("roberta", "gpt2") else ids
    check_field(found, calls, spaced)
    check_batch_equals_single(
        predictor, [{"tokens": SPLIT}, {"tokens": "good film"}, {"tokens": SPLIT + " it"}], 1e-4
    )


FOLDED = "the badly xkz filmgoers had not good plot and great actor of london"


@pytest.mark.parametrize("name", ["bert", "roberta", "xlnet"])
@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
@pytest.mark.parametrize("max_length", [5, 8])
def test_folding(
    folder: Callable[[str], str], name: str, mismatched: bool, max_length: int
) -> None:
    """A text of several segments; the special tokens of each segment belong to no token."""
    predictor = transformer(folder(name), mismatched, max_length)
    (instance,) = labeled(predictor, {"tokens": FOLDED})
    (call,) = by_hand(predictor, instance, first_layer(predictor))
    segments = call.ids.shape[1 if name == "xlnet" else 0]
    assert segments >= 3

    found = field_of(explain(predictor, {"tokens": FOLDED}), "tokens")
    ids = piece_ids(folder(name))
    if mismatched and name == "roberta":
        check_field(found, [call], lambda word: ids(" " + word))
    elif mismatched:
        check_field(found, [call], ids)
    else:
        # [CLS] and [SEP] are tokens of the text and stand in every segment: once they count as
        # the text's, elsewhere as nobody's.
        inner = slice(1, -1)
        by_id = sums([call])
        texts = found.tokens[inner]
        wanted = [by_id[index] for (index,) in map(ids, texts)]
        assert found.attributions[inner] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        total = sum(found.attributions) + found.unassigned
        assert total == pytest.approx(sum(by_id.values()), rel=1e-4, abs=1e-6)
        flat = call.ids.T if name == "xlnet" else call.ids
        products = call.products.T if name == "xlnet" else call.products
        assert flat[0, 0] == ids(found.tokens[0])[0]
        assert found.attributions[0] == pytest.approx(float(products[0, 0]), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["bert", "xlnet"])
@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
def test_folded_and_unfolded_texts_share_a_batch(
    folder: Callable[[str], str], name: str, mismatched: bool
) -> None:
    predictor = transformer(folder(name), mismatched, max_length=8)
    texts = [FOLDED, "good", "the film was not good but badly", FOLDED + " scene", "great film"]
    check_batch_equals_single(predictor, [{"tokens": text} for text in texts], rel=1e-4)


def several(folder: str) -> Predictor:
    """BERT, a word embedding with a start and an end token, and a CNN over characters."""
    vocab = vocabulary()
    for token in ("@start@", "@end@"):
        vocab.add_token_to_namespace(token, "tokens")
    characters = TokenCharactersEncoder(
        Embedding(embedding_dim=4, vocab=vocab, vocab_namespace="token_characters"),
        CnnEncoder(embedding_dim=4, num_filters=3, ngram_filter_sizes=(2,)),
    )
    embedder = BasicTextFieldEmbedder(
        {
            "pieces": PretrainedTransformerMismatchedEmbedder(folder),
            "words": Embedding(embedding_dim=DIM, vocab=vocab),
            "letters": characters,
        }
    )
    indexers = {
        "letters": TokenCharactersIndexer(min_padding_length=3),
        "pieces": PretrainedTransformerMismatchedIndexer(folder),
        "words": SingleIdTokenIndexer(),
    }
    model = Awkward(vocab, embedder)
    for number, part in enumerate(
        (model.inner, model.head, embedder._token_embedders["words"], characters)
    ):
        spread(part, number)
    return predictor_of(model, indexers, seed=None)


def test_several_embedders_side_by_side(folder: Callable[[str], str]) -> None:
    """A token's score is the sum of what its wordpieces, its word and its characters do."""
    text = "the plot badly had not good film"
    predictor = several(folder("bert"))
    (instance,) = labeled(predictor, {"tokens": text})
    embedders = predictor._model.text_field_embedder._token_embedders
    by_piece = sums(by_hand(predictor, instance, first_layer(predictor, "pieces")))
    by_word = sums(by_hand(predictor, instance, embedders["words"]))
    (letters,) = by_hand(predictor, instance, embedders["letters"])

    found = field_of(explain(predictor, {"tokens": text}), "tokens")
    pieces, words = piece_ids(folder("bert")), word_ids(predictor)
    wanted = [
        sum(by_piece[index] for index in pieces(word)) + by_word[words(word)[0]] + float(score)
        for word, score in zip(found.tokens, letters.products[0], strict=True)
    ]
    assert found.attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    total = sum(by_piece.values()) + sum(by_word.values()) + float(letters.products.sum())
    assert sum(found.attributions) + found.unassigned == pytest.approx(total, rel=1e-4)
    check_batch_equals_single(
        predictor, [{"tokens": text}, {"tokens": "good film"}, {"tokens": text + " it"}], 1e-4
    )


@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
def test_several_text_fields(folder: Callable[[str], str], mismatched: bool) -> None:
    """Three fields, of different lengths, through one transformer."""
    predictor = transformer(folder("bert"), mismatched)
    texts = {"passage": SPLIT, "question": "was it good", "title": "plot"}
    (instance,) = labeled(predictor, texts)
    calls = by_hand(predictor, instance, first_layer(predictor))
    explanation = explain(predictor, texts)
    assert [one.field for one in explanation.inputs] == ["title", "question", "passage"]
    ids = piece_ids(folder("bert"))
    for name, call in zip(texts, calls, strict=True):
        check_field(field_of(explanation, name), [call], ids)
    check_batch_equals_single(
        predictor, [texts, dict(zip(texts, reversed(texts.values()), strict=True))], 1e-4
    )


# --- Lists of texts -----------------------------------------------------------------------------

CHOICES = ["the plot was bad", "great", "not good but very awful film"]


@pytest.mark.parametrize("kind", ["words", "matched", "mismatched", "xlnet"])
def test_lists_of_texts(folder: Callable[[str], str], kind: str) -> None:
    if kind == "words":
        predictor = awkward(depths={"choices": 1})
        layer, ids = words_layer(predictor), word_ids(predictor)
    else:
        name = "xlnet" if kind == "xlnet" else "bert"
        predictor = transformer(folder(name), mismatched=kind != "matched")
        predictor._model.depths = {"choices": 1}
        layer, ids = first_layer(predictor), piece_ids(folder(name))
    (instance,) = labeled(predictor, {"choices": CHOICES})
    calls = by_hand(predictor, instance, layer)
    explanation = explain(predictor, {"choices": CHOICES})
    assert [one.field for one in explanation.inputs] == [f"choices[{i}]" for i in range(3)]
    assert [one.grad_input for one in explanation.inputs] == [
        f"grad_input_{i}" for i in range(1, 4)
    ]
    by_id = sums(calls)
    for one, text in zip(explanation.inputs, CHOICES, strict=True):
        inner = slice(1, -1) if kind == "matched" else slice(None)
        assert one.tokens[inner] == text.split()
        wanted = [by_id[index] for (index,) in map(ids, one.tokens[inner])]
        assert one.attributions[inner] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    total = sum(sum(one.attributions) + one.unassigned for one in explanation.inputs)
    assert total == pytest.approx(sum(by_id.values()), rel=1e-4)
    inputs = [{"choices": CHOICES}, {"choices": CHOICES[2:]}, {"choices": [*CHOICES, "i"]}]
    check_batch_equals_single(predictor, inputs, rel=1e-4)


def test_nested_lists_of_texts() -> None:
    predictor = awkward(depths={"turns": 2})
    nested = [["the plot", "was"], ["not bad at"], ["good", "film but it", "i"]]
    (instance,) = labeled(predictor, {"turns": nested})
    by_id = sums(by_hand(predictor, instance, words_layer(predictor)))
    explanation = explain(predictor, {"turns": nested})
    ids = word_ids(predictor)
    found = {one.field: one for one in explanation.inputs}
    assert len(found) == 6
    for i, texts in enumerate(nested):
        for j, text in enumerate(texts):
            one = found[f"turns[{i}][{j}]"]
            assert one.tokens == text.split()
            wanted = [by_id[ids(word)[0]] for word in text.split()]
            assert one.attributions == pytest.approx(wanted, rel=1e-4)
    check_batch_equals_single(
        predictor, [{"turns": nested}, {"turns": nested[:2]}, {"turns": [["great", "film"]]}], 1e-4
    )


def test_folded_lists_of_texts(folder: Callable[[str], str]) -> None:
    """Segments of items of a list."""
    predictor = transformer(folder("bert"), mismatched=True, max_length=5)
    predictor._model.depths = {"choices": 1}
    choices = ["the plot was not badly awful film", "great", "of good xkz"]
    (instance,) = labeled(predictor, {"choices": choices})
    by_id = sums(by_hand(predictor, instance, first_layer(predictor)))
    ids = piece_ids(folder("bert"))
    for one, text in zip(explain(predictor, {"choices": choices}).inputs, choices, strict=True):
        assert one.tokens == text.split()
        wanted = [sum(by_id[index] for index in ids(word)) for word in one.tokens]
        assert one.attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    check_batch_equals_single(predictor, [{"choices": choices}, {"choices": choices[1:]}], rel=1e-4)


# --- Embedding layers ---------------------------------------------------------------------------


def test_start_and_end_tokens() -> None:
    """What an indexer puts around a text belongs to none of its tokens."""
    vocab = vocabulary()
    for token in ("@start@", "@end@"):
        vocab.add_token_to_namespace(token, "tokens")
    indexer = SingleIdTokenIndexer(start_tokens=["@start@"], end_tokens=["@end@"])
    predictor = predictor_of(Awkward(vocab, words_embedder(vocab)), {"tokens": indexer})
    check_words(predictor)
    found = field_of(explain(predictor, {"tokens": TEXT}), "tokens")
    (instance,) = labeled(predictor, {"tokens": TEXT})
    by_id = sums(by_hand(predictor, instance, words_layer(predictor)))
    around = sum(by_id[vocab.get_token_index(token)] for token in ("@start@", "@end@"))
    assert found.unassigned == pytest.approx(around, rel=1e-4)
    assert around != 0


class Twice(Awkward):
    """Embeds each text a second time, for a gate."""

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        once = super().embed(name, tensors, depth)
        return once * torch.sigmoid(super().embed(name, tensors, depth).roll(1, dims=-1))


class InPlace(Awkward):
    """Works on its embeddings in place, on views of them too."""

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        embedded = super().embed(name, tensors, depth)
        embedded *= 1.5
        embedded[:, 0] += 1
        embedded.tanh_()
        return embedded


class Detached(Awkward):
    """Embeds without a graph, as frozen embedders do to save memory."""

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        with torch.no_grad():
            return super().embed(name, tensors, depth)


@pytest.mark.parametrize("kind", [Twice, InPlace])
def test_what_comes_after_the_embedding(kind: type[Awkward]) -> None:
    check_words(awkward(kind))


def test_embeddings_without_a_graph() -> None:
    with pytest.raises(InterpretationError, match="differentiable"):
        explain(awkward(Detached), {"tokens": TEXT})


class TanhEmbedding(Embedding):
    """Ends in a function whose backward pass needs its own output."""

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.tanh(super().forward(tokens))


def tanh_embedder(vocab: Vocabulary) -> BasicTextFieldEmbedder:
    return BasicTextFieldEmbedder({"tokens": TanhEmbedding(embedding_dim=DIM, vocab=vocab)})


@pytest.mark.parametrize(
    "make",
    [
        tanh_embedder,
        lambda vocab: words_embedder(vocab, projection_dim=5),
        lambda vocab: words_embedder(vocab, trainable=False),
        lambda vocab: words_embedder(vocab, padding_index=0, max_norm=1.0),
        lambda vocab: words_embedder(vocab, sparse=True, scale_grad_by_freq=True),
    ],
    ids=["tanh", "projection", "frozen", "max-norm", "sparse"],
)
def test_embedding_layers(make: Callable[[Vocabulary], TextFieldEmbedder]) -> None:
    vocab = vocabulary()
    predictor = predictor_of(Awkward(vocab, make(vocab)))
    before = {name: value.clone() for name, value in predictor._model.state_dict().items()}
    check_words(predictor)
    for name, value in predictor._model.state_dict().items():
        if name.endswith("weight") and "max_norm" not in name:
            assert value.shape == before[name].shape


class OwnEmbedder(TextFieldEmbedder):
    """A text field embedder of a user's own, without token embedders."""

    def __init__(self, vocab: Vocabulary) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab.get_vocab_size("tokens"), DIM)

    def get_output_dim(self) -> int:
        return DIM

    def forward(self, tensors: Any, num_wrapping_dims: int = 0) -> Tensor:
        return self.table(tensors["tokens"]["tokens"])


def test_a_text_field_embedder_of_ones_own() -> None:
    vocab = vocabulary()
    predictor = predictor_of(Awkward(vocab, OwnEmbedder(vocab)))
    (instance,) = labeled(predictor, {"tokens": TEXT})
    calls = by_hand(predictor, instance, predictor._model.text_field_embedder.table)
    found = field_of(explain(predictor, {"tokens": TEXT}), "tokens")
    check_field(found, calls, word_ids(predictor))
    check_batch_equals_single(predictor, [{"tokens": TEXT}, {"tokens": SHORT}], rel=1e-4)


# --- Models that are not AllenNLP's --------------------------------------------------------------


class Foreign(nn.Module):
    """A Hugging Face model in a plain module, which reads `input_ids`."""

    def __init__(self, folder: str, vocab: Vocabulary) -> None:
        super().__init__()
        from transformers import AutoModel

        self.vocab = vocab
        self.backbone = AutoModel.from_pretrained(folder)
        self.head = nn.Linear(16, len(LABELS))

    def forward(self, text: Any, label: Tensor | None = None) -> dict[str, Tensor]:
        ids, mask = text["tokens"]["token_ids"], text["tokens"]["mask"]
        if "wordpiece_mask" in text["tokens"]:
            mask = text["tokens"]["wordpiece_mask"]
        hidden = self.backbone(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        logits = self.head(hidden[:, 0])
        if label is None:
            return {"logits": logits}
        return {"logits": logits, "loss": nn.functional.cross_entropy(logits, label)}

    def forward_on_instance(self, instance: Instance) -> dict[str, Any]:
        from allennlp.data.batch import Batch

        batch = Batch([instance])
        batch.index_instances(self.vocab)
        with torch.no_grad():
            outputs = self(**batch.as_tensor_dict())
        return {name: value[0].numpy() for name, value in outputs.items()}


class ForeignPredictor(AwkwardPredictor):
    def get_interpretable_layer(self) -> nn.Module:
        return self._model.backbone.embeddings.word_embeddings

    def get_interpretable_text_field_embedder(self) -> nn.Module:
        return self._model.backbone


class LayerOnlyPredictor(AwkwardPredictor):
    def get_interpretable_layer(self) -> nn.Module:
        return self._model.backbone.embeddings.word_embeddings


def foreign(
    folder: str, mismatched: bool, predictor: type[Predictor] = ForeignPredictor
) -> Predictor:
    model = Foreign(folder, vocabulary())
    spread(model.head, 1)
    indexer: Any = PretrainedTransformerIndexer(folder)
    tokenizer = None if mismatched else PretrainedTransformerTokenizer(folder)
    if mismatched:
        indexer = PretrainedTransformerMismatchedIndexer(folder)
    return predictor(model, Reader({"tokens": indexer}, tokenizer))


@pytest.mark.parametrize("kind", [ForeignPredictor, LayerOnlyPredictor])
@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
def test_a_plain_module_behind_a_predictor_that_names_its_layers(
    folder: Callable[[str], str], mismatched: bool, kind: type[Predictor]
) -> None:
    predictor = foreign(folder("bert"), mismatched, kind)
    (instance,) = labeled(predictor, {"text": SPLIT})
    calls = by_hand(predictor, instance, predictor.get_interpretable_layer())
    found = field_of(explain(predictor, {"text": SPLIT}), "text")
    check_field(found, calls, piece_ids(folder("bert")))
    check_batch_equals_single(
        predictor, [{"text": SPLIT}, {"text": "good film"}, {"text": SPLIT + " it"}], 1e-4
    )


def test_a_plain_module_that_nobody_explains(folder: Callable[[str], str]) -> None:
    with pytest.raises(InterpretationError, match="get_interpretable_layer"):
        explain(foreign(folder("bert"), False, AwkwardPredictor), {"text": SPLIT})


def test_a_layer_that_is_no_part_of_the_model(folder: Callable[[str], str]) -> None:
    class Elsewhere(ForeignPredictor):
        def get_interpretable_layer(self) -> nn.Module:
            return nn.Embedding(3, 3)

    with pytest.raises(InterpretationError, match="no part of its model"):
        explain(foreign(folder("bert"), False, Elsewhere), {"text": SPLIT})


class WholeEmbedderPredictor(AwkwardPredictor):
    """Asks for scores at the embedder's top, not at the words."""

    def get_interpretable_layer(self) -> nn.Module:
        return self._model.text_field_embedder


def test_scores_at_the_top_of_an_embedder(folder: Callable[[str], str]) -> None:
    """A mismatched embedder's top has a position per word."""
    predictor = transformer(folder("bert"), mismatched=True)
    predictor = WholeEmbedderPredictor(predictor._model, predictor._dataset_reader)
    (instance,) = labeled(predictor, {"tokens": SPLIT})
    (call,) = by_hand(predictor, instance, predictor._model.text_field_embedder)
    found = field_of(explain(predictor, {"tokens": SPLIT}), "tokens")
    assert found.attributions == pytest.approx(call.products[0].tolist(), rel=1e-4, abs=1e-6)


# --- Losses -------------------------------------------------------------------------------------


class SumLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, label, reduction="sum")


class VectorLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, label, reduction="none")


class OwnMeanLoss(Awkward):
    """No cross entropy: a hinge."""

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.multi_margin_loss(logits, label, margin=4.0)


class OwnSumLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.multi_margin_loss(logits, label, margin=4.0, reduction="sum")


class SmoothedLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, label, label_smoothing=0.2)


class WeightedLoss(Awkward):
    """A mean weighted by class: for a row alone it is the plain cross entropy."""

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        weight = torch.tensor([1.0, 5.0, 0.2], dtype=logits.dtype)
        return nn.functional.cross_entropy(logits, label, weight=weight)


class PenalizedLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, label) + 0.1 * logits.pow(2).sum(-1).mean()


LOSSES = [SumLoss, VectorLoss, OwnMeanLoss, OwnSumLoss, SmoothedLoss, WeightedLoss, PenalizedLoss]
# All three labels are predicted among them, and two texts are of one length.
TEXTS = [TEXT, SHORT, "awful", "i never had so much", "mary lives in paris", "it was great"]


@pytest.mark.parametrize("kind", LOSSES)
def test_losses(kind: type[Awkward]) -> None:
    predictor = awkward(kind)
    check_words(predictor)
    inputs = [{"tokens": text} for text in TEXTS]
    check_batch_equals_single(predictor, inputs, rel=1e-4)
    for text in TEXTS:
        (instance,) = labeled(predictor, {"tokens": text})
        calls = by_hand(predictor, instance, words_layer(predictor))
        found = field_of(explain(predictor, {"tokens": text}), "tokens")
        check_field(found, calls, word_ids(predictor))


@pytest.mark.parametrize("kind", LOSSES)
def test_integrated_gradients_of_losses_are_complete(kind: type[Awkward]) -> None:
    """Rows of several instances and several points share batches; values are the rows' own."""
    predictor = awkward(kind)
    interpreter = IntegratedGradients(predictor, steps=48)
    inputs = [{"tokens": text} for text in TEXTS]
    for text, (one,) in zip(TEXTS, interpreter.interpret_batch_json(inputs), strict=True):
        (instance,) = labeled(predictor, {"tokens": text})
        tensors = collated(predictor, instance)
        with torch.no_grad():
            value = -float(predictor._model(**tensors)["loss"].sum())
            words_layer(predictor).weight.data, kept = (
                torch.zeros_like(words_layer(predictor).weight),
                words_layer(predictor).weight.data,
            )
            baseline = -float(predictor._model(**tensors)["loss"].sum())
            words_layer(predictor).weight.data = kept
        assert one.target["value"] == pytest.approx(value, rel=1e-4, abs=1e-5)
        assert one.target["baseline_value"] == pytest.approx(baseline, rel=1e-4, abs=1e-5)
        total = sum(sum(field.attributions) + field.unassigned for field in one.inputs)
        if kind not in (OwnMeanLoss, OwnSumLoss):  # A hinge has corners.
            assert total == pytest.approx(value - baseline, rel=2e-2, abs=2e-3)


class Contrastive(Awkward):
    """Each row is told from the other rows of the batch: no row has a loss of its own."""

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        similarity = logits @ logits.T
        own = torch.arange(len(logits), device=logits.device)
        return nn.functional.cross_entropy(similarity, own) + logits.pow(2).mean()


def test_a_loss_across_the_rows_of_a_batch() -> None:
    predictor = awkward(Contrastive)
    with pytest.raises(InterpretationError, match=r"neither their mean nor their sum.*'logit'"):
        explain(predictor, {"tokens": TEXT})
    # The way out that the message names.
    (instance,) = labeled(predictor, {"tokens": TEXT})
    label = int(instance["label"].label)
    calls = by_hand(
        predictor, instance, words_layer(predictor), lambda outputs: outputs["logits"][0, label]
    )
    found = field_of(explain(predictor, {"tokens": TEXT}, target="logit"), "tokens")
    check_field(found, calls, word_ids(predictor))


class Silent(Awkward):
    """Returns its loss and nothing else that a target could read."""

    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        outputs = super().forward(label, **texts)
        best = outputs["logits"].argmax(-1)
        return {"answer": best} | ({"loss": outputs["loss"]} if label is not None else {})


class AnswerPredictor(AwkwardPredictor):
    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        copy = instance.duplicate()
        copy.add_field("label", LabelField(int(outputs["answer"]), skip_indexing=True))
        return [copy]


def test_outputs_without_logits() -> None:
    vocab = vocabulary()
    predictor = predictor_of(Silent(vocab, words_embedder(vocab)), predictor=AnswerPredictor)
    check_words(predictor)
    inputs = [{"tokens": text} for text in TEXTS]
    check_batch_equals_single(predictor, inputs, rel=1e-4)
    for target in ("logit", "probability"):
        with pytest.raises(InterpretationError, match=r"no logits.*\['answer', 'loss'\]"):
            explain(predictor, {"tokens": TEXT}, target=target)


class NoLoss(Awkward):
    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        return super().forward(None, **texts)


def test_no_loss_for_a_labelled_instance() -> None:
    predictor = awkward(NoLoss)
    with pytest.raises(InterpretationError, match="returned no loss"):
        explain(predictor, {"tokens": TEXT})
    assert any(explain(predictor, {"tokens": TEXT}, target="logit").inputs[0].attributions)


class Deaf(Awkward):
    """Embeds all fields and listens to the first one only."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        read = [self.read(name, tensors) for name, tensors in texts.items()]
        return read[0]


def test_a_field_that_does_not_reach_the_loss() -> None:
    predictor = awkward(Deaf)
    texts = {"heard": TEXT, "unheard": "great film"}
    (instance,) = labeled(predictor, texts)
    calls = by_hand(predictor, instance, words_layer(predictor))
    for method in (InputXGradient, IntegratedGradients, SmoothGradients):
        (explanation,) = method(predictor).interpret_json(texts)
        assert field_of(explanation, "unheard").attributions == [0.0, 0.0]
        assert any("'unheard'" in warning for warning in explanation.warnings)
        assert not any("'heard'" in warning for warning in explanation.warnings)
        grads = method(predictor).saliency_interpret_from_json(texts)["instance_1"]
        assert grads["grad_input_1"] == [0.0, 0.0]
        assert sum(grads["grad_input_2"]) == pytest.approx(1)
    check_field(field_of(explain(predictor, texts), "heard"), calls[:1], word_ids(predictor))


# --- State --------------------------------------------------------------------------------------


class Holder(Awkward):
    """Holds what cannot be copied."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lock = threading.Lock()
        self.numbers = (number for number in range(10))
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        self.generator = torch.Generator().manual_seed(3)
        self.held = {"locks": [threading.RLock()], "event": threading.Event()}

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        with self.lock, self.held["locks"][0]:
            return super().summary(texts)


def test_what_cannot_be_copied() -> None:
    predictor = awkward(Holder)
    model = predictor._model
    check_words(predictor)
    assert next(model.numbers) == 0
    assert not model.file.closed
    assert model.generator.get_state().equal(torch.Generator().manual_seed(3).get_state())
    assert not model.lock.locked()
    model.file.close()


class Normed(Awkward):
    """Weights that are computed anew before every forward pass, in four ways."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        dim = self.inner.in_features
        self.layers = nn.ModuleList([nn.Linear(dim, dim) for _ in range(4)])

    def dress(self) -> None:
        from torch.nn.utils import parametrizations, spectral_norm, weight_norm

        weight_norm(self.layers[0])
        spectral_norm(self.layers[1])
        parametrizations.weight_norm(self.layers[2])
        parametrizations.spectral_norm(self.layers[3])

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        embedded = super().embed(name, tensors, depth)
        for layer in self.layers:
            embedded = embedded + torch.tanh(layer(embedded))
        return embedded


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("train_first", [False, True])
def test_weight_norm_and_spectral_norm(train_first: bool) -> None:
    predictor = awkward(Normed)
    predictor._model.dress()
    if train_first:  # Then the weights in place carry a graph.
        predictor._model.train()
        (instance,) = labeled(predictor, {"tokens": TEXT})
        predictor._model(**collated(predictor, instance))["loss"].backward()
        predictor._model.eval()
    before = {name: value.clone() for name, value in predictor._model.state_dict().items()}
    check_words(predictor)
    after = predictor._model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


class Tied(Awkward):
    """Scores words with the table that embeds them, by the parameter and by the module."""

    def __init__(self, vocab: Vocabulary, embedder: Any, **options: Any) -> None:
        super().__init__(vocab, embedder, **options)
        self.output = nn.Linear(DIM, vocab.get_vocab_size("tokens"), bias=False)
        self.output.weight = embedder._token_embedders["tokens"].weight
        self.same = [embedder._token_embedders["tokens"]]

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        embedded = super().embed(name, tensors, depth)
        table = self.same[0].weight
        return embedded + self.output(embedded).softmax(-1) @ table


def test_tied_weights() -> None:
    predictor = awkward(Tied)
    check_words(predictor)
    assert predictor._model.output.weight is words_layer(predictor).weight


class Cached(Awkward):
    """Keeps tensors of its last forward pass, with their graph."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        self.last = super().summary(texts)
        self.seen = {"all": [*getattr(self, "seen", {"all": []})["all"][-3:], self.last * 2]}
        return self.last


def test_cached_tensors_with_a_graph() -> None:
    predictor = awkward(Cached)
    (instance,) = labeled(predictor, {"tokens": TEXT})
    predictor._model(**collated(predictor, instance))
    last = predictor._model.last
    assert last.grad_fn is not None
    check_words(predictor)
    assert predictor._model.last.grad_fn is not None


class Stateful(Awkward):
    """An encoder that remembers the batch before."""

    def __init__(self, *args: Any, cell: str = "lstm", **options: Any) -> None:
        super().__init__(*args, **options)
        encoders = {"lstm": LstmSeq2SeqEncoder, "gru": GruSeq2SeqEncoder}
        self.encoder = encoders[cell](DIM, DIM, stateful=True)

    def pool(self, embedded: Tensor, mask: Tensor) -> Tensor:
        return super().pool(self.encoder(embedded, mask), mask)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("read_before", [[], [TEXT], [SHORT, TEXT]])
def test_a_stateful_encoder(cell: str, read_before: list[str]) -> None:
    """Explains what the predictor would say next, whatever it has read; nobody's state moves."""
    predictor = awkward(Stateful, cell=cell)
    encoder = predictor._model.encoder
    for text in read_before:
        predictor.predict_json({"tokens": text})
    states = encoder._states
    kept = None if states is None else [state.clone() for state in states]

    def restore() -> None:
        encoder._states = None if kept is None else tuple(state.clone() for state in kept)

    for text in (TEXT, SHORT):
        restore()
        (instance,) = labeled(predictor, {"tokens": text})
        restore()
        by_id = sums(by_hand(predictor, instance, words_layer(predictor)))
        wanted = [by_id[word_ids(predictor)(word)[0]] for word in text.split()]
        restore()
        with torch.no_grad():
            value = -float(predictor._model(**collated(predictor, instance))["loss"])
        restore()
        explanation = explain(predictor, {"tokens": text})
        assert explanation.target["value"] == pytest.approx(value, rel=1e-4)
        assert explanation.inputs[0].attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        (integrated,) = IntegratedGradients(predictor, steps=64).interpret_json({"tokens": text})
        assert abs(integrated.convergence_delta) < 1e-3
    check_batch_equals_single(predictor, [{"tokens": TEXT}, {"tokens": SHORT}], rel=1e-4)
    assert (encoder._states is None) == (kept is None)
    for before, now in zip(kept or [], encoder._states or [], strict=True):
        assert torch.equal(before, now)


def test_hooks_of_the_users_own() -> None:
    """They are part of the function, and stay where they are."""
    predictor = awkward()
    layer = words_layer(predictor)
    plain = explain(predictor, {"tokens": TEXT}).inputs[0].attributions
    handles = [
        layer.register_forward_hook(lambda module, args, output: output * 2),
        predictor._model.inner.register_forward_pre_hook(lambda module, args: (args[0] + 0.1,)),
        predictor._model.head.register_forward_hook(lambda module, args, output: output.sin()),
    ]
    check_words(predictor)
    assert explain(predictor, {"tokens": TEXT}).inputs[0].attributions != pytest.approx(plain)
    assert len(layer._forward_hooks) == 1
    assert len(predictor._model.inner._forward_pre_hooks) == 1
    for handle in handles:
        handle.remove()
    check_words(predictor)


class Counting(Awkward):
    """Counts in a metric, in a buffer and in a plain number; and drops out."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.accuracy = CategoricalAccuracy()
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("steps", torch.zeros(()))
        self.calls = 0

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        self.accuracy(logits, label)
        self.steps += 1
        self.calls += 1
        return super().loss(logits, label)

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        return self.dropout(super().embed(name, tensors, depth))

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        return {"accuracy": self.accuracy.get_metric(reset)}


def test_metrics_and_counters_are_left_alone() -> None:
    predictor = awkward(Counting)
    explain(predictor, {"tokens": TEXT})
    model = predictor._model
    assert model.get_metrics() == {"accuracy": 0.0}
    assert model.accuracy.total_count == 0
    assert (float(model.steps), model.calls) == (0.0, 0)
    check_words(awkward(Counting))


def test_a_model_in_training_mode() -> None:
    """The explanation is of the model without dropout, and the model stays in training."""
    predictor = awkward(Counting)
    evaluated = explain(predictor, {"tokens": TEXT})
    predictor._model.train()
    predictor._model.inner.eval()
    state = torch.get_rng_state()
    assert explain(predictor, {"tokens": TEXT}) == evaluated
    assert torch.equal(torch.get_rng_state(), state)
    assert predictor._model.training
    assert predictor._model.dropout.training
    assert not predictor._model.inner.training


@pytest.mark.parametrize(
    ("dtype", "rel"), [(torch.float64, 1e-9), (torch.bfloat16, 5e-2)], ids=["float64", "bfloat16"]
)
@pytest.mark.parametrize("kind", ["words", "bert"])
def test_other_precisions(
    folder: Callable[[str], str], kind: str, dtype: torch.dtype, rel: float
) -> None:
    predictor = awkward() if kind == "words" else transformer(folder("bert"), mismatched=True)
    predictor._model.to(dtype)
    if kind == "words":
        layer, ids = words_layer(predictor), word_ids(predictor)
    else:
        layer, ids = first_layer(predictor), piece_ids(folder("bert"))

    class Predictions(AwkwardPredictor):
        # NumPy knows no bfloat16.
        def json_to_labeled_instances(self, inputs: dict[str, Any]) -> list[Instance]:
            instance = self._json_to_instance(inputs)
            with torch.no_grad():
                logits = self._model(**collated(self, instance))["logits"][0].float().numpy()
            return self.predictions_to_labeled_instances(instance, {"logits": logits})

    predictor = Predictions(predictor._model, predictor._dataset_reader)
    (instance,) = labeled(predictor, {"tokens": SPLIT if kind == "bert" else TEXT})
    calls = by_hand(predictor, instance, layer)
    text = " ".join(token.text for token in instance["tokens"].tokens)
    check_field(field_of(explain(predictor, {"tokens": text}), "tokens"), calls, ids, rel=rel)
    (integrated,) = IntegratedGradients(predictor, steps=16).interpret_json({"tokens": text})
    assert np.isfinite(integrated.inputs[0].attributions).all()
    assert all(parameter.dtype == dtype for parameter in predictor._model.parameters())


# --- Texts --------------------------------------------------------------------------------------


class TokensPredictor(AwkwardPredictor):
    """Takes tokens as they are, empty ones too."""

    def _json_to_instance(self, json_dict: dict[str, Any]) -> Instance:
        return Instance({"tokens": TextField([Token(text) for text in json_dict["tokens"]])})


@pytest.mark.parametrize("words", [["the", "", "badly", "good"], ["", "good"], ["good", ""], [""]])
def test_an_empty_token_in_a_mismatched_input(
    folder: Callable[[str], str], words: list[str]
) -> None:
    """AllenNLP issue 4612: the token has no wordpiece, so its score is zero."""
    predictor = transformer(folder("bert"), mismatched=True)
    predictor = TokensPredictor(predictor._model, predictor._dataset_reader)
    (instance,) = labeled(predictor, {"tokens": words})
    calls = by_hand(predictor, instance, first_layer(predictor))
    found = field_of(explain(predictor, {"tokens": words}), "tokens")
    assert found.tokens == words
    by_id, ids = sums(calls), piece_ids(folder("bert"))
    wanted = [sum(by_id[index] for index in ids(word)) if word else 0.0 for word in words]
    assert found.attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert sum(found.attributions) + found.unassigned == pytest.approx(
        sum(by_id.values()), rel=1e-4, abs=1e-6
    )
    for interpreter in (IntegratedGradients(predictor), SmoothGradients(predictor)):
        scores = interpreter.saliency_interpret_from_json({"tokens": words})
        json.dumps(scores, allow_nan=False)


class MultiLabel(Awkward):
    """Any number of labels, each yes or no."""

    def forward(self, labels: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        logits = self.head(self.summary(texts))
        outputs = {"logits": logits, "probs": logits.sigmoid()}
        if labels is not None:
            outputs["loss"] = nn.functional.binary_cross_entropy_with_logits(
                logits, labels.to(logits.dtype)
            )
        return outputs


class MultiLabelPredictor(AwkwardPredictor):
    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        chosen = [int(label) for label in np.flatnonzero(outputs["probs"] > 0.5)]
        copy = instance.duplicate()
        field = MultiLabelField(chosen, skip_indexing=True, num_labels=len(LABELS))
        copy.add_field("labels", field)
        return [copy]


def test_several_labels() -> None:
    vocab = vocabulary()
    predictor = predictor_of(
        MultiLabel(vocab, words_embedder(vocab)), predictor=MultiLabelPredictor
    )
    check_words(predictor)
    check_batch_equals_single(predictor, [{"tokens": text} for text in TEXTS], rel=1e-4)
    # Without a target of its own the most likely label is explained; another has no place.
    (instance,) = labeled(predictor, {"tokens": TEXT})
    calls = by_hand(
        predictor, instance, words_layer(predictor), lambda outputs: outputs["logits"].max()
    )
    found = field_of(explain(predictor, {"tokens": TEXT}, target="logit"), "tokens")
    check_field(found, calls, word_ids(predictor))
    with pytest.raises(InterpretationError, match="predictions_to_labeled_instances"):
        explain(predictor, {"tokens": TEXT}, target={"type": "logit", "label": "positive"})


# --- Taggers ------------------------------------------------------------------------------------

NAMES = {"john": "B-PER", "smith": "I-PER", "mary": "B-PER", "paris": "B-LOC", "london": "I-LOC"}
ENTITIES = [
    ("john smith lives in paris", [(0, 2), (4, 5)]),
    ("mary", [(0, 1)]),
    ("john mary at paris london", [(0, 1), (1, 2), (3, 5)]),
]


def check_entities(predictor: Predictor) -> None:
    """One explanation per entity, of the tags' mean log-likelihood."""
    together = InputXGradient(predictor).interpret_batch_json(
        [{"sentence": text} for text, _ in ENTITIES]
    )
    for (text, spans), explanations in zip(ENTITIES, together, strict=True):
        assert [one.target["positions"] for one in explanations] == [
            list(range(*span)) for span in spans
        ]
        instance = predictor._json_to_instance({"sentence": text})
        gold = [NAMES.get(word, "O") for word in text.split()]
        indices = torch.tensor([BIO.index(tag) for tag in gold])
        for span, one in zip(spans, explanations, strict=True):
            where = slice(*span)

            def target(outputs: Mapping[str, Tensor], where: slice = where) -> Tensor:
                return -nn.functional.cross_entropy(
                    outputs["logits"][0, where],
                    indices[where],  # noqa: B023
                )

            calls = by_hand(predictor, instance, words_layer(predictor), target)
            assert one.target["label"] == " ".join(gold[where])
            check_field(field_of(one, "tokens"), calls, word_ids(predictor))


@pytest.mark.parametrize("average", ["batch", "token"])
def test_bio_tags(average: str) -> None:
    """Entities at both ends and side by side; with the loss averaged over all tokens of a batch,
    instances whose entities are of different lengths do not share one."""
    check_entities(tagger(NAMES, average))


def test_no_entities() -> None:
    predictor = tagger({})
    for method in (InputXGradient, IntegratedGradients):
        assert method(predictor).interpret_json({"sentence": "john lives"}) == []
        assert method(predictor).saliency_interpret_from_json({"sentence": "john lives"}) == {}
    (plain, empty) = InputXGradient(predictor).interpret_each(
        [{"sentence": "john"}, {"sentence": "it"}], predict=True
    )
    assert plain.error is None
    assert empty.prediction is not None
    assert empty.prediction["tags"] == ["O"]
