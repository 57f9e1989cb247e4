"""Frames that came unfinished: what the plain-Python core makes of them is what the C makes."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.budget import examples
from support.super_frames import Finisher, Super, build, datagrams, super_frames
from vswitch._slowfinish import FINISHED, finish


@pytest.fixture(scope="module")
def c(tmp_path_factory) -> Iterator[Finisher]:
    with Finisher(tmp_path_factory.mktemp("finisher")) as made:
        yield made


def by_python(record: bytes) -> list[bytes]:
    with mock.patch("os.urandom", bytes):  # fragments have zeroes for it, as the C program's
        return finish(record)


def by_c(c: Finisher, vnet: bytes, frame: bytes) -> list[bytes]:
    done = c.finish(vnet, frame)
    return [vnet + frame] if done is None else [FINISHED + f for f in done]


@settings(max_examples=examples(100), deadline=None)
@given(given_frame=super_frames())
def test_super_frames_are_cut_alike(c, given_frame: Super):
    vnet, frame = given_frame.vnet, given_frame.frame

    assert finish(vnet + frame) == by_c(c, vnet, frame)


@settings(max_examples=examples(100), deadline=None)
@given(given_frame=datagrams(("", "h", "d", "r", "hdr", "hdrd")))
def test_datagrams_are_fragmented_alike(c, given_frame: Super):
    vnet, frame = given_frame.vnet, given_frame.frame

    assert by_python(vnet + frame) == by_c(c, vnet, frame)


@settings(max_examples=examples(100), deadline=None)
@given(
    is_v6=st.booleans(),
    is_udp=st.booleans(),
    tags=st.integers(0, 2),
    payload_len=st.integers(0, 2000),
    seed=st.integers(0, 0xFFFF),
)
def test_checksums_are_summed_alike(c, is_v6, is_udp, tags, payload_len, seed):
    given_frame = build(
        is_v6=is_v6, is_udp=is_udp, tags=tags, payload_len=payload_len, seed=seed, gso=False
    )
    vnet, frame = given_frame.vnet, given_frame.frame

    assert finish(vnet + frame) == by_c(c, vnet, frame)


@settings(max_examples=examples(150), deadline=None)
@given(
    given_frame=super_frames() | datagrams(),
    spoilt=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), min_size=1, max_size=3),
    cut=st.none() | st.integers(24, 200),
)
def test_what_does_not_fit_is_refused_alike(c, given_frame: Super, spoilt, cut):
    record = bytearray(given_frame.vnet + given_frame.frame)
    for at, value in spoilt:
        record[at % len(record)] = value
    record = bytes(record[:cut])

    assert by_python(record) == by_c(c, record[:10], record[10:])
