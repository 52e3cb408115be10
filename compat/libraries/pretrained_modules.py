"""The weights of a Hugging Face folder for AllenNLP's own transformer modules, such as its T5."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from ..archives.own_transformers import is_own_folder
from ..registry import Original, patch

_MODULE = "allennlp.modules.transformer.transformer_module"
# In the order in which they are looked for. An index lists the parts of weights that are split.
_WEIGHTS = (
    "pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "model.safetensors.index.json",
)


@patch(
    _MODULE,
    "TransformerModule._get_pretrained_state_dict",
    why="transformers saves model.safetensors, in parts where it is large; AllenNLP reads "
    "pytorch_model.bin and asks the hub where a folder has none",
)
def folder_weights(
    original: Original, cls: Any, model_name: str, weights_path: Any = None, **kwargs: Any
) -> Any:
    """Find what a folder or the hub holds, in whichever of the forms it is."""
    from huggingface_hub.errors import EntryNotFoundError

    if weights_path is None and os.path.isdir(model_name):
        weights_path = _weights_file(Path(model_name))
    try:
        return original(cls, model_name, weights_path, **kwargs)
    except (OSError, EntryNotFoundError):
        found = None if weights_path is not None else _hub_weights(model_name)
        if found is None:
            raise
    return original(cls, model_name, found, **kwargs)


@patch(_MODULE, "read_state_dict", why="it reads neither safetensors nor weights in parts")
def folder_state_dicts(original: Original, path: Any, **kwargs: Any) -> Any:
    """Read all forms of weights."""
    parts = [path]
    if str(path).endswith(".index.json"):
        weight_map = json.loads(Path(path).read_text(encoding="utf-8"))["weight_map"]
        parts = [Path(path).with_name(name) for name in sorted(set(weight_map.values()))]
    state: dict[str, Any] = {}
    for part in parts:
        safe = str(part).endswith(".safetensors")
        state |= (_read_safetensors if safe else original)(part, **kwargs)
    return state


def _weights_file(folder: Path) -> Path:
    from allennlp.common.checks import ConfigurationError

    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise ConfigurationError(
        f"The folder {folder} holds no weights ({' or '.join(_WEIGHTS[:2])}). Save the model into "
        "it with `model.save_pretrained(folder)`, or give `weights_path`."
    )


def _hub_weights(model_name: str) -> str | None:
    """The file of a model on the hub, in one part, from where transformers keeps it; or None."""
    from transformers.utils.hub import cached_file

    for name in ("model.safetensors", "pytorch_model.bin"):
        try:
            return cached_file(model_name, name)
        except OSError:
            continue
    return None


def _read_safetensors(path: Any, ignore: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {
        key: value
        for key, value in load_file(path).items()
        if not any(re.match(pattern, key) for pattern in ignore or ())
    }


@patch(
    _MODULE,
    "_check_incompatible_keys",
    why="safetensors files hold tied weights once, and AllenNLP misses the others",
)
def tied_weights(
    original: Original, model: Any, missing_keys: list[str], *args: Any, **kwargs: Any
) -> Any:
    """Miss no name of a tensor that was loaded under another name."""
    tensors = model.state_dict(keep_vars=True)
    loaded = {id(tensor) for name, tensor in tensors.items() if name not in missing_keys}
    missing = [name for name in missing_keys if id(tensors.get(name)) not in loaded]
    return original(model, missing, *args, **kwargs)


@patch(
    _MODULE,
    "TransformerModule.from_pretrained_module",
    why="the transformer folder that an archive carries holds no weights; weights.th has them all",
)
def weightless_modules(original: Original, cls: Any, model_name: str, **kwargs: Any) -> Any:
    """Build a module from an archive's own transformer folder without its weights."""
    if is_own_folder(model_name):
        kwargs["load_weights"] = False
    return original(cls, model_name, **kwargs)
