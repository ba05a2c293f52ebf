"""What a browser reports of the page that sends a request, and a link of another site."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from netboot.admin.access.origin import no_browser_from_elsewhere

LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def status_of(path: str, headers: dict[str, str], *, method: str = "GET") -> int:
    async def serve(_request: web.Request) -> web.Response:
        return web.Response(text="served")

    async def run() -> int:
        app = web.Application(middlewares=[no_browser_from_elsewhere()])
        app.add_routes([web.route("*", "/{path:.*}", serve)])
        async with TestClient(TestServer(app)) as client:
            return (await client.request(method, path, headers=headers)).status

    return asyncio.run(run())


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/", "/hosts/cp1", "/hosts/cp1/arm"])
def test_a_link_of_another_site_opens_a_page(path: str, site: str):
    assert status_of(path, LINK | {"Sec-Fetch-Site": site}) == 200


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        pytest.param("/api/v1/hosts", "GET", LINK, id="of-the-api"),
        pytest.param("/metrics", "GET", LINK, id="of-metrics"),
        pytest.param("/hosts/cp1/arm", "POST", LINK, id="a-form"),
        pytest.param("/", "GET", LINK | {"Origin": "null"}, id="with-an-origin"),
        pytest.param("/", "GET", LINK | {"Sec-Fetch-Dest": "iframe"}, id="a-frame"),
        pytest.param("/", "GET", LINK | {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"}, id="an-image"),
        pytest.param("/", "GET", LINK | {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}, id="a-script"),
        pytest.param("/", "GET", {"Sec-Fetch-Site": "cross-site"}, id="without-the-rest"),
        pytest.param("/", "GET", LINK | {"Host": "evil.example"}, id="another-host"),
    ],
)
def test_nothing_else_of_another_site_is_served(path: str, method: str, headers: dict[str, str]):
    assert status_of(path, headers, method=method) == 403
