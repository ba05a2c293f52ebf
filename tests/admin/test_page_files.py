"""Static files of the pages: caching, and nothing outside their directory."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from netboot.admin.pages.page_files import PageFiles


def get(directory: Path, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Mapping[str, str], bytes]:
    async def run() -> tuple[int, Mapping[str, str], bytes]:
        app = web.Application()
        app.add_routes(PageFiles(directory).routes())
        async with TestClient(TestServer(app)) as client:
            answer = await client.get(path, headers=headers)
            return answer.status, answer.headers.copy(), await answer.read()

    return asyncio.run(run())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.css").write_text("a {}")
    (tmp_path / "secret.css").write_text("not served")
    return tmp_path / "static"


def test_a_url_with_the_digest_is_kept_for_a_year_and_one_without_is_verified(directory: Path):
    url = PageFiles(directory).addresses["a.css"]

    status, headers, body = get(directory, url)
    other = get(directory, "/static/a.css")
    again = get(directory, "/static/a.css", {"If-None-Match": headers["ETag"]})

    assert (status, body, headers["Content-Type"]) == (200, b"a {}", "text/css; charset=utf-8")
    assert "immutable" in headers["Cache-Control"]
    assert (other[0], other[1]["Cache-Control"]) == (200, "no-cache")
    assert (again[0], again[2]) == (304, b"")


@pytest.mark.parametrize("path", ["/static/b.css", "/static/..%2fsecret.css", "/static/%2e%2e/secret.css", "/static/"])
def test_no_other_file_is_served(directory: Path, path: str):
    assert get(directory, path)[0] == 404
