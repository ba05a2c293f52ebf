"""Merges configurations as Ignition does, to show what a machine gets from several of them. Fetches nothing.

Sources: coreos/ignition v2.16.2, `config/merge/merge.go` and `internal/exec/engine.go`.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from netboot.ignition.schema import CONFIG, Json, Kind, Many, Since

Fetch = Callable[[Json], Json | None]  # the configuration that a resource holds; None: it is fetched elsewhere


def rendered(config: Json, fetch: Fetch) -> Json:
    """Return a configuration with those that it names put over it, in their order and depth first.

    A configuration that `fetch` does not return stays named in `ignition.config`.
    """
    named = config.get("ignition", {}).get("config", {})
    replacement = named.get("replace", {})
    if replacement.get("source") is not None:
        other = fetch(replacement)
        return config if other is None else rendered(other, fetch)
    result, unfetched = _with_merge(config, []), []
    for resource in named.get("merge", []):
        child = fetch(resource)
        if child is None:
            unfetched.append(resource)
        else:
            result = merged(result, rendered(child, fetch))
    return _with_merge(result, [*result.get("ignition", {}).get("config", {}).get("merge", []), *unfetched])


def _with_merge(config: Json, resources: list[Json]) -> Json:
    head: Json = {name: value for name, value in config.get("ignition", {}).items() if name != "config"}
    return {**config, "ignition": {**head, **({"config": {"merge": resources}} if resources else {})}}


def merged(parent: Json, child: Json) -> Json:
    """Put one configuration over another: the child's values replace the parent's, lists are merged by key.

    What a child leaves out it inherits, also the `compression` and the hash of a file's contents.
    """
    return _merged_objects(parent, child, CONFIG)


def _merged_objects(parent: Json, child: Json, fields: Mapping[str, Any]) -> Json:
    result: Json = {}
    lists = {name: many for name, kind in fields.items() if isinstance(many := _plain(kind), Many)}
    holders = {  # of each key in a list of the child: two lists of one group share their keys
        (many.group or name, _key(item, many)): name for name, many in lists.items() for item in child.get(name, [])
    }
    for name, kind in fields.items():
        if name not in parent and name not in child:
            continue
        match _plain(kind):
            case Many() as many:
                group = many.group or name
                kept = [
                    item
                    for item in parent.get(name, [])
                    if many.key is None or holders.get((group, _key(item, many)), name) == name
                ]
                result[name] = _merged_lists(kept, child.get(name, []), many)
            case type():
                result[name] = child.get(name, parent.get(name))
            case inner:
                result[name] = _merged_objects(parent.get(name, {}), child.get(name, {}), inner)
    return result


def _merged_lists(parent: list[Any], child: list[Any], many: Many) -> list[Any]:
    if many.key is None and not _is_of_partitions(many):
        return [*parent, *child]
    over = {_key(item, many): item for item in child}
    result = []
    for item in parent:
        other = over.pop(_key(item, many), None)
        if other is None or not isinstance(item, dict):
            result.append(item)
        elif not (_is_of_headers(many) and "value" not in other):  # such a header is removed
            result.append(_merged_objects(item, other, cast(Mapping[str, Any], many.item)))
    return [*result, *(item for item in child if _key(item, many) in over)]


def _key(item: Any, many: Many) -> object:
    if not isinstance(item, dict):
        return item
    if _is_of_partitions(many):  # by number, else by label
        return item.get("number") or item.get("label", "")
    return item.get(many.key, "")


def _is_of_partitions(many: Many) -> bool:
    return isinstance(many.item, Mapping) and "startMiB" in many.item


def _is_of_headers(many: Many) -> bool:
    return isinstance(many.item, Mapping) and many.item.keys() == {"name", "value"}


def _plain(kind: Kind) -> Any:
    return kind.kind if isinstance(kind, Since) else kind
