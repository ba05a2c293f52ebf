"""The search for secrets finds each of them, in each encoding, and nothing else."""

import asyncio
import base64
import gzip
import io
import json
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from fixtures.role_files import CERTIFICATE_KEY, SAMPLES, TOKEN
from secrets_search import Secret, files_below, search, secrets_of_role_file, secrets_of_store

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.token import Tokens
from netboot.store.database import Database
from netboot.store.inspections import Inspections
from netboot.store.installs import Installs

AT = datetime(2026, 11, 30, tzinfo=UTC)
SECRET = Secret("password", 'pä"ss/w+ord & more')
HIDDEN_IN = {
    "plain": SECRET.text.encode(),
    "a line": f"x {SECRET.text} y".encode(),
    "hex": SECRET.text.encode().hex().encode(),
    "URL": quote(SECRET.text, safe="").encode(),
    "URL twice": quote(quote(SECRET.text)).encode(),
    "JSON": json.dumps({"text": SECRET.text}).encode(),
    "JSON in UTF-8": json.dumps({"text": SECRET.text}, ensure_ascii=False).encode(),
    "reversed": SECRET.text.encode()[::-1],
    "gzip": gzip.compress(SECRET.text.encode()),
    "gzip that is cut": gzip.compress(SECRET.text.encode() + bytes(range(256)) * 9)[:-20],
    "base64 of gzip in a line": b"x=" + base64.b64encode(gzip.compress(SECRET.text.encode())) + b" y",
    **{f"base64+{length}": base64.b64encode(b"a" * length + SECRET.text.encode() + b"bc") for length in range(5)},
    "base64 of base64": base64.b64encode(base64.b64encode(b"x" * 30 + SECRET.text.encode() + b"x" * 30)),
}


def archive(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as writer:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        writer.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize("name", HIDDEN_IN)
def test_a_secret_is_found_in_each_encoding(name: str):
    found = search({"output": HIDDEN_IN[name], "archive": archive("log.gz", gzip.compress(HIDDEN_IN[name]))}, [SECRET])

    assert {(finding.secret, finding.place.partition(" > ")[0]) for finding in found} == {
        ("password", "output"),
        ("password", "archive"),
    }


def test_other_text_has_no_secret():
    assert search({"output": b"pass word " * 100, "empty": b""}, [SECRET]) == []


def test_a_finding_names_the_place_and_shows_no_secret():
    (found,) = search({"support.tar.gz": archive("a/b.json", json.dumps([SECRET.text]).encode())}, [SECRET])

    assert found.place.startswith("support.tar.gz > unpacked > a/b.json")
    assert found.form == "JSON-escaped"
    assert SECRET.text not in f"{found} {SECRET}"


def test_the_secrets_of_role_files_are_collected():
    content = (SAMPLES / "controlplane-join.ign").read_bytes()

    found = {secret.name: secret.text for secret in secrets_of_role_file("join", content)}

    assert found["bootstrap token in join"] == TOKEN
    assert found["certificate key in join"] == CERTIFICATE_KEY
    assert found["password hash in join"].startswith("$6$")


def test_the_tokens_of_a_store_are_collected(tmp_path: Path):
    async def scenario() -> None:
        store = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/netboot.db")
        tokens = Tokens("0" * 32, node="2" * 32)
        await Installs(store).change(
            HostName("cp1"), lambda install: replace(install, tokens=tokens), at=AT, what="script-sent"
        )
        mac = Mac("52:54:00:aa:bb:01")
        await Inspections(store).change([mac], lambda each: each.begun("ol9", "1" * 32, at=AT), creates=True)
        await store.close()

    asyncio.run(scenario())

    assert {secret.name: secret.text for secret in secrets_of_store(tmp_path / "netboot.db")} == {
        "kickstart_token of installs": "0" * 32,
        "node_token of installs": "2" * 32,
        "token of inspections": "1" * 32,
    }
    assert {f"{tmp_path.name}/netboot.db", f"{tmp_path.name}/store.key"} <= set(files_below(tmp_path))
