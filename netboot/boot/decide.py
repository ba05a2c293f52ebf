"""The decision: what one machine is offered now. Pure; no other module decides.

DHCP (`boot.offers`) and requests for a script (`boot.script_service`) call it; TFTP and HTTP serve the files that its
offers name. Every branch has a row in tests/boot/test_decide.py.
"""

from dataclasses import dataclass, replace
from typing import Final, assert_never

from netboot.boot.firmware.local_boot_learning import method_for
from netboot.boot.firmware.local_boot_methods import local_boot_methods
from netboot.boot.firmware.reply_variants import Choices, choices_for
from netboot.model.boot.boot_client import BootClient, Stage
from netboot.model.boot.offer import (
    HarmlessPlan,
    Ignored,
    IgnoreReason,
    InspectPlan,
    LocalBootPlan,
    Offer,
    OfferKind,
    OncePlan,
    Policy,
    RescuePlan,
    UnknownHosts,
    WaitPlan,
    WaitReason,
)
from netboot.model.host.firmware import BY_SCRIPT, BootVariant, LocalBoot, LocalBootMethod, RomIpxe
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.install.checks import failures
from netboot.model.install.inspection import Inspection, OneTimeBoot
from netboot.model.install.install import Install
from netboot.model.install.machine_identity import HoldReason, Identity
from netboot.model.words import first_line


@dataclass(frozen=True, slots=True)
class KnownFirmware:
    """What is known of a machine's firmware: a loader of ours and an iPXE in a ROM may send the same packet."""

    runs_loader: bool = False  # its machine runs the loader that it was sent
    client: BootClient | None = None  # its firmware, as it was offered that loader


NOTHING_KNOWN: Final = KnownFirmware()


@dataclass(slots=True)  # made for each datagram; a frozen one takes three times as long
class Decision:
    """What a client is offered; `client` is at the stage that it is at, which its packet alone does not show."""

    client: BootClient
    host: Host | None
    offer: Offer


def effective_client(client: BootClient, host: Host | None, firmware: KnownFirmware) -> BootClient:
    """Return the client at its stage.

    A ROM's iPXE that the host replaces, or that has no HTTP, counts as firmware and gets a loader. A loader
    with another user class is still iPXE; one built without HTTP cannot fetch its script.
    """
    if client.stage is Stage.IPXE:
        is_replaced = host is not None and host.rom_ipxe is RomIpxe.REPLACE and not firmware.runs_loader
        return replace(client, stage=Stage.FIRMWARE) if is_replaced else client
    if not client.is_etherboot or not firmware.runs_loader or firmware.client is None:
        return client
    if firmware.client.is_etherboot and firmware.client.has_http == client.has_http:
        return client  # the same as the ROM, so it counts as the ROM
    return replace(client, stage=Stage.IPXE if client.has_http else Stage.IPXE_WITHOUT_HTTP)


def decide(
    client: BootClient,
    host: Host | None,
    install: Install | None,
    policy: Policy,
    *,
    firmware: KnownFirmware,
    variant: BootVariant | None = None,
    inspection: Inspection | None = None,
    local_boot: LocalBoot | None = None,
) -> Decision | Ignored:
    """Return what this machine is offered. `host` and `install` are None together for an unregistered machine.

    `variant` is the boot variant that its firmware accepted; the first one if it is None or not available.
    `inspection` is what is known of what this card's machine boots once; `local_boot` of how its firmware is led to
    its disk.
    """
    client = effective_client(client, host, firmware)
    return decide_at_stage(client, host, install, policy, variant=variant, inspection=inspection, local_boot=local_boot)


def decide_at_stage(
    client: BootClient,
    host: Host | None,
    install: Install | None,
    policy: Policy,
    *,
    variant: BootVariant | None,
    inspection: Inspection | None = None,
    local_boot: LocalBoot | None = None,
) -> Decision | Ignored:
    """Return what this machine is offered; `client` is the result of `effective_client`."""
    answer = _answer(client, host, install, policy, variant=variant, inspection=inspection, local_boot=local_boot)
    return answer if isinstance(answer, Ignored) else Decision(client, host, answer)


def _answer(
    client: BootClient,
    host: Host | None,
    install: Install | None,
    policy: Policy,
    *,
    variant: BootVariant | None,
    inspection: Inspection | None,
    local_boot: LocalBoot | None,
) -> Offer | Ignored:
    if client.stage is Stage.IPXE_WITHOUT_HTTP:
        return Ignored(IgnoreReason.LOADER_WITHOUT_HTTP)  # offering a loader again would loop
    if client.cpu is None and client.stage is Stage.FIRMWARE and not policy.loaders_for(client):
        return Ignored(IgnoreReason.UNKNOWN_ARCHITECTURE)  # also for a local boot: no reply is known for it
    if client.mac in policy.left_out:
        return _lead_to_disk(client, None, policy, variant=None, local_boot=local_boot)
    boots_once = one_time_boot(client.mac, host, install, policy, inspection) is not None
    if host is None or install is None:
        match policy.unknown:
            case UnknownHosts.IGNORE if not boots_once:
                return Ignored(IgnoreReason.UNKNOWN_HOST)
            case UnknownHosts.IGNORE | UnknownHosts.WAIT | UnknownHosts.INSPECT:
                return _lead_to_script(client, choices_for(client, None, policy), variant)
            case _:
                assert_never(policy.unknown)
    if install.is_armed or boots_once:
        return _lead_to_script(client, choices_for(client, host, policy), variant)
    return _lead_to_disk(client, host, policy, variant=variant, local_boot=local_boot)


def _lead_to_script(
    client: BootClient, choices: Choices | IgnoreReason, variant: BootVariant | None
) -> Offer | Ignored:
    if client.stage is Stage.IPXE:
        return Offer(OfferKind.SCRIPT, client.mac)
    if isinstance(choices, IgnoreReason):
        return Ignored(choices)
    chosen = choices.fit(variant)
    return Offer(OfferKind.LOADER, client.mac, chosen.loader, chosen.reply)


def _lead_to_disk(
    client: BootClient, host: Host | None, policy: Policy, *, variant: BootVariant | None, local_boot: LocalBoot | None
) -> Offer | Ignored:
    """Lead a machine to its own disk: by a script, by an offer that ends its network boot, or by no reply."""
    method = method_for(local_boot, local_boot_methods(client, host, policy))
    if method in BY_SCRIPT:
        return _lead_to_script(client, choices_for(client, host, policy), variant)
    if method is LocalBootMethod.NO_OFFER:
        return Ignored(IgnoreReason.BOOTS_LOCALLY)
    return Offer(OfferKind.LOCAL_DISK, client.mac)


def one_time_boot(
    mac: Mac, host: Host | None, install: Install | None, policy: Policy, inspection: Inspection | None
) -> OncePlan | None:
    """Return what this machine boots once, at its next script, instead of what it boots always; None: nothing.

    `inspection` is None if nothing was requested or begun. An unregistered machine is inspected once with each medium.
    Only an unregistered machine is wiped. A host that is armed and has a rescue requested boots the rescue first: it
    writes no disk.
    """
    request = inspection.request if inspection is not None else None
    kind = request.kind if request is not None else None
    if host is None:
        return _of_unregistered(mac, policy, inspection, kind)
    if install is None or request is None:
        return None
    medium = policy.inspect_media or host.boot_media
    match kind:
        case OneTimeBoot.RESCUE if request.medium is not None:
            return RescuePlan(mac, request.medium, host)
        case OneTimeBoot.INSPECT if medium is not None and not install.is_armed:
            return InspectPlan(mac, medium, host)
        case _:
            return None


def _of_unregistered(
    mac: Mac, policy: Policy, inspection: Inspection | None, kind: OneTimeBoot | None
) -> InspectPlan | None:
    medium = policy.inspect_media
    if inspection is not None and (wipe := inspection.requested_wipe) and inspection.requested_medium:
        return InspectPlan(mac, inspection.requested_medium, wipe=wipe) if policy.is_complete else None
    is_new = policy.unknown is UnknownHosts.INSPECT and (inspection is None or inspection.medium != medium)
    is_due = policy.unknown is not UnknownHosts.IGNORE and (kind is OneTimeBoot.INSPECT or is_new)
    return InspectPlan(mac, medium) if is_due and medium is not None else None


def script_without_install(
    mac: Mac,
    host: Host | None,
    install: Install | None,
    policy: Policy,
    *,
    inspection: Inspection | None = None,
    may_boot_once: bool = False,
) -> HarmlessPlan | None:
    """Return the plan of a machine that must not install; None if its host is armed and may.

    `install` was read from the store for this request; None if the store did not answer. `may_boot_once`: the request
    is the machine's own, and it announced itself.
    """
    if mac in policy.left_out:
        return LocalBootPlan(mac, host)
    once = one_time_boot(mac, host, install, policy, inspection) if may_boot_once else None
    if once is not None:
        return once
    if host is None:
        is_ignored = policy.unknown is UnknownHosts.IGNORE
        return LocalBootPlan(mac, None) if is_ignored else WaitPlan(mac, WaitReason.UNKNOWN_HOST)
    if install is None:
        return WaitPlan(mac, WaitReason.STORE_UNREACHABLE, host)
    if not install.is_armed:
        return LocalBootPlan(mac, host)
    if install.has_failed_checks:
        return WaitPlan(mac, WaitReason.CHECKS_FAILED, host, first_line("; ".join(failures(install.checks))))
    if install.hold is not None:
        return WaitPlan(mac, WaitReason.HELD, host, install.hold.what)
    return None


def hold_of(
    host: Host, install: Install, shown: Identity, policy: Policy, *, rival: Identity | None = None
) -> tuple[HoldReason, Identity | None] | None:
    """Return why a person confirms this machine before it boots the installer, and what was expected; None: it may.

    `shown` is of this boot, and `rival` another machine that used its MAC lately. What only DHCP requests show, which
    any machine can forge, does not count after a person's confirmation, nor against a machine that reports what is
    recorded.
    """
    known, expected = install.identity, install.identity.expected(host.macs)
    counts = shown.is_reported or not known.is_confirmed
    if counts and known.served is not None and shown.differences(known.served):
        return HoldReason.TWO_MACHINES, known.served
    if counts and expected is not None and shown.differences(expected):
        return HoldReason.OTHER_MACHINE, expected
    is_expected = expected is not None and shown.is_reported and shown.is_same_machine(expected)
    if rival is not None and not known.is_confirmed and not is_expected:
        return HoldReason.TWO_MACHINES, rival
    is_confirmed_machine = known.is_confirmed and expected is not None and shown.is_same_machine(expected)
    if expected is not None and expected.mac != shown.mac and not is_confirmed_machine:
        return HoldReason.OTHER_CARD, expected
    if policy.requires_approval(host) and not known.is_confirmed:
        return HoldReason.APPROVAL, expected
    return None
