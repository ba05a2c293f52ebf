"""`netboot cluster ignition`, without a daemon."""

import re
from pathlib import Path

from fixtures.command_line import CommandLine
from fixtures.role_files import IDENTITY, altered

SHOWN = """\
./ign/init.ign
  for         init
  hosts       cp1
  is          init
  cluster     CA f72d16fe4b9b
  endpoint    192.0.2.100:6443
  virtual IP  192.0.2.100
  interface   enp1s0
  written     AGO
./ign/worker-join.ign
  for         worker
  hosts       w1
  is          worker
  cluster     CA f72d16fe4b9b
  endpoint    192.0.2.100:6443
  virtual IP  –
  interface   enp1s0
  written     AGO
  deadline    bootstrap token until TIME UTC (in 23 h 59 min), counted from the file's modification time
"""


def without_times(text: str) -> str:
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", text)
    return re.sub(r"\d+ (s|min) ago", "AGO", text)


def test_the_files_are_shown_with_their_cluster_and_deadlines(netboot: CommandLine):
    found = netboot.json("cluster", "ignition", "show")

    assert without_times(netboot.printed("cluster", "ignition", "show")) == SHOWN
    assert [each["uses"] for each in found] == [["init"], ["worker"]]
    assert found[1]["file"]["authorities"] == [IDENTITY]
    assert "secrets" not in found[1]["file"]
    assert found[1]["deadlines"][0]["secret"] == "bootstrap token"


def test_a_file_is_taken_and_shown(netboot: CommandLine, tmp_path: Path):
    new = tmp_path / "w.ign"
    new.write_bytes(altered("worker-join.ign", {"192.0.2.10": "192.0.2.100", "w0rker": "w0rke2"}))

    printed = netboot.printed("cluster", "ignition", "set", "worker", str(new))

    assert without_times(printed) == (SHOWN.partition("./ign/worker")[1] + SHOWN.partition("./ign/worker")[2]).replace(
        "written     AGO", "taken       AGO"
    ).replace(", counted from the file's modification time", "")
    assert (netboot.directory / "ign" / "worker-join.ign").read_bytes() == new.read_bytes()


def test_a_refused_file_is_named_and_nothing_is_changed(netboot: CommandLine, tmp_path: Path):
    new = tmp_path / "cp.ign"
    new.write_bytes(altered("controlplane-join.ign", {}))
    before = (netboot.directory / "ign" / "worker-join.ign").read_bytes()

    refused = netboot("cluster", "ignition", "set", "worker", str(new))

    assert str(refused.exception) == (
        "cannot take the Ignition file for worker: it is for a further control plane (ocne cluster join -n 1), "
        "not for a worker (ocne cluster join -w 1); "
        "give the standard output of ocne for a worker (ocne cluster join -w 1)"
    )
    assert (netboot.directory / "ign" / "worker-join.ign").read_bytes() == before


def test_a_file_with_standard_error_is_refused_and_the_line_that_is_the_file_is_taken(
    netboot: CommandLine, tmp_path: Path
):
    whole = (netboot.directory / "ign" / "worker-join.ign").read_bytes().strip(b"\n")
    mixed, alone = tmp_path / "mixed", tmp_path / "alone"
    mixed.write_bytes(b"Run this command before booting the new node: kubeadm token create a.b\n" + whole + b"\n")
    alone.write_bytes(whole + b"\n")  # also of a command that exited with 1

    refused = netboot("cluster", "ignition", "set", "worker", str(mixed))
    netboot.printed("cluster", "ignition", "set", "worker", str(alone))

    assert str(refused.exception) == (
        "cannot take the Ignition file for worker: line 1 of FILE is what ocne printed on standard error, and line 2 "
        "the whole file; sed -n 2p FILE > NEW takes it alone"
    )
    assert (netboot.directory / "ign" / "worker-join.ign").read_bytes() == whole + b"\n"


def test_only_the_file_of_the_first_node_begins_a_new_cluster(netboot: CommandLine, tmp_path: Path):
    (tmp_path / "w.ign").write_text("{}")

    refused = netboot("cluster", "ignition", "set", "worker", "--new-cluster", str(tmp_path / "w.ign"))

    assert refused.exit_code == 2
    assert "--new-cluster is for init: a cluster begins with the file of its first node" in refused.output
