"""The texts in an input's JSON: which tokens were made of which, and copies with other texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from allennlp.data import Instance

from ..explanation import JsonDict, Span
from .texts import TextItem, text_items, token_spans

Path = tuple[str | int, ...]
"""The keys and places that lead to a value of an input's JSON: `("choices", 1)`."""

Place = tuple[Path, Span]
"""Characters of a text in an input's JSON."""

# A token may be written otherwise than in the text (without accents, say), or be added to it.
_ALIKE = 1 / 3
_UNKNOWN = ("[UNK]", "<unk>", "@@UNKNOWN@@")


def json_texts(json: JsonDict) -> dict[Path, str]:
    """All texts in an input, by where they are."""
    return dict(_leaves((), json))


def path_name(path: Path) -> str:
    """How explanations name the text at a path: `"choices[1]"`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)[1:]


def with_texts(json: JsonDict, texts: Mapping[Path, str]) -> JsonDict:
    """A copy of an input with other texts at some paths; what is not on a path is shared."""
    copied = dict(json)
    for path, text in texts.items():
        inner: Any = copied
        for key in path[:-1]:
            value = inner[key]
            inner[key] = inner = dict(value) if isinstance(value, dict) else list(value)
        inner[path[-1]] = text
    return copied


def trace(item: TextItem, field: str, texts: Mapping[Path, str]) -> tuple[Path, list[Span | None]]:
    """The text of an input that a text field was made of, and the characters of its tokens.

    Args:
        item: The text field.
        field: Its name, which a text of the same name is tried first for.
        texts: The texts.

    Raises:
        LookupError: If it was made of none of them.
    """
    best: tuple[float, Path, list[Span | None]] | None = None
    for path in sorted(texts, key=lambda path: path_name(path) != item.name(field)):
        quality, spans = _places(item, texts[path])
        if quality >= _ALIKE and (best is None or quality > best[0]):
            best = quality, path, spans
    if best is None:
        raise LookupError
    return best[1:]


def trace_all(
    instance: Instance, fields: Sequence[str], json: JsonDict
) -> dict[str, tuple[Path, list[Span | None]]]:
    """By the name of each text of an instance what `trace` finds for it, as far as it finds
    anything; each text of the input is used once.

    Args:
        instance: The instance.
        fields: Its text fields.
        json: The input that it was made of.
    """
    left = json_texts(json)
    traced = {}
    for field in fields:
        for item in text_items(instance.fields[field]):
            with suppress(LookupError):  # The model may have written it.
                path, spans = trace(item, field, left)
                del left[path]
                traced[item.name(field)] = path, spans
    return traced


def texts_behind(instance: Instance, json: JsonDict | None) -> dict[str, str]:
    """The text behind each text of an instance, by its name, as far as it is known; see
    `spans_behind`."""
    return {name: text for name, (text, _) in spans_behind(instance, json).items()}


def spans_behind(
    instance: Instance, json: JsonDict | None
) -> dict[str, tuple[str, list[Span | None]]]:
    """The text behind each text of an instance, by its name, and the characters of its tokens
    there, as far as it is known: its field keeps it as `source_text`, or the input has it.

    Args:
        instance: The instance.
        json: The input that it was made of; None where it was made of none.
    """
    items = {
        item.name(name): item
        for name, field in instance.fields.items()
        for item in text_items(field)
    }
    kept = {name: getattr(item.text, "source_text", None) for name, item in items.items()}
    found = {
        name: (text, token_spans(items[name].text.tokens))
        for name, text in kept.items()
        if text is not None
    }
    if json is None or len(found) == len(items):
        return found
    texts = json_texts(json)
    fields = [name for name, field in instance.fields.items() if text_items(field)]
    traced = trace_all(instance, fields, json)
    return {name: (texts[path], spans) for name, (path, spans) in traced.items()} | found


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in pairs:
            yield from _leaves((*path, key), one)


def _places(item: TextItem, text: str) -> tuple[float, list[Span | None]]:
    """The characters of a field's tokens if it was made of a text, and the share of tokens that
    look so."""
    tokens = item.text.tokens
    names = [token.text or "" for token in tokens]
    spans = token_spans(tokens)
    source = getattr(item.text, "source_text", None)
    if source is not None:
        return (1.0 if source == text else 0.0), spans
    if not any(spans):
        spans = _found(names, text)
    placed = [(name, span) for name, span in zip(names, spans, strict=True) if span is not None]
    if not placed:
        # No token, so any empty text will do.
        return (0.0 if text.strip() else 1.0), spans
    alike = [_alike(name, text[slice(*span)]) for name, span in placed]
    return (sum(alike) / len(names) if placed[-1][1][1] <= len(text) else 0.0), spans


def _alike(name: str, part: str) -> bool:
    return bool(part) and (name in _UNKNOWN or name.lower().endswith(part.strip().lower()))


def _found(names: Sequence[str], text: str) -> list[Span | None]:
    """Tokens without offsets, each after the one before it."""
    lowered = text.lower() if len(text.lower()) == len(text) else text
    spans: list[Span | None] = []
    start = 0
    for name in names:
        place = lowered.find(name.lower(), start) if name else -1
        if place < 0:
            spans.append(None)
            continue
        start = place + len(name)
        spans.append((place, start))
    return spans
