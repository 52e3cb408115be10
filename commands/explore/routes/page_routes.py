"""The addresses that the page asks: the models, what they predict, and why."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute

from allennlp_saliency.interpret.explanation import JsonDict

from .. import forms
from ..answers import JsonAnswer, events, waited
from ..asked import checked_inputs, checked_interpreter
from ..drawn import drawn, drawn_together
from ..errors import Refused
from ..models.served import ServedModel
from ..models.work import interpreted, predicted
from ..snippets import snippets
from .bodies import Interpretation, Prediction, Results
from .routes import Routes


class PageRoutes(Routes):
    """What is answered to the page."""

    def router(self, route_class: type[APIRoute]) -> APIRouter:
        router = APIRouter(route_class=route_class)
        summary = "The models, what they read, their labels, and the limits"
        router.get("/models", summary=summary)(self.list_models)
        summary = "All methods, with what their constructors take"
        router.get("/methods", summary=summary)(self.list_methods)
        router.get("/examples", summary="Inputs to begin with")(self.list_examples)
        router.post("/predict", summary="What a model predicts")(self.predict)
        router.post(
            "/interpret",
            summary="What a model predicts, and why",
            description="With `Accept: text/event-stream`: events `queued`, `progress`, and "
            "`result` or `error` at the end. A client that leaves ends the work.",
        )(self.interpret)
        summary = "Results as the data that the page draws together"
        router.post("/report", summary=summary)(self.report)
        return router

    def list_models(self) -> JsonAnswer:
        models = [one.to_json() for one in self._models.values()]
        return JsonAnswer({"models": models, "limits": self._limits.to_json()})

    def list_methods(self) -> JsonAnswer:
        named = {key: [one.to_json() for one in own] for key, own in forms.named().items()}
        return JsonAnswer({"methods": [one.to_json() for one in forms.methods()], "named": named})

    def list_examples(self, model: str | None = None) -> JsonAnswer:
        return JsonAnswer({"examples": self._model(model).examples})

    async def predict(self, asked: Prediction, request: Request) -> Response:
        model = self._model(asked.model)
        inputs = checked_inputs(asked.inputs, self._limits)
        name, _ = model.predictor(asked.predictor)
        job = model.queue.submit(partial(predicted, model, name, inputs))
        return JsonAnswer({"prediction": await waited(job, request)})

    async def interpret(self, asked: Interpretation, request: Request) -> Response:
        model = self._model(asked.model)
        inputs = checked_inputs(asked.inputs, self._limits)
        parameters = checked_interpreter(asked.interpreter, inputs, self._limits)
        name, _ = model.predictor(asked.predictor)

        def work(watch: Callable[[], None]) -> JsonDict:
            begun = time.perf_counter()
            found = interpreted(model, name, inputs, parameters, watch)
            seconds = round(time.perf_counter() - begun, 3)
            copies = snippets(model, name, inputs, parameters)
            return {**found, "seconds": seconds, "snippets": copies, "report": drawn(found)}

        job = model.queue.submit(work)
        if "text/event-stream" in request.headers.get("accept", ""):
            stream = events(job, model.queue, request)
            return StreamingResponse(stream, media_type="text/event-stream")
        return JsonAnswer(await waited(job, request))

    def report(self, asked: Results) -> JsonAnswer:
        return JsonAnswer(drawn_together(asked.lines))

    def _model(self, name: str | None) -> ServedModel:
        if name is None:
            return next(iter(self._models.values()))
        if name not in self._models:
            there = ", ".join(self._models)
            raise Refused(404, f"there is no model {name!r:.100}; there are: {there}")
        return self._models[name]
