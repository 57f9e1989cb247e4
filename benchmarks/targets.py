"""The metrics a reader sees, how they are printed, and what vswitch wants to reach."""

from dataclasses import dataclass

SUBJECT = "vswitch"
VETH = "vswitch-veth"


@dataclass(frozen=True)
class Metric:
    """A row of the table; `scale` turns the stored unit into the printed one."""

    name: str
    label: str
    digits: int
    scale: float = 1.0
    drawn: bool = False  # in the picture, too

    def text(self, value: float) -> str:
        """*value* in the printed unit."""
        return f"{value * self.scale:,.{self.digits}f}"


@dataclass(frozen=True)
class Target:
    """A bound and an aim, of the ratio to `reference`, or of the value itself without one."""

    metric: str
    reference: str | None
    bound: float
    aim: float
    at_least: bool = False
    subject: str = SUBJECT

    def text(self) -> str:
        sign = ">=" if self.at_least else "<=" if self.reference else "<"
        return f"{sign}{self.bound:g} ({self.aim:g})"


METRICS = (
    Metric("tcp_gbps", "TCP Gbit/s", 2, drawn=True),
    Metric("tcp_cpu_s_per_gbit", "TCP CPU s/Gbit", 3),
    Metric("tcp_system_s_per_gbit", "TCP sys s/Gbit", 3, drawn=True),
    Metric("bidir_gbps", "TCP 2-way Gbit/s", 2),
    Metric("bidir_cpu_s_per_gbit", "2-way CPU s/Gbit", 3),
    Metric("bidir_system_s_per_gbit", "2-way sys s/Gbit", 3),
    Metric("fps60", "60 B kframe/s", 0, 1e-3, drawn=True),
    Metric("fps60_cpu_us", "60 B CPU us/frame", 2),
    Metric("fps1514", "1514 B kframe/s", 0, 1e-3, drawn=True),
    Metric("fps1514_cpu_us", "1514 B CPU us/fr.", 2),
    Metric("rtt_p50_us", "RTT p50 us", 1, drawn=True),
    Metric("rtt_p99_us", "RTT p99 us", 1, drawn=True),
    Metric("rttsplit_p50_us", "RTT 2 CPUs p50 us", 1),
    Metric("rttsplit_p99_us", "RTT 2 CPUs p99 us", 1),
    Metric("rttfree_p50_us", "RTT any CPU p50", 1),
    Metric("rttfree_p99_us", "RTT any CPU p99", 1),
    Metric("cpu100_percent", "CPU % at 100 f/s", 3),
    Metric("idle16_percent", "idle %, 16 ports", 3),
    Metric("start_s", "start s", 3),
    Metric("stream60", "VM 60 B kframe/s", 0, 1e-3, drawn=True),
    Metric("stream60_cpu_us", "VM 60 B CPU us/fr", 3),
    Metric("stream1514", "VM 1514 B kfr./s", 0, 1e-3, drawn=True),
    Metric("stream1514_cpu_us", "VM 1514 B us/fr.", 3),
    Metric("guest64", "64 B kframe/s", 0, 1e-3, drawn=True),
    Metric("guest64_cpu_ns", "64 B CPU ns/frame", 0),
    Metric("guest1514", "1514 B kframe/s", 0, 1e-3, drawn=True),
    Metric("guest1514_cpu_ns", "1514 B CPU ns/fr.", 0),
    Metric("guestidle_percent", "idle %, 2 guests", 3),
    Metric("guest16_mib", "MiB, 16 guests", 1),
)

TARGETS = (
    Target("tcp_gbps", "bare", 0.95, 1.0, at_least=True),
    Target("fps60", "bare", 0.95, 1.0, at_least=True),
    Target("fps1514", "bare", 0.95, 1.0, at_least=True),
    Target("tcp_gbps", "ovs-tap", 5, 8, at_least=True),
    Target("tcp_gbps", "ovs-veth", 5, 8, at_least=True),
    Target("tcp_gbps", "vde", 6, 10, at_least=True),
    Target("tcp_cpu_s_per_gbit", "bare", 1.08, 1.0),
    Target("rtt_p50_us", "bridge", 4, 3),
    Target("cpu100_percent", None, 3, 1),
    Target("idle16_percent", None, 0.2, 0.1),
    Target("start_s", None, 0.5, 0.2),
    Target("stream60", "bare-stream", 0.9, 1, at_least=True),
    Target("stream60", "vde", 4, 8, at_least=True),
    Target("stream1514", "bare-stream", 0.9, 1, at_least=True),
    Target("stream1514", "vde", 4, 8, at_least=True),
    Target("guest64", "ovs-dpdk", 1, 1.5, at_least=True),
    Target("guest64", "vhost-io", 0.8, 1, at_least=True),
    Target("guest1514", "ovs-dpdk", 1, 1.5, at_least=True),
    Target("guest1514", "vhost-io", 0.9, 1, at_least=True),
    Target("guestidle_percent", None, 0.1, 0),
    Target("guest16_mib", None, 64, 48),
    # At the interface end: every way to receive and send there that was measured.
    *(
        Target(metric, bare, 0.95, 1, at_least=True, subject=VETH)
        for metric in ("tcp_gbps", "fps60", "fps1514")
        for bare in ("bare-mmsg", "bare-ring", "bare-xdp")
    ),
    Target("tcp_gbps", "bridge", 0.8, 1, at_least=True, subject=VETH),
    Target("tcp_gbps", "ovs-veth", 5, 8, at_least=True, subject=VETH),
)


def target_text(metric: str, reference: str | None, subject: str = SUBJECT) -> str:
    """The target as printed, or an empty string; only vswitch has targets."""
    for target in TARGETS:
        if (target.metric, target.reference, target.subject) == (metric, reference, subject):
            return target.text()
    return ""
