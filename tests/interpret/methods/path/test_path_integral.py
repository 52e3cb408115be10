"""Rules for an integral, and their refinement to a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import IntegratedGradients, Target
from allennlp_saliency.interpret.methods.path.path_integral import RULES, Quadrature, coarse_panels
from tests.zoo import Zoo

TEXT = "we never ever had a scene at"
BY_NAME = pytest.mark.parametrize("name", RULES)


def integral(rule: Quadrature, power: int, edges: Any = None) -> float:
    """What a rule makes of ∫ x ** power."""
    edges = rule.edges() if edges is None else edges
    widths = edges[:, 1] - edges[:, 0]
    return float(rule.points(edges) ** power @ rule.weights @ widths)


class TestRules:
    @BY_NAME
    @pytest.mark.parametrize("steps", [1, 2, 5, 16])
    def test_constants_and_the_unit_interval(self, name: str, steps: int) -> None:
        rule = RULES[name](steps)
        assert integral(rule, 0) == pytest.approx(1, abs=1e-12)
        edges = rule.edges()
        assert edges[0, 0] == 0
        assert edges[-1, 1] == 1
        assert np.array_equal(edges[1:, 0], edges[:-1, 1])
        points = rule.points(edges)
        assert points.min() >= 0
        assert points.max() <= 1

    @pytest.mark.parametrize("steps", [1, 2, 3, 8])
    def test_gauss_legendre_is_exact_up_to_degree_2n_minus_1(self, steps: int) -> None:
        rule = RULES["gauss-legendre"](steps)
        for power in range(2 * steps):
            assert integral(rule, power) == pytest.approx(1 / (power + 1), abs=1e-12)
        assert integral(rule, 2 * steps) != pytest.approx(1 / (2 * steps + 1), rel=1e-9)
        assert len(np.unique(rule.points(rule.edges()))) == steps

    def test_boole_is_exact_up_to_degree_5(self) -> None:
        rule = RULES["boole"](5)
        for power in range(6):
            assert integral(rule, power) == pytest.approx(1 / (power + 1), abs=1e-12)
        assert integral(rule, 6) != pytest.approx(1 / 7, rel=1e-6)

    @pytest.mark.parametrize("steps", [5, 9, 33])
    def test_boole_shares_the_ends_of_its_panels(self, steps: int) -> None:
        rule = RULES["boole"](steps)
        assert len(np.unique(rule.points(rule.edges()))) == steps

    @pytest.mark.parametrize("n", [1, 2, 10])
    def test_textbook_errors(self, n: int) -> None:
        # Of ∫ x dx and ∫ x² dx with panels of width h = 1/n.
        h = 1 / n
        assert integral(RULES["left"](n), 1) == pytest.approx(1 / 2 - h / 2)
        assert integral(RULES["right"](n), 1) == pytest.approx(1 / 2 + h / 2)
        assert integral(RULES["midpoint"](n), 1) == pytest.approx(1 / 2)
        assert integral(RULES["midpoint"](n), 2) == pytest.approx(1 / 3 - h * h / 12)
        assert integral(RULES["trapezoid"](n + 1), 2) == pytest.approx(1 / 3 + h * h / 6)

    @BY_NAME
    def test_cut_panels_cover_the_same(self, name: str) -> None:
        rule = RULES[name](9)
        edges = rule.edges()
        cut = rule.cut(edges)
        assert len(cut) == rule.parts * len(edges)
        assert (cut[:, 1] - cut[:, 0]).sum() == pytest.approx(1)
        exact = 1 / 8
        assert abs(integral(rule, 7, cut) - exact) <= abs(integral(rule, 7) - exact) + 1e-14

    @pytest.mark.parametrize("steps", range(5, 14))
    def test_boole_has_no_more_points_than_asked_for(self, steps: int) -> None:
        points = np.unique(RULES["boole"](steps).points(RULES["boole"](steps).edges()))
        assert steps - 4 < len(points) <= steps

    @pytest.mark.parametrize("name", ["boole", "midpoint", "trapezoid", "left", "right"])
    def test_points_serve_again_when_panels_are_cut(self, name: str) -> None:
        rule = RULES[name](9)
        before = set(np.round(rule.points(rule.edges()), 12).ravel())
        after = set(np.round(rule.points(rule.cut(rule.edges())), 12).ravel())
        assert before <= after


def test_panels_are_cut_until_the_rest_lack_half_of_the_tolerance() -> None:
    """Half, as what is cut lacks something too."""
    edges = RULES["midpoint"](4).edges()
    errors = np.array([-0.4, 0.1, 0.35, -0.2])
    cut = {tolerance: coarse_panels(edges, errors, tolerance) for tolerance in (0.9, 0.7, 0.4, 0.1)}
    assert {tolerance: list(map(bool, panels)) for tolerance, panels in cut.items()} == {
        0.9: [True, False, True, False],
        0.7: [True, False, True, False],
        0.4: [True, False, True, True],
        0.1: [True, True, True, True],
    }
    assert coarse_panels(edges, errors, 1.1) is None


class Seen(Target):
    """A target that is steep in one place, and takes note of where it is looked at.

    tanh(steepness · (logit - middle)): along the path the logit says where a point is.
    """

    def __init__(self, steepness: float = 20.0) -> None:
        super().__init__()
        self.steepness = steepness
        self.with_gradient: list[float] = []
        self.without: list[float] = []

    def __call__(self, outputs: Any) -> Tensor:
        logit = outputs.at(outputs.logits)
        seen = self.with_gradient if torch.is_grad_enabled() else self.without
        seen.extend(logit.tolist())
        return torch.tanh(self.steepness * (logit - MIDDLE))


# Between the logit at the zero baseline and at the text.
MIDDLE = 0.0


def ends(zoo: Zoo) -> tuple[float, float]:
    (explanation,) = IntegratedGradients(zoo.predictor("boe"), target="logit").interpret_json(
        {"sentence": TEXT}
    )
    return explanation.target["baseline_value"], explanation.target["value"]


@pytest.fixture
def middle(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> float:
    start, end = ends(zoo)
    assert abs(end - start) > 0.5
    at = start + 0.37 * (end - start)
    monkeypatch.setitem(globals(), "MIDDLE", at)
    return at


def interpret(zoo: Zoo, target: Any, **settings: Any) -> Any:
    interpreter = IntegratedGradients(zoo.predictor("boe"), target=target, **settings)
    (explanation,) = interpreter.interpret_json({"sentence": TEXT})
    return explanation


@pytest.mark.usefixtures("middle")
class TestRefinement:
    @pytest.mark.parametrize("tolerance", [0.1, 0.001, 1e-5])
    def test_until_the_tolerance_is_reached(self, zoo: Zoo, tolerance: float) -> None:
        target = Seen()
        rough = interpret(zoo, target, steps=9, rule="boole")
        explanation = interpret(zoo, target, tolerance=tolerance)
        assert abs(rough.convergence_delta) > tolerance, "nothing to refine"
        assert abs(explanation.convergence_delta) <= tolerance
        assert explanation.details["converged"] is True
        assert 9 < explanation.details["steps"] <= 1024

    def test_relative_to_the_change(self, zoo: Zoo) -> None:
        explanation = interpret(zoo, Seen(), relative_tolerance=0.001)
        change = explanation.target["value"] - explanation.target["baseline_value"]
        assert abs(change) > 1
        assert abs(explanation.convergence_delta) <= 0.001 * abs(change)
        assert explanation.details["converged"] is True

    def test_the_looser_of_both_counts(self, zoo: Zoo) -> None:
        loose = interpret(zoo, Seen(), tolerance=0.1)
        both = interpret(zoo, Seen(), tolerance=0.1, relative_tolerance=1e-6)
        again = interpret(zoo, Seen(), tolerance=1e-6, relative_tolerance=0.05)
        assert both.details["steps"] == loose.details["steps"]
        assert again.details["steps"] == interpret(zoo, Seen(), tolerance=0.1).details["steps"]

    def test_max_steps(self, zoo: Zoo) -> None:
        explanation = interpret(zoo, Seen(), tolerance=1e-9, max_steps=40)
        assert explanation.details["converged"] is False
        assert explanation.details["steps"] <= 40
        assert abs(explanation.convergence_delta) > 1e-9
        total = sum(explanation.inputs[0].attributions) + explanation.convergence_delta
        change = explanation.target["value"] - explanation.target["baseline_value"]
        assert total == pytest.approx(change, abs=1e-9)

    def test_the_last_steps_go_to_the_worst_panels(self, zoo: Zoo) -> None:
        """Where not all that should be cut can be, what can be is: nothing of max_steps is left,
        and the warning says what is lacking."""
        rough = interpret(zoo, Seen(), tolerance=1e-9, max_steps=40)
        finer = interpret(zoo, Seen(), tolerance=1e-9, max_steps=80)
        assert rough.details["steps"] > 40 - 4
        assert finer.details["steps"] > 80 - 4
        assert "not converged after" in rough.warnings[0]
        assert "raise max_steps (now 40)" in rough.warnings[0]

    @pytest.mark.parametrize("rule", RULES)
    def test_every_rule_gets_there(self, zoo: Zoo, rule: str) -> None:
        explanation = interpret(zoo, Seen(5.0), rule=rule, steps=8, tolerance=0.02, max_steps=4096)
        assert explanation.details["converged"] is True
        assert abs(explanation.convergence_delta) <= 0.02

    @pytest.mark.parametrize("rule", RULES)
    def test_no_point_is_evaluated_twice(self, zoo: Zoo, rule: str) -> None:
        target = Seen()
        explanation = interpret(zoo, target, rule=rule, tolerance=0.2, max_steps=4096)
        steps = explanation.details["steps"]
        # The recording pass looks at the input itself, with a gradient.
        assert len(target.with_gradient) == steps + 1
        path = np.array(target.with_gradient[1:])
        assert np.diff(np.sort(path)).min() > 1e-6
        # Ends of panels: each once, and the input's own value is known.
        others = np.array(target.without)
        assert len(others) <= 1 or np.diff(np.sort(others)).min() > 1e-6

    def test_points_go_where_the_target_is_steep(self, zoo: Zoo, middle: float) -> None:
        target = Seen(60.0)
        explanation = interpret(zoo, target, tolerance=1e-4)
        start, end = ends(zoo)
        near = np.abs(np.array(target.with_gradient) - middle) < 0.15 * abs(end - start)
        assert near.mean() > 0.6
        # An even rule with as many points is far worse.
        even = interpret(zoo, Seen(60.0), rule="midpoint", steps=explanation.details["steps"])
        assert abs(even.convergence_delta) > 3 * abs(explanation.convergence_delta)

    def test_each_instance_stops_by_itself(self, zoo: Zoo) -> None:
        inputs = [{"sentence": text} for text in ("good", TEXT, "a film")]
        interpreter = IntegratedGradients(zoo.predictor("lstm"), tolerance=1e-6)
        together = interpreter.interpret_batch_json(inputs)
        for given, (explanation,) in zip(inputs, together, strict=True):
            (alone,) = interpreter.interpret_json(given)
            assert explanation.details == alone.details
            assert abs(explanation.convergence_delta) <= 1e-6

    def test_a_smooth_target_needs_no_refinement(self, zoo: Zoo) -> None:
        target = Seen(0.01)
        explanation = interpret(zoo, target, tolerance=0.01)
        assert explanation.details == {"converged": True, "steps": 9}

    def test_without_a_tolerance_nothing_is_refined(self, zoo: Zoo) -> None:
        target = Seen()
        explanation = interpret(zoo, target, steps=7)
        assert explanation.details == {"steps": 7}
        assert len(target.with_gradient) == 8
        # At the baseline; and, as seven points lack much, to see whether zero is to blame.
        assert len(target.without) == 1 + 2
