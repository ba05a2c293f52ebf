"""How a boot ended, and which variant comes next: every rule of the order has a row."""

from dataclasses import replace
from pathlib import Path

import pytest

from netboot.boot.firmware.learning_states import (
    FORGET_S,
    LEARNING,
    REST_S,
    DeadEnd,
    Learned,
    LearningEvent,
    LearningState,
    Moved,
    Verdict,
    Verified,
    judge,
)
from netboot.boot.firmware.reply_variants import (
    LEAST_S,
    WHOLE_CYCLE,
    BootTrace,
    Choices,
    choices_for,
    cure_for,
    ending,
    next_variant,
)
from netboot.content.bootfiles.directories import BootFile
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Cpu, Stage
from netboot.model.boot.boot_ending import Ending
from netboot.model.boot.offer import IgnoreReason, LoaderRule, Policy, UnknownHosts
from netboot.model.host.firmware import BootVariant, ReplyVariant
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac

MAC = Mac.parse("52:54:00:aa:bb:01")
UEFI = BootClient(MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE, "PXEClient:Arch:00007:UNDI:003016")
UEFI_HTTP = BootClient(MAC, Arch.X64_UEFI_HTTP, BootProtocol.HTTP, Stage.FIRMWARE)
BIOS = BootClient(MAC, Arch.X86_BIOS, BootProtocol.PXE, Stage.FIRMWARE)
CP1 = Host(HostName("cp1"), Role.CONTROL_PLANE, (MAC,))
WITH, WITHOUT = ReplyVariant.WITH_43, ReplyVariant.WITHOUT_43
FIRST = BootVariant(WITH, "snponly.efi")
BY_4011 = BootVariant(WITHOUT, "snponly.efi")
OTHER_LOADER = BootVariant(WITH, "ipxe.efi")
CHOICES = Choices((WITH, WITHOUT), ("snponly.efi", "ipxe.efi"))
POLICY = Policy(
    UnknownHosts.IGNORE,
    {(BootProtocol.PXE, Cpu.X64): "snponly.efi", (BootProtocol.HTTP, Cpu.X64): "snponly.efi"},
    others={(BootProtocol.PXE, Cpu.X64): ("ipxe.efi",)},
    rules=(
        LoaderRule(BootProtocol.PXE, Cpu.X64, "ipxe.efi", oui="3c:fd:fe"),
        LoaderRule(BootProtocol.PXE, Cpu.ARM64, "grubaa64.efi", vendor_class="PXEClient:Arch:00011"),
    ),
    cpus={"shimx64.efi": Cpu.X64},
)


def trace(variant: BootVariant | None = FIRST, **seen: object) -> BootTrace:
    boot = BootTrace(UEFI, variant)
    for name, value in seen.items():
        setattr(boot, name, value)
    return boot


UNANSWERED = {"discovers": WHOLE_CYCLE, "last_discover_s": LEAST_S}
LEASED = {"discovers": 1, "has_address": True}
LOOPED = {"discovers": 1, "has_address": True, "requested_loader": True, "got_loader": True}


@pytest.mark.parametrize(
    ("boot", "expected"),
    [
        pytest.param(trace(None, **UNANSWERED), None, id="led-to-its-disk-is-no-failure"),
        pytest.param(trace(**LOOPED, reached_script=True), Ending.REACHED, id="script"),
        pytest.param(trace(reached_script=True), Ending.REACHED, id="a-script-says-all"),
        pytest.param(trace(**LOOPED), Ending.NO_SCRIPT, id="loader-and-no-script"),
        pytest.param(trace(**LOOPED, lacks_http=True), Ending.NO_HTTP, id="a-loader-that-cannot-do-http"),
        pytest.param(trace(lacks_http=True), None, id="of-which-nothing-was-seen-to-load"),
        pytest.param(trace(**LEASED, requested_loader=True), Ending.LOADER_CUT, id="loader-begun-and-not-ended"),
        pytest.param(trace(**LEASED, other_file="pxelinux.0"), Ending.WRONG_LOADER, id="another-file"),
        pytest.param(trace(**LEASED), Ending.NO_LOADER, id="an-address-and-no-loader"),
        pytest.param(trace(**LOOPED | {"has_address": False}), None, id="no-firmware-loads-without-an-address"),
        pytest.param(trace(other_file="pxelinux.0"), None, id="nor-another-file"),
        pytest.param(trace(**UNANSWERED, requested_loader=True), None, id="its-request-was-not-heard"),
        pytest.param(trace(**UNANSWERED), Ending.NO_REQUEST, id="a-whole-cycle-of-discovers"),
        pytest.param(
            trace(**UNANSWERED | {"discovers": WHOLE_CYCLE - 1}), None, id="switched-off-early-is-no-whole-boot"
        ),
        pytest.param(trace(**UNANSWERED | {"last_discover_s": LEAST_S - 1}), None, id="no-firmware-retries-that-fast"),
    ],
)
def test_a_boot_ended_so(boot: BootTrace, expected: Ending | None):
    assert ending(boot) is expected


@pytest.mark.parametrize(
    ("variant", "reason", "expected"),
    [
        pytest.param(FIRST, Ending.NO_REQUEST, BY_4011, id="not-understood-then-by-4011"),
        pytest.param(FIRST, Ending.NO_LOADER, BY_4011, id="not-followed-then-by-4011"),
        pytest.param(FIRST, Ending.WRONG_LOADER, BY_4011, id="another-file-then-by-4011"),
        pytest.param(FIRST, Ending.NO_SCRIPT, OTHER_LOADER, id="loader-fails-then-the-other"),
        pytest.param(BY_4011, Ending.NO_SCRIPT, BootVariant(WITHOUT, "ipxe.efi"), id="the-reply-that-worked-stays"),
        pytest.param(BY_4011, Ending.NO_REQUEST, None, id="no-reply-is-left"),
        pytest.param(OTHER_LOADER, Ending.NO_SCRIPT, None, id="no-loader-is-left"),
        pytest.param(FIRST, Ending.NO_HTTP, OTHER_LOADER, id="a-loader-without-http-gives-way-to-the-next"),
        pytest.param(FIRST, Ending.LOADER_CUT, None, id="no-variant-mends-a-path"),
        pytest.param(FIRST, Ending.REACHED, None, id="what-works-stays"),
    ],
)
def test_the_next_variant(variant: BootVariant, reason: Ending, expected: BootVariant | None):
    assert next_variant(variant, reason, CHOICES) == expected


def boots(*endings: dict[str, object], choices: Choices = CHOICES, pause_s: float = 90.0) -> list[Verdict | None]:
    """Let one machine boot again and again, each time with its current variant."""
    learned, verdicts, now_s = Learned(), [], 0.0
    for seen in endings:
        now_s += pause_s
        learned, verdict = judge(learned, trace(choices.fit(learned.variant), **seen), choices, now_s=now_s)
        verdicts.append(verdict)
    return verdicts


def test_two_whole_boots_of_one_kind_move_a_machine():
    assert boots(UNANSWERED, UNANSWERED) == [None, Moved(Ending.NO_REQUEST, FIRST, BY_4011)]


def test_two_failures_of_different_kinds_are_not_two_in_a_row():
    assert boots(UNANSWERED, LOOPED, UNANSWERED, LOOPED) == [None] * 4


def test_a_failure_of_long_ago_is_none_in_a_row():
    assert boots(UNANSWERED, UNANSWERED, pause_s=FORGET_S + 1) == [None, None]


def test_a_boot_that_was_cut_short_counts_for_nothing():
    assert boots(UNANSWERED, {"discovers": 1}, UNANSWERED) == [None, None, Moved(Ending.NO_REQUEST, FIRST, BY_4011)]


@pytest.mark.parametrize("seen", [LEASED, {**LEASED, "other_file": "x"}, {**LEASED, "requested_loader": True}])
def test_a_boot_that_was_begun_again_at_once_counts_for_nothing(seen: dict[str, object]):
    now_s = LEAST_S - 1
    once = Learned(LearningState.DOUBTED, failure=ending(trace(**seen)))

    assert judge(once, trace(**seen), CHOICES, now_s=now_s) == (Learned(LearningState.UNTRIED, since_s=now_s), None)


def test_a_file_of_another_server_that_was_sent_completely_counts_at_once():
    boot = trace(**LEASED, other_file="x", got_other_file=True)

    _, verdict = judge(Learned(LearningState.DOUBTED, failure=Ending.WRONG_LOADER), boot, CHOICES, now_s=1)

    assert verdict == Moved(Ending.WRONG_LOADER, FIRST, BY_4011)


def test_the_same_discover_many_times_counts_once():
    boot = trace()
    for elapsed in (0, 0, 4, 4, 0, 12):
        boot.note_discover(elapsed, float(elapsed))

    assert (boot.discovers, boot.last_discover_s) == (3, 12.0)


def test_a_success_in_between_begins_the_count_anew():
    assert boots(UNANSWERED, {**LOOPED, "reached_script": True}, UNANSWERED) == [None, None, None]


def test_a_firmware_that_needs_4011_and_another_loader_is_led_there_in_six_boots_and_it_is_remembered():
    found = BootVariant(WITHOUT, "ipxe.efi")

    assert boots(UNANSWERED, UNANSWERED, LOOPED, LOOPED, {"reached_script": True}, {"reached_script": True}) == [
        None,
        Moved(Ending.NO_REQUEST, FIRST, BY_4011),
        None,
        Moved(Ending.NO_SCRIPT, BY_4011, found),
        Verified(found),
        Verified(found),
    ]


def test_a_dead_end_is_reported_once_with_its_cure_and_the_machine_gets_the_first_variant():
    verdicts = boots(*[UNANSWERED] * 12)

    assert verdicts[1] == Moved(Ending.NO_REQUEST, FIRST, BY_4011)
    assert [type(verdict) for verdict in verdicts[2:]] == [type(None), DeadEnd] + [type(None)] * 8
    end = verdicts[3]
    assert isinstance(end, DeadEnd)
    assert (end.reason, end.variant) == (Ending.NO_REQUEST, BY_4011)
    assert "snponly.efi as its boot file (option 67)" in end.cure


def test_after_an_hour_of_rest_the_order_begins_again():
    doubted = Learned(LearningState.DOUBTED, BY_4011, Ending.NO_REQUEST)
    learned, _ = judge(doubted, trace(BY_4011, **UNANSWERED), CHOICES, now_s=9)
    resting, verdict = judge(learned, trace(**UNANSWERED), CHOICES, now_s=REST_S)
    assert (resting, verdict) == (learned, None)

    learned, first = judge(learned, trace(**UNANSWERED), CHOICES, now_s=REST_S + 10)
    _, second = judge(learned, trace(**UNANSWERED), CHOICES, now_s=REST_S + 100)

    assert (first, second) == (None, Moved(Ending.NO_REQUEST, FIRST, BY_4011))


def test_a_script_that_is_reached_while_resting_ends_the_rest():
    resting, verified = Learned(LearningState.RESTING), Learned(LearningState.VERIFIED, FIRST, since_s=1)

    assert judge(resting, trace(reached_script=True), CHOICES, now_s=1) == (verified, None)


S, E = LearningState, LearningEvent
CUT = {**LEASED, "began_s": 8_000.0}


@pytest.mark.parametrize(
    ("learned", "seen", "event"),
    [
        pytest.param(Learned(), {"reached_script": True}, E.SCRIPT_REACHED, id="untried-reached"),
        pytest.param(Learned(), LEASED, E.FAILED, id="untried-failed"),
        pytest.param(Learned(), CUT, E.CUT_SHORT, id="untried-cut-short"),
        pytest.param(
            Learned(S.DOUBTED, failure=Ending.NO_LOADER), {"reached_script": True}, E.SCRIPT_REACHED, id="reached"
        ),
        pytest.param(Learned(S.DOUBTED, failure=Ending.NO_SCRIPT), LEASED, E.FAILED, id="failed-otherwise"),
        pytest.param(Learned(S.DOUBTED, failure=Ending.NO_LOADER), LEASED, E.FAILED_AGAIN, id="failed-alike"),
        pytest.param(
            Learned(S.DOUBTED, failure=Ending.LOADER_CUT),
            {**LEASED, "requested_loader": True},
            E.NOTHING_LEFT,
            id="nothing-left",
        ),
        pytest.param(Learned(S.DOUBTED, failure=Ending.NO_LOADER), CUT, E.CUT_SHORT, id="doubted-cut-short"),
        pytest.param(Learned(S.VERIFIED, FIRST), {"reached_script": True}, E.SCRIPT_REACHED, id="reached-again"),
        pytest.param(Learned(S.VERIFIED, FIRST), LEASED, E.FAILED, id="verified-failed"),
        pytest.param(Learned(S.VERIFIED, FIRST), CUT, E.CUT_SHORT, id="verified-cut-short"),
        pytest.param(Learned(S.RESTING, since_s=7_000), {"reached_script": True}, E.SCRIPT_REACHED, id="rest-ended"),
    ],
)
def test_each_move_of_the_table(learned: Learned, seen: dict[str, object], event: LearningEvent):
    found, _verdict = judge(learned, trace(**seen), CHOICES, now_s=8_000.0)

    assert found.state is LEARNING[learned.state][event]


def test_the_end_of_a_rest_begins_with_the_first_variant_and_a_failure_within_it_changes_nothing():
    resting = Learned(S.RESTING, since_s=1_000.0)

    assert judge(resting, trace(**LEASED), CHOICES, now_s=1_000.0 + REST_S - 1) == (resting, None)
    assert judge(resting, trace(**CUT), CHOICES, now_s=8_000.0) == (Learned(S.UNTRIED, since_s=8_000.0), None)


def test_nothing_is_learned_from_a_boot_with_a_variant_that_is_gone():
    boot = trace(BootVariant(WITH, "gone.efi"), **UNANSWERED)

    assert judge(Learned(), boot, CHOICES, now_s=1) == (Learned(), None)


@pytest.mark.parametrize("reason", [reason for reason in Ending if reason is not Ending.REACHED])
@pytest.mark.parametrize("client", [UEFI, UEFI_HTTP, BIOS], ids=["uefi", "http", "bios"])
def test_every_dead_end_has_a_cure(reason: Ending, client: BootClient):
    seen: dict[Ending, dict[str, object]] = {
        Ending.NO_REQUEST: UNANSWERED,
        Ending.NO_LOADER: LEASED,
        Ending.WRONG_LOADER: {**LEASED, "other_file": "pxelinux.0"},
        Ending.LOADER_CUT: {**LEASED, "requested_loader": True},
        Ending.NO_SCRIPT: LOOPED,
        Ending.NO_HTTP: {**LOOPED, "lacks_http": True},
    }
    one = Choices((WITH,), ("snponly.efi",))
    boot = replace(trace(**seen[reason]), client=client)

    _, end = judge(Learned(LearningState.DOUBTED, failure=reason), boot, one, now_s=LEAST_S, is_pinned=True)

    assert isinstance(end, DeadEnd)
    assert "{" not in end.cure
    assert end.cure.endswith("so nothing else is tried")


@pytest.mark.parametrize(
    ("client", "host", "expected"),
    [
        pytest.param(UEFI, CP1, CHOICES, id="what-its-architecture-has"),
        pytest.param(UEFI_HTTP, CP1, Choices((WITH,), ("snponly.efi",)), id="http-knows-no-option-43"),
        pytest.param(UEFI, replace(CP1, firmware=WITHOUT), Choices((WITHOUT,), CHOICES.loaders), id="pinned-reply"),
        pytest.param(UEFI, replace(CP1, loader="shimx64.efi"), Choices((WITH, WITHOUT), ("shimx64.efi",)), id="pinned"),
        pytest.param(BIOS, replace(CP1, loader="shimx64.efi"), IgnoreReason.LOADER_FOR_ANOTHER_CPU, id="never-to-bios"),
        pytest.param(UEFI, replace(CP1, loader="own.kpxe"), IgnoreReason.LOADER_FOR_ANOTHER_CPU, id="nor-bios-to-uefi"),
        pytest.param(BIOS, replace(CP1, loader="own.kpxe"), Choices((WITH, WITHOUT), ("own.kpxe",)), id="bios-pinned"),
        pytest.param(BIOS, CP1, IgnoreReason.NO_LOADER_FOR_ARCH, id="none-for-this-architecture"),
        pytest.param(
            replace(UEFI, mac=Mac.parse("3c:fd:fe:00:00:01")),
            None,
            Choices((WITH, WITHOUT), ("ipxe.efi",)),
            id="by-oui",
        ),
        pytest.param(
            replace(UEFI, arch=Arch.ARM64_UEFI, vendor_class="PXEClient:Arch:00011:UNDI:003000"),
            None,
            Choices((WITH, WITHOUT), ("grubaa64.efi",)),
            id="by-vendor-class",
        ),
        pytest.param(replace(UEFI, arch=Arch.ARM64_UEFI), None, IgnoreReason.NO_LOADER_FOR_ARCH, id="another-class"),
    ],
)
def test_what_a_firmware_may_be_offered(client: BootClient, host: Host | None, expected: Choices | IgnoreReason):
    assert choices_for(client, host, POLICY) == expected


@pytest.mark.parametrize(
    ("name", "file", "requested", "other_file"),
    [
        pytest.param("snponly.efi", BootFile(Path("/x"), 1, "snponly.efi", Cpu.X64), True, "", id="ours"),
        pytest.param("ipxe.efi", BootFile(Path("/x"), 1, "ipxe.efi", Cpu.X64), True, "", id="another-that-runs-there"),
        pytest.param("ia32.efi", BootFile(Path("/x"), 1, "ia32.efi", Cpu.IA32), False, "ia32.efi", id="another-cpu"),
        pytest.param("undionly.kpxe", BootFile(Path("/x"), 1, "undionly.kpxe"), False, "undionly.kpxe", id="bios-s"),
        pytest.param("pxelinux.0", None, False, "pxelinux.0", id="not-there"),
    ],
)
def test_what_a_machine_requests(name: str, file: BootFile | None, requested: bool, other_file: str):
    boot = trace()

    boot.note_file_request(name, file)

    assert (boot.requested_loader, boot.other_file) == (requested, other_file)


@pytest.mark.parametrize(
    ("requested", "accuses"),
    [
        pytest.param("pxelinux.0", True, id="another-loader"),
        pytest.param("boot/grub/x86_64.efi", True, id="another-path"),
        pytest.param("undionly.kpxe", True, id="another-of-ours"),
        pytest.param("snponly.efi.sig", False, id="ours-and-more"),
        pytest.param("boot/snponly.efi", False, id="ours-elsewhere"),
        pytest.param("snponly.ef", False, id="a-piece-of-ours"),
        pytest.param("snponly.efi\\udcff", False, id="ours-and-garbage"),
        pytest.param("\\x1b[2J", False, id="garbage"),
        pytest.param("", False, id="no-name"),
    ],
)
def test_only_a_name_that_another_server_gave_accuses_the_lan_s_dhcp_server(requested: str, accuses: bool):
    boot = trace(**LEASED, other_file=requested)

    cure = cure_for(Ending.WRONG_LOADER, boot, is_pinned=False)

    assert ("which the LAN's DHCP server names" in cure) is accuses
    assert requested in cure


def test_a_hostile_name_is_reported_as_printable_text_and_short():
    boot = trace()

    boot.note_file_request("\x1b[2J\n" + "ä" * 500, None)

    assert boot.other_file.startswith("\\x1b[2J\\n\\xe4")
    assert len(boot.other_file) == 80


def test_a_file_of_another_cpu_that_arrives_is_not_the_loader():
    boot = trace(**LEASED)
    boot.note_file_request("undionly.kpxe", BootFile(Path("/x"), 1, "undionly.kpxe"))

    boot.note_file_sent("undionly.kpxe")

    assert ending(boot) is Ending.WRONG_LOADER


@pytest.mark.parametrize("text", ["", "snponly.efi", "with-44 snponly.efi", "with-43 "])
def test_a_text_that_is_no_variant_is_not_read(text: str):
    with pytest.raises(ValueError, match="ariant"):
        BootVariant.parse(text)


def test_a_variant_is_read_as_it_was_written():
    assert BootVariant.parse(str(BY_4011)) == BY_4011
