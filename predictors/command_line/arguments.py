"""What can be wrong with the command's arguments before anything is read or written."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import checks

from .places import check_outputs


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
    elif sys.stdout is None or getattr(sys.stdout, "closed", False):
        raise ConfigurationError(
            "the standard output is closed and there is no --output-file, so all output would be "
            "lost; name one"
        )
    check_outputs(args)


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
