"""Folders of runs, and files in them, that somebody has made to do harm, or that just happen."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.jobs import Job, JobError, RunFolder, merge_runs
from allennlp_saliency.jobs.models import model_identity
from tests.jobs.conftest import FOLDER, MakeJob, contents, in_child

from .canned import write_all

Run = Callable[..., dict[str, Any]]
DEEP = "[" * 100_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_all(tmp_path / "run")
    return tmp_path / "run"


def change_config(folder: Path, **changed: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


class TestFolders:
    def test_a_models_folder_is_no_runs(self, run: Run, tmp_path: Path) -> None:
        """Its config.json is the model's, and --overwrite would remove it."""
        model = tmp_path / "model"
        model.mkdir()
        (model / "config.json").write_text('{"architectures": ["BertModel"]}')
        for overwrite in (False, True):
            with pytest.raises(ConfigurationError, match=r"config\.json that is no run's"):
                run("model", overwrite=overwrite)
        assert [one.name for one in model.iterdir()] == ["config.json"]

    def test_a_damaged_run_may_be_overwritten(self, run: Run, tmp_path: Path) -> None:
        run()
        before = contents(tmp_path / "run")
        (tmp_path / "run" / "config.json").write_text('{"settings": ')
        with pytest.raises(JobError, match=r"config\.json cannot be read"):
            run()
        run(overwrite=True)
        assert contents(tmp_path / "run") == before

    @pytest.mark.parametrize("name", [".state", ".state/locks"])
    def test_the_files_of_another_folder_are_left_alone(
        self, run: Run, tmp_path: Path, name: str
    ) -> None:
        home = tmp_path / "home"
        home.mkdir()
        (home / "thesis.tex").write_text("years")
        link = tmp_path / "run" / name
        link.parent.mkdir(parents=True)
        link.symlink_to(home)
        shutil.copy(write_all(tmp_path / "other").path / "config.json", tmp_path / "run")
        for overwrite in (False, True):
            with pytest.raises(ConfigurationError, match="is a link, and no run's"):
                run(overwrite=overwrite)
        assert [one.name for one in home.iterdir()] == ["thesis.tex"]

    @pytest.mark.parametrize(
        "name",
        [
            ".state/times.jsonl",
            ".state/locks/finishing",
            ".state/part-00001-of-00003.jsonl.writing",
            ".state/.part-00001.json.writing",
            ".state/part-00001.json",
            "part-00001-of-00003.jsonl",
            "..config.json.writing",
            ".config.json.writing",
            "errors.jsonl",
        ],
    )
    @pytest.mark.parametrize("kind", ["link", "pipe"])
    def test_nothing_is_written_through_links_and_pipes(
        self, tmp_path: Path, name: str, kind: str
    ) -> None:
        victim = tmp_path / "victim"
        victim.write_text("years")
        path = write_all(tmp_path / "run").path if "config" not in name else tmp_path / "run"
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).unlink(missing_ok=True)
        (path / ".state" / "part-00002.json").unlink(missing_ok=True)
        if kind == "link":
            (path / name).symlink_to(victim)
        else:
            os.mkfifo(path / name)

        def do() -> None:
            try:
                write_all(path)
            except (JobError, ConfigurationError):
                os._exit(3)

        assert in_child(lambda: _within(20, do)) in (0, 3)
        assert victim.read_text() == "years"

    def test_an_input_in_the_folder_of_the_run(self, run: Run, tmp_path: Path) -> None:
        run("first")
        path = tmp_path / "first" / "part-00000-of-00003.jsonl"
        before = path.read_bytes()
        with pytest.raises(ConfigurationError, match="is in the output"):
            run("first", inputs=[str(path)], overwrite=True)
        assert path.read_bytes() == before

    def test_a_run_in_the_folder_of_its_model(self, tmp_path: Path, make_job: MakeJob) -> None:
        model = tmp_path / "model"
        model.mkdir()
        shutil.unpack_archive(FOLDER / "model.tar.gz", model)
        job = make_job("model/run", model=str(model), predictor=None)
        predictor: Any = None
        before = model_identity(job, predictor)
        write_all(model / "run")
        assert model_identity(job, predictor) == before

    def test_names_with_everything_in_them(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "a b\n").mkdir()
        assert run("a b\n/é\x1b[2J*")["complete"]
        assert run("a b\n/é\x1b[2J*")["complete"]

    @pytest.mark.parametrize("output", ["", 5, "a\0b", ["run"]])
    def test_an_output_that_is_no_path(self, output: Any) -> None:
        with pytest.raises(ConfigurationError, match="output is the path of a folder"):
            Job("m", "i", "gradient", output=output)

    def test_a_disk_without_locks(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(*_: Any) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", refuse)
        write_all(tmp_path / "run")
        assert "cannot be locked" in caplog.text


class TestConfigs:
    @pytest.mark.parametrize(
        "changed",
        [
            {"settings": []},
            {"settings": {}},
            {"settings": {"output_format": "jsonl/../../x", "part_size": 2, "interpreters": []}},
            {"settings": {"output_format": "jsonl", "part_size": 0, "interpreters": []}},
            {"parts": "3"},
            {"parts": -1},
            {"parts": 10**12},
            {"inputs": None},
            {"inputs": {"count": "x"}},
            {"versions": 3},
        ],
    )
    def test_of_wrong_kinds(self, folder: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
        change_config(folder, **changed)
        with pytest.raises(JobError, match=r"config\.json is no run's"):
            RunFolder(folder)
        with pytest.raises(JobError, match=r"config\.json is no run's"):
            merge_runs([folder], tmp_path / "merged")
        with pytest.raises(JobError, match=r"config\.json is no run's"):
            write_all(folder)

    def test_of_interpreters_without_a_name(self, folder: Path) -> None:
        settings = json.loads((folder / "config.json").read_text())["settings"]
        change_config(folder, settings={**settings, "interpreters": [{"steps": 2}, 3]})
        with pytest.raises(JobError, match="is no run's"):
            write_all(folder)

    def test_of_a_newer_version(self, folder: Path) -> None:
        change_config(folder, format=2)
        with pytest.raises(JobError, match="has format 2, and this version reads 1"):
            write_all(folder)

    def test_that_is_nested_deeply(self, folder: Path) -> None:
        (folder / "config.json").write_text(DEEP)
        with pytest.raises(JobError, match="cannot be read"):
            write_all(folder)


@pytest.mark.parametrize(
    "state",
    [
        "",
        "[]",
        "5",
        "{}",
        DEEP,
        '{"bytes": SIZE}',
        '{"bytes": SIZE, "rows": 1, "tokens": 1, "statistics": {}, "errors": []}',
        '{"bytes": SIZE, "rows": 1, "tokens": 1, "statistics": {"inputs": 1, "failed": -1, '
        '"interpreters": {}}, "errors": []}',
        '{"bytes": SIZE, "rows": 1, "tokens": 1, "statistics": {"inputs": 1, "failed": 0, '
        '"interpreters": {}}, "errors": [5]}',
    ],
)
def test_a_part_whose_state_is_none_is_done_again(folder: Path, state: str) -> None:
    before = contents(folder)
    size = (folder / "part-00001-of-00003.jsonl").stat().st_size
    (folder / ".state" / "part-00001.json").write_text(state.replace("SIZE", str(size)))
    write_all(folder)
    assert contents(folder) == before


def test_a_part_that_was_changed_is_not_merged(folder: Path, tmp_path: Path) -> None:
    path = folder / "part-00001-of-00003.jsonl"
    path.write_bytes(path.read_bytes().replace(b"gradient", b"tneidarg"))
    with pytest.raises(JobError, match=r"part-00001-of-00003\.jsonl was changed"):
        merge_runs([folder], tmp_path / "merged")


def test_a_part_that_was_moved_away_is_done_again(run: Run, tmp_path: Path) -> None:
    run()
    before = contents(tmp_path / "run")
    (tmp_path / "run" / "part-00001-of-00003.jsonl").rename(tmp_path / "aside")
    run()
    assert contents(tmp_path / "run") == before


def _within(seconds: int, do: Callable[[], object]) -> None:
    signal.alarm(seconds)  # ends the process: what waits for a pipe waits for ever
    do()
