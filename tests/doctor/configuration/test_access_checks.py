"""What the daemon's user and its unit's sandbox permit; every fault is really made."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor.configuration.conftest import Write
from fixtures.files import SETTINGS

from netboot.doctor.configuration.access_checks import check_access, group_of_daemon
from netboot.doctor.configuration.check_report import CheckReport

NOBODY = pwd.getpwnam("nobody")
SHIPPED = Path(__file__).parents[3] / "systemd" / "netboot.service"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """An appliance's directory that every user may search, with a directory of units."""
    for each in (tmp_path, *list(tmp_path.parents)[:-2]):
        each.chmod(0o755)
    (tmp_path / "units").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYSTEMD_UNIT_PATH", str(tmp_path / "units"))
        yield tmp_path


def install_unit(directory: Path, user: str = "nobody", *, config: Path | None = None, more: str = "") -> None:
    text = SHIPPED.read_text().replace("User=netboot", f"User={user}")
    text = text.replace("netboot serve", f"netboot --config {config or directory / 'netboot.yaml'} serve")
    (directory / "units" / "netboot.service").write_text(text)
    if more:
        (directory / "units" / "netboot.service.d").mkdir()
        (directory / "units" / "netboot.service.d" / "50.conf").write_text(f"[Service]\n{more}\n")


def give_to_nobody(directory: Path) -> None:
    for each in (directory, directory / "content"):
        os.chown(each, NOBODY.pw_uid, -1)


def test_a_user_and_a_sandbox_that_permit_everything_have_no_finding(appliance: Write, directory: Path):
    configuration = appliance()
    install_unit(directory, more=f"ReadWritePaths={directory}")
    give_to_nobody(directory)

    assert check_access(configuration) == CheckReport()
    assert os.getresuid() == (0, 0, 0)


def test_each_file_that_the_user_may_not_read_or_write_is_a_problem_with_its_command(appliance: Write, directory: Path):
    configuration = appliance()
    install_unit(directory, more=f"ReadWritePaths={directory}")
    (directory / "hosts.yaml").chmod(0o600)
    (directory / "content" / "media").chmod(0o700)
    medium = directory / "content" / "media" / "ol8u10-x86_64"

    report = check_access(configuration)

    may_not = "nobody, the daemon's user, may not"
    (closed,) = {problem for problem in report.problems if problem.startswith(f"{medium}: ")}
    assert [problem for problem in report.problems if not problem.startswith(f"{medium}")] == [
        f"{directory}/hosts.yaml: {may_not} read it (a file of the configuration); "
        f"chgrp nobody {directory}/hosts.yaml && chmod g+r {directory}/hosts.yaml",
        f"{medium.parent}: {may_not} read it (content); chgrp nobody {medium.parent} && chmod g+rx {medium.parent}",
        f"{directory}/content: {may_not} write it, content.directory: no upload, delta or summary can be made; "
        f"chown nobody: {directory}/content",
        f"{directory}: {may_not} write it, store.url: no install can be recorded; chown nobody: {directory}",
    ]
    assert closed == (
        f"{medium}: {may_not} read it (content); chgrp nobody {medium.parent} && chmod g+rx {medium.parent}"
    )
    assert (os.getresuid(), os.getresgid()) == ((0, 0, 0), (0, 0, 0))


def test_a_directory_that_the_sandbox_makes_read_only_is_a_problem(appliance: Write, directory: Path):
    configuration = appliance()
    install_unit(directory)
    give_to_nobody(directory)

    def read_only(path: Path, consequence: str) -> str:
        return (
            f"{path} is read-only for netboot.service (ProtectSystem=strict), {consequence}; "
            f"systemctl edit netboot, add [Service] ReadWritePaths={path}, and restart"
        )

    assert check_access(configuration) == CheckReport(
        problems=[
            read_only(directory / "content", "content.directory: no upload, delta or summary can be made"),
            read_only(directory, "store.url: no install can be recorded"),
        ]
    )


def test_the_directory_of_records_is_written(appliance: Write, directory: Path):
    (directory / "records").mkdir()
    configuration = appliance("network: {interfaces: [s0]}\n")
    install_unit(directory, more=f"ReadWritePaths={directory}/content {directory}")
    give_to_nobody(directory)
    os.chown(directory / "records", 0, 0)

    assert check_access(configuration).problems == [
        f"{directory}/records: nobody, the daemon's user, may not write it, "
        f"records.directory: no log or capture of a boot can be kept; chown nobody: {directory}/records"
    ]


def test_a_unit_of_another_configuration_makes_notes(appliance: Write, directory: Path):
    configuration = appliance()
    install_unit(directory, config=Path("/etc/netboot/other.yaml"))
    give_to_nobody(directory)

    report = check_access(configuration)

    assert (report.problems, len(report.notes)) == ([], 2)


def test_a_file_in_a_home_is_hidden_from_the_daemon(appliance: Write, directory: Path):
    install_unit(directory, more=f"ReadWritePaths={directory}")
    link = directory / "templates"
    link.symlink_to("/root")
    configuration = appliance("network: {interfaces: [s0]}\nrender: {templates: [templates]}\n")
    give_to_nobody(directory)

    (problem, *_) = check_access(configuration).problems

    assert problem == (
        f"{link} (a template) lies in a home, which ProtectHome= of netboot.service hides from the daemon; "
        "put it elsewhere, as below /etc/netboot or /var/lib/netboot"
    )


def test_a_link_to_itself_ends_no_check(appliance: Write, directory: Path):
    install_unit(directory, more=f"ReadWritePaths={directory}")
    (directory / "templates").mkdir()
    (directory / "templates" / "circle").symlink_to("circle")
    configuration = appliance("network: {interfaces: [s0]}\nrender: {templates: [templates]}\n")
    give_to_nobody(directory)

    assert not [problem for problem in check_access(configuration).problems if "lies in a home" in problem]


def test_a_user_that_does_not_exist_is_a_problem_and_files_of_their_owner_alone_too(appliance: Write, directory: Path):
    configuration = appliance()
    install_unit(directory, "nosuch", more=f"ReadWritePaths={directory}")
    key = directory / "ign" / "worker-join.ign"
    key.chmod(0o600)

    report = check_access(configuration)

    assert report == CheckReport(
        problems=[
            "netboot.service runs as nosuch, and there is no such user; systemd-sysusers makes it",
            f"{key}: only its owner may read it (an Ignition file), and netboot.service runs as nosuch; "
            f"chgrp nosuch {key} && chmod g+r {key}",
        ]
    )


def test_the_daemons_own_user_checks_by_itself(appliance: Write, directory: Path):
    configuration = appliance()
    install_unit(directory, "root", more=f"ReadWritePaths={directory}")

    assert check_access(configuration) == CheckReport()


def test_another_user_than_root_cannot_check(appliance: Write, directory: Path):
    configuration = appliance()
    install_unit(directory, more=f"ReadWritePaths={directory}")
    daemon = pwd.getpwnam("daemon").pw_uid
    os.setresuid(daemon, daemon, 0)
    try:
        report = check_access(configuration)
    finally:
        os.setresuid(0, 0, 0)

    assert report == CheckReport(
        notes=["not checked: what nobody, the daemon's user, may read and write: run netboot check as root"]
    )


def test_an_empty_assignment_of_a_drop_in_resets_the_paths(appliance: Write, directory: Path):
    configuration = appliance()
    install_unit(directory, "root", more=f"ReadWritePaths={directory}\nReadWritePaths=\nProtectHome=no")

    assert len(check_access(configuration).problems) == 2


def test_without_an_installed_unit_the_shipped_one_makes_notes(appliance: Write, directory: Path):
    report = check_access(appliance())

    assert (report.problems, [note for note in report.notes if "ProtectSystem=strict" in note][:1]) == (
        [],
        [
            f"{directory}/content is read-only for netboot.service (ProtectSystem=strict), content.directory: no "
            "upload, delta or summary can be made; systemctl edit netboot, add [Service] "
            f"ReadWritePaths={directory}/content, and restart"
        ],
    )


def test_files_and_commands_of_hooks_must_be_open_to_the_daemons_user(appliance: Write, directory: Path):
    for name in ("secret", "notify"):
        (directory / name).write_text("")
        (directory / name).chmod(0o700)
    configuration = appliance(
        f"hooks: [{{name: a, url: 'https://h/', secret_file: secret, events: ['*']}}, "
        f"{{name: b, command: [{directory}/notify], events: ['*']}}]\n"
    )
    install_unit(directory, more=f"ReadWritePaths={directory}")
    give_to_nobody(directory)

    may_not = "nobody, the daemon's user, may not"
    assert check_access(configuration).problems == [
        f"{directory}/secret: {may_not} read it (a file of a hook); "
        f"chgrp nobody {directory}/secret && chmod g+r {directory}/secret",
        f"{directory}/notify: {may_not} run it (the command of a hook); "
        f"chgrp nobody {directory}/notify && chmod g+rx {directory}/notify",
    ]


def test_the_key_of_the_administration_that_root_alone_can_read_is_a_problem(appliance: Write, directory: Path):
    (directory / "server.pem").write_text("")
    (directory / "server.key").write_text("")
    tls = "tls: {certificate: server.pem, key: server.key}"
    rest = SETTINGS.partition("\n")[2].replace("listen: 127.0.0.1:8470", f"listen: 127.0.0.1:8470, {tls}")
    configuration = appliance(rest=rest)
    install_unit(directory, more=f"ReadWritePaths={directory}")
    give_to_nobody(directory)
    key = directory / "server.key"
    os.chown(key, 0, 0)
    key.chmod(0o600)

    assert check_access(configuration).problems == [
        f"{key}: nobody, the daemon's user, may not read it (a file of admin.tls); "
        f"chgrp nobody {key} && chmod g+r {key}"
    ]


def test_root_gives_files_to_the_group_of_the_units_user(directory: Path):
    install_unit(directory)
    of_nobody = group_of_daemon()
    install_unit(directory, user="no-such-user")

    assert (of_nobody, group_of_daemon()) == (NOBODY.pw_gid, None)
