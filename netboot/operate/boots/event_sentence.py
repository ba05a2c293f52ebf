"""Writes what an event means as one line for an operator. Pure."""

from typing import Final

from netboot.model.boot.reasons import Data, explain
from netboot.model.hook import MOVED
from netboot.model.install.event import Event, data_text

_OF_LOGINS: Final = {
    "access.logged_in": "{user} logged in from {address}, role {role}",
    "access.logged_out": "{user} logged out at {address}",
    "access.login_failed": "a login as {user} from {address} was refused: {reason}",
    "access.session_refused": "the login of {user} from {login_address} was used from {address}, and has ended",
    "access.token_refused": "the API token {token} was refused at {address}: {reason}",
}


def event_sentence(event: Event) -> str:
    """Return who did what, or what happened and what cures it, or else the data of the event."""
    data, subject = event.data, event.host or event.mac or "this machine"
    if event.name == "audit.recorded":
        return _request(data)
    if event.name == MOVED and data.get("actor"):
        return f"{data['actor']} {data.get('by')} the install of {subject}{_note(data)}"
    if event.name in _OF_LOGINS:
        return _login(_OF_LOGINS[event.name], data)
    if explained := explain(event.name, data, host=subject):
        return str(explained)
    if event.name == MOVED:
        return f"the install of {subject} is {data.get('to')}, by {data.get('by')}{_note(data)}"
    return data_text(data)


def _request(data: Data) -> str:
    """Write a request of an operator: what was requested, of what, and whether it was done."""
    what = " ".join(str(data[key]) for key in ("actor", "action", "subject") if data.get(key))
    reason = f": {data['reason']}" if data.get("reason") else ""
    return f"{what}, {data.get('outcome')}{reason}"


def _note(data: Data) -> str:
    return f": {data['note']}" if data.get("note") else ""


def _login(sentence: str, data: Data) -> str:
    """Write a sentence of a login; what is not known, as the name of a user that does not exist, is `unknown`."""
    keys = ("user", "address", "role", "reason", "token", "login_address")
    text = sentence.format_map({key: data[key] if data.get(key) is not None else "unknown" for key in keys})
    return f"{text} ({data['count']} more times in the last minute)" if data.get("count") else text
