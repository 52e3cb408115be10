"""Explanations as the data that the report's script draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.views.html import cases_of, page_data

from .errors import Refused

_MOST = 4


def drawn(found: JsonDict) -> JsonDict | None:
    """What the report shows of a result; None for one of an interpreter without explanations.

    Args:
        found: `prediction` and `instances`, as `work.interpreted` returns them.
    """
    instances = found["instances"]
    if any("explanation" not in one for one in instances):
        return None
    named = {f"instance_{number}": one for number, one in enumerate(instances, start=1)}
    return page_data(cases_of([{"prediction": found["prediction"], **named}]))


def drawn_together(lines: Sequence[Any]) -> JsonDict:
    """What the report shows of results that a client sends back, to be seen together.

    Args:
        lines: Lines of the output of `allennlp predict`, parsed.

    Raises:
        Refused: If they are none, are too many, or have attention, whose numbers may be in a file.
    """
    if len(lines) > _MOST:
        raise Refused(422, f"at most {_MOST} results are shown together")
    for line in lines:
        for one in line.values() if isinstance(line, dict) else ():
            explanation = one.get("explanation", one) if isinstance(one, dict) else {}
            if isinstance(explanation, dict) and explanation.get("matrices"):
                raise Refused(422, "leave out 'matrices': attention is not shown together")
        if not isinstance(line, dict) or line.get("matrices"):
            raise Refused(422, "a result is a line of the output, without 'matrices'")
    try:
        return page_data(cases_of(lines))
    except Exception as error:  # the client's own data may be anything
        raise Refused(422, f"not results: {type(error).__name__}") from error
