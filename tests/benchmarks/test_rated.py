"""The section on every rated text: what is counted by word, and what a run leaves out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from allennlp_saliency.interpret import Explanation
from allennlp_saliency.interpret.explanation import InputAttribution
from allennlp_saliency.jobs import Job, run_job
from benchmarks.real import page, rated, rated_page
from benchmarks.workloads import FIXTURES


def explanation(label: str, **words: float) -> Explanation:
    """Of a text of these words; an underscore divides the pieces of one."""
    tokens, offsets, scores, at = [], [], [], 0
    for word, score in words.items():
        pieces = word.split("_")
        for piece in pieces:
            tokens.append(piece)
            offsets.append((at, at + len(piece)))
            scores.append(score / len(pieces))
            at += len(piece)
        at += 1
    text = " ".join(word.replace("_", "") for word in words)
    one = InputAttribution("sentence", "grad_input_1", tokens, offsets, scores, text=text)
    return Explanation({"type": "gradient"}, {"type": "logit", "label": label}, [one])


def test_words_by_label() -> None:
    found = rated.Totals()
    found.add(explanation("positive", un_likely=0.5, good=1.0), 2.0)
    found.add(explanation("positive", good=-0.5), -1.0)
    found.add(explanation("negative", good=-2.0), 0.1)
    good = found.words["positive"]["good"]
    assert (good.count, good.score, good.absolute, good.mean) == (2, 0.5, 1.5, 0.25)
    assert found.words["positive"]["unlikely"].score == 0.5
    assert found.words["negative"]["good"].score == -2.0
    assert found.explained == {"positive": 2, "negative": 1}
    # A rating of 0.1 says nothing.
    assert (found.clear, found.right) == (2, 1)


def test_of_a_run(tmp_path: Path) -> None:
    """The section of a job's own folder: its counts are those of the run."""
    ratings = {"a": 2.0, "b": -2.0, "c": 0.0}
    texts = ["a great film", "a bad | dull film", "the film"]
    inputs = tmp_path / "rated.jsonl"
    rows = [
        json.dumps({"id": name, "sentence": text})
        for name, text in zip(ratings, texts, strict=True)
    ]
    inputs.write_text("\n".join(rows), encoding="utf-8")
    folder = tmp_path / "rated"
    archive = FIXTURES / "sentiment" / "model.tar.gz"
    run_job(Job(str(archive), str(inputs), rated.METHOD, folder, part_size=2), silent=True)
    found = rated.totals(folder, ratings)
    assert sum(found.explained.values()) == 3
    section = rated_page.section(rated.read_summary(folder), found)
    assert "3 texts were explained" in section
    assert "none could not be" in section


def test_tables_have_frequent_words_alone() -> None:
    found = rated.Totals()
    for _ in range(30):
        found.add(explanation("positive", **{"a|b": 0.5, "bad": -0.25}), 2.0)
    found.add(explanation("positive", rare=9.0), 2.0)
    own = {"median_delta": 0.1, "largest_delta": 0.2, "not_converged": 0.0, "warnings": {"odd": 2}}
    counts = {"of": 31, "explained": 31, "failed": 0}
    summary = {"inputs": counts, "tokens": 61, "interpreters": {rated.METHOD: own}}
    rows = [
        line for line in rated_page.section(summary, found).splitlines() if line.startswith("| `")
    ]
    # A bar would end the cell.
    assert rows[0] == "| `a¦b` | +0.500 | 30 |"
    assert rows[-1] == "| `bad` | -0.250 | 30 |"
    assert not any("rare" in row for row in rows)


def test_texts_are_those_of_all_four_files(tmp_path: Path) -> None:
    for name in rated.SOURCES:
        lines = '1\t2.5\tgood &amp; "quoted", \n2\t-0.1\tso so\n'
        (tmp_path / f"{name}_GroundTruth.txt").write_text(lines, encoding="utf-8")
    path = rated.write_texts(tmp_path, tmp_path / "rated.csv")
    found = rated.read_ratings(path)
    assert len(found) == 8
    assert found["nytEditorialSnippets-2"] == pytest.approx(-0.1)
    assert 'tweets-1,"good & ""quoted"",",2.5' in path.read_text(encoding="utf-8")


def test_a_section_is_found_again() -> None:
    text = page.with_section("# Page\n", "one", "first\n\nline")
    assert page.section_in(page.with_section(text, "two", "second"), "one") == "first\n\nline"
    assert page.section_in(text, "two") is None
