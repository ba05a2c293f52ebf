"""The area `content` of `netboot doctor` as a command."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from fixtures import signed_loaders as made
from fixtures.command_line import CommandLine


@pytest.fixture
def healthy(netboot: CommandLine) -> CommandLine:
    """The appliance with whole loaders and a whole medium."""
    for name, content in {
        "snponly.efi": made.ipxe(),
        "snponly-arm64.efi": made.ipxe("arm64"),
        "undionly.kpxe": made.bios(),
    }.items():
        (netboot.directory / "boot" / name).write_bytes(content)
    stage2 = netboot.directory / "content/media/ol8u10-x86_64/images/install.img"
    stage2.write_bytes(b"hsqs" + bytes(36) + (200).to_bytes(8, "little") + bytes(160))
    return netboot


def area(found: Any) -> Mapping[str, Any]:
    [only] = found["areas"]
    return dict(only)


def test_healthy_content_has_no_finding_and_says_what_was_not_checked(healthy: CommandLine):
    found = area(healthy.json("doctor", "--area", "content"))

    assert found["findings"] == []
    assert found["not_checked"] == {
        "content.digests": "netboot doctor --area content --verify reads every byte",
        "content.secure_boot": "no daemon runs, so what machines were seen is not known",
    }


def test_verify_reads_every_byte_and_shows_progress(healthy: CommandLine):
    done = healthy("doctor", "--area", "content", "--verify")

    assert done.exit_code == 0
    assert re.search(r"checked: .*, digests, ", done.stdout)
    assert "checking ock-1.31-amd64" in done.stderr


def test_a_finding_has_its_evidence_and_its_cure(healthy: CommandLine):
    (healthy.directory / "boot/snponly.efi").write_bytes(made.ipxe()[:-100])

    lines = healthy.printed("doctor", "--area", "content", status=1).splitlines()

    assert lines[1:5] == [
        "  problem: snponly.efi: it is cut off: 100 of 17920 bytes are missing [content.loader_files]",
        "    evidence: ./boot/snponly.efi, 17820 bytes",
        "    evidence: machines are offered it",
        "    cure: download or copy it again whole, then compare its checksum",
    ]


def test_what_the_configuration_reports_is_not_repeated(healthy: CommandLine):
    healthy.hosts.write_text(healthy.hosts.read_text().replace("ock-1.31-amd64", "ock-9"))

    found = healthy.json("doctor", "--area", "configuration", "--area", "content", status=1)

    sentences = [finding["sentence"] for each in found["areas"] for finding in each["findings"]]
    assert len([each for each in sentences if "cannot find release ock-9" in each]) == 1
