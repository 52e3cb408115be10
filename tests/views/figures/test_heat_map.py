"""Heat maps as pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.views.figure import save_figure
from tests.views.explanations import field

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
    assert texts[:6] == ["gradient: good", "a", "+2.00", "great", "-1.00", "film"]
    neutral, strongest, against = fills[1:4]
    assert neutral == "#ffffff"
    red, green, blue = (int(strongest[i : i + 2], 16) for i in (1, 3, 5))
    assert blue > green > red
    red, green, blue = (int(against[i : i + 2], 16) for i in (1, 3, 5))
    assert red > green >= blue


def test_the_legend_has_the_numbers_of_the_ends(tmp_path: Path) -> None:
    one = explanation(["a", "great", "film"], [0.0, 2.0, -1.0])
    save_figure([one], tmp_path / "x.svg")
    texts, _ = drawn(tmp_path / "x.svg")
    assert texts[6:] == ["against", "for what is explained", "-2.00", "0", "+2.00"]
    save_figure([one], tmp_path / "x.svg", legend=False, numbers=False)
    texts, _ = drawn(tmp_path / "x.svg")
    assert texts == ["gradient: good", "a", "great", "film"]


def test_the_title_has_the_probability(tmp_path: Path) -> None:
    likely = replace(
        explanation(["a"], [1.0]), target={"type": "probability", "label": "x", "value": 0.25}
    )
    tags = replace(likely, target={"type": "logit", "label": ["B-PER", "L-PER"]})
    nameless = replace(likely, target={"type": "logit"})
    save_figure([likely, tags, nameless], tmp_path / "x.svg")
    texts, _ = drawn(tmp_path / "x.svg")
    assert {"gradient: x 25.0 %", "gradient: B-PER L-PER", "gradient"} <= {*texts}


@pytest.mark.parametrize(
    ("one_scale", "alike"), [(None, True), (True, True), (False, False)], ids=str
)
def test_one_scale_for_all_rows(one_scale: bool | None, alike: bool, tmp_path: Path) -> None:
    """The colour of 1 beside a 2, in another explanation of the same method."""
    pair = [explanation(["a"], [2.0]), explanation(["b"], [1.0])]
    save_figure(pair, tmp_path / "x.svg", one_scale=one_scale)
    _, (_, first, second, *_) = drawn(tmp_path / "x.svg")
    assert (first != second) is alike


def test_methods_have_scales_of_their_own(tmp_path: Path) -> None:
    other = replace(explanation(["b"], [1.0]), interpreter={"type": "other"})
    save_figure([explanation(["a"], [2.0]), other], tmp_path / "x.svg")
    texts, (_, first, second, *_) = drawn(tmp_path / "x.svg")
    assert first == second
    assert texts.count("strongest") == 2


def test_the_text_is_as_it_was_written(tmp_path: Path) -> None:
    one = field("An unkind  film", ["[CLS]", "an", "un", "##kind", "film"], [1.0] * 5)
    whole = replace(explanation([], []), inputs=[one])
    save_figure([whole], tmp_path / "x.svg", numbers=False)
    assert drawn(tmp_path / "x.svg")[0][1:6] == ["[CLS]", "An", "un", "kind", "film"]
    save_figure([whole], tmp_path / "x.svg", words=True)
    assert "+2.00" in drawn(tmp_path / "x.svg")[0]


def test_what_is_written_from_the_right_is_drawn_so(tmp_path: Path) -> None:
    for tokens in (["one", "two"], ["\u05d0", "\u05d1"]):
        save_figure([explanation(tokens, [1.0, 0.5])], tmp_path / "x.svg", numbers=False)
        root = ElementTree.parse(tmp_path / "x.svg").getroot()
        places = {"".join(node.itertext()): _x(node) for node in root.iter(f"{SVG}text")}
        assert (places[tokens[0]] < places[tokens[1]]) is (tokens[0] == "one")


def _x(node: ElementTree.Element) -> float:
    moved = re.search(r"translate\(([\d.]+)", node.get("transform", ""))
    return float(moved[1]) if moved else float(node.get("x", "nan"))


def test_markup_and_formulas_are_text(tmp_path: Path) -> None:
    tokens = ["<script>", "$x^2$", "&amp;", "\x1b[31m"]
    save_figure([explanation(tokens, [1.0] * 4)], tmp_path / "x.svg")
    texts, _ = drawn(tmp_path / "x.svg")
    assert {"<script>", "$x^2$", "&amp;"} <= {*texts}
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


def test_the_title_is_no_formula(tmp_path: Path) -> None:
    save_figure([explanation(["a"], [1.0], "$f$")] * 2, tmp_path / "x.svg", ["$t$", "<b>"])
    assert {"$t$", "<b>"} <= {*drawn(tmp_path / "x.svg")[0]}


def test_a_title_for_each(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 explanations need as many titles, not 1"):
        save_figure([explanation(["a"], [1.0])] * 2, tmp_path / "x.svg", ["one"])


def test_another_ending_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends with \.png, \.svg, \.pdf"):
        save_figure([explanation(["a"], [1.0])], tmp_path / "x.docx")


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_other_formats(tmp_path: Path, ending: str, magic: bytes) -> None:
    save_figure([explanation([], []), explanation(["a"], [0.0])], tmp_path / f"x.{ending}")
    assert (tmp_path / f"x.{ending}").read_bytes().startswith(magic)


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no explanations"):
        save_figure([], tmp_path / "x.svg")
