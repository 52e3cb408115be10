"""Models that write words of a vocabulary: SimpleSeq2Seq, ComposedSeq2Seq and CopyNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import allennlp_models.generation  # noqa: F401  registers its classes
import torch
from allennlp.common.util import END_SYMBOL, START_SYMBOL
from allennlp.data import Batch, Instance
from torch import Tensor, nn

from .archives import Folders, JsonDict, Parts, archive
from .language import WORDS

SOURCES = (
    {"source": "mary saw a great film ."},
    {"source": "awful"},
    {"source": "john knew the actor and the dog had a little book in paris , but she lived there"},
    {"source": "he wrote a zebra"},
)
# What `Vocabulary` puts first, and what stands first in both namespaces here.
END = 3
# A decoder that takes its steps one by one attends from one position at a time.
STEPWISE = dict.fromkeys(
    ("attention", "attention-x-gradient", "attention-rollout", "value-zeroing"),
    "this form of attention is not supported",
)
_SYMBOLS = (START_SYMBOL, END_SYMBOL)
_BEAM = {"beam_size": 3, "max_steps": 6}
_LSTM = {"type": "lstm", "input_size": 8, "hidden_size": 6, "bidirectional": True}
_VOCABULARY = {"tokens": (*_SYMBOLS, *WORDS), "target_tokens": (*_SYMBOLS, *WORDS[:12])}


def ids_of(prediction: JsonDict, end: int = END) -> list[int]:
    """The ids of the best text, with the one that ends it."""
    ids = prediction["predictions"]
    ids = ids[0] if isinstance(ids[0], list) else ids
    return ids[: ids.index(end) + 1] if end in ids else ids


def _count(prediction: JsonDict) -> int:
    return len(ids_of(prediction))


def of_best(key: str) -> Callable[[JsonDict], float]:
    def best(prediction: JsonDict) -> float:
        found = prediction[key]
        return found[0] if isinstance(found, list) else found

    return best


def _varied(head: str, *layers: str) -> Callable[[Any], None]:
    """Makes some layers count for more: what the decoder read last, so that it does not repeat
    itself, or what it says, so that it is surer. Padding, which no loss counts, is not predicted.

    Args:
        head: The layer that returns a step's logits.
        layers: The layers that count for more.
    """

    def adjust(model: Any) -> None:
        model.get_submodule(head).bias[0] -= 20
        for layer in layers:
            model.get_submodule(layer).weight.mul_(3)

    return adjust


def _copies(model: Any) -> None:
    """Words of the source count for more than those of the vocabulary."""
    _varied("_output_generation_layer", "_target_embedder", "_output_copying_layer")(model)
    model._output_generation_layer.bias.sub_(2)
    # The search takes an unknown word for every unknown word of the source, the loss for none.
    model._output_generation_layer.bias[1] -= 20


def _reader(kind: str = "seq2seq", **more: Any) -> JsonDict:
    return {
        "type": kind,
        "source_tokenizer": {"type": "whitespace"},
        "source_token_indexers": {"tokens": {"type": "single_id", "namespace": "tokens"}},
        **more,
    }


def _targets() -> JsonDict:
    namespace = {"type": "single_id", "namespace": "target_tokens"}
    return _reader(target_token_indexers={"tokens": namespace})


def _source_embedder() -> JsonDict:
    return {"token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 8}}}


def gradients(
    model: Any, layers: Sequence[nn.Module], run: Callable[[], Tensor]
) -> list[list[Tensor]]:
    """Σ embedding x gradient of a number, for each call of each layer that leads to it."""
    embedded: dict[int, list[Tensor]] = {number: [] for number in range(len(layers))}
    hooks = []
    for number, layer in enumerate(layers):

        def keep(module: nn.Module, args: Any, output: Tensor, number: int = number) -> None:
            if output.requires_grad:
                embedded[number].append(output)

        hooks.append(layer.register_forward_hook(keep))
    try:
        with torch.enable_grad():
            value = run()
    finally:
        for hook in hooks:
            hook.remove()
    calls = [one for own in embedded.values() for one in own]
    found = iter(torch.autograd.grad(value, calls, allow_unused=True))
    return [
        [
            torch.zeros(one.shape[:-1]) if gradient is None else (one * gradient).sum(-1).detach()
            for one, gradient in ((one, next(found)) for one in own)
        ]
        for own in embedded.values()
    ]


def tensors_of(predictor: Any, instance: Instance) -> dict[str, Any]:
    predictor._dataset_reader.apply_token_indexers(instance)
    batch = Batch([instance])
    batch.index_instances(predictor._model.vocab)
    return batch.as_tensor_dict()


def _by_loss(source: str, target: str, whole: bool) -> Any:
    """By the models' own losses for the predicted text as a target, which are differentiable: what
    a token adds to the loss is its log-probability.

    Args:
        source: The attribute that embeds the source.
        target: The path of what embeds the target.
        whole: Whether the loss is the sum over the tokens, not their mean.
    """

    def by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
        model = predictor._model
        prediction = predictor.predict_json(dict(inputs))
        written = prediction["predicted_tokens"]
        # Some models say so of every beam.
        written = written[0] if isinstance(written[0], list) else written
        layers = [getattr(model, source), model.get_submodule(target)]
        before: list[Tensor] | None = None
        found = []
        for count in range(1, _count(prediction) + 1):
            # The reader puts its end symbol behind a target.
            text = " ".join(written[:count])
            tensors = tensors_of(
                predictor, predictor._dataset_reader.text_to_instance(inputs["source"], text)
            )
            _shorten(tensors, count + 1)
            factor = 1 if whole else count

            def run(tensors: dict[str, Any] = tensors, factor: int = factor) -> Tensor:
                return -factor * model(**tensors)["loss"]

            ((own,), steps) = gradients(model, layers, run)
            total = [_read(steps, count), own[0]]
            if before is None:
                added = total
            else:
                longer = torch.cat([before[0], torch.zeros(1)])
                added = [total[0] - longer, total[1] - before[1]]
            before = total
            found.append(torch.cat(added).tolist())
        return found

    return by_hand


def _read(calls: Sequence[Tensor], count: int) -> Tensor:
    """The scores of the tokens that a decoder read, by the calls of the layer that embeds them: of
    a whole text, of one step's token, or of both that and the token that the step found best, which
    nothing reads."""
    whole = [one[0, :count] for one in calls if one.dim() == 2]
    single = [one for one in calls if one.dim() == 1]
    single = single[:: 2 if whole else 1]
    if single:
        whole.append(torch.cat(single))
    return torch.stack(whole).sum(0)


def _shorten(tensors: dict[str, Any], length: int) -> None:
    """Leaves so many tokens of the target."""
    target = tensors["target_tokens"]["tokens"]
    target["tokens"] = target["tokens"][:, :length]
    if "target_token_ids" in tensors:
        tensors["target_token_ids"] = tensors["target_token_ids"][:, :length]


@archive(
    "seq2seq-simple",
    each="token of the best text",
    inputs=SOURCES,
    count=_count,
    expected_total=of_best("class_log_probabilities"),
    by_hand=_by_loss("_source_embedder", "_target_embedder", whole=False),
    tokens_labelled=False,
)
def seq2seq_simple(folders: Folders) -> Parts:
    model = {
        "type": "simple_seq2seq",
        "source_embedder": _source_embedder(),
        "encoder": dict(_LSTM),
        "attention": {"type": "dot_product"},
        "target_namespace": "target_tokens",
        "target_embedding_dim": 5,
        "beam_search": dict(_BEAM),
    }
    return Parts(
        {"dataset_reader": _targets(), "model": model},
        _VOCABULARY,
        adjust=_varied("_output_projection_layer", "_target_embedder"),
        scale=2.5,
    )


@archive(
    "seq2seq-simple-layers",
    each="token of the best text",
    inputs=SOURCES,
    count=_count,
    expected_total=of_best("class_log_probabilities"),
    tokens_labelled=False,
)
def seq2seq_simple_layers(folders: Folders) -> Parts:
    """Two layers in the decoder, and one beam."""
    model = {
        "type": "simple_seq2seq",
        "source_embedder": _source_embedder(),
        "encoder": dict(_LSTM),
        "target_namespace": "target_tokens",
        "target_decoder_layers": 2,
        "beam_search": {"beam_size": 1, "max_steps": 4},
    }
    return Parts(
        {"dataset_reader": _targets(), "model": model},
        _VOCABULARY,
        adjust=_varied("_output_projection_layer", "_target_embedder"),
        scale=2.5,
    )


def _composed(decoder: JsonDict, width: int, **more: Any) -> JsonDict:
    return {
        "type": "composed_seq2seq",
        "source_text_embedder": _source_embedder(),
        "encoder": dict(_LSTM, hidden_size=width // 2),
        "decoder": {
            "type": "auto_regressive_seq_decoder",
            "decoder_net": decoder,
            "target_embedder": {"embedding_dim": 8, "vocab_namespace": "target_tokens"},
            "target_namespace": "target_tokens",
            "beam_search": dict(_BEAM),
        },
        **more,
    }


@archive(
    "seq2seq-composed-lstm",
    each="token of the best text",
    inputs=SOURCES,
    count=_count,
    expected_total=of_best("class_log_probabilities"),
    by_hand=_by_loss("_source_text_embedder", "_decoder.target_embedder", whole=False),
    tokens_labelled=False,
)
def seq2seq_composed_lstm(folders: Folders) -> Parts:
    decoder = {
        "type": "lstm_cell",
        "decoding_dim": 12,
        "target_embedding_dim": 8,
        "attention": {"type": "dot_product"},
        "bidirectional_input": True,
    }
    config = {"dataset_reader": _targets(), "model": _composed(decoder, 12)}
    return Parts(
        config,
        _VOCABULARY,
        adjust=_varied("_decoder._output_projection_layer", "_decoder.target_embedder"),
        scale=2.5,
    )


@archive(
    "seq2seq-composed-attention",
    each="token of the best text",
    inputs=SOURCES,
    count=_count,
    expected_total=of_best("class_log_probabilities"),
    by_hand=_by_loss("_source_text_embedder", "_decoder.target_embedder", whole=False),
    refused=STEPWISE,
    tokens_labelled=False,
)
def seq2seq_composed_attention(folders: Folders) -> Parts:
    decoder = {
        "type": "stacked_self_attention",
        "decoding_dim": 8,
        "target_embedding_dim": 8,
        "feedforward_hidden_dim": 12,
        "num_layers": 2,
        "num_attention_heads": 2,
    }
    config = {"dataset_reader": _targets(), "model": _composed(decoder, 8)}
    surer = _varied(
        "_decoder._output_projection_layer",
        "_decoder.target_embedder",
        "_decoder._output_projection_layer",
    )
    return Parts(config, _VOCABULARY, adjust=surer, scale=2.5)


@archive(
    "seq2seq-copynet",
    each="token of the best text",
    inputs=SOURCES,
    count=_count,
    expected_total=of_best("predicted_log_probs"),
    by_hand=_by_loss("_source_embedder", "_target_embedder", whole=True),
    tokens_labelled=False,
)
def seq2seq_copynet(folders: Folders) -> Parts:
    model = {
        "type": "copynet_seq2seq",
        "source_embedder": _source_embedder(),
        "encoder": dict(_LSTM),
        "attention": {"type": "bilinear", "vector_dim": 12, "matrix_dim": 12},
        "target_embedding_dim": 5,
        "beam_search": dict(_BEAM),
    }
    reader = _reader("copynet_seq2seq", target_namespace="target_tokens")
    vocabulary = {**_VOCABULARY, "target_tokens": (*_VOCABULARY["target_tokens"], "@COPY@")}
    return Parts({"dataset_reader": reader, "model": model}, vocabulary, adjust=_copies, scale=2.5)
