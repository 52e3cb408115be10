"""Explanations from what other tools have written, so that metrics and views take them."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InterpretationError
from ..explanation import Explanation, InputAttribution, JsonDict, Span, fits

# How tokenizers mark the beginning or the end of a word, or that it goes on.
_MARKS = ("▁", "Ġ", "Ċ", "##", "</w>", "@@")


def token_offsets(tokens: Iterable[str], text: str) -> list[Span | None]:
    """Where tokens stand in a text, each after the one before it.

    Marks of tokenizers ("▁", "Ġ", "##", …) are left out, and upper and lower case are the same.

    Args:
        tokens: The tokens, in their order.
        text: The text.

    Returns:
        Per token its characters `[start, end)`; None for one that does not stand there, such as a
        special token.
    """
    # Characters whose lower case is longer stay as they are, so that offsets are those of the text.
    lowered = "".join(one.lower() if len(one.lower()) == 1 else one for one in text)
    found: list[Span | None] = []
    end = 0
    for token in tokens:
        bare = token
        for mark in _MARKS:
            bare = bare.replace(mark, "") if bare != mark else bare
        bare = bare.strip().lower()
        start = lowered.find(bare, end) if bare else -1
        found.append((start, start + len(bare)) if start >= 0 else None)
        end = end if start < 0 else start + len(bare)
    return found


def from_scores(
    scores: Mapping[str, Sequence[tuple[str, float]]],
    texts: Mapping[str, str],
    method: str = "imported",
    label: str | None = None,
) -> Explanation:
    """An explanation from tokens and their scores.

    Args:
        scores: Per field of the input pairs of a token and its score, in the text's order.
        texts: The text of each field.
        method: What made them, as it shall stand in tables.
        label: The label that is explained, if it is known.

    Returns:
        The explanation. Scores of tokens that do not stand in the text are `unassigned`.

    Raises:
        InterpretationError: If a field has no text, or none of its tokens stands there.
    """
    inputs = []
    for number, (field, pairs) in enumerate(scores.items(), start=1):
        if field not in texts:
            raise InterpretationError(f"there are scores for {field!r}, but no text of it")
        offsets = _offsets([token for token, _ in pairs], texts[field], field)
        inputs.append(_attribution(field, number, pairs, offsets, texts[field]))
    return _explanation(inputs, method, label)


def read_inseq(
    path: Path | str,
    fields: tuple[str, str] | None = None,
    reduction: str = "l2",
) -> list[list[Explanation]]:
    """The explanations in a file that inseq has saved (`FeatureAttributionOutput.save`).

    Args:
        path: The `.json` file, or one that is compressed, `.gz`.
        fields: The names of the input's text and of the generated one here; None for those of
            `TransformersPredictor`: "source" and "generated", of a causal language model "prompt"
            and "generated".
        reduction: What becomes of attributions that have dimensions: "l2" their norm, as inseq
            shows them, or "sum".

    Returns:
        Per input an explanation of each generated token, given the tokens before it.

    Raises:
        InterpretationError: If the file is none of inseq's, or its tokens do not stand in its
            texts.
    """
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    try:
        saved = json.loads(data)["attributes"]
        info, texts = saved["info"], saved["info"]["input_texts"]
        sequences = [one["attributes"] for one in saved["sequence_attributions"]]
        method = str(info.get("attribution_method", "inseq"))
        return [
            _of_sequence(
                one, texts[number], info["generated_texts"][number], fields, reduction, method
            )
            for number, one in enumerate(sequences)
        ]
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, binascii.Error) as error:
        raise InterpretationError(f"{path} is no file that inseq has saved: {error!r}") from error


def _of_sequence(
    one: JsonDict,
    text: str,
    generated: str,
    fields: tuple[str, str] | None,
    reduction: str,
    method: str,
) -> list[Explanation]:
    """The explanations of one input's generated tokens."""
    source = [token["attributes"]["token"] for token in one["source"]]
    target = [token["attributes"]["token"] for token in one["target"]]
    start, end = one["attr_pos_start"], one["attr_pos_end"]
    of_source = _array(one["source_attributions"], reduction)
    of_target = _array(one["target_attributions"], reduction)
    causal = of_source is None
    first, last = fields or ("prompt" if causal else "source", "generated")
    spans = _offsets(target, generated, last)
    if causal:
        # One text: the generated part begins where the prompt ends.
        written = [
            None if span is None else (span[0] - len(text), span[1] - len(text))
            for span in spans[start:]
        ]
        tail = generated[len(text) :]
    else:
        places = _offsets(source, text, first)
    found = []
    for step, position in enumerate(range(start, end)):
        if of_source is not None:
            parts = [(first, source, places, of_source[:, step], text)]
            if of_target is not None:
                own = of_target[:position, step]
                parts.insert(0, (last, target[:position], spans[:position], own, generated))
        elif of_target is not None:
            own = of_target[:position, step]
            parts = [
                (last, target[start:position], written[: position - start], own[start:], tail),
                (first, target[:start], spans[:start], own[:start], text),
            ]
        else:
            raise ValueError("neither source nor target attributions")
        inputs = [
            _attribution(
                name, number, list(zip(tokens, scores.tolist(), strict=True)), offsets, raw
            )
            for number, (name, tokens, offsets, scores, raw) in enumerate(parts, start=1)
        ]
        found.append(_explanation(inputs, method, target[position]))
    return found


def _offsets(tokens: Sequence[str], text: str, field: str) -> list[Span | None]:
    """`token_offsets` of a field's whole text, of which one token at least stands there."""
    offsets = token_offsets(tokens, text)
    if tokens and not any(offsets):
        names = " ".join(map(repr, tokens[:5]))
        raise InterpretationError(f"none of the tokens of {field!r} stands in its text: {names} …")
    return offsets


def _array(saved: Any, reduction: str) -> np.ndarray | None:
    """Scores by token and step from safetensors in base 64, or from lists."""
    if saved is None:
        return None
    if isinstance(saved, str):
        import torch
        from safetensors.torch import load

        (tensor,) = load(base64.b64decode(saved, validate=True)).values()
        scores = tensor.to(torch.float64).numpy()
    else:
        scores = np.asarray(saved, dtype=np.float64)
    if scores.ndim > 2:
        scores = scores.reshape(*scores.shape[:2], -1)
        scores = scores.sum(-1) if reduction == "sum" else np.sqrt((scores**2).sum(-1))
    return scores


def _attribution(
    field: str,
    number: int,
    pairs: Sequence[tuple[str, float]],
    offsets: Sequence[Span | None],
    text: str,
) -> InputAttribution:
    """The scores of a field; those of tokens that do not stand in the text are not assigned."""
    placed = [
        (token, float(score), span)
        for (token, score), span in zip(pairs, offsets, strict=True)
        if span is not None
    ]
    spans: list[Span | None] = [span for _, _, span in placed]
    return InputAttribution(
        field,
        f"grad_input_{number}",
        [token for token, _, _ in placed],
        spans,
        [score for _, score, _ in placed],
        unassigned=sum(
            float(score) for (_, score), span in zip(pairs, offsets, strict=True) if span is None
        ),
        text=text if fits(spans, text) else None,
    )


def _explanation(inputs: list[InputAttribution], method: str, label: str | None) -> Explanation:
    return Explanation({"type": method}, {"type": "imported", "label": label}, inputs)
