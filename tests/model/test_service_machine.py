"""Any sequence of changes: the configuration says what the switch is, and makes another like it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from support.budget import examples
from vswitch import FakeClock
from vswitch.config import RESERVED, StationConfig, SwitchConfig
from vswitch.errors import VswitchError
from vswitch.portconfig import PortConfig
from vswitch.service import Service

MACS = [bytes([2, 0, 0, 0, 0, n]) for n in range(4)]
KINDS = ("record:{0}/{1}.pcap", "dgram:{0}/{1}.sock,remote={0}/vm", "vhost-user:{0}/{1}.vm",
         "qemu:{0}/peer,name={1}")  # fmt: skip
PLACES = ("qemu:{0}/{1}.sock", "vhost-user:{0}/{1}/")
OPTIONS = ("", ",learning=off", ",state=blocked", ",fdb-limit=1,mtu=9000")

names = st.sampled_from(["a", "b", "c"])
macs = st.sampled_from(MACS)
maybe = st.none() | st.booleans()


class ServiceMachine(RuleBasedStateMachine):
    @initialize(limit=st.integers(1, 4), mtu=st.none() | st.just(2000))
    def make(self, limit: int, mtu: int | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vsw"))
        self.service = _opened(SwitchConfig("lab", fdb_limit=limit, mtu=mtu))

    def teardown(self) -> None:
        if hasattr(self, "service"):
            self.service.switch.close()
            shutil.rmtree(self.folder)

    @rule(kind=st.sampled_from(KINDS), name=names, options=st.sampled_from(OPTIONS))
    def add(self, kind: str, name: str, options: str) -> None:
        port = PortConfig.parse(kind.format(self.folder, name) + options)
        with suppress(VswitchError):
            self.service.add_port(port)

    @rule(name=names)
    def remove(self, name: str) -> None:
        with suppress(VswitchError):
            self.service.remove_port(name)

    @rule(
        name=names, learning=maybe, forwarding=maybe,
        fdb_limit=st.sampled_from([None, -1, 0, 1, 5]),
        mtu=st.sampled_from([None, 1, 1500, 9000]),
    )  # fmt: skip
    def set_port(self, name: str, **given: int | None) -> None:
        with suppress(VswitchError):
            self.service.set_port(
                name, **{key: value for key, value in given.items() if value is not None}
            )

    @rule(
        ageing_s=st.sampled_from([None, -1, 0, 60]),
        forward=st.sampled_from([None, ["nix"], [], ["lldp"], ["stp", "05"]]),
    )
    def set_switch(self, ageing_s: int | None, forward: list[str] | None) -> None:
        with suppress(VswitchError):
            self.service.set_switch(ageing_s=ageing_s, forward=forward)

    @rule(place=st.sampled_from(PLACES), name=st.sampled_from(["x", "y"]))
    def listen(self, place: str, name: str) -> None:
        with suppress(VswitchError):
            self.service.listen(PortConfig.parse_listener(place.format(self.folder, name)))

    @rule(name=st.sampled_from(["x", "y"]))
    def unlisten(self, name: str) -> None:
        with suppress(VswitchError):
            self.service.unlisten(name)

    @rule(mac=macs, port=names | st.just("x-1"), move=st.booleans())
    def pin(self, mac: bytes, port: str, move: bool) -> None:
        with suppress(VswitchError):
            self.service.pin(StationConfig(mac, port), move=move)

    @rule(mac=macs)
    def unpin(self, mac: bytes) -> None:
        with suppress(VswitchError):
            self.service.unpin(mac, 0)

    @rule()
    def poll(self) -> None:
        self.service.switch.poll()

    @invariant()
    def the_configuration_says_what_the_switch_is(self) -> None:
        if not hasattr(self, "service"):
            return
        self.service.switch.poll()  # a folder's next socket
        _check(self.service)

    @rule()
    def another_is_made_of_it(self) -> None:
        config, said = self.service.config, _said(self.service)
        self.service.switch.close()

        self.service = _opened(config)

        assert _said(self.service) == said
        assert self.service.config == config


def _opened(config: SwitchConfig) -> Service:
    service = Service.made(config, clock=FakeClock(1000))
    service.open()
    service.switch.poll()
    return service


def _check(service: Service) -> None:
    switch, config = service.switch, service.config
    assert replace(config) == config  # it passes its own checks
    ports = {s.name: s for s in switch.port_statuses()}
    for port in config.ports:
        status = ports.pop(port.name)
        assert (status.learning, status.forwarding) == (port.learning, port.forwarding)
        assert (status.fdb_limit, status.mtu) == (port.fdb_limit, port.mtu or config.mtu or 1500)
    # What is left are the free sockets of folders.
    folders = {p.name for p in config.listeners if p.kind == "vhost-user"}
    assert set(ports) == {f"{name}-1" for name in folders}
    assert [(s.kind, s.name) for s in sorted(switch.listener_status(), key=_key)] == [
        (p.kind, p.name) for p in sorted(config.listeners, key=_key)
    ]
    static = {(s.mac, s.port) for s in switch.stations() if s.static and s.port not in ports}
    assert static == {(s.mac, s.port) for s in config.stations}
    assert switch.config.ageing_s == config.ageing_s
    forwarded = {n for n, verdict in switch.reserved.items() if verdict == "forward"}
    assert forwarded == config.forward <= {*RESERVED.values(), 5}


def _said(service: Service) -> object:
    """What the switch says of itself, numbers and order aside."""
    switch = service.switch
    known = {port.name for port in service.config.ports}
    return (
        sorted((s.name, s.kind, s.learning, s.forwarding, s.fdb_limit, s.mtu)
               for s in switch.port_statuses()),
        sorted((s.name, s.kind, s.address, s.mtu) for s in switch.listener_status()),
        sorted((s.mac, s.port) for s in switch.stations() if s.static and s.port in known),
        switch.reserved,
    )  # fmt: skip


def _key(place: object) -> tuple[str, str]:
    return place.kind, place.name


TestService = ServiceMachine.TestCase
TestService.settings = settings(max_examples=examples(20), stateful_step_count=40, deadline=None)
