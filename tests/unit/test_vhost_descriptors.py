"""Descriptors of a front-end: which are kept, and that they are nobody else's."""

from __future__ import annotations

import os
import socket

import pytest

from vswitch.ports import vhost_descriptors
from vswitch.ports.vhost_descriptors import is_prompt, receive


@pytest.mark.parametrize("fs", ["fuse.sshfs", "nfs4", "ext4"])
def test_a_file_counts_by_the_file_system_of_its_mount(monkeypatch, tmp_path, fs):
    monkeypatch.setattr(vhost_descriptors, "_file_system", lambda _: fs)
    with open(os.open("/proc/self/status", os.O_RDONLY)) as file:
        assert is_prompt(file.fileno()) == (fs == "ext4")


def test_memory_and_eventfds_are_prompt_and_what_has_no_mount_in_sight_is_not():
    memory, event = os.memfd_create("guest"), os.eventfd(0)
    reader, writer = os.pipe()
    with open("/proc/self/status") as status, socket.socket() as connection:
        found = [is_prompt(fd) for fd in (memory, event)]
        strange = [is_prompt(f) for f in (reader, writer, status.fileno(), connection.fileno())]
    for fd in (memory, event, reader, writer):
        os.close(fd)

    assert found == [True, True]
    assert strange == [False] * 4


def test_children_never_inherit_what_came():
    left, right = socket.socketpair()
    with left, right:
        socket.send_fds(left, [b"x"], [left.fileno()] * 2)
        data, fds, more = receive(right, 1, 2)
        inheritable = [os.get_inheritable(fd) for fd in fds]
        for fd in fds:
            os.close(fd)

    assert (data, inheritable, more) == (b"x", [False, False], False)
