"""A model that is served: its predictors, what is known about it, and its queue."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.named import interpreter_of
from allennlp_saliency.jobs.models import is_archive
from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.saliency.outcomes import wrapped

from ..errors import Refused
from ..jobs import ModelQueue
from ..limits import Limits
from .examples import first_example, needed, read_examples, readable_keys
from .unsuited import unsuited

_MOST_LABELS = 200
_MOST_INTERPRETERS = 16
_IMAGES = "VisionReader"


@dataclass
class ServedModel:
    """A model that is served.

    Attributes:
        name: What it is called in addresses.
        source: The archive, folder or hub id, as clients see it.
        archive: Whether the source is an archive of AllenNLP.
        predictors: Its predictors by registered name, the default one first.
        examples: Inputs to begin with.
        queue: Its queue.
    """

    name: str
    source: str
    archive: bool
    predictors: dict[str, Predictor]
    examples: list[JsonDict]
    queue: ModelQueue
    _interpreters: OrderedDict[str, AnyInterpreter] = field(default_factory=OrderedDict)
    _unsuited: dict[str, dict[str, str]] = field(default_factory=dict)

    def predictor(self, name: str | None) -> tuple[str, Predictor]:
        """The predictor of a name, the default one for None, with its name.

        Raises:
            Refused: If there is no such predictor.
        """
        if name is None:
            name = next(iter(self.predictors))
        if name not in self.predictors:
            raise Refused(
                404,
                f"the model has no predictor {name!r:.100} here; there are: "
                f"{', '.join(self.predictors)} (--predictor of the server adds one)",
            )
        return name, self.predictors[name]

    def interpreter(self, predictor: str, parameters: JsonDict) -> AnyInterpreter:
        """The interpreter with these parameters; what it has learned of the model is kept.

        Raises:
            ConfigurationError: If there is no such interpreter, or it takes no such parameters.
        """
        key = json.dumps([predictor, parameters], sort_keys=True)
        found = self._interpreters.pop(key, None)
        if found is None:
            found = interpreter_of(parameters, self.predictors[predictor])
        self._interpreters[key] = found
        while len(self._interpreters) > _MOST_INTERPRETERS:
            self._interpreters.popitem(last=False)
        return found

    def unsuited(self, predictor: str) -> dict[str, str]:
        """By method, of those that are none for a predictor's model, why."""
        if predictor not in self._unsuited:
            self._unsuited[predictor] = unsuited(self.predictors[predictor])
        return self._unsuited[predictor]

    def labels(self) -> list[str]:
        """The names of the model's labels, where they are few enough to choose among."""
        vocab = next(iter(self.predictors.values()))._model.vocab
        namespaces = [name for name in vocab.get_namespaces() if name.endswith(("labels", "tags"))]
        found: list[str] = []
        for name in namespaces:
            if vocab.get_vocab_size(name) <= _MOST_LABELS:
                found += map(str, vocab.get_index_to_token_vocabulary(name).values())
        return list(dict.fromkeys(found))

    def to_json(self) -> JsonDict:
        """What the page shows of it."""
        return {
            "name": self.name,
            "source": self.source,
            "class": type(next(iter(self.predictors.values()))._model).__name__,
            "predictors": [
                {
                    "name": name,
                    "class": type(predictor).__name__,
                    "keys": readable_keys(name, predictor),
                    "example": first_example(name, predictor),
                    "unsuited": self.unsuited(name),
                }
                for name, predictor in self.predictors.items()
            ],
            "labels": self.labels(),
            "examples": self.examples,
        }


@dataclass(frozen=True)
class Loading:
    """How models are loaded.

    Attributes:
        predictors: Registered names of predictors beside the default one.
        overrides: Overrides of an archive's config.
        cuda_device: The number of a GPU, -1 for the CPU.
        task: What a Hugging Face model is for, where its config does not say.
        hides_folders: Whether clients see the last part alone of a source that is a path.
        examples: A file of JSON lines; None for `inputs.jsonl` beside an archive.
    """

    predictors: tuple[str, ...] = ()
    overrides: str = ""
    cuda_device: int = -1
    task: str | None = None
    examples: Path | None = None
    hides_folders: bool = False


def load(sources: Sequence[str], loading: Loading, limits: Limits) -> dict[str, ServedModel]:
    """Loads models.

    Args:
        sources: Archives of AllenNLP, folders and hub ids of Hugging Face.
        loading: How.
        limits: The limits of their queues.

    Returns:
        The models by name.

    Raises:
        ConfigurationError: If a predictor does not fit, or the examples cannot be read.
        InterpretationError: If it is not known what a Hugging Face model is for.
        OSError: If there is no such file.
    """
    found: dict[str, ServedModel] = {}
    for source in sources:
        archive = is_archive(source)
        predictors = (_of_archive if archive else _of_transformers)(source, loading)
        for predictor in predictors.values():
            _refuse_images(predictor)
        name = _name(source, found)
        known = [first_example(*one) for one in predictors.items()]
        examples = needed(_examples(source, loading), known)
        queue = ModelQueue(name, limits)
        path = Path(source)
        shown = path.name if loading.hides_folders and path.exists() else source
        found[name] = ServedModel(name, shown, archive, predictors, examples, queue)
    return found


def _of_archive(source: str, loading: Loading) -> dict[str, Predictor]:
    archive = load_archive(source, cuda_device=loading.cuda_device, overrides=loading.overrides)
    names = loading.predictors
    default = archive.model.default_predictor
    if default is not None and default not in names:
        names = (default, *names)
    if not names:
        raise ConfigurationError(
            f"{type(archive.model).__name__} names no default predictor; name one: --predictor NAME"
        )
    reader = archive.validation_dataset_reader
    return {
        name: wrapped(archive.model, reader, name, None, frozen=True, own_name="saliency")
        for name in names
    }


def _of_transformers(source: str, loading: Loading) -> dict[str, Predictor]:
    if loading.overrides:
        raise ConfigurationError(f"--overrides is for archives; {source} is a Hugging Face model")
    device = None if loading.cuda_device < 0 else f"cuda:{loading.cuda_device}"
    made = TransformersPredictor.from_pretrained(source, task=loading.task, device=device)
    own = next(name for name in Predictor.list_available() if Predictor.by_name(name) is type(made))
    others = [name for name in loading.predictors if name != own]
    reader = made._dataset_reader
    return {
        own: made,
        **{
            name: wrapped(made._model, reader, name, None, frozen=True, own_name="saliency")
            for name in others
        },
    }


def _refuse_images(predictor: Predictor) -> None:
    """Inputs of these name files and addresses of images."""
    kinds = {cls.__name__ for cls in type(predictor._dataset_reader).__mro__}
    if _IMAGES in kinds:
        raise ConfigurationError(
            f"{type(predictor).__name__} reads images, by the names of their files: explore is for "
            "models of text"
        )


def _examples(source: str, loading: Loading) -> list[JsonDict]:
    path = loading.examples or Path(source).parent / "inputs.jsonl"
    if loading.examples is None and not path.is_file():
        return []
    return read_examples(path)


def _name(source: str, taken: dict[str, Any]) -> str:
    """What a model is called in addresses: the last part of its source that says something."""
    parts = [part for part in re.split(r"[/\\]", source) if part not in ("", ".", "..")]
    if parts and parts[-1] in ("model.tar.gz", "weights.tar.gz") and len(parts) > 1:
        parts.pop()
    last = parts[-1].removesuffix(".tar.gz") if parts else ""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", last).strip("-.") or "model"
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    return unique
