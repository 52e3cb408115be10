"""Draws what figures, terminal and notebook look like, with the fixtures' models.

Run from a clone: `make docs`, or `python docs/make_figures.py`. That of the notebook needs Chromium
(`make browser`); where there is none, it stays as it is.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

from allennlp.predictors import Predictor  # noqa: E402
from rich.console import Console  # noqa: E402

from allennlp_saliency.interpret import (  # noqa: E402
    Explanations,
    InputXGradient,
    IntegratedGradients,
    ShapleySampling,
)
from allennlp_saliency.interpret.faithfulness import compare  # noqa: E402
from allennlp_saliency.views import (  # noqa: E402
    render,
    save_agreement,
    save_bars,
    save_figure,
    save_matrix,
    save_metrics,
)

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
SENTENCE = {"sentence": "the music was not good, and we discussed the second half."}
SOURCE = {"source": "this teacher draws near the old house"}
COMPARED = ("integrated-gradients", "input-x-gradient", "leave-one-out")
INPUTS = 12


def main() -> None:
    """Draws all pictures."""
    sentiment, translator, tagger = map(fixture, ("sentiment", "translate", "ner"))
    integrated = IntegratedGradients(sentiment, relative_tolerance=0.01, target="logit")
    entities = IntegratedGradients(tagger, target="logit").interpret_json(
        "as it happens they described Kinetix Bank before nobody described Port Glenmoor."
    )
    written = InputXGradient(translator, target="logit").interpret_json(SOURCE)
    sentence = integrated.interpret_json(SENTENCE)
    sampled = ShapleySampling(sentiment, units="word", baseline="mask", target="logit", seed=0)
    save_figure([*sentence, *entities], PICTURES / "figure-heat-map.svg", width=8, words=True)
    save_bars(sampled.interpret_json(SENTENCE)[0], PICTURES / "figure-bars.svg", top=8)
    save_matrix(written, PICTURES / "figure-matrix.svg", fields=["source"])
    lines = (ROOT / "fixtures" / "sentiment" / "inputs.jsonl").read_text("utf-8").splitlines()
    found = compare(sentiment, [json.loads(line) for line in lines[:INPUTS]], COMPARED)
    save_metrics(found.rows(), PICTURES / "figure-metrics.svg")
    save_agreement(found.records, PICTURES / "figure-agreement.svg")
    console = Console(
        file=io.StringIO(),
        record=True,
        width=86,
        force_terminal=True,
        color_system="truecolor",
        _environ={},
    )
    render(written, console=console)
    console.save_svg(str(PICTURES / "terminal.svg"), title="allennlp render", unique_id="terminal")
    _notebook({"light": sentence, "dark": written})


def fixture(name: str) -> Predictor:
    """A fixture's predictor."""
    return Predictor.from_path(ROOT / "fixtures" / name / "model.tar.gz")


def _notebook(shown: dict[str, Explanations]) -> None:
    """What a notebook shows, on a light and on a dark page."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        print("no Chromium: the pictures of the notebook stay as they are (`make browser`)")
        return
    from playwright.sync_api import sync_playwright

    colours = {"light": "#fff;color:#222", "dark": "#111;color:#ddd"}
    with sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme, explanations in shown.items():
            page = browser.new_page(viewport={"width": 640, "height": 100}, device_scale_factor=1.5)
            page.set_content(
                f'<body style="margin:0;padding:8px;background:{colours[scheme]}">'
                f"{explanations._repr_html_()}</body>"
            )
            page.screenshot(path=PICTURES / f"notebook-{scheme}.png", full_page=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
