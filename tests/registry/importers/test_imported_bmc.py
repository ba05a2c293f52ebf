"""Which addresses of BMCs become the key `bmc`; no note shows a foreign text."""

import pytest
from fixtures.inventories import read

from netboot.model.host.host import Role
from netboot.yamlfile.plain_values import plain_value

HOST = """\
apiVersion: metal3.io/v1alpha1
kind: BareMetalHost
metadata: {{name: w1}}
spec: {{bootMACAddress: "52:54:00:aa:bb:07", bmc: {bmc}}}
"""
CREDENTIALS = "user and password of its BMC are not taken over: verify its url, then netboot bmc credentials w1"
NOT_REDFISH = "BMC not taken over: its address is not of Redfish"
NO_PATH = "BMC not taken over: the path in its address is not of Redfish"


@pytest.mark.parametrize(
    ("bmc", "expected", "note"),
    [
        ("{address: redfish://192.0.2.7}", "https://192.0.2.7", CREDENTIALS),
        ("{address: redfish://192.0.2.7/redfish/v1/}", "https://192.0.2.7", CREDENTIALS),
        ("{address: 'redfish:192.0.2.7'}", "https://192.0.2.7", CREDENTIALS),
        ("{address: redfish+http://bmc7:8000}", "http://bmc7:8000", CREDENTIALS),
        ("{address: ilo5-virtualmedia://192.0.2.7}", "https://192.0.2.7", CREDENTIALS),
        ("{address: 'redfish-uefihttp+https://[fd00::7]:8443'}", "https://[fd00::7]:8443", CREDENTIALS),
        (
            "{address: idrac-redfish://192.0.2.7/redfish/v1/Systems/System.Embedded.1}",
            {"url": "https://192.0.2.7", "system": "/redfish/v1/Systems/System.Embedded.1"},
            CREDENTIALS,
        ),
        (
            "{address: redfish://192.0.2.7, disableCertificateVerification: true}",
            {"url": "https://192.0.2.7", "certificate": "none"},
            CREDENTIALS,
        ),
        ("{address: redfish://192.0.2.7, disableCertificateVerification: no}", "https://192.0.2.7", CREDENTIALS),
        ("{address: redfish://192.0.2.7/foo}", None, NO_PATH),
        ("{address: redfish://root:s3cret@192.0.2.7}", None, NOT_REDFISH),
        ("{address: redfish://192.0.2.7?s3cret}", None, NOT_REDFISH),
        ("{address: redfish://192.0.2.7:99999}", None, NOT_REDFISH),
        ("{address: ipmi://192.0.2.7}", None, NOT_REDFISH),
        ("{address: 192.0.2.7}", None, NOT_REDFISH),
        ("{address: ''}", None, "BMC not taken over: it has no address"),
        ("{}", None, "BMC not taken over: it has no address"),
    ],
)
def test_an_address_of_redfish_becomes_the_key(bmc: str, expected: object, note: str):
    imported, faults = read(HOST.format(bmc=bmc), role=Role.WORKER)

    [host] = imported.hosts
    assert faults == []
    assert (None if host.bmc is None else plain_value(host.bmc)) == expected
    assert [each for each in host.notes if "BMC" in each] == [note]
    assert not any("s3cret" in each for each in host.notes)
