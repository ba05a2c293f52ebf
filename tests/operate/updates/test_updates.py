"""The board of an appliance: a real image and releases in the library, installs and reports in the store."""

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from fixtures.appliance import BuiltServices, WithServices
from fixtures.nobody import as_nobody
from fixtures.ostree_images.commits import TIMESTAMP
from fixtures.ostree_images.layouts import MadeImage, make_image

from netboot.content.images.image_import import import_images
from netboot.content.library.library import Library, UnknownContentError
from netboot.errors import StoreError
from netboot.model.host.host import HostName
from netboot.model.image_name import ImageName
from netboot.model.install.install import Install, InstallEvent, InstallTarget
from netboot.model.install.token import Tokens
from netboot.model.node_report import NodeReport
from netboot.operate.updates.offered_content import read_offered
from netboot.operate.updates.updates import UpdateRules, Updates
from netboot.operate.updates.updates_board import KnownCommit, OfferedContent, UpdatesBoard, UpdateState
from netboot.store.installs import Installs
from netboot.store.nodes.installed_nodes import Nodes

DATED: Final = datetime.fromisoformat(TIMESTAMP).astimezone(UTC)
RULES: Final = UpdateRules(registry=True, report=True, addresses=["192.0.2.10:8080"])
OURS: Final = "192.0.2.10:8080/olcne/ock-ostree"
CP1: Final = HostName("cp1")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeImage, MadeImage]:
    directory = tmp_path_factory.mktemp("images")
    return make_image(directory, "A", tag="1.33-1"), make_image(directory, "B", tag="1.33-2")


@pytest.fixture
def library(tmp_path: Path, images: tuple[MadeImage, MadeImage]) -> Library:
    """Two releases, the alias 1.33 of the first, and an image of the second with the tag 1.33."""
    library = Library(tmp_path / "content")
    for image in images:
        shutil.copytree(image.commit.repo, library.directory / "ostree" / image.commit.version)
    import_images(library, images[1].archive, ImageName.parse("olcne/ock-ostree:1.33"))
    (library.directory / "ostree/1.33").symlink_to("1.33-1")
    return library


def test_what_the_library_offers(library: Library, images: tuple[MadeImage, MadeImage]):
    first, second = (KnownCommit(each.commit.checksum, each.commit.version, dated=DATED) for each in images)

    found = read_offered(library.directory, address=OURS)

    assert found.changed_at is not None
    assert replace(found, changed_at=None) == OfferedContent(
        "olcne/ock-ostree",
        tags={"1.33": [second]},
        releases={"1.33-1": first, "1.33-2": second, "1.33": first},
        address=OURS,
        faults=[],
    )


def test_an_empty_library_offers_nothing(tmp_path: Path):
    assert read_offered(tmp_path) == OfferedContent("olcne/ock-ostree", {}, {}, faults=[])


def test_a_damaged_repository_is_a_fault(library: Library):
    file = library.directory / "images/repositories/olcne/ock-ostree/_repository.json"
    file.write_text("{")

    (fault,) = read_offered(library.directory).faults

    assert fault.startswith(f"{file} is damaged")


def test_a_damaged_manifest_is_a_fault_of_its_tag(library: Library, images: tuple[MadeImage, MadeImage]):
    algorithm, _, checksum = images[1].manifest_digest.partition(":")
    (library.directory / "images/blobs" / algorithm / checksum).unlink()

    found = read_offered(library.directory)

    assert found.tags == {}


def test_the_gauge_counts_the_nodes_of_the_last_board(with_services: WithServices, library: Library):
    async def scenario(services: BuiltServices) -> None:
        hosts, moves = services.registry.hosts, services.install_moves
        nodes, content, now = Nodes(services.database), library.directory, services.clock.now
        updates = Updates(moves, nodes, content, hosts=hosts, rules=lambda: RULES, now=now)
        before = [(reading.labels, reading.value) for reading in updates.readings()]

        await updates.board()

        assert before == [((state.value,), 0) for state in UpdateState]
        assert {reading.labels: reading.value for reading in updates.readings() if reading.value} == {("unknown",): 2}

    with_services(scenario)


async def board(services: BuiltServices, library: Library, rules: UpdateRules = RULES) -> UpdatesBoard:
    return await Updates(
        services.install_moves,
        Nodes(services.database),
        library.directory,
        hosts=services.registry.hosts,
        rules=lambda: rules,
        now=services.clock.now,
    ).board()


async def install(services: BuiltServices, target: InstallTarget, tokens: Tokens) -> None:
    """Install cp1: its row has what the arming was bound to."""
    at, installs = services.clock.now(), Installs(services.database)

    def booted(before: Install) -> Install:
        armed = before.armed(at=at, reason="test", attempts=1, target=target)
        return armed.booting_the_installer(tokens, at=at)

    await installs.change(CP1, booted, at=at, what="script-sent")
    await installs.change(CP1, lambda now: now.moved_by(InstallEvent.REPORTED_DONE, at=at), at=at, what="reported-done")


def test_the_board_of_an_appliance(with_services: WithServices, library: Library, images: tuple[MadeImage, MadeImage]):
    first, second = (each.commit.checksum for each in images)
    tokens = Tokens("1" * 32, "2" * 32, "3" * 32, "4" * 32)

    async def scenario(services: BuiltServices) -> None:
        host = services.registry.hosts().named(CP1)
        await install(services, replace(InstallTarget.of(host, first), release="1.33"), tokens)
        installed = (await board(services, library)).nodes[0]
        assert (installed.host, installed.state, installed.is_since_install) == (CP1, UpdateState.OFFERED, True)
        assert (installed.runs and installed.runs.release, installed.tag) == ("1.33-1", "1.33")

        report = NodeReport(first, staged=second, registry=OURS, tag="1.33", updater="active")
        await Nodes(services.database).record_report(tokens.node, report, at=services.clock.now())
        found = await board(services, library)
        assert (found.registry, found.report) == (True, True)
        assert (found.nodes[0].state, found.nodes[0].next_command) == (UpdateState.STAGED, "ocne node update -N cp1")
        assert found.warnings == [
            f"olcne/ock-ostree:1.33 is 1.33-2 ({second[:12]}), and the release 1.33 is 1.33-1 ({first[:12]}): a new "
            "node is installed with another commit than nodes are updated to; "
            "netboot content promote NAME 1.33 moves both"
        ]

        elsewhere = replace(report, staged="", registry="container-registry.oracle.com/olcne/ock-ostree")
        await Nodes(services.database).record_report(tokens.node, elsewhere, at=services.clock.now())
        followed = (await board(services, library)).nodes[0]
        assert (followed.state, followed.follows) == (UpdateState.NOT_OFFERED, False)
        assert {node.state for node in found.nodes[1:]} == {UpdateState.UNKNOWN}

    with_services(scenario)


def test_what_an_earlier_version_installed_is_known_from_its_arming(
    with_services: WithServices, library: Library, images: tuple[MadeImage, MadeImage]
):
    async def scenario(services: BuiltServices) -> None:
        host = services.registry.hosts().named(CP1)
        first = images[0].commit.checksum
        target = replace(InstallTarget.of(host, first), release="1.33")
        await install(services, target, Tokens())
        await Installs(services.database).forget_node(CP1)

        node = (await board(services, library)).nodes[0]
        assert (node.runs and node.runs.commit, node.is_since_install) == (first, True)

        at = services.clock.now()
        armed = {CP1: lambda now: now.armed(at=at, reason="again", attempts=1, target=target)}
        await Installs(services.database).change_all(armed, at=at, what="armed")
        assert (await board(services, library)).nodes[0].state is UpdateState.UNKNOWN

    with_services(scenario)


def test_a_promotion_is_planned_from_the_library_and_the_store(
    with_services: WithServices, library: Library, images: tuple[MadeImage, MadeImage]
):
    async def scenario(services: BuiltServices) -> None:
        updates = Updates(
            services.install_moves,
            Nodes(services.database),
            library.directory,
            hosts=services.registry.hosts,
            rules=lambda: RULES,
            now=services.clock.now,
        )
        services.change_host("cp1", release="1.33")

        plan = await updates.plan("1.33-2", "1.33")

        assert (plan.name, plan.alias, plan.installs) == ("1.33-2", "1.33", [CP1])
        assert plan.before == KnownCommit(images[0].commit.checksum, "1.33-1", dated=DATED)
        assert plan.after == KnownCommit(images[1].commit.checksum, "1.33-2", dated=DATED)
        with pytest.raises(UnknownContentError):
            await updates.plan("none", "1.33")

    with_services(scenario)


def test_nodes_are_counted_again_after_the_store_failed(
    with_services: WithServices, library: Library, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("netboot.operate.updates.updates.COUNTED_S", 0.0)
    read, faults = Nodes.all, [StoreError("the store failed")]

    async def all_nodes(self: Nodes) -> object:
        if faults:
            raise faults.pop()
        return await read(self)

    monkeypatch.setattr(Nodes, "all", all_nodes)

    async def scenario(services: BuiltServices) -> float:
        nodes, hosts, now = Nodes(services.database), services.registry.hosts, services.clock.now
        updates = Updates(services.install_moves, nodes, library.directory, hosts=hosts, rules=lambda: RULES, now=now)
        running = asyncio.create_task(updates.run())
        async with asyncio.timeout(30):
            while not any(reading.value for reading in updates.readings()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
        return sum(reading.value for reading in updates.readings())

    assert (with_services(scenario), faults) == (2, [])


def test_a_manifest_and_a_library_that_cannot_be_read_are_faults(library: Library, images: tuple[MadeImage, MadeImage]):
    algorithm, _, checksum = images[1].manifest_digest.partition(":")
    blob = library.directory / "images/blobs" / algorithm / checksum
    blob.write_bytes(b"{" * blob.stat().st_size)

    found = read_offered(library.directory)

    assert (list(found.releases), found.tags) == (["1.33-1", "1.33-2", "1.33"], {})
    assert [fault.partition(": ")[0] for fault in found.faults] == ["olcne/ock-ostree:1.33"]
    shutil.rmtree(library.directory / "ostree/1.33-1/refs")
    assert list(read_offered(library.directory).releases) == ["1.33-2"]


def test_a_library_that_this_user_cannot_read_is_a_fault(library: Library):
    with as_nobody():
        found = read_offered(library.directory)

    assert (found.releases, found.tags) == ({}, {})
    assert found.faults[0].startswith(f"cannot read {library.directory}/media: Permission denied; ")
