"""The requests about rollouts; tests/admin compares them with the description of the API."""

from typing import Any

import pytest
from fixtures.client_requests import MANY, ONE, Call, made

from netboot.clients.rollouts_client import RolloutsClient
from netboot.operate.rollout.new_rollout import RolloutRequest


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
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
