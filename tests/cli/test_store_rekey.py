"""`netboot store rekey` prints which key seals the store now, and what is left to do."""

from fixtures.command_line import CommandLine

from netboot.store.sealing.sealing import StoreKey


def test_a_new_key_takes_the_place_of_the_old_one(netboot: CommandLine):
    netboot.printed("user", "list")  # makes the store
    key_file = netboot.directory / "store.key"
    before = StoreKey(key_file.read_bytes())

    printed = netboot.printed("store", "rekey")

    now = StoreKey(key_file.read_bytes())
    assert now != before
    assert printed == (
        f"the store is sealed with the key {now.digest} in ./store.key\n"
        "copy it to the store's other appliances, keep a copy apart from the backups, and start netboot\n"
    )


def test_what_a_lost_key_sealed_is_discarded_at_request_alone(netboot: CommandLine):
    netboot.printed("user", "list")
    key_file = netboot.directory / "store.key"
    lost = StoreKey(key_file.read_bytes()).digest
    key_file.unlink()

    refused = netboot("store", "rekey")
    changed = netboot.json("store", "rekey", "--discard")

    assert refused.exit_code == 1
    assert str(refused.exception).startswith(f"store.key_file: there is no {key_file}; the key {lost} sealed the store")
    assert changed == {
        "key_file": "./store.key",
        "digest": StoreKey(key_file.read_bytes()).digest,
        "digest_before": "",
        "discarded_count": 0,
    }
