"""`allennlp render`: a file of explanations as a page, as pictures, as LaTeX or in the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allennlp.commands.subcommand import Subcommand

if TYPE_CHECKING:
    from allennlp_saliency.jobs import RunFolder
    from allennlp_saliency.views.html import Case
    from allennlp_saliency.views.lines import Line

EXAMPLE = "allennlp render out.jsonl --html report.html --figure pictures --format svg"
MODULE = "python -m allennlp_saliency.commands.render"
_FORMATS = ("png", "svg", "pdf")


@Subcommand.register("render")
class Render(Subcommand):
    """Shows a file of explanations."""

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        subparser: argparse.ArgumentParser = parser.add_parser(
            self.name,
            description=DESCRIPTION,
            epilog=f"example: {EXAMPLE}",
            help="Show a file of explanations: as a page, pictures, LaTeX or in the terminal.",
        )
        return with_arguments(subparser)


DESCRIPTION = (
    "Show the explanations of a file of JSON lines, as `allennlp predict … --predictor saliency` "
    "writes them, or of a folder that `allennlp interpret` has written. Several views may be asked "
    "for at once; without any it is the terminal."
)


def with_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Adds what the command takes to a parser."""
    parser.add_argument(
        "file", help="the file of JSON lines, or the folder of a run of `allennlp interpret`"
    )
    parser.add_argument("--html", metavar="FILE", help="one page with all of them, to send")
    parser.add_argument("--figure", metavar="FOLDER", help="a picture for each line")
    parser.add_argument(
        "--format", choices=_FORMATS, default="png", help="of pictures (default: png)"
    )
    parser.add_argument("--latex", metavar="FILE", help="text in colours, for a paper")
    parser.add_argument("--terminal", action="store_true", help="heat maps in the terminal")
    parser.add_argument("--words", action="store_true", help="add up the scores of a word's tokens")
    parser.add_argument(
        "--gold", metavar="KEY", help="what `--keep KEY` kept is the right label (of --html)"
    )
    parser.add_argument("--limit", type=_positive, help="so many lines only")
    parser.set_defaults(func=run)
    return parser


def run(options: argparse.Namespace) -> None:
    """Renders; a line that cannot be read is told on the standard error, and passed over.

    Raises:
        SystemExit: With a message and status 1 if nothing can be read or written; with status 1 if
            a line could not be read.
    """
    views = [
        (options.terminal or not (options.html or options.figure or options.latex), _terminal),
        (options.html, _html),
        (options.figure, _figures),
        (options.latex, _latex),
    ]
    if options.gold is not None and not options.html:
        raise SystemExit("allennlp render: error: --gold is of the page: add --html FILE")
    source = _Source(options)
    try:
        for wanted, write in views:
            if wanted:
                write(source, options)
    except (OSError, ModuleNotFoundError) as error:
        raise SystemExit(f"allennlp render: error: {error}") from error
    if source.broken:
        sys.exit(1)


class _Source:
    """The lines of the file, from the beginning for each view."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._path = Path(options.file)
        self._limit: int | None = options.limit
        self.name = self._path.name
        self.broken: set[str] = set()

    def lines(self, unit: str) -> Iterator[Line]:
        """The lines; a progress bar tells how far it is, where it takes long."""
        from tqdm import tqdm

        from allennlp_saliency.views.lines import read_lines

        total = self._count()
        if not total:
            raise SystemExit(f"allennlp render: error: {self._path} has no lines")
        read = self._of_run() if self._path.is_dir() else read_lines(self._path, self._tell)
        found = islice(read, self._limit)
        # On a terminal alone, and not before it takes two seconds.
        bar = tqdm(found, total=total, unit=unit, delay=2, disable=None, leave=False)
        seen = 0
        for seen, line in enumerate(bar, start=1):  # noqa: B007
            yield line
        if not seen:
            raise SystemExit(1)

    def _of_run(self) -> Iterator[Line]:
        """The rows of a run, whatever format they were written in, and its errors."""
        from allennlp_saliency.views.lines import LineError, line_of

        rows = enumerate(_rows(self._path), start=1)
        for number, row in rows:
            try:
                line = line_of(row, number, f"{self._path}, row {number}")
            except LineError as error:
                self._tell(error)
                continue
            yield line

    def _count(self) -> int:
        if self._path.is_dir():
            run = _run(self._path)
            rows = run.count_rows() + sum(1 for _ in run.errors())
            return rows if self._limit is None else min(rows, self._limit)
        with self._path.open("rb") as file:
            return sum(1 for line in islice(file, self._limit) if line.strip())

    def _tell(self, error: Exception) -> None:
        if str(error) not in self.broken:
            self.broken.add(str(error))
            print(f"allennlp render: {error}", file=sys.stderr)


def _run(path: Path) -> RunFolder:
    from allennlp_saliency.jobs import JobError, RunFolder

    try:
        return RunFolder(path)
    except JobError as error:
        raise SystemExit(f"allennlp render: error: {error}") from error


def _rows(path: Path) -> Iterator[Any]:
    """The rows of a run, and the inputs that could not be explained.

    Raises:
        SystemExit: If a file of them is damaged, or what it is packed with is not installed.
    """
    try:
        run = _run(path)
        yield from run.rows()
        yield from run.errors()
    except Exception as error:  # of json, zstandard or pyarrow
        raise SystemExit(f"allennlp render: error: {path} cannot be read: {error}") from error


def _terminal(source: _Source, options: argparse.Namespace) -> None:
    from rich.console import Console

    from allennlp_saliency.views import render_line

    console = Console()
    for line in source.lines("line"):
        if line.number > 1:
            console.print()
        content = line.content
        if "interpreter" in content and "inputs" in content:
            content = {"instance_1": {"explanation": content}}
        render_line(content, console, title=f"line {line.number}", words=options.words)


def _html(source: _Source, options: argparse.Namespace) -> None:
    from allennlp_saliency.views.html import cases_of, report

    # A run has a row for each input and method, and the page a card for each input.
    cases = cases_of((line.content for line in source.lines("line")), options.gold)
    if options.gold is not None and all(case.gold is None for case in cases):
        raise SystemExit(
            f"allennlp render: error: no row keeps {options.gold!r}: explain again with "
            f"`allennlp interpret … --keep {options.gold}`"
        )
    if options.gold is not None:
        _tell_of_other_names(cases, options.gold)
    report(cases, options.html, title=source.name)
    _written(len(cases), "input", options.html)


def _tell_of_other_names(cases: Sequence[Case], key: str) -> None:
    """Says where no right label is one that the model predicts: it may be the number of one."""
    right = {case.gold for case in cases if case.gold is not None}
    predicted = {str(case.prediction["label"]) for case in cases if "label" in case.prediction}
    if predicted and not right & predicted:
        one, other = (f"{len(own)}, such as {min(own)!r}" for own in (right, predicted))
        print(
            f"allennlp render: no {key!r} ({one}) is a label that the model predicts ({other}), so "
            "every prediction is shown as wrong: keep labels by the model's names",
            file=sys.stderr,
        )


def _figures(source: _Source, options: argparse.Namespace) -> None:
    from allennlp_saliency.views.figure import save_figures

    pictures = save_figures(
        source.lines("picture"), options.figure, format=options.format, words=options.words
    )
    _written(sum(1 for _ in pictures), "picture", options.figure)


def _latex(source: _Source, options: argparse.Namespace) -> None:
    from allennlp_saliency.views.figure import save_latex

    inputs = (line.explanations for line in source.lines("line") if line.explanations)
    _written(save_latex(inputs, options.latex, words=options.words), "input", options.latex)


def _written(count: int, what: str, path: str) -> None:
    print(f"{path}: {count:,} {what}{'' if count == 1 else 's'}", file=sys.stderr)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m allennlp_saliency.commands.render`."""
    parser = argparse.ArgumentParser(
        prog=MODULE,
        description=DESCRIPTION,
        epilog=f"example: {EXAMPLE.replace('allennlp render', MODULE, 1)}",
    )
    options = with_arguments(parser).parse_args(arguments)
    function: Callable[[argparse.Namespace], None] = options.func
    function(options)
