"""Bars, metrics and curves."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.views.figure import metrics_to_latex, save_bars, save_curves, save_metrics
from tests.views.explanations import GOOD, attribution, explanation
from tests.views.figures.pictures import texts_of


def rows() -> list[dict[str, Any]]:
    return [
        {
            "interpreter": method,
            "removal": removal,
            "seconds": 0.1,
            "comprehensiveness": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "inputs": 3},
            "loss_$x$": {"mean": -mean, "low": None, "high": None, "inputs": 1},
        }
        for removal in ("mask", "delete")
        for method, mean in (("lime", 0.5), ("random_1", 0.25))
    ]


def test_the_strongest_bars_first(tmp_path: Path) -> None:
    save_bars(GOOD, tmp_path / "x.svg", top=2)
    texts = texts_of(tmp_path / "x.svg")
    names = [text for text in texts if text in ("a", "great", "film", "+0.61", "-0.30", "0.00")]
    assert names == ["great", "film", "+0.61", "-0.30"]
    assert any("log-likelihood of positive" in text for text in texts)
    save_bars(GOOD, tmp_path / "x.svg", top=None)
    names = [text for text in texts_of(tmp_path / "x.svg") if text in ("a", "great", "film")]
    assert names == ["a", "great", "film"]


def test_bars_of_several_fields_and_with_errors(tmp_path: Path) -> None:
    first = replace(attribution(["$x$"], [-1.0], "premise"), standard_errors=[0.5])
    whole = explanation(first, attribution(["b"], [-0.5], "hypothesis"))
    save_bars(whole, tmp_path / "x.svg")
    assert {"premise: $x$", "hypothesis: b"} <= {*texts_of(tmp_path / "x.svg")}


def test_zeros_are_drawn(tmp_path: Path) -> None:
    save_bars(explanation(attribution(["a", "b"], [0.0, 0.0])), tmp_path / "x.png")


@pytest.mark.parametrize(
    ("given", "top", "message"),
    [
        (explanation(attribution([], [])), 20, "no tokens to draw"),
        (GOOD, 0, "top is a positive number or None, not 0"),
    ],
)
def test_nothing_to_draw(given: Any, top: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        save_bars(given, tmp_path / "x.svg", top=top)


def test_a_panel_per_metric_and_a_line_per_method(tmp_path: Path) -> None:
    save_metrics(rows(), tmp_path / "x.svg")
    texts = texts_of(tmp_path / "x.svg")
    for name in ("comprehensiveness", "loss_$x$", "lime", "random_1", "removed by delete"):
        assert texts.count(name) == 1
    assert "seconds" not in texts
    told = rows()
    for row in told:
        row["comprehensiveness"]["better"] = "higher"
        row["loss_$x$"]["better"] = "lower"
    save_metrics(told, tmp_path / "x.svg")
    assert {"comprehensiveness ↑", "loss_$x$ ↓"} <= {*texts_of(tmp_path / "x.svg")}
    with pytest.raises(ValueError, match=r"Comparison\.rows\(\)"):
        save_metrics([{"interpreter": "a", "seconds": 1.0}], tmp_path / "x.svg")


def test_metrics_in_latex() -> None:
    text = metrics_to_latex(rows())
    assert r"interpreter & removal & comprehensiveness & loss\_\$x\$ \\" in text
    assert r"lime & mask & 0.500 [0.400, 0.600] & $-0.500$ \\" in text
    assert text.count(r"random\_1") == 2
    with pytest.raises(ValueError, match=r"Comparison\.rows\(\)"):
        metrics_to_latex([])


def test_curves_of_different_lengths(tmp_path: Path) -> None:
    curves = {"a_$b$": [[1.0, 0.5, 0.0], [1.0, 0.0]], "random": [[1.0, 0.9, 0.8, 0.7]]}
    save_curves(curves, tmp_path / "x.svg", along="probability $p$")
    texts = texts_of(tmp_path / "x.svg")
    assert {"a_$b$", "random", "share of the units", "probability $p$"} <= {*texts}
    save_curves(curves, tmp_path / "x.pdf")


@pytest.mark.parametrize("curves", [{}, {"a": []}, {"a": [[1.0]]}])
def test_no_curve_is_an_error(curves: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="curves"):
        save_curves(curves, tmp_path / "x.svg")


def test_the_mean_that_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-way a line from 1 to 0 is at 0.5, and one of 1, 1, 0 at 1: the mean is 0.75."""
    from matplotlib.axes import Axes

    drawn = []
    plot = Axes.plot

    def noted(self: Axes, *values: Any, **more: Any) -> Any:
        drawn.append(values)
        return plot(self, *values, **more)

    monkeypatch.setattr(Axes, "plot", noted)
    save_curves({"a": [[1.0, 0.0], [1.0, 1.0, 0.0]]}, tmp_path / "x.svg")
    ((share, mean),) = drawn
    assert math.isclose(share[50], 0.5)
    assert mean[[0, 50, 100]].tolist() == pytest.approx([1.0, 0.75, 0.0])
