"""`allennlp predict` with the predictor `saliency`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import strict


class TestCommand:
    CONTENT = (
        "\ufeff"
        '{"sentence": "a good film"}\n'
        "\n"
        '{"sentence": "caf\u00e9 \u6f22\u5b57 <script>"}\r\n'
        "   \n"
        "{broken\n"
        "[]\n"
        '{"text": "no sentence"}\n'
    ).encode() + b'{"sentence": "\xff"}\n{"sentence": "bad \xc2\x85 film"}'

    @pytest.mark.parametrize("batch", ["1", "2", "16"])
    def test_every_line_has_its_line(self, predict: Any, batch: str) -> None:
        lines = predict(self.CONTENT, "--silent", "--batch-size", batch)
        assert [line.get("error", {}).get("line") for line in lines] == [
            None, None, 5, 6, 7, 8, None,
        ]  # fmt: skip
        tokens = [
            line["instance_1"]["explanation"]["inputs"][0]["tokens"]
            for line in lines
            if "error" not in line
        ]
        assert tokens == [
            ["a", "good", "film"],
            ["caf\u00e9", "\u6f22\u5b57", "<script>"],
            ["bad", "film"],
        ]
        assert lines[5]["input"] == '{"sentence": "\\xff"}'

    def test_it_prints_what_it_read_and_predicted(
        self, predict: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        predict(self.CONTENT)
        printed = capsys.readouterr().out.splitlines()
        assert 'input 2:  {"unreadable": "{broken"}' in printed
        shown = [line.removeprefix("prediction:  ") for line in printed if "prediction:  " in line]
        assert [("error" in strict(line)) for line in shown] == [False] * 2 + [True] * 4 + [False]

    def test_text_stays_readable_in_a_utf8_locale(
        self, predict: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("locale.getpreferredencoding", lambda _=True: "UTF-8")
        predict('{"sentence": "caf\u00e9"}'.encode(), "--silent")
        assert '"tokens": ["caf\u00e9"]' in (tmp_path / "out.jsonl").read_text(encoding="utf-8")

    def test_stop_at_the_first_error(self, predict: Any) -> None:
        with pytest.raises(SystemExit, match=r"error: line 5: JSONDecodeError"):
            predict(self.CONTENT, "--silent", on_error="raise")

    def test_the_dataset_reader(self, predict: Any) -> None:
        content = b'{"text": "a good film", "label": "positive"}\n{"text": "bad"}'
        lines = predict(content, "--silent", "--use-dataset-reader", "--batch-size", "2")
        assert [len(line["instance_1"]["grad_input_1"]) for line in lines] == [3, 1]

    def test_other_predictors_read_as_before(
        self, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predict: Any
    ) -> None:
        from allennlp.commands import main

        (tmp_path / "bad.jsonl").write_text('\n{"sentence": "a"}\n{broken', encoding="utf-8")
        monkeypatch.setattr("sys.argv", ["allennlp", "predict", str(archive), "bad.jsonl"])
        with pytest.raises(json.JSONDecodeError):
            main()

    def test_standard_input(
        self, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predict: Any
    ) -> None:
        import io

        from allennlp.commands import main

        stream = io.TextIOWrapper(io.BytesIO(self.CONTENT), encoding="ascii")
        monkeypatch.setattr("sys.stdin", stream)
        output = tmp_path / "out.jsonl"
        argv = ["allennlp", "predict", str(archive), "-", "--predictor", "saliency", "--silent"]
        argv += ["--predictor-args", '{"interpreter": "test-words"}', "--output-file", str(output)]
        monkeypatch.setattr("sys.argv", argv)
        main()
        lines = [strict(line) for line in output.read_text(encoding="utf-8").splitlines()]
        assert [line.get("error", {}).get("line") for line in lines] == [
            None, None, 5, 6, 7, 8, None,
        ]  # fmt: skip
