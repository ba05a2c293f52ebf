"""What is read of the Kickstarts that netboot renders, and of others."""

import re
from pathlib import Path

import pytest

from netboot.probe.boot_failed import BootFailedError
from netboot.probe.installer.kickstart_document import KickstartDocument, read_kickstart

GOLDEN = Path(__file__).parents[2] / "render/golden"
OTHER = """\
text
ostreesetup --nogpg --osname=ock --url=http://192.0.2.9/ostree/ --ref ock
bootloader --append="rw ignition.config.url=http://192.0.2.9/one.ign ignition.firstboot=1"
%include /tmp/disk.ks
%post
curl http://192.0.2.9/end
%end
"""


def golden(name: str) -> tuple[str, KickstartDocument]:
    text = (GOLDEN / name).read_text()
    return text, read_kickstart(text)


@pytest.mark.parametrize("name", ["cp1.ks", "cp1-logs.ks"])
def test_all_that_netboot_renders_is_read(name: str):
    text, document = golden(name)

    report = re.search(r"http://\S+/report/[0-9a-f]+", text)
    assert report is not None
    assert document.report_url == report[0]
    assert document.events >= {"checks", "started", "post", "done", "failed"}
    assert (document.release_url, document.ref) == (re.search(r"--url=(\S+)", text)[1], "ock")  # type: ignore[index]
    assert document.has_ref_check
    assert document.clock_url == f"{report[0].partition('/report/')[0]}/healthz"
    assert document.ignition_url is not None
    assert (document.log_url is not None) == ("logs" in name)
    assert document.notes == ()


def test_what_cannot_be_read_is_a_note_and_not_guessed():
    document = read_kickstart(OTHER)

    assert (document.release_url, document.ref) == ("http://192.0.2.9/ostree", "ock")
    assert document.ignition_url == "http://192.0.2.9/one.ign"
    assert (document.report_url, document.events) == (None, frozenset())
    assert [note.partition(":")[0] for note in document.notes] == [
        "%include /tmp/disk.ks",
        "its scripts have no URL /report/…",
    ]


def test_no_secret_is_in_its_text():
    text, document = golden("cp1.ks")

    for token in re.findall(r"/(?:report|ign)/([0-9a-f]{32})", text):
        assert token not in repr(document)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("%pre\ntrue\n", "Section %pre does not end with %end."),
        ("%pre\n%post\n%end\n", "Section %pre does not end with %end."),
        ("", "it is empty"),
        ("# a comment\n", "it is empty"),
        ("ostreesetup --osname=ock --ref=ock\n", "the option --url of ostreesetup is required"),
        ('bootloader --append="rw\n', "No closing quotation"),
    ],
)
def test_a_kickstart_with_which_anaconda_stops(text: str, shown: str):
    with pytest.raises(BootFailedError, match=re.escape(shown)):
        read_kickstart(text)
