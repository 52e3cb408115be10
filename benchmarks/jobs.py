"""`python -m benchmarks.jobs`: jobs over data sets against the least that they can cost.

Seconds are of the processor, with one thread, so that they mean something on a machine that is busy
with other things.

1. BERT-base size with random weights, texts of 5 to 62 wordpieces, `gradient`: a part of a job, its
   rows as JSON lines, against the model's work alone: each text predicted, alone as a job does of
   so few and in batches; and a forward and a backward pass through the batches that the job makes.
2. `fixtures/sentiment`, texts of 3 to 60 words, `gradient`: whole jobs of several sizes.
3. The memory of the process after each part of the largest of them.
4. Two interpreters in one pass against two passes.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

import allennlp_saliency.plugin  # noqa: F401
from allennlp_saliency.interpret.space.packing import TokenBudget
from allennlp_saliency.jobs import Job, RunFolder
from allennlp_saliency.jobs.models import model_identity
from allennlp_saliency.jobs.parts.explainer import Explainer
from allennlp_saliency.jobs.run_folder.config import config_of
from allennlp_saliency.jobs.run_folder.formats import to_lines
from allennlp_saliency.jobs.sources import Item
from allennlp_saliency.jobs.worker import JobWorker, opened
from allennlp_saliency.jobs.writer import Writer

from .plain.classifier import Classifier
from .workloads import CLASSIFIER, Texts, fixture_texts, predictor, sentences

GRADIENT: dict[str, Any] = {"type": "gradient"}
PATH: dict[str, Any] = {"type": "integrated-gradients", "steps": 16}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints tables.

    Args:
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--model", default=CLASSIFIER, help=f"default: {CLASSIFIER!r}")
    parser.add_argument("--inputs", type=int, default=24, help="of that model; default: 24")
    parser.add_argument("--rounds", type=int, default=2, help="the least of so many; default: 2")
    parser.add_argument("--jobs", type=int, nargs="*", default=[500, 1000, 2000])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    against_bound(options.model, options.inputs, options.rounds)
    growth(options.jobs)
    shared(min(options.jobs, default=200))


def against_bound(model: str, count: int, rounds: int) -> None:
    """A part of a job against the model's work.

    Args:
        model: The name of a size of transformers' BERT.
        count: Inputs.
        rounds: How often each is measured; the least counts.
    """
    draw = random.Random(0)
    texts = sentences([draw.randint(5, 62) for _ in range(count)])
    explained = predictor(model, "cpu")
    plain = Classifier.of(explained)
    ids = plain.ids(texts)
    explainer = Explainer(explained, [GRADIENT])
    explainer.part(items(texts[:2]))
    groups = TokenBudget().groups([len(one) for one in ids], 1)
    batches = [[ids[number] for number in group] for group in groups]
    work: dict[str, Callable[[], Any]] = {
        "a part of a job": lambda: to_lines(explainer.part(items(texts)).rows),
        "predictions, each alone": lambda: plain.labels(ids),
        "predictions in batches": lambda: [predicted(plain, one) for one in batches],
        "gradients": lambda: [differentiated(plain, one) for one in batches],
    }
    least = dict.fromkeys(work, float("inf"))
    for _ in range(rounds):
        for name, do in work.items():
            least[name] = min(least[name], seconds(do))
    job, alone, together, gradients = least.values()
    print(f"\n{model}, {count} inputs, {len(batches)} batches, `gradient`\n")
    print("| | s of a processor |\n| --- | --- |")
    for name, took in least.items():
        print(f"| {name} | {took:.2f} |")
    print(f"\nthroughput: {(alone + gradients) / job:.2f} of the bound, ", end="")
    print(f"{(together + gradients) / job:.2f} of the one with predictions in batches", flush=True)


def predicted(plain: Classifier, batch: list[torch.Tensor]) -> torch.Tensor:
    """The labels of a batch."""
    padded, mask = together(batch)
    with torch.no_grad():
        return plain.log_probabilities(mask, input_ids=padded).argmax(-1)


def differentiated(plain: Classifier, batch: list[torch.Tensor]) -> torch.Tensor:
    """The gradients of a batch's first label at its embeddings."""
    padded, mask = together(batch)
    leaf = plain.word_embeddings(padded).detach().requires_grad_()
    values = plain.log_probabilities(mask, inputs_embeds=leaf)[:, 0]
    return torch.autograd.grad(values.sum(), leaf)[0]


def together(batch: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Wordpieces of one batch, padded, and where they are."""
    padded = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
    lengths = torch.tensor([len(one) for one in batch])
    return padded, (torch.arange(padded.shape[1]) < lengths[:, None]).long()


def growth(counts: Sequence[int]) -> None:
    """Jobs of several sizes, and the memory of the last.

    Args:
        counts: Inputs of each.
    """
    explained = predictor("sentiment", "cpu")
    resident: list[int] = []
    print("\nsentiment, `gradient`, 256 inputs a part\n")
    print("| inputs | s of a processor | ms an input |\n| --- | --- | --- |")
    for count in counts:
        start = time.process_time()
        resident = list(after_each_part(explained, words(count)))
        took = time.process_time() - start
        print(f"| {count:,} | {took:.1f} | {1000 * took / count:.2f} |", flush=True)
    if resident:
        first = resident[len(resident) // 10]
        print(f"\nmemory after each part, MB: {', '.join(str(one >> 20) for one in resident)}")
        print(f"after the first tenth {max(resident) / first - 1:+.1%} at most", flush=True)


def after_each_part(explained: Any, texts: Texts) -> Iterator[int]:
    """Does a job into a temporary folder, as `run_job` does, and yields the memory of the process
    after each part, in bytes."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "run"
        job = Job(explained, list(texts), [GRADIENT], str(path), part_size=256)
        what = opened(job)
        config = config_of(job, model_identity(job, explained), what.source)
        folder, _ = RunFolder.make(path, config, False, alone=True)
        worker = JobWorker(job, what)
        with Writer(folder) as writer:
            for number in range(folder.parts):
                writer.put(number, worker.part(number))
                yield resident_bytes()
        folder.finish()


def resident_bytes() -> int:
    """The memory that this process has now (Linux)."""
    status = Path("/proc/self/status").read_text()
    (line,) = [one for one in status.splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def shared(count: int) -> None:
    """Two interpreters in one pass, and each alone.

    Args:
        count: Inputs.
    """
    explained = predictor("sentiment", "cpu")
    given = items(words(count))
    print(f"\nsentiment, {count} inputs\n\n| interpreters | s of a processor |\n| --- | --- |")
    took = {}
    for methods in ([GRADIENT], [PATH], [GRADIENT, PATH]):
        name = " and ".join(one["type"] for one in methods)
        explainer = Explainer(explained, methods)
        took[name] = seconds(partial(explainer.part, given))
        print(f"| {name} | {took[name]:.2f} |")
    first, second, both = took.values()
    print(f"\nboth in one pass take {both / (first + second):.2f} of two passes", flush=True)


def words(count: int) -> Texts:
    """Texts of 3 to 60 words of the fixture."""
    known = sorted(
        {word for one in fixture_texts("sentiment", 100) for word in one["sentence"].split()}
    )
    draw = random.Random(0)
    lengths = [draw.randint(3, 60) for _ in range(count)]
    return tuple({"sentence": " ".join(draw.choices(known, k=length))} for length in lengths)


def items(texts: Texts) -> list[Item]:
    """Texts as the items of a source."""
    return [Item(number, number + 1, None, one, one) for number, one in enumerate(texts)]


def seconds(do: Callable[[], Any]) -> float:
    """Seconds of the processor."""
    start = time.process_time()
    do()
    return time.process_time() - start


if __name__ == "__main__":
    main()
