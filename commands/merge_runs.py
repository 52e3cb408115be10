"""`allennlp merge-runs RUN… --output RUN`: the shards of a job as one run."""

from __future__ import annotations

import argparse

from allennlp.commands.subcommand import Subcommand
from allennlp.common.checks import ConfigurationError

COMMAND = "allennlp merge-runs"
EXAMPLE = f"{COMMAND} run-0 run-1 --output run"


@Subcommand.register("merge-runs")
class MergeRuns(Subcommand):
    """Puts the shards of a job into one folder."""

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        subparser: argparse.ArgumentParser = parser.add_parser(
            self.name,
            description=(
                "Put the parts of runs of one job, such as its shards on several machines, into "
                "one folder: the one that a run of the whole job would have written."
            ),
            epilog=f"example: {EXAMPLE}",
            help="Put the shards of `allennlp interpret` into one folder.",
        )
        subparser.add_argument("runs", metavar="RUN", nargs="+", help="the folders")
        subparser.add_argument("--output", required=True, metavar="RUN", help="the folder to make")
        subparser.set_defaults(func=run)
        return subparser


def run(options: argparse.Namespace) -> None:
    """Merges the runs.

    Raises:
        SystemExit: With a message and status 1 if they are no runs of one job, or lack parts.
    """
    from allennlp_saliency.jobs import JobError, merge_runs
    from allennlp_saliency.jobs.progress import printable, say

    try:
        summary = merge_runs(options.runs, options.output)
    except (ConfigurationError, JobError, OSError) as error:
        raise SystemExit(printable(f"{COMMAND}: error: {error}")) from error
    inputs = summary["inputs"]
    say(
        COMMAND,
        f"{options.output}: {inputs['explained']:,} of {inputs['of']:,} inputs explained, "
        f"{inputs['failed']:,} failed",
    )
