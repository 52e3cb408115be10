"""Hashes of models: of their files, or of what is in memory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from allennlp.predictors import Predictor
from torch import Tensor

_TRAINING = (
    "optimizer",
    "scheduler",
    "rng_state",
    "trainer_state",
    "training_args",
    "training_state",
    "model_state",
    "metrics",
    "events.out",
)
"""How files begin that a training leaves beside a model."""
_NO_MODEL = (".md", ".log", ".lock", ".pid", ".tar.gz")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_hash(folder: Path, archive: bool = False) -> str:
    """The SHA-256 of a model's folder: of the names and hashes of its files, those that training
    has left and those that only people read excepted.

    Args:
        folder: The folder.
        archive: Whether it is an archive's. Of others the files in subfolders are no part of it.
    """
    seen = hashlib.sha256()
    for path in sorted(folder.rglob("*") if archive else folder.iterdir()):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and _of_model(folder, path.name) and not _of_run(folder, path):
            seen.update(f"{file_hash(path)} {name}\n".encode())
    return seen.hexdigest()


def _of_run(folder: Path, path: Path) -> bool:
    """Whether a file is in the folder of a run that somebody has put beside the model: the model is
    the same when the run has grown."""
    between = [one for one in path.parents if one != folder and one.is_relative_to(folder)]
    return any((one / ".state" / "locks").is_dir() for one in between)


def _of_model(folder: Path, name: str) -> bool:
    if name.startswith((".", *_TRAINING)) or name.endswith(_NO_MODEL):
        return False
    # AllenNLP loads these weights where there are no others.
    return name != "best.th" or not (folder / "weights.th").exists()


def predictor_hash(predictor: Predictor) -> str:
    """The SHA-256 of a predictor's classes, parameters, buffers and labels."""
    model: Any = predictor._model
    seen = hashlib.sha256()
    kinds = (predictor, predictor._dataset_reader, model)
    seen.update(json.dumps([_name(type(one)) for one in kinds]).encode())
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        seen.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        _add(seen, tensor)
    # Others grow as texts are read: the indexers of transformers add their words to them.
    vocab: Any = getattr(model, "vocab", None)
    names = [] if vocab is None else sorted(vocab.get_namespaces())
    for namespace in [name for name in names if name.endswith("labels")]:
        words = vocab.get_index_to_token_vocabulary(namespace)
        seen.update(json.dumps([namespace, sorted(words.items())]).encode())
    return seen.hexdigest()


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _add(seen: Any, tensor: Tensor) -> None:
    """Adds the bytes of a tensor, a part at a time: numpy knows no bfloat16, bytes it does."""
    plain = tensor.detach().reshape(-1)
    for part in plain.split(1 << 24):
        seen.update(part.cpu().contiguous().view(torch.uint8).numpy().data)
