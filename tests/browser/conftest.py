"""A rack with a running daemon, and Chromium on the appliance.

A module that needs another appliance has a fixture `rack_directory` of its own. A daemon lasts for a module; its tests
run in any order.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.browser import Pages, chromium
from fixtures.files import write_files
from fixtures.rack import Rack, running
from fixtures.rollout_rack import HOSTS, RolloutRack, rollout_rack, write_rollout_files
from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an appliance that serves cp1 and w1 on 192.0.2.10."""
    return write_files(tmp_path_factory.mktemp("rack"))


@pytest.fixture(scope="module")
def rack(rack_directory: Path) -> Iterator[Rack]:
    """A daemon that serves cp1 and w1; nothing is armed."""
    with running(rack_directory) as rack:
        yield rack


@pytest.fixture(scope="module")
def rollout_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutRack]:
    """A rack whose commands of kubeadm a person runs; a module uses it by a `rack` of its own."""
    directory = tmp_path_factory.mktemp("rollout")
    hosts = HOSTS.replace("w1: {role: worker,", "w1: {role: worker, labels: {rack: r7, unit: '12'},")
    commands = ("start", "join_control_plane", "join_worker")
    write_rollout_files(directory, commands=commands, hosts=hosts, program=directory / "bin" / "ocne")
    with rollout_rack(directory, "cp1", "cp2", "w1", "w2") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def browser(rack: Rack) -> Iterator[Browser]:
    """Chromium on the appliance; tests open pages of it by `pages`."""
    with chromium(rack.server_namespace) as browser:
        yield browser


@pytest.fixture
def pages(browser: Browser) -> Iterator[Pages]:
    """Pages in contexts of their own, closed after the test, which fails if one of them has a fault."""
    pages = Pages(browser)
    yield pages
    pages.close()
    assert pages.unexpected() == []


@pytest.fixture
def page(pages: Pages) -> Page:
    """An empty page, light and wide, at the appliance: `page.goto("/")`."""
    return pages.context().new_page()
