"""An AllenNLP archive of a Hugging Face model."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from allennlp.common.meta import Meta
from allennlp.data import Vocabulary
from allennlp.models.archival import archive_model

from .loading import find_task, load_model, load_tokenizer
from .texts.reader import Overlong

_FOLDER = "transformer"


def write_archive(
    model: Any,
    archive: str | Path,
    tokenizer: Any = None,
    task: str | None = None,
    dtype: Any = None,
    overlong: str = "error",
) -> Path:
    """Writes an archive that `allennlp predict` takes, and that loads offline from anywhere.

    Args:
        model: A folder, a hub id or a model object.
        archive: The file to write, `model.tar.gz`; replaced if it is there.
        tokenizer: A folder, a hub id or a tokenizer object; None for the model's own.
        task: What the model is for; None for what its class or config says.
        dtype: The floating type of the weights in the archive, "bfloat16"; None as they are.
        overlong: What to do with a text that is longer than the model takes, as for
            `TransformersReader`; `allennlp predict` may change it,
            `--overrides '{"dataset_reader.overlong": "window"}'`.

    Returns:
        The file.

    Raises:
        InterpretationError: If it is not known what the model is for, or which tokenizer it
            goes with.
        ConfigurationError: If `overlong` is none of these.
    """
    Overlong(overlong)
    task = find_task(model, task)
    parts: Any = load_model(model, task, dtype), load_tokenizer(tokenizer, model)
    part = {"type": f"transformers-{task}", "model_name": _FOLDER}
    config = {"dataset_reader": {**part, "overlong": overlong}, "model": part}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in parts:
            one.save_pretrained(folder / _FOLDER)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        # The weights are in the transformer's folder, as safetensors.
        torch.save({}, folder / "weights.th")
        Vocabulary().save_to_files(str(folder / "vocabulary"))
        Meta.new().to_file(folder / "meta.json")
        written = archive_model(
            folder, weights="weights.th", archive_path=archive, include_in_archive=[_FOLDER]
        )
    return Path(written)
