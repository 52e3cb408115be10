"""The heat map in the terminal: plain numbers, predictions, and the lines of a file."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.views import render_line
from tests.views.explanations import GOOD, attribution, explanation, printed


class TestPlain:
    def test_the_whole_page(self) -> None:
        page = printed([GOOD], {"label": "positive", "probs": [0.982, 0.018]}, title="line 1")
        assert page == (
            "line 1\n"
            "prediction  positive 98.2 %\n"
            "explained   log-likelihood of positive: -0.02, at the baseline -0.69\n"
            "tokens      a 0.00  great +0.61  film -0.30\n"
            "outcome     convergence delta 3.0e-04 (< 0.1 % of the difference)\n"
            "method      integrated-gradients, steps 32\n"
            "legend      + speaks for what is explained, - against it\n"
        )

    def test_fields_have_their_names_and_one_scale(self) -> None:
        page = printed(
            [
                explanation(
                    attribution(["man"], [2.0], "hypothesis"),
                    attribution(["a"], [0.004], "premise_with_a_name"),
                )
            ]
        )
        assert "hypothesis           man +2.00\n" in page
        assert "premise_with_a_name  a 0.00\n" in page

    @pytest.mark.parametrize(
        ("score", "shown"),
        [
            (0.61, "+0.61"),
            (-12.3, "-12.3"),
            (0.0456, "+0.046"),
            (3e-9, "+3.0e-09"),
            (0.0, "0"),
            (-4e7, "-4.0e+07"),
            (1234.5, "+1234.5"),
        ],
    )
    def test_numbers_have_the_digits_that_they_need(self, score: float, shown: str) -> None:
        assert f"x {shown}\n" in printed([explanation(attribution(["x"], [score]))])

    def test_no_line_is_wider_than_the_page_and_no_number_leaves_its_token(self) -> None:
        tokens = [f"word{number}" for number in range(200)]
        page = printed([explanation(attribution(tokens, [0.5] * 200))], width=40)
        assert max(len(line) for line in page.splitlines()) <= 40
        assert all(f"{token} +0.50" in page for token in tokens)

    def test_a_token_longer_than_the_page(self) -> None:
        page = printed([explanation(attribution(["x" * 300], [1.0]))], width=40)
        assert max(len(line) for line in page.splitlines()) <= 40
        assert page.count("x") >= 300

    def test_nothing_to_explain(self) -> None:
        page = printed([], {"tags": ["O", "O"], "words": ["a", "film"]})
        assert page.startswith("prediction  every tag is O\nexplained   nothing: ")
        assert "legend" not in page

    def test_no_fields_and_no_tokens(self) -> None:
        assert "none: the model embedded no text field" in printed([explanation()])
        assert "tokens      (no tokens)" in printed([explanation(attribution([], []))])

    def test_warnings_and_details_are_shown(self) -> None:
        page = printed(
            [
                explanation(
                    attribution(["x"], [0.0]),
                    details={"steps": 65, "converged": False},
                    warnings=["all attributions are zero"],
                )
            ]
        )
        assert "steps 65, converged false" in " ".join(page.split())
        assert "warning     all attributions are zero\n" in page

    @pytest.mark.parametrize(
        ("target", "shown"),
        [
            ({"value": 1.0, "baseline_value": -1.0}, "-1.0e-01 (5.0 % of the difference)"),
            ({"value": 1.0, "baseline_value": 1.0}, "-1.0e-01"),
            ({"value": 1.0}, "-1.0e-01"),
        ],
    )
    def test_the_delta_has_its_measure(self, target: dict[str, float], shown: str) -> None:
        words = attribution(["x"], [1.0])
        one = explanation(words, target={"type": "logit", **target}, convergence_delta=-0.1)
        assert f"outcome     convergence delta {shown}\n" in printed([one])

    def test_parameters_are_readable(self) -> None:
        baseline = {"type": "zero", "keep": True}
        interpreter = {"type": "x", "baseline": baseline, "aggregation": {"type": "sum"}, "n": None}
        page = printed([explanation(attribution(["x"], [0.0]), interpreter=interpreter)])
        assert "x, baseline zero (keep true), aggregation sum, n null" in page

    @pytest.mark.parametrize(
        ("positions", "shown"),
        [([1, 2], "U-PER on 'Ann Lee': 1"), ([3], "U-PER: 1"), ("x", "U-PER: 1"), ([], "U-PER: 1")],
    )
    def test_the_tokens_whose_tags_are_explained(self, positions: object, shown: str) -> None:
        target = {"type": "logit", "label": "U-PER", "positions": positions, "value": 1.0}
        words = attribution(["So", "Ann", "Lee"], [0.0, 1.0, 1.0])
        assert f"logit of {shown}\n" in printed([explanation(words, target=target)])

    def test_what_else_the_target_says(self) -> None:
        target = {"type": "contrast", "label": "a", "against": "b", "value": 2.5}
        page = printed([explanation(attribution(["x"], [1.0]), target=target)])
        assert "explained   contrast of a (against b): 2.5\n" in page

    def test_several_explanations_are_counted(self) -> None:
        page = printed([GOOD, GOOD], {"tags": ["U-PER", "O"], "words": ["Mary", "went"]})
        assert "prediction  Mary U-PER\n" in page
        assert "\n1 of 2\n" in page
        assert "\n2 of 2\n" in page
        assert page.count("method ") == 1

    def test_a_method_stands_below_what_it_explained(self) -> None:
        other = explanation(attribution(["x"], [1.0]), interpreter={"type": "other"})
        page = printed([GOOD, GOOD, other])
        methods = [line.split()[1] for line in page.splitlines() if line.startswith("method")]
        assert methods == ["integrated-gradients,", "other"]
        assert page.index("integrated-gradients") < page.index("3 of 3") < page.index(" other")


class TestPrediction:
    @pytest.mark.parametrize(
        ("prediction", "shown"),
        [
            ({"label": "x", "probs": [0.25, 0.75]}, "x 75.0 %"),
            ({"label": "x", "probs": [0.00001, 0.99999]}, "x > 99.9 %"),
            ({"label": 3, "probs": [0.0, 1.0]}, "3 100.0 %"),
            ({"label_probs": [0.4, 0.6]}, "positive 60.0 %"),
            ({"label": "positive"}, "positive 98.0 %"),
            ({"label": "negative"}, "negative"),
            ({"label": "x", "probs": [None, None]}, "x"),
            ({"label": "x", "probs": [float("nan")]}, "x"),
            ({"label": "x", "probs": "high"}, "x"),
            ({"label": "[red]\x1b[31m"}, "[red]\\x1b[31m"),
            ({"best_span_str": "in Paris"}, "in Paris"),
        ],
    )
    def test_label_and_probability(self, prediction: dict[str, Any], shown: str) -> None:
        assert printed([GOOD], prediction).startswith(f"prediction  {shown}\n")

    @pytest.mark.parametrize(
        "prediction", [None, {}, {"loss": 0.3}, {"label": ["a"]}, {"tags": ["O"], "words": []}]
    )
    def test_what_has_no_known_shape_is_left_out(self, prediction: dict[str, Any] | None) -> None:
        assert printed([GOOD], prediction).startswith("explained ")


def line_of(*explanations: Explanation, **more: Any) -> dict[str, Any]:
    line: dict[str, Any] = {"prediction": {"label": "positive", "probs": [0.98, 0.02]}}
    for number, one in enumerate(explanations, start=1):
        scores = {item.grad_input: item.attributions for item in one.inputs}
        line[f"instance_{number}"] = {**scores, "explanation": one.to_json()}
    return {**line, **more}


def printed_line(line: Any, **keywords: Any) -> str:
    stream = io.StringIO()
    render_line(line, Console(file=stream, width=80, _environ={}), **keywords)
    return stream.getvalue()


class TestLine:
    def test_a_line_shows_what_its_explanations_show(self) -> None:
        expected = printed([GOOD, GOOD], {"label": "positive", "probs": [0.98, 0.02]}, title="t")
        assert printed_line(line_of(GOOD, GOOD), title="t") == expected
        assert printed_line(json.dumps(line_of(GOOD, GOOD)), title="t") == expected

    def test_ten_instances_come_in_order(self) -> None:
        many = [explanation(attribution([f"word{number}"], [1.0])) for number in range(1, 12)]
        page = printed_line(dict(reversed(line_of(*many).items())))
        places = [page.index(f"word{number} ") for number in range(1, 12)]
        assert places == sorted(places)

    def test_an_error_line(self) -> None:
        page = printed_line(
            {
                "error": {"type": "KeyError", "message": "no key 'sentence'", "line": 3},
                "input": {"text": "caf\u00e9 " + "x" * 1000},
            }
        )
        assert page.startswith("error       line 3: KeyError: no key 'sentence'\n")
        assert '{"text": "caf\u00e9' in page
        assert "[...]" in page
        assert page.count("x") < 600

    @pytest.mark.parametrize("error", [None, "broken", {}, {"message": None}])
    def test_an_error_of_another_shape(self, error: object) -> None:
        assert printed_line({"error": error}).startswith("error ")

    def test_scores_without_an_explanation(self) -> None:
        bare = {"instance_1": {"grad_input_1": [0.25, 0.75]}}
        page = printed_line({"prediction": {"label": "x", "tokens": ["a", "film"]}, **bare})
        assert "grad_input_1  a +0.25  film +0.75\n" in page
        page = printed_line({"prediction": {"label": "x", "tokens": ["film"]}, **bare})
        assert "grad_input_1  0.25 0.75\n" in page

    def test_scores_that_are_none(self) -> None:
        page = printed_line({"prediction": None, "instance_1": {"grad_input_1": [None, "x"]}})
        assert "(no scores)" in page

    def test_an_explanation_of_another_format(self) -> None:
        line = {"instance_1": {"explanation": {"format": 3}}}
        assert "expected an explanation of format 1 or 2, got 3" in " ".join(
            printed_line(line).split()
        )

    @pytest.mark.parametrize("line", ["{broken", "[]", "3", [], None])
    def test_what_is_no_line(self, line: Any) -> None:
        with pytest.raises(ValueError, match=r"JSON object|Expecting property name"):
            printed_line(line)

    def test_a_line_with_nothing_in_it(self) -> None:
        assert "nothing" in printed_line({})


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_the_environment_decides(environment: dict[str, str], coloured: bool) -> None:
    stream = io.StringIO()
    environment = {"TERM": "xterm-256color", **environment}
    render_line(line_of(GOOD), Console(file=stream, width=80, _environ=environment))
    assert (";48;" in stream.getvalue()) is coloured
    assert ("tokens      a 0.00  great +0.61  film -0.30\n" in stream.getvalue()) is not coloured
