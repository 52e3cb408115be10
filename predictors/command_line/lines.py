"""The command's arguments, checked, and its input, line by line."""

from __future__ import annotations

import argparse
import glob
import json
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path, open_compressed
from allennlp.common.params import parse_overrides

from allennlp_saliency.interpret import checks
from allennlp_saliency.predictors.saliency.json_lines import InputLine, numbered

STANDARD_INPUT = "-"


def check(args: argparse.Namespace) -> None:
    """Makes sure that the arguments can be followed, and that no input is written over.

    Args:
        args: The command's arguments.

    Raises:
        ConfigurationError: If not, or if the input or the archive is missing; the message names the
            argument.
    """
    checks.integer("--batch-size", args.batch_size, least=1)
    _check_predictor_args(args.predictor_args)
    _check_overrides(args.overrides)
    if args.cuda_device >= 0 and args.cuda_device >= torch.cuda.device_count():
        raise ConfigurationError(
            f"--cuda-device {args.cuda_device}: torch finds {torch.cuda.device_count()} GPUs here, "
            "which are counted from 0; leave it out to run on the CPU"
        )
    if args.silent and not args.output_file:
        raise ConfigurationError("--silent without --output-file leaves no output at all")
    if args.output_file:
        _check_place(args.output_file)
    elif sys.stdout is None or getattr(sys.stdout, "closed", False):
        raise ConfigurationError(
            "the standard output is closed and there is no --output-file, so all output would be "
            "lost; name one"
        )
    _check_outputs(args)


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


def _check_overrides(given: str) -> None:
    reason = ""
    try:
        if isinstance(parse_overrides(given), dict):
            return
    except Exception as error:
        # Jsonnet's errors are of no class of their own.
        reason = f" ({' '.join(str(error).split())})"
    raise ConfigurationError(
        f"--overrides is no JSON object{reason}: {given!r:.200}; put it between single quotes, "
        """such as '{"dataset_reader.max_instances": 5}'"""
    )


def _check_place(output: str) -> None:
    """Refuses a place where no file can be written, before a model is loaded for it."""
    folder = Path(output).parent
    if os.path.isdir(output):
        raise ConfigurationError(f"--output-file {output} is a folder")
    if not folder.is_dir():
        raise ConfigurationError(f"--output-file {output}: there is no folder {folder}")
    if not os.access(output if os.path.exists(output) else folder, os.W_OK):
        raise ConfigurationError(f"--output-file {output}: no permission to write there")


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuses an output that is also read, whatever names lead to the file (`cached_path` knows
    `file://`, `~` and URLs), and one in the archive's folder."""
    outputs = [] if args.silent else [("the standard output", _of_stream(sys.stdout))]
    if args.output_file:
        archive = resolved("the archive", args.archive_file)
        if os.path.isdir(archive) and Path(args.output_file).resolve().is_relative_to(
            Path(archive).resolve()
        ):
            raise ConfigurationError(
                f"--output-file {args.output_file} is in the folder {args.archive_file}, which is "
                "the archive: its own files could be written over, or new ones be taken for a part "
                "of it; nothing was written. Name a file outside that folder"
            )
        outputs.append((f"--output-file {args.output_file}", _of_path(args.output_file)))
    # Two ends of a terminal, or of /dev/null, are no file that could be written over.
    files = [(name, found) for name, found in outputs if found and stat.S_ISREG(found.st_mode)]
    if not files:
        return
    for what, read in _all_read(args):
        for name, written in files:
            if read is not None and os.path.samestat(read, written):
                raise ConfigurationError(
                    f"{name} is the same file as {what}, and writing would overwrite it; nothing "
                    "was written. Name another file"
                )


def resolved(what: str, path: str) -> str:
    """The file or folder that will be read under a name: of a URL the copy in the cache.

    Args:
        what: What the name stands for, for messages.
        path: The name.

    Raises:
        ConfigurationError: If there is none.
    """
    try:
        return cached_path(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{what} {path} cannot be read: {error}") from error


def _all_read(args: argparse.Namespace) -> Iterator[tuple[str, os.stat_result | None]]:
    """What the command will read, as far as that is known beforehand."""
    if args.input_file == STANDARD_INPUT:
        yield "the input", _of_stream(sys.stdin)
    else:
        # Readers may take names that are no files at all, patterns, or what `cached_path` finds.
        paths = [args.input_file, *glob.glob(args.input_file)] if args.use_dataset_reader else []
        with suppress(ConfigurationError) if paths else nullcontext():
            paths.append(resolved("the input", args.input_file))
        for path in paths:
            yield from _files("the input", path)
    yield from _files("the archive", resolved("the archive", args.archive_file))
    if args.weights_file:
        yield "--weights-file", _of_path(args.weights_file)


def _files(name: str, path: str) -> Iterator[tuple[str, os.stat_result | None]]:
    """A file; or all files of a folder, links followed."""
    yield name, _of_path(path)
    for folder, _, members in os.walk(path):
        for file in (Path(folder, member) for member in members):
            yield f"{name}'s file {str(file.relative_to(path))!r}", _of_path(file)


def _of_path(path: str | os.PathLike[str]) -> os.stat_result | None:
    """The file that a path leads to, links followed; None if there is none, or none to be seen."""
    with suppress(OSError, ValueError):
        return os.stat(path)
    return None


def _of_stream(stream: Any) -> os.stat_result | None:
    """The file behind a stream; None if it is closed, or no file of the system's."""
    with suppress(OSError, ValueError, AttributeError):
        return os.fstat(stream.fileno())
    return None


_LOOKED_AT = 5
"""So many lines without a JSON object at the beginning are another format."""


def read(input_file: str, load: Callable[[str, int], InputLine]) -> Iterator[InputLine]:
    """The inputs in a file, or on the standard input.

    Args:
        input_file: The file, or "-".
        load: What makes an input of a line and its number; what it cannot read is in the result.

    Raises:
        ConfigurationError: If the file cannot be read, or if it holds something else than a JSON
            object a line.
    """
    lines = (load(line, number) for number, line in numbered(_text(input_file)))
    yield from _json_lines(lines, input_file)


def count(input_file: str) -> int | None:
    """How many inputs a file has; None where that cannot be known beforehand."""
    if input_file == STANDARD_INPUT or not os.path.isfile(resolved("the input", input_file)):
        return None  # a pipe can be read once
    return sum(1 for _ in numbered(_text(input_file)))


def _text(input_file: str) -> Iterator[str]:
    try:
        if input_file == STANDARD_INPUT:
            if hasattr(sys.stdin, "reconfigure"):
                sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
            yield from sys.stdin
        else:
            path = resolved("the input", input_file)
            with open_compressed(path, errors="surrogateescape") as lines:
                yield from lines
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ConfigurationError(f"the input {input_file} cannot be read: {error}") from error


def _json_lines(lines: Iterator[InputLine], name: str) -> Iterator[InputLine]:
    """The same lines, unless all of the first ones are of another format.

    One that is broken among others is an error in the output; a table or a plain text would be as
    many errors as it has lines.
    """
    first: list[InputLine] = []
    for line in lines:
        first.append(line)
        if _begins_document(first[0]) or len(first) == _LOOKED_AT:
            break
        if not _of_another_format(line):
            break
    if first and (_begins_document(first[0]) or all(map(_of_another_format, first))):
        raise ConfigurationError(_described(first, name))
    yield from first
    yield from lines


def _of_another_format(line: InputLine) -> bool:
    if not isinstance(line.problem, (json.JSONDecodeError, UnicodeError)):
        return False
    return not str(line.given).strip().startswith("{")


def _begins_document(line: InputLine) -> bool:
    """Whether a line, the first one, begins an array or an object that goes on behind it."""
    if not isinstance(line.problem, json.JSONDecodeError):
        return False
    text = str(line.given).strip()
    return text in ("[", "{") or text.startswith("[{")


def _described(first: Sequence[InputLine], name: str) -> str:
    texts = [str(line.given) for line in first]
    shown = f"{texts[0][:80]} […]" if len(texts[0]) > 80 else texts[0]
    if any(isinstance(line.problem, UnicodeError) for line in first):
        hint = "it is no UTF-8 text; convert it first"
    elif _begins_document(first[0]):
        hint = "it looks like JSON over several lines; write one object a line (jq -c '.[]')"
    elif all("\t" in text for text in texts):
        hint = "it looks like TSV; write each row as an object (csv.DictReader, json.dumps)"
    elif all("," in text for text in texts):
        hint = "it looks like CSV; write each row as an object (csv.DictReader, json.dumps)"
    else:
        hint = "it looks like plain text"
    return (
        f"the input {name} has no JSON object on its first line, and one is wanted on each, such "
        f'as {{"sentence": "a great film"}}: {hint}. The line is {shown!r}'
    )
