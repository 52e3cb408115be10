"""Hugging Face models inside AllenNLP, and their weights for its own transformer modules (T5)."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from copy import copy
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..archives.source import is_own_folder
from ..registry import Original, after, patch

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


@after(
    "allennlp.common.cached_transformers",
    why="the transformer folder that an archive carries holds no weights; weights.th has them all",
)
def weightless_transformers(module: Any) -> bool:
    """Build an archive's own transformer from its config alone."""
    from_pretrained = module.AutoModel.from_pretrained

    def build(model_name: str, **kwargs: Any) -> Any:
        if not is_own_folder(model_name):
            return from_pretrained(model_name, **kwargs)
        config = module.AutoConfig.from_pretrained(model_name, **kwargs)
        return module.AutoModel.from_config(config)

    _load_with(module, build)
    return True


@after(
    "allennlp.common.cached_transformers",
    why="transformers 5 marks loaded tensors as initialised, and reinit_modules silently does "
    "nothing to them",
)
def reinit_modules(module: Any) -> bool:
    """Take the marks off once a model is loaded."""
    if find_spec("transformers.initialization") is None:
        return False
    from_pretrained = module.AutoModel.from_pretrained

    def load(model_name: str, **kwargs: Any) -> Any:
        model = from_pretrained(model_name, **kwargs)
        for tensor in (*model.parameters(), *model.buffers()):
            if hasattr(tensor, "_is_hf_initialized"):
                del tensor._is_hf_initialized
        return model

    _load_with(module, load)
    return True


def _load_with(module: Any, from_pretrained: Callable[..., Any]) -> None:
    """Change what the module's own `AutoModel` does, and nobody else's."""
    module.AutoModel = SimpleNamespace(
        from_config=module.AutoModel.from_config, from_pretrained=from_pretrained
    )


# Buffers that transformers 4 saved and that today's models compute or do not need.
_GONE_BUFFERS = re.compile(
    r"(^|\.)(embeddings\.(position_ids|token_type_ids)|attn\.(bias|masked_bias))$"
)


@patch(
    "allennlp.modules.token_embedders.pretrained_transformer_embedder",
    "PretrainedTransformerEmbedder.__init__",
    why="archives of older transformers carry buffers that are gone, and refuse to load",
)
def gone_buffers(original: Original, embedder: Any, *args: Any, **kwargs: Any) -> None:
    """Drop exactly those buffers from a state dict, where the model has none of that name."""
    original(embedder, *args, **kwargs)
    embedder.register_load_state_dict_pre_hook(_drop_gone_buffers)


def _drop_gone_buffers(embedder: Any, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
    held = None
    for key in list(state_dict):
        if key.startswith(prefix) and _GONE_BUFFERS.search(key):
            held = set(embedder.state_dict()) if held is None else held
            if key[len(prefix) :] not in held:
                del state_dict[key]


@patch(
    "allennlp.models.model",
    "Model.__init__",
    why="a model may hold a Hugging Face model without an embedder, as SRL-BERT does; its archives "
    "carry the same buffers",
)
def models_gone_buffers(original: Original, model: Any, *args: Any, **kwargs: Any) -> None:
    """Drop those buffers from the state dict of any model that holds a Hugging Face model."""
    original(model, *args, **kwargs)
    model.register_load_state_dict_pre_hook(_drop_held_gone_buffers)


def _drop_held_gone_buffers(
    model: Any, state_dict: dict[str, Any], prefix: str, *args: Any
) -> None:
    # Where the model holds one, its class has been imported.
    known = sys.modules.get("transformers.modeling_utils")
    if known is None:
        return
    for name, held in model.named_modules():
        if isinstance(held, known.PreTrainedModel):
            _drop_gone_buffers(held, state_dict, f"{prefix}{name}." if name else prefix)


@patch(
    "allennlp.data.data_loaders.data_collator",
    "DataCollatorForLanguageModeling",
    why="the third positional argument of DataCollatorForLanguageModeling changed its meaning",
)
def language_model_collator(
    original: Any, tokenizer: Any, mlm: bool = True, mlm_probability: float = 0.15
) -> Any:
    """Pass the probability of masking by its name."""
    return original(tokenizer, mlm=mlm, mlm_probability=mlm_probability)


def _no_decoder_start(module: Any) -> bool:
    from transformers import T5Config

    return getattr(T5Config(), "decoder_start_token_id", None) is None


@patch(
    "allennlp.modules.transformer.t5",
    "T5._from_config",
    why="T5Config of transformers 5 has no decoder_start_token_id",
    needed=_no_decoder_start,
)
def t5_decoder_start(original: Original, cls: Any, config: Any, **kwargs: Any) -> Any:
    """Start decoding with the pad id, as every T5 does."""
    if getattr(config, "decoder_start_token_id", None) is None:
        config = copy(config)
        config.decoder_start_token_id = config.pad_token_id
    return original(cls, config, **kwargs)
