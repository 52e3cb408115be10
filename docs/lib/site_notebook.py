"""A notebook as a page of the site: its text is Markdown, so links are checked as elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any


class NotebookPage:
    """An executed notebook as Markdown, with its outputs put in when that has become HTML.

    Args:
        path: The notebook.
    """

    def __init__(self, path: Path) -> None:
        self._cells = json.loads(path.read_text(encoding="utf-8"))["cells"]

    def markdown(self) -> str:
        """The cells, with a mark where the outputs of each are."""
        return "\n\n".join(self._parts()) + "\n"

    def with_outputs(self, html: str) -> str:
        """The page with the outputs in the place of the marks."""

        def outputs(match: re.Match[str]) -> str:
            cell = self._cells[int(match[1])]
            return "".join(
                f'<div class="nb-output">{_output(one)}</div>' for one in cell["outputs"]
            )

        return re.sub(r"<p>outputs-of-cell-(\d+)</p>", outputs, html)

    def _parts(self) -> Iterator[str]:
        for number, cell in enumerate(self._cells):
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                yield source
            else:
                yield f"```python\n{source}\n```"
                if cell["outputs"]:
                    yield f"outputs-of-cell-{number}"


def _output(output: dict[str, Any]) -> str:
    """An output, HTML if there is any, as its notebook has it."""
    data = output.get("data", {})
    if "text/html" in data:
        return "".join(data["text/html"])
    text = "".join(output.get("text") or data.get("text/plain", ""))
    return f"<pre><code>{escape(text)}</code></pre>"
