"""The console script `allennlp-saliency`: `enable`, `disable`, `doctor` and `archive`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from allennlp_saliency.commands import archive
from allennlp_saliency.version import VERSION

from . import environment
from .plugins import PLUGIN

_EXAMPLES = """\
examples:
  allennlp-saliency enable            make the plain `allennlp` command work in this environment
  allennlp-saliency enable --local    the same, with the plugin in ./.allennlp_plugins
  allennlp-saliency doctor            what is installed, mended and found; exits 1 where wrong
  allennlp-saliency disable           take back what `enable` wrote
  allennlp-saliency archive MODEL model.tar.gz    a Hugging Face model as an AllenNLP archive

then, from any folder:
  allennlp predict model.tar.gz inputs.jsonl --predictor saliency
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the console script; returns the exit status."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="allennlp-saliency",
        description="AllenNLP 2.10.1 on today's torch and transformers, with saliency maps.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, text in (
        ("enable", _enable, "make the plain `allennlp` command work, and name our plugin to it"),
        ("disable", _disable, "take back what `enable` wrote"),
        (
            "doctor",
            _doctor,
            "print versions, shims and plugin; exit 1 and say the way out if something is wrong",
        ),
        (
            "archive",
            None,
            "write an AllenNLP archive of a Hugging Face model, a folder or a hub id",
        ),
    ):
        command = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", epilog=_example(name)
        )
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        if run is None:
            archive.add_arguments(command)
            continue
        command.set_defaults(run=run)
        if run is _doctor:
            continue
        where = command.add_mutually_exclusive_group()
        where.add_argument(
            "--local",
            action="store_true",
            help="use the plugins file of this folder, ./.allennlp_plugins, instead of the user's, "
            "~/.allennlp/plugins",
        )
        where.add_argument(
            "--no-plugins-file",
            action="store_true",
            help="leave the plugins files alone: an enabled environment finds the plugin anyway",
        )
    return parser


def _example(name: str) -> str:
    lines = [line for line in _EXAMPLES.splitlines() if f" {name} " in f"{line} "]
    return "examples:\n" + "\n".join(lines)


def _enable(options: argparse.Namespace) -> int:
    changes = environment.write_pth, environment.add_plugin, ("wrote", "added"), "already there"
    failed = _change(options, *changes)
    if failed:
        return failed
    if not environment.pth_works():
        _say(
            f"Python does not read {environment.pth_file()} at its start. Install into a virtual "
            "environment, and start Python without -S."
        )
        return 1
    _say("The plain `allennlp` command works in this environment now.")
    return 0


def _disable(options: argparse.Namespace) -> int:
    changes = environment.remove_pth, environment.remove_plugin, ("removed",) * 2, "not there"
    return _change(options, *changes)


def _change(
    options: argparse.Namespace,
    pth: Callable[[], bool],
    plugin: Callable[[Path], bool],
    done: tuple[str, str],
    otherwise: str,
) -> int:
    """Change the `.pth` file and, unless the user wants it left alone, a plugins file."""
    try:
        _say(f"{done[0] if pth() else otherwise}: {environment.pth_file()}")
        if not options.no_plugins_file:
            file = (
                environment.local_plugins_file if options.local else environment.global_plugins_file
            )
            _say(f"{done[1] if plugin(file()) else otherwise}: {PLUGIN} in {file()}")
    except OSError as error:
        _say(
            f"{error.filename or ''}: {error.strerror}. Use a virtual environment of your own "
            "(`python -m venv .venv`), or run this as the user whose environment it is.",
        )
        return 1
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import examine

    wrong = []
    for section, findings in groupby(examine(), key=lambda finding: finding.section):
        _say(f"\n{section}", style="bold")
        for finding in findings:
            mark, style = ("ok", "green") if finding.ok else ("WRONG", "bold red")
            _say(f"  {mark:5} {finding.what:24} {finding.detail}", style=style, length=7)
            if not finding.ok:
                wrong.append(finding)
    if not wrong:
        _say("\nAll is well: the plain `allennlp` command works in this environment.")
        return 0
    _say("\nWhat to do:", style="bold")
    for advice in dict.fromkeys(finding.advice for finding in wrong):
        names = ", ".join(finding.what for finding in wrong if finding.advice == advice)
        _say(f"  {advice}    ({names})")
    return 1


def _say(line: str, style: str = "", length: int | None = None) -> None:
    """Print a line, its first `length` characters in a style where that can be seen."""
    from rich.console import Console
    from rich.text import Text

    text = Text(line)
    if style:
        text.stylize(style, 0, length)
    Console(file=sys.stdout, soft_wrap=True, highlight=False).print(text)
