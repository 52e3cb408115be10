"""Lines that are made to break something: each is an error in its place, or a valid result."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor

FIXTURES = Path(__file__).parents[3] / "fixtures"
SCHEMA = Path(__file__).parents[3] / "docs" / "explanation.schema.json"


def hostile(key: str, good: str) -> list[bytes]:
    """Lines, of which `good` would be the text of a good one's key."""

    def of(value: Any) -> str:
        return json.dumps({key: value})

    texts = [
        # No object.
        "5", "-0", "null", "true", '"a text"', "[]", f'[{{"{key}": "a"}}]', "Infinity", "NaN",
        # No JSON.
        "{broken", f'{{"{key}": "a",}}', f"{{'{key}': 'a'}}", f'{{"{key}": "a"', "a,b,c", "\t;",
        f'{{"{key}": "a"}} {{"{key}": "b"}}', f'{{"{key}": "a"}} // said', f'{{"{key}": "a\tb"}}',
        "<?xml version='1.0'?>", f'{{{key}: "a"}}', "\\", '{"\\u12"}', "//", "---\nkey: value",
        # Too deep, too long.
        "[" * 100_000, '{"a":' * 900 + "1" + "}" * 900, "9" * 5000, of("[" * 1000),
        of(f"{good} " * 400), of("x" * 100_000), of("\u0301" * 3000),
        # Other keys and types.
        "{}", '{"": ""}', '{"text of another model": "a"}', of(None), of(5), of(1.5), of(True),
        of(["a", "film"]), of([None]), of({"a": 1}), of([[[]]]), f'{{"{key}": NaN}}',
        f'{{"{key}": 1e400}}', f'{{"{key}": "a", "{key}": "b"}}',
        json.dumps({key: good, "prediction": 1, "error": {"type": "x"}, "instance_1": None}),
        json.dumps({key: good, "label": 99, "id": None, "\U0001f600": "\ud800"}),
        json.dumps({key: good, "type": "os.system", "__class__": "subprocess.Popen"}),
        # Odd text.
        of(""), of("   "), of("\n\n"), of("\x00"), of("\ud800"), of("a \udc00 b"), of("\ufeff"),
        of("\u202e evil \u2066 text"), of("a\u2028b\u0085c"), of("\x1b[2J\x1b]0;title\x07"),
        of("<script>alert(1)</script>"), of("[CLS] [SEP] [MASK] [PAD] <s> </s> @@UNKNOWN@@"),
        of("👩‍👩‍👧‍👦" * 50), of("{0} %s %n ${HOME} `id` $(id)"), of("../../etc/passwd"),
    ]  # fmt: skip
    bytes_of_no_text = [
        b'{"%s": "\xff\xfe"}' % key.encode(),
        b'{"%s": "\xc0\x80"}' % key.encode(),
        b'{"%s": "\xed\xa0\x80"}' % key.encode(),
        b"\x80\x04\x95cos\nsystem\n.",
        b"\x1f\x8b\x08\x00",
        b"\x00\x00",
    ]
    return [text.encode() for text in texts] + bytes_of_no_text


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


MODELS = {
    "sentiment": ("sentence", "the costume was weak."),
    "sentiment-lstm": ("sentence", "the costume was weak."),
    "copy-lm": ("prompt", "beacon violet cedar"),
    "translate": ("source", "never our lamp"),
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> tuple[SaliencyPredictor, str, str]:
    path = FIXTURES / request.param / "model.tar.gz"
    predictor = SaliencyPredictor.from_path(path, interpreter={"type": "gradient"})
    assert isinstance(predictor, SaliencyPredictor)
    key, good = MODELS[request.param]
    return predictor, key, good


@pytest.mark.parametrize("size", [1, 16])
def test_each_is_an_error_in_its_place_or_a_result(
    model: tuple[SaliencyPredictor, str, str], size: int, tmp_path: Path
) -> None:
    from allennlp_saliency.predictors.command_line import lines

    predictor, key, good = model
    content: list[bytes] = []
    fine = json.dumps({key: good}).encode()
    for number, line in enumerate(hostile(key, good)):
        content += [fine, line] if number % 8 == 0 else [line]
    given = tmp_path / "in.jsonl"
    given.write_bytes(b"\n".join(content) + b"\n" + fine)
    inputs = list(lines.read(str(given), predictor.load_numbered_line))
    # One of the lines has a line break in it.
    count = len(content) + 1 + sum(line.count(b"\n") for line in content)
    assert len(inputs) == count
    written = []
    for start in range(0, count, size):
        batch = inputs[start : start + size]
        for one in batch:
            json.dumps(one)
        found = (
            [predictor.predict_json(batch[0])]
            if len(batch) == 1
            else predictor.predict_batch_json(list(batch))
        )
        written += [predictor.dump_line(line) for line in found]
    assert len(written) == count
    expected = strict(predictor.dump_line(predictor.predict_json({key: good})))
    texts = given.read_bytes().split(b"\n")
    for number, line in enumerate(written, start=1):
        assert len(line.splitlines()) == 1
        one = strict(line)
        if texts[number - 1] == fine:
            check_same(one, expected)
        elif "error" in one:
            assert one["error"]["line"] == number
            check_message(one["error"]["message"])
            assert "input" in one
        else:
            assert "prediction" in one
            check_scores(one)


def check_same(one: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(one) == list(expected)
    for key in expected:
        if key.startswith("instance_"):
            # Other batches, other sums: single precision.
            scores = one[key]["grad_input_1"]
            assert scores == pytest.approx(expected[key]["grad_input_1"], abs=1e-4)


def check_message(message: str) -> None:
    """It says what is wrong in words that are about the input."""
    assert len(message) > 10
    foreign = ("encode_plus", "TextEncodeInput", "Union[", "'generated'", "is_split_into_words")
    assert not [word for word in foreign if word in message], message


def check_scores(line: dict[str, Any]) -> None:
    for key, instance in line.items():
        if key.startswith("instance_"):
            for one in instance["explanation"]["inputs"]:
                assert all(map(math.isfinite, one["attributions"]))


def test_an_error_line_has_no_prediction_of_memory_that_is_not_there(
    model: tuple[SaliencyPredictor, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is copied into a line may be what ends the memory: it costs no other line."""
    from allennlp_saliency.predictors.saliency import json_lines
    from allennlp_saliency.predictors.saliency import predictor as module

    predictor, key, good = model
    original = module.to_jsonable

    def little(value: Any) -> Any:
        if isinstance(value, dict) and ("prediction" in value or key not in value):
            raise MemoryError("std::bad_alloc")
        return original(value)

    monkeypatch.setattr(module, "to_jsonable", little)
    monkeypatch.setattr(json_lines, "to_jsonable", little)
    (line, other) = predictor.predict_batch_json([{key: good}, {"none": good}])
    assert line["error"] == {"type": "MemoryError", "message": "std::bad_alloc", "line": None}
    assert line["prediction"] is None
    assert line["input"] == {key: good}
    assert other["error"]["type"] == "InterpretationError"
    assert other["input"] is None
    monkeypatch.undo()

    def nothing(line: Any) -> str:
        if "error" not in line:
            raise MemoryError
        return json.dumps(line)

    monkeypatch.setattr(module, "to_json_line", nothing)
    dumped = strict(predictor.dump_line(predictor.predict_json({key: good})))
    assert dumped["error"]["type"] == "MemoryError"
