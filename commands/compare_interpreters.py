"""`allennlp compare-interpreters ARCHIVE INPUT`: which explanation to believe, with intervals."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allennlp.commands.subcommand import Subcommand
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.commands.comparison_figures import save_comparison_figures
from allennlp_saliency.interpret.faithfulness import Comparison, compare
from allennlp_saliency.interpret.faithfulness.comparing import DEFAULT_METRICS

if TYPE_CHECKING:
    from allennlp.predictors import Predictor

EXAMPLE = (
    "allennlp compare-interpreters model.tar.gz inputs.jsonl "
    "--interpreters integrated-gradients,leave-one-out --output comparison"
)

_DESCRIPTION = (
    "Compare interpreters on the same inputs: metrics with 95 % intervals, and in words which are "
    "best, which cannot be distinguished from them, and which are no better than chance "
    "('random' always takes part); agreement, and cost. What fails on the first inputs is left out "
    "before the work begins."
)
_TABLES = (".csv", ".tsv", ".parquet")
_SHOWN = 8


@Subcommand.register("compare-interpreters")
class CompareInterpreters(Subcommand):
    """Compares interpreters by metrics of faithfulness on a file of inputs."""

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        subparser: argparse.ArgumentParser = parser.add_parser(
            self.name,
            description=_DESCRIPTION,
            epilog=f"example: {EXAMPLE}",
            help="Compare interpreters by metrics of faithfulness.",
        )
        subparser.add_argument("archive", help="an archive, a Hugging Face folder or a hub id")
        subparser.add_argument(
            "inputs",
            help="a file of JSON lines, as `allennlp predict` takes it, or a table (CSV, TSV, "
            "Parquet)",
        )
        subparser.add_argument(
            "--interpreters",
            required=True,
            type=_several,
            help="names with commas between them, or a JSON list of names and params",
        )
        subparser.add_argument(
            "--metrics",
            type=_several,
            default=list(DEFAULT_METRICS),
            help=f"likewise; by default {','.join(DEFAULT_METRICS)}",
        )
        subparser.add_argument(
            "--removal",
            action="append",
            type=_one,
            help="how units are removed: 'delete', or a baseline that takes their place; give it "
            "twice or more (default: mask and mean)",
        )
        subparser.add_argument(
            "--rationales", help="JSON lines with the known reasons: spans by field"
        )
        subparser.add_argument(
            "--target",
            type=_one,
            default="probability",
            help="the number that metrics look at (default: probability)",
        )
        subparser.add_argument(
            "--output",
            help="a folder for tables, figures and what was measured; the same command again goes "
            "on there",
        )
        subparser.add_argument(
            "--task", help="what a Hugging Face model is for, where its config does not say"
        )
        subparser.add_argument("--predictor", help="the predictor's registered name")
        subparser.add_argument("--overrides", "-o", default="", help="overrides of the config")
        subparser.add_argument("--cuda-device", type=int, default=-1, help="-1 for the CPU")
        subparser.add_argument("--limit", type=int, help="so many inputs only")
        subparser.add_argument("--seed", type=int, default=0)
        subparser.set_defaults(func=run)
        return subparser


def run(options: argparse.Namespace) -> None:
    """Compares, prints the tables and writes them to the folder.

    Raises:
        SystemExit: With a message and status 1 if a file cannot be read, a name or a setting fits
            nothing that there is, or no method fits the model; with status 1 if an input could not
            be compared, or something that was asked for was left out.
    """
    try:
        found = _compared(options)
    except (ConfigurationError, OSError) as error:
        raise SystemExit(f"allennlp compare-interpreters: error: {error}") from error
    show(found)
    if options.output:
        folder = Path(options.output)
        (folder / "table.md").write_text(found.to_markdown(), encoding="utf-8")
        for name, rows in (
            ("table.jsonl", found.rows()),
            ("conclusions.jsonl", found.conclusion_rows()),
        ):
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / name).write_text(lines, encoding="utf-8")
        try:
            save_comparison_figures(found, folder)
        except ImportError as error:
            print(f"there are no figures: {error}", file=sys.stderr)
    for line in _errors(found):
        print(line, file=sys.stderr)
    # The default removals are a proposal: one that the model has no use for is no error.
    asked = [name for name in found.left_out if options.removal or not name.startswith("removal ")]
    if found.errors or asked:
        sys.exit(1)


def _errors(comparison: Comparison) -> Iterator[str]:
    """A line for each message, with the inputs that it is about."""
    by_message: dict[str, list[int]] = {}
    for record in comparison.errors:
        by_message.setdefault(record["error"], []).append(record["input"] + 1)
    for message, numbers in by_message.items():
        yield f"{_inputs(numbers)}: {message}"


def _inputs(numbers: Sequence[int]) -> str:
    """`input 3`, `inputs 1, 2`, `inputs 1, 2, 3, 4 and 96 more`."""
    if len(numbers) == 1:
        return f"input {numbers[0]}"
    more = f" and {len(numbers) - _SHOWN:,} more" if len(numbers) > _SHOWN else ""
    return f"inputs {', '.join(map(str, numbers[:_SHOWN]))}{more}"


def _compared(options: argparse.Namespace) -> Comparison:
    # The tables are the output; AllenNLP logs each parameter of each interpreter.
    logging.getLogger("allennlp").setLevel(logging.WARNING)
    predictor = None
    if Path(options.inputs).suffix.lower() in _TABLES:
        predictor = _predictor(options)
        inputs = _rows(options.inputs, options.limit, predictor)
    else:
        inputs = _lines(options.inputs, options.limit)
    rationales = _lines(options.rationales, options.limit) if options.rationales else ()
    return compare(
        predictor or _predictor(options),
        inputs,
        options.interpreters,
        options.metrics,
        options.removal or ("mask", "mean"),
        rationales=rationales,
        output=options.output,
        target=options.target,
        seed=options.seed,
    )


def _predictor(options: argparse.Namespace) -> Predictor:
    from allennlp.models.archival import load_archive
    from allennlp.predictors import Predictor

    from allennlp_saliency.jobs.models import is_archive, load

    if not is_archive(options.archive):
        return load(_Named.of(options))
    archive = load_archive(
        options.archive, cuda_device=options.cuda_device, overrides=options.overrides
    )
    return Predictor.from_archive(archive, options.predictor)


@dataclass(frozen=True)
class _Named:
    """A Hugging Face model as it is named on the command line."""

    model: str
    task: str | None
    predictor: str | None
    overrides: str
    cuda_device: int
    dtype: str | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> _Named:
        """What the options say."""
        names = (options.task, options.predictor, options.overrides, options.cuda_device)
        return cls(options.archive, *names)


def show(comparison: Comparison) -> None:
    """Prints the tables."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if console.is_terminal:
        console.print(Markdown(comparison.to_markdown()))
    else:
        print(comparison.to_markdown(), end="")


def _rows(path: str, limit: int | None, predictor: Predictor) -> list[Any]:
    """The inputs of a table, as `allennlp interpret` reads it."""
    from allennlp_saliency.jobs import open_source

    source = open_source(path, predictor=predictor)
    count = source.count()
    found = list(source.items(0, count if limit is None else min(limit, count)))
    if not found:
        raise ConfigurationError(f"{path} has no rows")
    for item in found:
        if item.problem is not None:
            raise ConfigurationError(f"{path}, line {item.line}: {item.problem}")
    return [item.given for item in found]


def _lines(path: str, limit: int | None) -> list[Any]:
    found: list[Any] = []
    with Path(path).open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if limit is not None and len(found) >= limit:
                break
            if not line.strip():
                continue
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise ConfigurationError(f"{path}, line {number} is no JSON: {error}") from error
    if not found:
        raise ConfigurationError(f"{path} has no lines")
    return found


def _several(text: str) -> list[Any]:
    """A JSON list, or names with commas between them."""
    if text.lstrip().startswith("["):
        try:
            found: list[Any] = json.loads(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"no JSON list: {error}") from error
        return found
    return [name.strip() for name in text.split(",") if name.strip()]


def _one(text: str) -> Any:
    """A JSON object, or a name."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no JSON object: {error}") from error
