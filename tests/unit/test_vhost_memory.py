"""A guest's memory: mapped as far as it is there, noted when written, survived when it goes."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from support.frames import BROADCAST, frame, mac
from support.guest_memory import BASE
from vswitch._guest import Mapping

PAGE = 4096
KILLED = (-signal.SIGBUS, 1)  # 1: the handler that was there before is a sanitizer's
FORMATS = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
FRAME = frame(BROADCAST, mac(1), b"memory")


@pytest.fixture
def file() -> Iterator[int]:
    fd = os.memfd_create("file", os.MFD_CLOEXEC)
    os.ftruncate(fd, 4 * PAGE)
    yield fd
    os.close(fd)


def mapped(name: str) -> int:
    with open("/proc/self/maps") as maps:
        return sum(f"/memfd:{name} " in line for line in maps)


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    front = "import ctypes, os, mmap, signal\nfrom vswitch._guest import Mapping\n"
    return subprocess.run(
        [sys.executable, "-c", front + textwrap.dedent(code)],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


# ------------------------------------------------------------------ mappings


@pytest.mark.parametrize(
    ("size", "offset"), [(4 * PAGE + 1, 0), (PAGE, 4 * PAGE), (1, 1 << 63), (1 << 63, 0), (0, 0)]
)
def test_a_file_shorter_than_said_is_refused(file, size, offset):
    with pytest.raises(OSError, match="Invalid argument"):
        Mapping(file, size=size, offset=offset)


def test_a_descriptor_without_a_file_is_refused():
    reader, writer = os.pipe()
    with pytest.raises(OSError, match=r"."):
        Mapping(reader, size=PAGE)
    os.close(reader)
    os.close(writer)
    with pytest.raises(OSError, match="Bad file"):
        Mapping(writer, size=PAGE)


def test_a_mapping_ends_with_its_object(file):
    before = mapped("file")
    mapping = Mapping(file, size=PAGE + 1)

    assert mapped("file") == before + 1
    del mapping
    assert mapped("file") == before


def test_of_huge_pages_a_part_is_mapped_and_unmapped_as_a_whole():
    fd = os.memfd_create("huge", os.MFD_CLOEXEC | os.MFD_HUGETLB)
    os.ftruncate(fd, 4 << 20)
    try:
        mapping = Mapping(fd, size=PAGE)
    except OSError as e:
        pytest.skip(f"no huge pages: {e}")
    finally:
        os.close(fd)

    assert mapping.size == PAGE
    del mapping
    assert mapped("huge") == 0


@FORMATS
def test_a_guest_whose_file_is_shrunk_is_lost_and_nobody_else(rig, packed):
    net = rig()
    victim, other = net.card(packed=packed), net.card(packed=packed)
    for card in (victim, other):
        card.send(FRAME)
        card.post(1600)
    net.poll()
    os.ftruncate(victim.memory.pieces[0].fd, 0)

    for _ in range(3):
        net.to_guest(FRAME)

    assert victim.guest.lost
    assert not other.guest.lost
    assert [f for _, f in other.receive()] == [FRAME]
    assert other.error == 0
    victim.memory.pieces[0].data.close()  # not to be touched: it is shrunk for the guest as well


def test_a_region_lost_is_found_by_its_own_mapping_only(rig):
    net = rig()
    card = net.card(regions=(1 << 20, 1 << 16))
    card.send(FRAME, at=card.memory.pieces[1].gpa)
    os.ftruncate(card.memory.pieces[1].fd, 0)

    net.poll()

    assert card.guest.lost
    assert net.counters(card) == {"rx_frames": 1, "rx_bytes": 60, "bad_source": 1}  # zeroes


def test_a_bus_error_elsewhere_kills_as_ever():
    done = in_a_process("""
        fd = os.memfd_create("a"); os.ftruncate(fd, 4096)
        mapping = Mapping(fd, size=4096)
        other = os.memfd_create("b"); os.ftruncate(other, 4096)
        data = mmap.mmap(other, 4096)
        os.ftruncate(other, 0)
        data[0]
    """)

    assert done.returncode in KILLED, done.stderr


def test_a_bus_error_that_somebody_sends_kills_as_ever():
    done = in_a_process("""
        fd = os.memfd_create("a"); os.ftruncate(fd, 4096)
        mapping = Mapping(fd, size=4096)
        os.kill(os.getpid(), signal.SIGBUS)
        print("alive")
    """)

    assert done.returncode in KILLED, done.stderr
    assert "alive" not in done.stdout


# ------------------------------------------------------------------ addresses


def test_a_region_beyond_its_mapping_is_refused(rig):
    card = rig().card()
    mapping = Mapping(card.memory.pieces[0].fd, size=PAGE)
    for offset, size in ((0, PAGE + 1), (1, PAGE), (PAGE, 1), (PAGE + 1, 1), (0, 0)):
        with pytest.raises(ValueError, match="beyond"):
            card.guest.set_memory([(BASE, mapping, offset, size)])


@pytest.mark.parametrize("part", ["desc", "driver", "device"])
@FORMATS
def test_a_ring_outside_of_memory_or_misaligned_is_refused(rig, part, packed):
    net = rig()
    card = net.card(packed=packed)
    ring = card.rings[0]
    good = {"size": 16, "desc": ring.desc, "driver": ring.driver, "device": ring.device, "base": 0}
    last = card.memory.end - 1
    for address in (
        0,
        BASE - 1,
        last,
        card.memory.end - 4 * (not packed or part == "desc"),
        card.memory.end,
        2**64 - 1,
        good[part] + 1,
    ):
        with pytest.raises(ValueError, match=r"memory|aligned"):
            card.guest.start(0, **{**good, part: address})


def test_a_ring_across_the_border_of_regions_is_refused(rig):
    card = rig().card(regions=(1 << 20, 1 << 20))
    ring = card.rings[0]
    with pytest.raises(ValueError, match="memory"):
        card.guest.start(
            0, size=16, desc=card.memory.pieces[1].gpa - 16, driver=ring.driver,
            device=ring.device, base=0,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("packed", "size"), [(False, 0), (False, 3), (False, 65536), (True, 0), (True, 32769)]
)
def test_a_size_no_ring_has_is_refused(rig, packed, size):
    card = rig().card(packed=packed)
    ring = card.rings[0]
    with pytest.raises(ValueError, match="descriptors"):
        card.guest.start(
            0, size=size, desc=ring.desc, driver=ring.driver, device=ring.device, base=0
        )


@pytest.mark.parametrize("base", [0x10, 0x8010, 0x7FFF, 0xFFFF, 0xFFFF0010])
def test_a_packed_ring_has_no_place_behind_its_end(rig, base):
    card = rig().card(packed=True, size=16)
    with pytest.raises(ValueError, match="no index"):
        card.start(1, base)


def test_what_a_base_says_of_handed_back_places_is_not_believed(rig):
    """Bits 16-31 could name a slot far behind the ring, to which we would write."""
    net = rig()
    card = net.card(packed=True, size=16)
    card.guest.stop(1)
    card.start(1, 0x8000 | 0x7FFF << 16)
    card.send(FRAME)

    assert net.from_guest() == [FRAME]
    assert len(card.pairs[0].reap()) == 1


# ------------------------------------------------------------------ the log of written pages


class Log:
    def __init__(self, card) -> None:
        self.fd = os.memfd_create("log", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, PAGE)
        self.data = mmap.mmap(self.fd, PAGE)
        card.guest.set_log(Mapping(self.fd, size=PAGE), PAGE)
        for i, ring in enumerate(card.rings):
            card.guest.set_log_address(i, ring.device)

    def pages(self) -> set[int]:
        return {i for i in range(8 * PAGE) if self.data[i // 8] >> i % 8 & 1}

    def close(self) -> None:
        self.data.close()
        os.close(self.fd)


def pages(gpa: int, size: int) -> set[int]:
    return set(range(gpa // PAGE, (gpa + size - 1) // PAGE + 1))


def snapshot(card) -> dict[int, bytes]:
    return {
        gpa // PAGE: card.memory.read(gpa, PAGE)
        for gpa in range(BASE, card.memory.end, PAGE)
    }  # fmt: skip


@FORMATS
@pytest.mark.parametrize("event_idx", [False, True])
def test_every_page_written_is_noted_and_no_other(rig, packed, event_idx):
    net = rig()
    card = net.card(packed=packed, event_idx=event_idx, size=256, regions=(1 << 20,))
    buffers = card.memory.allocate(8 * PAGE, PAGE)
    log = Log(card)
    card.post(100, 1600, at=buffers + PAGE - 50)
    card.post(PAGE, at=buffers + 5 * PAGE)
    card.send(FRAME)
    before = snapshot(card)

    net.to_guest(frame(BROADCAST, mac(2), bytes(1400)))
    net.poll()

    written = {page for page, old in before.items() if card.memory.read(page * PAGE, PAGE) != old}
    rings = set()
    for ring in card.rings:
        rings |= pages(ring.device, 4 if packed else 6 + 8 * ring.size)
        if packed:
            rings |= pages(ring.desc, 16 * ring.size)
    assert written <= log.pages()
    assert log.pages() <= rings | pages(buffers + PAGE - 50, 1426)
    log.close()


def test_what_is_finished_after_a_crash_is_noted(rig):
    net = rig()
    card = net.card(packed=True, size=8, regions=(1 << 20,))
    ring = card.rings[1]
    flags_at = ring.desc + 14
    for _ in range(3):
        card.send(FRAME)
    flags = card.memory.u16(flags_at)
    net.poll()
    card.memory.set_u16(flags_at, flags)  # as if killed before the first was published
    card.guest.stop(1)
    card.guest.set_memory([])
    card.guest.set_memory(card.memory.regions())
    log = Log(card)

    card.start(1, 0x8000)

    assert card.memory.u16(flags_at) != flags
    assert pages(ring.desc, 16 * ring.size) <= log.pages()
    log.close()


def test_a_log_whose_file_is_shrunk_is_the_end_of_its_guest(rig):
    net = rig()
    card = net.card(regions=(1 << 20,))
    log = Log(card)
    card.post(1600)
    os.ftruncate(log.fd, 0)

    net.to_guest(FRAME)

    assert card.guest.lost
    card.guest.set_log(None)
    log.close()


def test_a_log_too_short_for_a_page_ends_there(rig):
    net = rig()
    card = net.card(regions=(1 << 20,))
    log = Log(card)
    card.guest.set_log(Mapping(log.fd, size=PAGE), 1)  # 8 pages, all below the guest's memory
    card.post(1600)

    net.to_guest(FRAME)

    assert log.pages() == set()
    log.close()


def test_a_ring_logged_at_the_end_of_all_addresses_is_harmless(rig):
    net = rig()
    card = net.card(regions=(1 << 20,))
    log = Log(card)
    for address in (2**64 - 1, 2**64 - 8, 1 << 63):
        card.guest.set_log_address(0, address)
        card.post(1600)
        net.to_guest(FRAME)

    assert len(card.receive()) == 3
    log.close()
