"""Which methods are none for a model by its nature, as far as that is known without running it."""

from __future__ import annotations

import inspect
import logging
import re
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.predictors import Predictor
from transformers import PreTrainedModel

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.interpreter.named import interpreter_of
from allennlp_saliency.interpret.methods.attention.attention_interpreter import AttentionInterpreter

from ..errors import without_paths

logger = logging.getLogger(__name__)

_WORDS = "tokens"
_SAID_BY = re.compile(r'^interpreter \{"type": "[\w-]+"\}: ')


def unsuited(predictor: Predictor) -> dict[str, str]:
    """By registered name of a method that cannot explain a predictor, why.

    A method that refuses the predictor when it is made, and one that reads attention where no part
    of the model has any. One that is not named may refuse an input still.
    """
    found = {}
    attends = has_attention(predictor)
    for name in AnyInterpreter.list_available():
        cls: Any = AnyInterpreter.by_name(name)
        if not attends and issubclass(cls, AttentionInterpreter):
            found[name] = f"no part of {type(predictor._model).__name__} is attention"
        elif not _asks(cls):
            try:
                interpreter_of({"type": name}, predictor)
            except (ConfigurationError, InterpretationError) as error:
                found[name] = without_paths(_SAID_BY.sub("", str(error)))
            except Exception as error:  # a plugin's, without which the page is to open still
                logger.warning("%s cannot be made: %r", name, error)
                found[name] = f"it cannot be made: {type(error).__name__}"
    return found


def has_attention(predictor: Predictor) -> bool:
    """Whether any part of a model is a transformer, or is called attention."""
    return any(
        isinstance(one, PreTrainedModel) or "attention" in type(one).__name__.lower()
        for one in predictor._model.modules()
    )


def unsuited_attackers(predictor: Predictor) -> dict[str, str]:
    """By name of an attacker of AllenNLP that cannot work on a predictor's model, why."""
    if _WORDS in predictor._model.vocab.get_namespaces():
        return {}
    return {
        "hotflip": f"it takes words from the namespace {_WORDS!r} of the vocabulary, which a model "
        "has that reads whole words; this one has none"
    }


def _asks(cls: type) -> bool:
    """Whether a constructor cannot be called with a predictor alone."""
    try:
        given = list(inspect.signature(cls).parameters.values())[1:]
    except (TypeError, ValueError):  # nothing is known of it
        return True
    return any(
        one.default is one.empty and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        for one in given
    )
