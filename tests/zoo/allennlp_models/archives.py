"""Small archives of allennlp-models' kinds: random but seeded weights, no downloads.

    @archive("my-model", each="text", inputs=..., count=...)
    def my_model(folders: Folders) -> Parts:
        return Parts(config, vocabulary)

registers one; `Archives(folder).path("my-model")` is then its `model.tar.gz`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from allennlp.common import Params
from allennlp.data import Vocabulary
from allennlp.models import Model, load_archive
from allennlp.models.archival import archive_model
from allennlp.predictors import Predictor

from tests.zoo.families import Zoo, _spread_own

from .language import write_language

JsonDict = dict[str, Any]


@dataclass(frozen=True)
class Folders:
    """Where an archive finds what it refers to.

    Attributes:
        transformer: The folder of a small transformer, by its architecture ("bert", "t5", …).
        language: The path of a spaCy pipeline that sets parts of speech and sentences.
    """

    transformer: Callable[[str], str]
    language: str


@dataclass(frozen=True)
class Parts:
    """What an archive is made of.

    Attributes:
        config: Its `dataset_reader` and `model`.
        vocabulary: The entries of each namespace.
        predictor_args: What its predictor's constructor takes besides.
        adjust: Changes the random weights, so that the model predicts something worth explaining.
        seed: Seed of the weights.
        scale: How large they are; see `tests.zoo.transformers.spread`.
    """

    config: JsonDict
    vocabulary: Mapping[str, Sequence[str]] = field(default_factory=dict)
    predictor_args: JsonDict = field(default_factory=dict)
    adjust: Callable[[Any], None] | None = None
    seed: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class SmallArchive:
    """An archive that can be built, with what holds for its explanations.

    Attributes:
        name: Its name.
        build: Makes its parts.
        each: What one explanation is of.
        inputs: What its predictor reads, of different lengths.
        count: How many explanations a prediction has.
        predictor: The registered name of its predictor, None for the one that its model names.
        continuous: Whether what is explained is continuous in the embeddings.
        expected: The explained numbers (log-likelihoods) by a prediction's own numbers, one for
            each explanation; None where the prediction has no such numbers.
        expected_total: Their sum, where a prediction has no more than that.
        values: The same by the model's own loss or raw outputs, where a prediction has no numbers.
        by_hand: The token scores of `input-x-gradient` without this package: for each explanation
            the scores of its tokens, fields in the order of the explanation's `inputs`. See
            `by_hand.py`.
        refused: By the name of a method that cannot explain the model, a pattern of its error.
        tokens_labelled: Whether what is predicted belongs to tokens, so that `positions` says
            which.
    """

    name: str
    build: Callable[[Folders], Parts]
    each: str
    inputs: Sequence[JsonDict]
    count: Callable[[JsonDict], int]
    predictor: str | None = None
    continuous: bool = True
    expected: Callable[[JsonDict], list[float]] | None = None
    expected_total: Callable[[JsonDict], float] | None = None
    values: Callable[[Any, JsonDict], list[float]] | None = None
    by_hand: Callable[[Any, JsonDict], list[list[float]]] | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    tokens_labelled: bool = True


ARCHIVES: dict[str, SmallArchive] = {}


def archive(
    name: str, **about: Any
) -> Callable[[Callable[[Folders], Parts]], Callable[[Folders], Parts]]:
    """Registers an archive.

    Args:
        name: Its name.
        about: The other attributes of `SmallArchive`, but `build`.
    """

    def register(build: Callable[[Folders], Parts]) -> Callable[[Folders], Parts]:
        ARCHIVES[name] = SmallArchive(name, build, **about)
        return build

    return register


class Archives:
    """Builds archives, each once.

    Args:
        folder: Where they go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[str, JsonDict] = {}
        transformers = Zoo(folder / "transformers")
        (folder / "transformers").mkdir(parents=True, exist_ok=True)
        self.folders = Folders(transformers.transformer, write_language(folder / "language"))

    def path(self, name: str) -> Path:
        """The `model.tar.gz` of an archive."""
        self._build(name)
        return self._folder / name / "model.tar.gz"

    def predictor_args(self, name: str) -> JsonDict:
        """What the constructor of an archive's predictor takes besides."""
        return self._build(name)

    def predictor(self, name: str) -> Predictor:
        """A new predictor of an archive, as AllenNLP loads it."""
        loaded = load_archive(self.path(name))
        about = ARCHIVES[name]
        return Predictor.from_archive(
            loaded, about.predictor, extra_args=dict(self.predictor_args(name))
        )

    def _build(self, name: str) -> JsonDict:
        if name not in self._built:
            parts = ARCHIVES[name].build(self.folders)
            _write(self._folder / name, parts)
            self._built[name] = parts.predictor_args
        return self._built[name]


def _write(folder: Path, parts: Parts) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(parts.config))
    vocabulary = Vocabulary()
    for namespace, entries in parts.vocabulary.items():
        for entry in entries:
            vocabulary.add_token_to_namespace(entry, namespace)
    vocabulary.save_to_files(str(folder / "vocabulary"))
    # A copy: from_params consumes what it is given.
    config = json.loads(json.dumps(parts.config["model"]))
    with torch.random.fork_rng():
        torch.manual_seed(parts.seed)
        model = Model.from_params(Params(config), vocab=vocabulary)
    _spread_own(model, parts.seed, parts.scale)
    if parts.adjust is not None:
        with torch.no_grad():
            parts.adjust(model)
    torch.save(model.state_dict(), folder / "best.th")
    archive_model(str(folder))
