"""A switch that was started with --lock: nothing is opened any more, and nothing lost by trying."""

import pytest

from support.configured import dgram, from_file
from vswitch.errors import LockedError
from vswitch.portconfig import PortConfig


@pytest.fixture
def service(tmp_path):
    """A locked switch with port one, from tmp_path/lab.toml."""
    file = tmp_path / "lab.toml"
    file.write_text(dgram(tmp_path, "one"))
    made = from_file(file)
    made.locked = True
    yield made
    made.switch.close()


def test_it_opens_no_port_and_no_listener(service, tmp_path):
    with pytest.raises(LockedError, match="takes no more ports: it was started with --lock"):
        service.add_port(PortConfig.parse("record:/dev/null,name=two"))
    with pytest.raises(LockedError):
        service.listen(PortConfig.parse_listener(f"qemu:{tmp_path}/lan.sock"))

    assert list(service.switch.ports) == ["one"]
    assert not (tmp_path / "lan.sock").exists()


def test_a_reload_that_would_open_a_port_closes_none(service, tmp_path):
    (tmp_path / "lab.toml").write_text(dgram(tmp_path, "one", 'mode = "0600"'))

    with pytest.raises(LockedError):
        service.reload()

    assert list(service.switch.ports) == ["one"]
    assert (tmp_path / "one").is_socket()


def test_a_reload_that_opens_nothing_is_made(service, tmp_path):
    (tmp_path / "lab.toml").write_text(dgram(tmp_path, "one", "learning = false"))

    service.reload()

    assert not service.config.ports[0].learning
