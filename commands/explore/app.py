"""The application: its addresses, how requests are read, and how errors are answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from allennlp_saliency.version import VERSION

from . import page
from .answers import JsonAnswer
from .asked import read_json
from .errors import Refused
from .limits import Limits
from .models.served import ServedModel
from .routes.demo import DemoRoutes
from .routes.page_routes import PageRoutes


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
    strict = _strict(limits)
    _handle_errors(app)
    page.add(app)
    app.include_router(DemoRoutes(models, limits).router(strict))
    app.include_router(PageRoutes(models, limits).router(strict))
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
