"""One page that has everything in it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from allennlp_saliency.interpret.explanation import Explanation, JsonDict

from .cases import Case, Shown, cases_of
from .data import page_data
from .scripts import NAMES


def report(
    explanations: Shown | Iterable[Shown],
    path: str | PathLike[str] | None = None,
    *,
    title: str = "Explanations",
) -> str:
    """A page that shows explanations: one file, without any request to elsewhere.

    Explanations of one input, by several methods or of several outputs, are shown together. All
    that comes from inputs and models is data to the page, never markup.

    Args:
        explanations: Explanations; the explanations of each input, as `interpret_batch_json`
            returns them; or parsed lines of the output of `allennlp predict`. One alone will do.
        path: Where to write the page too, as UTF-8.
        title: The page's title.

    Returns:
        The page.

    Raises:
        ExplanationFormatError: If a line has an explanation that cannot be read.
        TypeError: If something else is given.
    """
    alone = isinstance(explanations, (Case, Explanation, Mapping))
    cases = cases_of([explanations] if alone else explanations)  # type: ignore[list-item,arg-type]
    page = render_page(page_data(cases), title)
    if path is not None:
        Path(path).write_text(page, encoding="utf-8")
    return page


def render_page(data: JsonDict, title: str) -> str:
    """The page for some data.

    Args:
        data: What `page_data` returns.
        title: The page's title.
    """
    # Imported here: it takes long, and only this needs it.
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(_asset("page.html"))
    css, code = style(), script()
    return template.render(
        title=title,
        style=css,
        style_hash=_hash(css),
        script=code,
        script_hash=_hash(code),
        data=json_for_html(data),
    )


def script() -> str:
    """The page's script: `allennlpSaliency.mount(element, data)` draws what `page_data` returns."""
    parts = "\n".join(_asset(f"scripts/{name}") for name in NAMES)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'


def style() -> str:
    """The page's style sheet."""
    return _asset("style.css")


def json_for_html(data: Any) -> str:
    """JSON that may stand in a script element: nothing in it ends one or begins a comment."""
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:  # A method's details, or a predictor's numbers, are not finite.
        return json_for_html(_finite(data))
    # Characters that HTML, or older JavaScript, reads as more than text; halves of a pair cannot
    # be written as UTF-8.
    for character in "<>&\u2028\u2029\x7f":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
