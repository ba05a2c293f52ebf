"""Content published for nginx and for an S3 store, and pulled from there by `ostree`."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from netboot.content.publish import DirectoryTarget, publish
from netboot.content.publish_s3 import S3Target
from netboot.errors import ContentError

pytestmark = pytest.mark.integration
TIMEOUT_S = 60.0
ANYBODY_READS = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::mirror/*"},
    ],
}
NGINX = """
daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/nginx.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; default_type application/octet-stream; client_body_temp_path {root}/b; proxy_temp_path {root}/p;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{ listen 127.0.0.1:{port}; root {www}; }}
}}
"""


def run(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, check=False, capture_output=True, timeout=TIMEOUT_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"{process.args!r} does not listen on {port}")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A medium, and an archive of some hundred objects made by `ostree`."""
    root, tree = tmp_path_factory.mktemp("content"), tmp_path_factory.mktemp("tree")
    (root / "media" / "ol8").mkdir(parents=True)
    (root / "media" / "ol8" / "vmlinuz").write_bytes(b"kernel" * 1000)
    for n in range(200):
        (tree / f"{n}").write_bytes(f"{n}".encode() * n)
    (root / "ostree").mkdir()
    repo = f"--repo={root / 'ostree' / 'ock-1'}"
    assert run("ostree", "init", repo, "--mode=archive").returncode == 0
    assert run("ostree", "commit", repo, "--branch=ock", f"--tree=dir={tree}", "-s", "OCK").returncode == 0
    return root


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """An nginx that knows nothing of us: its root and URL."""
    www, port = tmp_path / "www", free_port()
    www.mkdir()
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.getuid() and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    (tmp_path / "nginx.conf").write_text(NGINX.format(root=tmp_path, www=www, port=port))
    process = subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
    try:
        wait_for(port, process)
        yield www, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """moto's server: an S3 store in memory; gives its URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "x"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)


def pulled(url: str, target: Path) -> None:
    """Pull the release from `content.url` as Anaconda does, and prove it."""
    repo = f"--repo={target}"
    assert run("ostree", "init", repo, "--mode=bare-user").returncode == 0
    assert run("ostree", "remote", "add", repo, "--no-gpg-verify", "ock", f"{url}/ostree/ock-1").returncode == 0
    done = run("ostree", "pull", repo, "ock", "ock")
    assert done.returncode == 0, done.stderr
    assert run("ostree", "fsck", repo).returncode == 0


def test_ostree_pulls_from_an_nginx_that_has_what_was_published(
    content: Path, nginx: tuple[Path, str], tmp_path: Path
) -> None:
    www, url = nginx

    publish(content, "ock-1", DirectoryTarget(www))
    publish(content, "ol8", DirectoryTarget(www))

    pulled(url, tmp_path / "repo")
    assert run("curl", "-fsS", f"{url}/content/ol8/images/pxeboot/vmlinuz").stdout == b"kernel" * 1000
    summed = subprocess.run(
        ["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=www / "ostree" / "ock-1", check=False, timeout=TIMEOUT_S
    )
    assert summed.returncode == 0


@pytest.mark.usefixtures("credentials")
def test_ostree_pulls_from_an_s3_store_that_has_what_was_published(content: Path, s3: str, tmp_path: Path) -> None:
    client = boto3.client("s3", endpoint_url=s3)
    client.create_bucket(Bucket="mirror")
    client.put_bucket_policy(Bucket="mirror", Policy=json.dumps(ANYBODY_READS))

    first = publish(content, "ock-1", S3Target("s3://mirror/net", endpoint=s3))
    again = publish(content, "ock-1", S3Target("s3://mirror/net", endpoint=s3))

    pulled(f"{s3}/mirror/net", tmp_path / "repo")
    assert (first.copied, again.copied) == (first.files, 0)
    about = run(
        "curl", "-fsS", "-D", "-", "-o", "/dev/null", f"{s3}/mirror/net/ostree/ock-1/refs/heads/ock"
    ).stdout.lower()
    assert b"\r\ncache-control: no-cache\r\n" in about


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("target", ["s3://no-such-bucket/net", "s3://", "s3://UPPER/x"])
def test_a_bucket_that_is_not_there_is_named(s3: str, target: str) -> None:
    with pytest.raises(ContentError, match=r"cannot .* s3://"):
        S3Target(target, endpoint=s3)
