"""No page, no answer of the API and nothing that a browser keeps of them has a secret of the appliance or of a boot."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from fixtures.browser import LOOPBACK, Pages
from fixtures.page_routes import API_URLS, DOWNLOAD_URLS, visited_pages
from fixtures.rack import Rack, running
from fixtures.rack_in_use import use, write_rack_in_use
from secrets_search import Finding, Secret, search

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Use:
    """A rack in use, and each secret of it."""

    rack: Rack
    secrets: list[Secret]

    def answers_to(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return head and body of each answer, as the appliance's loopback gives it; each must be a success."""
        found = {}
        for path in paths:
            command = ["ip", "netns", "exec", self.rack.server_namespace, "curl", "-sS", "-i", "--max-time", "30"]
            answer = subprocess.run([*command, LOOPBACK + path], capture_output=True, timeout=60, check=True).stdout
            found[f"{path}: head"], _, found[path] = answer.partition(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 "), f"{path}: {answer[:300]!r}"
        return found


@pytest.fixture(scope="module")
def in_use(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Use]:
    directory = tmp_path_factory.mktemp("in-use")
    secrets = write_rack_in_use(directory)
    with running(directory) as rack:
        yield Use(rack, [*secrets, *use(rack)])


@pytest.fixture(scope="module")
def rack(in_use: Use) -> Rack:
    return in_use.rack


def test_no_answer_of_the_api_has_a_secret(in_use: Use):
    answers = in_use.answers_to(url for urls in API_URLS.values() for url in urls)
    described = json.loads(answers["/api/v1/openapi.json"])["paths"]

    assert sorted(path for path, methods in described.items() if "get" in methods and path not in API_URLS) == []

    assert search(answers, in_use.secrets) == list[Finding]()


def test_no_page_and_no_download_has_a_secret(in_use: Use):
    downloads = [url for urls in DOWNLOAD_URLS.values() for url in urls]

    answers = in_use.answers_to([*visited_pages(), *downloads])

    assert search(answers, in_use.secrets) == list[Finding]()


def test_nothing_that_a_browser_shows_or_keeps_has_a_secret(in_use: Use, pages: Pages):
    context = pages.context()
    page = context.new_page()
    shown = {}
    for url in visited_pages():
        page.goto(LOOPBACK + url)
        shown[url] = page.content().encode()
    shown["cookies and storage"] = json.dumps(context.storage_state()).encode()

    assert search(shown, in_use.secrets) == list[Finding]()
