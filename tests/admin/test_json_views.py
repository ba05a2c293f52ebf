"""The JSON of results and errors: no token, and a code that depends on no version of Python or of the daemon."""

from datetime import timedelta
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface

import pytest

from netboot.admin.json_views import error_view, http_error_view, json_view
from netboot.content.library.uploads import UploadError
from netboot.control_socket import RefusedError
from netboot.model.host.host import HostName
from netboot.model.host.host_network import HostNetwork, Route
from netboot.model.install.install import Install
from netboot.model.install.token import Tokens
from netboot.operate.rollout.decision.schedule import Durations, schedule
from netboot.operate.rollout.rollout_uses import RolloutPlan
from tests.fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, a_rollout

USUAL = Durations(timedelta(minutes=10), timedelta(minutes=5), timedelta(minutes=2))


def test_no_token_is_shown_whatever_value_contains_it():
    install = Install(HostName("cp1"), tokens=Tokens("a" * 32, "b" * 32, "c" * 32))

    assert json_view([install])[0]["tokens"] == {}


def test_addresses_and_networks_of_both_families_are_text():
    network = HostNetwork(
        IPv4Interface("192.0.2.101/24"),
        address6=IPv6Interface("2001:db8::101/64"),
        gateway6=IPv6Address("fe80::1"),
        routes=(Route(IPv4Network("198.51.100.0/24"), IPv4Address("192.0.2.254")),),
    )

    view = json_view(network)

    assert (view["address"], view["address6"], view["gateway6"]) == ("192.0.2.101/24", "2001:db8::101/64", "fe80::1")
    assert view["routes"] == [{"to": "198.51.100.0/24", "via": "192.0.2.254"}]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (HTTPStatus.BAD_REQUEST, "bad-request"),
        (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large"),
        (HTTPStatus.UNPROCESSABLE_ENTITY, "unprocessable-content"),
        (HTTPStatus.INSUFFICIENT_STORAGE, "insufficient-storage"),
    ],
)
def test_the_code_of_a_refusal_is_the_name_of_its_status_in_every_python(status: int, code: str):
    assert http_error_view("why", status) == {"error": "why", "code": code}
    assert error_view(UploadError(status, "why")) == {"error": "why", "code": code}


def test_the_error_of_a_daemon_is_shown_as_it_was_received_and_always_has_a_code():
    arming = {"error": "why", "code": "arming-refused", "reasons": ["no disk"]}

    assert error_view(RefusedError(arming)) == arming
    assert error_view(RefusedError({"error": "the daemon answered 502"})) == {
        "error": "the daemon answered 502",
        "code": "failed",
    }


def test_the_plan_of_a_rollout_has_its_times_as_text_and_its_margin_in_seconds():
    made = schedule(a_rollout(0, 0), {}, {}, rules=EVERY_COMMAND, durations=USUAL)

    view = json_view(RolloutPlan(made, 1, 0, [], ["read this"]))

    assert view == {
        "schedule": {
            "hosts": [
                {
                    "host": "cp1",
                    "part": "init",
                    "install_at": shown_at(0),
                    "installed_at": shown_at(10),
                    "join_at": shown_at(15),
                    "ready_at": shown_at(19),
                }
            ],
            "commands": [
                {"kind": "start", "at": shown_at(1), "is_configured": True, "deadline": None},
                {"kind": "start-again", "at": shown_at(19), "is_configured": True, "deadline": None},
            ],
            "ends_at": shown_at(19),
            "margin_s": 600,
        },
        "options_max_parallel": 1,
        "removal": [],
        "options_failure_budget": 0,
        "refusals": [],
        "warnings": ["read this"],
    }


def shown_at(minutes: int) -> str:
    return (BEGAN_AT + timedelta(minutes=minutes)).isoformat()
