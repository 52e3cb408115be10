"""The addresses of AllenNLP's demo, whose front end posted to these three of each model.

`/api/MODEL/predict` takes what `predict_json` takes, `/api/MODEL/interpret/ID` too, and gives
AllenNLP's `instance_K.grad_input_M`; `/api/MODEL/attack/ID` takes what `attack_from_json` takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response

from allennlp_saliency.interpret.explanation import JsonDict

from .answers import JsonAnswer, waited
from .asked import checked_inputs, read_json
from .errors import Refused
from .limits import Limits
from .models.served import ServedModel
from .models.unsuited import unsuited_attackers
from .models.work import ATTACKERS, attacked, interpreted, predicted

INTERPRETERS: dict[str, JsonDict] = {
    "simple_gradient": {"type": "input-x-gradient"},
    "integrated_gradient": {"type": "integrated-gradients"},
    "smooth_gradient": {"type": "smooth-gradients"},
}
"""The methods of this project that stand for the demo's: the same formulas, without AllenNLP's
faults (its integrated gradients scale by the embedding once too often)."""
_ATTACK_KEYS = {"inputs", "input_field_to_attack", "grad_input_field", "ignore_tokens"}


def add(app: FastAPI, models: Mapping[str, ServedModel], limits: Limits) -> None:
    """Adds the addresses to an application."""

    def model_of(name: str) -> ServedModel:
        if name not in models:
            raise Refused(404, f"No model with id {name!r:.100}")
        return models[name]

    async def body_of(request: Request) -> Any:
        # The demo's front end names no type of content.
        return read_json(await request.body(), limits)

    @app.get("/api/{model}/", summary="What AllenNLP's demo asks of a model", tags=["demo"])
    async def info(model: str) -> Response:
        served = model_of(model)
        refused = unsuited_attackers(served.predictor(None)[1])
        return JsonAnswer(
            {
                "id": served.name,
                "interpreters": [*INTERPRETERS],
                "attackers": [name for name in ATTACKERS if name not in refused],
                "unsuited": refused,
            }
        )

    @app.post("/api/{model}/predict", summary="As AllenNLP's demo", tags=["demo"])
    async def predict(model: str, request: Request) -> Response:
        served = model_of(model)
        inputs = checked_inputs(await body_of(request), limits)
        name, _ = served.predictor(None)
        job = served.queue.submit(partial(predicted, served, name, inputs))
        return JsonAnswer(await waited(job, request))

    @app.post("/api/{model}/interpret/{interpreter}", summary="As AllenNLP's demo", tags=["demo"])
    async def interpret(model: str, interpreter: str, request: Request) -> Response:
        served = model_of(model)
        if interpreter not in INTERPRETERS:
            raise Refused(404, f"No interpreter with id '{interpreter:.100}'")
        inputs = checked_inputs(await body_of(request), limits)
        name, _ = served.predictor(None)
        parameters = INTERPRETERS[interpreter]
        job = served.queue.submit(partial(interpreted, served, name, inputs, parameters))
        found = await waited(job, request)
        return JsonAnswer(
            {
                f"instance_{number}": {
                    key: scores for key, scores in instance.items() if key != "explanation"
                }
                for number, instance in enumerate(found["instances"], start=1)
            }
        )

    @app.post("/api/{model}/attack/{attacker}", summary="As AllenNLP's demo", tags=["demo"])
    async def attack(model: str, attacker: str, request: Request) -> Response:
        served = model_of(model)
        if attacker not in ATTACKERS:
            raise Refused(404, f"No attacker with id '{attacker:.100}'")
        asked = await body_of(request)
        if not isinstance(asked, dict) or not set(asked) <= _ATTACK_KEYS or "inputs" not in asked:
            raise Refused(422, f"an attack is an object of {', '.join(sorted(_ATTACK_KEYS))}")
        checked_inputs(asked["inputs"], limits)
        name, predictor = served.predictor(None)
        why = unsuited_attackers(predictor).get(attacker)
        if why is not None:
            raise Refused(422, f"{attacker} is not for this model: {why}")
        job = served.queue.submit(partial(attacked, served, name, attacker, asked))
        return JsonAnswer(await waited(job, request))
