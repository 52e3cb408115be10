"""A job from its settings to its folder: what is in it, and that it goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import IntegratedGradients
from allennlp_saliency.jobs import Job, JobError, RunFolder, merge_runs, run_job
from allennlp_saliency.jobs import run as running
from allennlp_saliency.jobs.engines import local

from .conftest import FOLDER, SENTENCES, MakeJob, contents, read_lines, write_lines

Run = Callable[..., dict[str, Any]]


def rows_in(folder: Path) -> list[Any]:
    return list(RunFolder(folder).rows())


def test_the_folder(run: Run, tmp_path: Path, predictor: Predictor) -> None:
    both = ["gradient", {"type": "integrated-gradients", "steps": 4}]
    summary = run(interpreters=both)
    folder = tmp_path / "run"
    names = {name for name in contents(folder) if not name.startswith(".")}
    parts = [f"part-0000{number}-of-00003.jsonl" for number in range(3)]
    assert names == {"config.json", "errors.jsonl", "summary.json", *parts}
    assert (folder / "errors.jsonl").read_bytes() == b""
    rows = [row for part in parts for row in read_lines(folder / part)]
    assert [row["id"] for row in rows[::2]] == [f"s{number}" for number in range(10)]
    assert [row["interpreter"] for row in rows[:3]] == [
        "gradient",
        "integrated-gradients",
        "gradient",
    ]
    assert list(rows[0]) == ["id", "line", "interpreter", "prediction", "instance_1"]
    assert rows[19]["line"] == 10
    assert rows[19]["prediction"]["label"] in ("positive", "negative")
    (alone,) = IntegratedGradients(predictor, steps=4).interpret_json(SENTENCES[9])
    found = rows[19]["instance_1"]["explanation"]
    assert found["interpreter"]["steps"] == 4
    assert found["inputs"][0]["tokens"] == alone.inputs[0].tokens
    assert found["inputs"][0]["attributions"] == pytest.approx(
        alone.inputs[0].attributions, abs=1e-5
    )
    assert summary["complete"]
    assert summary["inputs"] == {"of": 10, "done": 10, "explained": 10, "failed": 0}
    assert summary["rows"] == 20
    tokens = sum(len(row["instance_1"]["explanation"]["inputs"][0]["tokens"]) for row in rows)
    assert summary["tokens"] == tokens
    own = summary["interpreters"]["integrated-gradients"]
    deltas = sorted(
        abs(row["instance_1"]["explanation"]["convergence_delta"]) for row in rows[1::2]
    )
    assert own["largest_delta"] == deltas[-1]
    assert own["median_delta"] == pytest.approx((deltas[4] + deltas[5]) / 2)
    assert summary["timing"]["tokens_per_second"] > 0


def test_a_complete_run_is_left_as_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    before = contents(tmp_path / "run")
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/part-*")}
    monkeypatch.setattr(local.LocalEngine, "run", None)
    assert run()["complete"]
    assert contents(tmp_path / "run") == before
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/part-*")} == times


def test_shards_are_pieces_of_the_whole(run: Run, tmp_path: Path) -> None:
    run("whole")
    first = run("together", shard=(0, 2))
    assert not first["complete"]
    assert first["parts"] == {"complete": 2, "of": 3}
    assert run("together", shard=(1, 2))["complete"]
    assert contents(tmp_path / "together") == contents(tmp_path / "whole")
    run("one", shard=(0, 2))
    with pytest.raises(JobError, match=r"1 of 3 parts are complete in none .* \(number 1\)"):
        merge_runs([tmp_path / "one"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    run("other", shard=(1, 2))
    assert merge_runs([tmp_path / "one", tmp_path / "other"], tmp_path / "merged")["complete"]
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")
    run("else", max_tokens=100)
    with pytest.raises(JobError, match="max_tokens: null there, 100 here"):
        merge_runs([tmp_path / "one", tmp_path / "else"], tmp_path / "no")


def test_runs_of_which_one_has_other_rows_are_not_merged(run: Run, tmp_path: Path) -> None:
    run("one")
    run("other")
    folder = RunFolder(tmp_path / "other")
    state = folder.state_path(1)
    sha = folder.state(1)["sha256"]  # type: ignore[index]
    state.write_text(state.read_text().replace(sha, "0" * 64))
    with pytest.raises(JobError, match=r"part 1 has other rows in .*one than in .*other"):
        merge_runs([tmp_path / "one", tmp_path / "other"], tmp_path / "merged")


@pytest.fixture
def spoilt(predictor: Predictor) -> Predictor:
    """A model that gives NaN for sentences with the word "weak"."""
    spoilt = Predictor.from_path(str(FOLDER / "model.tar.gz"), import_plugins=False)
    vocabulary = spoilt._dataset_reader._tokenizer.tokenizer.get_vocab()  # type: ignore[attr-defined]
    ((_, matrix),) = (
        pair for pair in spoilt._model.named_parameters() if "word_embeddings" in pair[0]
    )
    with torch.no_grad():
        matrix[vocabulary["weak"]] = float("nan")
    return spoilt


def test_each_input_that_fails_costs_one_error(
    run: Run, inputs: Path, tmp_path: Path, spoilt: Predictor
) -> None:
    good = [one for one in SENTENCES if "weak" not in one][:8]
    rows: list[Any] = [{"sentence": one} for one in good]
    long = " ".join(["great"] * 5000)
    rows[2:2] = ['{"sentence": ', {"sentence": ""}, {"sentence": long}]
    rows[6:6] = [{"sentence": "the film was weak."}, {"text": "no key"}]
    write_lines(inputs, rows)
    both = ["gradient", {"type": "integrated-gradients", "steps": 4}]
    summary = run(model=spoilt, max_tokens=400, interpreters=both, part_size=13)
    errors = read_lines(tmp_path / "run" / "errors.jsonl")
    found = {error["line"]: error for error in errors}
    assert sorted(found) == [3, 4, 5, 7, 8]
    assert len(errors) == 5
    assert summary["inputs"] == {"of": 13, "done": 13, "explained": 8, "failed": 5}
    assert all(error["interpreter"] is None for error in errors)
    assert found[3]["error"]["type"] == "JSONDecodeError"
    assert found[3]["input"] == '{"sentence": '
    assert found[4]["error"]["message"] == "the input has no text, so there is nothing to explain"
    assert "has 5,002 tokens, and max_tokens is 400" in found[5]["error"]["message"]
    assert found[7]["input"] == {"sentence": "the film was weak."}
    assert "lacks the key 'sentence'" in found[8]["error"]["message"]
    assert len(rows_in(tmp_path / "run")) == 16


def test_errors_may_be_tried_again(
    run: Run, inputs: Path, tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("whole")
    forward = type(predictor._model).forward

    def fails_in_the_second_part(self: Any, **tensors: Any) -> Any:
        if tensors["tokens"]["tokens"]["token_ids"].shape[0] and failing[0]:
            raise MemoryError("no memory")
        return forward(self, **tensors)

    failing = [False]
    part = running.WorkerRecipe.__call__

    def worker(recipe: Any) -> Any:
        made = part(recipe)
        do = made.part

        def one(number: int) -> Any:
            failing[0] = number == 1
            try:
                return do(number)
            finally:
                failing[0] = False

        made.part = one
        return made

    with monkeypatch.context() as patched:
        patched.setattr(type(predictor._model), "forward", fails_in_the_second_part)
        patched.setattr(running.WorkerRecipe, "__call__", worker)
        assert run()["inputs"]["failed"] == 4
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/part-*")}
    assert run()["inputs"]["failed"] == 4
    assert run(retry_errors=True)["inputs"]["failed"] == 0
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/part-*")}
    assert [before[path] != after[path] for path in sorted(after)] == [False, True, False]
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_some_of_the_inputs(run: Run, tmp_path: Path) -> None:
    assert run("limited", limit=5)["inputs"]["of"] == 5
    assert [row["id"] for row in rows_in(tmp_path / "limited")] == ["s0", "s1", "s2", "s3", "s4"]
    ids = tmp_path / "ids.txt"
    ids.write_text("s7\ns2\n\ns3\n")
    run("chosen", ids=ids)
    assert [row["id"] for row in rows_in(tmp_path / "chosen")] == ["s2", "s3", "s7"]
    assert [row["line"] for row in rows_in(tmp_path / "chosen")] == [3, 4, 8]
    ids.write_text("s7\n")
    with pytest.raises(JobError, match="ids: "):
        run("chosen", ids=ids)
    with pytest.raises(ConfigurationError, match=r"no input of .* has the id 's99'"):
        run("no", ids=["s1", "s99"])


def test_formats_hold_the_same(run: Run, tmp_path: Path) -> None:
    for name in ("jsonl", "jsonl.zst", "parquet"):
        run(name, output_format=name)
    assert rows_in(tmp_path / "jsonl.zst") == rows_in(tmp_path / "jsonl")
    assert rows_in(tmp_path / "parquet") == rows_in(tmp_path / "jsonl")


def test_overwrite(run: Run, tmp_path: Path) -> None:
    run("whole", limit=4)
    run()
    with pytest.raises(JobError, match="limit: null there, 4 here"):
        run(limit=4)
    run(limit=4, overwrite=True)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_second_process_is_refused_before_it_loads_the_model(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []

    def loading(job: Job) -> Any:
        with pytest.raises(JobError, match="another process is at work on these parts"):
            run_job(make_job(), silent=True)
        seen.append(job)
        raise ConfigurationError("enough")

    monkeypatch.setattr(running, "opened", loading)
    with pytest.raises(ConfigurationError, match="enough"):
        run_job(make_job(), silent=True)
    assert len(seen) == 1


def test_a_setting_that_fits_no_input_ends_the_job(run: Run, tmp_path: Path) -> None:
    with pytest.raises((JobError, ConfigurationError), match="label"):
        run(target={"type": "logit", "label": "no such"})
    assert not list(tmp_path.glob("run/part-*"))


def test_a_failed_start_leaves_a_folder_that_another_job_may_take(run: Run) -> None:
    with pytest.raises(ConfigurationError, match="no-such"):
        run(interpreters="no-such")
    assert run()["complete"]


def test_what_waits_is_written_when_the_job_is_interrupted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("whole")

    def until_interrupted(self: Any, make: Any, parts: Any) -> Any:
        worker = make()
        yield 0, worker.part(0)
        yield 1, worker.part(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(local.LocalEngine, "run", until_interrupted)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert list(RunFolder(tmp_path / "run").done()) == [0, 1]
    summary = contents(tmp_path / "run")["summary.json"]
    assert summary["parts"] == {"complete": 2, "of": 3}
    run()
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_the_size_of_batches_is_measured_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allennlp_saliency.jobs.batch_tokens._CANDIDATES", {"cpu": (512, 64)})
    run(batch_tokens="auto")
    number = RunFolder(tmp_path / "run").config["settings"]["batch_tokens"]
    assert number in (512, 64)
    monkeypatch.setattr("allennlp_saliency.jobs.batch_tokens.fastest", None)
    assert run(batch_tokens="auto")["complete"]
    run("same", batch_tokens=number)
    assert contents(tmp_path / "same") == contents(tmp_path / "run")


def test_versions_that_differ_are_told(
    run: Run, make_job: MakeJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace(f'"torch": "{torch.__version__}"', '"torch": "1"'))
    run_job(make_job(), "allennlp interpret")
    told = capsys.readouterr().err
    assert f"begun with other versions (torch: 1 there, {torch.__version__} here)" in told


def test_threads_are_recorded_and_a_run_goes_on_with_others(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    config = tmp_path / "run" / "config.json"
    begun = config.read_bytes()
    assert json.loads(begun)["torch_threads"] == torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    assert run()["complete"]
    assert config.read_bytes() == begun


def test_a_run_without_a_complete_part_makes_room_for_another(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(local.LocalEngine, "run", None)
        with pytest.raises(TypeError):
            run(max_tokens=7)
    assert run()["complete"]
    run("whole")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_no_inputs(run: Run, inputs: Path) -> None:
    inputs.write_text("\n")
    with pytest.raises(ConfigurationError, match="has no inputs"):
        run()


def test_nothing_of_the_predictor_is_changed(run: Run, predictor: Predictor) -> None:
    before = {name: one.clone() for name, one in predictor._model.state_dict().items()}
    run(interpreters=["gradient", "integrated-gradients"], limit=4)
    after = predictor._model.state_dict()
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    assert not any(one.grad is not None for one in predictor._model.parameters())
