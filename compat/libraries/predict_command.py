"""`allennlp predict` as a predictor wants it that runs the command itself."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..registry import patch

RUN = "run_predict_command"
"""The class method by which a predictor runs the command: it takes the parsed arguments."""


def own_command(name: str | None) -> Callable[[Any], None] | None:
    """The class method by which the predictor of this name runs the command; None for all
    others.

    Raises:
        ConfigurationError: If there is no predictor of this name.
    """
    if name is None:
        return None
    from allennlp.predictors import Predictor

    return getattr(Predictor.by_name(name), RUN, None)


@patch(
    "allennlp.commands.predict",
    "_predict",
    why="it empties an input that is also its output, shows no progress, and ends with status 0 "
    "when every input failed; a predictor that asks for it runs the command itself",
)
def predict_command(original: Callable[[Any], None], args: Any) -> None:
    """Leave the command to a predictor that has `run_predict_command`; others see no change. A name
    that no predictor has ends it with one line, before an archive is loaded for it."""
    from allennlp.common.checks import ConfigurationError

    try:
        command = own_command(args.predictor)
    except ConfigurationError as error:
        reason = " ".join(str(error).split())
        raise SystemExit(f"allennlp predict: error: --predictor: {reason}") from error
    (command or original)(args)


@patch(
    "allennlp.commands",
    "import_plugins",
    why="with --silent, a predictor that runs the command itself wants no line about plugins",
)
def silent_plugins(original: Callable[[], None]) -> None:
    """Hold back what is logged about plugins until it is known whose command it is."""
    words = sys.argv[1:]
    if words[:1] != ["predict"] or "--silent" not in words:
        original()
        return
    with _held("allennlp.common.plugins") as records:
        original()
    from allennlp.common.checks import ConfigurationError

    command = None
    with suppress(ConfigurationError):  # the command itself says so
        command = own_command(_predictor_of(words))
    if command is None:
        for record in records:
            logging.getLogger(record.name).handle(record)


def _predictor_of(words: list[str]) -> str | None:
    for number, word in enumerate(words):
        if word.startswith("--predictor="):
            return word.partition("=")[2]
        if word == "--predictor":
            return next(iter(words[number + 1 :]), None)
    return None


@contextmanager
def _held(name: str) -> Iterator[list[logging.LogRecord]]:
    """Collects what a logger would say below the level of errors."""
    records: list[logging.LogRecord] = []

    def hold(record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            records.append(record)
        return record.levelno >= logging.ERROR

    logger = logging.getLogger(name)
    logger.addFilter(hold)
    try:
        yield records
    finally:
        logger.removeFilter(hold)
