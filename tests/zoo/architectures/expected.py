"""Per task: Hugging Face's own numbers for an input, and the calls that are explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .build import Built
from .reference import Forward, Writing

Json = dict[str, Any]


class UnclearReferenceError(RuntimeError):
    """Hugging Face's own number cannot be found out; the message says why."""


@dataclass(frozen=True)
class Explained:
    """A call of the model that an explanation is of.

    Attributes:
        forward: The call.
        fields: Per part of the call's sequences the explanation's fields that make it up.
    """

    forward: Forward
    fields: Mapping[str, Sequence[str]]


@dataclass
class Expected:
    """What Hugging Face makes of an input.

    Attributes:
        numbers: Pairs of what is expected and what was predicted, by what they are.
        same: The same for ids and labels, which have to be equal.
        calls: What each explanation is of, in order.
    """

    numbers: list[tuple[str, Tensor, Tensor]] = field(default_factory=list)
    same: list[tuple[str, Any, Any]] = field(default_factory=list)
    calls: list[Explained] = field(default_factory=list)


def expected(built: Built, task: str, json: Json, prediction: Json) -> Expected:
    """What Hugging Face makes of an input, beside what was predicted.

    Args:
        built: The model and its tokenizer.
        task: The task.
        json: The input.
        prediction: What the predictor makes of it.

    Raises:
        UnclearReferenceError: If Hugging Face's own call is not to be had.
    """
    return _BY_TASK[task](built, json, prediction)


def own_call(built: Built, task: str, json: Json) -> None:
    """Runs Hugging Face's own call for an input, whatever comes of it."""
    if task in ("causal-lm", "seq2seq"):
        _writing(built, json).written(2)
        return
    inputs = _encoded(built, *_texts(json))
    if task == "multiple-choice":
        inputs = {name: value.unsqueeze(0) for name, value in inputs.items()}
    _run(built, inputs)


def _texts(json: Json) -> list[str]:
    if "choices" in json:
        return [json["prompt"], json["choices"][0]]
    names = ("sentence", "premise", "hypothesis", "question", "passage")
    return [json[name] for name in names if name in json]


def _encoded(built: Built, *texts: str) -> dict[str, Any]:
    return dict(built.tokenizer(*texts, return_tensors="pt"))


def _run(built: Built, inputs: Mapping[str, Any]) -> Any:
    with torch.no_grad():
        return built.model(**inputs)


def _text(inputs: Mapping[str, Any], read: Callable[[Any], Tensor], *fields: str) -> Explained:
    """A call that reads one sequence, made of some fields."""
    sequences = {"text": inputs["input_ids"].flatten().tolist()}
    return Explained(Forward(inputs, read, sequences), {"text": fields})


def _text_classification(built: Built, json: Json, prediction: Json) -> Expected:
    inputs = _encoded(built, *_texts(json))
    logits = _run(built, inputs).logits[0]
    label = built.model.config.label2id[prediction["label"]]
    fields = [name for name in ("sentence", "premise", "hypothesis") if name in json]
    read = partial(_at, at=(0, label))
    return Expected(
        [("logits", logits, torch.tensor(prediction["logits"]))],
        [("label", int(logits.argmax()), label)],
        [_text(inputs, read, *fields)],
    )


def _token_classification(built: Built, json: Json, prediction: Json) -> Expected:
    inputs = _encoded(built, json["sentence"])
    logits = _run(built, inputs).logits[0]
    result = Expected([("logits", logits, torch.tensor(prediction["logits"]))])
    own = torch.tensor(prediction["logits"])
    # The words' own tokens: those whose tags, in order, are the ones that were predicted.
    tags = [built.model.config.label2id[tag] for tag in prediction["tags"]]
    places = _first_tokens(built, json["sentence"], prediction["words"], own)
    result.same.append(("tags", [int(logits[place].argmax()) for place in places], tags))
    for place, tag in zip(places, tags, strict=True):
        result.calls.append(_text(inputs, partial(_at, at=(0, place, tag)), "sentence"))
    return result


def _first_tokens(built: Built, text: str, words: Sequence[str], logits: Tensor) -> list[int]:
    """Each word's first token."""
    if not built.tokenizer.is_fast:
        raise UnclearReferenceError("its tokenizer does not say where tokens stand in the text")
    spans = built.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    places, at = [], 0
    for word in words:
        start = text.index(word, at)
        at = start + len(word)
        # A token may begin with the space before its word.
        own = (n for n, (a, b) in enumerate(spans) if a < at and b > start)
        places.append(next(own))
    return places


def _question_answering(built: Built, json: Json, prediction: Json) -> Expected:
    inputs = _encoded(built, json["question"], json["passage"])
    found = _run(built, inputs)
    alone = len(inputs["input_ids"][0])
    sides = built.tokenizer(json["question"], json["passage"])
    first = _first_of_second(built, json, sides, alone)
    result = Expected()
    for name, own in (("start", found.start_logits[0]), ("end", found.end_logits[0])):
        predicted = torch.tensor(prediction[f"span_{name}_logits"])[: alone - first]
        there = predicted > -1e30
        result.numbers.append((f"{name} logits", own[first:][there], predicted[there]))
    start, end = (first + one for one in prediction["best_span"])
    read = partial(_span, start=start, end=end)
    result.calls.append(_text(inputs, read, "question", "passage"))
    return result


def _first_of_second(built: Built, json: Json, encoded: Any, count: int) -> int:
    if built.tokenizer.is_fast:
        return encoded.sequence_ids().index(1)
    own = built.tokenizer(json["passage"], add_special_tokens=False)["input_ids"]
    ids = encoded["input_ids"]
    starts = [n for n in range(count) if ids[n : n + len(own)] == own]
    return starts[-1]


def _multiple_choice(built: Built, json: Json, prediction: Json) -> Expected:
    # Choices are padded to the longest, as users of these models give them.
    prompts = [json["prompt"]] * len(json["choices"])
    encoded = built.tokenizer(prompts, json["choices"], padding=True, return_tensors="pt")
    inputs = {name: value.unsqueeze(0) for name, value in encoded.items()}
    logits = _run(built, inputs).logits[0]
    best = int(prediction["best"])
    own = built.tokenizer(json["prompt"], json["choices"][best])["input_ids"]
    forward = Forward(inputs, partial(_at, at=(0, best)), {"text": own})
    return Expected(
        [("logits", logits, torch.tensor(prediction["logits"]))],
        [],
        [Explained(forward, {"text": ("prompt", f"choices[{best}]")})],
    )


def _masked_lm(built: Built, json: Json, prediction: Json) -> Expected:
    inputs = _encoded(built, json["sentence"])
    logits = _run(built, inputs).logits[0]
    mask = built.tokenizer.mask_token_id
    gaps = (inputs["input_ids"][0] == mask).nonzero().flatten().tolist()
    best = logits[gaps].log_softmax(-1).max(-1)
    result = Expected(
        [("log-probabilities", best.values, torch.tensor(prediction["log_probs"]))],
        [
            ("positions", gaps, list(prediction["positions"])),
            ("tokens", best.indices.tolist(), list(prediction["token_ids"])),
        ],
    )
    for gap, token in zip(prediction["positions"], prediction["token_ids"], strict=True):
        result.calls.append(_text(inputs, partial(_at, at=(0, gap, token)), "sentence"))
    return result


def _writing(built: Built, json: Json) -> Writing:
    encoded = _encoded(built, json["source"] if "source" in json else json["prompt"])
    ids = encoded["input_ids"]
    if "prompt" in json:
        ids = _open(built, ids)
    mask = torch.ones_like(ids)
    return Writing(built.model, built.tokenizer, {"input_ids": ids, "attention_mask": mask})


def _open(built: Built, ids: Tensor) -> Tensor:
    """A prompt without the end of the text that its tokenizer adds."""
    tokenizer = built.tokenizer
    ends = {tokenizer.eos_token_id, tokenizer.sep_token_id} - {None}
    starts = {tokenizer.bos_token_id, tokenizer.cls_token_id}
    row = ids[0].tolist()
    if row[-1] in ends and (len(row) > 1 or row[-1] not in starts):
        return ids[:, :-1]
    return ids


def _writes(built: Built, json: Json, prediction: Json) -> Expected:
    writing = _writing(built, json)
    ids = list(prediction["token_ids"])
    result = Expected()
    if "max_new_tokens" in json:
        result.same.append(("tokens", writing.written(json["max_new_tokens"]), ids))
    elif "target" in json:
        labels = built.tokenizer(text_target=json["target"])["input_ids"]
        # What the decoder starts from anyway is not written once more.
        labels = labels[1:] if labels[0] == writing.start else labels
        # The model does not have to write the end that labels have.
        wanted = labels[: len(ids)] if _only_special(built, labels[len(ids) :]) else labels
        result.same.append(("target as labels are tokenised", wanted, ids))
    log_probs = [
        writing.next_logits(ids[:number]).float().log_softmax(-1)[token]
        for number, token in enumerate(ids)
    ]
    predicted = torch.tensor(prediction["log_probs"])
    what = "log-probabilities"
    if not _alike(torch.stack(log_probs), predicted):
        plain = [
            writing.plain_logits(ids[:number]).float().log_softmax(-1)[token]
            for number, token in enumerate(ids)
        ]
        if _alike(torch.stack(plain), predicted):
            what = "log-probabilities of a plain call, where `generate` makes another:"
    result.numbers.append((what, torch.stack(log_probs), predicted))
    fields: dict[str, Sequence[str]] = {"text": ("prompt", "generated")}
    if writing.both:
        fields = {"source": ("source",), "generated": ("generated",)}
    for number, token in enumerate(ids):
        call = writing.forward(ids[:number], token)
        if call is None:
            raise UnclearReferenceError(
                "neither a plain call nor the one that `generate` prepares gives the logits that "
                "`generate` computes"
            )
        result.calls.append(Explained(call, fields))
    return result


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-3)


def _only_special(built: Built, ids: Sequence[int]) -> bool:
    added = getattr(built.tokenizer, "added_tokens_decoder", {})
    special = {number for number, token in added.items() if token.special}
    return set(ids) <= special | set(built.tokenizer.all_special_ids)


def _at(outputs: Any, at: tuple[int, ...]) -> Tensor:
    return outputs.logits[at]


def _span(outputs: Any, start: int, end: int) -> Tensor:
    return outputs.start_logits[0, start] + outputs.end_logits[0, end]


_BY_TASK: dict[str, Callable[[Built, Json, Json], Expected]] = {
    "text-classification": _text_classification,
    "token-classification": _token_classification,
    "question-answering": _question_answering,
    "multiple-choice": _multiple_choice,
    "masked-lm": _masked_lm,
    "causal-lm": _writes,
    "seq2seq": _writes,
}
