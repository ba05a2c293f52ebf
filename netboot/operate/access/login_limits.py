"""Limits attempts to log in: of an address, for a user, and in all. Bounded in memory; no clock, no I/O.

Each is a bucket of attempts that fills again with time. A user who logged in from an address before is limited there
by the address alone, so that the failures of others do not lock the user out.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple


class _Rate(NamedTuple):
    most: float  # attempts at once
    every_s: float  # one more


OF_ADDRESS: Final = _Rate(10, 12)
OF_USER: Final = _Rate(20, 12)
IN_ALL: Final = _Rate(30, 2)
KEPT: Final = 4096  # addresses, and names; the one that was not used for the longest time is forgotten
KEPT_PAIRS: Final = 1024  # of users and addresses that logged in

_IPV6_HOST_BITS: Final = 64


@dataclass(slots=True)
class _Bucket:
    left: float
    at_s: float

    def fill(self, rate: _Rate, now_s: float) -> None:
        self.left = min(rate.most, self.left + max(0.0, now_s - self.at_s) / rate.every_s)
        self.at_s = now_s


class LoginLimits:
    def __init__(self) -> None:
        self._addresses: OrderedDict[str, _Bucket] = OrderedDict()
        self._users: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(IN_ALL.most, 0.0)
        self._pairs: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, address: str, user: str, now_s: float) -> int:
        """Count an attempt, and return 0; or return after how many seconds it may be made."""
        network = _network(address)
        buckets = [(_bucket(self._addresses, network, OF_ADDRESS, now_s), OF_ADDRESS)]
        if (network, user) not in self._pairs:
            self._all.fill(IN_ALL, now_s)
            buckets += [(_bucket(self._users, user, OF_USER, now_s), OF_USER), (self._all, IN_ALL)]
        wait_s = max((1 - bucket.left) * rate.every_s for bucket, rate in buckets)
        if wait_s > 0:
            return math.ceil(wait_s)
        for bucket, _ in buckets:
            bucket.left -= 1
        return 0

    def note_success(self, address: str, user: str) -> None:
        """Forget the failures of an address, from which a user has logged in."""
        network = _network(address)
        self._addresses.pop(network, None)
        self._pairs[network, user] = None
        self._pairs.move_to_end((network, user))
        if len(self._pairs) > KEPT_PAIRS:
            self._pairs.popitem(last=False)


def _bucket(buckets: OrderedDict[str, _Bucket], key: str, rate: _Rate, now_s: float) -> _Bucket:
    bucket = buckets.setdefault(key, _Bucket(rate.most, now_s))
    bucket.fill(rate, now_s)
    buckets.move_to_end(key)
    if len(buckets) > KEPT:
        buckets.popitem(last=False)
    return bucket


def _network(address: str) -> str:
    """Return what one client can choose its addresses from: of IPv6 a /64."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(int(found) >> _IPV6_HOST_BITS)
    return str(found)
