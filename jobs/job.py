"""What is to be explained, by what, and where to: all settings of a job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import checks
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.named import unknown

from .selection import read_ids

FORMATS = ("jsonl", "jsonl.zst", "parquet")
"""What the parts of a run can be written as."""

ENGINES = ("local", "ray")

_MOST_VALUES, _MOST_DEEP = 100_000, 100
"""Of the settings in a file."""

_DTYPES = ("float32", "float16", "bfloat16", "float64")


@dataclass(frozen=True)
class Job:
    """All settings of a job.

    Args:
        model: An archive, a Hugging Face folder, a hub id, or a predictor.
        inputs: Paths, "-", or, from Python, anything that can be iterated.
        interpreters: The interpreters: names, or parameters with the name as `type`. One will do.
        output: The folder of the run; None where the explanations stay in Python.
        task: What a Hugging Face model is for, where its config does not say.
        predictor: The registered name of the predictor of an archive; None for the model's default.
        overrides: Overrides of the archive's config, a JSON object or its text.
        target: The number to explain, for each interpreter that names none of its own.
        format: What the inputs are, where their names do not say.
        columns: The column of a table, by the key of the predictor.
        id_key: The key or column of the inputs' ids.
        keep: Keys or columns of the inputs that rows keep beside the scores, such as gold labels.
        part_size: How many inputs make a part.
        output_format: "jsonl", "jsonl.zst" or "parquet".
        limit: So many inputs only.
        ids: A file with the ids of the inputs to explain, one a line; or the ids.
        batch_tokens: Padded tokens in a batch at most, or "auto" to measure it; None for the
            default.
        max_tokens: An input of more tokens is an error.
        cuda_device: -1 for the CPU.
        dtype: The floating type of the weights, such as "bfloat16".
        overwrite: Whether to remove what another run has left in the folder.
        retry_errors: Whether to do the parts with errors again.
        shard: `(i, n)` for the parts i, i + n, i + 2n, … only.
        engine: "local" or "ray".
        address: The address of a cluster of Ray that runs; None for this machine.
        workers: How many workers of Ray; None for as many as there is room for.

    Raises:
        ConfigurationError: If a setting has the wrong type or is out of range.
    """

    model: Any
    inputs: Any
    interpreters: Any
    output: str | PathLike[str] | None = None
    task: str | None = None
    predictor: str | None = None
    overrides: str | JsonDict = ""
    target: Any = None
    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    id_key: str | None = None
    keep: Sequence[str] = ()
    part_size: int = 512
    output_format: str = "jsonl"
    limit: int | None = None
    ids: Any = None
    batch_tokens: int | str | None = None
    max_tokens: int | None = None
    cuda_device: int = -1
    dtype: str | None = None
    overwrite: bool = False
    retry_errors: bool = False
    shard: tuple[int, int] | None = None
    engine: str = "local"
    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("interpreters", _interpreters(self.interpreters, self.target))
        if isinstance(self.inputs, (str, PathLike)):
            put("inputs", (fspath(self.inputs),))
        if self.output is not None:
            put("output", _folder(self.output))
        if not isinstance(self.columns, Mapping):
            raise ConfigurationError(
                'columns is an object such as {"sentence": "review_text"}, the key of the '
                f"predictor with the column of the table; got {self.columns!r:.100}"
            )
        put("keep", _keys(self.keep))
        checks.integer("part_size", self.part_size, least=1)
        checks.choice("output_format", self.output_format, FORMATS)
        checks.choice("engine", self.engine, ENGINES)
        checks.optional_integer("limit", self.limit, least=1)
        checks.optional_integer("max_tokens", self.max_tokens, least=1)
        checks.optional_integer("workers", self.workers, least=1)
        if self.engine == "local":
            _check_local(address=self.address, workers=self.workers)
        checks.integer("cuda_device", self.cuda_device, least=-1)
        if self.batch_tokens != "auto":
            checks.optional_integer("batch_tokens", self.batch_tokens, least=1)
        if self.dtype is not None:
            checks.choice("dtype", self.dtype, _DTYPES)
        if self.shard is not None:
            put("shard", _shard(self.shard))
        if self.overwrite and self.shard is not None:
            raise ConfigurationError(
                "overwrite removes a whole run, and a shard is a piece of one: leave one of them "
                "out"
            )
        if self.overwrite and self.retry_errors:
            raise ConfigurationError(
                "overwrite does all parts again, retry_errors those with errors: name one of them"
            )

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """A job of settings by name, as a YAML file has them; `interpreter` and `input` are taken
        too.

        Raises:
            ConfigurationError: If a name is not known, one is missing, or a value is wrong.
        """
        settings = {str(key).replace("-", "_"): value for key, value in given.items()}
        for singular, name in (("interpreter", "interpreters"), ("input", "inputs")):
            if singular in settings and name not in settings:
                settings[name] = settings.pop(singular)
        known = [one.name for one in fields(cls)]
        extra = [name for name in settings if name not in known]
        if extra:
            raise ConfigurationError(unknown("setting of a job", extra, known))
        missing = [name for name in ("model", "inputs", "interpreters") if name not in settings]
        if missing:
            raise ConfigurationError(f"a job needs {' and '.join(missing)}")
        return cls(**settings)

    @classmethod
    def from_yaml(cls, path: str | PathLike[str]) -> Self:
        """A job of a YAML file.

        Raises:
            ConfigurationError: If the file cannot be read, or as `from_dict`.
        """
        return cls.from_dict(read_yaml(path))

    def identity(self) -> JsonDict:
        """The settings that decide what is written, in JSON: a run goes on only where these are the
        same. Where the job runs, and in how many pieces, is none of them."""
        columns = {str(key): str(value) for key, value in self.columns.items()}
        return {
            "interpreters": list(self.interpreters),
            "task": self.task,
            "predictor": self.predictor,
            "overrides": self.overrides,
            "format": self.format,
            "columns": columns,
            "id_key": self.id_key,
            # Where nothing is kept it is no setting: runs from before there was one go on.
            **({"keep": list(self.keep)} if self.keep else {}),
            "limit": self.limit,
            "ids": None if self.ids is None else _hash(read_ids(self.ids)),
            "part_size": self.part_size,
            "output_format": self.output_format,
            "batch_tokens": self.batch_tokens,
            "max_tokens": self.max_tokens,
            "device": "cpu" if self.cuda_device < 0 else "cuda",
            "dtype": self.dtype,
        }


def read_yaml(path: str | PathLike[str]) -> JsonDict:
    """The settings in a YAML file.

    Raises:
        ConfigurationError: If it cannot be read, or holds no settings by name.
    """
    import yaml

    try:
        with Path(path).open(encoding="utf-8") as file:
            found = yaml.safe_load(file)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} holds no settings by name, such as `model: model.tar.gz`")
    _check_size(found, path)
    return found


def _check_size(settings: Any, path: str | PathLike[str]) -> None:
    """Refuses settings that hold themselves, or would be huge as JSON: in YAML a few lines of
    references stand for more than any memory holds."""
    pending, count = [(settings, 0)], 0
    while pending:
        value, depth = pending.pop()
        count += 1
        if count > _MOST_VALUES or depth > _MOST_DEEP:
            raise ConfigurationError(
                f"{path} holds more than {_MOST_VALUES:,} values, or values in more than "
                f"{_MOST_DEEP} others, those that *references stand for included"
            )
        if isinstance(value, dict):
            pending += [(one, depth + 1) for one in value.values()]
        elif isinstance(value, (list, tuple, set)):
            pending += [(one, depth + 1) for one in value]


def _folder(given: Any) -> Path:
    if not isinstance(given, (str, PathLike)) or not fspath(given) or "\0" in str(given):
        raise ConfigurationError(f"output is the path of a folder; got {given!r:.100}")
    return Path(given)


def _interpreters(given: Any, target: Any) -> tuple[JsonDict, ...]:
    """The parameters of each interpreter, with the target where it names none."""
    several = [given] if isinstance(given, (str, Mapping)) else given
    if not isinstance(several, Iterable):
        raise ConfigurationError(f"interpreters are names or parameters, not {given!r:.100}")
    found = []
    for one in several:
        parameters = {"type": one} if isinstance(one, str) else one
        if not isinstance(parameters, Mapping) or not isinstance(parameters.get("type"), str):
            raise ConfigurationError(
                'an interpreter is a registered name or an object with one, {"type": "…", …}; '
                f"got {one!r:.100}"
            )
        whole = dict(parameters) if target is None else {"target": target, **parameters}
        if whole in found:
            raise ConfigurationError(f"the interpreter {json.dumps(whole)} is named twice")
        found.append({"type": whole.pop("type"), **whole})
    if not found:
        raise ConfigurationError("a job needs at least one interpreter")
    return tuple(found)


def _keys(given: Any) -> tuple[str, ...]:
    """The keys to keep, each once; of a text those between its commas, as on the command line."""
    several = given.split(",") if isinstance(given, str) else given
    if not isinstance(several, Iterable) or isinstance(several, Mapping):
        raise ConfigurationError(f"keep is a list of keys or columns; got {several!r:.100}")
    keys = list(several)
    if not all(isinstance(one, str) and one for one in keys):
        raise ConfigurationError(f"keep is a list of keys or columns; got {keys!r:.100}")
    return tuple(dict.fromkeys(keys))


def _check_local(**settings: Any) -> None:
    """Refuses what the engine local would not look at."""
    for name, value in settings.items():
        if value is not None:
            raise ConfigurationError(
                f"{name} is for the engine ray, and the engine is local: add --engine ray "
                f'(engine="ray"), or leave {name} out'
            )


def _hash(ids: Iterable[str]) -> str:
    text = json.dumps(sorted(set(ids)))
    return hashlib.sha256(text.encode()).hexdigest()


def _shard(given: Any) -> tuple[int, int]:
    """`"1/4"` or `(1, 4)` as numbers."""
    numbers: Any = given.split("/") if isinstance(given, str) else given
    try:
        index, count = (int(one) for one in numbers)
    except (TypeError, ValueError):
        index, count = -1, 0
    if not 0 <= index < count:
        raise ConfigurationError(
            f"shard is i/n with i from 0 to n - 1, such as 0/4 and 1/4; got {given!r:.100}"
        )
    return index, count
