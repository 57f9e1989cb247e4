"""Command line, parsing and clean-up of the benchmark with guests; no root, no testpmd."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

# The files there are scripts beside one another, not a package; the path is theirs only for now.
sys.path.insert(0, str(BENCHMARKS))
try:
    guests, guest_switches, huge_pages, processes, testpmd = map(
        import_module, ("guests", "guest_switches", "huge_pages", "processes", "testpmd")
    )
finally:
    sys.path.remove(str(BENCHMARKS))

ANSWER = """
  RX-packets: 5000       RX-missed: 0          RX-bytes:  320000
  Throughput (since last show)
  Rx-pps:      1000          Rx-bps:       512000
  Tx-pps:      1001          Tx-bps:       512512
  Rx-pps:      3000          Rx-bps:      1536000
  Tx-pps:      3001          Tx-bps:      1536512
"""
SMAPS = """\
00400000-00500000 r-xp 00000000 fe:00 42    /usr/bin/python3
Rss:                 100 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0010000000 rw-s 00000000 00:01 7    /memfd:seg_0-0 (deleted)
Rss:              200000 kB
7f0020000000-7f0030000000 rw-p 00000000 00:00 0
Rss:                  23 kB
"""


def test_rates_are_those_received_by_all_ports_together():
    assert testpmd.parse_rates(ANSWER) == (4000.0, 64.0)


def test_no_frame_at_all_has_no_length():
    assert testpmd.parse_rates("Rx-pps: 0  Rx-bps: 0") == (0.0, 0.0)


def test_memory_of_guests_does_not_count_as_the_switch_s_own():
    assert guest_switches.own_kib(SMAPS) == 123


def test_a_guest_s_card_says_how_its_queues_look():
    card = testpmd.guest(1, Path("b"), testpmd.Rings(packed=True, mergeable=False), server=True)

    assert card.startswith("net_virtio_user1,path=b,")
    assert {"packed_vq=1", "mrg_rxbuf=0", "server=1"} <= set(card.split(","))


def test_a_smoke_run_has_one_short_round_of_two_contestants():
    options = guests.parse(["--smoke"])

    assert (options.rounds, options.seconds, options.figures) == (1, 0.5, ["guest64"])
    assert options.contestants == ["vswitch", "vhost-io"]


@pytest.mark.parametrize(
    "words",
    [["--contestants", "vswitch,nobody"], ["--figures", "guest65"], ["--bursts", "17"]],
)
def test_what_is_not_known_ends_with_status_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        guests.parse(words)

    assert ended.value.code == 2
    assert words[1].split(",")[-1] in capsys.readouterr().err


def test_without_testpmd_the_status_is_77(monkeypatch, capsys):
    monkeypatch.setattr(guests.shutil, "which", lambda _: None)

    assert guests.main(["--smoke"]) == guests.CANNOT_MEASURE
    assert "dpdk-testpmd not found" in capsys.readouterr().err


def test_a_contestant_that_fails_is_left_out_from_then_on(monkeypatch, tmp_path, capsys):
    tried = []

    def fail(**_):
        tried.append(1)
        raise processes.BenchmarkError("no")

    monkeypatch.setitem(guests.CONTESTANTS, "ovs-dpdk", fail)
    run = guests.Run(tmp_path, guests.parse([]))

    assert run.measure("guest64", "ovs-dpdk") is None
    assert run.measure("guest1514", "ovs-dpdk") is None
    assert (len(tried), run.left_out) == (1, {"ovs-dpdk": "guest64: no"})


def test_only_the_subject_is_asked_for_memory_and_idle_time(tmp_path):
    run = guests.Run(tmp_path, guests.parse([]))

    assert run.measure(guests.MEMORY, "vhost-io") is None
    assert run.measure(guests.IDLE, "ovs-dpdk") is None
    assert run.left_out == {}


def test_huge_pages_are_as_many_as_before_even_after_an_error(tmp_path):
    sysctl = tmp_path / "nr_hugepages"
    sysctl.write_text("7\n")

    during = []

    def fail():
        with huge_pages.HugePages(sysctl):
            during.append(int(sysctl.read_text()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert (during, int(sysctl.read_text())) == ([huge_pages.PAGES], 7)


def test_more_huge_pages_than_needed_are_left(tmp_path):
    sysctl = tmp_path / "nr_hugepages"
    sysctl.write_text("5000")

    with huge_pages.HugePages(sysctl):
        assert int(sysctl.read_text()) == 5000


def test_a_machine_without_huge_pages_cannot_measure(tmp_path):
    with pytest.raises(processes.BenchmarkError), huge_pages.HugePages(tmp_path):
        pass
