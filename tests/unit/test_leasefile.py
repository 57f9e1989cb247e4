"""Leases as a file: what is written is read again, and what is anything else is not believed."""

from __future__ import annotations

import os
import re
import socket
import stat
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch import leasefile
from vswitch.errors import ConfigError, WireError
from vswitch.guarding import Lease
from vswitch.leases import Known

A, B = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2))
IP4, IP6 = bytes([10, 0, 0, 5]), socket.inet_pton(socket.AF_INET6, "fd00::7")
KNOWN = [Known(Lease(10, A, IP4), "tap0", 60), Known(Lease(0, B, IP6), "vm.1", None)]
NOW_S = 1_764_000_000
TEXT = (
    "vswitch leases 1 lab 1764000000\n"
    "02:00:00:00:00:01 10.0.0.5 10 1764000060 tap0\n"
    "02:00:00:00:00:02 fd00::7 0 never vm.1\n"
    "end 2\n"
)
US = {os.geteuid()}


def test_it_is_as_its_description_has_it():
    assert leasefile.dumps("lab", KNOWN, NOW_S) == TEXT
    assert leasefile.loads(TEXT, "lab", NOW_S) == KNOWN


def test_time_passes_while_nobody_runs():
    [first, second] = leasefile.loads(TEXT, "lab", NOW_S + 40)

    assert (first.left_s, second.left_s) == (20, None)
    assert leasefile.loads(TEXT, "lab", NOW_S + 60) == KNOWN[1:]


def test_a_clock_that_was_set_back_lengthens_nothing():
    assert leasefile.loads(TEXT, "lab", 0)[0].left_s == 60


leases = st.builds(
    Known,
    st.builds(
        Lease,
        st.integers(0, 4094),
        st.binary(min_size=6, max_size=6),
        st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
    ),
    st.from_regex(r"\A[A-Za-z0-9_.-]{1,15}\Z"),
    st.none() | st.integers(1, 0xFFFF_FFFE),
)


@given(known=st.lists(leases, max_size=5), now_s=st.integers(0, 10**10))
def test_all_that_is_written_is_read_again(known, now_s):
    assert leasefile.loads(leasefile.dumps("lab", known, now_s), "lab", now_s) == known


@given(at=st.integers(0, len(TEXT) - 1), other=st.characters())
def test_a_character_that_is_another_does_no_harm(at, other):
    changed = TEXT[:at] + other + TEXT[at + 1 :]
    with suppress(WireError, ConfigError):
        assert len(leasefile.loads(changed, "lab", NOW_S)) <= 2


@given(text=st.text())
def test_any_text_is_read_or_refused(text):
    with pytest.raises(WireError):
        leasefile.loads(text, "lab", NOW_S)


@pytest.mark.parametrize("cut", range(0, len(TEXT) - 1, 7))
def test_what_is_cut_off_is_not_believed(cut):
    with pytest.raises(WireError):
        leasefile.loads(TEXT[:cut], "lab", NOW_S)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("leases 1", "leases 2", "another version"),
        ("end 2", "end 3", "its end is missing"),
        ("10.0.0.5", "10.0.0.500", "no address: '10.0.0.500'"),
        ("10.0.0.5", "localhost", "no lease"),
        (" 10 1764", " 4095 1764", "no lease"),
        ("never", "٣", "no lease"),
        ("02:00:00:00:00:02", "02:00:00:00:02", "no lease"),
    ],
)
def test_damage_is_named(old, new, why):
    with pytest.raises(WireError, match=re.escape(why)):
        leasefile.loads(TEXT.replace(old, new), "lab", NOW_S)


# ---------------------------------------------------------------------- file


def read(path, owners=US):
    return leasefile.read(path, "lab", NOW_S, owners=owners)


def test_a_file_is_ours_alone_and_replaced_at_once(tmp_path):
    path = tmp_path / "lab.leases"
    (tmp_path / ".lab.leases.new").write_text("of one that was killed")
    leasefile.write(path, TEXT)
    first = path.stat()
    leasefile.write(path, TEXT)

    assert read(path) == KNOWN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_ino != first.st_ino
    assert os.listdir(tmp_path) == ["lab.leases"]


def test_a_link_in_the_place_of_the_file_leads_nowhere(tmp_path):
    target, path = tmp_path / "target", tmp_path / "lab.leases"
    target.write_text("precious")
    for link in (path, tmp_path / ".lab.leases.new"):
        link.symlink_to(target)
    with pytest.raises(ConfigError, match="a symbolic link"):
        read(path)

    leasefile.write(path, TEXT)

    assert target.read_text() == "precious"
    assert not path.is_symlink()


def test_what_cannot_be_written_leaves_all_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "lab.leases"
    leasefile.write(path, TEXT)

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        leasefile.write(path, "vswitch")

    assert path.read_text() == TEXT
    assert os.listdir(tmp_path) == ["lab.leases"]


@pytest.mark.parametrize("content", [None, ""])
def test_no_file_and_an_empty_one_have_no_leases(tmp_path, content):
    if content is not None:
        (tmp_path / "lab.leases").write_text(content)

    assert read(tmp_path / "lab.leases") == []


@pytest.mark.parametrize("content", [b"[[port]]\n", b"\x7fELF", b"vswitch\n", b"\xff" * 9])
def test_what_is_something_else_is_not_replaced(tmp_path, content):
    path = tmp_path / "lab.leases"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"lab\.leases: this is no file of leases"):
        read(path)


def test_another_switchs_file_is_not_replaced(tmp_path):
    path = tmp_path / "lab.leases"
    path.write_text(TEXT.replace(" lab ", " other "))

    with pytest.raises(ConfigError, match="the leases of switch other, and this is lab"):
        read(path)


@pytest.mark.parametrize(
    "content", [TEXT[:-3].encode(), TEXT.encode().replace(b"tap0", b"tap\xff")]
)
def test_a_damaged_file_is_warned_of_and_has_no_leases(tmp_path, content, caplog):
    path = tmp_path / "lab.leases"
    path.write_bytes(content)

    assert read(path) == []
    [record] = caplog.records
    assert f"leases of before are lost file={path}" in record.getMessage()


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_could_write_is_not_believed(tmp_path, mode):
    path = tmp_path / "lab.leases"
    path.write_text(TEXT)
    path.chmod(mode)

    with pytest.raises(ConfigError, match="nobody else can write"):
        read(path)
    path.chmod(0o644)
    assert read(path) == KNOWN
    with pytest.raises(ConfigError, match="nobody else can write"):
        read(path, owners={4_000_000})


def test_what_is_no_regular_file_keeps_nobody(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "folder"):
        with pytest.raises(ConfigError, match=r"no regular file|Is a directory"):
            read(tmp_path / name)


def test_a_file_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(leasefile, "BYTES_MAX", 100)
    (tmp_path / "lab.leases").write_text(TEXT)

    with pytest.raises(ConfigError, match="more than 100 bytes"):
        read(tmp_path / "lab.leases")
