"""Decides which client may have which address, on a LAN without another DHCP server: one state machine.

No clock, no socket, no disk: the caller passes the time as a `Moment`, and the returned verdict states what the caller
must store, probe or send. Uses the monotonic clock, so that a jump of the time of day ends no lease. After a restart
every recorded lease runs its whole time again, because the length of the pause is not known.

RFC 2131 §4.3 (each request), §2.2 (a probe before an address is given), §4.3.2 with table 4 (REQUEST by state).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import Final, assert_never

from netboot.leasing.holdings import Held, Holding, Holdings, LeaseClient, Moment
from netboot.model.host.host import Host, HostSet
from netboot.model.host.host_network import BY_DHCP
from netboot.model.host.mac import Mac
from netboot.model.lease import (
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
    is_address_in,
)

OFFER_HELD_S: Final = 60.0  # from an offer to its REQUEST; ROMs collect offers for up to 32 s
GRANT_SETTLES_S: Final = 2.0  # from a grant until the client answers a probe: the disk, the ACK, the client's own check
PROBE_HELD_S: Final = 3.0  # then the address of a lost probe is free
REST_S: Final = 600.0  # of an address that an unknown machine has
POOLS_KEPT: Final = 64  # one for each LAN with requests

WRONG_NETWORK: Final = "this address is not of this network"
WRONG_ADDRESS: Final = "this address is not yours"

Networks = Sequence[IPv4Network]


@dataclass(frozen=True, slots=True)
class _Case:
    """One request: its client, the networks where the client is, and the addresses of the receiving interface."""

    client: LeaseClient
    request: LeaseRequest
    networks: Networks
    ours: Collection[IPv4Address]
    at: Moment


class Leases:
    """All leases, decided from memory. What `decide` grants must be on disk before it is sent."""

    def __init__(self, policy: LeasePolicy, hosts: Callable[[], HostSet]) -> None:
        """`hosts` returns the registered hosts in force."""
        self._policy = policy
        self._held = Holdings()
        self._hosts_in_force = hosts
        self._hosts: HostSet | None = None
        self._follow_hosts()

    def _follow_hosts(self) -> None:
        """Derive from the hosts what every request needs, where they were replaced."""
        hosts = self._hosts_in_force()
        if hosts is self._hosts:
            return
        self._hosts = hosts
        self._pools: dict[tuple[tuple[IPv4Network, ...], frozenset[IPv4Address]], Mapping[IPv4Address, None]] = {}
        self._reserved = {address for host in hosts for address in host.addresses}
        declared = [address.network for host in hosts if (address := host.network.boot_address)]
        stated = [each.network for each in self._policy.pool if each.network]
        self._known_networks = tuple(dict.fromkeys((*stated, *declared)))  # a relay's is found among them

    def host_of(self, mac: Mac | None) -> Host | None:
        """Find the registered host that owns a card."""
        return self._hosts_in_force().by_mac(mac) if mac is not None else None

    def load(self, records: Iterable[Lease], at: Moment) -> None:
        """Take what is stored, at the start."""
        for lease in records:
            self._held.follow(lease, at, rests_s=REST_S)

    def follow(self, lease: Lease, at: Moment) -> None:
        """Take a lease that another appliance stored."""
        self._held.follow(lease, at, rests_s=REST_S, settles_s=GRANT_SETTLES_S)

    def note_stored(self, lease: Lease) -> None:
        """Note that a lease that was granted or ended here is stored."""
        self._held.note_stored(lease)

    def decide(
        self, request: LeaseRequest, networks: Networks, ours: Collection[IPv4Address], at: Moment
    ) -> LeaseVerdict:
        """Answer one request. `networks` are those of the receiving interface, `ours` its addresses."""
        self._follow_hosts()
        client = self._client(request, at)
        if request.subnet is not None:
            networks = [each for each in (*self._known_networks, *networks) if request.subnet in each]
        elif request.relay is not None:
            networks = [network for network in self._known_networks if request.relay in network]
        case = _Case(client, request, networks, ours, at)
        match request.kind:
            case LeaseRequestKind.DISCOVER:
                return self._offer(case)
            case LeaseRequestKind.SELECTING:
                return self._select(case)
            case LeaseRequestKind.SELECTING_ANOTHER:
                return self._let_go(client)
            case LeaseRequestKind.INIT_REBOOT | LeaseRequestKind.RENEWING | LeaseRequestKind.REBINDING:
                return self._confirm(case)
            case LeaseRequestKind.DECLINE:
                return self._decline(case)
            case LeaseRequestKind.RELEASE:
                return self._release(case)
            case LeaseRequestKind.INFORM:
                return self._inform(case)
            case _:
                assert_never(request.kind)

    def record_probe(self, request: LeaseRequest, address: IPv4Address, *, is_in_use: bool, at: Moment) -> bool:
        """Process the result of a probe that `decide` returned; return whether the request may be decided again.

        A pool address that another machine uses is not leased for a while, and another is chosen; a host has one only.
        """
        client, holding = self._client(request, at), self._held.get(address)
        if holding is None or holding.held is not Held.PROBED or holding.client != client.key:
            return False  # another decision came first
        if not is_in_use:
            if self._held.address_of(client.key) != address:  # another appliance leased it one during the probe
                self._held.undo(address)
                return True
            self._held.hold(address, client.key, client.mac, Held.OFFERED, at.monotonic_s + OFFER_HELD_S)
            return True
        if address == client.address:
            self._held.undo(address)
            return False
        self._held.hold(address, "", None, Held.RESTING, at.monotonic_s + REST_S)
        return True

    def is_current(self, lease: Lease) -> bool:
        """Return whether a lease that was granted or ended still is: a DECLINE or another grant may have come since."""
        held = Held.BOUND if lease.state is LeaseState.BOUND else Held.ENDED
        holding = self._held.get(lease.address)
        return holding is not None and holding.held is held and holding.client == lease.client

    def take_back(self, lease: Lease) -> None:
        """Undo a grant that could not be stored."""
        if self.is_current(lease):
            self._held.undo(lease.address)

    def end_expired(self, at: Moment) -> list[LeaseClosed]:
        over = self._held.end_expired(at)
        return [self._closed(address, holding, LeaseState.EXPIRED, at) for address, holding in over]

    # Each kind of request

    def _offer(self, case: _Case) -> LeaseVerdict:
        client, at = case.client, case.at
        if client.address is None:
            found = self._from_pool(case)
        else:
            found = client.address if is_address_in(case.networks, client.address) else LeaseDropReason.OTHER_NETWORK
        if isinstance(found, LeaseDropReason):
            return found
        holding = self._held.in_force(found, at)
        if holding is not None and holding.client == client.key:
            if holding.held is Held.PROBED:
                return LeaseDropReason.ADDRESS_PROBED
            if holding.held is Held.OFFERED:
                holding.until_s = at.monotonic_s + OFFER_HELD_S
            return LeaseOffered(self._terms(case, found))
        if holding is not None and not client.may_take_over(holding, at):
            return client.refused_by(holding)
        return self._to_probe(case, found, is_relayed=case.request.relay is not None)

    def _to_probe(self, case: _Case, address: IPv4Address, *, is_relayed: bool) -> LeaseToProbe:
        client, until_s = case.client, case.at.monotonic_s + PROBE_HELD_S
        self._held.hold(address, client.key, client.mac, Held.PROBED, until_s)
        return LeaseToProbe(address, is_relayed)

    def _select(self, case: _Case) -> LeaseVerdict:
        client, address = case.client, case.request.address
        if address is None or not is_address_in(case.networks, address):
            return LeaseRefused(WRONG_NETWORK)
        if not self._may_have(client, address):
            return LeaseRefused(WRONG_ADDRESS)
        holding = self._held.in_force(address, case.at)
        if holding is not None and holding.client == client.key:
            if holding.held is Held.PROBED:
                return LeaseDropReason.ADDRESS_PROBED
            return self._grant(case, address)
        if address == client.address:
            # A host's own address is never refused: it may have our offer, from before a restart or by its other card.
            if holding is None or self._goes_back_to(case, address, holding):
                return self._grant(case, address)
            return client.refused_by(holding)
        return LeaseRefused(WRONG_ADDRESS)

    def _goes_back_to(self, case: _Case, address: IPv4Address, holding: Holding) -> bool:
        """Restore a lease that was offered to the host's other card meanwhile; False: there is none."""
        own, is_offered = holding.before, holding.held in (Held.OFFERED, Held.PROBED)
        if own is None or not is_offered or not case.client.has_by_another_card(holding):
            return False
        if own.client != case.client.key or own.held is not Held.BOUND or own.until_s <= case.at.monotonic_s:
            return False
        self._held.undo(address)
        return True

    def _let_go(self, client: LeaseClient) -> LeaseVerdict:
        address = self._held.address_of(client.key)
        holding = self._held.get(address) if address is not None else None
        if address is not None and holding is not None and holding.held in (Held.OFFERED, Held.PROBED):
            self._held.undo(address)
        return LeaseDropReason.OTHER_LEASE_SERVER

    def _confirm(self, case: _Case) -> LeaseVerdict:
        """Let a client keep its address, refuse it, or drop the request of an unknown client."""
        client, request, networks, address = case.client, case.request, case.networks, case.request.address
        if address is None:
            return LeaseDropReason.MISFORMED_REQUEST
        if request.kind is LeaseRequestKind.RENEWING:
            # A client behind a relay renews by unicast: its address shows its network, not our interface.
            networks = [*networks, *self._known_networks]
        elif not networks:
            return LeaseDropReason.OTHER_NETWORK
        elif not is_address_in(networks, address):
            return LeaseRefused(WRONG_NETWORK)
        right = client.address or self._held.address_on_record(client.key)
        if right is None:
            return LeaseDropReason.NOTHING_ON_RECORD
        if address != right or not self._may_have(client, address) or not is_address_in(networks, address):
            return LeaseRefused(WRONG_ADDRESS)
        is_elsewhere = request.relay is not None or not is_address_in(case.networks, address)
        return self._confirm_right(replace(case, networks=networks), address, is_elsewhere=is_elsewhere)

    def _confirm_right(self, case: _Case, address: IPv4Address, *, is_elsewhere: bool) -> LeaseVerdict:
        """Let a client keep its own address, unless another holds it."""
        client, holding = case.client, self._held.in_force(address, case.at)
        is_own = holding is not None and holding.client == client.key
        if is_own and holding is not None and holding.held is Held.PROBED:
            return LeaseDropReason.ADDRESS_PROBED
        if holding is None or is_own or self._goes_back_to(case, address, holding):
            return self._grant(case, address)
        has_moved = client.has_by_another_card(holding) and holding.held is Held.BOUND
        if address != client.address or (has_moved and case.request.kind is not LeaseRequestKind.INIT_REBOOT):
            return LeaseRefused(WRONG_ADDRESS)  # it uses the address of its other card and must stop
        if client.may_take_over(holding, case.at):
            return self._to_probe(case, address, is_relayed=is_elsewhere)
        return client.refused_by(holding)

    def _decline(self, case: _Case) -> LeaseVerdict:
        address, at = case.request.address, case.at
        holding = self._held.in_force(address, at) if address is not None else None
        if address is None or holding is None or holding.client != case.client.key or holding.held is Held.PROBED:
            return LeaseDropReason.NOT_ITS_ADDRESS
        closed = self._closed(address, holding, LeaseState.DECLINED, at)
        self._held.hold(address, "", None, Held.RESTING, at.monotonic_s + REST_S)
        return closed

    def _release(self, case: _Case) -> LeaseVerdict:
        address, at = case.request.address, case.at
        holding = self._held.in_force(address, at) if address is not None else None
        if address is None or holding is None or holding.client != case.client.key or holding.held is not Held.BOUND:
            return LeaseDropReason.NOT_ITS_ADDRESS
        holding.held, holding.until_s = Held.ENDED, at.monotonic_s
        return self._closed(address, holding, LeaseState.RELEASED, at)

    def _inform(self, case: _Case) -> LeaseVerdict:
        address, networks = case.request.address, [*case.networks, *self._known_networks]
        if address is None:
            return LeaseDropReason.MISFORMED_REQUEST
        if not is_address_in(networks, address):
            return LeaseDropReason.OTHER_NETWORK
        terms = self._terms(replace(case, networks=networks), address)
        return LeaseInformed(replace(terms, address=None))

    # Clients and addresses

    def _client(self, request: LeaseRequest, at: Moment) -> LeaseClient:
        mac = request.mac
        host = self.host_of(mac)
        if host is not None and mac is not None:
            declared = host.network.boot_address
            return LeaseClient(mac, mac, host, declared and declared.ip)
        # Machines made from one image may send the same option 61: the second one is identified by its MAC too.
        alone, by_mac_too = request.client_id, f"{request.client_id}@{mac}"
        address = self._held.address_of(alone)
        holding = self._held.in_force(address, at) if address is not None else None
        is_shared = holding is not None and holding.mac != mac
        if mac is not None and (is_shared or self._held.address_of(by_mac_too) is not None):
            return LeaseClient(by_mac_too, mac, None, None)
        return LeaseClient(alone, mac, None, None)

    def _from_pool(self, case: _Case) -> IPv4Address | LeaseDropReason:
        """Find the address that the client had, else the one that it requests, else the one unused for longest."""
        client, request, at = case.client, case.request, case.at
        here = self._pool_of(tuple(case.networks), frozenset(case.ours))
        if not here:
            return LeaseDropReason.NO_ADDRESS_FOR_CLIENT
        for preferred in (self._held.address_of(client.key), request.address):
            if preferred is not None and preferred in here and preferred != request.relay:
                holding = self._held.in_force(preferred, at)
                if holding is None or holding.client == client.key:
                    return preferred
        free = [each for each in here if each != request.relay and self._held.in_force(each, at) is None]
        return min(free, key=self._held.last_used_s) if free else LeaseDropReason.POOL_EXHAUSTED

    def _pool_of(self, networks: tuple[IPv4Network, ...], ours: frozenset[IPv4Address]) -> Mapping[IPv4Address, None]:
        """List the pool's addresses for unregistered machines in these networks; cached until the hosts change."""
        if (networks, ours) not in self._pools:
            if len(self._pools) >= POOLS_KEPT:
                self._pools.clear()
            routers = {self._policy.router, *(each.router for each in self._policy.pool)}
            taken = self._reserved | ours | routers | {*self._policy.nameservers}
            pools = [
                each
                for each in self._policy.pool
                if each.network is None or any(each.network.overlaps(network) for network in networks)
            ]
            everything = (address for each in pools for address in each)
            here = (each for each in everything if each not in taken and is_address_in(networks, each))
            self._pools[networks, ours] = dict.fromkeys(here)
        return self._pools[networks, ours]

    def _may_have(self, client: LeaseClient, address: IPv4Address) -> bool:
        """Return whether the registry and the pool allow this client the address."""
        if client.address is not None:
            return address == client.address
        return address not in self._reserved and any(address in each for each in self._policy.pool)

    def _grant(self, case: _Case, address: IPv4Address) -> LeaseGranted:
        client, at = case.client, case.at
        before = self._held.in_force(address, at)
        is_new = before is None or before.held is not Held.BOUND
        until_s = at.monotonic_s + self._policy.lease_s
        holding = self._held.hold(address, client.key, client.mac, Held.BOUND, until_s)
        holding.settles_until_s = at.monotonic_s + GRANT_SETTLES_S
        lease = self._record(address, holding, LeaseState.BOUND, at)
        return LeaseGranted(self._terms(case, address), lease, is_new, self._held.stored.get(address))

    def _closed(self, address: IPv4Address, holding: Holding, state: LeaseState, at: Moment) -> LeaseClosed:
        return LeaseClosed(self._record(address, holding, state, at), self._held.stored.get(address))

    def _record(self, address: IPv4Address, holding: Holding, state: LeaseState, at: Moment) -> Lease:
        lasts_s = self._policy.lease_s if state is LeaseState.BOUND else 0
        ends_at = at.utc + timedelta(seconds=lasts_s)
        return Lease(address, holding.client, holding.mac, state, self._policy.lease_s, ends_at)

    def _terms(self, case: _Case, address: IPv4Address) -> LeaseTerms:
        host = case.client.host
        network_of_host = host.network if host is not None else BY_DHCP
        declared = network_of_host.boot_address
        pool = next((each for each in self._policy.pool if each.network is not None and address in each), None)
        router: IPv4Address | None = None
        nameservers: tuple[IPv4Address, ...] = ()
        if declared is not None and address in declared.network:
            network, router = declared.network, network_of_host.gateway
            nameservers = tuple(each for each in network_of_host.nameservers if isinstance(each, IPv4Address))
        elif pool is not None and pool.network is not None:
            network, router = pool.network, pool.router
        else:
            network = next(each for each in case.networks if address in each)
        if router is None and self._policy.router is not None and self._policy.router in network:
            router = self._policy.router
        return LeaseTerms(
            network=network,
            address=address,
            lease_s=self._policy.lease_s,
            router=router,
            nameservers=nameservers or self._policy.nameservers,
            host_name=host.system_name if host is not None else None,
            domain=self._policy.domain,
            ntp_servers=(host.ntp_addresses if host else ()) or self._policy.ntp_servers,
        )
