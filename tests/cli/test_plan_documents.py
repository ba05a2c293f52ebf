"""The documents of `netboot plan`: without secrets, merged as by Ignition, in files, compared with the last ones."""

import asyncio
import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fixtures.certificates import make_certificate
from fixtures.command_line import CommandLine

from netboot.errors import NetbootError, UnknownHostError
from netboot.model.clock import utc_now
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.served_document import LONGEST_TEXT, ServedDocument, ServedKind
from netboot.model.install.token import Tokens
from netboot.store.database import Database
from netboot.store.served_documents import ServedDocuments

SECRETS = {
    "/etc/kubernetes/kubeadm.conf",
    "/etc/kubernetes/pki/ca.crt",
    "/etc/kubernetes/pki/ca.key",
    "/etc/ocne/update.yaml",  # mode 0400
}
FILES = {
    "offers.txt", "script.ipxe", "script-unarmed.ipxe", "grub.cfg", "grub-unarmed.cfg", "kernel-lines.txt",
    "kickstart.ks", "ignition-wrapper.ign", "ignition-role.ign", "ignition-overlay.ign", "ignition-merged.ign",
}  # fmt: skip
TOKENS = Tokens("1" * 32, "2" * 32, "3" * 32)
CP1, MAC = HostName("cp1"), Mac("02:00:00:00:00:01")
BASE_URL = "http://127.0.0.1:8080"


def sources(config: str) -> dict[str, str]:
    return {each["path"]: each["contents"]["source"] for each in json.loads(config)["storage"]["files"]}


def planned(netboot: CommandLine, *options: str) -> dict[str, Any]:
    return dict(netboot.json("plan", "cp1", *options)["cp1"])


def serve(netboot: CommandLine, **texts: str) -> None:
    """Record documents as the daemon does when it serves them."""

    async def record() -> None:
        database = await Database.open(f"sqlite+aiosqlite:///{netboot.directory}/netboot.db")
        served = ServedDocuments(database)
        for kind, text in texts.items():
            for mark, token in zip(("KICKSTART", "IGNITION", "REPORT"), ("1", "2", "3"), strict=True):
                text = text.replace(f"{mark}-TOKEN", token * 32)
            served.keep(
                ServedDocument.of(
                    CP1, ServedKind(kind), text.encode(), tokens=TOKENS, at=utc_now(), mac=MAC, base_url=BASE_URL
                )
            )
        await database.close()

    asyncio.run(record())


def serve_what_is_planned(netboot: CommandLine) -> None:
    plan = planned(netboot, "--show-secrets")
    ignition = plan["ignition"]
    serve(
        netboot,
        script=plan["script"],
        grub=plan["grub"],
        kickstart=plan["kickstart"],
        overlay=ignition["overlay"],
        role=ignition["role"],
    )


def test_the_merged_ignition_has_the_roles_files_and_the_hosts_own_and_no_secret(netboot: CommandLine):
    plan = planned(netboot)
    role = (netboot.directory / "ign" / "init.ign").read_bytes()

    merged = sources(plan["ignition"]["merged"])
    assert merged["/etc/hostname"] == "data:,cp1%0A"
    assert merged["/etc/containers/registries.conf"].startswith("data:,unqualified")
    assert {path for path, source in merged.items() if source.startswith("hidden, ")} == {
        *SECRETS,
        "/etc/NetworkManager/system-connections/netboot.nmconnection",
        "/etc/netboot/report-ready",
    }
    hidden = sources(plan["ignition"]["role"])
    assert {path for path, source in hidden.items() if source.startswith("hidden, ")} == SECRETS
    assert plan["role_sha256"] == hashlib.sha256(role).hexdigest()
    assert "$6$" not in json.dumps(plan)


def test_a_plan_shows_the_mirrors_and_the_cas_of_a_host(netboot: CommandLine):
    certificate = make_certificate(netboot.directory / "site.pem")
    text = netboot.hosts.read_text().replace("defaults: {", "defaults: {ca_anchors: [site.pem], registries: MIRRORS, ")
    netboot.hosts.write_text(text.replace("MIRRORS", "{quay.io: [mirror.example]}"))

    merged = sources(planned(netboot)["ignition"]["merged"])

    mirrors = unquote(merged["/etc/containers/registries.conf.d/50-mirror.conf"])
    assert mirrors.endswith(
        'prefix = "quay.io"\nlocation = "quay.io"\n\n[[registry.mirror]]\nlocation = "mirror.example"\n'
    )
    assert unquote(merged["/etc/pki/ca-trust/source/anchors/site.pem"]) == f"data:,{certificate}"


def test_secrets_are_shown_only_on_request(netboot: CommandLine):
    shown = planned(netboot, "--show-secrets")["ignition"]

    assert shown["role"] == (netboot.directory / "ign" / "init.ign").read_text()
    assert sources(shown["merged"])["/etc/kubernetes/pki/ca.key"].startswith("data:")


def test_a_plan_has_the_scripts_of_both_loaders_and_the_kernel_lines(netboot: CommandLine):
    plan = planned(netboot)

    assert plan["grub"].startswith("# cp1 (control-plane): the installer.")
    assert (plan["grub_unarmed"].splitlines()[-1], "exit 1" in plan["script_unarmed"]) == ("exit 1", True)
    assert plan["kernel_lines"].keys() == {"installer", "installed"}
    assert "inst.ks=http://127.0.0.1:8080/ks/KICKSTART-TOKEN" in plan["kernel_lines"]["installer"].split()
    assert "ignition.config.url=http://127.0.0.1:8080/ign/IGNITION-TOKEN" in plan["kernel_lines"]["installed"].split()


def test_several_hosts_are_planned_in_the_order_of_the_files(netboot: CommandLine):
    assert list(netboot.json("plan", "w1", "cp1")) == ["cp1", "w1"]
    assert list(netboot.json("plan")) == ["cp1", "w1"]

    refused = netboot("plan", "cp1", "w9")

    assert isinstance(refused.exception, UnknownHostError)
    assert str(refused.exception) == "no host is called w9; netboot host list shows them"


def test_each_document_is_written_to_a_file_of_the_owner_alone(netboot: CommandLine, tmp_path: Path):
    out = tmp_path / "out"

    assert netboot.printed("plan", "--out", str(out)).splitlines() == [f"{out}/cp1", f"{out}/w1"]

    assert {path.name for path in (out / "cp1").iterdir()} == FILES
    assert {path.name for path in (out / "w1").iterdir()} == FILES
    assert {oct(path.stat().st_mode & 0o777) for path in (out, out / "cp1")} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in (out / "cp1").iterdir()} == {"0o600"}
    assert (out / "cp1" / "kickstart.ks").read_text() == planned(netboot)["kickstart"]
    assert (out / "w1" / "kickstart.ks").read_text().startswith("# cannot render kickstart for w1: ")


def test_a_second_plan_replaces_the_files_of_the_first(netboot: CommandLine, tmp_path: Path):
    out = tmp_path / "out"
    netboot.json("plan", "--out", str(out))
    netboot.hosts.write_text(netboot.hosts.read_text().replace("ata-1", "ata-2"))

    assert netboot.json("plan", "cp1", "--out", str(out)) == {"written": [str(out / "cp1")]}

    assert "ata-2" in (out / "cp1" / "kickstart.ks").read_text()


@pytest.mark.parametrize("kind", ["other files", "file", "link", "link in a plan"])
def test_what_no_plan_wrote_is_not_overwritten(netboot: CommandLine, tmp_path: Path, kind: str):
    out, other = tmp_path / "out", tmp_path / "other"
    match kind:
        case "other files":
            (out / "cp1").mkdir(parents=True)
            reason = "it has files that no plan wrote; name an empty or a new directory"
        case "file":
            out.touch()
            reason = "it is not a directory; name one"
        case "link":
            other.mkdir()
            out.symlink_to(other)
            reason = "it is not a directory; name one"
        case _:
            netboot.json("plan", "cp1", "--out", str(out))
            (out / "cp1" / "kickstart.ks").unlink()
            (out / "cp1" / "kickstart.ks").symlink_to(other)
            reason = f"{out}/cp1/kickstart.ks: Too many levels of symbolic links; name another directory"

    refused = netboot("plan", "--out", str(out))

    assert isinstance(refused.exception, NetbootError)
    assert str(refused.exception) == f"cannot write the plan to {out}: {reason}"
    assert not other.exists() or list(other.iterdir()) == []


def test_nothing_differs_from_what_was_served_a_moment_ago(netboot: CommandLine):
    serve_what_is_planned(netboot)

    assert netboot.printed("plan", "--diff") == "cp1: 5 documents as served last\nw1: nothing was served yet\n"
    found = netboot.json("plan", "cp1", "--diff")["cp1"]
    assert {each["document"] for each in found} == {"script", "grub", "kickstart", "overlay", "role"}
    assert not any(each["differs"] or each["diff"] for each in found)


def test_what_an_edit_changes_is_a_unified_diff_with_exit_code_1(netboot: CommandLine):
    serve_what_is_planned(netboot)
    netboot.hosts.write_text(
        netboot.hosts.read_text().replace("ata-1}", "ata-1, timezone: Europe/Berlin, hostname: n1}")
    )
    (netboot.directory / "ign" / "init.ign").write_bytes((netboot.directory / "ign" / "init.ign").read_bytes() + b"\n")

    printed = netboot.printed("plan", "cp1", "--diff", status=1)
    found = {each["document"]: each for each in netboot.json("plan", "cp1", "--diff", status=1)["cp1"]}

    assert {name for name, each in found.items() if each["differs"]} == {"kickstart", "overlay", "role"}
    assert [line for line in printed.splitlines() if re.match(r"[-+](?![-+])", line)] == [
        "-timezone UTC --utc",
        "+timezone Europe/Berlin --utc",
        *[line for line in printed.splitlines() if re.match(r"[-+]network", line)],
        '-            "cp1"',
        '+            "n1"',
        *[line for line in printed.splitlines() if re.match(r"[-+]sha256", line)],
    ]
    assert re.match(r"--- cp1/kickstart served 2\S+\n\+\+\+ cp1/kickstart now\n@@ ", found["kickstart"]["diff"])
    assert re.fullmatch(r"---.*\n\+\+\+.*\n@@.*\n-sha256 [0-9a-f]{64}\n\+sha256 [0-9a-f]{64}", found["role"]["diff"])


def test_a_document_that_cannot_be_rendered_now_differs(netboot: CommandLine):
    serve_what_is_planned(netboot)
    netboot.hosts.write_text(netboot.hosts.read_text().replace(", disk: /dev/disk/by-id/ata-1", ""))
    (netboot.directory / "ign" / "init.ign").unlink()

    found = {each["document"]: each["diff"] for each in netboot.json("plan", "cp1", "--diff", status=1)["cp1"]}

    assert "\n+# cannot render kickstart for cp1: " in found["kickstart"]
    assert "\n+# cannot read the Ignition of cp1: " in found["overlay"]
    assert found["role"].endswith("\n+sha256 none")


def test_of_a_very_long_text_the_digests_are_compared(netboot: CommandLine):
    serve(netboot, script="x" * (LONGEST_TEXT + 1))

    [found] = netboot.json("plan", "cp1", "--diff", status=1)["cp1"]

    assert re.search(r"\n-sha256 [0-9a-f]{64}\n\+sha256 [0-9a-f]{64}$", found["diff"])
