"""`allennlp-saliency archive MODEL ARCHIVE.tar.gz`: a Hugging Face model as an AllenNLP archive."""

from __future__ import annotations

import argparse
import sys

EXAMPLE = "allennlp-saliency archive MODEL model.tar.gz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a folder or a hub id")
    parser.add_argument("archive", metavar="ARCHIVE", help="the file to write, model.tar.gz")
    parser.add_argument("--tokenizer", help="a folder or a hub id; the model's own by default")
    parser.add_argument("--task", help="what the model is for, where its config does not say")
    parser.add_argument("--dtype", help="the floating type of the weights, such as bfloat16")
    parser.add_argument(
        "--overlong",
        default="error",
        choices=("error", "truncate", "window"),
        help="what to do with a text that is longer than the model takes",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Writes the archive; returns the exit status."""
    from allennlp_saliency.interpret import InterpretationError
    from allennlp_saliency.predictors.transformers.archive import write_archive

    try:
        written = write_archive(
            options.model,
            options.archive,
            options.tokenizer,
            options.task,
            options.dtype,
            options.overlong,
        )
    except (InterpretationError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wrote {written}")
    return 0
