"""Describes the API without a daemon: the routes of the application, none of which is served."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from aiohttp import web

from netboot.admin.api.description.openapi import openapi
from netboot.app.administration.admin_parts import AdminParts


class _NoUseCase:
    """Stands for every use case: a description needs the routes alone."""

    def __getattr__(self, _name: str) -> "_NoUseCase":
        return self

    def __call__(self, *_arguments: object) -> "_NoUseCase":
        return self


def application_without_use_cases() -> web.Application:
    """Make the application of the administration with its routes, none of which can be served."""
    nothing: Any = _NoUseCase()
    parts = AdminParts(**{each.name: nothing for each in fields(AdminParts)})
    return parts.application(configuration=Path())


def api_description() -> Mapping[str, Any]:
    """Make the OpenAPI description that a daemon of this version serves."""
    return openapi(application_without_use_cases().router)
