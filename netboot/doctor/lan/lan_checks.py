"""The ids of the checks of the LAN, in the order of their rows in docs/doctor.md."""

from typing import Final

LINK: Final = "lan.link"
DHCP_SERVER: Final = "lan.dhcp_server"
LEASE_SERVERS: Final = "lan.lease_servers"
BOOT_FILE: Final = "lan.boot_file"
PXE_OPTION: Final = "lan.pxe_option"
PXE_SERVER: Final = "lan.pxe_server"
OWN_OFFERS: Final = "lan.own_offers"
DUPLICATE_ADDRESS: Final = "lan.duplicate_address"
RELAY: Final = "lan.relay"
SPANNING_TREE: Final = "lan.spanning_tree"
LACP: Final = "lan.lacp"
VLAN: Final = "lan.vlan"
SWITCH: Final = "lan.switch"
ROUTER_ADVERTISEMENT: Final = "lan.router_advertisement"

CHECKS: Final = (
    LINK,
    DHCP_SERVER,
    LEASE_SERVERS,
    BOOT_FILE,
    PXE_OPTION,
    PXE_SERVER,
    OWN_OFFERS,
    DUPLICATE_ADDRESS,
    RELAY,
    SPANNING_TREE,
    LACP,
    VLAN,
    SWITCH,
    ROUTER_ADVERTISEMENT,
)
