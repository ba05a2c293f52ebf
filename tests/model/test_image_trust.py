"""A file of CA certificates keeps its name on the node."""

from pathlib import Path

from netboot.model.host.image_trust import CaAnchor


def test_a_file_of_ca_certificates_keeps_its_name_on_the_node():
    assert CaAnchor(Path("/etc/netboot/ca/rack one.pem"), "PEM").name == "rack one.pem"
