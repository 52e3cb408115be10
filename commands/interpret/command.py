"""`allennlp interpret MODEL INPUT… --interpreter NAME --output RUN`: a whole data set explained."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from allennlp.commands.subcommand import Subcommand
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import JsonDict

COMMAND = "allennlp interpret"
MODULE = "python -m allennlp_saliency.commands.interpret"
EXAMPLE = (
    f"{COMMAND} model.tar.gz inputs.jsonl --interpreter integrated-gradients "
    """--params '{"tolerance": 0.01}' --output run"""
)
DESCRIPTION = (
    "Explain a whole data set into a folder. The same command again goes on where it was. Exit "
    "status: 0 if all inputs were explained, 3 if some could not be (errors.jsonl says which and "
    "why), 1 if the job could not run or go on, 130 and 143 after a signal."
)
FAILED_INPUTS = 3


@Subcommand.register("interpret")
class Interpret(Subcommand):
    """Explains a whole data set into a folder."""

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        subparser: argparse.ArgumentParser = parser.add_parser(
            self.name,
            description=DESCRIPTION,
            epilog=f"example: {EXAMPLE}",
            help="Explain a whole data set into a folder that goes on where it was.",
            argument_default=argparse.SUPPRESS,
        )
        return with_arguments(subparser)


def with_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Adds what the command takes to a parser that leaves out what is not given."""
    add = parser.add_argument
    add("model", metavar="MODEL", nargs="?", help="an archive, a Hugging Face folder or a hub id")
    add(
        "inputs",
        metavar="INPUT",
        nargs="*",
        help="files of JSON lines, CSV, TSV or Parquet, a folder of datasets, or - for JSON lines "
        "on the standard input; several are read one after another",
    )
    add(
        "--interpreter",
        dest="interpreters",
        action=_Interpreter,
        metavar="NAME",
        help="a registered name; give it several times to explain by several",
    )
    add(
        "--params",
        action=_Params,
        metavar="JSON",
        help="the parameters of the interpreter that is named before it",
    )
    add("--output", metavar="RUN", help="the folder of the run")
    add("--config", metavar="FILE.yaml", help="a file of the same settings; arguments win")
    _add_model(parser)
    _add_inputs(parser)
    _add_run(parser)
    parser.set_defaults(func=run)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("model").add_argument
    add("--task", help="what a Hugging Face model is for, where its config does not say")
    add("--predictor", help="the registered name of an archive's predictor")
    add("--overrides", "-o", help="overrides of the archive's config")
    add("--target", type=_json_or_name, help="the number to explain: a name, or JSON")
    add("--cuda-device", type=int, help="-1 for the CPU (default)")
    add("--dtype", help="the floating type of the weights, such as bfloat16")


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("inputs").add_argument
    add("--format", help="what the inputs are, where their names do not say; 'instances' for the "
        "archive's dataset reader")  # fmt: skip
    add(
        "--columns",
        action=_Columns,
        metavar="KEY=COLUMN",
        help="the column of a table that a key of the predictor is read from; several with commas",
    )
    add("--id-key", help="the key or column of the inputs' ids (default: id, where there is one)")
    add(
        "--keep",
        metavar="KEY",
        help="keys or columns that rows keep beside the scores, such as gold labels; several with "
        "commas",
    )
    add("--limit", type=int, help="so many inputs only")
    add("--ids", metavar="FILE", help="these inputs only: ids, or numbers of lines, one a line")
    add("--max-tokens", type=int, help="an input of more tokens is an error")


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("run").add_argument
    add("--part-size", type=int, help="inputs in a part, the unit that is redone (default: 512)")
    add("--output-format", help="jsonl (default), jsonl.zst or parquet")
    add("--overwrite", action="store_true", help="remove the run that is in the folder")
    add("--retry-errors", action="store_true", help="do the parts with errors again")
    add("--shard", metavar="I/N", help="the parts I, I + N, I + 2N, … only; I from 0 on")
    add("--batch-tokens", type=_number_or_auto, metavar="N|auto", help="padded tokens in a batch")
    add("--engine", help="local (default) or ray")
    add("--address", help="the address of the Ray cluster")
    add("--workers", type=int, help="how many workers Ray starts")
    add("--silent", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> None:
    """Runs the job.

    Raises:
        SystemExit: With a message and status 1 if it cannot run or go on; with 3 if inputs could
            not be explained, 130 after Ctrl-C, 143 after SIGTERM.
    """
    from allennlp_saliency.jobs import Job, JobError, read_yaml, run_job
    from allennlp_saliency.jobs.progress import printable
    from allennlp_saliency.predictors.command_line import (
        INTERRUPTED,
        TERMINATED,
        Terminated,
        terminating,
    )

    # The command prints the progress; AllenNLP would log each parameter of each interpreter.
    logging.getLogger("allennlp").setLevel(logging.WARNING)
    try:
        given = _settings(options)
        silent = bool(given.pop("silent", False))
        config = given.pop("config", None)
        job = Job.from_dict({**(read_yaml(config) if config else {}), **given})
        with terminating():
            summary = run_job(job, COMMAND, silent)
    except KeyboardInterrupt as stop:
        terminated = isinstance(stop, Terminated)
        how = "terminated" if terminated else "interrupted"
        again = " without --overwrite" if getattr(options, "overwrite", False) else ""
        _say(
            f"{how}; parts that are complete are kept, and the same command{again} goes on there "
            "(the smaller --part-size is, the less is done again)"
        )
        raise SystemExit(TERMINATED if terminated else INTERRUPTED) from None
    except (ConfigurationError, InterpretationError, JobError, OSError) as error:
        raise SystemExit(printable(f"{COMMAND}: error: {error}")) from error
    if not silent:
        _tell(summary, str(job.output))
    if summary["inputs"]["failed"]:
        sys.exit(FAILED_INPUTS)


def _settings(options: argparse.Namespace) -> JsonDict:
    """The settings that were given, by name."""
    from dataclasses import fields

    from allennlp_saliency.jobs import Job

    known = {one.name for one in fields(Job)} | {"config", "silent"}
    given = {name: value for name, value in vars(options).items() if name in known}
    if not given.get("inputs"):  # with nargs "*" an empty list stands for none
        given.pop("inputs", None)
    return {name: value for name, value in given.items() if value is not None}


def _tell(summary: JsonDict, folder: str) -> None:
    inputs, parts = summary["inputs"], summary["parts"]
    rate = summary["timing"]["tokens_per_second"]
    speed = "" if rate is None else f", {rate:,.0f} tokens/s"
    _say(f"{folder}: {inputs['explained']:,} of {inputs['of']:,} inputs explained{speed}")
    if not summary["complete"]:
        missing = parts["of"] - parts["complete"]
        _say(f"{missing:,} of {parts['of']:,} parts are other shards', and not complete yet")
    if inputs["failed"]:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary["errors"].items())
        _say(f"{inputs['failed']:,} could not be explained ({kinds}): see {folder}/errors.jsonl")
    for name, one in summary["interpreters"].items():
        _say(f"{name}: {_in_words(one)}")
    _say(f"more in {folder}/summary.json; to look at it: allennlp render {folder} --html page.html")


def _in_words(one: JsonDict) -> str:
    """`300 explanations, convergence delta 5.8e-05 (median), 0.018 (largest), 2 with warnings`."""
    told = [f"{one['explanations']:,} explanation{'' if one['explanations'] == 1 else 's'}"]
    if one["median_delta"] is not None:
        told.append(
            f"convergence delta {one['median_delta']:.2g} (median), {one['largest_delta']:.2g} "
            "(largest)"
        )
    if one["not_converged"]:
        told.append(f"{100 * one['not_converged']:.3g} % not converged")
    told += [f"{count:,} warned: {kind}" for kind, count in one["warnings"].items()]
    return ", ".join(told)


def _say(text: str) -> None:
    from allennlp_saliency.jobs.progress import say

    say(COMMAND, text)


class _Interpreter(argparse.Action):
    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        found = [*getattr(namespace, self.dest, []), {"type": values}]
        setattr(namespace, self.dest, found)


class _Params(argparse.Action):
    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        found = getattr(namespace, "interpreters", [])
        if not found:
            raise argparse.ArgumentError(self, "name the --interpreter before its --params")
        try:
            params = json.loads(values)
        except (ValueError, RecursionError) as error:
            raise argparse.ArgumentError(self, f"no JSON: {error}") from error
        if not isinstance(params, dict):
            raise argparse.ArgumentError(self, f'no JSON object such as {{"steps": 20}}: {values}')
        found[-1] = {**found[-1], **params}


class _Columns(argparse.Action):
    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        found = dict(getattr(namespace, self.dest, {}))
        for pair in values.split(","):
            key, equals, column = pair.partition("=")
            if not (key and equals and column):
                raise argparse.ArgumentError(self, f"no KEY=COLUMN: {pair!r}")
            found[key] = column
        setattr(namespace, self.dest, found)


def _json_or_name(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"no JSON object: {error}") from error


def _number_or_auto(text: str) -> int | str:
    return text if text == "auto" else int(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m allennlp_saliency.commands.interpret`."""
    parser = argparse.ArgumentParser(
        prog=MODULE,
        description=DESCRIPTION,
        epilog=f"example: {EXAMPLE.replace(COMMAND, MODULE, 1)}",
        argument_default=argparse.SUPPRESS,
    )
    options = with_arguments(parser).parse_args(arguments)
    function: Callable[[argparse.Namespace], None] = options.func
    function(options)
