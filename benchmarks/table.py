"""The results as JSON and as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_HEAD = """\
# Benchmarks

Written by `make benchmark`; change nothing here by hand.

Every contestant has a process of its own and the cores to itself; within a row they take turns,
round after round, after a warm-up. Seconds are medians, with the fastest and slowest round in
brackets. Memory is the peak during a run beyond what the process took once its model was loaded
({memory}).

- **ours**: `interpret_batch_json` on a list of JSON inputs; tokenising, predicting the label that
  is explained and the target at the baseline are included. *Ours, exact*: sequential integrated
  gradients as they are by default, where the integral is known to be a difference.
- **AllenNLP**: `saliency_interpret_from_json` of AllenNLP's own class, one input after the other,
  as it works; predicting the label is included.
- **captum**: `LayerIntegratedGradients` on the word embeddings, in its favour: wordpieces and
  labels are given, parameters need no gradient, no convergence delta is computed. All steps of an
  input share a batch, so nothing is padded; in the row on accuracy, the fastest of four batchings.
  `GradientShap` on the words' embeddings is given the same. Of generated text,
  `LLMGradientAttribution` over `LayerGradientXActivation` or `LayerIntegratedGradients`, given the
  prompt and the tokens after it.
- **lower bound**: plain torch, one forward and one backward pass to the embeddings for exactly the
  rows needed, all steps of inputs of equal length in a batch; no padding, no hooks, no gradients of
  parameters, wordpieces and labels given.
- **inseq**: `attribute` of a loaded model, called as a user calls it, with the text that is to be
  explained given; no progress bar, no step scores, no convergence delta, parameters need no
  gradient.
- **inseq's class**: its `SequentialIntegratedGradients` or `DiscretetizedIntegratedGradients`
  itself, in its favour: called on a function that computes the logits of the last position only,
  tokens given, parameters need no gradient, the graph of all words' neighbours built before the
  clock runs.
- **interpreto**: `explain` of its `Saliency` (times the input) or `IntegratedGradients`, with the
  text given; of logits, its default, without a softmax; parameters need no gradient.
- **bound with label**: the lower bound, and one forward pass before it that predicts the label.
  Of generated text the **lower bound** is one forward pass for all tokens, or for all steps of
  their path, and one backward pass for each token, one after the other.
- **plain loop**: plain torch, what a short script does: one forward and one backward pass for each
  generated token, its steps in one batch, the logits of the last position only, parameters need no
  gradient, tokens given. Where that would take minutes it explains every so-many-th token and the
  time is multiplied.
- Of methods that remove units, one unit a token: **captum**, `FeatureAblation`, `Lime` and
  `KernelShap` at their defaults, which run one masked copy in each pass, given wordpieces and
  labels; of many samples every so-many-th text, and the time is multiplied. **interpreto**,
  `Occlusion`, `Lime` and `KernelShap` with the label given. **SHAP**, its `partition` or
  `permutation` explainer over its masker of texts, with as many evaluations, on a function that
  runs a batch. **lower bound**: plain torch, one forward pass for the rows needed, none twice;
  rows of texts of equal length share a batch; wordpieces, labels and masks given, and nothing is
  made of the values.
- **context-cite**: `ContextCiter` at its defaults, with the parts of the context and the answer
  given, so that it neither splits nor writes text. On an accelerator it computes in half precision
  (`autocast` is in its code), all others in single precision.
- **whole texts**: as the lower bound, where every text without a part runs as a whole. Ours runs
  what stands before the part once.
- **one pass each**: plain torch, one forward and one backward pass for each token of a span;
  **lower bound** beside it: one for all.
- **ours** and **without lazy imports** in the rows on the start: the command in a process of its
  own, with and without the mends that import libraries when they are used. Seconds are those of the
  processor, in the process and in the system, so that a busy machine counts less.

The base model is a BERT of bert-base's size (12 layers, 768 wide, 30522 words) with random weights,
inside AllenNLP's `BasicClassifier`, or of methods that remove units
`BertForSequenceClassification`. The baseline is zero everywhere, as in AllenNLP's code, so that
all of a row compute the same scores; the last column says how far they are apart from ours at most.
It is empty where they do not: AllenNLP's simple gradient multiplies all gradients by the first
token's embedding, and noise is everybody's own.

The language model is a GPT-2 of the smallest published size (12 layers, 768 wide, 50257 words) with
random weights. What is explained is the log-probability of tokens that are given: of one after a
text for sequential and discretized integrated gradients, of 32 after a prompt in the last two of
its rows. The scores that are compared are those of the prompt's tokens. The baseline is a special
token that embeds as zero, and integrals are summed by the Gauss-Legendre rule, but for interpreto,
which has the trapezoid rule. How many rows share a batch is looked for before, for each peer that
lets one choose (4, 8 or all 16), on the first token after the prompt.

Of these the last column is empty for interpreto, which sums absolute values over the dimensions of
an embedding, and for captum's integrated gradients, whose path changes the prompt only and keeps
what was generated before the token (from that baseline ours are the same, as a test shows). inseq
counts both ends of a discretized path among its steps, so it is given one more. Neighbours among
the words are looked for once for a model, by ours of the words that a path comes to, by inseq of
all words; the notes say how long that took, outside the times.

In the row on accuracy everybody must bring the largest error of completeness of all inputs,
|F(x) - F(x') - Σ scores| / |F(x) - F(x')|, below 1 %. *Ours, tolerance* finds its steps while the
clock runs. The others get for nothing the first of 8, 16, 32 … steps that is enough, and captum
the better one of the Gauss-Legendre and the midpoint rule. AllenNLP's 10 steps are fixed in its
code; it is given the steps that its rule needs by answering its call of `numpy.linspace`, and where
that would take minutes it explains every so-many-th input and the time is multiplied, which is fair
as it takes one after the other.
"""


def write(results: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `RESULTS.json` and `RESULTS.md`.

    Args:
        results: What `__main__` put together.
        folder: Where to; made if it is missing.

    Returns:
        What was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_text = folder / "RESULTS.json", folder / "RESULTS.md"
    as_json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    as_text.write_text(markdown(results), encoding="utf-8")
    return [as_json, as_text]


def markdown(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    cuda = results["machine"]["device"] == "cuda"
    memory = "what torch allocates on the accelerator" if cuda else "resident set"
    parts = [_HEAD.format(memory=memory), _about(results), goals(results)]
    parts += [f"## {row['title']}\n\n{table(row)}\n" for row in results["rows"]]
    return "\n".join(parts)


def goals(results: dict[str, Any]) -> str:
    """The table of goals and whether they are met."""
    lines = ["## Goals\n", "| row | goal | measured | met |", "|---|---|---|---|"]
    for row in results["rows"]:
        for goal in row["goals"]:
            ratio = "–" if goal["ratio"] is None else f"{goal['ratio']:.2f}×"
            met = {True: "yes", False: "**no**", None: "–"}[goal["met"]]
            lines.append(f"| {row['title']} | {_wanted(goal)} | {ratio} | {met} |")
    return "\n".join(lines) + "\n"


def table(row: dict[str, Any]) -> str:
    """The table of one row."""
    first = row["entries"][0]["median_seconds"]
    lines = [
        "| | seconds | of ours | peak memory | notes | scores differ by |",
        "|---|---|---|---|---|---|",
    ]
    for entry in row["entries"]:
        notes = "; ".join(f"{name}: {_note(value)}" for name, value in entry["notes"].items())
        peak, apart = entry["peak_bytes"], entry["largest_difference_of_a_score"]
        seconds = entry["median_seconds"]
        cells = [
            entry["name"],
            "–" if seconds is None else _seconds(entry["seconds"], seconds),
            "–" if seconds is None or first is None else f"{seconds / first:.2f}×",
            "–" if peak is None else f"{peak / 2**20:.0f} MiB",
            entry["failure"] or notes,
            "" if apart is None else f"{apart:.0e}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _about(results: dict[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, "
    where += f"{machine['memory_gib']} GiB, {machine['system']}"
    if "accelerator" in machine:
        where = f"{machine['accelerator']}; {where}"
    load = f"Load of the machine before: {machine['load_before']}."
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    quick = "**A quick run: fewer rounds and texts.** " if results["quick"] else ""
    titles = {row["name"]: row["title"] for row in results["rows"]}
    again = "".join(f"\n- {titles[name]}" for name in results.get("again", ()))
    again = again and f"\nMeasured again by themselves, after the others:\n{again}\n"
    clock = "Seconds are those of the processor, of all threads. "
    quick += clock if results.get("clock") == "processor" else ""
    return f"{quick}{results['date']}, {where}. {load} {packages}.\n{again}"


def _wanted(goal: dict[str, Any]) -> str:
    if goal["at_most"] is not None:
        return f"{goal['slower']} at most {goal['at_most']:g} times {goal['faster']}"
    if goal["at_least"] == 1:
        return f"{goal['faster']} not slower than {goal['slower']}"
    return f"{goal['faster']} at least {goal['at_least']:g} times as fast as {goal['slower']}"


def _seconds(all_seconds: list[float], seconds: float) -> str:
    if len(all_seconds) == 1:
        return f"{seconds:.3g} (once)"
    return f"{seconds:.3g} ({min(all_seconds):.3g}–{max(all_seconds):.3g})"


def _note(value: Any) -> str:
    return f"{value:.2%}" if isinstance(value, float) else str(value)
