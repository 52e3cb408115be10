"""A conclusion in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from .conclusion import CHANCE, Conclusion
from .paired import Paired


def sentence(found: Conclusion, removals: Sequence[str] = ()) -> str:
    """The sentence that follows from a comparison by one metric.

    Args:
        found: The conclusion.
        removals: The removals that it holds for, as it stands; its own where none is given.
    """
    where = listed(removals or [found.removal])
    return f"On {counted(found.inputs)}, by {found.metric} ({where}): {body(found)}"


def body(found: Conclusion) -> str:
    """The same without the number of inputs, the metric and the removal: two are the same if these
    words are."""
    if found.best is None:
        clauses = ["nothing was measured" if not found.means else "there is only random"]
    elif not found.behind and not found.beyond:
        mean = shown(found.means[found.best])
        clauses = [f"only {found.best} has a number ({mean}), and nothing to be held against"]
    elif found.too_few:
        clauses = _too_few(found)
    else:
        clauses = [*_of_best(found), *_of_chance(found)]
    if found.means:
        few = [name for name in found.left_out if name not in found.unmeasured]
        for names, what in ((few, "numbers for too few of the inputs"), (found.unmeasured, "no number")):
            if names:
                verb = "has" if len(names) == 1 else "have"
                clauses.append(f"{listed(names)} {verb} {what}")
    return "; ".join(clauses) + "."


def shown(value: float) -> str:
    """A mean to three decimals, or to two figures where that is nothing."""
    return f"{value:.3f}" if abs(value) >= 0.01 or not value else f"{value:.2g}"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def counted(inputs: int) -> str:
    """`1 input`, `1,000 inputs`."""
    return f"{inputs:,} input{'' if inputs == 1 else 's'}"


def _too_few(found: Conclusion) -> list[str]:
    best = str(found.best)
    against = f" with {len(found.means)} methods" if len(found.means) > 2 else ""
    clauses = [
        f"nothing can be concluded: it takes at least {counted(found.fewest)} to tell anything "
        f"from chance{against}",
        f"{best} has the best mean ({shown(found.means[best])})",
    ]
    others = [*found.behind, *(one for one in found.beyond if one.method == best)]
    if found.inputs > 1:
        names = [(one.other if one.method == best else one.method, one) for one in others]
        told = [f"{one.needed:,} to tell it from {name}" for name, one in names if one.needed]
        if told:
            clauses.append(f"if the differences are as seen, it takes about {listed(told)}")
    else:
        clauses.append("one input does not say how many more it takes")
    return clauses


def _of_best(found: Conclusion) -> list[str]:
    mean = shown(found.means[str(found.best)])
    tied = [one for one in found.behind if one.other in found.tied]
    if not found.behind:
        return [f"{found.best} has {mean}"]
    if not found.worse:
        return [f"{found.best} has the best mean ({mean}), but {_tied(tied)}"]
    clauses = [f"{found.best} is best ({mean})"]
    if tied:
        clauses.append(_tied(tied))
    return [*clauses, f"{listed(found.worse)} {_are(found.worse)} worse"]


def _tied(tied: Sequence[Paired]) -> str:
    names = [one.other for one in tied]
    if all(one.low == one.high == 0 for one in tied):
        return f"{listed(names)} {'has' if len(names) == 1 else 'have'} the same on every input"
    needed = [one.needed for one in tied if one.needed]
    text = f"{listed(names)} cannot be told from it"
    if not needed:
        return text
    if len(needed) == len(tied) <= 3:
        return f"{text} (if the differences are as seen, it takes about {_inputs(needed)})"
    # Of many only the nearest: the others take more.
    return f"{text} (it takes about {counted(min(needed))} or more)"


def _inputs(needed: Sequence[int]) -> str:
    return f"{listed([f'{one:,}' for one in needed])} inputs"


def _of_chance(found: Conclusion) -> list[str]:
    if not found.beyond:
        return []
    methods = [one.method for one in found.beyond]
    lost = found.not_better_than_random
    worse = found.worse_than_random
    if not lost:
        if len(methods) == 1:
            return [f"it is better than {CHANCE}"]
        return [f"{'both' if len(methods) == 2 else 'all'} are better than {CHANCE}"]
    clauses = []
    if len(lost) == len(methods):
        it = "it is not" if len(methods) == 1 else "none is"
        clauses.append(f"{it} better than {CHANCE}")
    elif set(lost) - set(worse):
        own = [name for name in lost if name not in worse]
        clauses.append(f"{listed(own)} {_are(own)} not better than {CHANCE}")
    if worse:
        clauses.append(f"{listed(worse)} {_are(worse)} worse than {CHANCE}")
    return clauses


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
