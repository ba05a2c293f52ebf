"""Why a boot does not proceed: the situation of a host, the rules, and the cause that they find. Pure."""
