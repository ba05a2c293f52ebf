"""Checks whether the firewall of this computer permits the packets of a boot, on each interface on which machines boot.

It reads the rules of nftables, which firewalld writes too, and of iptables, which ufw writes.
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Interface
from typing import Final

from netboot.doctor.box.box_facts import BoxFacts, NotCheckedError
from netboot.doctor.box.firewall.boot_packets import BootPacket, boot_packets
from netboot.doctor.box.firewall.filter_rules import FilterResult, FilterTable, FilterVerdict, filter_results
from netboot.doctor.box.firewall.firewall_cures import cure_of
from netboot.doctor.box.firewall.iptables_rules import read_saved_tables
from netboot.doctor.box.firewall.nft_ruleset import read_tables
from netboot.doctor.box.firewall.unread_filters import unread_filters
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.settings.settings import Settings

_CHECK: Final = "box.firewall"
_OF_NFTABLES: Final = "(nf_tables)"  # what iptables-save prints if its tables are in nftables
_MIXED: Final = "# Table `"  # it cannot show a table that nft wrote
_OWN_PORTS: Final = "/proc/sys/net/ipv4/ip_local_port_range"
_DOES: Final = {FilterVerdict.DROP: "drops", FilterVerdict.DIVERT: "sends to another program or computer"}
Served = Mapping[str, IPv4Interface]


def check_firewall(facts: BoxFacts, settings: Settings, served: Served) -> Iterator[DoctorFinding]:
    """Report each kind of packet that the rules drop, divert, or may drop. Raises NotCheckedError."""
    ruleset = facts.output("nft", "-j", "list", "ruleset")
    tables = _tables(facts, ruleset)
    first, last = map(int, (facts.text(_OWN_PORTS) or "32768 60999").split())
    for interface, address in served.items():
        packets = boot_packets(settings, interface, address, own_ports=(first, last))
        yield from _findings(facts, tables, packets)
        for what, command in unread_filters(facts, ruleset, interface):
            sentence = f"{interface} has {what}, which the doctor does not evaluate: packets of machines may be dropped"
            cure = f"if machines get no answer, read them: {command}"
            yield DoctorFinding(_CHECK, Level.NOTE, sentence, (command,), cure)


def _tables(facts: BoxFacts, ruleset: str | None) -> list[FilterTable]:
    """Return every table of nftables and iptables. Raises NotCheckedError if a program that reads them is missing."""
    listing = facts.output("nft", "-a", "list", "ruleset") if ruleset else None
    saved = facts.output("iptables-save")
    if ruleset is None and (saved is None or _OF_NFTABLES in (facts.output("iptables-save", "--version") or "")):
        raise NotCheckedError("nft is not installed to read the rules; install nftables")
    legacy = facts.output("iptables-legacy-save") if saved is None or _OF_NFTABLES in saved else None
    of_nft = read_tables(ruleset, listing or "") if ruleset else []
    of_iptables = [each for each in read_saved_tables(saved or "") if _is_whole(each, of_nft, saved or "")]
    names = {table.name for table in of_iptables}
    of_nft = [table for table in of_nft if table.family != "ip" or table.name not in names]
    return [*of_nft, *of_iptables, *read_saved_tables(legacy or "")]


def _is_whole(table: FilterTable, of_nft: Sequence[FilterTable], saved: str) -> bool:
    """Return whether iptables-save has every rule of its table: nft shows some of these rules in part only."""
    same = [each for each in of_nft if (each.family, each.name) == ("ip", table.name)]
    rules = [{name: len(chain.rules) for name, chain in each.chains.items() if chain.rules} for each in (table, *same)]
    return f"{_MIXED}{table.name}'" not in saved and all(each == rules[0] for each in rules)


def _findings(facts: BoxFacts, tables: Sequence[FilterTable], packets: Sequence[BootPacket]) -> Iterator[DoctorFinding]:
    groups: dict[tuple[str, str, FilterVerdict], list[FilterResult]] = {}
    for packet in packets:
        found = list(filter_results(tables, packet))
        is_dropped = any(each.verdict is FilterVerdict.DROP for each in found)
        for each in found:
            if each.verdict is FilterVerdict.ACCEPT or (is_dropped and each.verdict is FilterVerdict.UNKNOWN):
                continue
            groups.setdefault((each.table.title, each.chain.name, each.verdict), []).append(each)
    for (_, _, verdict), results in groups.items():
        yield _finding(facts, verdict, results)


def _finding(facts: BoxFacts, verdict: FilterVerdict, results: Sequence[FilterResult]) -> DoctorFinding:
    first = results[0]
    packets = [each.packet for each in results]
    where = f"{first.table.title}, chain {first.chain.name}"
    what = f"{_described(packets)} on {packets[0].interface}"
    if verdict is FilterVerdict.UNKNOWN:
        rules = dict.fromkeys(rule for each in results for rule in each.not_evaluated)
        sentence = f"whether the firewall ({where}) permits {what} depends on rules that the doctor cannot evaluate"
        cure = f"if machines get no answer: {cure_of(facts, first.table, first.chain, packets)}"
        return DoctorFinding(_CHECK, Level.NOTE, sentence, _evidence(where, rules), cure)
    level = Level.PROBLEM if any(each.stops_boots for each in packets) else Level.WARNING
    rules = dict.fromkeys(each.possible[verdict] for each in results)
    sentence = f"the firewall ({where}) {_DOES[verdict]} {what}"
    if verdict is FilterVerdict.DIVERT:
        cure = "remove the rule, or stop the container that publishes the port, or give netboot another port"
    else:
        cure = cure_of(facts, first.table, first.chain, packets)
    return DoctorFinding(_CHECK, level, sentence, _evidence(where, rules), cure)


def _evidence(where: str, rules: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(f"{where}: {rule}" for rule in rules)


def _described(packets: Sequence[BootPacket]) -> str:
    """Name the packets with protocol and port, each once."""
    named = (f"{each.what} ({each.protocol.upper()} {each.port})" if each.port else each.what for each in packets)
    return ", ".join(dict.fromkeys(named))
