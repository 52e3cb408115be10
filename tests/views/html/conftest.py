"""Pages of reports, which may neither complain nor ask for anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.views.html import report

Open = Callable[..., Any]


def until(page: Any, condition: str, seconds: float = 30.0) -> None:
    """Waits until a condition in JavaScript holds.

    Playwright's own `wait_for_function` evaluates text in the page again and again, and a page
    whose content security policy forbids `eval` refuses all but the first time.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < end, f"not within {seconds} seconds: {condition}"
        page.wait_for_timeout(20)


@pytest.fixture(scope="session")
def context(browser: Any) -> Callable[[int, str], Any]:
    """A context per kind of screen; making one takes longer than opening a page."""

    @cache
    def made(width: int, scheme: str) -> Any:
        return browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )

    return made


@pytest.fixture
def open_page(context: Callable[[int, str], Any], tmp_path: Path) -> Iterator[Open]:
    """Opens a report; afterwards nothing must have been complained about, or asked for."""
    complaints: list[str] = []
    asked: list[str] = []
    pages = []

    def opened(shown: Iterable[Any], width: int = 1280, scheme: str = "light") -> Any:
        path = tmp_path / f"{len(pages)}.html"
        report(shown, path)
        page = context(width, scheme).new_page()
        pages.append(page)
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message) or dialog.dismiss())
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        # What is near the screen is drawn when the browser has told the page, within a frame.
        page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame("
            "() => setTimeout(done))))"
        )
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(tmp_path.as_uri())] == []


@pytest.fixture(scope="session")
def lines() -> dict[str, list[dict[str, Any]]]:
    """By fixture the parsed lines of two inputs by each of two methods."""
    from tests.views.html.fixture_lines import lines_of_fixtures

    return lines_of_fixtures()
