"""How many logins are tried: of an address, for a user, in all."""

from netboot.operate.access.login_limits import IN_ALL, KEPT, KEPT_PAIRS, OF_ADDRESS, OF_USER, LoginLimits

ATTACKER, OTHER = "192.0.2.66", "192.0.2.7"


def tried(limits: LoginLimits, address: str, user: str, count: int, now_s: float = 0.0) -> int:
    """Try logins; return how many are admitted."""
    return sum(not limits.wait_s(address, user, now_s) for _ in range(count))


def test_an_address_has_a_few_attempts_and_then_one_in_some_seconds():
    limits = LoginLimits()

    assert tried(limits, ATTACKER, "alice", 1000) == OF_ADDRESS.most
    assert limits.wait_s(ATTACKER, "alice", 1.0) == OF_ADDRESS.every_s - 1
    assert tried(limits, ATTACKER, "alice", 1000, OF_ADDRESS.every_s) == 1
    assert tried(limits, ATTACKER, "alice", 1000, 10_000.0) == OF_ADDRESS.most


def test_a_flood_from_one_address_leaves_the_user_attempts_from_another():
    limits = LoginLimits()
    tried(limits, ATTACKER, "alice", 1000)

    assert limits.wait_s(OTHER, "alice", 0.0) == 0


def test_attempts_for_one_user_and_in_all_are_limited_whatever_their_addresses():
    limits = LoginLimits()

    of_user = sum(tried(limits, f"192.0.2.{each}", "alice", 1) for each in range(100))
    of_others = sum(tried(limits, f"198.51.100.{each}", f"user{each}", 1) for each in range(100))

    assert of_user == OF_USER.most
    assert of_user + of_others == IN_ALL.most


def test_who_logged_in_from_an_address_before_is_not_locked_out_by_others():
    limits = LoginLimits()
    assert limits.wait_s(OTHER, "alice", 0.0) == 0
    limits.note_success(OTHER, "alice")
    for each in range(100):
        tried(limits, f"198.51.100.{each}", "alice", 10)

    assert limits.wait_s("192.0.2.8", "alice", 0.0) > 0
    assert tried(limits, OTHER, "alice", 1000) == OF_ADDRESS.most


def test_the_addresses_of_one_ipv6_network_are_one_client():
    limits = LoginLimits()

    assert sum(tried(limits, f"2001:db8::{each:x}", "alice", 1) for each in range(1, 1000)) == OF_ADDRESS.most
    assert limits.wait_s("2001:db8:0:1::1", "alice", 0.0) == 0
    assert tried(limits, "::ffff:192.0.2.1", "bob", 1) == tried(limits, "fe80::1%eth0", "bob", 1) == 1
    assert tried(limits, "", "carol", 1) == 1


def test_time_that_is_set_back_gives_no_attempt():
    limits = LoginLimits()
    tried(limits, ATTACKER, "alice", 1000, 100.0)

    assert tried(limits, ATTACKER, "alice", 1000, 0.0) == 0


def test_the_memory_of_a_flood_is_bounded():
    limits = LoginLimits()
    for each in range(2 * KEPT):
        limits.wait_s(f"10.0.{each >> 8}.{each & 255}", f"user{each}", 0.0)
        limits.note_success(f"10.0.{each >> 8}.{each & 255}", f"user{each}")

    assert (len(limits._addresses) <= KEPT, len(limits._users) <= KEPT, len(limits._pairs)) == (True, True, KEPT_PAIRS)
