"""Who may use the administration, with curl as client: by the control socket, on loopback, and from another computer.

tests/browser has the same for browsers.
"""

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.access import PASSWORD
from fixtures.files import SETTINGS, write_files
from fixtures.lan import a_lan
from fixtures.rack import Answer, Rack

pytestmark = pytest.mark.integration

HERE, CLIENT, OTHER_CLIENT = "10.9.0.1", "10.9.0.66", "10.9.0.67"
URL = f"https://{HERE}:8470"
ADMIN: Final = (
    "admin: {socket: control.sock, listen: ['127.0.0.1:8470', '10.9.0.1:8470'], "
    "tls: {certificate: tls/server.pem, key: tls/server.key}, public_url: 'https://rack.example.org:8470'}"
)
REQUESTS = [
    ("GET", "/healthz"),
    ("GET", "/api/v1/status"),
    ("POST", "/api/v1/content/rescan"),
    ("GET", "/api/v1/users"),
    ("GET", "/api/v1/nothing"),
    ("GET", "/metrics"),
]


@dataclass(frozen=True)
class Box:
    """An appliance with a LAN of administrators, and the API tokens of its programs."""

    rack: Rack
    tokens: dict[str, str] = field(default_factory=dict)

    def headers(self, sent: str) -> list[str]:
        """Return curl's arguments for a credential."""
        return ["-H", f"Authorization: Bearer {self.tokens[sent]}"] if sent else []

    def by_tls(self, *arguments: str, path: str = "/api/v1/session", at: str = CLIENT) -> Answer:
        """Send a request from another computer."""
        trusted = ["--cacert", str(self.rack.directory / "tls/ca.pem"), "--interface", at]
        return self.rack.curl(*trusted, *arguments, URL + path)

    def statuses(self, channel: str, sent: str) -> list[int]:
        """Return how each request is answered."""
        found = []
        for method, path in REQUESTS:
            arguments = ["-X", method, *self.headers(sent)]
            match channel:
                case "network":
                    answer = self.by_tls(*arguments, path=path)
                case "loopback":
                    answer = self.rack.curl_api(*arguments, path)
                case _:
                    socket = ["--unix-socket", str(self.rack.directory / "control.sock")]
                    answer = self.rack.curl_api(*socket, *arguments, path)
            found.append(answer.status)
        return found

    def users(self) -> list[str]:
        return [user["name"] for user in self.rack.api("/api/v1/users")]

    def add_user(self, name: str, role: str) -> None:
        file = self.rack.directory / "password"
        file.write_text(PASSWORD)
        self.rack.netboot("user", "add", name, "--role", role, "--password-file", str(file))
        file.unlink()

    def add_token(self, name: str, role: str, *more: str) -> None:
        created = self.rack.netboot("token", "create", name, "--role", role, "--json", *more)
        self.tokens[name] = json.loads(created.partition("\n}")[0] + "}")["token"]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """An appliance without a user; its tokens are made before its daemon starts."""
    settings = SETTINGS.replace("admin: {socket: control.sock, listen: 127.0.0.1:8470}", ADMIN)
    directory = write_files(tmp_path_factory.mktemp("access"), settings=settings)
    with a_lan(("192.0.2.10/24", "192.0.2.66/24"), (f"{HERE}/24", f"{CLIENT}/24")) as lan:
        lan.ip(lan.client, "addr", "add", f"{OTHER_CLIENT}/24", "dev", "c1")
        box = Box(Rack(directory, lan))
        box.rack.netboot("ca", "init")
        box.rack.netboot("ca", "issue")
        for name, role in (("admin", "admin"), ("watch", "read-only"), ("revoked", "admin"), ("expired", "admin")):
            box.add_token(name, role)
        box.rack.netboot("token", "revoke", "revoked")
        box.tokens["unknown"] = "nb_unknown"
        with sqlite3.connect(directory / "netboot.db") as store:
            store.execute("UPDATE api_tokens SET expires_at = '2026-01-01T00:00:00+00:00' WHERE name = 'expired'")
        store.close()
        try:
            box.rack.start(timeout_s=60)
            yield box
        finally:
            box.rack.stop()


@pytest.fixture
def with_user(box: Box) -> Box:
    """The same appliance, from its first user on."""
    if "alice" not in box.users():
        box.add_user("alice", "admin")
    return box


EVERYTHING = [200, 200, 200, 200, 404, 200]
READING = [200, 200, 403, 403, 404, 200]
NOTHING = [401] * 6
ROWS = {
    ("control socket", ""): EVERYTHING,
    ("control socket", "expired"): EVERYTHING,
    ("loopback", "admin"): EVERYTHING,
    ("loopback", "watch"): READING,
    ("loopback", "expired"): NOTHING,
    ("loopback", "revoked"): NOTHING,
    ("loopback", "unknown"): NOTHING,
    ("network", ""): [200, 401, 401, 401, 401, 401],
    ("network", "admin"): EVERYTHING,
    ("network", "watch"): READING,
    ("network", "expired"): NOTHING,
    ("network", "revoked"): NOTHING,
    ("network", "unknown"): NOTHING,
}


def test_loopback_changes_everything_but_users_until_the_first_user_exists(box: Box):
    for name in box.users():
        box.rack.netboot("user", "remove", name)
    before = box.statuses("loopback", "")
    box.add_user("alice", "admin")
    after = box.statuses("loopback", "")

    assert (before, after) == ([200, 200, 200, 401, 404, 200], [200, 200, 401, 401, 404, 200])


@pytest.mark.parametrize(("channel", "sent"), ROWS)
def test_each_request_is_served_or_refused_as_the_threat_model_has_it(with_user: Box, channel: str, sent: str):
    assert with_user.statuses(channel, sent) == ROWS[channel, sent]


def test_a_refusal_has_its_reason_and_how_to_authenticate(with_user: Box):
    expired = with_user.by_tls(*with_user.headers("expired"), path="/api/v1/status")
    read_only = with_user.by_tls(*with_user.headers("watch"), "-X", "POST", path="/api/v1/reload")

    assert 'www-authenticate: Bearer realm="netboot"' in expired.headers.lower().replace("bearer", "Bearer")
    assert json.loads(expired.body)["error"] == (
        "the API token expired has expired; netboot token create makes another one"
    )
    assert json.loads(read_only.body)["error"] == ("role read-only may not change anything; this needs role admin")


def test_another_computer_without_a_login_learns_the_state_alone(with_user: Box):
    anonymous = json.loads(with_user.by_tls(path="/healthz").body)
    known = json.loads(with_user.by_tls(*with_user.headers("watch"), path="/readyz").body)

    assert list(anonymous) == ["status"]
    assert list(known) == ["status", "parts"]


def test_a_change_by_a_token_is_audited_with_its_name(with_user: Box):
    with_user.by_tls(*with_user.headers("admin"), "-X", "POST", "-d", '{"change": "by a program"}',
                     path="/api/v1/content/rescan")  # fmt: skip

    audit = with_user.rack.wait_for("audit.recorded", subject="by a program")
    assert (audit["actor"], audit["source"], audit["outcome"]) == ("token admin", "api", "done")


def test_a_requester_learns_who_it_is(with_user: Box):
    found = json.loads(with_user.by_tls(*with_user.headers("watch")).body)

    assert (found["actor"], found["channel"], found["role"]) == ("token watch", "network", "read-only")
    assert (found["may_change"], found["may_manage"]) == (False, False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Host: rack.example.org:8470"], 200),
        (["Host: RACK.example.org"], 200),
        (["Host: rack.example.org:8470", "Origin: https://rack.example.org:8470"], 200),
        (["Origin: https://10.9.0.1:8470"], 200),
        (["Origin: https://evil.example"], 403),
        (["Origin: null"], 403),
        (["Host: evil.example", "Origin: https://evil.example"], 403),
        (["Host: 192.0.2.10:8470"], 403),
        (["Host: rack.example.org@evil.example"], 403),
        (["Sec-Fetch-Site: cross-site"], 403),
        (["Sec-Fetch-Site: same-site"], 403),
        (["Sec-Fetch-Site: same-origin"], 200),
    ],
)
def test_only_pages_and_names_of_this_appliance_are_served(with_user: Box, headers: list[str], status: int):
    arguments = [argument for header in headers for argument in ("-H", header)]

    assert with_user.by_tls(*with_user.headers("admin"), *arguments).status == status


@pytest.mark.parametrize(
    "arguments",
    [
        ["-H", "Authorization: Bearer"],
        ["-H", "Authorization: bearer \xff\xfe"],
        ["-H", "Authorization: Basic YWxpY2U6eA=="],
        ["-H", f"Authorization: Bearer nb_{'x' * 4000}"],
        ["-H", "Authorization: Bearer nb_a", "-H", "Authorization: Bearer nb_b"],
        ["-H", "Authorization;"],
        ["-H", f"Cookie: netboot-session={'x' * 4000}"],
        ["-H", 'Cookie: netboot-session="; x=1'],
        ["-H", "Cookie: netboot-session=\xff"],
        ["-H", "Cookie: netboot-session=a; netboot-session=b"],
        ["-H", "X-Forwarded-For: 127.0.0.1", "-H", "Forwarded: for=127.0.0.1"],
    ],
)
def test_a_malformed_credential_is_refused(with_user: Box, arguments: list[str]):
    assert with_user.by_tls(*arguments, path="/api/v1/status").status == 401


def test_a_stream_ends_when_its_token_is_revoked(with_user: Box):
    with_user.add_token("stream", "read-only")
    trusted = ["--cacert", str(with_user.rack.directory / "tls/ca.pem"), *with_user.headers("stream")]

    command = [
        "ip",
        "netns",
        "exec",
        with_user.rack.client_namespace,
        "curl",
        "-sS",
        "-N",
        "--max-time",
        "20",
        *trusted,
    ]
    with subprocess.Popen(
        [*command, f"{URL}/api/v1/events"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as curl:
        assert curl.stdout is not None
        assert curl.stdout.read(1) == b":"
        with_user.rack.netboot("token", "revoke", "stream")
        assert curl.wait(10) != 28  # not by its own timeout


def test_refused_tokens_are_events_that_are_limited(with_user: Box):
    def counted(found: str) -> int:
        return sum(1 for line in with_user.rack.lines("access.token_refused") if line["reason"] == found)

    before = counted("unknown")
    for _ in range(20):
        with_user.by_tls("-H", "Authorization: Bearer nb_x", path="/api/v1/status", at=OTHER_CLIENT)

    assert counted("unknown") - before <= 1


def test_users_and_tokens_are_kept_over_a_restart(with_user: Box):
    rack = with_user.rack
    before: Any = [rack.api(f"/api/v1/{what}") for what in ("users", "tokens")]
    rack.kill()
    rack.start(timeout_s=60)

    after: Any = [rack.api(f"/api/v1/{what}") for what in ("users", "tokens")]
    names = [[each["name"] for each in found] for found in after]
    assert names == [[each["name"] for each in found] for found in before]
    assert with_user.statuses("network", "watch") == READING


def test_the_commands_work_with_a_daemon_as_without(with_user: Box, tmp_path: Path):
    rack = with_user.rack
    with_user.add_user("bob", "read-only")
    changed = json.loads(rack.netboot("user", "set", "bob", "--role", "admin", "--json"))
    refused = rack.netboot("user", "remove", "eve", status=1)
    removed = rack.netboot("user", "remove", "bob")
    with_user.add_token("short", "admin", "--expires", "1m")
    revoked = rack.netboot("token", "revoke", "short")

    assert changed["user"]["role"] == "admin"
    assert refused == "netboot: no user is called eve; netboot user list shows them\n"
    assert removed == "bob may not log in any more\n"
    assert revoked == "token short is revoked\n"
    audits = [(line["action"], line["subject"], line["source"]) for line in rack.lines("audit.recorded")]
    assert audits[-6:] == [
        ("add user", "bob: role read-only", "control-socket"),
        ("set user", "bob: role admin", "control-socket"),
        ("remove user", "eve", "control-socket"),
        ("remove user", "bob", "control-socket"),
        ("create token", "short: role admin", "control-socket"),
        ("revoke token", "short", "control-socket"),
    ]


@dataclass(frozen=True)
class Login:
    """A browser without JavaScript, whose cookies curl keeps in a file."""

    box: Box
    jar: Path
    at: str = CLIENT

    def get(self, path: str, *arguments: str, at: str = "") -> Answer:
        jar = str(self.jar)
        return self.box.by_tls("-b", jar, "-c", jar, "-H", "Accept: text/html", *arguments, path=path, at=at or self.at)

    def csrf(self, path: str) -> str:
        """Take the token out of a page's form."""
        return self.get(path).body.partition('name="csrf" value="')[2].partition('"')[0]

    def post(self, path: str, form_of: str, **fields: str) -> Answer:
        """Send the form of a page, with its token."""
        texts = {"csrf": self.csrf(form_of), **fields}
        return self.get(
            path, *(part for name, text in texts.items() for part in ("--data-urlencode", f"{name}={text}"))
        )

    def log_in(self, password: str = PASSWORD) -> Answer:
        return self.post("/login", "/login", name="alice", password=password, next="/content")


@pytest.fixture
def login(with_user: Box, tmp_path: Path) -> Login:
    return Login(with_user, tmp_path / "cookies")


@pytest.fixture
def limits_forgotten(with_user: Box) -> Iterator[None]:
    """Restart the daemon after the test: the limits of logins are in its memory."""
    yield
    with_user.rack.kill()
    with_user.rack.start(timeout_s=60)


def test_a_login_is_a_session_that_reads_changes_and_ends(login: Login):
    refused = login.get("/")
    begun = login.log_in()
    page = login.get("/")
    without = login.get("/api/v1/content/rescan", "-X", "POST")
    with_header = login.get("/api/v1/content/rescan", "-X", "POST", "-H", f"X-CSRF-Token: {login.csrf('/')}")
    ended = login.post("/logout", "/logout")
    after = login.get("/")

    assert (refused.status, "location: /login?next=/" in refused.headers.lower()) == (303, True)
    cookie = next(
        line for line in begun.headers.splitlines() if line.lower().startswith("set-cookie: netboot-session=")
    )
    assert (begun.status, "location: /content" in begun.headers.lower()) == (303, True)
    assert {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"} <= set(cookie.split("; "))
    assert (page.status, without.status, with_header.status) == (200, 403, 200)
    assert (ended.status, after.status) == (303, 303)
    assert login.box.rack.lines("access.logged_in")[-1]["user"] == "alice"


def test_an_admin_ends_one_login_by_the_api_and_the_other_stays(login: Login, tmp_path: Path):
    rack, other = login.box.rack, Login(login.box, tmp_path / "other-cookies", OTHER_CLIENT)
    assert (login.log_in().status, other.log_in().status) == (303, 303)
    own = json.loads(login.get("/api/v1/session").body)["session"]

    ended = rack.api(f"/api/v1/users/alice/logins/{own['id']}", "-X", "DELETE")
    again = rack.curl_api("-X", "DELETE", *login.box.headers("admin"), f"/api/v1/users/alice/logins/{own['id']}")
    by_reader = rack.curl_api("-X", "DELETE", *login.box.headers("watch"), "/api/v1/users/alice/logins/0")

    assert (ended["id"], ended["address"]) == (own["id"], CLIENT)
    assert (login.get("/api/v1/session").status, other.get("/api/v1/session").status) == (401, 200)
    assert (again.status, json.loads(again.body)["code"], by_reader.status) == (404, "account-unknown", 403)


def test_a_login_survives_a_restart_and_its_cookie_is_worthless_elsewhere(login: Login):
    assert login.log_in().status == 303
    login.box.rack.kill()
    login.box.rack.start(timeout_s=60)

    own = login.get("/api/v1/session")
    stolen = login.get("/api/v1/session", at=OTHER_CLIENT)
    after = login.get("/api/v1/session")

    assert json.loads(own.body)["actor"] == "alice"
    assert (own.status, stolen.status, after.status) == (200, 401, 401)
    refused = login.box.rack.wait_for("access.session_refused", user="alice")
    assert (refused["address"], refused["login_address"]) == (OTHER_CLIENT, CLIENT)


@pytest.mark.usefixtures("limits_forgotten")
def test_a_thousand_wrong_logins_delay_no_offer_and_lock_nobody_out(login: Login, tmp_path: Path):
    rack, csrf = login.box.rack, login.csrf("/login")
    tries = "".join(f'url = "{URL}/login"\noutput = "/dev/null"\n' for _ in range(1000))
    (tmp_path / "tries").write_text(tries)
    command = [
        *("ip", "netns", "exec", rack.client_namespace, "curl", "-sS", "-Z", "--parallel-max", "20"),
        *("--cacert", str(rack.directory / "tls/ca.pem"), "--interface", CLIENT, "-b", str(login.jar)),
        *(
            "-d",
            f"name=alice&password=wrong-password&csrf={csrf}",
            "-w",
            "%{http_code}\n",
            "-K",
            str(tmp_path / "tries"),
        ),
    ]
    machine, waited_s = rack.machine("52:54:00:aa:bb:01", "192.0.2.50"), []
    cpu_before = cpu_s(rack.pid)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
        while flood.poll() is None:
            began_s = time.monotonic()
            assert machine.discover() is not None
            waited_s.append(time.monotonic() - began_s)
        assert flood.stdout is not None
        statuses = flood.stdout.read().split()
    of_other = Login(login.box, tmp_path / "other", OTHER_CLIENT).log_in()

    assert len(waited_s) >= 3
    assert (len(statuses), set(statuses)) == (1000, {"401", "429"})
    assert statuses.count("401") <= 10 + (cpu_s(rack.pid) - cpu_before)  # of the address: ten, and few that came later
    assert of_other.status == 303
    limited = json.loads(login.box.by_tls("-b", str(login.jar), path="/healthz").body)
    assert limited["status"] in ("ok", "degraded", "failed")


def cpu_s(pid: int) -> float:
    """Read the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
