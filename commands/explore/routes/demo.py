"""The addresses of AllenNLP's demo, whose front end posted to these three of each model.

`/api/MODEL/predict` takes what `predict_json` takes, `/api/MODEL/interpret/ID` too, and gives
AllenNLP's `instance_K.grad_input_M`; `/api/MODEL/attack/ID` takes what `attack_from_json` takes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from allennlp_saliency.interpret.explanation import JsonDict

from ..answers import JsonAnswer, waited
from ..asked import checked_inputs, read_json
from ..errors import Refused
from ..models.served import ServedModel
from ..models.unsuited import unsuited_attackers
from ..models.work import ATTACKERS, attacked, interpreted, predicted
from .routes import Routes

INTERPRETERS: dict[str, JsonDict] = {
    "simple_gradient": {"type": "input-x-gradient"},
    "integrated_gradient": {"type": "integrated-gradients"},
    "smooth_gradient": {"type": "smooth-gradients"},
}
"""The methods of this project that stand for the demo's: the same formulas, without AllenNLP's
faults (its integrated gradients scale by the embedding once too often)."""
_ATTACK_KEYS = {"inputs", "input_field_to_attack", "grad_input_field", "ignore_tokens"}


class DemoRoutes(Routes):
    """What is answered to the front end of AllenNLP's demo."""

    def router(self, route_class: type[APIRoute]) -> APIRouter:
        router = APIRouter(prefix="/api/{model}", tags=["demo"], route_class=route_class)
        router.get("/", summary="What AllenNLP's demo asks of a model")(self.info)
        summary = "As AllenNLP's demo"
        router.post("/predict", summary=summary)(self.predict)
        router.post("/interpret/{interpreter}", summary=summary)(self.interpret)
        router.post("/attack/{attacker}", summary=summary)(self.attack)
        return router

    async def info(self, model: str) -> Response:
        served = self._model(model)
        refused = unsuited_attackers(served.predictor(None)[1])
        return JsonAnswer(
            {
                "id": served.name,
                "interpreters": [*INTERPRETERS],
                "attackers": [name for name in ATTACKERS if name not in refused],
                "unsuited": refused,
            }
        )

    async def predict(self, model: str, request: Request) -> Response:
        served = self._model(model)
        inputs = checked_inputs(await self._body(request), self._limits)
        name, _ = served.predictor(None)
        job = served.queue.submit(partial(predicted, served, name, inputs))
        return JsonAnswer(await waited(job, request))

    async def interpret(self, model: str, interpreter: str, request: Request) -> Response:
        served = self._model(model)
        if interpreter not in INTERPRETERS:
            raise Refused(404, f"No interpreter with id '{interpreter:.100}'")
        inputs = checked_inputs(await self._body(request), self._limits)
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

    async def attack(self, model: str, attacker: str, request: Request) -> Response:
        served = self._model(model)
        if attacker not in ATTACKERS:
            raise Refused(404, f"No attacker with id '{attacker:.100}'")
        asked = await self._body(request)
        if not isinstance(asked, dict) or not set(asked) <= _ATTACK_KEYS or "inputs" not in asked:
            raise Refused(422, f"an attack is an object of {', '.join(sorted(_ATTACK_KEYS))}")
        checked_inputs(asked["inputs"], self._limits)
        name, predictor = served.predictor(None)
        why = unsuited_attackers(predictor).get(attacker)
        if why is not None:
            raise Refused(422, f"{attacker} is not for this model: {why}")
        job = served.queue.submit(partial(attacked, served, name, attacker, asked))
        return JsonAnswer(await waited(job, request))

    def _model(self, name: str) -> ServedModel:
        if name not in self._models:
            raise Refused(404, f"No model with id {name!r:.100}")
        return self._models[name]

    async def _body(self, request: Request) -> Any:
        # The demo's front end names no type of content.
        return read_json(await request.body(), self._limits)
