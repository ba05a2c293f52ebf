"""Which client may have which address: a row for each state of RFC 2131 §4.3.2, and no address is leased twice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from netboot.leasing.holdings import Moment
from netboot.leasing.rules import GRANT_SETTLES_S, OFFER_HELD_S, REST_S, WRONG_ADDRESS, WRONG_NETWORK, Leases
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.host_network import BY_DHCP, HostNetwork
from netboot.model.host.mac import Mac
from netboot.model.lease import (
    AddressRange,
    Lease,
    LeaseClosed,
    LeaseDropReason,
    LeaseGranted,
    LeaseInformed,
    LeaseOffered,
    LeasePolicy,
    LeaseRefused,
    LeaseRequest,
    LeaseRequestKind,
    LeaseState,
    LeaseTerms,
    LeaseToProbe,
    LeaseVerdict,
)

CARD, OTHER_CARD, FAR, HOMELESS = (Mac(f"52:54:00:aa:bb:{n}") for n in ("01", "11", "05", "06"))
UNREGISTERED_KEPT = [Mac(f"52:54:00:aa:bb:{n}") for n in (91, 92, 93)]
LAN = IPv4Network("192.0.2.0/24")
OURS = IPv4Address("192.0.2.10")
RELAY = IPv4Address("203.0.113.1")
TIME = IPv4Address("192.0.2.4")
RESERVED = IPv4Address("192.0.2.101")
FIRST, SECOND = IPv4Address("192.0.2.200"), IPv4Address("192.0.2.201")
POOL = (AddressRange(FIRST, SECOND),)
LEASE_S = 3600


def a_host(name: str, macs: Sequence[Mac], address: str | None) -> Host:
    network = HostNetwork(IPv4Interface(address), gateway=IPv4Address("192.0.2.1")) if address else BY_DHCP
    return Host(HostName(name), Role.WORKER, tuple(macs), network=network)


CP1 = a_host("cp1", [CARD, OTHER_CARD], "192.0.2.101/24")
HOSTS = HostSet.of(
    Cluster("test"), [CP1, a_host("far1", [FAR], "203.0.113.105/24"), a_host("homeless", [HOMELESS], None)]
)


class BuiltServices:
    """A state machine with a clock, and a LAN where nobody has an address but those in `taken`."""

    def __init__(self, policy: LeasePolicy | None = None) -> None:
        self.hosts = HOSTS
        self.leases = Leases(policy or LeasePolicy(POOL, LEASE_S), lambda: self.hosts)
        self.now_s = 1000.0
        self.taken: set[IPv4Address] = set()

    @property
    def at(self) -> Moment:
        return Moment(datetime(2026, 11, 21, tzinfo=UTC), self.now_s)

    def decide(
        self,
        kind: LeaseRequestKind,
        mac: Mac | None = CARD,
        address: IPv4Address | None = None,
        *,
        relay: IPv4Address | None = None,
        client_id: str | None = None,
    ) -> LeaseVerdict:
        """Decide once; what has to be probed is probed."""
        request = LeaseRequest(kind, client_id or f"hw:01:{mac}", mac, address, relay)
        for _ in range(5):
            verdict = self.leases.decide(request, [LAN], [OURS], self.at)
            if not isinstance(verdict, LeaseToProbe):
                return verdict
            in_use = verdict.address in self.taken
            if not self.leases.record_probe(request, verdict.address, is_in_use=in_use, at=self.at):
                return LeaseDropReason.ADDRESS_IN_USE
        raise AssertionError("probes without end")

    def offered(self, mac: Mac = CARD, **further: str) -> IPv4Address | LeaseVerdict:
        verdict = self.decide(LeaseRequestKind.DISCOVER, mac, **further)  # type: ignore[arg-type]
        return verdict.terms.address or verdict if isinstance(verdict, LeaseOffered) else verdict

    def leased(self, mac: Mac = CARD, **further: str) -> IPv4Address | LeaseVerdict:
        offered = self.offered(mac, **further)
        if not isinstance(offered, IPv4Address):
            return offered
        verdict = self.decide(LeaseRequestKind.SELECTING, mac, offered, **further)  # type: ignore[arg-type]
        return verdict.lease.address if isinstance(verdict, LeaseGranted) else verdict


def in_short(verdict: LeaseVerdict) -> object:
    """A grant by its address, a refusal by its reason, a drop as it is."""
    match verdict:
        case LeaseGranted(lease=lease):
            return lease.address
        case LeaseRefused(reason=reason):
            return reason
        case _:
            return verdict


A = LeaseRequestKind
NEAR, AWAY = IPv4Address("192.0.2.77"), IPv4Address("10.0.0.77")
UNKNOWN = UNREGISTERED_KEPT[0]

# Before each request CP1 holds its address and UNKNOWN holds the pool's first.
BY_STATE = [
    # state             who             address    answer
    (A.SELECTING, CARD, RESERVED, RESERVED),
    (A.SELECTING, CARD, NEAR, WRONG_ADDRESS),
    (A.SELECTING, CARD, AWAY, WRONG_NETWORK),
    (A.SELECTING, UNKNOWN, FIRST, FIRST),
    (A.SELECTING, UNREGISTERED_KEPT[1], FIRST, WRONG_ADDRESS),
    (A.SELECTING, UNREGISTERED_KEPT[1], SECOND, WRONG_ADDRESS),
    (A.SELECTING_ANOTHER, CARD, NEAR, LeaseDropReason.OTHER_LEASE_SERVER),
    (A.INIT_REBOOT, CARD, RESERVED, RESERVED),
    (A.INIT_REBOOT, CARD, NEAR, WRONG_ADDRESS),
    (A.INIT_REBOOT, CARD, AWAY, WRONG_NETWORK),
    (A.INIT_REBOOT, UNKNOWN, FIRST, FIRST),
    (A.INIT_REBOOT, UNKNOWN, SECOND, WRONG_ADDRESS),
    (A.INIT_REBOOT, UNREGISTERED_KEPT[1], FIRST, LeaseDropReason.NOTHING_ON_RECORD),
    (A.INIT_REBOOT, UNREGISTERED_KEPT[1], AWAY, WRONG_NETWORK),
    (A.RENEWING, CARD, RESERVED, RESERVED),
    (A.RENEWING, CARD, NEAR, WRONG_ADDRESS),
    (A.RENEWING, UNKNOWN, FIRST, FIRST),
    (A.RENEWING, UNKNOWN, RESERVED, WRONG_ADDRESS),
    (A.RENEWING, UNREGISTERED_KEPT[1], FIRST, LeaseDropReason.NOTHING_ON_RECORD),
    (A.RENEWING, FAR, IPv4Address("203.0.113.105"), IPv4Address("203.0.113.105")),
    (A.REBINDING, CARD, RESERVED, RESERVED),
    (A.REBINDING, CARD, NEAR, WRONG_ADDRESS),
    (A.REBINDING, CARD, None, LeaseDropReason.MISFORMED_REQUEST),
    (A.REBINDING, UNREGISTERED_KEPT[1], NEAR, LeaseDropReason.NOTHING_ON_RECORD),
    (A.DECLINE, UNREGISTERED_KEPT[1], FIRST, LeaseDropReason.NOT_ITS_ADDRESS),
    (A.DECLINE, UNKNOWN, RESERVED, LeaseDropReason.NOT_ITS_ADDRESS),
    (A.RELEASE, UNREGISTERED_KEPT[1], FIRST, LeaseDropReason.NOT_ITS_ADDRESS),
    (A.RELEASE, CARD, None, LeaseDropReason.NOT_ITS_ADDRESS),
    (A.INFORM, CARD, None, LeaseDropReason.MISFORMED_REQUEST),
    (A.INFORM, CARD, AWAY, LeaseDropReason.OTHER_NETWORK),
]


@pytest.mark.parametrize(
    ("kind", "mac", "address", "answer"), BY_STATE, ids=[f"{a.value}-{m[-2:]}-{x}" for a, m, x, _ in BY_STATE]
)
def test_each_state_of_a_client_has_its_answer(kind: LeaseRequestKind, mac: Mac, address: IPv4Address, answer: object):
    services = BuiltServices()
    assert (services.leased(CARD), services.leased(UNKNOWN)) == (RESERVED, FIRST)

    assert in_short(services.decide(kind, mac, address)) == answer


def test_an_offer_carries_what_the_registry_and_the_settings_say():
    nameserver, router = IPv4Address("192.0.2.2"), IPv4Address("192.0.2.9")
    services = BuiltServices(LeasePolicy(POOL, 600, router, (nameserver,), "rack.example.org", (TIME,)))

    ours, theirs = services.decide(A.DISCOVER, CARD), services.decide(A.DISCOVER, UNKNOWN)

    gateway = IPv4Address("192.0.2.1")
    names = {"nameservers": (nameserver,), "domain": "rack.example.org", "ntp_servers": (TIME,)}
    assert ours == LeaseOffered(
        LeaseTerms(LAN, RESERVED, 600, gateway, host_name="cp1", **names)  # type: ignore[arg-type]
    )
    assert theirs == LeaseOffered(LeaseTerms(LAN, FIRST, 600, router, **names))  # type: ignore[arg-type]


def test_a_lease_names_the_time_servers_of_the_host_that_have_an_address_before_those_of_the_settings():
    services = BuiltServices(LeasePolicy(POOL, 600, ntp_servers=(TIME,)))
    services.hosts = HostSet.of(HOSTS.cluster, [replace(CP1, ntp=("192.0.2.7", "ntp.example.com"))])

    ours, theirs = services.decide(A.DISCOVER, CARD), services.decide(A.DISCOVER, UNKNOWN)

    assert isinstance(ours, LeaseOffered)
    assert isinstance(theirs, LeaseOffered)
    assert (ours.terms.ntp_servers, theirs.terms.ntp_servers) == ((IPv4Address("192.0.2.7"),), (TIME,))


def test_a_grant_has_its_record_and_says_whether_it_is_new():
    services = BuiltServices()
    services.offered(CARD)

    first, again = services.decide(A.SELECTING, CARD, RESERVED), services.decide(A.RENEWING, CARD, RESERVED)

    ends_at = services.at.utc + timedelta(seconds=LEASE_S)
    lease = Lease(RESERVED, CARD, CARD, LeaseState.BOUND, LEASE_S, ends_at)
    assert isinstance(first, LeaseGranted)
    assert isinstance(again, LeaseGranted)
    assert (first.lease, first.is_new, again.lease, again.is_new) == (lease, True, lease, False)


def test_an_inform_gets_the_network_and_no_lease():
    services = BuiltServices()

    verdict = services.decide(A.INFORM, CARD, NEAR)

    terms = LeaseTerms(LAN, None, LEASE_S, IPv4Address("192.0.2.1"), host_name="cp1")
    assert verdict == LeaseInformed(terms)
    assert services.decide(A.DECLINE, CARD, NEAR) is LeaseDropReason.NOT_ITS_ADDRESS


def test_a_registered_host_is_its_mac_whatever_it_calls_itself():
    services = BuiltServices()

    leased = [services.leased(CARD, client_id=name) for name in ("id:00uuid", "id:01mac", "id:ffduid")]

    assert leased == [RESERVED] * 3


def test_two_machines_that_call_themselves_alike_get_two_addresses_and_keep_them():
    services = BuiltServices()
    image = {"client_id": "id:ffduid"}

    assert [services.leased(mac, **image) for mac in UNREGISTERED_KEPT[:2]] == [FIRST, SECOND]
    assert [services.leased(mac, **image) for mac in UNREGISTERED_KEPT[:2]] == [FIRST, SECOND]
    assert services.leased(UNREGISTERED_KEPT[2], **image) is LeaseDropReason.POOL_EXHAUSTED


def test_another_card_of_a_host_gets_its_address_once_the_first_one_does_not_answer():
    services = BuiltServices()
    services.leased(CARD)
    services.taken = {RESERVED}

    assert services.offered(OTHER_CARD) is LeaseDropReason.HELD_BY_OTHER_CARD
    assert in_short(services.decide(A.RENEWING, CARD, RESERVED)) == RESERVED
    services.taken = set()
    services.now_s += GRANT_SETTLES_S
    assert services.leased(OTHER_CARD) == RESERVED
    assert in_short(services.decide(A.RENEWING, CARD, RESERVED)) == WRONG_ADDRESS


IN_USE = LeaseDropReason.HELD_BY_OTHER_CARD
ONE, TWO = CARD, OTHER_CARD
# What two cards of one host send for its address, with the seconds before each, and what each gets.
TWO_CARDS = {
    "the-offer-of-the-first-is-held": [
        (0, ONE, A.DISCOVER, "offer"),
        (1, TWO, A.DISCOVER, IN_USE),
        (1, ONE, A.SELECTING, RESERVED),
    ],
    "also-a-moment-before-its-minute-is-over": [
        (0, ONE, A.DISCOVER, "offer"),
        (59, TWO, A.DISCOVER, IN_USE),
        (0, ONE, A.SELECTING, RESERVED),
    ],
    "a-repeated-discover-holds-it-longer": [
        (0, ONE, A.DISCOVER, "offer"),
        (50, ONE, A.DISCOVER, "offer"),
        (50, TWO, A.DISCOVER, IN_USE),
        (0, ONE, A.SELECTING, RESERVED),
    ],
    "then-the-other-is-offered-it-and-the-first-is-not-refused": [
        (0, ONE, A.DISCOVER, "offer"),
        (61, TWO, A.DISCOVER, "offer"),
        (0, ONE, A.SELECTING, IN_USE),
        (0, TWO, A.SELECTING, RESERVED),
        (0, ONE, A.SELECTING, IN_USE),
    ],
    "a-second-request-is-acknowledged-again": [
        (0, ONE, A.DISCOVER, "offer"),
        (0, ONE, A.SELECTING, RESERVED),
        (0, TWO, A.DISCOVER, IN_USE),
        (0, ONE, A.SELECTING, RESERVED),
        (0, TWO, A.SELECTING, IN_USE),
    ],
    "an-offer-is-free-once-its-card-chose-another-server": [
        (0, ONE, A.DISCOVER, "offer"),
        (0, ONE, A.SELECTING_ANOTHER, LeaseDropReason.OTHER_LEASE_SERVER),
        (0, TWO, A.DISCOVER, "offer"),
        (0, TWO, A.SELECTING, RESERVED),
    ],
    "what-the-other-card-chooses-frees-nothing": [
        (0, ONE, A.DISCOVER, "offer"),
        (0, TWO, A.SELECTING_ANOTHER, LeaseDropReason.OTHER_LEASE_SERVER),
        (0, TWO, A.DISCOVER, IN_USE),
        (0, ONE, A.SELECTING, RESERVED),
    ],
    "the-other-has-nothing-to-decline-or-release": [
        (0, ONE, A.DISCOVER, "offer"),
        (0, TWO, A.DECLINE, LeaseDropReason.NOT_ITS_ADDRESS),
        (0, TWO, A.RELEASE, LeaseDropReason.NOT_ITS_ADDRESS),
        (0, ONE, A.SELECTING, RESERVED),
    ],
    "init-reboot-of-the-other-waits-for-the-offer": [
        (0, ONE, A.DISCOVER, "offer"),
        (0, TWO, A.INIT_REBOOT, IN_USE),
        (0, TWO, A.RENEWING, IN_USE),
        (0, TWO, A.REBINDING, IN_USE),
        (0, ONE, A.SELECTING, RESERVED),
    ],
    "a-lease-goes-on-while-the-other-card-is-only-offered-it": [
        (0, ONE, A.DISCOVER, "offer"),
        (0, ONE, A.SELECTING, RESERVED),
        (100, TWO, A.DISCOVER, "offer"),
        (1, ONE, A.RENEWING, RESERVED),
        (0, TWO, A.SELECTING, IN_USE),
        (0, ONE, A.REBINDING, RESERVED),
    ],
    "the-system-boots-by-its-card-after-the-firmware-used-the-other": [
        (0, TWO, A.DISCOVER, "offer"),
        (0, TWO, A.SELECTING, RESERVED),
        (90, ONE, A.INIT_REBOOT, RESERVED),
        (0, ONE, A.RENEWING, RESERVED),
        (0, TWO, A.RENEWING, WRONG_ADDRESS),
    ],
    "the-firmware-boots-by-the-other-card-while-the-lease-of-the-system-lasts": [
        (0, ONE, A.DISCOVER, "offer"),
        (0, ONE, A.SELECTING, RESERVED),
        (90, TWO, A.DISCOVER, "offer"),
        (0, TWO, A.SELECTING, RESERVED),
        (60, ONE, A.DISCOVER, "offer"),
        (0, ONE, A.SELECTING, RESERVED),
    ],
    "an-ack-on-its-way-is-not-overtaken": [
        (0, ONE, A.DISCOVER, "offer"),
        (0, ONE, A.SELECTING, RESERVED),
        (1, TWO, A.DISCOVER, IN_USE),
        (0, TWO, A.INIT_REBOOT, IN_USE),
        (2, TWO, A.DISCOVER, "offer"),
    ],
}


@pytest.mark.parametrize("name", TWO_CARDS)
def test_two_cards_of_one_host_and_its_one_address(name: str):
    services = BuiltServices()
    for pause_s, card, kind, expected in TWO_CARDS[name]:
        services.now_s += pause_s
        address = None if kind is A.DISCOVER else RESERVED

        verdict = services.decide(kind, card, address)

        assert ("offer" if isinstance(verdict, LeaseOffered) else in_short(verdict)) == expected, (card, kind)


def test_a_card_that_answers_the_probe_keeps_its_lease_when_the_other_reboots():
    services = BuiltServices()
    services.leased(TWO)
    services.now_s += 90
    services.taken = {RESERVED}

    assert (
        services.decide(A.INIT_REBOOT, ONE, RESERVED) is LeaseDropReason.ADDRESS_IN_USE
    )  # the fixture's own word for a probe
    assert services.decide(A.DISCOVER, ONE) is LeaseDropReason.ADDRESS_IN_USE
    assert in_short(services.decide(A.RENEWING, TWO, RESERVED)) == RESERVED


def test_a_lease_is_renewed_while_the_other_card_s_probe_is_under_way():
    services = BuiltServices()
    services.leased(ONE)
    services.now_s += 90
    request = LeaseRequest(A.DISCOVER, "x", TWO)
    assert isinstance(services.leases.decide(request, [LAN], [OURS], services.at), LeaseToProbe)

    assert in_short(services.decide(A.RENEWING, ONE, RESERVED)) == RESERVED
    assert not services.leases.record_probe(request, RESERVED, is_in_use=False, at=services.at)


def test_a_lease_that_is_written_during_a_request_of_the_other_card_is_still_held():
    services = BuiltServices()
    services.offered(ONE)
    granted = services.decide(A.SELECTING, ONE, RESERVED)
    assert isinstance(granted, LeaseGranted)

    services.decide(A.DISCOVER, TWO)

    assert services.leases.is_current(granted.lease)


class TwoCards(RuleBasedStateMachine):
    """For any messages of two cards of one host: the holder of our offer or lease is never refused its address."""

    def __init__(self) -> None:
        super().__init__()
        self.services = BuiltServices()
        self.entitled_until_s: dict[Mac, float] = {}

    @rule(
        kind=st.sampled_from(list(LeaseRequestKind)),
        mac=st.sampled_from([ONE, TWO]),
        address=st.sampled_from([RESERVED, RESERVED, None, NEAR]),
        runs=st.booleans(),
    )
    def say(self, kind: LeaseRequestKind, mac: Mac, address: IPv4Address | None, runs: bool) -> None:
        self.services.taken = {RESERVED} if runs else set()
        now_s, other = self.services.now_s, TWO if mac is ONE else ONE
        match self.services.decide(kind, mac, address):
            case LeaseOffered():
                assert self.entitled_until_s.get(other, 0.0) <= now_s or self.leased is other
                self.entitled_until_s[mac] = now_s + OFFER_HELD_S
            case LeaseGranted(lease=lease):
                assert lease.address == RESERVED
                self.leased = mac
                self.entitled_until_s.pop(other, None)  # its offer ends when the address is leased to this card
            case LeaseRefused() if address == RESERVED and kind is A.SELECTING:
                raise AssertionError("a card was refused the address of its host")
            case LeaseClosed() | LeaseDropReason.OTHER_LEASE_SERVER:
                self.entitled_until_s.pop(mac, None)
            case _:
                pass

    leased: Mac | None = None

    @rule(seconds=st.sampled_from([1.0, 5.0, OFFER_HELD_S, REST_S, LEASE_S]))
    def wait(self, seconds: float) -> None:
        self.services.now_s += seconds


def test_a_card_with_a_lease_gets_an_offer_although_the_other_had_one():
    model = TwoCards()
    for kind, mac in ((A.SELECTING, ONE), (A.DISCOVER, TWO), (A.SELECTING, ONE), (A.DISCOVER, ONE)):
        model.say(kind=kind, mac=mac, address=RESERVED, runs=False)
        model.wait(5.0)


TestTwoCards = TwoCards.TestCase
TestTwoCards.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_host_without_an_address_in_the_registry_gets_one_of_the_pool():
    assert BuiltServices().leased(HOMELESS) == FIRST


def test_a_host_gets_its_address_only_in_its_own_network():
    services = BuiltServices()

    assert services.decide(A.DISCOVER, FAR) is LeaseDropReason.OTHER_NETWORK
    relayed = services.decide(A.DISCOVER, FAR, relay=RELAY)
    assert isinstance(relayed, LeaseOffered)
    assert relayed.terms.address == IPv4Address("203.0.113.105")
    assert services.decide(A.DISCOVER, CARD, relay=RELAY) is LeaseDropReason.OTHER_NETWORK
    assert services.decide(A.DISCOVER, UNKNOWN, relay=RELAY) is LeaseDropReason.NO_ADDRESS_FOR_CLIENT


FAR_NETWORK = IPv4Network("198.51.100.0/24")
FAR_POOL = AddressRange(
    IPv4Address("198.51.100.100"), IPv4Address("198.51.100.101"), FAR_NETWORK, IPv4Address("198.51.100.1")
)
FAR_RELAY, MANAGEMENT = IPv4Address("198.51.100.1"), IPv4Address("10.9.8.7")


def decide_by_relay(services: BuiltServices, **where: IPv4Address) -> LeaseVerdict:
    request = LeaseRequest(A.DISCOVER, "hw:x", UNKNOWN, **where)  # type: ignore[arg-type]
    verdict = services.leases.decide(request, [LAN], [OURS], services.at)
    if isinstance(verdict, LeaseToProbe):
        services.leases.record_probe(request, verdict.address, is_in_use=False, at=services.at)
        verdict = services.leases.decide(request, [LAN], [OURS], services.at)
    return verdict


@pytest.mark.parametrize(
    "where",
    [
        pytest.param({"relay": FAR_RELAY}, id="by-its-own-address"),
        pytest.param({"relay": MANAGEMENT, "subnet": IPv4Address("198.51.100.0")}, id="by-what-the-relay-states"),
        pytest.param({"subnet": IPv4Address("198.51.100.77")}, id="by-what-the-client-states"),
    ],
)
def test_a_pool_behind_a_relay_needs_no_host_there(where: dict[str, IPv4Address]):
    services = BuiltServices(LeasePolicy((*POOL, FAR_POOL), LEASE_S, router=IPv4Address("192.0.2.1")))

    offered = decide_by_relay(services, **where)

    assert offered == LeaseOffered(
        LeaseTerms(FAR_NETWORK, IPv4Address("198.51.100.100"), LEASE_S, IPv4Address("198.51.100.1"))
    )


def test_a_subnet_that_nobody_has_gets_no_address():
    services = BuiltServices(LeasePolicy((*POOL, FAR_POOL), LEASE_S))

    for where in ({"relay": FAR_RELAY, "subnet": AWAY}, {"relay": MANAGEMENT}, {"subnet": AWAY}):
        assert decide_by_relay(services, **where) is LeaseDropReason.NO_ADDRESS_FOR_CLIENT


def test_a_pool_that_states_another_network_is_not_for_this_lan():
    services = BuiltServices(LeasePolicy((FAR_POOL,), LEASE_S))

    assert services.offered(UNKNOWN) is LeaseDropReason.NO_ADDRESS_FOR_CLIENT


def test_a_lease_behind_a_relay_is_renewed_by_unicast():
    services = BuiltServices(LeasePolicy((FAR_POOL,), LEASE_S))
    decide_by_relay(services, relay=FAR_RELAY)
    first = IPv4Address("198.51.100.100")

    granted = services.decide(A.SELECTING, UNKNOWN, first, relay=FAR_RELAY, client_id="hw:x")
    renewed = services.decide(A.RENEWING, UNKNOWN, first, client_id="hw:x")

    assert [in_short(granted), in_short(renewed)] == [first, first]


def test_the_subnet_that_is_stated_counts_for_a_host_too():
    services = BuiltServices()
    far = IPv4Address("203.0.113.105")
    request = LeaseRequest(A.DISCOVER, "x", FAR, relay=MANAGEMENT, subnet=IPv4Address("203.0.113.0"))

    assert services.leases.decide(request, [LAN], [OURS], services.at) == LeaseToProbe(far, True)


def test_what_is_behind_a_relay_cannot_be_probed_by_arp():
    services = BuiltServices()

    verdicts = [
        services.leases.decide(LeaseRequest(A.DISCOVER, "x", mac, relay=relay), [LAN], [OURS], services.at)
        for mac, relay in ((CARD, None), (FAR, RELAY))
    ]

    assert verdicts == [LeaseToProbe(RESERVED, False), LeaseToProbe(IPv4Address("203.0.113.105"), True)]


def test_while_an_address_is_probed_the_same_request_waits():
    services = BuiltServices()
    request = LeaseRequest(A.DISCOVER, "x", CARD)

    first = services.leases.decide(request, [LAN], [OURS], services.at)
    assert services.leases.decide(request, [LAN], [OURS], services.at) is LeaseDropReason.ADDRESS_PROBED
    services.now_s += 5.0  # the probe was lost
    assert services.leases.decide(request, [LAN], [OURS], services.at) == first


@pytest.mark.parametrize("unwanted", [FIRST, OURS, RESERVED, IPv4Address("192.0.2.1")])
def test_the_pool_never_gives_an_address_that_has_an_owner(unwanted: IPv4Address):
    pool = (AddressRange(unwanted, unwanted), AddressRange(SECOND, SECOND))
    services = BuiltServices(LeasePolicy(pool, LEASE_S, router=IPv4Address("192.0.2.1")))
    services.taken = {FIRST}

    assert services.leased(UNKNOWN) == SECOND


def test_an_unregistered_machine_gets_its_last_address_else_the_requested_one_else_the_longest_unused():
    services = BuiltServices()

    wished = services.decide(A.DISCOVER, UNKNOWN, SECOND)
    assert isinstance(wished, LeaseOffered)
    assert wished.terms.address == SECOND
    services.decide(A.SELECTING, UNKNOWN, SECOND)
    services.decide(A.RELEASE, UNKNOWN, SECOND)
    assert services.leased(UNREGISTERED_KEPT[1]) == FIRST
    assert services.leased(UNKNOWN) == SECOND


def test_an_offer_that_nobody_takes_is_free_again():
    services = BuiltServices(LeasePolicy((AddressRange(FIRST, FIRST),), LEASE_S))
    services.offered(UNKNOWN)

    assert services.offered(UNREGISTERED_KEPT[1]) is LeaseDropReason.POOL_EXHAUSTED
    services.now_s += OFFER_HELD_S
    assert services.leased(UNREGISTERED_KEPT[1]) == FIRST
    assert in_short(services.decide(A.SELECTING, UNKNOWN, FIRST)) == WRONG_ADDRESS


def test_a_client_that_takes_another_servers_offer_leaves_ours_free():
    services = BuiltServices(LeasePolicy((AddressRange(FIRST, FIRST),), LEASE_S))
    services.offered(UNKNOWN)

    services.decide(A.SELECTING_ANOTHER, UNKNOWN, NEAR)

    assert services.offered(UNREGISTERED_KEPT[1]) == FIRST


def test_a_declined_address_rests_and_then_may_be_offered_again():
    services = BuiltServices(LeasePolicy((AddressRange(FIRST, FIRST),), LEASE_S))
    services.leased(UNKNOWN)

    closed = services.decide(A.DECLINE, UNKNOWN, FIRST)

    assert isinstance(closed, LeaseClosed)
    assert (closed.lease.state, closed.lease.mac) == (LeaseState.DECLINED, UNKNOWN)
    assert services.offered(UNKNOWN) is LeaseDropReason.POOL_EXHAUSTED
    services.now_s += REST_S
    assert services.offered(UNKNOWN) == FIRST


def test_a_lease_ends_and_its_binding_stays():
    services = BuiltServices()
    services.leased(UNKNOWN)
    services.now_s += LEASE_S

    ended = services.leases.end_expired(services.at)

    leases = [closed.lease for closed in ended]
    assert [(lease.address, lease.state, lease.mac) for lease in leases] == [(FIRST, LeaseState.EXPIRED, UNKNOWN)]
    assert services.leases.end_expired(services.at) == []
    assert services.leased(UNREGISTERED_KEPT[1]) == SECOND
    assert in_short(services.decide(A.INIT_REBOOT, UNKNOWN, FIRST)) == FIRST


def test_the_time_of_day_ends_no_lease():
    services = BuiltServices()
    services.leased(UNKNOWN)
    jumped = replace(services.at, utc=services.at.utc + timedelta(days=3650))

    assert services.leases.end_expired(jumped) == []


def test_after_a_restart_every_lease_on_record_runs_its_whole_time_again():
    services = BuiltServices()
    long_ago = datetime(1999, 1, 1, tzinfo=UTC)
    services.leases.load([Lease(FIRST, f"hw:01:{UNKNOWN}", UNKNOWN, LeaseState.BOUND, LEASE_S, long_ago)], services.at)

    services.now_s += LEASE_S - 1
    assert services.offered(UNREGISTERED_KEPT[1]) == SECOND
    assert services.offered(UNREGISTERED_KEPT[2]) is LeaseDropReason.POOL_EXHAUSTED
    assert services.offered(UNKNOWN) == FIRST


@pytest.mark.parametrize(
    ("state", "offered"),
    [(LeaseState.RELEASED, FIRST), (LeaseState.EXPIRED, FIRST), (LeaseState.DECLINED, SECOND)],
)
def test_after_a_restart_a_released_address_is_its_clients_and_a_declined_one_rests(
    state: LeaseState, offered: IPv4Address
):
    services = BuiltServices()
    services.leases.load([Lease(FIRST, f"hw:01:{UNKNOWN}", UNKNOWN, state, LEASE_S, services.at.utc)], services.at)

    assert services.offered(UNKNOWN) == offered


def test_a_grant_that_did_not_reach_the_disk_is_taken_back_to_what_was_before():
    services = BuiltServices()
    services.offered(UNKNOWN)
    granted = services.decide(A.SELECTING, UNKNOWN, FIRST)
    assert isinstance(granted, LeaseGranted)

    services.leases.take_back(granted.lease)

    assert not services.leases.is_current(granted.lease)
    assert in_short(services.decide(A.INIT_REBOOT, UNKNOWN, FIRST)) is LeaseDropReason.NOTHING_ON_RECORD
    assert in_short(services.decide(A.SELECTING, UNKNOWN, FIRST)) == FIRST


def test_a_machine_that_was_registered_meanwhile_is_refused_its_old_address():
    services = BuiltServices()
    services.leased(UNKNOWN)
    services.hosts = HostSet.of(Cluster("test"), [a_host("new1", [UNKNOWN], "192.0.2.55/24")])

    assert in_short(services.decide(A.RENEWING, UNKNOWN, FIRST)) == WRONG_ADDRESS
    assert services.leased(UNKNOWN) == IPv4Address("192.0.2.55")


def test_an_address_that_was_registered_for_another_host_is_refused_to_its_holder():
    services = BuiltServices()
    services.leased(UNKNOWN)
    services.hosts = HostSet.of(Cluster("test"), [a_host("new1", [UNREGISTERED_KEPT[1]], f"{FIRST}/24")])

    assert services.offered(UNREGISTERED_KEPT[1]) is LeaseDropReason.ADDRESS_IN_USE
    assert in_short(services.decide(A.RENEWING, UNKNOWN, FIRST)) == WRONG_ADDRESS
    services.now_s += LEASE_S
    assert services.leased(UNREGISTERED_KEPT[1]) == FIRST


@pytest.mark.parametrize("is_in_use", [False, True])
def test_a_probe_that_ends_after_another_appliance_leased_the_client_an_address_leaves_it_that_one(is_in_use: bool):
    services = BuiltServices()
    discover = LeaseRequest(A.DISCOVER, f"hw:01:{UNKNOWN}", UNKNOWN)
    assert services.leases.decide(discover, [LAN], [OURS], services.at) == LeaseToProbe(FIRST, is_relayed=False)
    elsewhere = Lease(SECOND, f"hw:01:{UNKNOWN}", UNKNOWN, LeaseState.BOUND, LEASE_S, services.at.utc)

    services.leases.follow(elsewhere, services.at)
    assert services.leases.record_probe(discover, FIRST, is_in_use=is_in_use, at=services.at)

    assert services.offered(UNKNOWN) == SECOND
    assert in_short(services.decide(A.INIT_REBOOT, UNKNOWN, SECOND)) == SECOND
    free = services.offered(UNREGISTERED_KEPT[1])
    assert free == (LeaseDropReason.POOL_EXHAUSTED if is_in_use else FIRST)


def test_a_client_keeps_its_lease_when_its_former_address_was_offered_to_another_and_not_taken():
    services = BuiltServices()
    other = UNREGISTERED_KEPT[1]
    services.leased(UNKNOWN)
    services.decide(A.RELEASE, UNKNOWN, FIRST)
    offered = services.decide(A.DISCOVER, other, FIRST)
    assert isinstance(offered, LeaseOffered)
    assert offered.terms.address == FIRST
    assert services.leased(UNKNOWN) == SECOND

    services.decide(A.SELECTING_ANOTHER, other, NEAR)

    assert in_short(services.decide(A.RENEWING, UNKNOWN, SECOND)) == SECOND
    assert services.offered(UNKNOWN) == SECOND


def test_an_offer_is_void_once_its_address_is_registered_for_another():
    services = BuiltServices()
    services.offered(UNKNOWN)
    services.hosts = HostSet.of(Cluster("test"), [a_host("new1", [UNREGISTERED_KEPT[1]], f"{FIRST}/24")])

    assert in_short(services.decide(A.SELECTING, UNKNOWN, FIRST)) == WRONG_ADDRESS


class ManyMachines(RuleBasedStateMachine):
    """For any messages in any order: no address is ever leased to two machines."""

    def __init__(self) -> None:
        super().__init__()
        self.services = BuiltServices(LeasePolicy((AddressRange(FIRST, IPv4Address("192.0.2.203")),), LEASE_S))
        self.held: dict[IPv4Address, tuple[Mac, float]] = {}  # address to MAC and end, as the machines know it

    @rule(
        kind=st.sampled_from(list(LeaseRequestKind)),
        mac=st.sampled_from([CARD, OTHER_CARD, HOMELESS, *UNREGISTERED_KEPT]),
        address=st.sampled_from([None, RESERVED, *map(IPv4Address, range(int(FIRST), int(FIRST) + 4)), AWAY]),
        client_id=st.sampled_from(["id:ffduid", None]),
    )
    def say(self, kind: LeaseRequestKind, mac: Mac, address: IPv4Address | None, client_id: str | None) -> None:
        now_s = self.services.now_s
        self.services.taken = {held for held, (_, end_s) in self.held.items() if end_s > now_s}
        match self.services.decide(kind, mac, address, client_id=client_id):
            case LeaseGranted(lease=lease):
                owner, end_s = self.held.get(lease.address, (mac, 0.0))
                assert owner == mac or end_s <= now_s
                self.held[lease.address] = (mac, now_s + LEASE_S)
            case LeaseClosed(lease=lease):
                self.held.pop(lease.address, None)

    @rule(seconds=st.sampled_from([1.0, OFFER_HELD_S, REST_S, LEASE_S / 2, LEASE_S]))
    def wait(self, seconds: float) -> None:
        self.services.now_s += seconds

    @rule()
    def sweep(self) -> None:
        self.services.leases.end_expired(self.services.at)


TestManyMachines = ManyMachines.TestCase
TestManyMachines.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
