"""What a request gets that cannot be answered: a sentence, never a path or a traceback."""

from __future__ import annotations

import logging
import re
from typing import Any

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.predictors.saliency.json_lines import message

logger = logging.getLogger(__name__)

_LONGEST = 2_000
# What the project and its libraries say of an input, with a sentence that is meant to be read.
_READABLE = (ConfigurationError, InterpretationError, KeyError, ValueError, TypeError, IndexError)
_PATH = re.compile(r"(?<![\w.])(?:~|\.{1,2}|[A-Za-z]:)?(?:[/\\][^\s/\\'\"`:,;()<>]+){2,}[/\\]?")


class Refused(Exception):
    """A request that is not answered.

    Args:
        status: The status of HTTP.
        message: Why, for people.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def without_paths(text: str) -> str:
    """A message without what looks like a path of this machine, and not too long."""
    text = _PATH.sub("[a path]", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} […]"


def readable(error: BaseException, read: Any = None) -> Refused:
    """What to tell of an error.

    Args:
        error: The error.
        read: The input as the predictor got it.
    """
    if isinstance(error, Refused):
        return error
    logger.info("a request failed", exc_info=error)
    if isinstance(error, _READABLE):
        said = message(error, read) if isinstance(error, Exception) else str(error)
        return Refused(422, without_paths(said))
    logger.warning("a request failed", exc_info=error)
    kind = type(error).__name__
    return Refused(500, f"the model failed ({kind}); the terminal of the server says more")
