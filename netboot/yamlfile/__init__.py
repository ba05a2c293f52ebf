"""YAML with positions: nodes, scalars, duplicate keys, faults with file and line."""
