"""Chooses the importer of each object, joins what the importers return, and verifies it as a hosts file is verified."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from netboot.model.host.host import Role
from netboot.registry.checks.host_checks import check_macs
from netboot.registry.checks.pool_checks import check_pools
from netboot.registry.host_files import Declared
from netboot.registry.host_layers import merge_layers
from netboot.registry.host_sections import HostsDocument
from netboot.registry.importers import icn_hosts, metal3_hosts, mosk_hosts
from netboot.registry.importers.byo_cluster import byo_cluster
from netboot.registry.importers.foreign_object import ForeignObject, objects_in
from netboot.registry.importers.format_names import ImportFormat
from netboot.registry.importers.imported import Imported
from netboot.registry.importers.olvm_pools import olvm_pools
from netboot.yamlfile.faults import Faults, Place, shown
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table
from netboot.yamlfile.sections import read_section

Importer = Callable[[Sequence[ForeignObject], Faults], Imported]

_PROVIDERS: Final = (ImportFormat.OLVM, ImportFormat.BYO)  # of `ocne`
_OTHER_FILE: Final = f"name a file of one of the formats: {', '.join(ImportFormat)}"
_FORMATS_OF_GROUPS: Final = {
    "metal3.io": ImportFormat.METAL3,
    "kaas.mirantis.com": ImportFormat.MOSK,
    "cluster.k8s.io": ImportFormat.MOSK,
    "bpa.akraino.org": ImportFormat.ICN,
}
_IMPORTERS: Final[Mapping[ImportFormat, Importer]] = {
    ImportFormat.METAL3: metal3_hosts.metal3_hosts,
    ImportFormat.MOSK: mosk_hosts.mosk_hosts,
    ImportFormat.ICN: icn_hosts.icn_hosts,
    ImportFormat.OLVM: olvm_pools,
    ImportFormat.BYO: byo_cluster,
}
_KINDS: Final = {
    ImportFormat.METAL3: metal3_hosts.KINDS,
    ImportFormat.MOSK: mosk_hosts.KINDS,
    ImportFormat.ICN: icn_hosts.KINDS,
}


def import_documents(
    documents: Sequence[Node],
    faults: Faults,
    *,
    source: str,
    wanted: ImportFormat | None = None,
    role: Role | None = None,
) -> Imported:
    """Return what all documents describe together; with `wanted` only the objects of one format.

    `role` is the role of the hosts whose file has none, `source` the file that a fault of all documents names.
    """
    objects = list(objects_in(documents, faults))
    chosen, others = _chosen(objects, wanted, faults)
    _refuse_unrecognised(others, faults)
    _refuse_second(chosen, faults)
    imported = Imported.together(_IMPORTERS[each](found, faults) for each, found in chosen.items())
    hosts = [host if host.role else replace(host, role=role) for host in imported.hosts]
    found = replace(imported, hosts=hosts, notes=[*imported.notes, *_notes_of_others(others)])
    if found.is_empty and not faults:
        what = f"has no object of {wanted}" if wanted else "has no host, cluster or address pool that can be imported"
        faults.add(Place(source), "", what=what, cure=_OTHER_FILE)
    _verify(found, faults)
    return found


def _chosen(
    objects: Sequence[ForeignObject], wanted: ImportFormat | None, faults: Faults
) -> tuple[dict[ImportFormat, list[ForeignObject]], list[ForeignObject]]:
    """Divide objects by format; the second part is those that no importer reads."""
    formats = [_format_of(each, wanted, faults) for each in objects]
    is_mosk = wanted is ImportFormat.MOSK or (wanted is None and ImportFormat.MOSK in formats)
    chosen: dict[ImportFormat, list[ForeignObject]] = {}
    others = []
    for found, its_format in zip(objects, formats, strict=True):
        if its_format is ImportFormat.METAL3 and is_mosk:
            its_format = ImportFormat.MOSK
        is_read = its_format is not None and (its_format not in _KINDS or found.kind in _KINDS[its_format])
        if its_format is not None and is_read and wanted in (None, its_format):
            chosen.setdefault(its_format, []).append(found)
        else:
            others.append(found)
    return chosen, others


def _format_of(found: ForeignObject, wanted: ImportFormat | None, faults: Faults) -> ImportFormat | None:
    if found.api_group is not None:
        return _FORMATS_OF_GROUPS.get(found.api_group)
    provider = found.text("provider")
    if provider is None and wanted in _PROVIDERS:
        return wanted
    if provider is not None and provider.text in _PROVIDERS:
        return ImportFormat(provider.text)
    if provider is not None:
        what = f"is {shown(provider.text)}, whose machines netboot does not install"
        faults.add(provider.place, "provider", what=what, cure=f"name a file of the provider {' or '.join(_PROVIDERS)}")
    return None


def _refuse_unrecognised(others: Sequence[ForeignObject], faults: Faults) -> None:
    """Refuse what is neither an object of Kubernetes nor a configuration of `ocne`; once, however many there are."""
    found = [each for each in others if each.api_group is None and each.text("provider") is None]
    if found:
        more = f"; nor have {len(found) - 1} others" if len(found) > 1 else ""
        what = f"has neither apiVersion nor provider, by which formats are recognised{more}"
        faults.add(found[0].place, "", what=what, cure=_OTHER_FILE)


def _refuse_second(chosen: Mapping[ImportFormat, Sequence[ForeignObject]], faults: Faults) -> None:
    """Refuse a second configuration of `ocne`: it is of another cluster."""
    for provider in _PROVIDERS:
        for other in chosen.get(provider, ())[1:]:
            what = f"is a second configuration of ocne ({chosen[provider][0].place})"
            faults.add(other.place, "", what=what, cure="import the files of one cluster")


def _notes_of_others(others: Sequence[ForeignObject]) -> list[str]:
    counts = Counter(each.kind or "object without kind" for each in others)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return [f"not imported: {listed}"] if listed else []


def _verify(imported: Imported, faults: Faults) -> None:
    """Verify values as those of a hosts file; each fault names the place in the imported file."""
    imported.check(faults)
    document = imported.document()
    for where, scalar in _scalars(document, ""):
        if len(scalar.text.splitlines()) > 1:
            faults.add(scalar.place, where, what="has several lines", cure="write it on one line")
    found = read_section(HostsDocument, document, faults)
    declared = Declared(document, ())
    check_pools(declared, found.address_pools, faults)
    _, hosts = merge_layers(declared, found)
    check_macs(hosts, faults)


def _scalars(node: Node, where: str) -> Iterator[tuple[str, Scalar]]:
    match node:
        case Scalar():
            yield where.removeprefix("."), node
        case Listing(items=items):
            for index, item in enumerate(items):
                yield from _scalars(item, f"{where}[{index}]")
        case Table(entries=entries):
            for name, entry in entries.items():
                yield from _scalars(entry.value, f"{where}.{name}")
