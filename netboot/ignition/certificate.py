"""Reads the public key of a certificate, by which kubeadm identifies a cluster (`caCertHashes`).

RFC 5280 §4.1; the hash is over the DER of SubjectPublicKeyInfo (kubeadm, `util/pubkeypin`). Never raises.
"""

import hashlib
import re
import ssl
from typing import Final

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_MOST_CERTIFICATES: Final = 16
_FIELDS_BEFORE_KEY: Final = 5  # serial number, signature algorithm, issuer, validity, subject


def authority_hashes(pem: bytes) -> tuple[str, ...]:
    """Return the SHA-256 of the public key of each certificate in PEM, in hex; of one that cannot be read, none."""
    texts = _PEM.findall(pem.decode("ascii", "replace"))[:_MOST_CERTIFICATES]
    keys = [key for text in texts if (key := _public_key(text)) is not None]
    return tuple(hashlib.sha256(key).hexdigest() for key in keys)


def _public_key(pem: str) -> bytes | None:
    try:
        certificate, _, _ = _element(ssl.PEM_cert_to_DER_cert(pem))
        signed, _, _ = _element(certificate)
        tag = signed[:1]
        if tag == bytes([_VERSION]):
            _, signed, _ = _element(signed, tag=_VERSION)
        for _ in range(_FIELDS_BEFORE_KEY):
            _, signed, _ = _element(signed, tag=None)
        return _element(signed)[2]
    except ValueError:
        return None


def _element(der: bytes, *, tag: int | None = _SEQUENCE) -> tuple[bytes, bytes, bytes]:
    """Return the content of the first element, the bytes after it, and the whole element; raise ValueError."""
    if len(der) < 2 or (tag is not None and der[0] != tag):
        raise ValueError("not the expected element")
    length, begin = der[1], 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(der[2:begin], "big")
    end = begin + length
    if end > len(der):
        raise ValueError("cut")
    return der[begin:end], der[end:], der[:end]
