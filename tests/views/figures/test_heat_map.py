"""Heat maps as pictures."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.views.figure import save_figure

SVG = "{http://www.w3.org/2000/svg}"


def explanation(tokens: list[str], scores: list[float], field: str = "tokens") -> Explanation:
    one = InputAttribution(field, "grad_input_1", tokens, [None] * len(tokens), scores)
    return Explanation({"type": "gradient"}, {"type": "logit", "label": "good"}, [one])


def drawn(path: Path) -> tuple[list[str], list[str]]:
    """The texts of a picture, and the colours of its boxes."""
    root = ElementTree.parse(path).getroot()
    texts = ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]
    styles = [node.get("style", "") for node in root.iter(f"{SVG}path")]
    fills = [s.partition("fill: ")[2].partition(";")[0] for s in styles if "fill: #" in s]
    return texts, fills


def test_every_token_is_drawn_in_its_colour(tmp_path: Path) -> None:
    save_figure([explanation(["a", "great", "film"], [0.0, 2.0, -1.0])], tmp_path / "x.svg")
    texts, fills = drawn(tmp_path / "x.svg")
    assert texts == ["gradient: good", "a", "great", "film"]
    neutral, strongest, against = fills[-3:]
    assert neutral == "#ffffff"
    red, green, blue = (int(strongest[i : i + 2], 16) for i in (1, 3, 5))
    assert blue > green > red
    red, green, blue = (int(against[i : i + 2], 16) for i in (1, 3, 5))
    assert red > green >= blue


def test_markup_and_formulas_are_text(tmp_path: Path) -> None:
    tokens = ["<script>", "$x^2$", "&amp;", "\x1b[31m"]
    save_figure([explanation(tokens, [1.0] * 4)], tmp_path / "x.svg")
    texts, _ = drawn(tmp_path / "x.svg")
    assert texts[1:4] == ["<script>", "$x^2$", "&amp;"]
    assert "\x1b" not in (tmp_path / "x.svg").read_text("utf-8")


def test_long_texts_wrap(tmp_path: Path) -> None:
    save_figure([explanation(["word"] * 100, [1.0] * 100)], tmp_path / "x.svg", width=4)
    root = ElementTree.parse(tmp_path / "x.svg").getroot()
    assert float(root.get("width", "").removesuffix("pt")) == pytest.approx(4 * 72)
    assert float(root.get("height", "").removesuffix("pt")) > 10 * 0.3 * 72


def test_the_same_explanation_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("x.svg", "y.svg"):
        save_figure([explanation(["a", "b"], [1.0, 0.5])], tmp_path / name)
    assert (tmp_path / "x.svg").read_bytes() == (tmp_path / "y.svg").read_bytes()


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_other_formats(tmp_path: Path, ending: str, magic: bytes) -> None:
    save_figure([explanation([], []), explanation(["a"], [0.0])], tmp_path / f"x.{ending}")
    assert (tmp_path / f"x.{ending}").read_bytes().startswith(magic)


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no explanations"):
        save_figure([], tmp_path / "x.svg")
