"""Archives of Hugging Face models load like any other, from anywhere, without a network."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from allennlp.predictors import Predictor

from allennlp_saliency.compat.console import main
from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.predictors.transformers.archive import write_archive
from tests.zoo.task_models import KINDS, inputs, model, predictor, tokenizer


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("bert", "text-classification"),
        ("gpt2", "causal-lm"),
        ("t5", "seq2seq"),
        ("albert", "masked-lm"),
        ("modernbert", "token-classification"),
    ],
)
def test_same_scores(name: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_archive(
        model(name, task), tmp_path / "model.tar.gz", tokenizer(KINDS[name].tokenizer)
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    made = Predictor.from_path(str(archive))
    assert type(made) is type(predictor(name, task))
    for given in inputs(name, task):
        left, right = (
            SaliencyInterpreter.by_name("input-x-gradient")(one).interpret_json(given)  # type: ignore[attr-defined]
            for one in (made, predictor(name, task))
        )
        assert [e.target["label"] for e in left] == [e.target["label"] for e in right]
        for one, other in zip(left, right, strict=True):
            for field, same in zip(one.inputs, other.inputs, strict=True):
                assert (field.tokens, field.offsets) == (same.tokens, same.offsets)
                assert field.attributions == pytest.approx(same.attributions, abs=1e-6)


def test_safetensors_inside(tmp_path: Path) -> None:
    own = model("bert", "text-classification")
    archive = write_archive(
        own, tmp_path / "model.tar.gz", tokenizer("wordpiece"), dtype="bfloat16"
    )
    with tarfile.open(archive) as opened:
        sizes = {member.name: member.size for member in opened.getmembers()}
    count = sum(parameter.numel() for parameter in own.parameters())
    assert 2 * count < sizes["transformer/model.safetensors"] < 3 * count
    assert sizes["weights.th"] < 2000


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, archive = tmp_path / "model", tmp_path / "model.tar.gz"
    model("roberta", "question-answering").save_pretrained(folder)
    tokenizer("bytes").save_pretrained(folder)
    assert main(["archive", str(folder), str(archive)]) == 0
    assert str(archive) in capsys.readouterr().out
    given = inputs("roberta", "question-answering")[0]
    made = Predictor.from_path(str(archive), predictor_name="saliency")
    line = made.predict_json(given)
    assert {"prediction", "instance_1"} <= set(line)


def test_no_such_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", str(tmp_path / "nowhere"), str(tmp_path / "model.tar.gz")]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "model.tar.gz").exists()
