"""Addresses that an application answers at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from fastapi import APIRouter
from fastapi.routing import APIRoute

from ..limits import Limits
from ..models.served import ServedModel


class Routes(ABC):
    """Addresses of models.

    Args:
        models: The models by name, the default one first.
        limits: What a request may ask for.
    """

    def __init__(self, models: Mapping[str, ServedModel], limits: Limits) -> None:
        self._models = models
        self._limits = limits

    @abstractmethod
    def router(self, route_class: type[APIRoute]) -> APIRouter:
        """The addresses, for an application to include.

        Args:
            route_class: How requests are read.
        """
