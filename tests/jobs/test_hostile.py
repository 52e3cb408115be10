"""Inputs, settings and models that somebody has made to do harm, or that just happen."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.commands.interpret import command
from allennlp_saliency.jobs import Job, JobError, RunFolder, read_yaml
from allennlp_saliency.jobs import run as running
from allennlp_saliency.jobs.engines.local import LocalEngine
from allennlp_saliency.jobs.parts.explainer import Explainer
from allennlp_saliency.jobs.parts.statistics import MOST_LABELS, Statistics
from allennlp_saliency.jobs.progress import say
from allennlp_saliency.jobs.run_folder.formats import encoder
from allennlp_saliency.jobs.run_folder.summary import summary_of
from allennlp_saliency.jobs.sources import Item, open_source

from .conftest import SENTENCES, MakeJob, contents, write_lines
from .run_folder.canned import config

Run = Callable[..., dict[str, Any]]
DEEP = "[" * 100_000
ESCAPES = "\x1b[2J\x9b1m\u202e"


class TestSettings:
    def test_a_file_runs_no_code(self, tmp_path: Path) -> None:
        path = tmp_path / "job.yaml"
        path.write_text(f"model: !!python/object/apply:os.mkdir ['{tmp_path}/made']")
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read_yaml(path)
        assert not (tmp_path / "made").exists()

    @pytest.mark.parametrize(
        "text",
        [
            "\n".join(
                [
                    "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
                    *(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(12)),
                ]
            ),
            "model: &a [*a]",
            "model: " + "[" * 200 + "]" * 200,
            "model: " + "[" * 10_000,
            "model: \x00",
        ],
    )
    def test_a_file_that_stands_for_more_than_it_holds(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "job.yaml"
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=r"holds more than|cannot be read"):
            read_yaml(path)

    @pytest.mark.parametrize("arguments", [["--params", DEEP], ["--target", '{"a":' + DEEP]])
    def test_arguments_that_are_nested_deeply(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stop:
            command.main(["m", "i", "--interpreter", "gradient", *arguments])
        assert stop.value.code == 2
        assert "no JSON" in capsys.readouterr().err

    def test_ids_from_a_file_are_names_and_nothing_else(
        self, run: Run, tmp_path: Path, inputs: Path
    ) -> None:
        names = ["../../x", f"a{ESCAPES}", "b\nc"]
        write_lines(inputs, [{"id": one, "sentence": SENTENCES[0]} for one in names])
        before = sorted(tmp_path.iterdir())
        run()
        assert [row["id"] for row in RunFolder(tmp_path / "run").rows()] == names
        assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "run"])
        (tmp_path / "ids").write_text(f"no{ESCAPES}\n")
        with pytest.raises(ConfigurationError) as error:
            run("other", ids=str(tmp_path / "ids"))
        assert str(error.value).isprintable()
        for content in (b"\xff\xfe\x00", b"", b"\n\n"):
            (tmp_path / "ids").write_bytes(content)
            with pytest.raises(ConfigurationError, match="ids"):
                run("other", ids=str(tmp_path / "ids"))

    def test_a_terminal_shows_and_does_not_obey(self, capsys: pytest.CaptureFixture[str]) -> None:
        say("command", f"a{ESCAPES}\tb")
        assert capsys.readouterr().err == "command: a\\x1b[2J\\x9b1m\\u202e\tb\n"
        with pytest.raises(SystemExit) as stop:
            command.main([f"no{ESCAPES}", "i", "--interpreter", "gradient", "--output", "."])
        text = str(stop.value.code)
        assert text.isprintable() or "\n" in text
        assert "\x1b" not in text


class TestInputs:
    def test_what_changes_while_the_job_runs(
        self, make_job: MakeJob, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = RunFolder.write

        def write(self: RunFolder, number: int, part: Any) -> None:
            done(self, number, part)
            inputs.write_text(inputs.read_text() + "\n")

        monkeypatch.setattr(RunFolder, "write", write)
        with pytest.raises(ConfigurationError, match="was changed while it was read"):
            running.run_job(make_job(part_size=1), silent=True)
        monkeypatch.undo()
        with pytest.raises(JobError, match=r"inputs\.sha256"):
            running.run_job(make_job(part_size=1), silent=True)

    def test_a_source_that_has_fewer_than_it_said(
        self, run: Run, predictor: Predictor, tmp_path: Path
    ) -> None:
        class Shrinking(list[Any]):
            def __getitem__(self, place: Any) -> Any:
                found = super().__getitem__(place)
                return found[:-1] if isinstance(place, slice) else found

        rows = Shrinking({"sentence": one} for one in SENTENCES[:4])
        try:
            summary = run(inputs=rows)
        except JobError as error:
            assert "fewer inputs" in str(error)  # noqa: PT017
        else:
            assert summary["inputs"]["done"] == 4

    def test_a_small_file_that_is_huge_unpacked(self, tmp_path: Path) -> None:
        path = tmp_path / "inputs.jsonl.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            for _ in range(3):
                file.write(b'{"sentence": "')
                for _ in range(80):
                    file.write(b"a" * (1 << 20))
                file.write(b'"}\n')
            file.write(b'{"sentence": "good"}\n')
        assert path.stat().st_size < 4_000_000
        source = open_source(str(path), format="jsonl")
        assert source.count() == 4
        items = list(source.items(0, 4))
        assert [type(item.problem).__name__ for item in items[:3]] == ["LineTooLong"] * 3
        assert items[3].given == {"sentence": "good"}
        assert all(len(str(item.raw)) < 2000 for item in items)

    def test_a_long_line_that_is_no_input_is_shown_in_part(self, tmp_path: Path) -> None:
        path = tmp_path / "inputs.jsonl"
        path.write_text('{"sentence": "good"}\n{' + "a" * 3_000_000 + "\n")
        broken = next(open_source(str(path)).items(1, 2))
        assert broken.problem is not None
        assert len(broken.raw) < 2000

    @pytest.mark.parametrize("at", range(0, 100, 7))
    def test_a_parquet_file_with_another_byte(self, tmp_path: Path, at: int) -> None:
        """Behind its rows stands what its columns are: each such file is refused, or read."""
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "inputs.parquet"
        parquet.write_table(arrow.table({"sentence": ["a good film", "bad"] * 50}), path)
        content = bytearray(path.read_bytes())
        place = len(content) - 9 - at
        for value in (0, 0x7F, 0xFF):
            content[place] = value
            path.write_bytes(bytes(content))
            try:
                source = open_source(str(path))
                count = source.count()
                assert count >= 0
                list(source.items(0, min(count, 200)))
            except ConfigurationError as error:
                assert "inputs.parquet" in str(error)  # noqa: PT017

    def test_objects_that_cannot_be_copied(self, run: Run, tmp_path: Path) -> None:
        """They cost an error each."""
        rows = [{"sentence": SENTENCES[0]}, {"sentence": SENTENCES[1], "file": iter(()).__iter__()}]
        rows[1]["lock"] = (one for one in ())
        summary = run(inputs=rows)
        assert summary["inputs"] == {"of": 2, "done": 2, "explained": 1, "failed": 1}

    def test_an_id_that_utf8_cannot_hold(self, run: Run, inputs: Path, tmp_path: Path) -> None:
        pytest.importorskip("pyarrow")
        inputs.write_text('{"id": "\\ud800", "sentence": "good"}\n')
        assert run(output_format="parquet")["complete"]
        (row,) = RunFolder(tmp_path / "run").rows()
        assert row["id"] == "\ud800"
        assert encoder("parquet")([row])


class TestModels:
    @pytest.mark.parametrize("status", [0, 7, "why"])
    def test_that_end_the_process(
        self, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Any
    ) -> None:
        part = Explainer.part

        def ends(self: Explainer, items: Iterable[Item]) -> Any:
            items = list(items)
            if items[0].number:
                raise SystemExit(status)
            return part(self, items)

        monkeypatch.setattr(Explainer, "part", ends)
        with pytest.raises(JobError, match=rf"ended the process \({status}\)"):
            running.run_job(make_job(), silent=True)
        assert list(RunFolder(tmp_path / "run").done()) == [0]

    def test_that_go_into_another_folder(
        self, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "else").mkdir()
        monkeypatch.chdir(tmp_path)
        part = Explainer.part

        def goes(self: Explainer, items: Iterable[Item]) -> Any:
            os.chdir(tmp_path / "else")
            return part(self, items)

        monkeypatch.setattr(Explainer, "part", goes)
        relative = Job(**{**vars(make_job()), "output": "run"})
        running.run_job(relative, silent=True)
        assert not list((tmp_path / "else").iterdir())
        assert len(list((tmp_path / "run").glob("part-*"))) == 3

    def test_whose_explanations_are_not_whole(self) -> None:
        """Of other people's interpreters, what is not finite is null in JSON."""
        counted = Statistics(["x"])
        explanation = {
            "target": {"label": ESCAPES},
            "inputs": [{"field": "f", "tokens": ["a", "b"], "attributions": [None, 1.0]}],
            "convergence_delta": None,
            "warnings": None,
            "details": None,
        }
        counted.add("x", {"instance_1": {"explanation": explanation}})
        counted.add("x", {"instance_1": {"grad_input_1": 0.5, "grad_input_2": [1, 2]}})
        found = counted.to_json()["interpreters"]["x"]
        assert found["labels"][ESCAPES]["tokens"] == {"a": [1, 0.0, 0.0], "b": [1, 1.0, 1.0]}
        assert counted.tokens == 4

    def test_each_of_whose_inputs_has_a_label_of_its_own(self) -> None:
        """As that of a text that is written: the summary does not grow with them."""
        states = []
        for number in range(40):
            labels = {
                f"{number}-{n}": {"explanations": 1, "tokens": {f"t{n}": [1, 1.0, 1.0]}}
                for n in range(MOST_LABELS)
            }
            labels["often"] = {"explanations": 5, "tokens": {"x": [1, 2.0, 2.0]}}
            own = {"rows": 69, "explanations": 69, "tokens": 69, "judged": 0, "not_converged": 0}
            own |= {"deltas": [], "warnings": {}, "labels": labels}
            statistics = {"inputs": 69, "failed": 0, "interpreters": {"x": own}}
            states.append({"statistics": statistics, "rows": 69, "tokens": 69, "errors": []})
        summary, _ = summary_of(config(), states)
        labels = summary["interpreters"]["x"]["labels"]
        assert len(labels) == MOST_LABELS + 1
        assert labels["often"]["explanations"] == 200
        assert sum(one["explanations"] for one in labels.values()) == 40 * 69


@pytest.mark.parametrize(
    "interpreters",
    [
        ["gradient", {"type": "integrated-gradients", "steps": 4}],
        [{"type": "smooth-gradients", "num_samples": 3}, {"type": "lime", "num_samples": 20}],
        ["lrp", {"type": "gradient-shap", "num_samples": 3}],
    ],
)
def test_the_order_of_the_parts_makes_no_difference(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreters: Any
) -> None:
    run("ascending", interpreters=interpreters)
    in_order = LocalEngine.run
    monkeypatch.setattr(
        LocalEngine, "run", lambda self, make, parts: in_order(self, make, [2, 0, 1])
    )
    run("other", interpreters=interpreters)
    assert contents(tmp_path / "other") == contents(tmp_path / "ascending")
    for number in range(3):
        monkeypatch.setattr(
            LocalEngine, "run", lambda self, make, parts, n=number: in_order(self, make, [n])
        )
        run("alone", interpreters=interpreters)
    assert contents(tmp_path / "alone") == contents(tmp_path / "ascending")
