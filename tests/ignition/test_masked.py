"""A configuration is shown without its secrets."""

import hashlib
import json
from pathlib import Path

import pytest
from ignition.faulty import data, document, file, files, packed

from netboot.ignition.check import read_ignition
from netboot.ignition.masked import masked
from netboot.ignition.schema import Json

SAMPLES = Path(__file__).parent / "samples"
TEXT = b"secret text"
HIDDEN = f"hidden, 11 bytes, sha256 {hashlib.sha256(TEXT).hexdigest()}"


def shown(config: bytes) -> Json:
    return masked(read_ignition(config).config)


@pytest.mark.parametrize(
    ("path", "mode", "is_hidden"),
    [
        ("/etc/motd", None, False),
        ("/etc/motd", 0o644, False),
        ("/etc/motd", 0o440, False),
        ("/etc/motd", 0o600, True),
        ("/etc/motd", 0o700, True),
        ("/etc/motd", 0o4711, True),
        ("/etc/kubernetes/pki/ca.crt", 0o644, True),
        ("/etc/kubernetes/kubeadm.conf", 0o644, True),
        ("/etc/kubernetes/admin.conf", 0o644, True),
        ("/etc/tls/server.key", 0o644, True),
        ("/var/lib/join-token", 0o644, True),
    ],
)
def test_the_contents_of_a_secret_file_are_its_size_and_digest(path: str, mode: int | None, is_hidden: bool):
    held = file(path, packed(TEXT), compression="gzip") | ({} if mode is None else {"mode": mode})

    [found] = shown(files(held))["storage"]["files"]

    assert found["contents"] == ({"source": HIDDEN} if is_hidden else held["contents"])
    assert (found["path"], found.get("mode")) == (path, mode)


def test_what_is_appended_to_a_secret_file_is_hidden():
    appended = [{"source": data(TEXT)}, {"source": "http://192.0.2.1/secret?key=1"}]

    [found] = shown(files({"path": "/etc/a", "mode": 0o600, "append": appended}))["storage"]["files"]

    assert found["append"] == [{"source": HIDDEN}, {"source": "hidden"}]


def test_password_hashes_headers_disk_keys_and_inner_configurations_are_hidden():
    headers = [{"name": "Authorization", "value": "secret text"}]
    url = "http://192.0.2.1/a"
    inner = document(passwd={"users": [{"name": "a", "passwordHash": "secret text"}]})
    config = document(
        ignition={"config": {"merge": [{"source": data(inner)}, {"source": url, "httpHeaders": headers}]}},
        passwd={"users": [{"name": "ocne", "passwordHash": "secret text", "sshAuthorizedKeys": ["ssh-rsa AAAA"]}]},
        storage={
            "files": [
                {"path": "/etc/a", "contents": {"source": url, "httpHeaders": headers}},
                {"path": "/etc/b", "append": [{"source": url, "httpHeaders": headers}]},
            ],
            "luks": [{"name": "a", "device": "/dev/vda2", "keyFile": {"source": data(TEXT)}}],
        },
    )

    found = shown(config)

    assert "secret" not in json.dumps(found)
    without = {"source": url, "httpHeaders": [{"name": "Authorization", "value": "hidden"}]}
    assert found["ignition"]["config"]["merge"][1] == without
    assert found["storage"]["files"][0]["contents"] == without
    assert found["storage"]["files"][1]["append"] == [without]
    assert found["storage"]["luks"][0]["keyFile"] == {"source": HIDDEN}
    assert found["passwd"]["users"] == [
        {"name": "ocne", "passwordHash": "hidden", "sshAuthorizedKeys": ["ssh-rsa AAAA"]}
    ]


def test_no_key_or_token_of_a_file_of_ocne_is_shown():
    for name in ("init.ign", "controlplane-join.ign", "worker-join.ign"):
        found = shown((SAMPLES / name).read_bytes())
        modes = {
            each["path"]: each["contents"]["source"][:6]
            for each in found["storage"]["files"]
            if each.get("mode") == 0o600
        }

        assert modes
        assert set(modes.values()) == {"hidden"}


PROXY = "http://proxy.example.com:3128"
PRIVATE_KEY = b"-----BEGIN EC PRIVATE KEY-----\nsecret\n-----END EC PRIVATE KEY-----\n"


def test_user_and_password_of_a_proxy_are_hidden_in_the_head_and_in_units():
    with_user = "http://user:secret@proxy.example.com:3128"
    environment = f'[Service]\nEnvironment=HTTP_PROXY={with_user}\nEnvironment="NO_PROXY=.example.com"\n'
    units = [{"name": "crio.service", "dropins": [{"name": "proxy.conf", "contents": environment}]}]
    config = document(
        ignition={"proxy": {"httpProxy": with_user, "noProxy": [".example.com"]}}, systemd={"units": units}
    )

    found = shown(config)

    hidden = PROXY.replace("//", "//hidden@")
    assert found["ignition"]["proxy"] == {"httpProxy": hidden, "noProxy": [".example.com"]}
    [dropin] = found["systemd"]["units"][0]["dropins"]
    assert dropin["contents"] == environment.replace(with_user, hidden)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Environment=REGISTRY_PASSWORD=secret", "Environment=REGISTRY_PASSWORD=hidden"),
        ("ExecStart=/bin/a --token=secret --wait", "ExecStart=/bin/a --token=hidden --wait"),
        ("Environment=KEY_SECRET='secret text'", "Environment=KEY_SECRET=hidden"),
        ('Environment="A_PASSWORD=secret text" "B=c"', 'Environment="A_PASSWORD=hidden" "B=c"'),
        ("Environment=A_TOKEN=", "Environment=A_TOKEN=hidden"),
        ("Environment=NET_INTERFACE=ens3", "Environment=NET_INTERFACE=ens3"),
    ],
)
def test_what_a_unit_assigns_to_the_name_of_a_secret_is_hidden(line: str, expected: str):
    found = shown(document(systemd={"units": [{"name": "a.service", "contents": f"[Service]\n{line}\n"}]}))

    assert found["systemd"]["units"][0]["contents"] == f"[Service]\n{expected}\n"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/etc/pki/tls/private/server.pem", PRIVATE_KEY),
        ("/etc/environment", b"HTTPS_PROXY=http://user:secret@proxy.example.com:3128\n"),
        ("/etc/containers/auth.json", b'{"auths": {"registry.example.com": {"auth": "c2VjcmV0"}}}'),
        ("/root/.docker/config.json", b"{}"),
    ],
)
def test_an_open_file_with_a_private_key_or_a_password_is_hidden(path: str, content: bytes):
    [found] = shown(files(file(path, data(content)) | {"mode": 0o644}))["storage"]["files"]

    digest = hashlib.sha256(content).hexdigest()
    assert found["contents"] == {"source": f"hidden, {len(content)} bytes, sha256 {digest}"}


def test_of_a_url_to_fetch_user_and_query_are_hidden():
    url = "https://user:secret@files.example.com/a.conf?signature=secret"

    found = shown(
        document(
            ignition={"config": {"merge": [{"source": url}]}},
            storage={"files": [{"path": "/etc/a", "contents": {"source": url}}]},
        )
    )

    hidden = {"source": "https://hidden@files.example.com/a.conf?hidden"}
    assert found["ignition"]["config"]["merge"] == [hidden]
    assert found["storage"]["files"][0]["contents"] == hidden


def test_a_configuration_without_secrets_is_shown_as_it_is():
    config = read_ignition(document(ignition={"config": {"replace": {}}}, systemd={"units": []})).config

    assert masked(config) == config
    assert masked({}) == {}


@pytest.mark.parametrize("contents", [{}, {"compression": "gzip"}])
def test_a_secret_file_that_holds_nothing_has_nothing_hidden(contents: Json):
    held = {"path": "/etc/tls/server.key", "contents": contents, "append": [contents]}

    assert shown(files(held))["storage"]["files"] == [held]
