"""What an attacker might send: other sites and names, files, depth, size; and what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from allennlp.common import Registrable
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter

from allennlp_saliency.commands.explore.app import create
from allennlp_saliency.commands.explore.errors import without_paths
from allennlp_saliency.commands.explore.guard import HEADERS, Guard
from allennlp_saliency.commands.explore.limits import Limits
from allennlp_saliency.commands.explore.models.unsuited import unsuited

from .conftest import LIMITS, SENTENCE, Models, TestClient

ASKED = {"inputs": SENTENCE, "interpreter": "gradient"}


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
def test_names_of_this_machine(client: TestClient, host: str) -> None:
    assert client.get("/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "192.168.1.7:8000", "", "[::1", "a@localhost:b"],
)
def test_other_names_are_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/models", "/page/main.js", "/openapi.json"):
        assert client.get(path, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:9"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "file://localhost:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_other_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/interpret", json=ASKED, headers=headers).status_code == 403
    plain = {"Content-Type": "text/plain", **headers}
    content = json.dumps(SENTENCE)
    assert client.post("/api/topics/predict", content=content, headers=plain).status_code == 403


def test_the_page_itself_may_ask(client: TestClient) -> None:
    headers = {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/interpret", json=ASKED, headers=headers).status_code == 200


def test_no_other_site_may_read(client: TestClient) -> None:
    answer = client.options("/interpret", headers={"Access-Control-Request-Method": "POST"})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_token_is_asked_for(models: Models) -> None:
    guard = Guard(create(models, LIMITS), LIMITS, "secret", ["0.0.0.0"], loopback=False)
    client = TestClient(guard, base_url="http://192.168.1.7:8000")
    assert client.get("/").status_code == 200
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer secret2"}):
        for path in ("/models", "/methods", "/examples", "/openapi.json", "/api/topics/"):
            assert client.get(path, headers=headers).status_code == 401
        assert client.post("/interpret", json=ASKED, headers=headers).status_code == 401
    own = {"Authorization": "Bearer secret"}
    assert client.post("/interpret", json=ASKED, headers=own).status_code == 200
    own["Host"] = "evil.example"
    assert client.get("/models", headers=own).status_code == 421


@pytest.mark.parametrize(
    "path", ["/", "/page/main.js", "/models", "/nothing", "/page/../command.py", "/interpret"]
)
def test_every_answer_has_its_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/page/../command.py",
        "/page/%2e%2e/command.py",
        "/page/..%2fcommand.py",
        "/page//etc/passwd",
        "/page/__init__.py",
        "/page/index.html",
        "/page/",
        "//etc/passwd",
    ],
)
def test_only_files_of_the_page_are_given(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text


# A baseline whose texts are the lines of a file of the server.
SECRET = {"type": "samples", "file": "/etc/passwd"}


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"type": "allennlp.interpret.saliency_interpreters.SimpleGradient"}, "no interpreter"),
        ({"type": "antigravity"}, "no interpreter"),
        ({"type": "gradient", "target": {"type": "antigravity.Thing"}}, "registered name"),
        ({"type": "gradient", "target": {"type": "_pretrained"}}, "registered name"),
        (
            {"type": "gradient", "target": {"of": [{"type": "a:b"}]}},
            "registered name",
        ),
        ({"type": "attention", "matrices": "/tmp/attention"}, "names a file"),
        ({"type": "attention", "matrices": ["a"]}, "names a file"),
        ({"type": "integrated-gradients", "baseline": SECRET}, "names a file"),
        ({"type": "kernel-shap", "removal": SECRET}, "names a file"),
        (
            {"type": "kernel-shap", "removal": {"type": "baseline", "baseline": SECRET}},
            "names a file",
        ),
        ({"type": "gradient-shap", "baseline": [SECRET]}, "names a file"),
        (
            {
                "type": "noise-tunnel",
                "method": {"type": "integrated-gradients", "baseline": SECRET},
            },
            "names a file",
        ),
        ({"type": "noise-tunnel", "method": {"type": "attention", "matrices": "/tmp"}}, "file"),
        ({"type": "integrated-gradients", "steps": 2_001}, "at most 2,000"),
        ({"type": "integrated-gradients", "steps": 10**30}, "at most 2,000"),
        ({"type": "lime", "num_samples": 1e9}, "at most 2,000"),
        ({"type": "gradient", "token_budget": 10**9}, "at most 2,000"),
        ({"type": "gradient", "predictor": {}}, "unknown parameter"),
        ({"type": "gradient", "__init__": 1}, "unknown parameter"),
        ({"type": ["gradient"]}, "interpreter is a name"),
    ],
    ids=lambda value: json.dumps(value)[:70] if isinstance(value, dict) else None,
)
def test_hostile_parameters(client: TestClient, parameters: dict[str, Any], told: str) -> None:
    answer = client.post("/interpret", json={"inputs": SENTENCE, "interpreter": parameters})
    assert answer.status_code == 422
    assert told in answer.json()["error"]


def test_a_dotted_name_is_never_imported(client: TestClient, monkeypatch: Any) -> None:
    import builtins

    seen: list[str] = []
    original = builtins.__import__

    def importing(name: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)
    for base in ("target", "baseline", "normalization", "aggregation"):
        parameters = {"type": "integrated-gradients", base: {"type": "antigravity.Flying"}}
        client.post("/interpret", json={"inputs": SENTENCE, "interpreter": parameters})
    assert seen
    assert not [name for name in seen if name.startswith("antigravity")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'{"inputs": {"sentence": NaN}}', 400),
        (b'{"inputs": {"sentence": "a", "x": 1e999}}', 400),
        (b'{"inputs": {"sentence": "a"}, "interpreter": {"type": "lime", "seed": Infinity}}', 400),
        (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"inputs": {"sentence": ' + b"[" * 40 + b"]" * 40 + b"}}", 400),
        (b'{"inputs": {"sentence": ' + b"9" * 5_000 + b"}}", 400),
        (b'{"inputs": {"sentence": "\xff"}}', 400),
        (b'{"inputs": {"sentence": ["a"]}}', 422),
        (b'{"inputs": {"sentence": null}}', 422),
        (b'{"inputs": {"sentence": {"a": 1}}}', 422),
    ],
    ids=range(14),
)
def test_hostile_bodies(client: TestClient, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/interpret", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "lines",
    [
        [{"matrices": [{"file": "/etc/passwd", "array": "a"}]}],
        [{"instance_1": {"explanation": {"matrices": [{"file": "/etc/passwd"}]}}}],
        [{"instance_1": {"explanation": {"format": 1}}}],
        [{"instance_1": {"explanation": 3}}],
        [{"interpreter": {}, "target": {}}],
        [{}],
        [{"a": "b"}] * 5,
    ],
    ids=range(7),
)
def test_hostile_results(client: TestClient, lines: Any) -> None:
    answer = client.post("/report", json={"lines": lines})
    assert answer.status_code == 422
    assert "passwd" not in answer.text


def test_size_and_length_have_limits(client: TestClient) -> None:
    long = {"sentence": "a " * 10_001}
    answer = client.post("/interpret", json={"inputs": long})
    assert (answer.status_code, "20,010 characters" in answer.json()["error"]) == (413, True)
    answer = client.post("/predict", json={"inputs": {"sentence": "a" * 300_000}})
    assert (answer.status_code, "larger than" in answer.json()["error"]) == (413, True)
    several = {"inputs": {f"k{number}": "a" * 1_000 for number in range(21)}}
    assert client.post("/predict", json=several).status_code == 413
    asked = {"inputs": {"sentence": "a " * 600}, "interpreter": {"type": "attention"}}
    asked["interpreter"]["matrices"] = True
    answer = client.post("/interpret", json=asked)
    assert (answer.status_code, "matrices" in answer.json()["error"]) == (413, True)
    writing = {"model": "copy-lm", "inputs": {"prompt": "cedar", "max_new_tokens": 10**6}}
    answer = client.post("/predict", json=writing)
    assert (answer.status_code, "at most 2,000" in answer.json()["error"]) == (422, True)


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", '"><img onerror=alert(1)>', "\ud800", "\u202eabc", "\x00", " "],
    ids=ascii,
)
def test_any_text_comes_back_as_json(client: TestClient, text: str) -> None:
    body = json.dumps({"inputs": {"sentence": text}, "interpreter": "gradient"})
    headers = {"Content-Type": "application/json"}
    answer = client.post("/interpret", content=body, headers=headers)
    assert answer.headers["content-type"] == "application/json"
    assert answer.status_code in (200, 422)
    answer.json()


def test_an_unknown_error_tells_nothing(
    client: TestClient, models: Models, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def fail(*args: Any) -> Any:
        raise OSError(f"cannot read {Path.home()}/secret")

    _, predictor = models["topics"].predictor(None)
    monkeypatch.setattr(predictor, "predict_json", fail)
    answer = client.post("/predict", json={"inputs": SENTENCE})
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("the model failed (OSError)")
    assert "secret" not in answer.text
    assert "secret" in caplog.text  # the terminal says it


def test_a_fault_of_the_server_tells_nothing(models: Models) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("/home/ada/secret")

    client = TestClient(Guard(broken, Limits()), base_url="http://localhost:8000")
    answer = client.get("/models")
    assert (answer.status_code, "secret" in answer.text) == (500, False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no file /home/ada/model.tar.gz here", "no file [a path] here"),
        ("'~/models/a'", "'[a path]'"),
        (r"C:\Users\ada\x", "[a path]"),
        ("either/or, 1/2 and and/or", "either/or, 1/2 and and/or"),
        ("a" * 3_000, "a" * 2_000 + " […]"),
    ],
    ids=range(5),
)
def test_paths_are_taken_out(text: str, told: str) -> None:
    assert without_paths(text) == told


def test_a_plugin_that_cannot_be_made_does_not_keep_the_page_away(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(AnyInterpreter):
        def __init__(self, predictor: Any) -> None:
            raise RuntimeError("secret")

    registry = Registrable._registry[AnyInterpreter]
    monkeypatch.setitem(registry, "broken", (Broken, None))
    (predictor, *_) = models["topics"].predictors.values()
    assert unsuited(predictor)["broken"] == "it cannot be made: RuntimeError"
