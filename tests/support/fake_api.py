"""A running switch as its clients see it, without one: what was asked is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields

from vswitch.portsettings import DEFAULT, PortSettings

DROPS = {"runt": 0, "bad_source": 2, "rx_full": 1, "tx_full": 0, "tx_error": 4}
REASONS = [
    {"name": name, "where": "tx" if name.startswith("tx") else "rx", "text": "said why"}
    for name in DROPS
]


# As every setting is by default.
SETTINGS = {f.name: getattr(DEFAULT, f.name) for f in fields(PortSettings)}


def port(name: str, number: int, **facts: object) -> dict[str, object]:
    """An element of GET /v1/ports."""
    return {
        "name": name, "number": number, "kind": "tap", "end": "file", "driver": "tap",
        "address": "", "remote": "", "ips": [], "created": True, "state": "forwarding",
        **SETTINGS,
        "mtu": 1500, "queues": 1, "queues_used": 1, "vnet_header": True, "offloads": [],
        "stations": 1, "drops": DROPS,
        "counters": {"rx_frames": 10, "rx_bytes": 640, "tx_frames": 5, "tx_bytes": 320},
        **facts,
    }  # fmt: skip


@dataclass
class FakeApi:
    """Answers to GET from its fields, to everything else ``{}`` unless `refuse` was called."""

    name: str = "lab"
    ports: list[dict[str, object]] = field(
        default_factory=lambda: [port("tap0", 0), port("tap1", 1)]
    )
    fdb: list[dict[str, object]] = field(default_factory=list)
    mirrors: list[dict[str, object]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    changes: list[tuple[str, str, object]] = field(default_factory=list)
    refusals: dict[str, tuple[int, dict[str, object]]] = field(default_factory=dict)

    def refuse(self, method: str, code: str, sentence: str) -> None:
        """Say no to every request with *method* from now on."""
        self.refusals[method] = (409, {"error": sentence, "code": code})

    def request(
        self, method: str, target: str, content: bytes | None, headers: dict[str, str]
    ) -> None:
        self.asked.append((method, target))
        if method != "GET":
            self.changes.append((method, target, json.loads(content) if content else None))
        self._answer = self.refusals.get(method) or self._said(method, target)

    def getresponse(self) -> FakeApi:
        self.status = self._answer[0]
        return self

    def read(self) -> bytes:
        return json.dumps(self._answer[1]).encode()

    def close(self) -> None:
        pass

    def _said(self, method: str, target: str) -> tuple[int, object]:
        path, _, query = target.partition("?")
        if method == "DELETE" and path == "/v1/fdb":
            return 200, {"flushed": 3}
        if method != "GET":
            return 200, self._changed(method, path)
        named = query[5:] if query else path.removeprefix("/v1/ports/")
        known = {p["name"]: p for p in self.ports}
        if (path.startswith("/v1/ports/") or query.startswith("port=")) and named not in known:
            return 404, {"error": f"no port {named}", "code": "not-found"}
        behind = [e for e in self.fdb if not query or e["port"] == named]
        return 200, {
            "/v1/switch": self._switch(),
            "/v1/ports": self.ports,
            "/v1/listeners": [],
            "/v1/vlans": [],
            "/v1/mirrors": self.mirrors,
            "/v1/fdb": behind,
        }.get(path, known.get(named))

    def _changed(self, method: str, path: str) -> object:
        """What the API answers when something was done; what it was is in `changes`."""
        if method == "DELETE":
            return {}
        if path == "/v1/fdb":
            return {"mac": "02:00:00:00:00:01", "port": "tap0", "static": True}
        if path == "/v1/listeners":
            return {"name": "lan", "kind": "qemu", "address": "/lan", "mtu": 1500, "ports": 0}
        return self.ports[0]

    def _switch(self) -> dict[str, object]:
        return {
            "name": self.name, "version": "0.1.0", "pid": 7, "core": "c", "pollers": 1,
            "busy_poll_us": 50, "ageing_s": 300, "uptime_s": 5, "forward": ["stp"],
            "ports": len(self.ports), "drop_reasons": REASONS,
            "fdb": {
                "entries": len(self.fdb), "static": 1, "limit": 8192, "learned": 17, "moved": 1,
                "expired": 2, "refused": 3, "crowded": 1,
            },
        }  # fmt: skip
