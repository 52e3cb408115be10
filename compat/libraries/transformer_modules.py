"""Hugging Face models inside AllenNLP."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from copy import copy
from functools import wraps
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

from ..archives.own_transformers import is_own_folder
from ..registry import after


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


@after(
    "allennlp.modules.token_embedders.pretrained_transformer_embedder",
    why="archives of older transformers carry buffers that are gone, and refuse to load",
)
def gone_buffers(module: Any) -> bool:
    """Drop exactly those buffers from a state dict, where the model has none of that name."""
    embedder = module.PretrainedTransformerEmbedder
    original = embedder.__init__

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.register_load_state_dict_pre_hook(_drop_gone_buffers)

    embedder.__init__ = __init__
    return True


def _drop_gone_buffers(embedder: Any, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
    held = None
    for key in list(state_dict):
        if key.startswith(prefix) and _GONE_BUFFERS.search(key):
            held = set(embedder.state_dict()) if held is None else held
            if key[len(prefix) :] not in held:
                del state_dict[key]


@after(
    "allennlp.models.model",
    why="a model may hold a Hugging Face model without an embedder, as SRL-BERT does; its archives "
    "carry the same buffers",
)
def models_gone_buffers(module: Any) -> bool:
    """Drop those buffers from the state dict of any model that holds a Hugging Face model."""
    original = module.Model.__init__

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.register_load_state_dict_pre_hook(_drop_held_gone_buffers)

    module.Model.__init__ = __init__
    return True


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


@after(
    "allennlp.data.data_loaders.data_collator",
    why="the third positional argument of DataCollatorForLanguageModeling changed its meaning",
)
def language_model_collator(module: Any) -> bool:
    """Pass the probability of masking by its name."""
    original = module.DataCollatorForLanguageModeling

    def collator(tokenizer: Any, mlm: bool = True, mlm_probability: float = 0.15) -> Any:
        return original(tokenizer, mlm=mlm, mlm_probability=mlm_probability)

    module.DataCollatorForLanguageModeling = collator
    return True


@after(
    "allennlp.modules.transformer.t5",
    why="T5Config of transformers 5 has no decoder_start_token_id",
)
def t5_decoder_start(module: Any) -> bool:
    """Start decoding with the pad id, as every T5 does."""
    from transformers import T5Config

    if getattr(T5Config(), "decoder_start_token_id", None) is not None:
        return False
    original = module.T5._from_config.__func__

    def _from_config(cls: Any, config: Any, **kwargs: Any) -> Any:
        if getattr(config, "decoder_start_token_id", None) is None:
            config = copy(config)
            config.decoder_start_token_id = config.pad_token_id
        return original(cls, config, **kwargs)

    module.T5._from_config = classmethod(_from_config)
    return True
