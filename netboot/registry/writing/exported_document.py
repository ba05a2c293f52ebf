"""Joins all hosts files to one document that can be read in any place: paths of files are absolute."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from netboot.errors import ConfigError, UnknownHostError
from netboot.model.access.secret_file import PREFIX
from netboot.model.bmc.bmc import BmcCertificate
from netboot.registry.host_files import SECTIONS
from netboot.registry.host_sections import HostsDocument
from netboot.registry.load import read_declared
from netboot.registry.sections.bmc_section import read_certificate
from netboot.yamlfile.faults import Faults, beside, did_you_mean
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table
from netboot.yamlfile.plain_values import PlainValue, plain_value
from netboot.yamlfile.sections import Section, read_section

Document = dict[str, Any]


def exported_document(config: Path, names: Sequence[str] = ()) -> Document:
    """Return what the files declare, in the order of the documentation; with `names` only these of the hosts.

    Raises ConfigError with every fault of a file or value, UnknownHostError.
    """
    faults = Faults()
    found = read_declared(config, faults)
    read_section(HostsDocument, found.declared.tree, faults)
    if faults:
        raise ConfigError(faults.problems)
    sections = _exported(found.declared.tree, HostsDocument)
    assert isinstance(sections, Mapping)
    document: Document = {name: sections[name] for name in SECTIONS if sections.get(name)}
    if names:
        _select(document, names)
    return document


def _select(document: Document, names: Sequence[str]) -> None:
    hosts = document.get("hosts", {})
    for name in names:
        if name not in hosts:
            raise UnknownHostError(f"no host is called {name}; {did_you_mean(name, hosts)}")
    document["hosts"] = {name: values for name, values in hosts.items() if name in names}
    if document.get("cluster", {}).get("init") not in (None, *names):
        document["cluster"] = {key: value for key, value in document["cluster"].items() if key != "init"}


def _exported(node: Node, kind: Any) -> PlainValue:
    """Return the value of a node, which the files declare as one of this type."""
    match node:
        case Scalar(is_null=True):
            return None
        case Scalar():
            return _exported_scalar(node, kind)
        case Listing(items=items):
            return [_exported(item, _item_kind(kind)) for item in items]
        case Table(entries=entries):
            return {name: _exported(entry.value, _value_kind(kind, name)) for name, entry in entries.items()}


def _exported_scalar(scalar: Scalar, kind: Any) -> PlainValue:
    kind = _bare(kind)
    if _is_section(kind):  # the abbreviation of a table
        table = kind.table_of(scalar)
        kind = _bare(_value_kind(kind, next(iter(table)))) if isinstance(table, Mapping) else str
    is_path = kind is Path and not scalar.text.startswith(PREFIX)
    if is_path or (kind is BmcCertificate and read_certificate(scalar).ca_file is not None):
        return str(beside(Path(scalar.text), scalar.place.file))
    number = scalar.as_integer()
    if kind is int and number is not None:  # as 0x1f, which is a text otherwise
        return number
    return scalar.as_boolean() if kind is bool else plain_value(scalar)


def _item_kind(kind: Any) -> Any:
    kind = _bare(kind)
    return get_args(kind)[0] if get_origin(kind) is tuple else None


def _value_kind(kind: Any, name: str) -> Any:
    kind = _bare(kind)
    if _is_section(kind):
        return next(
            (field.annotation for key, field in kind.model_fields.items() if name == (field.alias or key)), None
        )
    return get_args(kind)[1] if get_origin(kind) is Mapping else None


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _bare(kind: Any) -> Any:
    """Remove `| None` and the reader of a value from its type."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(each for each in get_args(kind) if each is not NoneType)
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
