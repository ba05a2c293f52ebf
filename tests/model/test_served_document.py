"""The record of a served document: without tokens and secrets, bounded, and never the role's file."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.served_document import LONGEST_TEXT, ServedDocument, ServedKind
from netboot.model.install.token import Tokens

CP1, MAC, BASE = HostName("cp1"), Mac("52:54:00:aa:bb:01"), "http://192.0.2.10:8080"
AT = datetime(2026, 11, 21, tzinfo=UTC)
TOKENS = Tokens("1" * 32, "2" * 32, "3" * 32)


def served(kind: ServedKind, document: bytes) -> ServedDocument:
    return ServedDocument.of(
        CP1, kind, document, tokens=TOKENS, at=AT, mac=MAC, base_url=BASE, secrets=["s3cret of cp1"]
    )


@pytest.mark.parametrize(
    ("kind", "document", "digested", "text"),
    [
        (
            ServedKind.KICKSTART,
            f"rootpw x1\n{'3' * 32} s3cret of cp1 \N{MULTIPLICATION SIGN}\n".encode(),
            "rootpw hidden\nTOKEN-HIDDEN hidden \N{MULTIPLICATION SIGN}\n".encode(),
            "rootpw hidden\nTOKEN-HIDDEN hidden \N{MULTIPLICATION SIGN}\n",
        ),
        (  # an overlay has no line of a Kickstart; its data URLs are compared
            ServedKind.OVERLAY,
            b"data:,s3cret%20of%20cp1 rootpw x1",
            b"data:,hidden rootpw x1",
            "data:,hidden rootpw x1",
        ),
        (ServedKind.ROLE, b"\xffkeys of the cluster", b"\xffkeys of the cluster", None),
        (ServedKind.SCRIPT, b"\xff", "\ufffd".encode(), "\ufffd"),
        (ServedKind.GRUB, b"x" * LONGEST_TEXT, b"x" * LONGEST_TEXT, "x" * LONGEST_TEXT),
        (ServedKind.GRUB, b"x" * (LONGEST_TEXT + 1), b"x" * (LONGEST_TEXT + 1), None),
    ],
    ids=["kickstart", "overlay", "role", "not-utf-8", "longest", "too-long"],
)
def test_a_document_is_kept_without_secrets_and_the_role_as_a_digest(
    kind: ServedKind, document: bytes, digested: bytes, text: str | None
):
    assert served(kind, document) == ServedDocument(CP1, kind, AT, MAC, BASE, sha256(digested).hexdigest(), text)


def test_a_document_is_read_from_what_the_api_shows():
    document = served(ServedKind.SCRIPT, b"#!ipxe\n")

    assert document == ServedDocument.parse(
        {
            "host": "cp1",
            "kind": "script",
            "at": "2026-11-21T00:00:00+00:00",
            "mac": "52:54:00:aa:bb:01",
            "base_url": BASE,
            "sha256": sha256(b"#!ipxe\n").hexdigest(),
            "text": "#!ipxe\n",
        }
    )
