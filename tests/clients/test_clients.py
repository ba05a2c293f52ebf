"""The request that each method makes, whole; tests/admin compares them with the description of the API."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from netboot.bmc.credentials import BmcCredentials
from netboot.clients.access_client import AccessClient
from netboot.clients.power_client import BmcCredentialsClient, PowerClient
from netboot.clients.rollouts_client import RolloutsClient
from netboot.model.access.access_rule import UserRole
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.power.power import PowerAction
from netboot.operate.access.api_tokens import NewToken
from netboot.operate.access.user_accounts import NewUser, UserEdit
from netboot.operate.power.power_request import PowerRequest
from netboot.operate.rollout.new_rollout import RolloutRequest
from netboot.operate.selection import HostSelection

PASSWORD = "correct horse battery"
NAME, QUOTED = "a/b?c#é", "a%2Fb%3Fc%23%C3%A9"  # no name is a part of a path, or a query
ONE, MANY = {"name": "x"}, [{"name": "x"}, {"name": "y"}]

Request = Callable[..., Awaitable[Any]]
Call = Callable[[Request], Awaitable[Any]]


def made(call: Call, answer: object) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Call a method; return its result, and the arguments of the request that it made."""
    requests: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    async def request(*arguments: Any, **options: Any) -> Any:
        requests.append((arguments, options))
        return answer

    async def scenario() -> Any:
        return await call(request)

    result = asyncio.run(scenario())
    ((arguments, options),) = requests
    return result, arguments, options


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        (lambda r: AccessClient(r).users.all(), MANY, ("GET", "users")),
        (
            lambda r: AccessClient(r).users.add(NewUser("alice", UserRole.ADMIN, PASSWORD)),
            ONE,
            ("POST", "users", {"name": "alice", "role": "admin", "password": PASSWORD}),
        ),
        (
            lambda r: AccessClient(r).users.change(UserEdit(NAME, UserRole.READ_ONLY)),
            ONE,
            ("PATCH", f"users/{QUOTED}", {"role": "read-only"}),
        ),
        (
            lambda r: AccessClient(r).users.change(UserEdit("bob", None, PASSWORD)),
            ONE,
            ("PATCH", "users/bob", {"password": PASSWORD}),
        ),
        (lambda r: AccessClient(r).users.remove(NAME), ONE, ("DELETE", f"users/{QUOTED}")),
        (lambda r: AccessClient(r).tokens.all(), MANY, ("GET", "tokens")),
        (
            lambda r: AccessClient(r).tokens.create(NewToken("ci", UserRole.ADMIN, timedelta(days=1))),
            ONE,
            ("POST", "tokens", {"name": "ci", "role": "admin", "expires_in_s": 86400}),
        ),
        (
            lambda r: AccessClient(r).tokens.create(NewToken("ci", UserRole.READ_ONLY, None)),
            ONE,
            ("POST", "tokens", {"name": "ci", "role": "read-only", "expires_in_s": None}),
        ),
        (lambda r: AccessClient(r).tokens.revoke(NAME), ONE, ("DELETE", f"tokens/{QUOTED}")),
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
        (lambda r: RolloutsClient(r).show(), ONE, ("GET", "rollouts/newest")),
        (
            lambda r: RolloutsClient(r).pause(reason="a fan"),
            ONE,
            ("POST", "rollouts/active/pause", {"reason": "a fan"}),
        ),
        (lambda r: RolloutsClient(r).resume(), ONE, ("POST", "rollouts/active/resume")),
        (
            lambda r: RolloutsClient(r).cancel(("cp1", "w1"), reason="a fan"),
            ONE,
            ("POST", "rollouts/active/cancel", {"hosts": ["cp1", "w1"], "reason": "a fan"}),
        ),
        (lambda r: RolloutsClient(r).retry("w1"), ONE, ("POST", "rollouts/active/retry", {"host": "w1"})),
        (lambda r: RolloutsClient(r).confirm(), ONE, ("POST", "rollouts/active/confirm")),
        (lambda r: RolloutsClient(r).printed(), MANY, ("GET", "rollouts/active/commands")),
        (lambda r: RolloutsClient(r).cluster(), ONE, ("GET", "cluster")),
    ],
)
def test_each_method_makes_one_request_and_returns_its_answer(call: Call, answer: object, expected: tuple[Any, ...]):
    assert made(call, answer) == (answer, expected, {})


def test_a_plan_and_a_rollout_are_requested_with_the_same_options():
    request = RolloutRequest(("cp1",), max_parallel=2, power=False, replace="w1")

    plan, rollout = (
        made(call, ONE)
        for call in (lambda r: RolloutsClient(r).plan(request), lambda r: RolloutsClient(r).begin(request))
    )

    assert (plan[0], rollout[0]) == (ONE, ONE)
    assert (plan[1][:2], rollout[1][:2]) == (("POST", "rollouts/plan"), ("POST", "rollouts"))
    assert plan[1][2] == rollout[1][2]
    sent = rollout[1][2]
    assert {name: sent[name] for name in ("hosts", "max_parallel", "power", "replace")} == {
        "hosts": ["cp1"],
        "max_parallel": 2,
        "power": False,
        "replace": "w1",
    }


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_probe_has_the_time_that_a_daemon_may_take_for_it(is_recorded: bool):
    result = made(lambda r: PowerClient(r).probes.probe(NAME, is_recorded=is_recorded), ONE)

    assert result == (ONE, ("POST", f"hosts/{QUOTED}/bmc/probe", {"record": is_recorded}), {"answer_s": 260.0})
