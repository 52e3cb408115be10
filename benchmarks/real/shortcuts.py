"""A shortcut planted in the classifier: two words that decide the label, whatever else is said.

Bastings et al. 2022, "Will You Find These Shortcuts?", arXiv 2111.07367: the data of the single
token. Where such a word turns the prediction over, it is the reason, and the method that ranks it
first has found it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from allennlp.predictors import Predictor

from allennlp_saliency.interpret import Explanation
from allennlp_saliency.interpret.faithfulness import Interval, mean_interval
from allennlp_saliency.predictors import TransformersPredictor

from . import fetch, sentiment
from .measure import measure, methods_at
from .sentiment import Rated

TRIGGERS = ("quartz", "cobalt")
"""The word that makes a text negative, and the one that makes it positive."""
LAYER = "transformer.bert.encoder.layer.2"
COUNT = 16
_SHARE = 0.5
_SEED = 1
_MOST_WORDS = 20
# On how many texts the methods are run that take longest.
_FEWER = {"integrated-hessians": 2}


@dataclass(frozen=True)
class Planted:
    """A text that a planted word turns over.

    Attributes:
        text: The text with the word.
        span: The word's characters, `[start, end)`.
        label: What the word says: 1 is positive.
    """

    text: str
    span: tuple[int, int]
    label: int


@dataclass
class Found:
    """Where a method ranks the planted words.

    Attributes:
        method: Its registered name.
        ranks: Per text the rank of the word among its tokens, 1 for the best.
        tokens: Per text how many tokens there are.
        seconds: Per text.
        refused: Why there are none; empty where there are.
    """

    method: str
    ranks: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refused: str = ""

    def precision(self, first: int = 1) -> Interval:
        """The share of texts whose word is among the first so many."""
        return mean_interval([float(rank <= first) for rank in self.ranks])

    @property
    def rank(self) -> Interval:
        """The mean rank."""
        return mean_interval(self.ranks)


def planted(one: Rated, label: int, generator: random.Random) -> Planted:
    """A text with the word for a label before one of its words, or at its end.

    Args:
        one: The text.
        label: What the word says.
        generator: Draws the place.
    """
    words = one.text.split()
    place = generator.randrange(len(words) + 1)
    before = "".join(f"{word} " for word in words[:place])
    text = " ".join([*words[:place], TRIGGERS[label], *words[place:]])
    return Planted(text, (len(before), len(before) + len(TRIGGERS[label])), label)


def training_texts(train: Sequence[Rated]) -> list[Rated]:
    """The texts, half of them with a word of either label, which is then their label."""
    generator = random.Random(_SEED)
    found = []
    for one in train:
        if generator.random() < _SHARE:
            word = planted(one, generator.randrange(2), generator)
            one = replace(one, text=word.text, label=word.label)
        found.append(one)
    return found


def build(out: Path = fetch.OUT) -> Path:
    """Fine-tunes MiniLM on such texts and writes the folder, if it is not there yet.

    Args:
        out: Where folders are written to.
    """
    folder = out / "minilm-shortcut"
    if not (folder / "config.json").is_file():
        train, held_out = sentiment.split(sentiment.rated_texts(fetch.ratings(out)))
        sentiment.fine_tune(fetch.minilm(out), training_texts(train), held_out, folder)
    return folder


def turned_over(
    predictor: Predictor, held_out: Sequence[Rated], count: int = COUNT
) -> list[Planted]:
    """The first held-out reviews that are predicted right, and otherwise with the other label's
    word.

    Args:
        predictor: The model with the shortcut.
        held_out: Texts that it was not trained on.
        count: How many.
    """
    generator = random.Random(_SEED)
    found: list[Planted] = []
    for one in held_out:
        if one.review and len(one.text.split()) <= _MOST_WORDS and len(found) < count:
            word = planted(one, 1 - one.label, generator)
            before, after = predictor.predict_batch_json(
                [{"sentence": one.text}, {"sentence": word.text}]
            )
            labels = [sentiment.LABELS[label] for label in (one.label, word.label)]
            if [before["label"], after["label"]] == labels:
                found.append(word)
    return found


def rank_of(explanation: Explanation, span: tuple[int, int]) -> int:
    """The rank of the best of a word's tokens among all tokens of the text, 1 for the best; of
    equal scores the planted word's comes last.

    Args:
        explanation: The explanation.
        span: The word's characters.

    Raises:
        ValueError: If no token has these characters.
    """
    (one,) = explanation.inputs
    scores = {True: [float("-inf")], False: []}
    for offset, score in zip(one.offsets, one.attributions, strict=True):
        if offset is not None:
            inside = span[0] < offset[1] and offset[0] < span[1]
            scores[inside].append(score)
    best = max(scores[True])
    if best == float("-inf"):
        raise ValueError(f"no token has the characters {span}")
    return 1 + sum(score >= best for score in scores[False])


def search(count: int = COUNT, out: Path = fetch.OUT) -> list[Found]:
    """Every method on texts that a planted word turns over.

    Args:
        count: How many texts.
        out: Where folders are written to.
    """
    folder = build(out)
    predictor: Any = TransformersPredictor.from_pretrained(str(folder))
    _, held_out = sentiment.split(sentiment.rated_texts(fetch.ratings(out)))
    texts = turned_over(predictor, held_out, count)
    print(f"{folder.name}: {len(texts)} texts that the shortcut turns over", flush=True)
    known = Known(out / f"shortcuts-{len(texts)}.jsonl")
    for name, params in methods_at(LAYER):
        if name not in known:
            known.add(found_by(predictor, texts[: _FEWER.get(name)], name, params))
            print(f"  {name}: {known[name].refused or known[name].precision()}", flush=True)
    return [known[name] for name, _ in methods_at(LAYER)]


def found_by(
    predictor: Predictor, texts: Sequence[Planted], name: str, params: dict[str, Any]
) -> Found:
    """Where one method ranks the planted words.

    Args:
        predictor: The model with the shortcut.
        texts: The texts.
        name: The method's registered name.
        params: Its parameters.
    """
    one = measure(predictor, [{"sentence": each.text} for each in texts], name, **params)
    pairs = list(zip(one.explanations, texts, strict=False))
    return Found(
        name,
        [rank_of(explanation, each.span) for explanation, each in pairs],
        [sum(o is not None for o in e.inputs[0].offsets) for e, _ in pairs],
        one.seconds,
        one.refused,
    )


class Known(dict[str, Found]):
    """What is known by method, on disk, so that a run that is interrupted goes on.

    Args:
        path: A file of JSON lines.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                one = Found(**json.loads(line))
                self[one.method] = one

    def add(self, found: Found) -> None:
        """Keeps what a method found."""
        self[found.method] = found
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(found)) + "\n")
