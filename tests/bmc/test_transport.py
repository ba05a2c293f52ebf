"""Slow, failing and wrong BMCs: each ends as one sentence, in time, and the password goes nowhere else."""

import asyncio
import hashlib
import json
import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.bmc_host import a_host
from fixtures.certificates import server_pair
from fixtures.operated_bmcs import OperatedBmcs
from fixtures.redfish_answers import answering_bmc, answers_of
from fixtures.redfish_emulator import PASSWORD
from fixtures.wrong_bmc import ROOT, WrongBmc, within, wrong_bmc

from netboot.bmc import bmc_connection
from netboot.bmc import bmcs as bmcs_module
from netboot.bmc.bmcs import Bmcs
from netboot.bmc.credentials import BmcCredentials, write_credentials
from netboot.bmc.quirks import KnownQuirks
from netboot.bmc.transport import LARGEST_ANSWER_BYTES
from netboot.errors import BmcError
from netboot.model.bmc.bmc import Bmc, BmcCertificate, BmcTrust
from netboot.model.host.host import Host
from netboot.model.power.power import PowerState, ResetAction

SYSTEM = {
    "Id": "1",
    "Manufacturer": "Contoso",
    "PowerState": "Off",
    "Actions": {"#ComputerSystem.Reset": {"target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"}},
}
SYSTEMS = {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}
RESOURCES = {"/redfish/v1": ROOT, "/redfish/v1/Systems": SYSTEMS, "/redfish/v1/Systems/1": SYSTEM}
HOST = a_host(Bmc("https://192.0.2.1"))


@pytest.fixture
def hurried(quirks: KnownQuirks, credentials: Path):
    """BMCs with a request of 0.3 s, so a call of 1.2 s."""
    bmcs = OperatedBmcs(quirks, credentials, timeout_s=0.3, parallel=2)
    yield bmcs
    bmcs.close()


def served(bmc: WrongBmc) -> None:
    """Answer as a BMC without sessions does."""
    found = RESOURCES.get(bmc.path.rstrip("/"))
    bmc.send(200 if found else 404, found or {})


def failure(bmcs: Bmcs, bmc: Bmc, what=lambda machine: machine.state()) -> BmcError:
    with pytest.raises(BmcError) as caught:
        asyncio.run(bmcs.call(replace(HOST, bmc=bmc), what))
    assert PASSWORD not in str(caught.value)
    return caught.value


# --- certificates


def test_an_unknown_certificate_is_refused_before_anything_is_sent(bmcs: Bmcs, tmp_path: Path):
    certificate, key = server_pair(tmp_path, "127.0.0.1")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()

    with wrong_bmc(served, (certificate, key)) as (url, seen):
        error = failure(bmcs, Bmc(url))

    assert (error.fault, error.reason) == (
        "certificate",
        "the certificate of 127.0.0.1 is refused: self-signed certificate",
    )
    assert error.cure == f"set hosts.cp1.bmc.certificate to its CA, or, if the BMC shows it, sha256:{digest}"
    assert seen == []


def test_a_certificate_is_accepted_by_its_ca_its_digest_or_unverified(bmcs: Bmcs, tmp_path: Path):
    certificate, key = server_pair(tmp_path, "127.0.0.1")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
    ways = [
        BmcCertificate(BmcTrust.CA_FILE, certificate),
        BmcCertificate(BmcTrust.PIN, sha256=digest),
        BmcCertificate(BmcTrust.NONE),
    ]

    with answering_bmc(answers_of("dell-r760"), (certificate, key)) as url:
        hosts = [replace(HOST, bmc=Bmc(url, certificate=way)) for way in ways]
        states = [asyncio.run(bmcs.call(host, lambda machine: machine.state())) for host in hosts]
        probe = asyncio.run(bmcs.call(hosts[2], lambda machine: machine.probe()))

    assert states == [PowerState.ON] * 3
    assert probe.certificate_sha256 == digest


def test_another_digest_and_another_name_are_refused(bmcs: Bmcs, tmp_path: Path):
    certificate, key = server_pair(tmp_path, "192.0.2.7")

    with wrong_bmc(served, (certificate, key)) as (url, seen):
        pinned = failure(bmcs, Bmc(url, certificate=BmcCertificate(BmcTrust.PIN, sha256="0" * 64)))
        named = failure(bmcs, Bmc(url, certificate=BmcCertificate(BmcTrust.CA_FILE, certificate)))

    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
    assert pinned.reason == f"its certificate has the digest {digest}, not the one of bmc.certificate"
    assert pinned.cure == f"if its certificate was replaced, write certificate: sha256:{digest}"
    assert named.reason == (
        "the certificate of 127.0.0.1 is refused: IP address mismatch, certificate is not valid for '127.0.0.1'."
    )
    assert seen == []


def test_a_ca_that_is_none_names_the_file(bmcs: Bmcs, tmp_path: Path):
    (tmp_path / "ca.pem").write_text("no certificate")

    with wrong_bmc(served, server_pair(tmp_path, "127.0.0.1")) as (url, _):
        empty = failure(bmcs, Bmc(url, certificate=BmcCertificate(BmcTrust.CA_FILE, tmp_path / "ca.pem")))
        missing = failure(bmcs, Bmc(url, certificate=BmcCertificate(BmcTrust.CA_FILE, tmp_path / "none.pem")))

    assert empty.reason == f"cannot use the CA {tmp_path}/ca.pem: no certificate in PEM"
    assert missing.reason == f"cannot use the CA {tmp_path}/none.pem: No such file or directory"


def test_a_server_without_tls_is_no_bmc(bmcs: Bmcs):
    with wrong_bmc(served) as (url, seen):
        error = failure(bmcs, Bmc(url.replace("http:", "https:")))

    assert (error.fault, seen) == ("certificate", [])
    assert error.reason.startswith("127.0.0.1 has no TLS, or one that is too old: ")


# --- logins


def test_a_wrong_password_is_tried_once(quirks: KnownQuirks, bmcs: Bmcs):
    bmc = answers_of("dell-r760")
    bmc.password = "another"

    with answering_bmc(bmc) as url:
        error = failure(bmcs, Bmc(url))

    assert str(error) == (
        "cannot read the power state of cp1: the BMC does not accept user and password; "
        "netboot bmc credentials cp1 writes user and password"
    )
    assert (error.fault, bmc.logins, bmc.sessions) == ("login", 1, 0)


def test_a_user_without_the_right_is_refused_without_its_password(bmcs: Bmcs):
    """The BMC repeats the password in its message."""
    bmc = answers_of("supermicro-x12")
    path = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
    bmc.rules.append(
        {"method": "POST", "path": path, "status": 403, "id": "Base.1.0.InsufficientPrivilege",
         "message": f"{PASSWORD} has not the right"}
    )  # fmt: skip

    with answering_bmc(bmc) as url:
        error = failure(bmcs, Bmc(url), lambda machine: machine.power(ResetAction.ON))

    assert (error.fault, error.reason) == ("forbidden", "the BMC forbids it: hidden has not the right")


def test_each_call_ends_its_session(bmcs: Bmcs):
    bmc = answers_of("dell-r760")

    with answering_bmc(bmc) as url:
        for _ in range(3):
            asyncio.run(bmcs.call(replace(HOST, bmc=Bmc(url)), lambda machine: machine.state()))

    assert (bmc.logins, bmc.sessions) == (3, 0)


def test_missing_credentials_reach_no_bmc(bmcs: Bmcs, tmp_path: Path):
    with wrong_bmc(served) as (url, seen):
        error = failure(bmcs, Bmc(url, credentials=tmp_path / "none"))

    assert (error.fault, seen) == ("credentials", [])
    assert error.cure == "netboot bmc credentials cp1 writes it"


def test_credentials_of_another_bmc_reach_none(bmcs: Bmcs, tmp_path: Path):
    """Who changes hosts files may name any URL, no certificate, and the file of another host."""
    own = tmp_path / "bmc.d" / "cp2"
    write_credentials(own, BmcCredentials("root", PASSWORD), Bmc("https://192.0.2.2"))
    with wrong_bmc(served) as (url, seen):
        error = failure(bmcs, Bmc(url, credentials=own, certificate=BmcCertificate(BmcTrust.NONE)))

    assert (error.fault, seen) == ("credentials", [])
    assert error.reason == f"{own} is for https://192.0.2.2 (verify), and not for {url} (none)"


# --- other servers


def test_a_redirect_to_another_server_gets_nothing(bmcs: Bmcs):
    with wrong_bmc(served) as (other, seen_there):

        def redirected(bmc: WrongBmc) -> None:
            if bmc.path.rstrip("/") == "/redfish/v1":
                served(bmc)
            else:
                bmc.send(302, b"", Location=f"{other}{bmc.path}")

        with wrong_bmc(redirected) as (url, _):
            error = failure(bmcs, Bmc(url))

    assert (error.fault, seen_there) == ("redirected", [])
    assert error.reason == f"it refers to another server, {other}, which would get the password"


@pytest.mark.parametrize("link", ["systems", "sessions", "target"])
def test_a_link_to_another_server_gets_nothing(bmcs: Bmcs, link: str):
    with wrong_bmc(served) as (other, seen_there):
        root = dict(ROOT)
        if link == "systems":
            root["Systems"] = {"@odata.id": f"{other}/redfish/v1/Systems"}
        if link == "sessions":
            root["SessionService"] = {"@odata.id": f"{other}/s"}
            root["Links"] = {"Sessions": {"@odata.id": f"{other}/s/s"}}
        system = json.loads(json.dumps(SYSTEM))
        if link == "target":
            system["Actions"]["#ComputerSystem.Reset"]["target"] = f"{other}/reset"
        resources = {**RESOURCES, "/redfish/v1": root, "/redfish/v1/Systems/1": system}

        def answer(bmc: WrongBmc) -> None:
            bmc.send(200, resources[bmc.path.rstrip("/")])

        with wrong_bmc(answer) as (url, _):
            error = failure(bmcs, Bmc(url), lambda machine: machine.power(ResetAction.ON))

    assert (error.fault, seen_there) == ("redirected", [])


def test_a_redirect_within_the_bmc_is_followed(bmcs: Bmcs):
    def redirected(bmc: WrongBmc) -> None:
        if bmc.path == "/redfish/v1/Systems/1":
            bmc.send(308, b"", Location="/redfish/v1/Systems/1/")
        else:
            served(bmc)

    with wrong_bmc(redirected) as (url, _):
        state = asyncio.run(bmcs.call(replace(HOST, bmc=Bmc(url)), lambda machine: machine.state()))

    assert state is PowerState.OFF


def test_the_environment_names_no_proxy_and_no_password(bmcs: Bmcs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login x password from-netrc\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with wrong_bmc(served) as (proxy, seen_by_proxy), wrong_bmc(served) as (url, seen):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        asyncio.run(bmcs.call(replace(HOST, bmc=Bmc(url)), lambda machine: machine.state()))

    assert seen_by_proxy == []
    assert {headers.get("Authorization") for _, path, headers in seen if path != "/redfish/v1/"} == {
        "Basic b3BlcmF0b3I6aXQnczogYSAjc2VjcmV0"
    }


# --- wrong answers


def page(bmc: WrongBmc) -> None:
    bmc.send(200, b"<html>login</html>", kind="text/html; charset=utf-8")


def no_json(bmc: WrongBmc) -> None:
    bmc.send(200, b"not json")


def a_list(bmc: WrongBmc) -> None:
    bmc.send(200, [1, 2])


def deep(bmc: WrongBmc) -> None:
    bmc.send(200, b"[" * 200_000)


def wrong_types(bmc: WrongBmc) -> None:
    bmc.send(200, {"Id": [], "Systems": 7, "Links": "x", "RedfishVersion": {}})


def failing(bmc: WrongBmc) -> None:
    bmc.send(500, b"oops \x1b[31m", kind="text/plain")


def unavailable(bmc: WrongBmc) -> None:
    bmc.send(503, {"error": {"code": "Base.1.0.Busy", "message": "starting"}})


def no_service(bmc: WrongBmc) -> None:
    bmc.send(404, {})


def enormous(bmc: WrongBmc) -> None:
    bmc.send(200, b" " * (LARGEST_ANSWER_BYTES + 1))


def endless(bmc: WrongBmc) -> None:
    bmc.send_response(200)
    bmc.send_header("Transfer-Encoding", "chunked")
    bmc.end_headers()
    while not bmc.ended.is_set():
        bmc.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")


def cut(bmc: WrongBmc) -> None:
    bmc.send_response(200)
    bmc.send_header("Content-Length", "1000")
    bmc.end_headers()
    bmc.wfile.write(b"{")
    bmc.close_connection = True


def closed(bmc: WrongBmc) -> None:
    bmc.close_connection = True


def no_http(bmc: WrongBmc) -> None:
    bmc.wfile.write(b"220 ready\r\n")
    bmc.close_connection = True


def many_headers(bmc: WrongBmc) -> None:
    bmc.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n{}")
    bmc.close_connection = True


NOT_REDFISH = "correct bmc.url, or update the BMC"
NO_PAGE = "correct bmc.url, or enable Redfish in the BMC's settings"
AGAIN = "try again; if it persists, restart the BMC"


@pytest.mark.parametrize(
    ("answer", "fault", "reason", "cure"),
    [
        (page, "not-redfish", "it answers GET with a page or a redirect instead of Redfish", NO_PAGE),
        (no_json, "not-redfish", "the BMC's answer is not that of Redfish (JSONDecodeError)", NOT_REDFISH),
        (a_list, "not-redfish", "the BMC's answer is not that of Redfish (AttributeError)", NOT_REDFISH),
        (deep, "not-redfish", "the BMC's answer is not that of Redfish (RecursionError)", NOT_REDFISH),
        (wrong_types, "not-redfish", None, NOT_REDFISH),
        (failing, "failed", "the BMC failed (HTTP 500: no reason given)", AGAIN),
        (unavailable, "busy", "the BMC is busy (HTTP 503: starting)", "try again in a minute"),
        (no_service, "not-supported", None, "netboot bmc probe cp1 shows what it can do"),
        (enormous, "too-large", None, "look for a newer firmware of the BMC"),
        (endless, "too-large", None, "look for a newer firmware of the BMC"),
        (cut, "failed", "127.0.0.1 ended the connection within its answer", AGAIN),
        (closed, "failed", "127.0.0.1 ended the connection within its answer", AGAIN),
        (no_http, "failed", "127.0.0.1 does not answer by HTTP", AGAIN),
        (many_headers, "failed", "127.0.0.1 does not answer by HTTP", AGAIN),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_answer_is_one_sentence(bmcs: Bmcs, answer, fault: str, reason: str | None, cure: str):
    with wrong_bmc(answer) as (url, _):
        error = failure(bmcs, Bmc(url))

    assert (error.fault, error.cure, error.is_outcome_unknown) == (fault, cure, False)
    assert reason is None or error.reason == reason
    assert str(error).isprintable()


def test_a_bmc_that_is_not_there(bmcs: Bmcs):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    refused = failure(bmcs, Bmc(f"https://127.0.0.1:{port}"))
    unnamed = failure(bmcs, Bmc("https://bmc.invalid"))

    assert str(refused) == (
        f"cannot read the power state of cp1: 127.0.0.1 port {port}: Connection refused; "
        "correct bmc.url, or look for the BMC's cable and address"
    )
    assert (unnamed.fault, unnamed.reason) == ("unreachable", "the name bmc.invalid cannot be resolved")


# --- slow answers, and what is unknown


def hanging(bmc: WrongBmc) -> None:
    bmc.ended.wait(30)


def dripping_head(bmc: WrongBmc) -> None:
    bmc.drip(b"HTTP/1.1 200 OK\r\nX-Header: " + b"x" * 10_000, pause_s=0.05)


def dripping_body(bmc: WrongBmc) -> None:
    bmc.send_response(200)
    bmc.send_header("Content-Length", "100000")
    bmc.end_headers()
    bmc.drip(b" " * 100_000, pause_s=0.05)


@pytest.mark.parametrize("answer", [hanging, dripping_head, dripping_body], ids=lambda answer: answer.__name__)
def test_a_slow_bmc_is_left_in_time(hurried: Bmcs, answer):
    with wrong_bmc(answer) as (url, _):
        began = time.monotonic()
        error = failure(hurried, Bmc(url))

        assert error.fault == "timeout"
        assert within(5, began)


def test_a_handshake_that_does_not_end_is_left_in_time(hurried: Bmcs):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        began = time.monotonic()
        error = failure(hurried, Bmc(f"https://127.0.0.1:{listening.getsockname()[1]}"))

    assert error.reason == "127.0.0.1 did not answer in time (bmc.timeout_s: 0.3)"
    assert within(5, began)


def test_a_bmc_that_never_ends_its_answers_keeps_no_thread(hurried: Bmcs, monkeypatch: pytest.MonkeyPatch):
    """It sends byte by byte: the answer until the call is ended, then the one to the logout."""
    monkeypatch.setattr(bmc_connection, "_LOGOUT_S", 0.5)
    monkeypatch.setattr(bmcs_module, "_QUEUED_S", 5.0)
    sessions = {"SessionService": {"@odata.id": "/s"}, "Links": {"Sessions": {"@odata.id": "/s/s"}}}

    def answer(bmc: WrongBmc) -> None:
        if bmc.path.rstrip("/") == "/redfish/v1":
            bmc.send(200, {**ROOT, **sessions})
        elif bmc.command == "POST":
            bmc.send(201, {}, **{"X-Auth-Token": "t", "Location": "/s/s/1"})
        else:
            dripping_body(bmc)

    async def free(host: Host) -> str:
        return await hurried.call(host, lambda _: "free")

    with wrong_bmc(answer) as (url, seen):
        error = failure(hurried, Bmc(url))

        assert asyncio.run(free(replace(HOST, bmc=Bmc(url)))) == "free"
    assert error.fault == "timeout"
    assert [path for method, path, _ in seen if method == "DELETE"] == ["/s/s/1"]


@pytest.mark.parametrize("answer", [hanging, closed, cut], ids=lambda answer: answer.__name__)
def test_an_action_whose_answer_does_not_arrive_is_unknown_and_sent_once(hurried: Bmcs, answer):
    def answered(bmc: WrongBmc) -> None:
        (answer if bmc.command == "POST" else served)(bmc)

    with wrong_bmc(answered) as (url, seen):
        error = failure(hurried, Bmc(url), lambda machine: machine.power(ResetAction.ON))

        assert error.is_outcome_unknown
        assert [path for method, path, _ in seen if method == "POST"] == [
            "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
        ]


def test_an_action_that_is_answered_with_a_page_or_a_redirect_is_no_success(bmcs: Bmcs):
    """A login page answers a reset with 302, and its page with 200."""
    for answer in (page, lambda bmc: bmc.send(302, b"", Location="/login")):

        def answered(bmc: WrongBmc, answer=answer) -> None:
            (answer if bmc.command == "POST" else served)(bmc)

        with wrong_bmc(answered) as (url, seen):
            error = failure(bmcs, Bmc(url), lambda machine: machine.power(ResetAction.ON))

        assert (error.fault, error.reason) == (
            "not-redfish",
            "it answers POST with a page or a redirect instead of Redfish",
        )
        assert "/login" not in [path for _, path, _ in seen]


@pytest.mark.parametrize(
    ("status", "fault", "is_unknown"),
    [
        (400, "refused", False),
        (409, "refused", False),
        (500, "failed", True),
        (501, "not-supported", False),
        (502, "failed", True),
        (503, "busy", True),
        (504, "failed", True),
    ],
)
def test_an_action_that_fails_may_be_done_and_is_not_sent_again(bmcs: Bmcs, status: int, fault: str, is_unknown: bool):
    def answered(bmc: WrongBmc) -> None:
        if bmc.command == "POST":
            bmc.send(status, {})
        else:
            served(bmc)

    system = {**SYSTEM, "Actions": {"#ComputerSystem.Reset": {
        "target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", "ResetType@Redfish.AllowableValues": ["On"]
    }}}  # fmt: skip
    with wrong_bmc(answered) as (url, seen), pytest.MonkeyPatch.context() as patched:
        patched.setitem(RESOURCES, "/redfish/v1/Systems/1", system)
        error = failure(bmcs, Bmc(url), lambda machine: machine.power(ResetAction.ON))

    assert (error.fault, error.is_outcome_unknown) == (fault, is_unknown)
    assert len([method for method, _, _ in seen if method == "POST"]) == 1


def test_nothing_that_a_bmc_answers_gets_into_the_log(bmcs: Bmcs, caplog: pytest.LogCaptureFixture):
    """sushy logs whole answers."""
    with wrong_bmc(no_json) as (url, _):
        failure(bmcs, Bmc(url))
    with wrong_bmc(failing) as (url, _):
        failure(bmcs, Bmc(url))

    assert caplog.text == ""
