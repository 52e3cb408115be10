"""What an explanation is of: in words, and marked in its text."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.views import render, save_figure
from allennlp_saliency.views.notebook import html
from allennlp_saliency.views.outputs import marks_of, output_name, target_in_words
from allennlp_saliency.views.tokens import predicted, probability_of
from allennlp_saliency.views.words import in_words
from allennlp_saliency.views.written import output_in_words, titles_of
from tests.views.explanations import explanation, field

TEXT = "the mill was sold by Anna"
TOKENS = ["[CLS]", "the", "mi", "##ll", "was", "sold", "by", "Anna", "[SEP]"]
SCORES = [0.0, 0.1, 0.4, 0.2, 0.9, -0.3, 0.5, 0.0, 0.0]
PASSIVE = "O B-ARG1 I-ARG1 I-ARG1 O B-V B-ARG0 I-ARG0 O"
VERB = {"verb": "sold", "verb_positions": [5]}
MILL = {"positions": [1, 2, 3]}


def of(**target: Any) -> Explanation:
    words = field(TEXT, TOKENS, SCORES, "tokens")
    return explanation(words, target={"type": "log-likelihood", "value": -0.5, **target})


PREDICATE = of(label=PASSIVE, positions=[*range(9)], **VERB)
ARGUMENT = of(
    type="arguments", of="log-likelihood", label="B-ARG1 I-ARG1 I-ARG1", role="ARG1", **MILL, **VERB
)
ARC = of(label="nsubj", **MILL, head="sold", head_positions=[5])
ROOT = of(label="root", positions=[5], head="ROOT", head_positions=[])
LINK = of(
    label="the mill", mention="Anna", positions=[7], cluster=0, antecedent=3,
    antecedent_positions=[1, 2, 3],
)  # fmt: skip
GAP = replace(
    of(label="Ġcats", positions=[1]),
    inputs=[field("<mask> sleep", ["<s>", "<mask>", "Ġsleep"], [0.0, 0.1, 0.9])],
)
ENTITY = of(label="B-PER I-PER L-PER", **MILL)


@pytest.mark.parametrize(
    ("one", "name", "words"),
    [
        (PREDICATE, "sold: ARG1 the mill, ARG0 by Anna", "log-likelihood of all tags of 'sold'"),
        (ARGUMENT, "ARG1 of sold: the mill", "log-likelihood of ARG1 of 'sold' on 'the mill'"),
        (ARC, "nsubj: sold → the mill", "log-likelihood of nsubj from 'sold' to 'the mill'"),
        (ROOT, "root: ROOT → sold", "log-likelihood of root from 'ROOT' to 'sold'"),
        (LINK, "Anna → the mill", "log-likelihood of 'Anna' → 'the mill'"),
        (GAP, "<mask> → cats", "log-likelihood of cats on '<mask>'"),
        (ENTITY, "PER: the mill", "log-likelihood of B-PER I-PER L-PER on 'the mi ##ll'"),
        (of(label="B-PER", positions=[7]), "PER: Anna", "log-likelihood of B-PER on 'Anna'"),
        (of(label="S-VP", positions=[7]), "S-VP: Anna", "log-likelihood of S-VP on 'Anna'"),
        (of(label="B-PER L-LOC", positions=[1, 2]), "B-PER L-LOC: the mi", "log-likelihood of"),
        (of(label="", mention="Anna", positions=[7]), "Anna → none", "log-likelihood of 'Anna'"),
    ],
)
def test_an_output_has_a_name_and_its_target_words(one: Explanation, name: str, words: str) -> None:
    assert output_name(one) == name
    assert target_in_words(one).startswith(words)
    assert "positions" not in target_in_words(one)
    assert output_in_words(one).startswith(name)
    assert titles_of([one, one])[1] == f"2 of 2: {name}"


def test_another_target_of_an_argument_is_named() -> None:
    foil = {"type": "foil-difference", "foil": "ARG0"}
    one = replace(ARGUMENT, target={**ARGUMENT.target, "of": foil})
    assert target_in_words(one).startswith("foil-difference (foil ARG0) of ARG1 of 'sold'")


@pytest.mark.parametrize(
    ("one", "marks"),
    [
        (PREDICATE, {5: "verb"}),
        (ARGUMENT, {1: "explained", 2: "explained", 3: "explained", 5: "verb"}),
        (ARC, {1: "explained", 2: "explained", 3: "explained", 5: "head"}),
        (ROOT, {5: "explained"}),
        (LINK, {7: "explained", 1: "antecedent", 2: "antecedent", 3: "antecedent"}),
        (GAP, {1: "explained"}),
        (of(label="x"), {}),
        (of(label="x", positions=[99, "a"]), {}),
    ],
)
def test_the_tokens_that_belong_to_it(one: Explanation, marks: dict[int, str]) -> None:
    assert marks_of(one) == {(0, place): mark for place, mark in marks.items()}


def test_marks_by_word_and_in_one_of_several_fields() -> None:
    assert marks_of(in_words(ARGUMENT)) == {
        (0, 1): "explained",
        (0, 2): "explained",
        (0, 4): "verb",
    }
    question = field("who ?", ["who", "?"], [0.1, 0.2], "question")
    answer = of(label="Anna", positions=[7], field="tokens")
    both = replace(answer, inputs=[question, *answer.inputs])
    assert marks_of(both) == {(1, 7): "explained"}
    assert marks_of(replace(both, target={**both.target, "field": "gone"})) == {}


def test_a_notebook_draws_a_line_around_them() -> None:
    page = html([[ARGUMENT]])
    assert page.count("outline:1.5px solid") == 3 + 1  # the legend's
    assert page.count("outline:1.5px dotted") == 1 + 1
    assert "sold: -0.30, rank 4; its verb" in page
    assert "outline" not in html([[of(label="x")]])


def test_a_terminal_underlines_them() -> None:
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="truecolor", record=True, width=90,
        _environ={},
    )  # fmt: skip
    render([ARC], console=console)
    segments = console._record_buffer
    lined = [one.text for one in segments if one.style and one.style.underline]
    assert "".join(lined) == "themillsold"
    assert "; underlined: what is" in console.export_text()


def test_a_picture_has_a_box_around_them(tmp_path: Path) -> None:
    def picture(one: Explanation) -> str:
        save_figure([one], tmp_path / "out.svg")
        return (tmp_path / "out.svg").read_text(encoding="utf-8")

    marked, plain = picture(ARGUMENT), picture(of(label="x"))
    assert "what is explained" in marked.split("its verb")[0]
    assert marked.count("stroke-dasharray") == 2, "the verb, and in the legend"
    assert "stroke-dasharray" not in plain


def test_the_mean_over_the_tags_of_a_verb_is_no_probability() -> None:
    assert probability_of(PREDICATE.target) is None
    assert output_in_words(ARC) == "nsubj: sold → the mill (60.7 %)"


def test_what_was_predicted_of_verbs_and_mentions() -> None:
    verbs = [{"verb": "sold", "description": "[V: sold]"}, {"verb": "ran"}]
    assert predicted({"verbs": verbs, "words": ["a"]}, []) == "[V: sold]; ran"
    words = ["Anna", "said", "she", "left", "Leo"]
    clusters = [[[0, 0], [2, 2]]]
    assert predicted({"document": words, "clusters": clusters}, []) == "Anna = she"
    assert predicted({"document": words, "clusters": []}, []) == "no two mentions of the same"
    assert predicted({"document": words, "clusters": [3]}, []) is None


@pytest.mark.parametrize("given", [3, "1", [[1, 2]], [None, 1.5, 99, -1], {"first": 1}])
def test_a_parameter_of_a_targets_own_that_is_called_positions_marks_nothing(given: Any) -> None:
    one = of(label="PER", positions=given)
    assert marks_of(one) == {}
    assert html([[one]])
