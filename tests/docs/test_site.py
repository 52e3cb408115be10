"""The documentation as a site: built without a complaint, and read without any other host."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.views.html.conftest import until

pytest.importorskip("mkdocs", reason="`make docs-site` installs the extra `docs`")
pytest.importorskip("material", reason="`make docs-site` installs the extra `docs`")
pytest.importorskip("mkdocstrings", reason="`make docs-site` installs the extra `docs`")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCREENS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
MOST_READ = ("index.html", "tour.html", "how-to.html", "methods.html")
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    handler = functools.partial(Handler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens a page; afterwards nothing must have been complained about, or asked of others."""
    complaints: list[str] = []
    asked: list[tuple[str, str]] = []
    contexts = []

    def opened(url: str, width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append((url, request.url)))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [
        one
        for url, one in asked
        if not one.startswith(("data:", "blob:", re.match(r"\w+://[^/]*/", url)[0]))  # type: ignore[index]
    ] == []


def pages(site: Path) -> list[str]:
    """All pages but that of an error."""
    return sorted(str(one.relative_to(site)) for one in site.rglob("*.html") if one.stem != "404")


def test_every_page_of_the_docs_is_there(site: Path) -> None:
    found = pages(site)
    for path in (ROOT / "docs").glob("*.md"):
        assert f"{path.stem}.html" in found
    others = ("index", "tour", "contributing", "changelog", "security", "fixtures", "benchmarks")
    assert {f"{name}.html" for name in others} <= set(found)
    # Sources are not published as pages, nor left lying about.
    assert [one for one in site.rglob("*") if one.suffix in (".py", ".ipynb")] == []


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_every_page_opens_by_itself(
    site: Path, address: str, open_page: Open, width: int, scheme: str
) -> None:
    page = open_page(address, width, scheme)
    every = (width, scheme) in SCREENS[::3]
    for name in pages(site) if every else MOST_READ:
        page.goto(address + name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth)")
    slate = page.locator('body[data-md-color-scheme="slate"]').count()
    assert slate == (scheme == "dark")


@pytest.mark.parametrize("width", [1280, 390])
def test_search_finds(address: str, open_page: Open, width: int) -> None:
    page = open_page(address, width)
    search(page, width)


def test_search_finds_in_a_folder(site: Path, open_page: Open) -> None:
    """Without a server, from a disk."""
    page = open_page((site / "index.html").as_uri())
    search(page, 1280)


def search(page: Any, width: int) -> None:
    """Searches for the best known method, and follows the first that is found."""
    if width < 960:
        page.locator('label.md-header__button[for="__search"]').click()
    page.locator("input[name=query]").click()
    page.locator("input[name=query]").press_sequentially("integrated", delay=30)
    until(page, "document.querySelectorAll('.md-search-result__item').length > 3")
    first = page.locator(".md-search-result__item").first
    assert "integrated-gradients" in first.text_content()
    first.locator("a").first.click()
    until(page, "location.href.includes('methods.html') && document.readyState === 'complete'")
    assert "integrated-gradients" in page.locator("article").text_content()


def test_the_tour_has_its_heat_maps(address: str, site: Path, open_page: Open) -> None:
    cells = json.loads((ROOT / "docs" / "tour.ipynb").read_text("utf-8"))["cells"]
    outputs = [one for cell in cells for one in cell.get("outputs", ())]
    html = [
        "".join(one["data"]["text/html"]) for one in outputs if "text/html" in one.get("data", {})
    ]
    page = open_page(f"{address}tour.html")
    assert page.locator(".nb-output").count() == len(outputs) > 8
    coloured = page.locator('.nb-output [style*="background:rgba"]').count()
    assert coloured == "".join(html).count("background:rgba") > 50
    assert "outputs-of-cell" not in page.content()
    assert page.locator('article a[href="how-to.html"]').count() == 1


def test_the_reference_has_every_public_name(site: Path) -> None:
    from allennlp_saliency import interpret, views
    from allennlp_saliency.interpret import faithfulness

    anchors = {
        one
        for page in (site / "api").glob("*.html")
        for one in re.findall(r'id="(allennlp_saliency\.[\w.]+)"', page.read_text("utf-8"))
    }
    for package in (interpret, faithfulness, views):
        wanted = {f"{package.__name__}.{name}" for name in package.__all__}
        assert wanted <= anchors, wanted - anchors
    wanted = {f"allennlp_saliency.predictors.{name}" for name in ("SaliencyPredictor",)}
    assert wanted | {"allennlp_saliency.predictors.TransformersPredictor"} <= anchors
