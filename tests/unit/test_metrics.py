"""/metrics: names, labels and numbers, in both formats, as Prometheus' own parsers read them."""

from __future__ import annotations

import http.client
import re
import socket

import pytest
from prometheus_client import openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from support.served import served
from support.wait import wait_for
from vswitch import MemoryPort, Switch, metrics
from vswitch._fastpath import DROP_REASONS

A, B = (bytes([2, 0, 0, 0, 0, i]) for i in (1, 2))
BROADCAST = b"\xff" * 6
TYPE = b"\x08\x00"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

# As the conventions of this project name them; process_* are prometheus-client's.
PORT, SWITCH, POLLER = {"switch", "port"}, {"switch"}, {"switch", "worker"}
LABELS = {
    "vswitch_port_receive_bytes_total": PORT,
    "vswitch_port_receive_packets_total": PORT,
    "vswitch_port_transmit_bytes_total": PORT,
    "vswitch_port_transmit_packets_total": PORT,
    "vswitch_port_drops_total": {*PORT, "direction", "reason"},
    "vswitch_port_up": PORT,
    "vswitch_port_looped": PORT,
    "vswitch_port_mirror": PORT,
    "vswitch_port_mtu_bytes": PORT,
    "vswitch_port_info": {*PORT, "kind", "vlan_mode"},
    "vswitch_flood_frames_total": {"switch", "kind"},
    "vswitch_fdb_entries": {"switch", "type"},
    "vswitch_fdb_limit": {"switch", "type"},
    "vswitch_fdb_learned_total": SWITCH,
    "vswitch_fdb_expired_total": SWITCH,
    "vswitch_fdb_moved_total": SWITCH,
    "vswitch_fdb_evicted_total": SWITCH,
    "vswitch_fdb_refused_total": SWITCH,
    "vswitch_neighbours": SWITCH,
    "vswitch_neighbours_answered_total": SWITCH,
    "vswitch_neighbours_suppressed_total": SWITCH,
    "vswitch_neighbours_refused_total": SWITCH,
    "vswitch_guard_leases": SWITCH,
    "vswitch_guard_refused_total": SWITCH,
    "vswitch_guard_missed_total": SWITCH,
    "vswitch_loop_iterations_total": POLLER,
    "vswitch_batch_frames_bucket": {*POLLER, "le"},
    "vswitch_batch_frames_sum": POLLER,
    "vswitch_batch_frames_count": POLLER,
    "vswitch_frame_seconds_bucket": {*POLLER, "le"},
    "vswitch_frame_seconds_sum": POLLER,
    "vswitch_frame_seconds_count": POLLER,
    "vswitch_build_info": {"version", "python", "core"},
}


def scraped(switch, accept=""):
    """Every sample as {(name, labels without the switch's): value}."""
    body, _ = metrics.exposition(switch, accept)
    parse = open_families if accept else text_families
    return {
        (s.name, *(f"{k}={v}" for k, v in sorted(s.labels.items()) if k != "switch")): s.value
        for family in parse(body.decode())
        for s in family.samples
    }


def labels_of(switch):
    found = {}
    for family in text_families(metrics.exposition(switch)[0].decode()):
        for sample in family.samples:
            if sample.name.startswith("vswitch_"):
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def frame(dst, src):
    return dst + src + TYPE + bytes(46)


@pytest.fixture
def busy(lab):
    """A switch whose ports a and b have exchanged frames, and dropped one; c is pinned."""
    made = lab("a", "b", "c")
    made.send("a", frame(BROADCAST, A))
    made.send("b", frame(A, B), frame(B, B))
    made.send("a", frame(bytes([2, 0, 0, 0, 0, 9]), A))
    made.switch.pin(bytes([2, 0, 0, 0, 0, 3]), "c")
    return made


def test_names_and_labels_are_those_of_the_conventions(busy):
    assert labels_of(busy.switch) == LABELS


def test_ports_count_what_they_received_sent_and_dropped(busy):
    found = scraped(busy.switch)

    assert found["vswitch_port_receive_packets_total", "port=a"] == 2
    assert found["vswitch_port_receive_bytes_total", "port=b"] == 120
    assert found["vswitch_port_transmit_packets_total", "port=c"] == 2
    assert found["vswitch_port_transmit_bytes_total", "port=a"] == 60
    dropped = ("vswitch_port_drops_total", "direction=receive", "port=b", "reason=hairpin")
    assert found[dropped] == 1
    assert {v for (name, *_), v in found.items() if name == "vswitch_port_drops_total"} == {0, 1}


def test_every_reason_has_a_series_before_it_happens(busy):
    found = scraped(busy.switch)

    for reason, where, _ in DROP_REASONS:
        direction = {"rx": "receive", "tx": "transmit"}[where]
        key = ("vswitch_port_drops_total", f"direction={direction}", "port=c", f"reason={reason}")
        assert found[key] == 0


def test_a_blocked_port_is_not_up(busy):
    busy.switch.set_port("b", forwarding=False)

    found = scraped(busy.switch)

    assert (found["vswitch_port_up", "port=a"], found["vswitch_port_up", "port=b"]) == (1, 0)
    assert found["vswitch_port_mtu_bytes", "port=a"] == 1500
    assert found["vswitch_port_info", "kind=memory", "port=a", "vlan_mode=unaware"] == 1


@pytest.mark.parametrize("lab", ["c", "python"], indirect=True)
def test_the_forwarding_database_counts_stations_and_events(busy):
    found = scraped(busy.switch)

    assert found["vswitch_fdb_entries", "type=dynamic"] == 2
    assert found["vswitch_fdb_entries", "type=static"] == 1
    assert found["vswitch_fdb_limit", "type=total"] == 65536
    assert found["vswitch_fdb_learned_total",] == 2
    assert found["vswitch_fdb_moved_total",] == found["vswitch_fdb_refused_total",] == 0


def test_static_stations_are_no_more_after_a_flush_of_their_port(busy):
    busy.switch.remove_port("c")

    assert scraped(busy.switch)["vswitch_fdb_entries", "type=static"] == 0


@pytest.mark.parametrize("lab", ["c", "python"], indirect=True)
def test_floods_are_counted_by_kind(busy):
    busy.send("c", frame(bytes([1, 0, 0x5E, 0, 0, 1]), B))

    found = scraped(busy.switch)

    kinds = ("unknown_unicast", "multicast", "broadcast")
    assert [found["vswitch_flood_frames_total", f"kind={kind}"] for kind in kinds] == [1, 1, 1]


@pytest.mark.parametrize("lab", ["c", "python"], indirect=True)
def test_a_removed_port_takes_its_series_and_nothing_else_goes_back(busy):
    before = scraped(busy.switch)

    busy.switch.remove_port("a")
    busy.switch.add_port(MemoryPort("d"))  # gets the number that a had

    after = scraped(busy.switch)
    assert not any("port=a" in key for key in after)
    assert after["vswitch_port_receive_packets_total", "port=d"] == 0
    for key, value in before.items():
        if key[0].endswith(("_total", "_count", "_sum", "_bucket")) and "port=a" not in key:
            assert after[key] >= value, key


@pytest.mark.parametrize("lab", ["c", "python"], indirect=True)
def test_bursts_are_counted_by_their_size(lab):
    made = lab("a", "b")
    for frames in (1, 2, 3, 32):
        made.send("a", *[frame(BROADCAST, A)] * frames)

    found = scraped(made.switch)

    sizes = {
        float(key[1].removeprefix("le=")): value
        for key, value in found.items()
        if key[0] == "vswitch_batch_frames_bucket"
    }
    assert sizes == {1: 1, 2: 2, 4: 3, 8: 3, 16: 3, 32: 4, 64: 4, 128: 4, float("inf"): 4}
    assert found["vswitch_batch_frames_sum", "worker=0"] == 38
    assert found["vswitch_batch_frames_count", "worker=0"] == 4
    assert found["vswitch_loop_iterations_total", "worker=0"] >= 4


def test_the_second_burst_is_timed(lab):
    made = lab("a", "b")
    made.send("a", frame(BROADCAST, A))
    made.send("a", frame(BROADCAST, A))

    found = scraped(made.switch)

    assert found["vswitch_frame_seconds_count", "worker=0"] == 1
    assert 0 < found["vswitch_frame_seconds_sum", "worker=0"] < 60
    bounds = [k[1] for k in found if k[0] == "vswitch_frame_seconds_bucket"]
    assert (bounds[0], bounds[-2], bounds[-1]) == ("le=3.2e-08", "le=0.004194304", "le=+Inf")


def test_each_poller_is_a_worker():
    with Switch(pollers=2) as switch:
        a, b = (switch.add_port(MemoryPort(name)) for name in "ab")
        a.send([frame(BROADCAST, A)])
        b.send([frame(BROADCAST, B)])

        wait_for(
            lambda: all(
                scraped(switch)["vswitch_batch_frames_count", f"worker={i}"] == 1 for i in (0, 1)
            ),
            "a burst on either poller",
        )


def test_openmetrics_has_the_same_numbers(busy):
    def stable(samples):
        return {k: v for k, v in samples.items() if k[0].startswith("vswitch_")}

    assert stable(scraped(busy.switch, OPENMETRICS)) == stable(scraped(busy.switch))


def test_the_process_tells_of_itself(busy):
    found = scraped(busy.switch)

    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"):
        assert found[f"process_{name}",] > 0


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_port_may_have_any_name(lab, accept):
    names = ['quo"te', "back\\slash", "new\nline", "spa ce", "日本", "}", "raw\udcff"]
    made = lab(*names)

    found = {
        key[2] if len(key) > 3 else key[1]
        for key in scraped(made.switch, accept)
        if key[0] == "vswitch_port_up"
    }

    assert found == {f"port={name}" for name in [*names[:-1], "raw\\udcff"]}


def test_a_thousand_ports_are_two_megabytes_and_no_more(lab):
    made = lab(*(f"vm{i}" for i in range(1000)))

    body, _ = metrics.exposition(made.switch)

    assert body.count(b"vswitch_port_up{") == 1000
    assert len(body) < 2_500_000


# ---------------------------------------------------------------------- over HTTP


def get(path, accept=None):
    """(status, type, text) of /metrics."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
    connection.sock.connect(str(path))
    connection.request("GET", "/metrics", headers={"Accept": accept} if accept else {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["Content-Type"], text


def test_prometheus_gets_text_and_openmetrics_if_it_asks_for_that(busy, tmp_path):
    with served(busy.switch, tmp_path / "lab.sock") as path:
        status, kind, text = get(path)
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert 'vswitch_port_up{port="a",switch="lab"} 1.0' in text

        # What Prometheus 2.5x sends.
        accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
        status, kind, text = get(path, accept)
        assert (status, kind) == (200, openmetrics.exposition.CONTENT_TYPE_LATEST)
        assert text.endswith("# EOF\n")


def test_no_label_is_a_station(busy):
    text = metrics.exposition(busy.switch)[0].decode()

    assert not re.search("(?:[0-9a-f]{2}:){5}", text)
