"""Any configuration there can be, for hypothesis: from the tables the command line reads by."""

from __future__ import annotations

import string
from dataclasses import fields

from hypothesis import strategies as st

from vswitch import config as switchconfig
from vswitch import vlanwords
from vswitch.config import StationConfig, SwitchConfig
from vswitch.errors import ConfigError
from vswitch.options import ID_MAX, Number, Option, Permissions
from vswitch.portconfig import KINDS, LISTENERS, LISTS, OPTIONS, VLAN_OPTIONS, Kind, PortConfig
from vswitch.tomltext import FORMS
from vswitch.vlans import ACCEPT, ALL, VidSet

# Few often, so that two ports want the same.
FEW = 4
MACS = st.integers(1, FEW).map(lambda n: bytes([2, 0, 0, 0, 0, n])) | st.binary(
    min_size=6, max_size=6
).filter(lambda m: any(m) and not m[0] & 1)
NAMES = st.sampled_from("abcd") | st.text(
    string.ascii_letters + string.digits + "_", min_size=1, max_size=15
)
PATHS = st.integers(1, FEW).map(lambda n: f"/{n}/x") | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20
).map(lambda text: f"/{text}".rstrip("/") + "/x")
PLACES = st.integers(1, 65535).map(lambda n: f"127.0.0.1:{n}")
DEVICES = st.one_of(
    NAMES,
    st.text(min_size=1, max_size=5).filter(
        lambda n: not any(c in "/:%\0" or c.isspace() for c in n) and len(n.encode(errors="ignore"))
    ),
)
DESCRIPTORS = st.lists(st.integers(3, 1 << 20), min_size=1, max_size=3, unique=True).map(
    lambda numbers: ":".join(map(str, numbers))
)
# What stands behind "kind:"; a kind that is not here has a device.
ADDRESSES = {
    "qemu": PATHS | PLACES,
    "vhost-user": PATHS,
    "dgram": PATHS,
    "udp": PLACES,
    "pcap": PATHS,
    "record": PATHS,
    "fd": DESCRIPTORS | NAMES,
}
VIDS = st.sampled_from([1, 2, 10, 4094]) | st.integers(1, 4094)
VID_SETS = st.just(ALL) | st.lists(st.tuples(VIDS, st.integers(0, 9)), min_size=1, max_size=4).map(
    lambda rows: VidSet.of(v for low, n in rows for v in range(low, min(low + n, 4094) + 1))
)
PAIRS = st.lists(st.tuples(VIDS, VIDS), min_size=1, max_size=3).map(
    lambda pairs: ",".join(f"{wire}:{ours}" for wire, ours in pairs)
)
# What options say, by what their readers return; numbers know their range.
WORDS = {
    "bool": st.sampled_from(["on", "off"]),
    "float": st.just("max") | st.decimals("0.000001", "1000000", places=6).map(lambda d: f"{d:f}"),
    "str": PATHS | PLACES,
    "bytes": MACS.map(lambda mac: mac.hex(":")),
    "Permissions": st.integers(0, 0o777).map(lambda n: f"{Permissions(n):04o}"),
    "State": st.sampled_from(["forwarding", "blocked"]),
    "IPv4Interface | IPv6Interface": st.integers(1, 250).map(lambda n: f"10.0.0.{n}/24")
    | st.integers(1, 65535).map(lambda n: f"fd00::{n:x}/64"),
    "frozenset[int]": st.lists(st.sampled_from(["stp", "lldp", "05", "0a"])).map(",".join),
    "VidSet": VID_SETS.map(VidSet.text),
    "tuple[tuple[int, int], ...]": PAIRS,
    "PortVlans | None": st.just("access=10"),
    "tuple[str, ...]": st.lists(MACS.map(lambda mac: mac.hex(":"))).map(",".join),
}
SPECIAL = {
    "name": NAMES,
    "core": st.sampled_from(["c", "python"]),
    "loop-detect": st.sampled_from(["on", "report", "off"]),
    "native-mode": st.sampled_from(["tagged", "untagged"]),
    "accept": st.sampled_from(ACCEPT),
    "tag-type": st.sampled_from(["802.1Q", "802.1ad", "0x9100"]),
    "allow-ip": st.lists(st.sampled_from(["10.0.0.1", "fd00::1", "fe80::1"])).map(",".join),
    **dict.fromkeys(("access", "native", "pvid"), VIDS.map(str)),
    **dict.fromkeys(
        ("police", "storm-broadcast", "storm-multicast", "storm-unknown"),
        st.sampled_from(["10mbit", "64kbit", "7pps", "1kpps"]),
    ),
    "shape": st.sampled_from(["10mbit", "1gbit"]),
}
# The VLANs of a port are one thing said in several words, most of which exclude one another.
MEMBERS = (["access"], ["trunk"], ["trunk", "native"], ["trunk", "native", "native-mode"])
MEMBERS = (*MEMBERS, ["tagged"], ["pvid", "untagged"], ["pvid", "untagged", "tagged"], [])
assert set(WORDS) == set(FORMS) - {"int"}


def words(option: Option) -> st.SearchStrategy[str]:
    """Texts that the reader of *option* takes."""
    if option.returns != "int":
        return WORDS[option.returns]
    numbers = option.reader if isinstance(option.reader, Number) else Number(0, ID_MAX)
    return st.integers(numbers.low, numbers.high).map(str)


@st.composite
def _vlan_words(draw):
    """Words about VLANs, and their values; mostly such as can be said together."""
    chosen = draw(st.sampled_from(MEMBERS))
    others = ["accept", "ingress-filter", "tag-type", "translate"]
    chosen = [*chosen, *draw(st.lists(st.sampled_from(others), unique=True, max_size=2))]
    said = {
        key: draw(SPECIAL[key] if key in SPECIAL else words(VLAN_OPTIONS[key])) for key in chosen
    }
    if "pvid" in said:
        said["untagged"] += f",{said['pvid']}" if said["untagged"] != "all" else ""
    if {"tagged", "untagged"} <= said.keys():
        tagged = VidSet.parse(said["tagged"]) - VidSet.parse(said["untagged"])
        said["tagged"] = (tagged or VidSet.of([1])).text()
    if draw(st.booleans()) and "access" in said:
        said["tag"] = said.pop("access")
    try:
        vlanwords.parse("it", ",".join(f"{key}={value}" for key, value in said.items()))
    except ConfigError:  # they contradict one another; a test of that is not here
        return []
    return list(said.items())


@st.composite
def _member(draw, kinds, make):
    name = draw(st.sampled_from(sorted(kinds)))
    kind: Kind = kinds[name]
    address = draw(ADDRESSES.get(name, DEVICES))
    if kinds is LISTENERS and name == "vhost-user":
        address += "/"
    singly = [key for key in kind.options if key not in VLAN_OPTIONS]
    chosen = draw(st.lists(st.sampled_from(singly), unique=True))
    if "remote" in kind.options:
        chosen = [*{*chosen, "remote"}]
    if "name" in kind.options:
        chosen = [*{*chosen, "name"}]
    options = []
    for key in chosen:
        value = SPECIAL[key] if key in SPECIAL else words(OPTIONS[key])
        if key == "remote":
            value = ADDRESSES[name]
        many = draw(st.lists(value, min_size=1, max_size=3)) if key in LISTS else [draw(value)]
        options += [(key, one) for one in many]
    if draw(st.booleans()):
        options += draw(_vlan_words())
    kind_said = None if name == "auto" else name
    needed = [(key, value) for key, value in options if key in ("name", "remote")]
    for said in (options, needed):
        try:
            return make(kind_said, address, said, what="it")
        except ConfigError:  # two options that exclude one another, a name of 16 bytes
            pass
    return None


PORTS = _member(KINDS, PortConfig.made).filter(bool)
PLACES_TO_LISTEN = _member(LISTENERS, PortConfig.made_listener).filter(bool)


@st.composite
def configurations(draw, *, least: int = 0) -> SwitchConfig:
    """Any `SwitchConfig`, with *least* to three ports and up to two listeners."""
    switch = {}
    for key, option in switchconfig.OPTIONS.items():
        if draw(st.booleans()):
            said = SPECIAL[key] if key in SPECIAL else words(option)
            switch[option.field] = option.reader(key, draw(said))
    ports = draw(st.lists(PORTS, min_size=least, max_size=3, unique_by=lambda port: port.name))
    listeners = draw(st.lists(PLACES_TO_LISTEN, max_size=2))
    stations = []
    if ports:
        behind = st.sampled_from([port.name for port in ports])
        stations = draw(
            st.lists(st.builds(StationConfig, MACS, behind, st.just(0) | VIDS), max_size=2)
        )
    try:
        return SwitchConfig(
            stations=tuple(stations), ports=tuple(ports), listeners=tuple(listeners), **switch
        )
    except ConfigError:  # they exclude one another: without them
        return SwitchConfig(ports=(PortConfig("tap0"),) if least else ())


def fields_left_out() -> set[str]:
    """Fields of a port that no option is for."""
    return {field.name for field in fields(PortConfig)} - {
        option.field for option in OPTIONS.values()
    }
