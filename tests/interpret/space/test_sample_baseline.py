"""Passages of texts: where they begin, how they go on, and which texts they are of."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import EmbeddingSpace
from allennlp_saliency.interpret.space.baselines import Baseline
from allennlp_saliency.interpret.space.sample_baseline import SampleBaseline
from tests.interpret.space.test_embedding_space import DIM, TEXTS, VECTORS, space_of


def words_at(baseline: Baseline, space: EmbeddingSpace) -> list[tuple[str, ...]]:
    """The words of a baseline in the place of each of `TEXTS`, whose padding is zero."""
    known = {tuple(torch.tensor(vector).tolist()): word for word, vector in VECTORS.items()}
    found = []
    for text, row in zip(TEXTS, baseline(space).view(len(TEXTS), -1, DIM), strict=True):
        count = len(text.split())
        assert not row[count:].any()
        found.append(tuple(known[tuple(vector.tolist())] for vector in row[:count]))
    return found


def passages(text: str, length: int) -> set[tuple[str, ...]]:
    """All passages of a text, which begins anew where it ends."""
    words = text.split()
    return {
        tuple(words[(first + place) % len(words)] for place in range(length))
        for first in range(len(words))
    }


@pytest.mark.parametrize("text", ["up down left right", "up down", "left"])
def test_words_follow_one_another(text: str) -> None:
    """From every word on, as many as the input has, to the end of the text and from its start."""
    space = space_of()
    draws = SampleBaseline([text], num_samples=64).draws()
    assert len(draws) == 64
    found = [words_at(draw, space) for draw in draws]
    assert {long for long, _ in found} == passages(text, 3)
    assert {short for _, short in found} == passages(text, 1)
    # Both begin at the same word: a draw is one passage for all inputs.
    assert all(long[0] == short[0] for long, short in found)


def test_each_text_and_each_place_are_as_likely() -> None:
    space = space_of()
    draws = SampleBaseline(["up down left", "right right"], num_samples=600).draws()
    counts = Counter(words_at(draw, space)[1][0] for draw in draws)
    # Half of the draws are of each text; a third of the first's begin at each of its words.
    assert counts["right"] == pytest.approx(300, abs=50)
    for word in ("up", "down", "left"):
        assert counts[word] == pytest.approx(100, abs=40)


def test_one_sample_is_enough() -> None:
    space = space_of()
    baseline = SampleBaseline(["left left left"], num_samples=1)
    assert len(baseline.draws()) == len(baseline.members()) == 1
    assert words_at(baseline, space) == [("left", "left", "left"), ("left",)]
    assert SampleBaseline(["left"]).num_samples == 8


def test_removal_is_one_and_its_point_the_mean() -> None:
    space = space_of()
    baseline = SampleBaseline(["up down", "left right"], num_samples=5, seed=2)
    assert list(baseline.replacements()) == [baseline]
    points = torch.stack([draw(space) for draw in baseline.draws()])
    assert torch.allclose(baseline(space), points.mean(0))
    assert points.std(0).any()


def test_seeds_draw_others() -> None:
    space = space_of()

    def drawn(seed: int) -> list[list[tuple[str, ...]]]:
        made = SampleBaseline(["up down left right"], num_samples=16, seed=seed)
        return [words_at(draw, space) for draw in made.draws()]

    assert drawn(0) == drawn(0)
    assert len({str(drawn(seed)) for seed in (-(2**63), -1, 0, 1, 2**64 - 1)}) >= 4


@pytest.mark.parametrize("keep", [True, False])
def test_special_tokens(keep: bool) -> None:
    baseline = SampleBaseline(["up"], num_samples=3, keep_special_tokens=keep)
    assert [one.keep_special_tokens for one in (baseline, *baseline.draws())] == [keep] * 4


class TestFiles:
    def test_a_text_a_line(self, tmp_path: Path) -> None:
        file = tmp_path / "texts.txt"
        # Some editors begin a file with a mark.
        file.write_text("\ufeffup down\n \n\nleft\n", encoding="utf-8")
        of_file = SampleBaseline(file=str(file), num_samples=20)
        of_texts = SampleBaseline(["up down", "left"], num_samples=20)
        space = space_of()
        assert [words_at(one, space) for one in of_file.draws()] == [
            words_at(one, space) for one in of_texts.draws()
        ]
        assert (of_file.texts, of_file.file) == (None, str(file))
        assert (of_texts.texts, of_texts.file) == (["up down", "left"], None)

    def test_what_is_no_file_of_texts(self, tmp_path: Path) -> None:
        empty, binary = tmp_path / "empty.txt", tmp_path / "binary"
        empty.write_text(" \n\n", encoding="utf-8")
        binary.write_bytes(b"\xff\xfe\x00\xd8")
        for file, told in (
            (tmp_path / "none.txt", r"none\.txt is no file"),
            (tmp_path, "is no file"),
            (empty, r"empty\.txt has no text"),
            (binary, "cannot be read"),
        ):
            with pytest.raises(ConfigurationError, match=told):
                SampleBaseline(file=str(file))

    def test_texts_or_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "texts.txt"
        file.write_text("up\n", encoding="utf-8")
        for given in ({}, {"texts": ["up"], "file": str(file)}):
            with pytest.raises(ConfigurationError, match="from 'texts', or from a 'file'"):
                SampleBaseline(**given)  # type: ignore[arg-type]
        for wrong in ("up down", ["up", " "], [1], {"up"}):
            with pytest.raises(ConfigurationError, match="a list of texts, none of them empty"):
                SampleBaseline(wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="there are none"):
            SampleBaseline([])
