"""The folder of a run without a model: whatever happens while parts are written, it goes on."""

from __future__ import annotations

import contextlib
import locale
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.jobs import JobError, RunFolder
from allennlp_saliency.jobs.run_folder import durable
from allennlp_saliency.jobs.run_folder.config import differences, other_versions
from allennlp_saliency.jobs.run_folder.folder import locks_of
from allennlp_saliency.predictors.saliency.json_lines import to_json_line
from tests.jobs.conftest import contents, in_child, read_lines

from .canned import PARTS, config, part, write_all


def killed_at(step: int) -> None:
    """Has this process killed when it is about to bring to the disk, or rename, the so-manieth
    file."""
    left = iter(range(step))

    def counting(do: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return do(*given, **named)

        return call

    os.fsync = counting(os.fsync)
    Path.replace = counting(Path.replace)  # type: ignore[method-assign]
    Path.unlink = counting(Path.unlink)  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "output_format", ["jsonl", pytest.param("parquet", marks=pytest.mark.slow)]
)
def test_killed_at_every_step_it_goes_on_to_the_same_bytes(
    tmp_path: Path, output_format: str
) -> None:
    write_all(tmp_path / "whole", output_format=output_format)
    expected = contents(tmp_path / "whole")
    step, deaths = 0, 0
    while True:
        folder = tmp_path / f"killed-{step}"

        def do() -> None:
            killed_at(step)  # noqa: B023
            write_all(folder, output_format=output_format)  # noqa: B023

        status = in_child(do)
        write_all(folder, output_format=output_format)
        assert contents(folder) == expected, step
        if status == 0:
            break
        assert status == -signal.SIGKILL
        step, deaths = step + 1, deaths + 1
    assert deaths > 8 * PARTS


def test_a_part_that_is_done_again_never_has_old_errors(tmp_path: Path) -> None:
    """Killed at any step, a part has the rows and the state of one time, or no state."""
    for step in range(12):
        folder = write_all(tmp_path / f"killed-{step}")
        old = folder.part_path(1).read_bytes()

        def do() -> None:
            killed_at(step)  # noqa: B023
            folder.write(1, part(1, scale=2))  # noqa: B023

        in_child(do)
        state = folder.state(1)
        new = folder.part_path(1).read_bytes() != old
        assert state is None or state["statistics"] == part(1, scale=1 + new).statistics
    assert new


def test_formats_hold_the_same_rows(tmp_path: Path) -> None:
    folders = {
        name: write_all(tmp_path / name, output_format=name)
        for name in ("jsonl", "jsonl.zst", "parquet")
    }
    rows = list(folders["jsonl"].rows())
    assert len(rows) == 5
    assert rows[4] == part(2).rows[0]
    for name, folder in folders.items():
        assert list(folder.rows()) == rows
        assert folder.part_path(0).name == f"part-00000-of-00003.{name}"
        assert list(folder.errors()) == list(folders["jsonl"].errors())
        assert folder.count_rows() == 5


def test_parquet_has_columns_for_those_who_look_at_scores(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    folder = write_all(tmp_path / "run", output_format="parquet")
    table = pandas.read_parquet(folder.part_path(1))
    assert list(table.columns) == ["id", "line", "interpreter", "scores", "json"]
    assert list(table["line"]) == [3, 4]
    (score,) = table["scores"][1]
    assert score["label"] == "a"
    assert list(score["attributions"]) == [1 + 1 / 3, -0.1]


def test_the_summary(tmp_path: Path) -> None:
    folder = write_all(tmp_path / "run")
    summary = contents(folder.path)["summary.json"]
    assert summary["inputs"] == {"of": 5, "done": 6, "explained": 5, "failed": 1}
    assert summary["errors"] == {"InterpretationError": 1}
    own = summary["interpreters"]["gradient"]
    assert (own["rows"], own["explanations"], own["tokens"]) == (5, 5, 10)
    assert own["median_delta"] == 1 / 7
    assert own["largest_delta"] == 2 / 7
    assert own["not_converged"] == 2 / 5
    assert own["warnings"] == {"lacks # of it": 5}
    tokens = own["labels"]["a"]["tokens"]
    assert own["labels"]["a"]["explanations"] == 5
    assert [one["token"] for one in tokens] == ["x", "é\ud800"]
    assert tokens[0]["count"] == 5
    assert tokens[0]["score"] == pytest.approx(0 + 1 / 3 + 1 + 4 / 3 + 2)
    assert tokens[1]["score"] == pytest.approx(-0.5)
    assert tokens[1]["absolute"] == pytest.approx(0.5)
    assert len(read_lines(folder.path / "errors.jsonl")) == 1


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    two = {"interpreters": [{"type": "lime", "num_samples": 50}, "gradient"]}
    write_all(tmp_path / "run", **two)
    before = contents(tmp_path / "run")
    changed: list[tuple[dict[str, Any], str]] = [
        ({"interpreters": [{"type": "lime", "num_samples": 20}, "gradient"]},
         "lime.num_samples: 50 there, 20 here"),
        ({"interpreters": ["gradient"]}, 'interpreters: ["lime", "gradient"] there, ["gradient"]'),
        ({"max_tokens": 7}, "max_tokens: null there, 7 here"),
        ({"part_size": 1}, "parts: 3 there, 5 here"),
        ({"cuda_device": 0}, 'device: "cpu" there, "cuda" here'),
        ({"content": "1"}, 'inputs.sha256: "0" there, "1" here'),
        ({"ids": ["3"]}, "ids: null there"),
    ]  # fmt: skip
    for settings, message in changed:
        with pytest.raises(JobError) as caught:
            write_all(tmp_path / "run", **{**two, **settings})
        assert message in str(caught.value)
        assert "--overwrite" in str(caught.value)
    assert contents(tmp_path / "run") == before


def test_names_of_files_and_where_it_runs_make_no_difference() -> None:
    there = config()
    here = config(engine="ray", workers=2, shard=(0, 2))
    here["model"]["model"] = "elsewhere"
    here["inputs"]["name"] = "other"
    here["versions"]["torch"] = "1.0"
    assert differences(there, here) == []
    assert other_versions(there, here) == [f"torch: {there['versions']['torch']} there, 1.0 here"]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match=f"cannot write {tmp_path}/file/x: Not a directory"):
        durable.write_file(tmp_path / "file" / "x", b"")


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").touch()
    with pytest.raises(ConfigurationError, match=r"thesis\.tex.*name a new folder"):
        RunFolder.make(tmp_path / "run", config(), overwrite=True)
    assert [one.name for one in (tmp_path / "run").iterdir()] == ["thesis.tex"]
    with pytest.raises(ConfigurationError, match="is a file; name a folder"):
        RunFolder.make(tmp_path / "run" / "thesis.tex", config())


@pytest.mark.parametrize("text", ["{", "[]", '{"settings": {}}'])
def test_a_config_that_is_no_runs_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(JobError, match=r"holds no run: it has no config\.json"):
        RunFolder(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(JobError, match=r"config\.json"):
        RunFolder(tmp_path)


def test_overwrite_removes_the_run_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run"
    write_all(path)
    (path / "notes.md").touch()
    (path / ".state" / "inputs.jsonl").touch()
    RunFolder.make(path, config(max_tokens=3), overwrite=True)
    names = {str(one.relative_to(path)) for one in path.rglob("*") if one.is_file()}
    names = {name for name in names if "locks" not in name}
    assert names == {"config.json", "notes.md", ".state/inputs.jsonl", ".state/times.jsonl"}


def test_one_process_on_the_same_parts(tmp_path: Path) -> None:
    locks = locks_of(tmp_path)

    def free(shard: tuple[int, int] | None) -> bool:
        with contextlib.suppress(JobError), locks.parts(shard):
            return True
        return False

    with locks.parts(None):
        assert not free(None)
        assert not free((0, 2))
        with pytest.raises(JobError, match=f"another process is at work .* in {tmp_path}"):
            locks.parts(None).__enter__()
    with locks.parts((0, 2)):
        assert not free(None)
        assert not free((0, 2))
        assert free((1, 2))
        assert not free((1, 3))
    assert free(None)
    assert free((1, 3))


def test_a_torn_state_or_a_lost_file_is_done_again(tmp_path: Path) -> None:
    folder = write_all(tmp_path / "run")
    expected = contents(folder.path)
    folder.state_path(0).write_bytes(folder.state_path(0).read_bytes()[:-20])
    folder.part_path(1).unlink()
    folder.part_path(2).write_bytes(b"cut")
    assert folder.done() == {}
    write_all(folder.path)
    assert contents(folder.path) == expected


def test_a_time_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    folder = write_all(tmp_path / "run")
    times = folder.path / ".state" / "times.jsonl"
    times.write_text(times.read_text() + '{"part": 0, "sec')
    timing = folder.finish()["timing"]
    assert timing["seconds"] == pytest.approx(0.3)
    assert timing["tokens_per_second"] == pytest.approx(10 / 0.3, rel=0.01)
    assert timing["created"]
    times.unlink()
    assert folder.finish()["timing"] == {"created": None, "seconds": 0, "tokens_per_second": None}


def test_the_bytes_do_not_depend_on_the_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(tmp_path / "run")
    monkeypatch.setattr(locale, "getpreferredencoding", lambda *_: "ascii")
    assert to_json_line({"text": "é"}) == '{"text": "\\u00e9"}\n'
    write_all(tmp_path / "ascii")
    assert contents(tmp_path / "ascii") == contents(tmp_path / "run")
