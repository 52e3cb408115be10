"""Whether a predictor replaces a method of AllenNLP's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allennlp.predictors import Predictor


def overrides(predictor: Predictor, method: Callable[..., Any]) -> bool:
    """Whether a predictor has another implementation of a method than the given one.

    Args:
        predictor: The predictor.
        method: A method of one of its base classes: `Predictor.predict_json`.
    """
    own = getattr(predictor, method.__name__)
    return getattr(own, "__func__", own) is not method
