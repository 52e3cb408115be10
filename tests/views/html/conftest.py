"""Pages of reports, which may neither complain nor ask for anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.views.html import report

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens a report; afterwards nothing must have been complained about, or asked for."""
    complaints: list[str] = []
    asked: list[str] = []
    contexts = []

    def opened(shown: Iterable[Any], width: int = 1280, scheme: str = "light") -> Any:
        path = tmp_path / f"{len(contexts)}.html"
        report(shown, path)
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message) or dialog.dismiss())
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(tmp_path.as_uri())] == []


@pytest.fixture(scope="session")
def lines() -> dict[str, list[dict[str, Any]]]:
    """By fixture the parsed lines of two inputs by each of two methods."""
    from tests.views.html.fixture_lines import lines_of_fixtures

    return lines_of_fixtures()
