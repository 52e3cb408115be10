"""The addresses give what the predictor and the interpreter give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter

from allennlp_saliency.interpret import InputXGradient, IntegratedGradients, SmoothGradients

from .conftest import SENTENCE, Models, TestClient


def post(client: TestClient, path: str, **asked: Any) -> Any:
    answer = client.post(path, json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: TestClient, path: str, **asked: Any) -> tuple[int, str]:
    answer = client.post(path, json=asked)
    return answer.status_code, answer.json()["error"]


def test_models_say_what_they_read(client: TestClient) -> None:
    found = client.get("/models").json()
    topics, writer = found["models"]
    assert (topics["name"], topics["class"]) == ("topics", "BasicClassifier")
    assert {"finance", "law"} <= set(topics["labels"])
    (predictor,) = topics["predictors"]
    assert (predictor["name"], predictor["keys"]) == ("text_classifier", ["sentence"])
    # Gold labels and rationales of the file are no input.
    assert all(set(one) == {"sentence"} for one in topics["examples"])
    (predictor,) = writer["predictors"]
    assert predictor["keys"][:2] == ["prompt", "max_new_tokens"]
    assert found["limits"]["waiting"] == 2
    assert client.get("/examples", params={"model": "topics"}).json() == {
        "examples": topics["examples"]
    }


def test_methods_are_all_that_are_registered(client: TestClient) -> None:
    found = client.get("/methods").json()
    names = [one["name"] for one in found["methods"]]
    assert sorted(names) == sorted(AnyInterpreter.list_available())


def test_predictions_are_the_predictors(client: TestClient, models: Models) -> None:
    found = post(client, "/predict", inputs=SENTENCE)["prediction"]
    _, predictor = models["topics"].predictor(None)
    assert found == predictor.predict_json(dict(SENTENCE))


def test_explanations_are_the_interpreters(client: TestClient, models: Models) -> None:
    parameters = {"type": "integrated-gradients", "steps": 16, "target": "logit"}
    found = post(client, "/interpret", inputs=SENTENCE, interpreter=parameters)
    _, predictor = models["topics"].predictor(None)
    (wanted,) = IntegratedGradients(predictor, steps=16, target="logit").interpret_json(SENTENCE)
    (instance,) = found["instances"]
    assert instance["explanation"] == json.loads(json.dumps(wanted.to_json()))
    assert found["prediction"]["label"] == wanted.target["label"]
    assert found["seconds"] >= 0


def test_a_model_that_writes(client: TestClient) -> None:
    asked = {"prompt": "forest granite ember ivory saddle ocean rabbit ivory", "max_new_tokens": 3}
    found = post(client, "/interpret", model="copy-lm", inputs=asked)
    assert [one["explanation"]["target"]["label"] for one in found["instances"]] == [
        "Ġsaddle",
        "Ġocean",
        "Ġrabbit",
    ]


def test_progress_comes_as_events(client: TestClient) -> None:
    headers = {"Accept": "text/event-stream"}
    asked = {"inputs": SENTENCE, "interpreter": "leave-one-out"}
    with client.stream("POST", "/interpret", json=asked, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [part.split("\n") for part in "".join(answer.iter_text()).split("\n\n") if part]
    names = [name.removeprefix("event: ") for name, _ in events]
    assert names[-1] == "result"
    assert set(names[:-1]) <= {"queued", "progress"}
    found = json.loads(events[-1][1].removeprefix("data: "))
    again = post(client, "/interpret", **asked)
    assert found["instances"] == again["instances"]


def test_an_error_comes_as_an_event(client: TestClient) -> None:
    headers = {"Accept": "text/event-stream"}
    asked = {"inputs": SENTENCE, "interpreter": {"type": "integrated-gradients", "steps": 0}}
    answer = client.post("/interpret", json=asked, headers=headers)
    assert answer.text.splitlines()[-3].startswith("event: error")
    assert "steps is an integer of at least 1, not 0" in answer.text


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ({"interpreter": {"type": "lime", "num_sample": 3}}, 422, "did you mean 'num_samples'?"),
        ({"interpreter": "integrated-gradient-s"}, 422, "did you mean 'integrated-gradients'"),
        ({"interpreter": {"type": "lime", "num_samples": "many"}}, 422, "num_samples is an int"),
        (
            {"interpreter": {"type": "gradient", "target": {"type": "logit", "label": "x"}}},
            422,
            "x",
        ),
        ({"interpreter": 3}, 422, "interpreter"),
        ({"model": "nobody"}, 404, "there is no model 'nobody'; there are: topics, copy-lm"),
        ({"predictor": "nobody"}, 404, "there are: text_classifier"),
        ({"inputs": {"text": "a"}}, 422, "the input lacks the key 'sentence'"),
        ({"inputs": {}}, 422, 'inputs is an object such as {"sentence": "…"}'),
        ({"inputs": "a"}, 422, "inputs: Input should be a valid dictionary"),
        ({"colour": 1}, 422, "colour: Extra inputs are not permitted"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_what_is_wrong_is_said(
    client: TestClient, asked: dict[str, Any], status: int, told: str
) -> None:
    found = refused(client, "/interpret", **{"inputs": SENTENCE, **asked})
    assert found[0] == status
    assert told in found[1]
    assert "Traceback" not in found[1]


def test_results_are_shown_together(client: TestClient) -> None:
    lines = []
    for method in ("gradient", "leave-one-out"):
        found = post(client, "/interpret", inputs=SENTENCE, interpreter=method)
        lines.append({"instance_1": found["instances"][0]})
        explanation = found["instances"][0]["explanation"]
        assert found["report"]["explanations"] == [explanation]
    data = post(client, "/report", lines=lines)
    (card,) = data["cards"]
    assert [one["name"] for one in card["methods"]] == ["gradient", "leave-one-out"]


def test_an_interpreter_without_explanations(client: TestClient) -> None:
    found = post(client, "/interpret", inputs=SENTENCE, interpreter="simple-gradient")
    assert found["report"] is None
    assert len(found["instances"][0]["grad_input_1"]) == 5


def test_addresses_are_described(client: TestClient) -> None:
    found = client.get("/openapi.json").json()["paths"]
    ours = {"/models", "/methods", "/examples", "/predict", "/interpret", "/report"}
    demo = {
        "/api/{model}/",
        "/api/{model}/predict",
        "/api/{model}/interpret/{interpreter}",
        "/api/{model}/attack/{attacker}",
    }
    assert set(found) == ours | demo


def test_the_demo_asked_for_predictions_and_scores(client: TestClient, models: Models) -> None:
    _, predictor = models["topics"].predictor(None)
    # The demo's front end sends no type of content.
    body = json.dumps(SENTENCE)
    assert client.post("/api/topics/predict", content=body).json() == predictor.predict_json(
        dict(SENTENCE)
    )
    for name, method in (
        ("simple_gradient", InputXGradient),
        ("integrated_gradient", IntegratedGradients),
        ("smooth_gradient", SmoothGradients),
    ):
        found = client.post(f"/api/topics/interpret/{name}", content=body).json()
        assert found == method(predictor).saliency_interpret_from_json(dict(SENTENCE)), name
    info = client.get("/api/topics/").json()
    assert info["interpreters"] == ["simple_gradient", "integrated_gradient", "smooth_gradient"]


def test_the_demo_asked_for_attacks(client: TestClient, models: Models) -> None:
    asked = {
        "inputs": SENTENCE,
        "input_field_to_attack": "tokens",
        "grad_input_field": "grad_input_1",
    }
    found = client.post("/api/topics/attack/input_reduction", content=json.dumps(asked)).json()
    assert found["original"] == ["the", "bonds", "of", "our", "lender"]
    assert len(found["final"][0]) < 5
    _, predictor = models["topics"].predictor(None)
    assert not any(module._backward_hooks for module in predictor._model.modules())


def test_an_attack_that_is_none_for_the_model_says_why(client: TestClient) -> None:
    assert client.get("/api/topics/").json()["attackers"] == ["hotflip", "input_reduction"]
    info = client.get("/api/copy-lm/").json()
    assert info["attackers"] == ["input_reduction"]
    assert "which a model has that reads whole words" in info["unsuited"]["hotflip"]
    answer = client.post("/api/copy-lm/attack/hotflip", json={"inputs": {"prompt": "violet"}})
    assert answer.status_code == 422
    assert answer.json()["error"] == f"hotflip is not for this model: {info['unsuited']['hotflip']}"


@pytest.mark.parametrize("name", ["topics", "copy-lm"])
def test_what_is_said_to_be_unsuited_fails_and_the_others_are_made(
    client: TestClient, models: Models, name: str
) -> None:
    (served,) = [one for one in client.get("/models").json()["models"] if one["name"] == name]
    (predictor,) = served["predictors"]
    unsuited = predictor["unsuited"]
    for method, why in unsuited.items():
        assert not why.startswith("interpreter"), why
        body = {"model": name, "inputs": predictor["example"], "interpreter": method}
        assert client.post("/interpret", json=body).status_code == 422, method
    assert ("attention" in unsuited) == (name == "topics")
    assert ("attribute-context" in unsuited) == (name == "topics")
    assert "integrated-gradients" not in unsuited


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/api/topics/interpret/invalid", 404, "No interpreter with id 'invalid'"),
        ("/api/topics/attack/invalid", 404, "No attacker with id 'invalid'"),
        ("/api/nobody/predict", 404, "No model with id 'nobody'"),
        ("/api/topics/attack/hotflip", 422, "an attack is an object of"),
    ],
)
def test_the_demos_errors(client: TestClient, path: str, status: int, told: str) -> None:
    answer = client.post(path, json=SENTENCE)
    assert (answer.status_code, answer.json()["error"][: len(told)]) == (status, told)
