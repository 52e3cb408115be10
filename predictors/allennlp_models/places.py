"""Where in a sentence its words stand; predictors that split it themselves do not record it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

from allennlp.data import Instance
from allennlp.data.fields import TextField
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.explanation import JsonDict, Span
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import PredictionLabels


class PlacedLabels(PredictionLabels):
    """Labels of a predictor whose tokens do not have their places in the sentence.

    Attributes:
        sentence: The key of the input that holds the sentence.
        words: The text field that has its words.
    """

    sentence: ClassVar[str] = "sentence"
    words: ClassVar[str] = "tokens"

    def instances(self, predictor: Predictor, inputs: JsonDict) -> list[Instance]:
        sentence = text_under(inputs, self.sentence)
        (instance,) = super().instances(predictor, inputs)
        tokens = cast(TextField, instance[self.words]).tokens
        if sentence is not None:
            places = word_places([token.text or "" for token in tokens], sentence)
            for token, span in zip(tokens, places, strict=True):
                if token.idx is None and span is not None:
                    token.idx, token.idx_end = span
        return [instance]


def text_under(inputs: Mapping[str, Any], key: str) -> str | None:
    """The text that stands under a key of an input; None if there is none: a predictor that is
    derived from allennlp-models' may read other keys."""
    # An input records what the predictor looks up; this look-up is not the predictor's.
    found = dict(inputs).get(key)
    return found if isinstance(found, str) else None


def word_places(words: Sequence[str], sentence: str) -> list[Span | None]:
    """Where in a sentence its words stand, None for those that are not in it."""
    spans: list[Span | None] = []
    place, skipped = 0, False
    for word in words:
        first = sentence.find(word, place) if word else -1
        # What lies between is a word that is not found, or there is nothing but space.
        if first < 0 or (sentence[place:first].strip() and not skipped):
            spans.append(None)
            skipped = True
            continue
        place, skipped = first + len(word), False
        spans.append((first, place))
    return spans


def piece_places(pieces: Sequence[str], word: Span) -> Iterator[Span]:
    """Where the pieces of a word stand; at the whole word where they are not its characters."""
    start, end = word
    bare = [piece.removeprefix("##") if number else piece for number, piece in enumerate(pieces)]
    if sum(map(len, bare)) != end - start:
        yield from (word for _ in pieces)
        return
    for piece in bare:
        yield start, start + len(piece)
        start += len(piece)
