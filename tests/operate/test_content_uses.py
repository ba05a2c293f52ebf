"""Who uses a boot medium or release: hosts, armed and running installs, machines that pull."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.install.install import Install, InstallState, InstallTarget
from netboot.model.release import RemoteRelease
from netboot.operate.content_uses import RUNNING_FOR, ContentUse, Use, content_uses

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MAC = Mac.parse("02:00:00:00:00:01")
W1 = Host(HostName("w1"), Role.WORKER, (MAC,), boot_media="ol8", release="stable")


def of(uses: list[ContentUse]) -> list[tuple[str, str, Use, str]]:
    return [(use.kind, use.name, use.use, use.host) for use in uses]


def test_a_host_uses_the_medium_and_the_release_that_its_file_names():
    assert of(content_uses([W1], {}, pulls=["old"], now=NOW)) == [
        ("boot medium", "ol8", Use.HOST, "w1"),
        ("release", "old", Use.PULLED, ""),
        ("release", "stable", Use.HOST, "w1"),
    ]


def test_an_armed_host_that_no_file_declares_uses_the_release_of_its_arming():
    target = InstallTarget.of(W1, "0" * 64)
    armed = Install(W1.name).armed(at=NOW, reason="test", attempts=1, target=target)

    assert of(content_uses([], {W1.name: armed}, pulls=(), now=NOW)) == [("release", "stable", Use.ARMED, "w1")]


def test_a_running_install_uses_content_until_it_was_not_heard_for_a_day():
    running = Install(W1.name, InstallState.INSTALLING, NOW)

    soon = content_uses([W1], {W1.name: running}, pulls=(), now=NOW + RUNNING_FOR - timedelta(seconds=1))
    late = content_uses([W1], {W1.name: running}, pulls=(), now=NOW + RUNNING_FOR)

    assert [use.name for use in soon if use.use is Use.INSTALLING] == ["ol8", "stable"]
    assert [use for use in late if use.use is Use.INSTALLING] == []


def test_a_release_of_another_server_is_not_content_of_this_one():
    remote = replace(W1, release=RemoteRelease("http://192.0.2.20/ostree", "ock"))
    target = InstallTarget.of(remote, None)
    armed = Install(W1.name).armed(at=NOW, reason="test", attempts=1, target=target)

    uses = content_uses([remote], {W1.name: armed}, pulls=(), now=NOW)

    assert target.release == "ock of http://192.0.2.20/ostree"
    assert of(uses) == [("boot medium", "ol8", Use.ARMED, "w1"), ("boot medium", "ol8", Use.HOST, "w1")]


def test_each_use_is_a_sentence():
    assert [str(ContentUse("release", "stable", use, "w1")) for use in Use] == [
        "w1 has it in the configuration that the daemon serves",
        "w1 is armed with it",
        "w1 is installing from it",
        "machines are pulling it now",
    ]
