"""The predictor of a job: loaded from what a user names, and recognised again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol

from allennlp.common import plugins
from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.given import check_predictor
from allennlp_saliency.interpret.interpreter.named import unknown
from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.saliency.outcomes import wrapped
from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor
from allennlp_saliency.predictors.transformers.loading import tasks_of

from .weights import file_hash, folder_hash, predictor_hash

_CONFIGS = (".json", ".jsonnet", ".yaml", ".yml")


class ModelSettings(Protocol):
    """What a job says about its model; `Job` says it."""

    @property
    def model(self) -> Any:
        """An archive, a Hugging Face folder or hub id, a config, or a predictor."""

    @property
    def task(self) -> str | None:
        """What a Hugging Face model is for, where its config does not say."""

    @property
    def predictor(self) -> str | None:
        """The registered name of an archive's predictor; None for the model's default."""

    @property
    def overrides(self) -> str | JsonDict:
        """Overrides of the archive's config."""

    @property
    def cuda_device(self) -> int:
        """The number of a GPU, -1 for the CPU."""

    @property
    def dtype(self) -> str | None:
        """The floating type of a Hugging Face model's weights."""


@dataclass(frozen=True)
class _Asked:
    """What is asked of a model, the settings of a job and those of its config together."""

    model: Any
    task: str | None = None
    predictor: str | None = None
    predictor_args: JsonDict | None = None
    overrides: str | JsonDict = ""
    weights_file: str | None = None
    cuda_device: int = -1
    dtype: str | None = None
    tokenizer: str | None = None
    overlong: str | None = None
    stride: int | None = None
    max_length: int | None = None
    no_answer: bool | float | None = None
    explain: Any = None
    hops: int | None = None

    @classmethod
    def of(cls, job: ModelSettings) -> _Asked:
        """What a job asks; its own settings go before those of a config.

        Raises:
            ConfigurationError: If the config cannot be read, or has other keys.
        """
        names = ("task", "predictor", "overrides", "cuda_device", "dtype")
        own = cls(job.model, **{name: getattr(job, name) for name in names})
        config = _config(job.model)
        if config is None:
            return own
        known = [one.name for one in fields(cls) if one.name != "cuda_device"]
        extra = [str(key) for key in config if key not in known]
        if extra:
            raise ConfigurationError(unknown("key of the model's config", extra, known))
        if not config.get("model"):
            raise ConfigurationError('the model\'s config names no model: {"model": "…"}')
        default = cls(None)
        changed = {
            name: one for name in names if (one := getattr(own, name)) != getattr(default, name)
        }
        return replace(cls(**config), **changed)

    def for_transformers(self) -> dict[str, Any]:
        """What `from_pretrained` is given for them."""
        names = "task tokenizer overlong stride max_length no_answer explain hops dtype"
        found = {name: getattr(self, name) for name in names.split()}
        return {name: value for name, value in found.items() if value is not None}


def load(job: ModelSettings) -> Predictor:
    """The predictor of a job.

    Args:
        job: What it says about its model: the path or URL of an AllenNLP archive, a folder or hub
            id of Hugging Face, a config (an object, or a file of JSON or YAML, with `model` and
            what `TransformersPredictor.from_pretrained` takes, or `predictor_args` of an archive's
            predictor), or a predictor.

    Raises:
        ConfigurationError: If there is no such model, it is not known what it is for, or a setting
            does not fit it.
    """
    asked = _Asked.of(job)
    if not isinstance(asked.model, (str, PathLike)):
        return _of_object(asked)
    source = fspath(asked.model)
    try:
        return _of_archive(source, asked) if is_archive(source) else _of_transformers(source, asked)
    except InterpretationError as error:
        raise ConfigurationError(f"{source} cannot be loaded: {error}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f"{source} cannot be loaded: {error}; a model is an archive (model.tar.gz, or its "
            "folder), a folder of Hugging Face's save_pretrained, or a hub id"
        ) from error


def model_identity(job: ModelSettings, predictor: Predictor) -> JsonDict:
    """By what a run knows its model again, `{"model": …, "sha256": …}`.

    Args:
        job: What it says about its model.
        predictor: What was loaded.

    Returns:
        The model's name, and the hash of its files: of the archive, or of the weights, configs and
        vocabularies in a folder; of a predictor the hash of its parameters, buffers, labels and
        classes. A model of the hub has its `revision` in place of the hash.
    """
    model = _Asked.of(job).model
    if not isinstance(model, (str, PathLike)):
        return {"model": type(predictor._model).__name__, "sha256": predictor_hash(predictor)}
    source = fspath(model)
    if is_archive(source):
        path = Path(cached_path(source))
        return {
            "model": source,
            "sha256": folder_hash(path, archive=True) if path.is_dir() else file_hash(path),
        }
    if Path(source).is_dir():
        return {"model": source, "sha256": folder_hash(Path(source))}
    revision = _revision(predictor)
    if revision is not None:
        return {"model": source, "revision": revision}
    return {"model": source, "sha256": predictor_hash(predictor)}


def is_archive(source: str) -> bool:
    """Whether a path or URL is an archive of AllenNLP, and not a model of Hugging Face."""
    path = Path(source)
    if path.is_file() or source.endswith(".tar.gz"):
        return True
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and {"model", "dataset_reader"} <= set(config)


def _config(model: Any) -> JsonDict | None:
    """The config that a model is named by; None if it is named by itself."""
    if isinstance(model, Mapping):
        return dict(model)
    if not isinstance(model, (str, PathLike)) or not fspath(model).endswith(_CONFIGS):
        return None
    path = Path(model)
    try:
        if path.suffix in (".yaml", ".yml"):
            import yaml

            found = yaml.safe_load(path.read_text(encoding="utf-8"))
        elif path.suffix == ".jsonnet":
            from allennlp.common import Params

            found = Params.from_file(str(path)).as_dict(quiet=True)
        else:
            found = json.loads(path.read_text(encoding="utf-8"))
    except Exception as error:  # PyYAML's and jsonnet's have no base but this
        raise ConfigurationError(f"the model's config {path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f'the model\'s config {path} is no object, {{"model": "…"}}')
    return found


def _of_object(asked: _Asked) -> Predictor:
    given = asked.model
    if isinstance(given, SaliencyPredictor):
        given = given.predictor
    if not isinstance(given, Predictor):
        check_predictor(given, "the interpreter")  # says how one is made of a model of transformers
        raise ConfigurationError(
            f"a model is a path, a hub id or a predictor, not a {type(given).__name__}"
        )
    _refuse(asked, "a predictor", "task predictor predictor_args overrides dtype")
    if asked.cuda_device >= 0 and not _is_on(given, asked.cuda_device):
        raise ConfigurationError(
            f"cuda_device is {asked.cuda_device}, and the predictor's model is elsewhere; load it "
            "there, or leave cuda_device out"
        )
    return given


def _is_on(predictor: Predictor, cuda_device: int) -> bool:
    first = next(predictor._model.parameters(), None)
    return first is None or (first.is_cuda and first.device.index == cuda_device)


def _of_archive(source: str, asked: _Asked) -> Predictor:
    names = "task dtype tokenizer overlong stride max_length no_answer explain hops"
    _refuse(asked, f"the archive {source}", names)
    plugins.import_plugins()
    weights: Any = asked.weights_file  # None is taken, whatever the annotation says
    archive = load_archive(source, asked.cuda_device, asked.overrides, weights)
    name = asked.predictor or archive.model.default_predictor
    if name is None:
        raise ConfigurationError(
            f"{type(archive.model).__name__} names no default predictor; name one: --predictor NAME"
        )
    reader = archive.validation_dataset_reader
    return wrapped(archive.model, reader, name, asked.predictor_args, True, own_name="saliency")


def _of_transformers(source: str, asked: _Asked) -> Predictor:
    _refuse(asked, f"the Hugging Face model {source}", "overrides weights_file")
    if asked.task is not None:
        _check_task(source, asked.task)
    device = None if asked.cuda_device < 0 else f"cuda:{asked.cuda_device}"
    made = TransformersPredictor.from_pretrained(source, device=device, **asked.for_transformers())
    own = next(name for name in Predictor.list_available() if Predictor.by_name(name) is type(made))
    if asked.predictor in (None, own):
        return made
    reader = made._dataset_reader
    return wrapped(
        made._model, reader, asked.predictor, asked.predictor_args, True, own_name="saliency"
    )


def _check_task(source: str, task: str) -> None:
    """Refuses a task that the model has no head for: a new one would have random weights."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(source)
    for name in config.architectures or ():
        known = tasks_of(name, config)
        if known and task not in known:
            raise ConfigurationError(
                f"{source} holds a {name}, which is for {' or '.join(known)}, not for {task}"
            )


def _refuse(asked: _Asked, what: str, names: str) -> None:
    """Refuses settings that would not be followed."""
    for name in names.split():
        if getattr(asked, name):
            raise ConfigurationError(
                f"{name} is {getattr(asked, name)!r:.100}, and {what} takes none; leave it out"
            )


def _revision(predictor: Any) -> str | None:
    """The commit of the hub that a model was loaded from."""
    for module in predictor._model.modules():
        found = getattr(getattr(module, "config", None), "_commit_hash", None)
        if isinstance(found, str):
            return found
    return None
