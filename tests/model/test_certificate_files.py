"""Each use of a certificate has its setting, the command that issues it, and the clients that verify it."""

from netboot.model.access.certificate_files import CertificateUse


def test_a_use_of_a_certificate_has_its_setting_its_command_and_its_clients():
    assert [(use.value, use.issue_command, use.clients) for use in CertificateUse] == [
        ("admin.tls", "netboot ca issue", "browsers"),
        ("registry", "netboot ca issue --registry", "nodes"),
    ]
