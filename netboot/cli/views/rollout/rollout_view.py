"""Prints a rollout, its plan and the cluster, from what the API shows."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from netboot.model.words import printable, shown_age, shown_left

_EXPECTED: Final = {"INSTALLED": "installed_at", "JOIN": "join_at", "READY": "ready_at"}
NODE_COLUMNS: Final = ("HOST", "ROLE", "STATE", "PHASE", "NOTE")
PLAN_COLUMNS: Final = ("HOST", "PART", "INSTALL", "INSTALLED", "JOIN", "READY")
_NONE: Final = "–"
View = Mapping[str, Any]


def host_columns(rollout: View) -> Sequence[str]:
    """Return the headings of the hosts of a rollout: with the times that are expected while it is active."""
    return ("HOST", "PART", "PHASE", "SINCE", "LIMIT", *(_EXPECTED if rollout["ended_at"] is None else ()), "NOTE")


def host_rows(rollout: View) -> Iterator[Sequence[str]]:
    """Yield a row for each host of a rollout."""
    keys = _EXPECTED.values() if rollout["ended_at"] is None else ()
    for each in rollout["hosts"]:
        until = each["permitted_until"]
        permit = [f"fetches its file until {_clock(until)} UTC"] if until and each["phase"] == "joining" else []
        notes = [each["reason"]] if each["reason"] else permit
        attempts = [f"attempt {each['attempts']}"] if each["attempts"] > 1 else []
        limit = _left(each["limit_at"]) if each["limit_at"] else _NONE
        note = "; ".join([*notes, *attempts]) or _NONE
        expected = each["expected"] or {}
        shown = (_expected(expected[key]) if expected.get(key) else _NONE for key in keys)
        yield each["host"], each["part"], each["phase"], _age(each["since"]), limit, *shown, note


def rollout_lines(rollout: View) -> Iterator[str]:
    """Yield what is known of a rollout beside its hosts."""
    counts = _counts(rollout)
    reason = f" ({rollout['reason']})" if rollout["reason"] else ""
    yield f"rollout {rollout['id']} is {rollout['state']}{reason}: {counts}"
    options = rollout["options"]
    power = "by BMC" if options["power"] else "by a person"
    yield (
        f"  began {_age(rollout['began_at'])} ago, by {rollout['actor']}; {options['max_parallel']} at a time, "
        f"failure budget {options['failure_budget']}, power {power}"
    )
    for command in rollout["commands"]:
        yield f"  {_command(command)}"
    if rollout["api_problem"]:
        yield f"  the API of the cluster: {rollout['api_problem']}"
    yield from _end_lines(rollout)
    if rollout["next_command"]:
        yield f"next: {rollout['next_command']}"


def plan_rows(plan: View) -> Iterator[Sequence[str]]:
    """Yield a row for each host of a plan."""
    for each in plan["schedule"]["hosts"]:
        times = (each[key] for key in ("install_at", "installed_at", "join_at", "ready_at"))
        yield each["host"], each["part"], *(_clock(at) if at else _NONE for at in times)


def plan_lines(plan: View) -> Iterator[str]:
    """Yield commands with their deadlines, then refusals and warnings."""
    schedule = plan["schedule"]
    yield "times are UTC"
    for each in schedule["commands"]:
        who = "" if each["is_configured"] else " (by a person)"
        deadline = f"; its secrets end {_deadline(each['deadline'])}" if each["deadline"] else ""
        yield f"{_clock(each['at'])}  {each['kind']}{who}{deadline}"
    yield from (f"removal: {each}" for each in plan["removal"])
    if schedule["ends_at"]:
        yield f"{_clock(schedule['ends_at'])}  every host is ready, if nothing fails and all takes what is usual"
    yield from (f"warning: {warning}" for warning in plan["warnings"])
    yield from (f"refused: {refusal}" for refusal in plan["refusals"])


def node_rows(cluster: View) -> Iterator[Sequence[str]]:
    """Yield a row for each node of the cluster."""
    for node in cluster["nodes"]:
        role = f"{node['role']} (init)" if node["is_init"] else node["role"]
        state = f"{node['state']}, armed" if node["is_armed"] else node["state"]
        yield node["host"], role, state, node["phase"] or _NONE, node["reason"] or _NONE


def cluster_lines(cluster: View) -> Iterator[str]:
    """Yield what is known of the cluster beside its nodes."""
    yield f"cluster {cluster['name']}, API at {cluster['endpoint'] or 'an unknown address'}"
    for each in cluster["deadlines"]:
        yield f"  the secrets of the file for {each['use']} end {_deadline(each['at'])}"
    rollout = cluster["rollout"]
    if rollout is not None:
        yield f"  rollout {rollout['id']} is {rollout['state']}: {_counts(rollout)}"
    is_active = rollout is not None and rollout["ended_at"] is None
    nothing = "nothing; netboot cluster rollout show --watch follows the rollout" if is_active else "nothing"
    yield f"next: {cluster['next_command'] or nothing}"


def changed_lines(before: View | None, after: View) -> Iterator[str]:
    """Yield a line for each host whose phase or reason changed, for each command, and for a changed state."""
    known = {each["host"]: (each["phase"], each["reason"]) for each in before["hosts"]} if before is not None else {}
    for each in after["hosts"]:
        now = each["phase"], each["reason"]
        if known.get(each["host"]) != now:
            reason = f": {each['reason']}" if each["reason"] else ""
            yield f"{_second(each['since'])}  {each['host']}  {each['phase']}{reason}"
    commands = before["commands"] if before is not None else []
    for each in after["commands"]:
        if each not in commands:
            yield f"{_second(each['ended_at'] or each['began_at'])}  {_command(each)}"
    if before is None or (before["state"], before["next_command"]) != (after["state"], after["next_command"]):
        yield f"rollout {after['id']} is {after['state']}" + (f" ({after['reason']})" if after["reason"] else "")
        if after["next_command"]:
            yield f"next: {after['next_command']}"


def is_changed(before: View | None, after: View) -> bool:
    """Return whether something of a rollout changed: not only what is expected, which moves while something is late."""

    def known(rollout: View) -> View:
        hosts = [{**each, "expected": None} for each in rollout["hosts"]]
        return {**rollout, "hosts": hosts, "expected_end_at": None}

    return before is None or known(before) != known(after)


def text_of(lines: Iterator[str]) -> list[str]:
    """Return lines as a terminal may show them."""
    return [printable(line) for line in lines]


def _counts(rollout: View) -> str:
    phases = [each["phase"] for each in rollout["hosts"]]
    return ", ".join(f"{phases.count(phase)} {phase}" for phase in dict.fromkeys(phases))


def _command(command: View) -> str:
    again = f", again in {_left(command['next_at'])}" if command["next_at"] else ""
    detail = f": {command['detail']}" if command["detail"] else ""
    return f"{command['kind']} is {command['state']}{again}{detail}"


def _clock(moment: str) -> str:
    """Return a time in UTC, with its date unless it is today."""
    at = datetime.fromisoformat(moment).astimezone(UTC)
    return f"{at:%H:%M}" if at.date() == datetime.now(UTC).date() else f"{at:%Y-%m-%d %H:%M}"


def _end_lines(rollout: View) -> Iterator[str]:
    """Yield when an active rollout is expected to end, and what the times in the columns are."""
    if rollout["ended_at"] is not None:
        return
    yield f"  {', '.join(_EXPECTED)} (UTC) are expected, if nothing fails and all takes what is usual"
    if rollout["expected_end_at"]:
        end, left = rollout["expected_end_at"], _left(rollout["expected_end_at"])
        yield f"  expected end: {_expected(end)} UTC ({'now' if left == 'over' else f'in {left}'})"
    elif rollout["no_expected_end"]:
        yield f"  no expected end: {rollout['no_expected_end']}"


def _expected(moment: str) -> str:
    """Return an expected time in UTC; one that is past is expected now."""
    return _clock(max(moment, datetime.now(UTC).isoformat(), key=datetime.fromisoformat))


def _second(moment: str | None) -> str:
    """Return the time of day of a change in UTC."""
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%H:%M:%S}" if moment is not None else "        "


def _age(moment: str | None) -> str:
    if moment is None:
        return _NONE
    return shown_age((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def _left(moment: str) -> str:
    return shown_left((datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds())


def _deadline(moment: str) -> str:
    at = datetime.fromisoformat(moment).astimezone(UTC)
    if at <= datetime.now(UTC):
        return f"at {at:%Y-%m-%d %H:%M} UTC: they have ended"
    return f"at {at:%Y-%m-%d %H:%M} UTC (in {_left(moment)})"
