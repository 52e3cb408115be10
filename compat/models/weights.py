"""Models of allennlp-models that load a Hugging Face model themselves, out of AllenNLP's cache."""

from __future__ import annotations

from typing import Any

from ..archives.source import is_own_folder
from ..registry import after

# The modules, and the names of the classes whose `from_pretrained` they call.
_LOADERS = {
    "allennlp_models.generation.models.bart": ("BartModel", "BartForConditionalGeneration"),
    "allennlp_models.lm.modules.language_model_heads.bert": ("BertForMaskedLM",),
    "allennlp_models.lm.modules.language_model_heads.gpt2": ("GPT2LMHeadModel",),
    "allennlp_models.structured_prediction.models.srl_bert": ("BertModel",),
}


class WeightlessClass:
    """A class of transformers that builds an archive's own model from its config alone.

    Args:
        model_class: the class; it does everything else as before.
    """

    def __init__(self, model_class: Any) -> None:
        self.model_class = model_class

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A model of the class."""
        return self.model_class(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model_class, name)

    def from_pretrained(self, model_name: str, *args: Any, **kwargs: Any) -> Any:
        """The pretrained model; without weights where the archive's weights file has them."""
        if not is_own_folder(model_name):
            return self.model_class.from_pretrained(model_name, *args, **kwargs)
        return self.model_class(self.model_class.config_class.from_pretrained(model_name))


def weightless_models(module: Any) -> bool:
    """Change what the module's own names do, and nobody else's."""
    for name in _LOADERS[module.__name__]:
        setattr(module, name, WeightlessClass(vars(module)[name]))
    return True


for _module in _LOADERS:
    after(
        _module,
        why="the transformer folder that an archive carries holds no weights; weights.th has all",
    )(weightless_models)
