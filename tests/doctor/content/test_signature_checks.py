"""Signatures: what firmware with Secure Boot refuses, and what a shim refuses."""

import pytest
from doctor.content.conftest import SIGNED_GRUB, SIGNED_SHIM, VENDOR, Appliance
from fixtures import signed_loaders as made

from netboot.doctor.doctor_finding import Level

W1 = "52:54:00:12:34:56"
UNREGISTERED = "52:54:00:00:00:77"
TEST_KEY = made.authority("Debian UEFI Secure Boot (PkKek-1-snakeoil)")


def test_a_shim_with_its_grub_is_healthy(appliance: Appliance):
    appliance.add_machine(W1, secure_boot=True)
    appliance.with_shim()

    assert appliance.findings() == []


def test_a_machine_with_secure_boot_refuses_an_unsigned_loader(appliance: Appliance):
    appliance.add_machine(W1, secure_boot=True)

    found = appliance.finding("content.secure_boot")

    assert found.level is Level.PROBLEM
    assert found.sentence.startswith(
        f"w1 ({W1}) boot with Secure Boot and are offered snponly.efi, which is not signed"
    )
    assert found.evidence == (f"{appliance.boot}/snponly.efi: not signed",)
    assert "set hosts.w1.loader to a shim" in (found.cure or "")
    assert "shim-signed and grub-efi-amd64-signed" in (found.cure or "")
    appliance.with_shim()
    assert appliance.findings() == []


def test_an_unregistered_machine_with_secure_boot_is_a_warning(appliance: Appliance):
    appliance.add_machine(UNREGISTERED, secure_boot=True)

    assert appliance.finding("content.secure_boot").level is Level.WARNING


def test_what_machines_were_seen_may_be_unknown(appliance: Appliance):
    appliance.machines = None

    assert "content.secure_boot" in appliance.report().not_checked


def test_a_test_key_is_named(appliance: Appliance):
    (appliance.boot / "snponly.efi").write_bytes(made.ipxe(signers=[TEST_KEY]))

    found = appliance.finding("content.signatures")

    assert found.level is Level.WARNING
    assert "signed with a test key (Debian UEFI Secure Boot (PkKek-1-snakeoil))" in found.sentence


def test_a_file_that_was_changed_after_it_was_signed(appliance: Appliance):
    content = bytearray(made.ipxe(signers=[made.microsoft(2011), made.microsoft(2023)]))
    content[0x480] ^= 1
    (appliance.boot / "snponly.efi").write_bytes(content)

    assert "was changed after Windows UEFI Driver Publisher 2011 signed it" in (
        appliance.finding("content.signatures").sentence
    )


def test_a_signature_that_cannot_be_read(appliance: Appliance):
    content = made.ipxe(signers=[made.microsoft(2011), made.microsoft(2023)])
    at = content.rindex(b"Driver Publisher 2023")
    (appliance.boot / "snponly.efi").write_bytes(content[: at - 100] + bytes(100) + content[at:])

    assert "has 1 of 2 signatures that cannot be read" in appliance.finding("content.signatures").sentence


@pytest.mark.parametrize(("year", "sentence"), [(2011, "machines that were built with"), (2023, "machines whose firm")])
def test_a_shim_of_one_certificate_starts_on_some_machines_only(appliance: Appliance, year: int, sentence: str):
    appliance.with_shim(made.shim(VENDOR, signers=[made.microsoft(year)]))

    found = appliance.finding("content.certificates")

    assert (found.level, sentence in found.sentence) == (Level.WARNING, True)
    appliance.with_shim(SIGNED_SHIM)
    assert appliance.findings() == []


def test_a_shim_without_its_second_stage(appliance: Appliance):
    appliance.with_shim(second=None)

    found = appliance.finding("content.second_stage")

    assert found.level is Level.PROBLEM
    assert found.sentence == "shimx64.efi requests grubx64.efi beside itself, and there is none"
    (appliance.boot / "grubnetx64.efi.signed").write_bytes(SIGNED_GRUB)  # as Debian calls it
    assert appliance.findings() == []


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (made.grub(), "it is not signed"),
        (made.grub(signers=[made.authority("Another Signer", made.authority("Another CA"))]), "does not trust Another"),
        (made.grub(generation=None, signers=[made.authority("Vendor Signer", VENDOR)]), "it has no SBAT section"),
        (made.grub(generation=4, signers=[made.authority("Vendor Signer", VENDOR)]), "grub 4, at least 5 is needed"),
    ],
)
def test_a_shim_refuses_its_second_stage(appliance: Appliance, second: bytes, what: str):
    appliance.with_shim(second=second)

    found = appliance.finding("content.second_stage")

    assert (found.level, what in found.sentence) == (Level.WARNING, True)
    assert "the shim trusts CN=Vendor CA" in found.evidence
    appliance.add_machine(W1, secure_boot=True)
    assert appliance.finding("content.second_stage").level is Level.PROBLEM


def test_a_second_stage_for_another_cpu_is_not_found(appliance: Appliance):
    appliance.with_shim(second=made.grub("arm64", signers=[made.authority("Vendor Signer", VENDOR)]))

    assert {each.check for each in appliance.findings()} == {"content.second_stage", "content.loader_files"}


def test_a_shim_of_ipxe_starts_the_ipxe_beside_it(appliance: Appliance):
    appliance.with_shim(second=None)
    (appliance.boot / "snponly-shimx64.efi").write_bytes(made.shim(VENDOR, signers=[made.microsoft(2011)]))
    hosts = appliance.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("loader: shimx64.efi", "loader: snponly-shimx64.efi"))

    found = appliance.finding("content.second_stage")

    assert found.sentence.startswith("snponly-shimx64.efi starts snponly.efi, and with Secure Boot refuses it")
