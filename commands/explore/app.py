"""The addresses: the page, the models, what they predict and why, and those of AllenNLP's demo."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.version import VERSION

from . import demo, forms, page
from .answers import JsonAnswer, events, waited
from .asked import checked_inputs, checked_interpreter, read_json
from .drawn import drawn, drawn_together
from .errors import Refused
from .limits import Limits
from .models.served import ServedModel
from .models.work import interpreted, predicted
from .snippets import snippets


class Prediction(BaseModel):
    """A request for a prediction."""

    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, Any] = Field(
        description="what the predictor reads",
        examples=[{"sentence": "a quiet film with a great heart"}],
    )
    model: str | None = Field(None, description="a name of /models; the first one by default")
    predictor: str | None = Field(None, description="a registered name; the default one if none")


class Results(BaseModel):
    """Results to be shown together."""

    model_config = ConfigDict(extra="forbid")

    lines: list[dict[str, Any]] = Field(
        description='lines of the output of `allennlp predict`: {"instance_1": {"explanation": …}}'
    )


class Interpretation(Prediction):
    """A request for an explanation."""

    interpreter: str | dict[str, Any] = Field(
        "integrated-gradients",
        description="a name of /methods, or an object of it as `type` and of parameters",
    )


def create(models: Mapping[str, ServedModel], limits: Limits) -> FastAPI:
    """The application, which lets anybody in: see `Guard`.

    Args:
        models: The models by name, the default one first.
        limits: What a request may ask for.
    """
    app = FastAPI(
        title="allennlp explore",
        version=VERSION,
        description="What a model predicts, and why.",
        default_response_class=JsonAnswer,
        docs_url=None,  # it would come from another site
        redoc_url=None,
    )
    app.router.route_class = _strict(limits)
    _handle_errors(app)
    page.add(app)
    demo.add(app, models, limits)

    def model_of(name: str | None) -> ServedModel:
        if name is None:
            return next(iter(models.values()))
        if name not in models:
            raise Refused(404, f"there is no model {name!r:.100}; there are: {', '.join(models)}")
        return models[name]

    @app.get("/models", summary="The models, what they read, their labels, and the limits")
    def list_models() -> JsonAnswer:
        return JsonAnswer(
            {"models": [one.to_json() for one in models.values()], "limits": limits.to_json()}
        )

    @app.get("/methods", summary="All methods, with what their constructors take")
    def list_methods() -> JsonAnswer:
        named = {key: [one.to_json() for one in own] for key, own in forms.named().items()}
        return JsonAnswer({"methods": [one.to_json() for one in forms.methods()], "named": named})

    @app.get("/examples", summary="Inputs to begin with")
    def list_examples(model: str | None = None) -> JsonAnswer:
        return JsonAnswer({"examples": model_of(model).examples})

    @app.post("/predict", summary="What a model predicts")
    async def predict(asked: Prediction, request: Request) -> Response:
        model = model_of(asked.model)
        inputs = checked_inputs(asked.inputs, limits)
        name, _ = model.predictor(asked.predictor)
        job = model.queue.submit(partial(predicted, model, name, inputs))
        return JsonAnswer({"prediction": await waited(job, request)})

    @app.post(
        "/interpret",
        summary="What a model predicts, and why",
        description="With `Accept: text/event-stream`: events `queued`, `progress`, and `result` "
        "or `error` at the end. A client that leaves ends the work.",
    )
    async def interpret(asked: Interpretation, request: Request) -> Response:
        model = model_of(asked.model)
        inputs = checked_inputs(asked.inputs, limits)
        parameters = checked_interpreter(asked.interpreter, inputs, limits)
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

    @app.post("/report", summary="Results as the data that the page draws together")
    def report(asked: Results) -> JsonAnswer:
        return JsonAnswer(drawn_together(asked.lines))

    return app


def _strict(limits: Limits) -> type[APIRoute]:
    """Routes whose bodies are read as strict JSON."""

    class StrictRequest(Request):
        async def json(self) -> Any:
            return read_json(await self.body(), limits)

    class StrictRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def strictly(request: Request) -> Response:
                return await handle(StrictRequest(request.scope, request.receive))

            return strictly

    return StrictRoute


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        headers = {"Retry-After": "2"} if error.status == 429 else None
        return JsonAnswer({"error": error.message}, error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        problems = [
            f"{'.'.join(str(part) for part in one['loc'][1:]) or 'the body'}: {one['msg']}"
            for one in error.errors()
        ]
        return JsonAnswer({"error": "; ".join(problems)[:1000]}, 422)

    @app.exception_handler(HTTPException)
    async def not_there(request: Request, error: HTTPException) -> Response:
        return JsonAnswer({"error": str(error.detail)}, error.status_code, error.headers)
