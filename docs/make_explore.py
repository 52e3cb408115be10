"""Draws docs/pictures/explore.png: the page of `allennlp explore` in a browser.

.venv/bin/python docs/make_explore.py
"""

from __future__ import annotations

import argparse
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn

import allennlp_saliency.plugin  # noqa: F401
from allennlp_saliency.commands.explore.app import create
from allennlp_saliency.commands.explore.guard import Guard
from allennlp_saliency.commands.explore.limits import Limits
from allennlp_saliency.commands.explore.models.served import Loading, load

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "explore.png"
SENTENCE = "last week, the whole cast was never brilliant in the back row."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=PICTURE)
    output = parser.parse_args().output
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print(f"no Chromium on the PATH: {output.name} stays as it is")
        return
    limits = Limits()
    models = load([str(ROOT / "fixtures" / "sentiment" / "model.tar.gz")], Loading(), limits)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Guard(create(models, limits), limits), log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        draw(f"http://127.0.0.1:{listening.getsockname()[1]}/", chromium, output)
    finally:
        server.should_exit = True
        thread.join()
        for model in models.values():
            model.queue.close()


def draw(url: str, chromium: str, output: Path) -> None:
    """Takes the picture of a page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page: Any = browser.new_page(viewport={"width": 1180, "height": 830})
        page.goto(url)
        page.get_by_label("sentence").fill(SENTENCE)
        page.get_by_role("button", name="Explain").click()
        page.get_by_text("Edit a word and see what changes").click()
        page.locator(".word", has_text="never").click()
        page.get_by_label("in place of never").fill("truly")
        page.keyboard.press("Enter")
        page.locator(".changes").wait_for()
        # What is not the same each time.
        page.locator(".status").evaluate("one => { one.textContent = 'done'; }")
        page.screenshot(path=str(output), full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
