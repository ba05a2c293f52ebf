"""The frame of the pages: headers, escaping, errors, and the message after a change."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from netboot.admin.access.origin import no_browser_from_elsewhere
from netboot.admin.api.problems import errors_as_json
from netboot.admin.pages.page_engine import PageEngine, errors_as_pages
from netboot.content.assets import assets_directory
from netboot.errors import StoreError, UnknownHostError
from netboot.operate.arming import ArmingRefusedError

NOW = datetime(2026, 11, 29, 18, 0, 0, tzinfo=UTC)
HTML = {"Accept": "text/html"}
PAGE = """{% extends "base.html.j2" %}{% block title %}T{% endblock %}{% block content %}{{ page }}{% endblock %}"""


class Pages:
    """An application with a page that shows a value, one that fails, and one that changes something."""

    def __init__(self, directory: Path, *, fails_with: Exception | None = None, store_is_down: bool = False) -> None:
        for path in (assets_directory() / "pages").glob("*.j2"):
            (directory / path.name).write_text(path.read_text())
        (directory / "value.html.j2").write_text(PAGE)
        (directory / "static").mkdir()
        for path in (assets_directory() / "pages" / "static").iterdir():
            (directory / "static" / path.name).write_bytes(path.read_bytes())
        self.engine = PageEngine(directory, last_event_id=self._last_event_id, now=lambda: NOW)
        self._fails_with, self._store_is_down = fails_with, store_is_down

    async def _last_event_id(self) -> int:
        if self._store_is_down:
            raise StoreError("the store does not answer")
        return 7

    async def show(self, request: web.Request) -> web.Response:
        return await self.engine.answer(request, "value.html.j2", page=request.query.get("value", ""))

    async def fail(self, _request: web.Request) -> web.Response:
        assert self._fails_with is not None
        raise self._fails_with

    async def change(self, _request: web.Request) -> web.Response:
        return self.engine.back("/show", done="armed <cp1>")

    def get(self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Return status, headers and body; follows redirects with cookies."""

        async def run() -> tuple[int, str, str]:
            app = web.Application(
                middlewares=[errors_as_json, errors_as_pages(self.engine), no_browser_from_elsewhere()]
            )
            app.add_routes([web.get("/show", self.show), web.route("*", "/fail", self.fail)])
            app.add_routes([web.get("/api/v1/fail", self.fail), web.post("/change", self.change)])
            app.add_routes(self.engine.files.routes())
            async with TestClient(TestServer(app)) as client:
                answer = await client.request(method, path, headers=HTML | (headers or {}))
                return answer.status, str(answer.headers), await answer.text()

        return asyncio.run(run())


def test_a_page_escapes_its_values_and_permits_no_script_of_elsewhere(tmp_path: Path):
    status, headers, body = Pages(tmp_path).get("/show?value=<script>alert(1)</script>")

    assert status == 200
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "<script>" not in body
    assert "default-src 'none'; script-src 'self'" in headers
    assert 'data-last-event="7"' in body


def test_a_page_is_shown_while_the_store_does_not_answer(tmp_path: Path):
    status, _, body = Pages(tmp_path, store_is_down=True).get("/show?value=x")

    assert status == 200
    assert "data-last-event" not in body


def test_the_message_after_a_change_is_shown_once_and_escaped(tmp_path: Path):
    status, headers, body = Pages(tmp_path).get("/change", method="POST")

    assert status == 200
    assert '<p class="notice good" role="status">armed &lt;cp1&gt;</p>' in body
    assert 'netboot-flash=""' in headers


@pytest.mark.parametrize("cookie", ["", "x", "W10=", "WyJnb29kIl0=", "WzEsMl0=", "bm90IGpzb24="])
def test_a_forged_message_is_ignored(tmp_path: Path, cookie: str):
    status, _, body = Pages(tmp_path).get("/show", headers={"Cookie": f"netboot-flash={cookie}"})

    assert status == 200
    assert 'class="notice' not in body.replace('id="connection" class="notice', "")


@pytest.mark.parametrize(
    ("error", "status", "texts"),
    [
        (UnknownHostError("no host <b>"), 404, ["Not found", "no host &lt;b&gt;"]),
        (ArmingRefusedError({"cp1": ["no release"]}, is_forcible=True), 409, ["Refused", "cp1: no release"]),
        (StoreError("the store does not answer"), 503, ["Not available now", "the store does not answer"]),
        (web.HTTPForbidden(text="not you"), 403, ["Not permitted", "not you"]),
        (web.HTTPBadRequest(text="no such field"), 400, ["Invalid request", "no such field"]),
    ],
)
def test_an_error_of_a_page_is_a_page_with_its_sentence(
    tmp_path: Path, error: Exception, status: int, texts: list[str]
):
    found, _, body = Pages(tmp_path, fails_with=error).get("/fail")

    assert found == status
    assert [text for text in texts if text not in body] == []


def test_an_error_of_the_api_is_json_also_in_a_browser(tmp_path: Path):
    status, headers, body = Pages(tmp_path, fails_with=UnknownHostError("no host x")).get("/api/v1/fail")

    assert (status, "json" in headers, body.startswith("{")) == (404, True, True)


def test_an_unknown_page_has_a_sentence(tmp_path: Path):
    status, _, body = Pages(tmp_path).get("/nope")

    assert (status, "There is no such page." in body) == (404, True)
