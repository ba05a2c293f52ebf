"""A declared BMC, and what one was found to do."""

from netboot.model.bmc.bmc import Bmc, BmcCertificate, BmcTrust
from netboot.model.bmc.probe import Ability, Probe, ProbedAbility, Works


def test_the_scheme_shows_whether_a_password_is_sent_in_clear():
    assert Bmc("https://192.0.2.201").is_encrypted
    assert not Bmc("http://192.0.2.201").is_encrypted


def test_a_certificate_is_verified_unless_it_is_declared_otherwise():
    assert Bmc("https://192.0.2.201").certificate == BmcCertificate(BmcTrust.SYSTEM, None, "")


def test_a_table_has_a_row_per_ability():
    row = ProbedAbility(Ability.PXE_ONCE, Works.OFFERED, "Pxe")
    probe = Probe("https://192.0.2.201", "V", "M", "1", "2", "1.11.0", "", ("standard",), (row,))

    assert [(each.ability.value, each.works.value) for each in probe.abilities] == [("pxe-once", "offered")]
