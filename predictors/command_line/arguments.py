"""What can be wrong with the command's arguments before anything is read or written."""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import checks

STANDARD_INPUT = "-"


def check(args: argparse.Namespace) -> None:
    """Makes sure that the arguments can be followed, and that no input is written over.

    Args:
        args: The command's arguments.

    Raises:
        ConfigurationError: If not; the message names the argument.
    """
    checks.integer("--batch-size", args.batch_size, least=1)
    _check_predictor_args(args.predictor_args)
    if args.silent and not args.output_file:
        raise ConfigurationError("--silent without --output-file leaves no output at all")
    if args.output_file:
        _check_place(args.output_file)
        _check_no_input(args)


def _check_predictor_args(given: str) -> None:
    if not given.strip():
        return
    try:
        arguments: Any = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"--predictor-args is no JSON ({error}): {given!r:.200}; put it between single quotes, "
            """such as '{"interpreter": "gradient"}'"""
        ) from error
    if not isinstance(arguments, dict):
        raise ConfigurationError(
            '--predictor-args is a JSON object such as {"interpreter": "gradient"}, not '
            f"{given!r:.200}"
        )
    taken = [name for name in ("model", "dataset_reader") if name in arguments]
    if taken:
        raise ConfigurationError(f"--predictor-args cannot set {taken[0]!r}: the archive does")


def _check_place(output: str) -> None:
    """Refuses a place where no file can be written, before a model is loaded for it."""
    folder = Path(output).parent
    if os.path.isdir(output):
        raise ConfigurationError(f"--output-file {output} is a folder")
    if not folder.is_dir():
        raise ConfigurationError(f"--output-file {output}: there is no folder {folder}")
    if not os.access(output if os.path.exists(output) else folder, os.W_OK):
        raise ConfigurationError(f"--output-file {output}: no permission to write there")


def _check_no_input(args: argparse.Namespace) -> None:
    inputs = {
        "the input": _stat_of(args.input_file),
        "the archive": _stat_of(args.archive_file),
        "--weights-file": _stat_of(args.weights_file),
    }
    try:
        output = os.stat(args.output_file)
    except OSError:
        return  # there is no such file yet
    # Two ends of a terminal, or of /dev/null, are no file that could be emptied.
    for name, found in inputs.items():
        if found and stat.S_ISREG(found.st_mode) and os.path.samestat(found, output):
            raise ConfigurationError(
                f"--output-file {args.output_file} is the same file as {name}, and writing would "
                "empty it; nothing was written. Name another file"
            )


def _stat_of(path: str | None) -> os.stat_result | None:
    """The file that a path leads to, links followed; None if there is none, or none to be seen."""
    try:
        if path is None:
            return None
        if path == STANDARD_INPUT:
            return os.fstat(sys.stdin.fileno())
        return os.stat(path)
    except (OSError, ValueError, AttributeError):
        # No file of this machine's, or whatever else is said where it is read.
        return None
