"""Machines install from another web server: the content directory copied by the commands of docs/content.md."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.rack import SERVER, Rack, running, token_in

from netboot.content.library.library import Library, LibraryBusyError

pytestmark = pytest.mark.integration
TIMEOUT_S = 60.0
PORT = 8088
MEDIUM, RELEASE = "ol8u10-x86_64", "ock-1.31-amd64"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "content.md"
NGINX = """
daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/nginx.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; default_type application/octet-stream; client_body_temp_path {root}/b; proxy_temp_path {root}/p;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  {server}
}}
"""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
# Files that are in the content directory and must not be copied.
PRIVATE = (f"media/{MEDIUM}/.netboot.json", *(f"ostree/{RELEASE}/{name}" for name in (".netboot.json", ".lock")))
PRIVATE += (f"ostree/{RELEASE}/tmp/cache/file", f"ostree/{RELEASE}/state/file", ".staging/1-x/file", ".deltas/file")


def documented_block(program: str) -> list[str]:
    """Return the lines that docs/content.md shows for a program, between the first command and `END`."""
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    return next(block.splitlines() for block in blocks if f"\n{program} " in block)


def copy(program: str, content: Path, replaced: dict[str, str], *, there: Callable[[], set[str]]) -> Iterator[set[str]]:
    """Run the documented commands one by one, and yield what the target has after each."""
    head, body = "\n".join(documented_block(program)).split("<<'END'\n")
    for command in body.removesuffix("\nEND").splitlines():
        script = f"{head}<<'END'\n{command}\nEND\n".replace("/var/lib/netboot/content", str(content))
        for documented, used in replaced.items():
            assert documented in script
            script = script.replace(documented, used)
        done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield there()


@contextmanager
def started(rack: Rack, *command: str, log: Path) -> Iterator[None]:
    """Run a server on the appliance's address until the end; give control when its port accepts connections."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["ip", "netns", "exec", rack.server_namespace, *command], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + TIMEOUT_S
        while time.monotonic() < until and process.poll() is None:
            with rack.server_socket() as probe:
                if probe.connect_ex((SERVER, PORT)) == 0:
                    break
            time.sleep(0.1)
        else:
            raise AssertionError(f"{command[0]} does not listen on {PORT}: {log.read_text()}")
        yield
    finally:
        process.kill()
        process.wait(TIMEOUT_S)


def ostree(*arguments: str, namespace: str | None = None) -> str:
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    done = subprocess.run(
        [*prefix, "ostree", *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def content(rack_directory: Path) -> Path:
    """The content directory of `rack_directory` with a static delta, a summary, and every file that stays private."""
    content = rack_directory / "content"
    repo = f"--repo={content / 'ostree' / RELEASE}"
    (content / "media" / MEDIUM / ".treeinfo").write_text("[stage2]\nmainimage = images/install.img\n")
    ostree("static-delta", "generate", repo, "--empty", "--to=ock")
    ostree("summary", "-u", repo)
    for name in PRIVATE:
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text("private")
    return content


@pytest.fixture
def rack(rack_directory: Path, content: Path, request: pytest.FixtureRequest) -> Iterator[Rack]:
    """A daemon whose `content.url` is the test's parameter."""
    config = rack_directory / "netboot.yaml"
    config.write_text(config.read_text().replace("directory: content,", f"directory: content, url: {request.param},"))
    with running(rack_directory) as rack:
        yield rack


def published(content: Path) -> set[str]:
    """List what the other server must have, by its path below `content.url`."""
    files = {
        str(path.relative_to(content))
        for top in ("media", "ostree")
        for path in (content / top).rglob("*")
        if path.is_file()
    }
    return {re.sub("^media/", "content/", name) for name in files - set(PRIVATE)}


def check_order(states: list[set[str]], wanted: set[str]) -> None:
    """Check that the command before the one that copied summary and refs had copied each object and delta."""
    complete = [{name for name in wanted if "/objects/" in name or "/deltas/" in name} <= state for state in states]
    named = [any("/summary" in name or "/refs/" in name for name in state) for state in states]

    assert complete.index(True) < named.index(True)
    assert states[-1] == wanted


def check_install(rack: Rack, url: str, directory: Path) -> None:
    """Arm cp1, follow its script and Kickstart as a machine does, and pull the whole release from `url`."""
    cp1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    script = cp1.script()
    kickstart = cp1.get(f"/ks/{token_in(script, 'ks')}").body
    remote = re.search(r"^ostreesetup .*--url=(\S+)", kickstart, re.MULTILINE)

    for member in ("vmlinuz", "initrd.img"):
        assert f"{url}/content/{MEDIUM}/{member}" in script
        assert cp1.get(f"{url}/content/{MEDIUM}/{member}").body == member * 100
    assert f"inst.stage2={url}/content/{MEDIUM}" in script
    assert remote is not None
    assert remote[1].strip("'\"") == f"{url}/ostree/{RELEASE}"
    repo, source = f"--repo={directory}", f"--repo={rack.directory / 'content/ostree' / RELEASE}"
    ostree("init", repo, "--mode=archive")
    ostree("remote", "add", repo, "--no-gpg-verify", "ock", f"{url}/ostree/{RELEASE}")
    ostree("pull", repo, "ock", "ock", namespace=rack.client_namespace)
    ostree("fsck", repo)
    assert ostree("rev-parse", repo, "ock:ock") == ostree("rev-parse", source, "ock")
    assert ostree("ls", "-RC", repo, "ock:ock") == ostree("ls", "-RC", source, "ock")


@pytest.mark.parametrize("rack", [f"http://{SERVER}:{PORT}/netboot"], indirect=True)
def test_a_machine_installs_from_an_nginx_that_has_the_directory_copied_by_rsync(
    rack: Rack, content: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, wanted = tmp_path_factory.mktemp("nginx"), published(content)
    www = root / "www" / "netboot"
    www.mkdir(parents=True)
    for directory in (root, *root.parents):
        if directory.stat().st_uid == os.getuid() and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o011)

    def there() -> set[str]:
        return {str(path.relative_to(www)) for path in www.rglob("*") if path.is_file()}

    check_order([*copy("rsync", content, {"mirror.example.org:/srv/www/netboot": str(www)}, there=there)], wanted)
    blocks = re.findall(r"^```nginx\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    (server,) = (block for block in blocks if "/srv/www" in block)
    server = server.replace("listen 80", f"listen {SERVER}:{PORT}").replace("/srv/www", str(root / "www"))
    (root / "nginx.conf").write_text(NGINX.format(root=root, server=server))
    with started(rack, "nginx", "-p", str(root), "-c", str(root / "nginx.conf"), log=root / "log"):
        check_install(rack, f"http://{SERVER}:{PORT}/netboot", root / "pulled")


@pytest.mark.parametrize("rack", [f"http://{SERVER}:{PORT}/mirror/netboot"], indirect=True)
def test_a_machine_installs_from_an_s3_store_that_rclone_filled(
    rack: Rack, content: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, wanted, url = tmp_path_factory.mktemp("s3"), published(content), f"http://{SERVER}:{PORT}"
    for name, value in (CREDENTIALS | {"RCLONE_CONFIG": str(root / "rclone.conf")}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    in_server = f"ip netns exec {rack.server_namespace} rclone"

    def rclone(*arguments: str) -> str:
        command = [*in_server.split(), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def there() -> set[str]:
        return set(rclone("lsf", "-R", "--files-only", "store:mirror/netboot").splitlines())

    command = (sys.executable, "-m", "moto.server", "-H", SERVER, "-p", str(PORT))
    with started(rack, *command, log=root / "log"):
        create, *_ = documented_block("rclone")
        subprocess.run(["sh", "-euc", create.replace("https://s3.example.org", url)], check=True, timeout=TIMEOUT_S)
        rclone("mkdir", "store:mirror")
        replaced = {"https://s3.example.org": url, "\nrclone": f"\n{in_server}"}
        check_order([*copy("rclone", content, replaced, there=there)], wanted)
        about = rack.curl("--head", f"{url}/mirror/netboot/ostree/{RELEASE}/refs/heads/ock").headers.lower()
        assert "\ncache-control: no-cache\n" in about
        check_install(rack, f"{url}/mirror/netboot", root / "pulled")


def test_no_import_runs_while_the_documented_lock_is_held(content: Path) -> None:
    command = ["flock", ".lock", "sh", "-c", "echo held; read end"]
    with subprocess.Popen(command, cwd=content, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as copying:
        assert copying.stdout is not None
        assert copying.stdout.readline() == b"held\n"

        with pytest.raises(LibraryBusyError), Library(content).changing():
            pass

        copying.communicate(b"\n", timeout=TIMEOUT_S)


def test_no_copy_starts_while_an_import_holds_the_lock(content: Path) -> None:
    with Library(content).changing():
        assert subprocess.run(["flock", "-n", ".lock", "true"], cwd=content, check=False).returncode == 1
