"""The network devices of this namespace, as the checks need them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from vswitch.doctor.facts import Device
from vswitch.linux import device as linux

IFF_UP, IFF_LOWER_UP = 0x1, 0x10000  # <linux/if.h>
RT_SCOPE_LINK = 253  # <linux/rtnetlink.h>


def devices() -> dict[str, Device]:
    """All there are, by name."""
    from pyroute2 import IPRoute

    with IPRoute() as ipr:
        links, addresses = list(ipr.get_links()), _addresses(ipr.get_addr())
    names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in links}
    made = [_device(link, names, tuple(addresses[link["index"]])) for link in links]
    return {device.name: device for device in made}


def _addresses(messages: Any) -> dict[int, list[str]]:
    found = defaultdict(list)
    for message in messages:
        ip = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if message["scope"] != RT_SCOPE_LINK:
            found[message["index"]].append(f"{ip}/{message['prefixlen']}")
    return found


def _device(link: Any, names: dict[int, str], addresses: tuple[str, ...]) -> Device:
    name = link.get_attr("IFLA_IFNAME")
    info = link.get_attr("IFLA_LINKINFO")
    kind = (info.get_attr("IFLA_INFO_KIND") if info else "") or ""
    data = info.get_attr("IFLA_INFO_DATA") if info else None

    def fact(key: str) -> int | None:
        value: int | None = data.get_attr(key) if data is not None else None
        return value

    stats = link.get_attr("IFLA_STATS64") or {}
    elsewhere = link.get_attr("IFLA_LINK_NETNSID") is not None
    return Device(
        name=name,
        index=link["index"],
        mac=link.get_attr("IFLA_ADDRESS") or "",
        mtu=link.get_attr("IFLA_MTU"),
        up=bool(link["flags"] & IFF_UP),
        carrier=bool(link["flags"] & IFF_LOWER_UP),
        kind=kind,
        master=names.get(link.get_attr("IFLA_MASTER"), ""),
        below=0 if elsewhere else link.get("IFLA_LINK") or 0,
        addresses=addresses,
        wireless=linux.is_wireless(name),
        txqueuelen=link.get_attr("IFLA_TXQLEN") or 0,
        tx_dropped=stats.get("tx_dropped", 0),
        stp=kind == "bridge" and bool(fact("IFLA_BR_STP_STATE")),
        persistent=kind == "tun" and bool(fact("IFLA_TUN_PERSIST")),
        owner=fact("IFLA_TUN_OWNER") if kind == "tun" else None,
    )
