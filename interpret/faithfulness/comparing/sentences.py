"""A conclusion in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from .conclusion import CHANCE, Conclusion
from .paired import Paired

_TOLD = 3


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
        for names, what in (
            (few, "numbers for too few of the inputs"),
            (found.unmeasured, "no number"),
        ):
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
        told = [f"{one.needed:,} from {name}" for name, one in names if one.needed]
        if told:
            told[0] = told[0].replace(" from ", " inputs to tell it from ", 1)
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
    return f"{listed(names)} cannot be distinguished from it{_takes(tied)}"


def _takes(pairs: Sequence[Paired]) -> str:
    """About how many inputs would tell each pair apart; of many pairs only the nearest."""
    needed = [one.needed for one in pairs if one.needed]
    if not needed:
        return ""
    if len(needed) == len(pairs) <= _TOLD:
        as_seen = "the difference is" if len(pairs) == 1 else "the differences are"
        numbers = listed([f"{one:,}" for one in needed])
        return f" (if {as_seen} as seen, it takes about {numbers} inputs)"
    return f" (it takes about {min(needed):,} inputs or more)"


def _of_chance(found: Conclusion) -> list[str]:
    if not found.beyond:
        return []
    worse = found.worse_than_random
    lost = [name for name in found.not_better_than_random if name not in worse]
    all_ = [one.method for one in found.beyond]
    clauses = []
    if not lost and not worse:
        who = {1: "it is", 2: "both are"}.get(len(all_), "all are")
        clauses.append(f"{who} better than {CHANCE}")
    if lost:
        pairs = [one for one in found.beyond if one.method in lost]
        who = f"{listed(lost)} {_are(lost)} not"
        if lost == all_:
            who = "it is not" if len(all_) == 1 else "none is"
        # What is seen is the other way round: more inputs would not show it.
        hopeless = any((one.mean > 0) != found.higher_is_better for one in pairs)
        clauses.append(f"{who} shown to be better than {CHANCE}{'' if hopeless else _takes(pairs)}")
    if worse:
        clauses.append(f"{listed(worse)} {_are(worse)} worse than {CHANCE}")
    return clauses


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
