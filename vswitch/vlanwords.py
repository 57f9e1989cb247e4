"""How the VLANs of a port are said, on the command line and in a configuration file.

    access=10                        one VLAN, without tags
    trunk=10,20-29                   tags only; "trunk=all" are 1 to 4094, "trunk=none" none
    trunk=10,20-29,native=1          and untagged frames are of VLAN 1, there and back
    trunk=10,20,native=1,native-mode=tagged      ... which leave with a tag
    pvid=1,untagged=1,30,tagged=10   any mixture

and to each of them::

    accept=all|tagged|untagged       frames that may enter (IEEE 802.1Q-2018 6.9.1)
    ingress-filter=on|off            whether frames of other VLANs may not
    tag-type=802.1Q|802.1ad|0x9100   EtherType of its tags
    translate=100:10                 VLAN 100 on the wire is VLAN 10 here

With ``access=100,tag-type=802.1ad`` a port is a customer's (802.1Q-2018 clause 15): his own tags
are payload. ``tag``, ``trunks`` are Open vSwitch's words for the first two, ``native_vlan`` and
``tagged_vlans`` are Faucet's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vswitch.errors import ConfigError
from vswitch.vlans import ACCEPT, ALL, C_TAG, TAG_TYPES, PortVlans, VidSet, vid_of

TYPE_MIN = 0x0600  # below are lengths (IEEE 802.3-2018 3.2.6)
# What stations say (IANA, IEEE 802 numbers): as a tag it would take bytes of theirs for a VLAN.
PAYLOADS = {0x0800: "IPv4", 0x0806: "ARP", 0x86DD: "IPv6"}
SYNONYMS = {"tag": "access", "trunks": "trunk", "native_vlan": "native", "tagged_vlans": "trunk"}
_MEMBERS = ("access", "trunk", "native", "native-mode", "pvid", "tagged", "untagged")
_HINT = "as access=10, trunk=10,20-29,native=1, or pvid=1,untagged=1,tagged=10"


def vid(what: str, value: str) -> int:
    """Read the number of a VLAN."""
    return vid_of(value, what)


def vid_set(what: str, value: str) -> VidSet:
    """Read a list of VLANs."""
    return VidSet.parse(value, what)


def one_of(*words: str) -> Callable[[str, str], str]:
    """A reader of one of *words*."""

    def read(what: str, value: str) -> str:
        if value not in words:
            raise ConfigError(f"{what} is {', '.join(words[:-1])} or {words[-1]}, not {value!r}")
        return value

    return read


def switched(what: str, value: str) -> bool:
    """Read ``on`` or ``off``."""
    return one_of("on", "off")(what, value) == "on"


def tag_type(what: str, value: str) -> int:
    """Read the EtherType of tags: a name of TAG_TYPES, or a number as 0x9100."""
    if value in TAG_TYPES:
        return TAG_TYPES[value]
    if not re.fullmatch(r"0x[0-9a-fA-F]{4}", value) or int(value, 16) < TYPE_MIN:
        raise ConfigError(
            f"{what}: not the EtherType of a tag: {value!r}",
            hint=f"{', '.join(TAG_TYPES)}, or a number as 0x9100",
        )
    if payload := PAYLOADS.get(int(value, 16)):
        raise ConfigError(
            f"{what}: {value} is the EtherType of {payload}, and of no tag",
            hint=f"{', '.join(TAG_TYPES)}, or a number as 0x9100",
        )
    return int(value, 16)


def pairs(what: str, value: str) -> tuple[tuple[int, int], ...]:
    """Read translations: ``WIRE:VLAN``, separated by commas."""
    found = []
    for part in value.split(","):
        wire, colon, ours = part.partition(":")
        if not colon:
            raise ConfigError(f"{what}: not WIRE:VLAN: {part!r}", hint="as 100:10")
        found.append((vid_of(wire, what), vid_of(ours, what)))
    return tuple(sorted(found))


READERS: Mapping[str, Callable[[str, str], Any]] = {
    "access": vid,
    "trunk": vid_set,
    "native": vid,
    "native-mode": one_of("tagged", "untagged"),
    "pvid": vid,
    "tagged": vid_set,
    "untagged": vid_set,
    "accept": one_of(*ACCEPT),
    "ingress-filter": switched,
    "tag-type": tag_type,
    "translate": pairs,
}
TEXTS: Mapping[str, str] = {
    "access": "its one VLAN, without tags",
    "trunk": "the VLANs it carries with tags, as 10,20-29, or all",
    "native": "of a trunk: the VLAN of untagged frames",
    "native-mode": "whether frames of that leave tagged or untagged",
    "pvid": "the VLAN of untagged frames that enter",
    "tagged": "VLANs that leave with a tag",
    "untagged": "VLANs that leave without",
    "accept": "frames that may enter: all, tagged, untagged",
    "ingress-filter": "off: frames of other VLANs may enter, too",
    "tag-type": "EtherType of its tags: 802.1Q, 802.1ad, 0x9100",
    "translate": "VLANs with another number on the wire, as 100:10",
}
# What may go on behind a comma: 10,20-29, or 100:10,101:11.
_CONTINUED = {"trunk", "trunks", "tagged_vlans", "tagged", "untagged", "translate"}


def split_words(options: Iterable[str]) -> list[tuple[str, str]]:
    """``key=value`` words as pairs; a list of VLANs goes on in words that are numbers only."""
    found: list[tuple[str, str]] = []
    for option in options:
        key, equals, value = option.partition("=")
        if not equals and found and found[-1][0] in _CONTINUED and re.fullmatch(r"[\d:-]+", key):
            found[-1] = (found[-1][0], f"{found[-1][1]},{key}")
        else:
            found.append((key, value))
    return found


# ---------------------------------------------------------------------- words -> facts


def parse(what: str, text: str) -> PortVlans | None:
    """Read VLANs of a port as one text, as above; nothing, or ``none``, for none.

    Raises:
        ConfigError: it cannot be; the sentence begins with *what*.
    """
    said: dict[str, Any] = {}
    for word, value in split_words(text.split(",")) if text not in ("", "none") else []:
        key = SYNONYMS.get(word, word)
        if key not in READERS:
            raise ConfigError(f"{what}: unknown option {word!r}", hint=_HINT)
        if key in said:
            raise ConfigError(f"{what}: {key} is given twice")
        said[key] = READERS[key](f"{what}: {word}", value)
    return made(what, said)


def made(what: str, said: Mapping[str, Any]) -> PortVlans | None:
    """What a port does that *said*, by keys of READERS, is of; None if nothing was said.

    Raises:
        ConfigError: one contradicts another; the sentence begins with *what*.
    """
    if not said:
        return None
    pvid, members, untagged = _members(what, said)
    vlans = PortVlans(
        pvid,
        members,
        untagged,
        accept=said.get("accept", "all"),
        ingress_filter=said.get("ingress-filter", True),
        tag_type=said.get("tag-type", C_TAG),
        translate=said.get("translate", ()),
    )
    _check_accept(what, vlans)
    _check_translation(what, vlans)
    return vlans


def _members(what: str, said: Mapping[str, Any]) -> tuple[int | None, VidSet, VidSet]:
    """PVID, members and untagged members."""
    if "access" in said:
        _exclude(
            what, said, "access", ("trunk", "native", "native-mode", "pvid", "tagged", "untagged")
        )
        only = VidSet.of([said["access"]])
        return said["access"], only, only
    if "trunk" in said:
        if "pvid" in said:
            raise ConfigError(
                f"{what}: a trunk has no pvid", hint=f"native={said['pvid']} is what it is called"
            )
        _exclude(what, said, "trunk", ("tagged", "untagged"))
        return _trunk(what, said)
    for key in ("native", "native-mode"):
        if key in said:
            raise ConfigError(
                f"{what}: {key} is of a trunk, and there is none", hint="add trunk=..."
            )
    if not {"pvid", "tagged", "untagged"} & set(said):
        plain = PortVlans()
        return plain.pvid, plain.members, plain.untagged
    return _hybrid(what, said)


def _exclude(what: str, said: Mapping[str, Any], key: str, others: Iterable[str]) -> None:
    for other in others:
        if other in said:
            raise ConfigError(f"{what}: {key} and {other} exclude one another", hint=_HINT)


def _trunk(what: str, said: Mapping[str, Any]) -> tuple[int | None, VidSet, VidSet]:
    native = said.get("native")
    if native is None:
        if "native-mode" in said:
            raise ConfigError(f"{what}: native-mode without native", hint="add native=VLAN")
        return None, said["trunk"], VidSet()
    own = VidSet.of([native])
    is_tagged = said.get("native-mode") == "tagged"
    return native, said["trunk"] | own, VidSet() if is_tagged else own


def _hybrid(what: str, said: Mapping[str, Any]) -> tuple[int | None, VidSet, VidSet]:
    tagged, untagged = said.get("tagged", VidSet()), said.get("untagged", VidSet())
    if both := tagged & untagged:
        raise ConfigError(f"{what}: VLAN {both.text()} is both in tagged and in untagged")
    pvid, members = said.get("pvid"), tagged | untagged
    if pvid is not None and pvid not in members:
        raise ConfigError(
            f"{what}: pvid {pvid} is no VLAN of the port", hint=f"add it: untagged={pvid}"
        )
    return pvid, members, untagged


def _check_accept(what: str, vlans: PortVlans) -> None:
    """Raise ConfigError when nothing could ever enter."""
    if vlans.accept == "untagged" and vlans.pvid is None:
        raise ConfigError(
            f"{what}: accept=untagged lets nothing in, since untagged frames are of no VLAN",
            hint="give it native= or pvid=",
        )
    if vlans.accept == "tagged" and vlans.members == vlans.untagged and len(vlans.members) == 1:
        raise ConfigError(
            f"{what}: accept=tagged lets nothing in that an access port should have",
            hint="leave it away, or make the port a trunk",
        )


def _check_translation(what: str, vlans: PortVlans) -> None:
    wires = [wire for wire, _ in vlans.translate]
    ours = [vid for _, vid in vlans.translate]
    for numbers, where in ((wires, "on the wire"), (ours, "here")):
        if twice := [vid for vid in numbers if numbers.count(vid) > 1]:
            raise ConfigError(f"{what}: VLAN {twice[0]} {where} is translated twice")
    for wire, vid in vlans.translate:
        if vid not in vlans.members:
            raise ConfigError(f"{what}: VLAN {vid}, which {wire} becomes, is not of the port")
        if wire in vlans.members and wire not in ours:
            raise ConfigError(
                f"{what}: VLAN {wire} of the wire becomes {vid}, so that {wire} has none",
                hint=f"take {wire} out of the port's VLANs, or translate it, too",
            )


# ---------------------------------------------------------------------- facts -> words


def words(vlans: PortVlans | None) -> dict[str, str]:
    """The shortest way to say it, as `made` reads it."""
    if vlans is None:
        return {}
    said = _said_members(vlans)
    if vlans.accept != "all":
        said["accept"] = vlans.accept
    if not vlans.ingress_filter:
        said["ingress-filter"] = "off"
    if vlans.tag_type != C_TAG or not said:
        said["tag-type"] = tag_type_name(vlans.tag_type)
    if vlans.translate:
        said["translate"] = ",".join(f"{wire}:{ours}" for wire, ours in vlans.translate)
    return said


def _said_members(vlans: PortVlans) -> dict[str, str]:
    plain, pvid = PortVlans(), vlans.pvid
    if (pvid, vlans.members, vlans.untagged) == (plain.pvid, plain.members, plain.untagged):
        return {}
    own = VidSet() if pvid is None else VidSet.of([pvid])
    if pvid is not None and vlans.members == vlans.untagged == own:
        return {"access": str(pvid)}
    if vlans.untagged in (VidSet(), own) and vlans.members & own == own:
        others = vlans.members if vlans.members == ALL else vlans.members - own
        said = {"trunk": others.text()}
        if pvid is not None:
            said["native"] = str(pvid)
        if pvid is not None and not vlans.untagged:
            said["native-mode"] = "tagged"
        return said
    tagged = vlans.members - vlans.untagged
    said = {} if pvid is None else {"pvid": str(pvid)}
    said |= {"untagged": vlans.untagged.text()} if vlans.untagged else {}
    return said | ({"tagged": tagged.text()} if tagged else {})


def mode(vlans: PortVlans | None) -> str:
    """``unaware``, ``access``, ``trunk``, ``hybrid``, or ``plain``: it has all, as they are."""
    if vlans is None:
        return "unaware"
    said = _said_members(vlans)
    if not said:
        return "plain"
    return next((word for word in ("access", "trunk") if word in said), "hybrid")


def tag_type_name(value: int) -> str:
    """The EtherType of tags, by its name if it has one."""
    names = {number: name for name, number in TAG_TYPES.items()}
    return names.get(value, f"0x{value:04x}")


def text(vlans: PortVlans | None) -> str:
    """The same as `parse` reads it; nothing for none."""
    return ",".join(f"{key}={value}" for key, value in words(vlans).items())
