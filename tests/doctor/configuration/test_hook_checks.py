"""Files, commands and hosts that hooks name; every fault is really made."""

from pathlib import Path
from typing import Any

import pytest
from fixtures.certificates import make_certificate

from netboot.doctor.configuration.check_report import CheckReport
from netboot.doctor.configuration.hook_checks import check_hooks
from netboot.model.access import secret_file
from netboot.model.hook import CommandTarget, Hook, WebTarget
from netboot.model.host.host import HostName, HostSet

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def check(target: WebTarget | CommandTarget, **changes: Any) -> CheckReport:
    return check_hooks([Hook("pager", target, ("*",), **changes)], HostSet.of(None, []))


def secret_of(directory: Path, text: str = SECRET, mode: int = 0o640) -> Path:
    path = directory / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_hook_whose_files_can_be_used_has_no_finding(tmp_path: Path):
    make_certificate(tmp_path / "ca.pem")

    assert check(WebTarget("https://h/", secret_of(tmp_path), tmp_path / "ca.pem")) == CheckReport()
    assert check(CommandTarget(("/bin/true",))) == CheckReport()


def test_a_secret_that_is_missing_or_none_is_a_problem_that_does_not_show_it(tmp_path: Path):
    (missing,) = check(WebTarget("https://h/", tmp_path / "none")).problems
    (wrong,) = check(WebTarget("https://h/", secret_of(tmp_path, "hunter2"))).problems

    assert missing.startswith(f"hooks.pager: cannot read the secret {tmp_path}/none: No such file or directory; write ")
    assert wrong.startswith(
        f"hooks.pager: the secret {tmp_path}/secret has a line that is no secret of Standard Webhook"
    )
    assert "hunter2" not in wrong


def test_a_secret_that_is_a_credential_of_a_unit_that_does_not_run_is_not_checked(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr(secret_file, "OF_UNIT", tmp_path / "unit")

    assert check(WebTarget("https://h/", tmp_path / "unit" / "pager")) == CheckReport()

    (tmp_path / "unit").mkdir()
    (problem,) = check(WebTarget("https://h/", tmp_path / "unit" / "pager")).problems
    assert "add [Service] LoadCredential=pager:/etc/netboot/credentials/pager, and restart it" in problem


def test_a_secret_that_every_user_may_read_is_a_warning(tmp_path: Path):
    path = secret_of(tmp_path, mode=0o644)

    assert check(WebTarget("https://h/", path)) == CheckReport(
        warnings=[f"hooks.pager: every user may read the secret {path}; chmod o= {path}"]
    )


def test_a_request_that_anybody_could_have_sent_is_a_warning_without_the_path():
    assert check(WebTarget("http://192.0.2.9:8080/T00/XYZZY")) == CheckReport(
        warnings=[
            "hooks.pager: its requests to http://192.0.2.9:8080 are neither encrypted nor signed; "
            "use https, or set secret_file"
        ]
    )


@pytest.mark.parametrize(("text", "why"), [(None, "No such file or directory"), ("x", "it has no certificate in PEM")])
def test_a_ca_file_that_cannot_be_used_is_a_problem(tmp_path: Path, text: str | None, why: str):
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)

    assert check(WebTarget("https://h/", ca_file=path)) == CheckReport(
        [f"hooks.pager: cannot use ca_file {path}: {why}; give the CA of the web server in PEM"]
    )


def test_a_program_that_is_missing_or_not_executable_is_a_problem(tmp_path: Path):
    path = tmp_path / "notify"
    missing = check(CommandTarget((str(path),)))
    path.write_text("#!/bin/sh\n")
    closed = check(CommandTarget((str(path),)))

    assert missing == CheckReport([f"hooks.pager: there is no program {path}; correct command"])
    assert closed == CheckReport([f"hooks.pager: {path} is not executable; chmod +x {path}"])
    assert check(CommandTarget((str(tmp_path),))).problems == [
        f"hooks.pager: there is no program {tmp_path}; correct command"
    ]


def test_a_host_that_is_not_declared_is_a_warning():
    assert check(CommandTarget(("/bin/true",)), hosts=frozenset({HostName("cp9")})) == CheckReport(
        warnings=["hooks.pager: no host is called cp9; correct hosts of the hook"]
    )
