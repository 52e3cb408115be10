"""How seconds grow: the slope of a line, the page and its pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import growth


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_slope_of_a_power_is_its_exponent(power: float) -> None:
    sizes = [1, 2, 4, 8]
    assert growth.slope(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_the_slope_is_that_of_the_larger_half() -> None:
    one = growth.growths()[0]
    seconds = [1.0] * 3 + [float(size) for size in one.sizes[3:]]
    assert growth.Grown(one, {"ours": seconds}).slope("ours") == pytest.approx(1)


def test_a_page_with_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that grows the two smallest sizes."""
    monkeypatch.setattr(growth, "_CLASSIFIER", growth.BertSize(16, 2, 2, 32, 100))
    monkeypatch.setattr(growth, "_LANGUAGE_MODEL", growth.GPT2Size(16, 2, 2, 100))
    assert growth.main(["--output", str(tmp_path), "--rounds", "1", "--most", "1"]) == 0
    page = (tmp_path / "speed.md").read_text(encoding="utf-8")
    for one in growth.growths():
        assert f"(pictures/growth-{one.name}.svg)" in page
        drawn = (tmp_path / "pictures" / f"growth-{one.name}.svg").read_text(encoding="utf-8")
        assert drawn.startswith("<?xml")
    lines = [line for line in page.splitlines() if line.startswith("| 1 |")]
    assert len(lines) == 2, "of inputs and of generated tokens"
