"""Reads one value that an operator types, as a hosts file would have it."""

from netboot.errors import ConfigError
from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.plain_values import PlainValue, plain_value
from netboot.yamlfile.positions import parse


def typed_value(key: str, text: str) -> PlainValue:
    """Read a value of `key`; None if it is empty. One that begins with [ or { is YAML; raises ConfigError."""
    if not text:
        return None
    if text[0] not in "[{":
        scalar = Scalar(Place(key), text)
        return text if scalar.is_null else plain_value(scalar)
    faults = Faults()
    node = parse(text, key, faults)
    if node is None or faults:
        raise ConfigError(faults.problems)
    return plain_value(node)
