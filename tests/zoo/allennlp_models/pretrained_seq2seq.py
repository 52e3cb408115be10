"""Models that write wordpieces of a pretrained transformer: BART and T5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import allennlp_models.generation  # noqa: F401  registers its classes
import torch
from torch import Tensor

from tests.zoo.transformers import SMALL_BART, Architecture, write_transformer

from .archives import Folders, JsonDict, Parts, archive
from .seq2seq import SOURCES, STEPWISE, gradients, ids_of, of_best, tensors_of

_BART = Architecture(
    "bart",
    "bytes",
    {
        **SMALL_BART,
        "scale_embedding": True,
        "decoder_start_token_id": 2,
        "forced_eos_token_id": 2,
    },
)


def _pretrained(folder: str, kind: str, steps: int) -> JsonDict:
    part = {"type": "pretrained_transformer", "model_name": folder}
    return {
        "dataset_reader": {
            "type": "seq2seq",
            "source_tokenizer": dict(part),
            "source_token_indexers": {"tokens": {**part, "namespace": "tokens"}},
            "source_add_start_token": False,
            "source_add_end_token": False,
            "target_add_start_token": False,
            "target_add_end_token": False,
        },
        "model": {
            "type": kind,
            "model_name": folder,
            "beam_search": {"beam_size": 2, "max_steps": steps},
        },
    }


def _by_whole_text(
    logits: Callable[[Any, Tensor, Tensor], Tensor],
    end: int,
    source: str,
    target: str,
    generated_first: bool,
) -> Any:
    """By one pass over the whole text, without a cache; an explanation lists the text first that
    was embedded last."""

    def by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
        model = predictor._model
        ids = ids_of(predictor.predict_json(dict(inputs)), end)
        tensors = tensors_of(predictor, predictor._json_to_instance(dict(inputs)))
        given = tensors["source_tokens"]["tokens"]["token_ids"]
        layers = list(dict.fromkeys([model.get_submodule(source), model.get_submodule(target)]))
        found = []
        for number, own in enumerate(ids):

            def run(number: int = number, own: int = own) -> Tensor:
                after = logits(model, given, torch.tensor([ids]))
                return after[0, number].log_softmax(-1)[own]

            calls = [one[0] for layer in gradients(model, layers, run) for one in layer]
            found.append([*calls[0].tolist(), *calls[1][: number + 1].tolist()])
            if generated_first:
                found[-1] = [*calls[1][: number + 1].tolist(), *calls[0].tolist()]
        return found

    return by_hand


def _bart_logits(model: Any, source: Tensor, target: Tensor) -> Tensor:
    start = torch.tensor([[model._decoder_start_id]])
    read = torch.cat([start, target[:, :-1]], dim=1)
    return model.bart(input_ids=source, decoder_input_ids=read, use_cache=False).logits


def _t5_logits(model: Any, source: Tensor, target: Tensor) -> Tensor:
    return model.t5(input_ids=source, labels=target).logits


@archive(
    "seq2seq-bart",
    each="token of the best text",
    inputs=SOURCES,
    count=lambda prediction: len(ids_of(prediction, 2)),
    expected_total=of_best("log_probabilities"),
    by_hand=_by_whole_text(
        _bart_logits,
        2,
        "bart.model.encoder.embed_tokens",
        "bart.model.decoder.embed_tokens",
        generated_first=False,
    ),
    refused=STEPWISE,
    tokens_labelled=False,
)
def seq2seq_bart(folders: Folders) -> Parts:
    folder = Path(folders.language).parent / "bart"
    write_transformer(folder, _BART)
    return Parts(_pretrained(str(folder), "bart", steps=5))


@archive(
    "seq2seq-t5",
    each="token of the best text",
    inputs=SOURCES,
    count=lambda prediction: len(ids_of(prediction, 2)),
    expected_total=of_best("predicted_log_probs"),
    by_hand=_by_whole_text(
        _t5_logits,
        2,
        "t5.encoder.token_embeddings",
        "t5.decoder.token_embeddings",
        generated_first=True,
    ),
    refused=STEPWISE,
    tokens_labelled=False,
)
def seq2seq_t5(folders: Folders) -> Parts:
    return Parts(_pretrained(folders.transformer("t5"), "t5", steps=3))
