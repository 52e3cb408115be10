"""spaCy's language models and torch's devices, as AllenNLP asks for them."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..registry import Original, patch

_STAND_IN = "allennlp_saliency_stand_in"
# What AllenNLP's tokens have of spaCy's annotations.
_ANNOTATIONS = ("lemma_", "pos_", "tag_", "dep_", "ent_type_")


@patch(
    "allennlp.common.util",
    "get_spacy_model",
    why="a missing spaCy model is downloaded from outside the package registries",
)
def spacy_models(
    original: Original,
    spacy_model_name: str,
    pos_tags: bool = True,
    parse: bool = False,
    ner: bool = False,
) -> Any:
    """Tokenise with a blank model, and say what to install where more than tokens is asked."""
    import spacy.util
    from allennlp.common import util
    from allennlp.common.checks import ConfigurationError

    options = (spacy_model_name, pos_tags, parse, ner)
    installed = spacy.util.is_package(spacy_model_name) or Path(spacy_model_name).exists()
    if options in util.LOADED_SPACY_MODELS or installed:
        return original(*options)
    wanted = " and ".join(name for name, asked in (("parse", parse), ("ner", ner)) if asked)
    if wanted:
        raise OSError(
            f"The spaCy model '{spacy_model_name}' is not installed, and {wanted} cannot be "
            f"had without it. Install it with `python -m spacy download {spacy_model_name}`, "
            f"or switch {wanted} off where only tokens are needed."
        )
    # AllenNLP's tokenizer asks for part-of-speech tags by default, and hardly any model reads
    # them, so asking for them is no reason to stop.
    language = spacy_model_name.split("_")[0]
    try:
        spacy.util.get_lang_class(language)
    except ImportError as error:
        raise ConfigurationError(
            f"The spaCy model {spacy_model_name!r} is not installed, and {language!r} is no "
            "language of spaCy's whose tokenizer could stand in. Install the package that has it, "
            "or name another, such as 'en_core_web_sm'."
        ) from error
    warnings.warn(
        f"The spaCy model '{spacy_model_name}' is not installed. Its tokenizer alone "
        f"(spacy.blank('{language}')) stands in: the tokens are the same, but part-of-speech "
        "tags and lemmas are empty. A model that reads those needs "
        f"`python -m spacy download {spacy_model_name}`.",
        UserWarning,
        stacklevel=3,
    )
    stand_in = util.spacy.blank(language, meta={_STAND_IN: True})
    util.LOADED_SPACY_MODELS[options] = stand_in
    return stand_in


@patch(
    "allennlp.data.tokenizers.spacy_tokenizer",
    "SpacyTokenizer._sanitize",
    why="the stand-in's tokens have empty annotations, which indexers take for values",
)
def missing_annotations(original: Original, tokenizer: Any, tokens: Any) -> Any:
    """Give the stand-in's tokens no annotations at all, so that an indexer of them says so."""
    sanitized = original(tokenizer, tokens)
    if tokenizer.spacy.meta.get(_STAND_IN) and not tokenizer._keep_spacy_tokens:
        for token in sanitized:
            for name in _ANNOTATIONS:
                setattr(token, name, None)
    return sanitized


def _unknown_device_type(module: Any) -> bool:
    with suppress(RuntimeError):
        module.torch.device(0)
        return False
    return True


@patch(
    "allennlp.common.util",
    "int_to_device",
    why="torch.device(0) raises where torch finds no accelerator",
    needed=_unknown_device_type,
)
def device_numbers(original: Original, device: Any) -> Any:
    """Name the type of the device where torch does not know which one is meant."""
    import torch

    numbered = isinstance(device, int) and device >= 0
    return torch.device("cuda", device) if numbered else original(device)
