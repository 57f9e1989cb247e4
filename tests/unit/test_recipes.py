"""The lines for virtual machines in README.md; tests/vms boots machines with them."""

import pytest

from support.recipe import recipe
from vswitch.portconfig import PortConfig


@pytest.mark.parametrize("kind", ["tap", "stream", "dgram"])
def test_the_switch_takes_the_line(kind):
    words = recipe(kind).vswitch

    parse = {"--port": PortConfig.parse, "--listen": PortConfig.parse_listener}
    for option, value in zip(words[::2], words[1::2], strict=True):
        parse[option](value)


@pytest.mark.parametrize("kind", ["tap", "stream", "dgram"])
def test_the_second_vm_has_an_address_of_its_own(kind):
    first, second = (recipe(kind).machine(number) for number in (1, 2))

    assert first[1] == "virtio-net,netdev=n0,mac=52:54:00:00:00:01"
    assert second[1] == "virtio-net,netdev=n0,mac=52:54:00:00:00:02"


def test_both_ends_of_datagrams_name_one_another():
    for number in (1, 2):
        vm = dict(word.split("=") for word in recipe("dgram").machine(number)[3].split(",")[1:])
        there, back = vm["remote.path"], vm["local.path"]
        assert f"dgram:{there},remote={back}" in recipe("dgram").vswitch
