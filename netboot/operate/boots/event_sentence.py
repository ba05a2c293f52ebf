"""Writes what an event means as one line for an operator. Pure."""

from typing import Final

from netboot.model.boot.reasons import Data, explain
from netboot.model.hook import MOVED
from netboot.model.install.event import Event, data_text
from netboot.model.words import shown_size

_OF_LOGINS: Final = {
    "access.logged_in": "{user} logged in from {address}, role {role}",
    "access.logged_out": "{user} logged out at {address}",
    "access.login_failed": "a login as {user} from {address} was refused: {reason}",
    "access.session_refused": "the login of {user} from {login_address} was used from {address}, and has ended",
    "access.token_refused": "the API token {token} was refused at {address}: {reason}",
}
_OF_BOOTS: Final = {
    "boot.offer_withheld": "{subject} got no offer, so that its firmware ({arch}) continues with its disk",
    "boot.machine_discovered": "{subject} requested a boot for the first time: {arch}, {vendor_class}",
    "boot.pxe_requested": "the firmware of {subject} sent its request on port 4011, and was offered {boot_file}",
    "boot.loader_sent": "{subject} received the loader {name}, {bytes}",
    "boot.content_sent": "{subject} received {name}, {bytes}",
    "boot.content_pulled": "{subject} has pulled {percent} % of release {release}, {bytes}",
    "boot.kickstart_served": "{subject} received its Kickstart at {address}",
    "boot.ignition_served": "{subject} received its Ignition at {address}",
    "boot.ignition_embedded": "the installer of {subject} received the Ignition that it puts into /boot, at {address}",
    "boot.post_begun": "the scripts after the install of {subject} began",
    "boot.machine_inspected": "{subject} reported its hardware: {firmware}, disks: {disks}, network cards: {cards}",
    "boot.wipe_begun": "{subject} may wipe {disk} now",
    "boot.machine_wiped": "{subject} wiped {disk}: {result}",
    "boot.variant_learned": "{subject} boots by the boot variant {variant}",
    "content.damaged": "{file} of {content} is damaged and not served: {reason}; {cure}",
    "content.repaired": "{file} of {content} is sound again",
    "content.scrubbed": "all content was verified, {bytes} bytes in {seconds} s; damaged files: {damaged}",
    "store.restored": "the store was restored from the backup of {appliance} at {taken_at}",
    "hooks.delivery_failed": "hook {hook} did not deliver event {event_id}: {reason}",
    "hooks.delivery_resumed": "hook {hook} delivers again",
    "hooks.delivery_given_up": "hook {hook} gave up event {event_id} after {attempts} attempts: {reason}",
}
_OF_PLANS: Final = {
    "install": "the script that installs it",
    "inspect": "the script that inspects it",
    "rescue": "the script of the rescue mode",
    "wipe": "the script that wipes its disk",
    "local-disk": "the script that boots its own disk",
    "wait": "a script that waits",
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
    return _of_boot(event, subject) or data_text(data)


def _of_boot(event: Event, subject: str) -> str | None:
    """Write a step of a boot, or a delivery; None if it is another event, or one of another version."""
    data = {**event.data, "subject": subject}
    size_bytes = data.get("bytes")
    if isinstance(size_bytes, int):
        data["bytes"] = shown_size(size_bytes)
    try:
        match event.name:
            case "boot.offered":
                return _offer(event.data, subject)
            case "boot.script_served":
                reason = f": {data['reason']}" if data.get("reason") else ""
                return f"{subject} received {_OF_PLANS[str(data['plan'])]}, at {data['address']}{reason}"
            case name if name in _OF_BOOTS:
                return _OF_BOOTS[name].format_map(data)
            case _:
                return None
    except KeyError:
        return None


def _offer(data: Data, subject: str) -> str:
    """Write an offer: what was offered, to which client of the machine."""
    client = {"firmware": "firmware", "ipxe": "iPXE"}.get(str(data["stage"]), str(data["stage"]))
    details = ", ".join(str(data[key]) for key in ("arch", "protocol", "vendor_class") if data.get(key))
    offered = f"{data['kind']} {data['boot_file']}" if data.get("boot_file") else str(data["kind"])
    return f"the {client} of {subject} was offered: {offered}" + (f" ({details})" if details else "")


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
