"""Why a machine does not proceed: each event that an operator must know, as a sentence with its cure. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from netboot.model.boot.boot_client import BootProtocol
from netboot.model.boot.boot_ending import WHAT_HAPPENED, Ending, cure_of
from netboot.model.boot.expected_durations import WAITED_FOR, usual_text
from netboot.model.install.install import InstallEvent, Move
from netboot.model.install.machine_identity import HoldReason
from netboot.model.words import first_line

Data = Mapping[str, Any]


class RequestRefusal(StrEnum):
    """Why a request for a script changes no state; the reason of `boot.request_refused`."""

    OTHER_ADDRESS = "other-address"  # neither the registry nor a DHCP request of the machine has this address
    NO_ADDRESS = "no-registered-address"  # `dhcp.mode: off` identifies a host by one, and this host has none


class Alarm(StrEnum):
    """Why a machine, or what it was served, raises an alarm."""

    SECOND_ADDRESS = "second-address"  # another address of the host received it before
    TWO_MACHINES = HoldReason.TWO_MACHINES.value
    OTHER_MACHINE = HoldReason.OTHER_MACHINE.value
    OTHER_CARD = HoldReason.OTHER_CARD.value
    MACHINE_OF_HOST = "machine-of-host"  # an unregistered card, whose machine is recorded as that of a host


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an event means. `word` is its place in a timeline; `is_blocking`: the machine waits because of it."""

    word: str
    sentence: str
    cure: str = ""
    is_blocking: bool = True

    def __str__(self) -> str:
        return f"{self.sentence}; {self.cure}" if self.cure else self.sentence


def explain(event: str, data: Data, *, host: str) -> Explanation | None:
    """Explain an event of a host; None if an operator need not know it."""
    try:
        explained = _EXPLAIN[event](data, host) if event in _EXPLAIN else None
    except KeyError:  # another version recorded it, with other data
        return None
    count = data.get("count")
    if count is None:
        return explained
    if explained is None:
        return Explanation("counted", f"{count} more events {event} came in the last minute", is_blocking=False)
    return replace(explained, sentence=f"{explained.sentence} ({count} more times in the last minute)")


def _sentence(
    word: str, sentence: str, cure: str = "", *, is_blocking: bool = True
) -> Callable[[Data, str], Explanation]:
    """Return what explains an event by a sentence and a cure that name its data in braces."""

    def explained(data: Data, host: str) -> Explanation:
        reason = data.get("reason")
        named = {**data, "host": host, "why": _ENDINGS.get(str(reason), reason)}
        return Explanation(word, sentence.format_map(named), cure.format_map(named), is_blocking)

    return explained


def _alarm(data: Data, host: str) -> Explanation:
    if data.get("reason") in _IDENTITY:
        return _identity_alarm(data, host)
    if data.get("reason") == Alarm.SECOND_ADDRESS:
        what = f"the {data['document']} of {host} was served to {data['address']}, and before that to {data['earlier']}"
        cure = "compare both with the leases of the LAN's DHCP server; cancel the arming if one is not its own"
        return Explanation("ALARM", what, cure)
    what = f"the {data['document']} of {host} was requested from {data['address']}, which is not an address of {host}"
    return Explanation("ALARM", what, f"find the machine that has {data['address']} now")


def _identity_alarm(data: Data, host: str) -> Explanation:
    """Explain that a machine is not the one of its MAC. The install that it holds, if any, is a cause of its own."""
    shown, expected = data["shown"], data.get("expected") or "nothing"
    what, cure = _IDENTITY[data["reason"]]
    sentence = f"{what.format(host=host)}: seen {shown}; before {expected}"
    return Explanation("ALARM", sentence, cure.format(host=host), is_blocking=False)


def _request_refused(data: Data, host: str) -> Explanation:
    address = data["address"]
    if data["reason"] == RequestRefusal.NO_ADDRESS:
        what = f"the script of {host} was requested from {address}, and {host} cannot be identified with dhcp.mode: off"
        return Explanation("refused", what, f"if {address} is its address, set hosts.{host}.network.address to it")
    what = f"the script of {host} was requested from {address}, which is not an address of {host}"
    if data.get("waits"):
        what += f", so it waits ({data['waits']})"
    cure = (
        f"find the machine that has {address}; if it is a router that translates the address of {host} (NAT), "
        "let it route without translation, because no machine is installed through it"
    )
    return Explanation("refused", what, cure)


def _token_refused(data: Data, host: str) -> Explanation:
    if data["reason"] == "removed-host":
        what = f"{host} requested its {data['document']}, and no hosts file declares {host} any longer"
        return Explanation("refused", what, "declare it again, or switch the machine off")
    what = f"{host} requested its {data['document']} with a token that is spent"
    return Explanation(
        "refused", what, f"nothing, if its install was cancelled or has ended; else netboot install show {host}"
    )


def _held_back(data: Data, host: str) -> Explanation:
    sentence, _, cure = str(data["reason"]).partition("; ")
    what = f"the {data['document']} of {host} cannot be served" if data.get("document") else f"{host} is held back"
    return Explanation("held-back", f"{what}: {sentence}", cure or "netboot check names every fault")


def _script(data: Data, host: str) -> Explanation | None:
    if data.get("plan") in ("rescue", "wipe"):
        what = "the rescue mode" if data["plan"] == "rescue" else "the wipe of its disk"
        return Explanation("once", f"{host} boots {what}, with {data['medium']}", is_blocking=False)
    if data.get("plan") != "wait" or data["reason"] in _EXPLAINED_BY_HELD_BACK:
        return None
    why, cure = _WAITS.get(data["reason"], (str(data["reason"]), ""))
    return Explanation("waits", f"the script of {host} waits: {why}", cure.format(host=host))


def _no_offer(data: Data, host: str) -> Explanation:
    why, _, cure = str(data["cure"]).partition("; ")  # what is missing, and what to do about it
    client = f" (it boots as {data['arch']} by {data['protocol']})" if "arch" in data else ""
    return Explanation("refused", f"{host} gets no offer{client}: {why}", cure)


def _offers_unanswered(data: Data, host: str) -> Explanation:
    what = f"{host} repeats its boot request since {data['secs']} s, and takes no address from any server"
    cure = cure_of(Ending.NO_REQUEST, loader=data["loader"], protocol=BootProtocol(data["protocol"]))
    return Explanation("unanswered", what, cure)


def _other_file(data: Data, host: str) -> Explanation:
    what = f"{host} requests the file {data['name']}, and was offered {data['loader']}"
    cure = cure_of(Ending.WRONG_LOADER, loader=data["loader"], protocol=None, other_file=data["name"])
    return Explanation("other-file", what, cure)


def _transfer_failed(data: Data, host: str) -> Explanation:
    name, size = data["name"], f"{data['bytes']} of {data['size_bytes']} bytes"
    match data["outcome"]:
        case "unanswered":
            what = f"{host} requested {name} by TFTP, and acknowledged no packet of it"
        case "refused-by-peer":
            what = f"{host} ended the transfer of {name} after {size} with the TFTP error {data['peer_error']}"
        case _:
            what = f"the transfer of {name} to {host} ended after {size}"
    return Explanation("cut", what, _TRANSFER_CURES[data["outcome"]])


def _checks(data: Data, host: str) -> Explanation:
    if data["failed"]:
        what = f"{host} may not be installed, and nothing was written; failed: {data['fail'] or 'a missing check'}"
        return Explanation("checks", what, is_blocking=False)  # `install.moved` has the reason
    skipped = f"; skipped: {data['skipped']}" if data["skipped"] else ""
    return Explanation("checks", f"{host} may be installed; passed: {data['pass']}{skipped}", is_blocking=False)


def _moved(data: Data, host: str) -> Explanation | None:
    note = first_line(str(data.get("note") or ""))
    reason = f": {note}" if note else ""
    match data.get("by"):
        case "cancelled":
            return Explanation("cancelled", f"the arming of {host} was cancelled{reason}", is_blocking=False)
        case "held":
            return Explanation("held", f"{host} is held: {note}")
        case "confirmed":
            return Explanation("confirmed", f"the machine of {host} was confirmed{reason}", is_blocking=False)
        case "retired":
            return Explanation(
                "cancelled", f"{host} was retired, and its tokens are invalid{reason}", is_blocking=False
            )
        case "reported-failed":
            return Explanation("failed", note or NO_REASON, after_failure(host, is_armed=bool(data.get("armed"))))
        case "checks-failed":
            return Explanation("failed", note, after_failed_checks(host))
        case "attempts-spent":
            return Explanation("failed", ATTEMPTS_SPENT, after_failure(host, is_armed=False))
        case _:
            return None


def _arming_ended(data: Data, host: str) -> Explanation:
    sentence, _, cure = str(data.get("note") or "").rpartition("; ")
    return Explanation("disarmed", f"the arming of {host} ended: {sentence or cure}", cure if sentence else "")


def _local_boot_changed(data: Data, host: str) -> Explanation:
    what = f"{host} {_LOCAL_BOOT_FAULTS[data['reason']]} after its local boot by {data['from']}"
    cure = f"restart it: it is led to its disk by {data['to']} at its next network boot"
    return Explanation("changed", what, cure, is_blocking=False)


def _local_boot_failed(data: Data, host: str) -> Explanation:
    what = (
        f"{host} {_LOCAL_BOOT_FAULTS[data['reason']]} after its local boot by {data['method']}, and no method is left"
    )
    return Explanation("dead-end", what, str(data["cure"]))


def _overdue(data: Data, host: str) -> Explanation:
    waits = f"{host} waits for {WAITED_FOR[data['waits_for']]} since {data['since'][11:19]} UTC"
    usual = usual_text(data["expected_s"], data["limit_s"], data["boots"])
    what = f"{waits}, longer than it takes here ({usual})"
    if "sentence" in data:
        return Explanation("overdue", f"{what}: {data['sentence']}", str(data["cure"]), is_blocking=False)
    return Explanation("overdue", what, is_blocking=False)


def reason_of(move: Move) -> str:
    """Return the reason of a transition: the first line of an operator's reason or of a report; empty without one."""
    match move.what:
        case InstallEvent.ATTEMPTS_SPENT:
            return ATTEMPTS_SPENT
        case InstallEvent.REPORTED_FAILED:
            return first_line(move.note) or NO_REASON
        case _:
            return first_line(move.note)


def after_failure(host: str, *, is_armed: bool) -> str:
    """State what follows a failed install."""
    if is_armed:
        return "it is still armed: its next network boot tries again"
    return f"the whole report: netboot install history {host} --json; then netboot install arm {host}"


def after_failed_checks(host: str) -> str:
    """State what follows a failed check before an install."""
    return (
        f"nothing was written, and it waits: correct this, then netboot install arm {host}; "
        f"or netboot install cancel {host} to boot its own disk"
    )


_IDENTITY: Final = {
    Alarm.TWO_MACHINES.value: (
        "two machines use a MAC of {host}",
        "find both, and give one of them its own MAC; an armed install waits for netboot install confirm {host}",
    ),
    Alarm.OTHER_MACHINE.value: (
        "the machine with a MAC of {host} shows another UUID or serial number than is recorded",
        "if its mainboard was replaced, its next install waits for netboot install confirm {host}; else find the "
        "machine",
    ),
    Alarm.OTHER_CARD.value: (
        "{host} boots from another of its cards than at its last install",
        "if that is not on purpose, see its boot order, cables and switch ports; "
        "an armed install waits for netboot install confirm {host}",
    ),
    Alarm.MACHINE_OF_HOST.value: (
        "the machine of {host} boots from a card that is not registered",
        "add the MAC to hosts.{host}.mac if the card is its own; else find the machine that shows its identity",
    ),
}
NO_REASON: Final = "the installer reported a failure without a reason"
ATTEMPTS_SPENT: Final = "every boot of its arming is spent, and no installer reported an end"

_EXPLAINED_BY_HELD_BACK: Final = frozenset({"not-ready", "template-fault"})  # `boot.script_held_back` has the error

_WAITS: Final = {
    "unknown-host": ("it is not registered", "add it to hosts.yaml, then systemctl reload netboot"),
    "not-announced": (
        "it comes from the machine's own address, but no DHCP request of it was received in the last 15 minutes",
        "let its DHCP broadcasts reach this server: the same LAN, or a relay that forwards them here too",
    ),
    "held": (
        "a person confirms its machine first, or cancels its arming",
        "read what it shows: netboot install show {host}; then netboot install confirm {host}, or cancel",
    ),
    "identity": (
        "its DHCP requests show another machine than is recorded, and it reports next what it is",
        "nothing: its next request follows within seconds",
    ),
    "checks-failed": (
        "a check before its install failed, and nothing was written",
        "correct what netboot install show {host} prints, then netboot install arm {host}",
    ),
    "store-unreachable": (
        "the store does not answer, and nothing is installed without it",
        "see store.url, disk and database; the machine retries",
    ),
}

_TRANSFER_CURES: Final = {
    "unanswered": "a firewall between them blocks the packets of the transfer, which come from another port than 69: "
    "permit UDP in both directions, or set tftp.single_port: true; else check the path for a small MTU",
    "timed-out": cure_of(Ending.LOADER_CUT, loader="", protocol=None),
    "refused-by-peer": "its firmware refuses the file: read its screen; name another loader by hosts.X.loader",
    "cut": "the machine or the LAN closed the connection: read the machine's screen; check cable, switch port and MTU",
}

_LOCAL_BOOT_FAULTS: Final = {
    "came-back": "came back to the network boot at once, three times,",
    "unseen": "showed no sign of its installed system",
}

_ENDINGS: Final = {ending.value: what for ending, what in WHAT_HAPPENED.items()}

_EXPLAIN: Final[Mapping[str, Callable[[Data, str], Explanation | None]]] = {
    "boot.alarm_raised": _alarm,
    "boot.checks_reported": _checks,
    "boot.dead_end_met": _sentence("dead-end", "{host} {why}, and nothing else is left to offer", "{cure}"),
    "boot.document_held_back": _held_back,
    "boot.ignition_repeated": _sentence(
        "repeated",
        "the installed system of {host} requested its Ignition again, {seconds} s after the first time: it was "
        "restarted during its first boot, and Ignition may stop there",
        "if it does not become ready, install it again: netboot install arm {host}; or at its boot menu, remove "
        "ignition.firstboot=1 from the kernel line if the first run was complete",
    ),
    "boot.local_boot_changed": _local_boot_changed,
    "boot.local_boot_failed": _local_boot_failed,
    "boot.local_boot_learned": _sentence(
        "learned", "{host} starts its disk by {method} ({firmware}), as its {by} shows", is_blocking=False
    ),
    "boot.machine_wiped": _sentence("wiped", "the disk of {host} was wiped: {result}", is_blocking=False),
    "boot.node_heard": _sentence(
        "restored", "{host} reports again after its local boot by {method}", is_blocking=False
    ),
    "boot.node_unheard": _sentence(
        "unheard",
        "{host} does not report since its local boot by {method} at {led_at}; its last report is of {reported_at}",
        "read its screen. If firmware or loader hangs there, restart it, and choose another method by "
        "hosts.{host}.local_boot; if its system runs, see netboot-updates.timer on the node",
    ),
    "boot.offered_elsewhere": _sentence(
        "elsewhere", "{host} can boot from another server: {sentence}", "{cure}", is_blocking=False
    ),
    "boot.offers_unanswered": _offers_unanswered,
    "boot.other_file_requested": _other_file,
    "boot.request_refused": _request_refused,
    "boot.script_held_back": _held_back,
    "boot.script_served": _script,
    "boot.token_refused": _token_refused,
    "boot.transfer_failed": _transfer_failed,
    "boot.step_overdue": _overdue,
    "boot.variant_changed": _sentence(
        "changed",
        "{host} {why}, in two boots: it is offered {to} instead of {from} from its next boot on",
        "boot it again",
    ),
    "boot.variant_learned": _sentence(
        "learned", "{host} boots by {variant}, which is offered first now", is_blocking=False
    ),
    "boot.wipe_begun": _sentence("wiping", "the disk of {host} ({disk}) is wiped now", is_blocking=False),
    "boot.wipe_refused": _sentence(
        "refused",
        "the disk of {host} ({disk}) was not wiped: {reason}",
        "correct this, add the host again, and retire it with --wipe again",
        is_blocking=False,
    ),
    "dhcp.architecture_refused": _no_offer,
    "dhcp.boot_refused": _no_offer,
    "http.refused": _sentence(
        "refused",
        "an HTTP request of {address} was refused before it was read ({reason})",
        "docs/events.md has the reason",
    ),
    "install.arming_ended": _arming_ended,
    "install.content_found": _sentence(
        "restored", "boot medium and release of {host} are readable again", is_blocking=False
    ),
    "install.content_lost": _held_back,
    "install.moved": _moved,
    "install.secret_ended": _held_back,
    "install.secret_renewed": _sentence(
        "restored", "the secrets in the Ignition file of {host} are valid again", is_blocking=False
    ),
    "lan.server_seen": _sentence("server", "{sentence}", "{cure}", is_blocking=False),
    "lease.conflict_found": _sentence(
        "lease", "the address {address} of {host} is used by another machine, {holder}", "{cure}"
    ),
    "lease.declined": _sentence("lease", "{host} found that another machine uses its address {address}", "{cure}"),
    "lease.pool_exhausted": _sentence("lease", "no address of dhcp.pool is left for {host}", "{cure}"),
    "appliance.fault_ended": _sentence(
        "restored", "the {part} of this appliance works again, after {seconds} s", is_blocking=False
    ),
    "appliance.fault_found": _sentence("fault", "{reason}", is_blocking=False),
    "store.events_lost": _sentence(
        "lost",
        "{count} events were not recorded, because the store did not accept them",
        "the log has them; see store.url, disk and database",
        is_blocking=False,
    ),
}
