"""The table of checks, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from vswitch.doctor import between_ports, on_host, on_ports
from vswitch.doctor.facts import Facts, SwitchFacts
from vswitch.doctor.finding import SEVERITIES, Finding, command

Check = Callable[[Facts], Iterable[Finding]]

FOR_ROOT = {"ip", "modprobe", "nsenter", "prlimit", "sysctl"}

CHECKS: tuple[Check, ...] = (
    on_host.tun_node,
    on_host.capabilities,
    on_host.dead_sockets,
    on_host.idle_taps,
    on_host.open_files,
    on_host.asynchronous_operations,
    on_host.answers,
    on_ports.holders,
    on_ports.links,
    on_ports.addresses,
    on_ports.masters,
    on_ports.bridge_hooks,
    on_ports.wireless,
    on_ports.drops,
    on_ports.tap_queues,
    between_ports.segments,  # before what a loop looks like: addresses heard everywhere
    between_ports.mtus,
    between_ports.offloads,
    between_ports.stations,
    between_ports.host_addresses,
    between_ports.moves,
    between_ports.backups,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, worst first, and how many checks that took."""

    findings: tuple[Finding, ...]
    checks: int

    @property
    def wrong(self) -> bool:
        """Whether there is something to be done."""
        return any(finding.severity != "note" for finding in self.findings)


def diagnose(facts: Facts) -> Report:
    """Make all checks."""
    found = [finding for check in CHECKS for finding in check(facts)]
    found += _not_made(facts)
    if facts.host.uid:
        found = [_as_root(finding) for finding in found]
    return Report(tuple(sorted(found, key=lambda f: SEVERITIES.index(f.severity))), len(CHECKS))


def _as_root(finding: Finding) -> Finding:
    """*finding* with a command that an ordinary user can paste."""
    if finding.fix.partition(" ")[0] not in FOR_ROOT:
        return finding
    return replace(finding, fix=f"sudo {finding.fix}")


def _not_made(facts: Facts) -> Iterator[Finding]:
    """What nobody may take for checked."""
    host = facts.host
    if not host.sees_all and any(device.kind == "tun" for device in host.devices.values()):
        text = "who holds TAPs was not checked: others' processes are not for us to see"
        fix = command("sudo", "vswitch", "doctor", *_api(facts))
        yield Finding("holders", "note", text, fix=fix)
    for switch in facts.switches:
        if not switch.silent and switch.files is None:
            text = f"the open files of {switch.name} were not checked: it is another user's"
            fix = command("sudo", "vswitch", "doctor", "--api", switch.api)
            yield Finding("limits", "note", text, switch.name, fix=fix)
        if not switch.here and any(port.end for port in switch.ports):
            yield _elsewhere(switch)
        elif not switch.silent:
            yield from _moved_devices(facts, switch)


def _elsewhere(switch: SwitchFacts) -> Finding:
    place = f"--net=/proc/{switch.pid}/ns/net"
    text = f"the devices of {switch.name} were not checked: it is in another network namespace"
    fix = command("nsenter", place, "vswitch", "doctor", "--api", switch.api)
    return Finding("devices", "note", text, switch.name, fix=fix)


def _moved_devices(facts: Facts, switch: SwitchFacts) -> Iterator[Finding]:
    """A TAP is moved into a container as a rule, so this is nothing to be warned of."""
    seen = {port.name for _, port, _ in facts.attached()}
    away = [p.name for p in switch.ports if p.end and p.state != "gone" and p.name not in seen]
    if away:
        text = f"not checked, being in other network namespaces or renamed: {', '.join(away)}"
        yield Finding("devices", "note", text, switch.name)


def _api(facts: Facts) -> tuple[str, ...]:
    return ("--api", facts.switches[0].api) if len(facts.switches) == 1 else ()
