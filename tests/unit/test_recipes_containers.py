"""What makes a port a container's eth0: exact text."""

import pytest

from vswitch.errors import ConfigError
from vswitch.recipes import Plug, container_args

TAP = Plug("tap0", "tap", end="file", driver="tap")


def test_docker_begins_without_a_network_and_gets_the_tap_once_it_runs():
    recipe = container_args(TAP, engine="docker", name="web", ip="10.0.0.2/24")

    assert recipe.text == "--network none --name web"
    assert recipe.steps == (
        "# once it runs, as root:",
        "pid=$(docker inspect -f '{{.State.Pid}}' web)",
        "ip link set dev tap0 netns $pid name eth0",
        "nsenter -t $pid -n ip link set dev eth0 up",
        "nsenter -t $pid -n ip addr add 10.0.0.2/24 dev eth0",
    )


def test_podman_joins_a_namespace_that_is_ready():
    recipe = container_args(TAP, engine="podman", name="web", ip="10.0.0.2/24")

    assert recipe.text == "--network ns:/run/netns/web --name web"
    assert recipe.steps == (
        "# before, as root:",
        "ip netns add web",
        "ip link set dev tap0 netns web name eth0",
        "ip -n web link set dev lo up",
        "ip -n web link set dev eth0 up",
        "ip -n web addr add 10.0.0.2/24 dev eth0",
    )


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_without_an_address_none_is_added(engine):
    steps = container_args(TAP, engine=engine, name="web").steps

    assert "addr" not in " ".join(steps)


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_names_are_quoted_for_the_shell(engine):
    recipe = container_args(Plug("t$x", "tap", end="file"), engine=engine, name="a b")

    assert "'a b'" in recipe.text or "'ns:/run/netns/a b'" in recipe.text
    assert "dev 't$x' netns" in " ".join(recipe.steps)


def test_what_ends_with_the_container_is_said():
    assert "tap0 goes with the container, and its port is gone then" in " ".join(
        container_args(TAP, engine="docker", name="web").notes
    )


def test_that_no_switch_was_asked_is_said():
    notes = container_args(Plug("tap0", "auto"), engine="podman", name="web").notes

    assert "start vswitch --port tap0 first" in notes[0]


@pytest.mark.parametrize(
    ("plug", "said"),
    [
        (
            Plug("v0", "netdev", end="interface", driver="veth"),
            "v0: the switch holds the interface end, so a container cannot have it",
        ),
        (
            Plug("lan", "qemu", address="/tmp/lan.sock"),
            "lan is a port of kind qemu, and a container needs a device",
        ),
        (Plug("a", "memory"), "a is a port of kind memory, and a container needs a device"),
    ],
)
def test_without_a_device_to_move_there_is_a_sentence_and_a_way_out(plug, said):
    with pytest.raises(ConfigError) as caught:
        container_args(plug, engine="docker", name="web")

    assert str(caught.value) == said
    assert "a TAP" in caught.value.hint
