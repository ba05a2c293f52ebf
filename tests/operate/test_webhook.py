"""Events are posted to a real web server that accepts, refuses, hangs, closes, redirects and never ends."""

import asyncio
import json
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fixtures import receivers
from fixtures.certificates import make_certificate
from fixtures.receivers import Answer, WebReceiver, a_receiver
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from netboot.model.clock import utc_now
from netboot.model.hook import WebTarget
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.operate.hooks.attempt import ANSWER_BYTES, Accepted, Failed, Outcome
from netboot.operate.hooks.hook_message import HookMessage, message_of
from netboot.operate.hooks.webhook import WebhookSender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"
OTHER_SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
AT = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
EVENT = Event(
    "boot.offered", AT, HostName("cp1"), Mac("52:54:00:aa:bb:01"), Step.OFFER, {"kind": "loader", "stage": None}, 17
)
MESSAGE = message_of(EVENT, "box1")
SECRET_URL = "/services/T00/B00?token=XYZZY"


def delivered(*answers: Answer, timeout_s: float = 5.0, path: str = "/hook", **target: Any) -> tuple[Outcome, Any]:
    """Deliver one message; return the outcome and what the server received."""

    async def scenario() -> tuple[Outcome, WebReceiver]:
        async with a_receiver() as receiver, WebhookSender(now=utc_now) as sender:
            receiver.answers += answers
            url = f"http://127.0.0.1:{receiver.port}{path}"
            return await sender.send(WebTarget(url, **target), MESSAGE, timeout_s=timeout_s), receiver

    outcome, receiver = asyncio.run(scenario())
    if isinstance(outcome, Failed):
        outcome = Failed(outcome.reason.replace(str(receiver.port), "PORT"), outcome.retry_after_s)
    return outcome, receiver.received


def failure(*answers: Answer, **kwargs: Any) -> Outcome:
    return delivered(*answers, **kwargs)[0]


def secret(directory: Path, text: str = f"{SECRET}\n") -> Path:
    path = directory / "secret"
    path.write_text(text)
    return path


def test_a_message_is_the_event_as_the_api_shows_it_with_the_name_of_the_appliance():
    outcome, (request,) = delivered()

    assert outcome == Accepted("HTTP 204")
    assert request.path == "/hook"
    assert json.loads(request.body) == {
        "id": 17,
        "at": "2026-11-29T02:00:00+00:00",
        "event": "boot.offered",
        "host": "cp1",
        "mac": "52:54:00:aa:bb:01",
        "step": "offer",
        "data": {"kind": "loader", "stage": None},
        "appliance": "box1",
    }
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == MESSAGE.id
    assert "webhook-signature" not in request.headers


def test_another_implementation_of_standard_webhooks_accepts_the_signature(tmp_path: Path):
    _, (request,) = delivered(secret_file=secret(tmp_path))

    assert Webhook(SECRET).verify(request.body, request.headers)["event"] == "boot.offered"
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body.replace(b"cp1", b"cp2"), request.headers)


def test_while_a_secret_is_changed_a_message_is_signed_with_both(tmp_path: Path):
    _, (request,) = delivered(secret_file=secret(tmp_path, f"{OTHER_SECRET}\n{SECRET}\n"))

    assert Webhook(SECRET).verify(request.body, request.headers)
    assert Webhook(OTHER_SECRET).verify(request.body, request.headers)


def test_each_attempt_has_the_same_id_and_body_and_its_own_time(tmp_path: Path):
    times = iter([AT, AT.replace(hour=3)])

    async def scenario() -> WebReceiver:
        target = secret(tmp_path)
        async with a_receiver() as receiver, WebhookSender(now=lambda: next(times)) as sender:
            for _ in range(2):
                await sender.send(WebTarget(receiver.url, target), MESSAGE, timeout_s=5)
            return receiver

    first, second = asyncio.run(scenario()).received

    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3600
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_the_same_event_of_another_appliance_has_another_id_without_a_full_stop():
    other = message_of(EVENT, "box2")

    assert other.id != MESSAGE.id
    assert "." not in other.id


def test_an_event_of_a_host_has_the_url_of_its_page_if_that_of_the_appliance_is_known():
    of_a_machine = Event("boot.loader_sent", AT)

    pages = [
        json.loads(message_of(event, "box1", public_url=url).body).get("page")
        for event, url in (
            (Event("install.moved", AT, host="cp1"), "https://a:8470"),
            (Event("install.moved", AT, host="cp1"), None),
            (of_a_machine, "https://a:8470"),
        )
    ]

    assert pages == ["https://a:8470/hosts/cp1", None, None]


def test_text_of_a_machine_that_is_not_utf8_is_replaced():
    message = message_of(Event("boot.loader_sent", AT, data={"name": "caf\udce9\n☃"}), "box1")

    assert json.loads(message.body)["data"] == {"name": "caf?\n☃"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("hunter2\n", "has a line that is no secret of Standard Webhooks"),
        ("whsec_aHVudGVyMg==\n", "has a line that is no secret of Standard Webhooks"),
        ("whsec_hunter2!\n", "has a line that is no secret of Standard Webhooks"),
        (f"{SECRET}\nhunter2\n", "has a line that is no secret of Standard Webhooks"),
    ],
)
def test_nothing_is_sent_with_a_secret_that_is_none_and_no_message_shows_it(tmp_path: Path, text: str, fault: str):
    outcome, received = delivered(secret_file=secret(tmp_path, text))

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith(f"the secret {tmp_path}/secret {fault}; write a line with whsec_")
    assert "hunter2" not in outcome.reason
    assert received == []


def test_nothing_is_sent_without_the_secret(tmp_path: Path):
    outcome, received = delivered(secret_file=tmp_path / "none")

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith(f"cannot read the secret {tmp_path}/none: No such file or directory; ")
    assert received == []


def test_a_refusal_is_reported_with_its_status_and_the_first_line_of_its_text():
    outcome = failure(receivers.status(500, "\n  broken\x1b[2J pipe \nmore"))

    assert outcome == Failed("http://127.0.0.1:PORT: HTTP 500 broken\N{REPLACEMENT CHARACTER}[2J pipe")


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("-1", 0)])
def test_a_server_that_is_busy_states_when_it_may_be_tried_again(value: str, seconds: int):
    outcome = failure(receivers.status(503, Retry_After=value))

    assert outcome == Failed("http://127.0.0.1:PORT: HTTP 503", seconds)


def test_a_redirect_is_a_failure_and_is_not_followed():
    outcome, received = delivered(receivers.status(307, Location="/elsewhere"))

    assert outcome == Failed("http://127.0.0.1:PORT: HTTP 307; redirects are not followed: correct url of the hook")
    assert [request.path for request in received] == ["/hook"]


def test_a_connection_that_is_closed_is_a_failure():
    outcome = failure(receivers.close)

    assert outcome == Failed("http://127.0.0.1:PORT: it closed the connection before its answer was complete")


def test_a_server_whose_answer_has_no_end_is_judged_by_its_status():
    began_s = time.monotonic()

    outcome = failure(receivers.trickle, timeout_s=25)

    assert isinstance(outcome, Accepted)
    assert outcome.answer.startswith("HTTP 200 .")
    assert time.monotonic() - began_s < 10


def test_a_server_that_does_not_answer_has_its_time():
    began_s = time.monotonic()

    outcome = failure(receivers.hang, timeout_s=0.5)

    assert outcome == Failed("http://127.0.0.1:PORT did not answer within 0.5 s")
    assert time.monotonic() - began_s < 3


def test_of_an_answer_without_end_only_the_beginning_is_read():
    outcome = failure(receivers.flood)

    assert outcome == Failed("http://127.0.0.1:PORT: HTTP 500 first line")
    assert ANSWER_BYTES == 4096


def test_what_is_no_http_is_a_failure_that_does_not_show_the_url():
    async def scenario() -> Outcome:
        server = await asyncio.start_server(receivers.answer_raw, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, WebhookSender(now=utc_now) as sender:
            return await sender.send(WebTarget(f"http://127.0.0.1:{port}{SECRET_URL}"), MESSAGE, timeout_s=5)

    outcome = asyncio.run(scenario())

    assert isinstance(outcome, Failed)
    assert outcome.reason.endswith(": its answer is not HTTP")
    assert "XYZZY" not in outcome.reason


def test_a_port_on_which_nobody_listens_is_a_failure():
    async def scenario() -> Outcome:
        async with WebhookSender(now=utc_now) as sender:
            return await sender.send(WebTarget(f"http://127.0.0.1:9{SECRET_URL}"), MESSAGE, timeout_s=5)

    assert asyncio.run(scenario()) == Failed("http://127.0.0.1:9: no connection: Connection refused")


def test_a_name_that_does_not_exist_is_a_failure():
    async def scenario() -> Outcome:
        async with WebhookSender(now=utc_now) as sender:
            return await sender.send(WebTarget("http://receiver.invalid/hook"), MESSAGE, timeout_s=20)

    outcome = asyncio.run(scenario())

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("http://receiver.invalid: its name cannot be resolved: ")


def test_a_server_is_found_by_its_name():
    async def scenario() -> Outcome:
        async with a_receiver() as receiver, WebhookSender(now=utc_now) as sender:
            return await sender.send(WebTarget(receiver.url.replace("127.0.0.1", "localhost")), MESSAGE, timeout_s=20)

    assert asyncio.run(scenario()) == Accepted("HTTP 204")


def test_a_url_is_requested_as_it_is_written_and_no_message_shows_its_path():
    outcome, (request,) = delivered(receivers.status(404, f"no {SECRET_URL} here"), path=SECRET_URL)

    assert request.path == SECRET_URL
    assert outcome == Failed("http://127.0.0.1:PORT: HTTP 404 no … here")
    assert "XYZZY" not in repr(WebTarget(f"http://h{SECRET_URL}"))


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert failure() == Accepted("HTTP 204")


def over_tls(directory: Path, ca_file: Path | None) -> Outcome:
    """Deliver a message to a server whose certificate is `server` in a directory."""
    make_certificate(directory / "server", address="127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(directory / "server", directory / "server.key")

    async def scenario() -> Outcome:
        async with a_receiver(tls=tls) as receiver, WebhookSender(now=utc_now) as sender:
            url = receiver.url.replace("http:", "https:")
            outcome = await sender.send(WebTarget(url, ca_file=ca_file), MESSAGE, timeout_s=5)
            again = await sender.send(WebTarget(url, ca_file=ca_file), MESSAGE, timeout_s=5)
            assert outcome == again
            return (
                Failed(outcome.reason.replace(str(receiver.port), "PORT")) if isinstance(outcome, Failed) else outcome
            )

    return asyncio.run(scenario())


def test_the_certificate_of_a_server_is_verified_with_the_ca_of_the_hook(tmp_path: Path):
    assert over_tls(tmp_path, tmp_path / "server") == Accepted("HTTP 204")


def test_a_certificate_of_another_ca_is_refused(tmp_path: Path):
    make_certificate(tmp_path / "other")

    outcome = over_tls(tmp_path, tmp_path / "other")

    assert outcome == Failed("https://127.0.0.1:PORT: its certificate is refused: self-signed certificate")


@pytest.mark.parametrize(("text", "why"), [(None, "No such file or directory"), ("x", "it has no certificate in PEM")])
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path, text: str | None, why: str):
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)

    assert over_tls(tmp_path, path) == Failed(f"https://127.0.0.1:PORT: cannot use ca_file {path}: {why}")


def test_a_message_has_the_id_of_its_event():
    assert HookMessage("{}").id == "evt_44136fa355b3678a1146ad16f7e8649e"
