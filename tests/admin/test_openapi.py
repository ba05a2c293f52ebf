"""The description of the API is valid OpenAPI 3.1, made from the routes of the running application."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from openapi_spec_validator import OpenAPIV31SpecValidator
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST

import netboot.admin
from netboot.admin.api.operation import operation_of
from netboot.app.administration.api_description import application_without_use_cases
from netboot.cli.main import cli

OF_COMMANDS = {
    *("backup-unusable", "certificate-unusable"),
    *("daemon-not-running", "daemon-unreachable", "interface-unusable", "permission-denied"),
    *("simulation-refused", "usage"),
}


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


@pytest.fixture(scope="module")
def description(appliance: Appliance) -> Any:
    response = appliance.api("GET", "/openapi.json")
    assert (response.status, response.headers["content-type"]) == (200, "application/json; charset=utf-8")
    return response.json()


def test_the_description_is_valid(description: Any):
    OpenAPIV31SpecValidator(description).validate()


def test_the_command_prints_the_same_description(description: Any):
    done = CliRunner().invoke(cli, ["schema", "api"])

    assert (done.exit_code, json.loads(done.stdout)) == (0, description)


def test_every_route_outside_the_pages_is_described():
    of_the_api = re.compile("/(api/|metrics|healthz|readyz)")
    routes = [
        (route.method, route.resource.canonical, operation_of(route.handler))
        for route in application_without_use_cases().router.routes()
        if route.resource is not None and of_the_api.match(route.resource.canonical)
    ]

    assert len(routes) > 50
    assert [f"{method} {path}" for method, path, operation in routes if operation is None] == []
    assert [f"{method} {path}" for method, path, operation in routes if operation and not operation.summary] == []


def test_handlers_read_the_query_and_the_body_that_their_description_has():
    described, read = set(), set()
    for source in sorted((Path(netboot.admin.__file__).parent / "api").rglob("*_api.py")):
        for handler in ast.walk(ast.parse(source.read_text())):
            if isinstance(handler, ast.AsyncFunctionDef | ast.FunctionDef):
                described |= {(source.stem, each) for each in _described_models(handler)}
                read |= {(source.stem, each) for each in _read_models(handler)}

    assert len(read) > 25
    assert described - read == {("host_changes_api", "HostPatch")}  # any object
    assert read - described == set()


def _described_models(handler: ast.AsyncFunctionDef | ast.FunctionDef) -> Iterator[str]:
    """Yield the names of `query` and `body` in the mark of a handler."""
    for mark in handler.decorator_list:
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "operation":
            for keyword in mark.keywords:
                if keyword.arg in ("query", "body") and isinstance(keyword.value, ast.Name):
                    yield keyword.value.id


def _read_models(handler: ast.AsyncFunctionDef | ast.FunctionDef) -> Iterator[str]:
    """Yield the names of the models that a handler reads."""
    for call in ast.walk(handler):
        match call:
            case ast.Call(func=ast.Name(id="read_query" | "read_body"), args=[_, ast.Name(id=model)]):
                yield model


def test_an_operation_has_its_parameters_its_answer_and_its_refusals(description: Any):
    operation = description["paths"]["/api/v1/hooks/{hook}/test"]["post"]

    assert (operation["operationId"], operation["tags"]) == ("hooks.test", ["appliance"])
    assert operation["summary"] == "Deliver a test event now, once"
    assert [each["name"] for each in operation["parameters"]] == ["hook"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/HookTest"}
    assert operation["responses"]["404"]["description"] == "`hook-unknown`"


def test_every_code_of_an_error_is_described(description: Any):
    page = (Path(__file__).parents[2] / "docs/api.md").read_text()
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", page.partition("### Error codes")[2], re.MULTILINE))

    assert documented - description["x-problems"].keys() <= OF_COMMANDS
    assert description["x-problems"].keys() - documented == set()


def test_the_type_of_a_problem_is_a_place_in_the_description(appliance: Appliance, description: Any):
    problem = appliance.api("POST", "/hooks/nobody/test").json()

    path, _, pointer = problem["type"].partition("#/")
    assert path == "/api/v1/openapi.json"
    member, code = pointer.split("/")
    assert description[member][code] == {
        "title": problem["title"],
        "description": "A name that no hook of `netboot.yaml` has.",
        "status": [404],
    }
