"""Hugging Face models inside AllenNLP."""

from __future__ import annotations

import re
from functools import wraps
from types import ModuleType
from typing import Any

from .own_transformers import is_own_folder
from .registry import after, replace


@after(
    "allennlp.common.cached_transformers",
    why="an archive's own transformer folder holds no weights; transformers 5 marks loaded tensors, "
    "and then reinit_modules silently does nothing",
)
def transformer_loading(module: ModuleType) -> bool:
    """Build an archive's own transformer from its config; unmark the tensors of the others."""
    auto_model = module.AutoModel

    class AutoModel:
        """transformers' AutoModel, as `cached_transformers.get` uses it."""

        from_config = staticmethod(auto_model.from_config)

        @staticmethod
        def from_pretrained(model_name: str, **kwargs: Any) -> Any:
            if is_own_folder(model_name):
                config = module.AutoConfig.from_pretrained(model_name, **kwargs)
                return auto_model.from_config(config)
            model = auto_model.from_pretrained(model_name, **kwargs)
            for tensor in (*model.parameters(), *model.buffers()):
                if hasattr(tensor, "_is_hf_initialized"):
                    del tensor._is_hf_initialized
            return model

    module.AutoModel = AutoModel
    return True


# Buffers that transformers 4 saved and that today's models compute or do not need.
_GONE_BUFFERS = re.compile(
    r"(^|\.)(embeddings\.(position_ids|token_type_ids)|attn\.(bias|masked_bias))$"
)


@after(
    "allennlp.modules.token_embedders.pretrained_transformer_embedder",
    why="archives of older transformers carry buffers that are gone, and refuse to load",
)
def gone_buffers(module: ModuleType) -> bool:
    """Drop exactly those buffers from a state dict, where the model has none of that name."""
    embedder = module.PretrainedTransformerEmbedder
    original = embedder.__init__

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.register_load_state_dict_pre_hook(_drop_gone_buffers)

    embedder.__init__ = __init__
    return True


def _drop_gone_buffers(
    embedder: Any, state_dict: dict[str, Any], prefix: str, *args: Any
) -> None:
    held = None
    for key in list(state_dict):
        if key.startswith(prefix) and _GONE_BUFFERS.search(key):
            held = set(embedder.state_dict()) if held is None else held
            if key[len(prefix) :] not in held:
                del state_dict[key]


@after(
    "allennlp.data.data_loaders.data_collator",
    why="the third positional argument of DataCollatorForLanguageModeling changed its meaning",
)
def language_model_collator(module: ModuleType) -> bool:
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
def t5_decoder_start(module: ModuleType) -> bool:
    """Start decoding with the pad id, as every T5 does."""
    if hasattr(module.T5Config(), "decoder_start_token_id"):
        return False
    module.T5Config.decoder_start_token_id = property(lambda config: config.pad_token_id)
    return True
