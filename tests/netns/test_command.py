"""`vswitch run` as users run it: real processes, real TAPs, every bad input of the book."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

from support.command import (
    FACTS,
    INTERFACE_FACTS,
    command,
    device,
    devices,
    environment,
    exists,
    ip,
    persistent_tap,
    ports,
    running,
    shout,
    state_of,
    vswitch,
)
from support.wait import wait_for

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]


# ---------------------------------------------------------------------- the main job


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_runs_until_a_signal_and_leaves_nothing_behind(two, end):
    with running(*ports(*two)) as switch:
        assert switch.out == (
            f"{two[0]}: created, {FACTS}\n"
            f"{two[1]}: created, {FACTS}\n"
            f"vswitch: forwarding between 2 ports "
            f"(core c, pid {switch.process.pid}, api {switch.api})\n"
        )
        assert exists(two[0])
        assert exists(two[1])

        status = switch.end(end)

        assert (status, switch.err) == (0, "")
        assert devices() == set()
        assert not switch.api.exists()


def test_options_without_a_command_are_those_of_run(two, tmp_path):
    process = subprocess.Popen(
        command("--port", two[0], "--api", str(tmp_path / "s")),
        stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == f"{two[0]}: created, {FACTS}\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_prints_the_counters_at_the_end(two):
    with running(*ports(*two), "--forward", "") as switch:
        shout(two[0])
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind((two[0], 0))
            s.send(bytes.fromhex("0180c200000002000000000988b5") + bytes(46))
        wait_for(lambda: switch.ports()[two[0]]["drops"]["reserved"], "the dropped frame")
        switch.end()

        table = switch.out.partition("\n\n")[2]
        assert table.startswith("port ")
        assert re.search(rf"^{two[0]} +\d+ +\d+ +[1-9]\d* +\d+ +\d+ +\d+$", table, re.MULTILINE)
        assert re.search(
            rf"^{two[0]} +[1-9]\d*  reserved +sent to a link-local", table, re.MULTILINE
        )


def test_show_and_fdb_while_it_runs(two):
    with running(*ports(*two), "--name", "lab") as switch:
        shout(two[0])
        wait_for(lambda: "02:00:00:00:00:09" in switch.ask("fdb", "show"), "the station")

        assert f"02:00:00:00:00:09 dev {two[0]} master lab \n" in switch.ask("fdb", "show")
        assert f"    port {two[0]}: forwarding" in switch.ask("show")
        assert (
            switch.ask("-s", "fdb", "flush", "--mac", "02:00:00:00:00:09")
            == "1 station forgotten\n"
        )
        assert "02:00:00:00:00:09" not in switch.ask("fdb", "show")


def test_curl_works(two):
    with running(*ports(*two)) as switch, socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(str(switch.api))
        s.sendall(b"GET /v1/switch HTTP/1.0\r\n\r\n")

        assert b'"name":"vswitch"' in b"".join(iter(lambda: s.recv(4096), b""))


def test_ports_take_their_options(two):
    spec = f"{two[0]},queues=2,mtu=9000,mac=02:00:00:00:00:07"
    with running(*ports(spec, f"{two[1]},offloads=off"), "--mtu", "2000") as switch:
        assert switch.out.startswith(
            f"{two[0]}: created, file end, 2 queues, mtu 9000, vnet header, "
            "csum tso4 tso6 ecn uso ufo\n"
            f"{two[1]}: created, file end, 1 queue, mtu 2000, vnet header, no offloads\n"
        )
        assert "02:00:00:00:00:07" in ip("link", "show", two[0])
        assert (
            "warning: ports differ in MTU: frames above 2000 bytes reach only some of them "
            f"{two[0]}=9000 {two[1]}=2000\n"
        ) in switch.err


def test_rates_are_printed_now_and_then(two):
    with running(*ports(*two), "--stats", "0.1") as switch:
        wait_for(lambda: switch.out.count("rx Mbit/s") >= 2, "two tables of rates")


def test_logs_are_json_on_request(two):
    with running(*ports(two[0], f"{two[1]},mtu=1400"), "--log-format", "json") as switch:
        lines = [json.loads(line) for line in switch.err.splitlines()]

        assert [line["level"] for line in lines] == ["warning"]
        assert lines[0]["logger"] == "vswitch.daemon"


def test_the_readable_core_runs_the_same_ports(two):
    with running(*ports(*two), "--core", "python") as switch:
        assert f"{two[0]}: created, file end, 1 queue, mtu 1500, vnet header, no offloads\n" in (
            switch.out
        )
        shout(two[0])
        wait_for(
            lambda: (
                switch.ports()[two[1]]["counters"]["flooded_broadcast"]
                or switch.ports()[two[0]]["counters"]["flooded_broadcast"]
            ),
            "the flooded frames",
        )
        assert switch.end() == 0


def test_goes_on_when_its_reader_leaves(two, tmp_path):
    read, write = os.pipe()
    api = tmp_path / "s"
    process = subprocess.Popen(
        command(*ports(*two), "--api", str(api), "--stats", "0.1"),
        stdout=write, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    os.close(write)
    with process, os.fdopen(read) as out:
        wait_for(lambda: "forwarding" in out.readline(), "the line that says forwarding")
        out.close()
        wait_for(lambda: vswitch("show", "--api", str(api))[0] == 0, "an answer")
        process.terminate()

        assert process.wait(10) == 0
        assert process.stderr.read() == ""


# ---------------------------------------------------------------------- which end is free


@pytest.mark.parametrize("kind", ["bridge", "vxlan", "macvlan", "macvtap"])
def test_any_other_ethernet_device_is_taken_at_its_interface_end(made, veth, kind):
    options = {"vxlan": ("id", "5", "dstport", "4789"), "bridge": ()}.get(kind, ("link", veth))
    name = made(kind, *options)

    with running("--port", name) as switch:
        assert switch.out.startswith(f"{name}: existing, interface end, 1 queue, mtu ")
        assert switch.end() == 0


@pytest.fixture
def veth():
    name, peer = device("v"), device("w")
    ip("link", "add", name, "type", "veth", "peer", "name", peer)
    yield name
    ip("link", "del", name, check=False)


def test_a_veth_is_taken_at_its_interface_end(two, veth):
    with running(*ports(two[0], veth)) as switch:
        assert switch.out.startswith(
            f"{two[0]}: created, {FACTS}\n{veth}: existing, {INTERFACE_FACTS}\n"
        )
        assert switch.end() == 0


def test_a_tap_nobody_holds_is_taken_at_its_file_end():
    with persistent_tap() as tap, running("--port", tap) as switch:
        assert switch.out.startswith(f"{tap}: existing, {FACTS}\n")


@pytest.mark.parametrize("queues", [1, 2])
def test_a_tap_somebody_holds_is_taken_at_its_interface_end(two, queues):
    holder = running("--port", f"{two[0]},queues={queues}")
    with holder, running("--port", two[0], "--name", "other") as other:
        assert other.out.startswith(f"{two[0]}: existing, {INTERFACE_FACTS}\n")


def test_a_held_tap_of_one_queue_is_taken_at_its_interface_end_with_several():
    facts = INTERFACE_FACTS.replace("1 queue", "2 queues")
    with persistent_tap() as tap, running("--port", tap):
        other = running("--port", f"{tap},queues=2", "--name", "other")
        with other as switch:
            assert switch.out.startswith(f"{tap}: existing, {facts}\n")


def test_the_end_can_be_decided_by_hand(two):
    with persistent_tap() as tap, running(*ports(f"netdev:{tap}", f"tap:{two[0]}")) as switch:
        assert switch.out.startswith(
            f"{tap}: existing, {INTERFACE_FACTS}\n{two[0]}: created, {FACTS}\n"
        )


def test_a_device_the_host_uses_is_taken_by_force_only(veth):
    ip("addr", "add", "198.51.100.1/32", "dev", veth)

    status, out, err = vswitch(*ports(veth))

    assert (status, out) == (2, "")
    assert err.startswith(f"vswitch: {veth} has the address 198.51.100.1: ")
    assert f"--port {veth},force\n" in err
    with running(*ports(f"{veth},force")) as switch:
        assert switch.out.startswith(f"{veth}: existing, interface end, ")


def test_the_readable_core_takes_interface_ends_without_offloads(veth):
    with running(*ports(veth), "--core", "python") as switch:
        facts = "existing, interface end, 1 queue, mtu 1500, vnet header, no offloads"
        assert switch.out.startswith(f"{veth}: {facts}\n")


# ---------------------------------------------------------------------- more than one, and again


def test_a_second_switch_of_the_same_name_is_refused(two):
    with running("--port", two[0]) as first:
        status, out, err = vswitch("--port", two[1], "--api", str(first.api))

        assert (status, out) == (2, "")
        assert err == (
            f"vswitch: a switch called vswitch is running already "
            f"(pid {first.process.pid}, {first.api})\n"
            "hint: give this one another --name, or stop the other first\n"
        )
        assert not exists(two[1])
        assert first.ports()


def test_after_kill_9_it_starts_again(two):
    with running(*ports(*two)) as switch:
        switch.process.kill()
        switch.process.wait(10)
        assert switch.api.is_socket()
        wait_for(lambda: devices() == set(), "the kernel to take the TAPs away")

        again = subprocess.Popen(
            command(*ports(*two), "--api", str(switch.api)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        with again:
            said = [again.stdout.readline() for _ in range(3)]
            again.terminate()
            assert again.wait(10) == 0
            assert "forwarding" in said[2]
            assert again.stderr.read() == ""


def test_two_switches_side_by_side(two):
    with running("--port", two[0], "--name", "one") as one, running("--port", two[1]) as other:
        assert list(one.ports()) == [two[0]]
        assert list(other.ports()) == [two[1]]


# ---------------------------------------------------------------------- devices that change


@pytest.mark.parametrize("settings", [[], ["vnet_hdr"], ["multi_queue"], ["pi"]], ids=" ".join)
@pytest.mark.parametrize("up", [False, True])
def test_an_existing_tap_is_left_as_found(settings, up):
    with persistent_tap(*settings) as tap:
        if up:
            ip("link", "set", tap, "up", "mtu", "1400")
        found = state_of(tap)

        with running("--port", f"{tap},mtu=9000,mac=02:00:00:00:00:07") as switch:
            assert switch.out.startswith(f"{tap}: existing, file end, 1 queue, mtu 9000")
            assert state_of(tap)["up"]
            switch.end()

        assert state_of(tap) == found


def test_a_deleted_tap_takes_its_port_down_and_the_rest_goes_on(two):
    with running(*ports(*two)) as switch:
        shout(two[0])
        wait_for(lambda: "02:00:00:00:00:09" in switch.ask("fdb", "show"), "the station")
        ip("link", "del", two[0])
        wait_for(lambda: switch.ports()[two[0]]["state"] == "gone", "the port to be gone")

        assert switch.ports()[two[1]]["state"] == "forwarding"
        assert f"dev {two[0]}" not in switch.ask("fdb", "show")
        assert switch.err.count("port down") == 1
        assert f"port down name={two[0]}" in switch.err
        assert switch.end() == 0


def test_a_deleted_namespace_takes_its_port_down(two, netns):
    room = netns("a")
    with running(*ports(*two)) as switch:
        ip("link", "set", two[0], "netns", room.name)
        room.ip("link", "set", two[0], "up")
        wait_for(lambda: switch.ports()[two[0]]["state"] == "forwarding", "the port to be up")
        before = switch.err.count(f"port down name={two[0]}")
        room.delete()
        wait_for(lambda: switch.ports()[two[0]]["state"] == "gone", "the port to be gone")

        assert switch.ports()[two[1]]["state"] == "forwarding"
        assert switch.err.count(f"port down name={two[0]}") == before + 1
        assert switch.end() == 0


def test_a_tap_that_goes_down_and_up_is_followed(two):
    with running(*ports(*two)) as switch:
        ip("link", "set", two[0], "down")
        wait_for(lambda: switch.ports()[two[0]]["state"] == "down", "the port to be down")
        ip("link", "set", two[0], "up", "mtu", "1300")
        wait_for(lambda: switch.ports()[two[0]]["state"] == "forwarding", "the port to be up")

        assert switch.ports()[two[0]]["mtu"] == 1300
