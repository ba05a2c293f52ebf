"""Why a medium or release must stay, each reason with its cure."""

from dataclasses import replace
from pathlib import Path

from netboot.content.library.library import LibraryEntry
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.model.release import EntryKind
from netboot.operate.content.content_users import ContentUsers
from netboot.operate.content_uses import ContentUse, Use

MEDIUM = LibraryEntry(EntryKind.MEDIUM, "ol8", Path("media/ol8"))
RELEASE = LibraryEntry(EntryKind.RELEASE, "ol8", Path("ostree/ol8"))
W1 = Host(
    HostName("w1"),
    Role.WORKER,
    (Mac.parse("02:00:00:00:00:01"),),
    boot_media="ol8",
    release="ock",
    declared_at="hosts.yaml:3:3",
)


def users(*uses: ContentUse, hosts: tuple[Host, ...] = (W1,), **more: object) -> ContentUsers:
    return replace(ContentUsers(uses, HostSet.of(Cluster("rackone"), hosts)), **more)  # type: ignore[arg-type]


def test_files_and_the_daemon_use_a_name_of_their_kind_alone():
    uses = [
        ContentUse("boot medium", "ol8", Use.HOST, "w1"),
        ContentUse("boot medium", "ol8", Use.HOST, "w2"),
        ContentUse("boot medium", "ol8", Use.ARMED, "w1"),
        ContentUse("boot medium", "ol8", Use.INSTALLING, "w3"),
        ContentUse("release", "other", Use.PULLED),
    ]
    found = users(*uses)

    assert found.names(MEDIUM) == ["w1", "w2", "w3"]
    assert found.reasons(MEDIUM) == [
        "w1 refers to it (hosts.yaml:3:3); give it another in the hosts files",
        f"{uses[1]}; netboot reload, or systemctl reload netboot",
        f"{uses[2]}; netboot install cancel w1",
        f"{uses[3]}; wait until its install has ended",
    ]
    assert found.running(EntryKind.MEDIUM, "ol8") == [str(uses[3])]
    assert found.running(EntryKind.RELEASE, "other") == [str(uses[4])]
    assert (found.names(RELEASE), found.reasons(RELEASE)) == ([], [])


def test_the_medium_of_inspections_stays_and_a_release_of_its_name_does_not():
    found = users(hosts=(), inspect_media="ol8")

    assert found.reasons(MEDIUM) == [
        "hosts.inspect_media names it, so machines are inspected with it; name another, and reload"
    ]
    assert found.reasons(RELEASE) == []


def test_a_name_in_hosts_files_with_a_fault_counts_as_used_at_its_first_line(tmp_path: Path):
    (tmp_path / "hosts.d").mkdir()
    (tmp_path / "hosts.yaml").write_bytes(b"# \xff\nboot_media: ol8\nrelease: ol8\n")
    (tmp_path / "hosts.d/a.yaml").write_text("{release: ol8")
    (tmp_path / "hosts.d/b.yaml").write_text("release: ock\n")
    files = (tmp_path / "hosts.yaml", tmp_path / "none.yaml", tmp_path / "hosts.d", tmp_path / "hosts.yaml")

    assert users(hosts=(), fault="a.yaml:1:1: x", files=files).reasons(MEDIUM) == [
        f"{tmp_path}/{place} mentions it, and the hosts files have a fault (a.yaml:1:1: x); correct it first"
        for place in ("hosts.yaml:2", "hosts.d/a.yaml:1")
    ]
    assert users(hosts=(), files=files).reasons(MEDIUM) == []
