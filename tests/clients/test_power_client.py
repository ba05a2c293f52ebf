"""The requests about power and BMCs; tests/admin compares them with the description of the API."""

from typing import Any

import pytest
from fixtures.client_requests import MANY, NAME, ONE, QUOTED, Call, made

from netboot.bmc.credentials import BmcCredentials
from netboot.clients.power_client import BmcCredentialsClient, PowerClient
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.power.power import PowerAction
from netboot.operate.power.power_request import PowerRequest
from netboot.operate.selection import HostSelection


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        (
            lambda r: PowerClient(r).request(
                PowerRequest(
                    ["cp1"],
                    PowerAction.PXE,
                    NetworkBoot.HTTP,
                    is_forced=True,
                    selection=HostSelection("worker", {"rack": "r1"}),
                )
            ),
            MANY,
            (
                "POST",
                "power",
                {
                    "hosts": ["cp1"],
                    "role": "worker",
                    "labels": {"rack": "r1"},
                    "action": "pxe",
                    "network_boot": "http",
                    "force": True,
                },
            ),
        ),
        (lambda r: PowerClient(r).ended(NAME), ONE, ("GET", f"power/intents/{QUOTED}?wait_s=20")),
        (lambda r: PowerClient(r).read(NAME), ONE, ("GET", f"hosts/{QUOTED}/power")),
        (
            lambda r: BmcCredentialsClient(r).set(NAME, BmcCredentials("root", "secret"), url="https://bmc"),
            ONE,
            (
                "PUT",
                f"hosts/{QUOTED}/bmc/credentials",
                {"username": "root", "password": "secret", "url": "https://bmc"},
            ),
        ),
    ],
)
def test_each_method_makes_one_request_and_returns_its_answer(call: Call, answer: object, expected: tuple[Any, ...]):
    assert made(call, answer) == (answer, expected, {})


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_probe_has_the_time_that_a_daemon_may_take_for_it(is_recorded: bool):
    result = made(lambda r: PowerClient(r).probes.probe(NAME, is_recorded=is_recorded), ONE)

    assert result == (ONE, ("POST", f"hosts/{QUOTED}/bmc/probe", {"record": is_recorded}), {"answer_s": 260.0})
