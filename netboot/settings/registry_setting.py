"""The section `registry` of `netboot.yaml`: the registry of images with TLS."""

from typing import Annotated, Self

from pydantic import model_validator

from netboot.model.access.certificate_files import CertificateFiles, CertificateUse
from netboot.settings.setting_types import SettingSection
from netboot.yamlfile import value_kinds as values
from netboot.yamlfile.sections import described, refuse
from netboot.yamlfile.value_kinds import whole_number

TlsPort = Annotated[int, whole_number(0, 65535, "port, 1–65535, or 0 for none")]


class RegistrySettings(SettingSection):
    """The registry of images with TLS. Without it, it is at `http.port`."""

    tls_port: TlsPort = described(0, "The port on the boot LAN on which the registry has TLS.")
    certificate: values.FilePath | None = described(None, "Its certificate in PEM, with those of its chain after it.")
    key: values.SecretFile | None = described(None, "The private key of the certificate, in PEM.")

    @model_validator(mode="after")
    def _has_a_certificate(self) -> Self:
        for name, path in (("certificate", self.certificate), ("key", self.key)):
            if self.tls_port and path is None:
                cure = f"{CertificateUse.REGISTRY.issue_command} makes both files; set registry.{name}"
                raise refuse(f"TLS on port {self.tls_port} needs a certificate and its key", cure, key=name)
        return self

    @property
    def files(self) -> CertificateFiles | None:
        """The files to serve; None: there is no TLS."""
        if not self.tls_port or self.certificate is None or self.key is None:
            return None
        return CertificateFiles(self.certificate, self.key, CertificateUse.REGISTRY)
