"""The section on every rated text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from allennlp_saliency.interpret.explanation import JsonDict

from .page import share, table
from .rated import METHOD, Totals, Word
from .sentiment import TRAINED_ON

_LEAST = 30
_RAISING, _LOWERING = 15, 8
_MOST = 15
_HEAD = """\
## All rated texts, by one command

```text
allennlp interpret minilm-sentiment rated.csv --task text-classification \\
    --interpreter {method} --output rated
```

The classifier above on all {of:,} texts that people rated: tweets, and sentences of film reviews,
product reviews and the editorials of a newspaper (Hutto and Gilbert 2014). {trained:,} of the
tweets and reviews were trained on. Of the {clear:,} texts whose mean rating is clear (0.8 or more),
it gives {right:.1%} the label of the rating's sign. {done:,} texts were explained, with {tokens:,}
tokens; {failed} could not be. Integrated gradients from the zero baseline, 1 % asked for: the
convergence delta is {median:.2g} in the median and {largest:.2g} at most (log-likelihood, natural
logarithms, without its sign), and {unconverged} of the explanations did not get to 1 %; these say
so in a warning.{warned}

The tables have words, whose pieces' scores are added up. *score* is the mean over all places
where the word stands in a text of that predicted label: by how much it raises the
log-likelihood of the label. Only words that stand there at least {least} times."""


def section(summary: JsonDict, found: Totals) -> str:
    """The section as Markdown.

    Args:
        summary: The run's.
        found: What its explanations came to.
    """
    own = summary["interpreters"][METHOD]
    head = _HEAD.format(
        method=METHOD,
        trained=TRAINED_ON,
        clear=found.clear,
        of=summary["inputs"]["of"],
        done=summary["inputs"]["explained"],
        failed=summary["inputs"]["failed"] or "none",
        tokens=summary["tokens"],
        right=found.right / max(found.clear, 1),
        median=own["median_delta"],
        largest=own["largest_delta"],
        unconverged=share(own["not_converged"]) if own["not_converged"] else "none",
        warned=_warned(own["warnings"]),
        least=_LEAST,
    )
    labels = sorted(found.words)
    return "\n\n".join([head, *(_label(name, found) for name in labels)])


def _warned(warnings: Mapping[str, int]) -> str:
    if not warnings:
        return ""
    # A summary has "#" for numbers, which differ from text to text.
    said = {kind.replace("#", "…"): count for kind, count in warnings.items()}
    lines = [f"- {count:,} explanations: {kind}" for kind, count in said.items()]
    return "\n\nWarnings:\n\n" + "\n".join(lines)


def _label(name: str, found: Totals) -> str:
    words = found.words[name]
    often = [(text, word) for text, word in words.items() if word.count >= _LEAST]
    ranked = sorted(often, key=lambda one: (-one[1].mean, one[0]))
    total = sum(word.absolute for word in words.values()) or 1.0
    most = sorted(words.items(), key=lambda one: (-one[1].absolute, one[0]))[:_MOST]
    shares = ", ".join(f"{_code(text)} {word.absolute / total:.1%}" for text, word in most)
    return "\n\n".join(
        [
            f"### Predicted {name} ({found.explained[name]:,} texts)",
            f"The most attributed in all, as shares of Σ|score|: {shares}.",
            _table("raises", ranked[:_RAISING]),
            _table("lowers", [one for one in ranked[::-1][:_LOWERING] if one[1].mean < 0]),
        ]
    )


def _table(head: str, words: Iterable[tuple[str, Word]]) -> str:
    rows = [[_code(text), f"{word.mean:+.3f}", f"{word.count:,}"] for text, word in words]
    return table([head, "score", "places"], rows)


def _code(text: str) -> str:
    # A bar would end the cell.
    return "`" + text.replace("|", "¦").replace("`", "'") + "`"
