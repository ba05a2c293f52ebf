"""An Ignition file is taken for a role only if it fits, is written whole, and its secrets last from when it came."""

import errno
import itertools
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fixtures.role_files import CERTIFICATE_KEY, IDENTITY, SAMPLES, TOKEN, altered
from fixtures.site import Site

from netboot.errors import RoleFileError
from netboot.model.host.role_ignition import RoleUse
from netboot.operate.cluster.ocne_output import WHOLE_FILE
from netboot.operate.cluster.role_file_uses import IgnitionRequest, RoleFileUses, TakenIgnition
from netboot.registry.load import read

HOSTS = """\
cluster: {init: cp1}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/cp.ign}}
  worker: {ignition: {join: ign/w.ign}}
hosts:
  cp1: {role: control-plane, mac: 52:54:00:00:00:01}
  w1: {role: worker, mac: 52:54:00:00:00:11}
"""
INIT, PLANE, WORKER = RoleUse.INIT, RoleUse.CONTROL_PLANE, RoleUse.WORKER
NAMES = {INIT: "init.ign", PLANE: "controlplane-join.ign", WORKER: "worker-join.ign"}
OTHER_CA = "ab" * 32
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Cluster:
    """The files of a site, and a clock that a test sets."""

    def __init__(self, site: Site) -> None:
        self.site, self.ign, self.at = site, site.directory / "ign", NOON
        self.ign.mkdir()
        site.write("hosts.yaml", HOSTS)
        draws = itertools.count(1)
        self.uses = RoleFileUses(
            lambda: read(Path("netboot.yaml")).hosts,
            lambda contents: read(Path("netboot.yaml"), contents=contents).faults,
            now=lambda: self.at,
            random_bytes=lambda count: next(draws).to_bytes(count, "big"),
        )

    def take(self, use: RoleUse, changes: Mapping[str, str] | None = None, **flags: bool) -> TakenIgnition:
        return self.uses.take(IgnitionRequest(use, altered(NAMES[use], changes or {}), **flags))

    def refused(self, use: RoleUse, content: bytes, **flags: bool) -> str:
        """Return why a file is not taken; nothing was written."""
        before = {path: path.read_bytes() for path in self.ign.iterdir()}
        with pytest.raises(RoleFileError) as caught:
            self.uses.take(IgnitionRequest(use, content, **flags))
        assert {path: path.read_bytes() for path in self.ign.iterdir()} == before
        return str(caught.value).replace(f"{self.site.directory}/", "")


@pytest.fixture
def cluster(site: Site) -> Cluster:
    return Cluster(site)


def test_a_file_is_taken_byte_for_byte_and_only_its_owner_reads_it(cluster: Cluster):
    content = (SAMPLES / "worker-join.ign").read_bytes()

    taken = cluster.uses.take(IgnitionRequest(WORKER, content))

    path = cluster.ign / "w.ign"
    assert path.read_bytes() == content
    assert {each.name: each.stat().st_mode & 0o777 for each in cluster.ign.iterdir()} == {
        "w.ign": 0o600,
        "w.ign.taken": 0o600,
    }
    assert (taken.file.path, taken.file.uses, taken.file.hosts) == (path, ["worker"], ["w1"])
    assert (taken.file.taken_at, taken.file.is_estimate, taken.file.problems) == (NOON, False, [])
    assert [each.at for each in taken.file.deadlines] == [NOON + timedelta(hours=24)]
    assert taken.put_aside == []


def test_the_previous_file_stays(cluster: Cluster):
    cluster.take(WORKER)
    cluster.take(WORKER, {"w0rker": "w0rke2"})

    assert (cluster.ign / "w.ign.previous").read_bytes() == altered("worker-join.ign", {})
    assert (cluster.ign / "w.ign").read_bytes() == altered("worker-join.ign", {"w0rker": "w0rke2"})


def test_a_file_that_is_set_again_leaves_the_one_before_it(cluster: Cluster):
    cluster.take(WORKER)
    cluster.take(WORKER, {"w0rker": "w0rke2"})
    cluster.take(WORKER, {"w0rker": "w0rke2"}, is_renewed=True)

    assert (cluster.ign / "w.ign.previous").read_bytes() == altered("worker-join.ign", {})


def test_what_a_killed_command_left_of_a_file_is_deleted_by_the_next_one(cluster: Cluster):
    abandoned, own, other = (cluster.ign / name for name in (f".w.ign.{'0' * 16}", f".w.ign.{'1' * 16}", ".w.ign.swp"))
    for path in (abandoned, own, other):
        path.write_text("secret")
    for path in (abandoned, other):
        os.utime(path, (0, 0))

    cluster.take(WORKER)

    assert sorted(path.name for path in cluster.ign.iterdir()) == [own.name, other.name, "w.ign", "w.ign.taken"]


def test_what_a_link_leads_to_is_neither_copied_nor_changed(cluster: Cluster):
    secret = cluster.site.directory / "secret"
    secret.write_text("of root")
    (cluster.ign / "w.ign").symlink_to(secret)

    cluster.take(WORKER)

    assert secret.read_text() == "of root"
    assert not (cluster.ign / "w.ign").is_symlink()
    assert sorted(path.name for path in cluster.ign.iterdir()) == ["w.ign", "w.ign.taken"]


def test_a_fifo_in_place_of_the_file_is_replaced(cluster: Cluster):
    os.mkfifo(cluster.ign / "w.ign")

    cluster.take(WORKER)

    assert (cluster.ign / "w.ign").read_bytes() == altered("worker-join.ign", {})


GIVE_WORKER = "give the standard output of ocne for a worker (ocne cluster join -w 1)"
NO_KUBEADM = b'{"ignition": {"version": "3.4.0"}}'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            b"",
            "FILE is empty; give what `ocne cluster start` or `ocne cluster join` printed on stdout\n"
            'a whole file is one line of JSON that begins with {"ignition" and ends with }; '
            "ocne may have written one although it exited with 1",
        ),
        (
            (SAMPLES / "worker-join.ign").read_bytes()[:1000],
            "FILE:1:1001: is not JSON (Unterminated string starting at); "
            "give what `ocne cluster start` or `ocne cluster join` printed on stdout",
        ),
        (NO_KUBEADM, f"it has no /etc/kubernetes/kubeadm.conf, so it is not a file of ocne; {GIVE_WORKER}"),
        (
            (SAMPLES / "controlplane-join.ign").read_bytes(),
            "it is for a further control plane (ocne cluster join -n 1), not for a worker (ocne cluster join -w 1); "
            f"{GIVE_WORKER}",
        ),
        (
            (SAMPLES / "init.ign").read_bytes(),
            f"it is for the first node (ocne cluster start), not for a worker (ocne cluster join -w 1); {GIVE_WORKER}",
        ),
        (b" " * (4 << 20) + b"{}", f"it is larger than 4 MiB; {GIVE_WORKER}"),
    ],
)
def test_what_is_not_a_file_for_the_role_is_refused(cluster: Cluster, content: bytes, reason: str):
    refused = cluster.refused(WORKER, content)

    head, _, found = refused.partition("worker: ")
    assert head == "cannot take the Ignition file for "
    if "Unterminated" in reason:  # where depends on the sample
        assert "is not JSON (Unterminated string starting at); give what" in found
        assert found.endswith("\n" + WHOLE_FILE)
    else:
        assert found == reason


def test_a_file_of_another_cluster_is_refused_with_both_places(cluster: Cluster):
    cluster.take(INIT)

    assert cluster.refused(WORKER, altered("worker-join.ign", {IDENTITY: OTHER_CA})) == (
        "cannot take the Ignition file for worker: hosts.yaml:4:29: roles.worker.ignition.join: ign/w.ign is of the "
        "cluster with CA abababababab, and ign/init.ign (hosts.yaml:3:36) of that with CA f72d16fe4b9b; "
        "give each role a file of one cluster, made with one byo.yaml and its kubeconfig\nnothing was changed"
    )


def test_a_new_cluster_puts_the_files_of_the_old_one_aside(cluster: Cluster):
    cluster.take(WORKER, {IDENTITY: OTHER_CA})
    content = altered("init.ign", {})

    refused = cluster.refused(INIT, content)
    taken = cluster.uses.take(IgnitionRequest(INIT, content, is_new_cluster=True))

    assert refused.endswith("nothing was changed; if a new cluster begins, add --new-cluster")
    assert taken.put_aside == [cluster.ign / "w.ign"]
    assert not (cluster.ign / "w.ign").exists()
    assert (cluster.ign / "w.ign.previous").read_bytes() == altered("worker-join.ign", {IDENTITY: OTHER_CA})


def test_the_files_of_another_cluster_are_listed_before_a_file_is_taken(cluster: Cluster):
    cluster.take(WORKER, {IDENTITY: OTHER_CA})
    request = IgnitionRequest(INIT, altered("init.ign", {}))

    assert cluster.uses.of_another_cluster(request) == [cluster.ign / "w.ign"]
    with pytest.raises(RoleFileError, match=r"^cannot take the Ignition file for init: it is for a worker"):
        cluster.uses.of_another_cluster(IgnitionRequest(INIT, altered("worker-join.ign", {})))
    cluster.uses.take(IgnitionRequest(INIT, altered("init.ign", {}), is_new_cluster=True))
    assert cluster.uses.of_another_cluster(request) == []


def test_the_files_of_the_old_cluster_stay_if_that_of_the_new_one_cannot_be_written(cluster: Cluster):
    cluster.take(WORKER, {IDENTITY: OTHER_CA})
    (cluster.ign / "init.ign.taken" / "in-the-way").mkdir(parents=True)

    with pytest.raises(RoleFileError, match=r"cannot write .*/ign/init\.ign: "):
        cluster.take(INIT, is_new_cluster=True)

    assert sorted(path.name for path in cluster.ign.iterdir()) == ["init.ign.taken", "w.ign", "w.ign.taken"]
    assert (cluster.ign / "w.ign").read_bytes() == altered("worker-join.ign", {IDENTITY: OTHER_CA})


def test_an_address_of_a_host_is_not_taken_by_the_api(cluster: Cluster):
    cluster.site.write("hosts.yaml", HOSTS.replace("00:11}", "00:11, network: {address: 192.0.2.10/24}}"))

    refused = cluster.refused(INIT, altered("init.ign", {}))

    assert "192.0.2.10 is the virtual IP of the cluster (ign/init.ign)" in refused


def test_a_role_without_a_path_has_no_place_for_a_file(cluster: Cluster):
    cluster.site.write("hosts.yaml", HOSTS.replace("  worker: {ignition: {join: ign/w.ign}}\n", ""))

    assert cluster.refused(WORKER, altered("worker-join.ign", {})) == (
        "cannot take the Ignition file for worker: the hosts files have no roles.worker.ignition.join; "
        "write its path to the hosts file, as roles.worker.ignition.join: ign/worker.ign, then netboot reload"
    )


def test_the_same_secrets_do_not_last_longer_because_their_file_is_set_again(cluster: Cluster):
    cluster.take(PLANE)
    cluster.at += timedelta(hours=1)

    taken = cluster.take(PLANE)

    assert [each.at for each in taken.file.deadlines] == [NOON + timedelta(hours=24), NOON + timedelta(hours=2)]


def test_a_certificate_key_that_has_ended_is_refused_unless_it_was_given_to_the_cluster_again(cluster: Cluster):
    cluster.take(PLANE)
    cluster.at += timedelta(hours=1)
    cluster.take(PLANE, {CERTIFICATE_KEY: "ab" * 32})  # another file came between
    cluster.at += timedelta(hours=1)

    refused = cluster.refused(PLANE, altered("controlplane-join.ign", {}))
    renewed = cluster.take(PLANE, is_renewed=True)

    assert refused == (
        "cannot take the Ignition file for control-plane: it has the certificate key that came here at "
        "2026-11-21 12:00 UTC and ended at 2026-11-21 14:00 UTC; run ocne cluster join again for a new file; "
        "if you ran the commands that it printed again for this file, add --renewed"
    )
    assert CERTIFICATE_KEY not in refused
    assert [each.at - cluster.at for each in renewed.file.deadlines] == [timedelta(hours=24), timedelta(hours=2)]


def test_the_secrets_of_a_file_that_was_copied_by_hand_count_from_then(cluster: Cluster):
    path = cluster.ign / "cp.ign"
    path.write_bytes(altered("controlplane-join.ign", {}))
    os.utime(path, (NOON.timestamp() - 3 * 3600,) * 2)

    assert "certificate key that came here at 2026-11-21 09:00 UTC" in cluster.refused(PLANE, path.read_bytes())


def test_no_secret_is_written_beside_the_file(cluster: Cluster):
    cluster.take(PLANE)

    record = json.loads((cluster.ign / "cp.ign.taken").read_text())

    assert sorted(record) == ["salt", "sha256", "since", "taken_at"]
    assert len(record["since"]) == 2
    assert all(secret not in json.dumps(record) for secret in (TOKEN, CERTIFICATE_KEY))


def test_all_files_are_listed_with_what_is_wrong(cluster: Cluster):
    cluster.take(INIT)
    cluster.take(WORKER)
    (cluster.ign / "w.ign").write_bytes(altered("worker-join.ign", {IDENTITY: OTHER_CA}))
    os.utime(cluster.ign / "w.ign", (NOON.timestamp(),) * 2)
    cluster.at += timedelta(days=2)

    init, plane, worker = cluster.uses.all()

    assert (init.uses, init.problems, init.hosts) == (["init"], worker.problems[:1], ["cp1"])
    assert (plane.uses, plane.file, plane.taken_at) == (["control-plane"], None, None)
    assert plane.problems == [f"{cluster.ign}/cp.ign cannot be read (No such file or directory)"]
    assert (worker.uses, worker.is_estimate) == (["worker"], True)
    assert [problem.partition(";")[0].replace(f"{cluster.site.directory}/", "") for problem in worker.problems] == [
        "hosts.yaml:4:29: roles.worker.ignition.join: ign/w.ign is of the cluster with CA abababababab, "
        "and ign/init.ign (hosts.yaml:3:36) of that with CA f72d16fe4b9b",
        "the bootstrap token in ign/w.ign ended at 2026-11-22 12:00 UTC, 24 h after the file was written",
    ]


def test_a_directory_that_cannot_be_written_is_named_with_the_cure(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    (cluster.ign / "w.ign.taken").mkdir()
    (cluster.ign / "w.ign.taken" / "x").write_text("")

    with pytest.raises(RoleFileError, match=r"cannot write .*/ign/w\.ign: .*; let the daemon write to .*/ign: chgrp"):
        cluster.take(WORKER)

    assert not (cluster.ign / "w.ign").exists()
    assert [path.name for path in cluster.ign.iterdir()] == ["w.ign.taken"]


@pytest.mark.parametrize(("user", "group", "mode"), [(65534, 65533, 0o600), (0, 65533, 0o640)])
def test_what_root_writes_can_be_read_by_the_daemon_whose_directory_it_is(
    cluster: Cluster, user: int, group: int, mode: int
):
    os.chown(cluster.ign, user, group)

    cluster.take(WORKER)

    status = (cluster.ign / "w.ign").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (user, group, mode)


def test_a_full_disk_has_its_own_cure_and_leaves_no_draft(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    assert cluster.refused(WORKER, altered(NAMES[WORKER], {})) == (
        "cannot take the Ignition file for worker: cannot write ign/w.ign: No space left on device; free some space"
    )


def test_a_file_that_does_not_exist_is_stated_apart_from_one_that_cannot_be_read(cluster: Cluster):
    (cluster.ign / "w.ign").mkdir()

    found = {tuple(each.uses): (each.is_missing, each.problems[0]) for each in cluster.uses.all()}

    assert found["init",] == (True, f"{cluster.ign / 'init.ign'} cannot be read (No such file or directory)")
    assert found["worker",] == (False, f"{cluster.ign / 'w.ign'} cannot be read (Is a directory)")
