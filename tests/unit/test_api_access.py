"""Who may ask: by the kernel's word on a unix socket, by a token on TCP."""

import json
import os
import socket
import stat
import threading
from contextlib import ExitStack

import pytest

from support.raw_http import ask_json, connected, is_closed, read_answer, request
from support.served import answering, served
from support.wait import wait_for
from vswitch.cli import main
from vswitch.control import access, doors
from vswitch.control.access import Access, group_id, read_token
from vswitch.control.client import connect
from vswitch.control.remote import Remote
from vswitch.errors import ApiError, ConfigError
from vswitch.linux import inet, peer
from vswitch.service import Service

TOKEN = "0123456789abcdef"
STRANGER = 4711
STATION = bytes([2, 0, 0, 0, 0, 1])


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def tcp(lab):
    """A function that serves a switch on TCP at a port of the host's choice, and says where."""
    with ExitStack() as stack:

        def serve(host="127.0.0.1"):
            made = serve.lab = lab("a")
            listener = stack.enter_context(inet.listening((host, 0), 50))
            opened = doors.Doors((listener,), Access(token=TOKEN))
            stack.enter_context(answering(Service(made.switch, made.switch.config), opened))
            return listener.getsockname()[:2]

        yield serve


@pytest.fixture
def strangers(monkeypatch):
    """From now on who connects is another user of this host, with groups of his own."""

    def come(*groups):
        monkeypatch.setattr(peer, "credentials", lambda _: peer.Credentials(1, STRANGER, STRANGER))
        monkeypatch.setattr(peer, "groups", lambda _: groups)

    return come


# ---------------------------------------------------------------------- the unix socket


def test_the_kernel_says_who_connected():
    here, there = socket.socketpair()
    with here, there:
        assert peer.credentials(here) == (os.getpid(), os.geteuid(), os.getegid())
        assert set(peer.groups(here)) == set(os.getgroups())


def test_another_user_hears_that_he_may_not_and_the_log_says_it_once(
    lab, tmp_path, strangers, caplog
):
    with served(lab("a").switch, tmp_path / "s") as path:
        strangers()
        answers = [ask_json(path, request("GET", "/v1/switch")) for _ in range(5)]

    assert answers == [(403, {"error": access.NOT_YOURS, "code": "forbidden"})] * 5
    assert [r.getMessage() for r in caplog.records] == [
        f"api refused a client of another user pid=1 uid={STRANGER} gid={STRANGER}"
    ]


def test_another_user_who_does_not_go_is_sent_away(lab, tmp_path, strangers):
    with served(lab("a").switch, tmp_path / "s") as path, ExitStack() as stack:
        strangers()
        many = [stack.enter_context(connected(path)) for _ in range(40)]
        for connection in many:
            connection.settimeout(10)
            while not is_closed(connection):
                pass


def test_a_client_passes_on_that_it_may_not(lab, tmp_path, strangers):
    with served(lab("a").switch, tmp_path / "s") as path, connect(path=path) as client:
        strangers()

        with pytest.raises(ApiError) as caught:
            client.switch()

    assert (str(caught.value), caught.value.code) == (access.NOT_YOURS, "forbidden")


def test_a_member_of_the_group_may_ask(lab, tmp_path, strangers):
    group = str(os.getegid())
    with served(lab("a").switch, tmp_path / "s", wanted=doors.Wanted(group=group)) as path:
        found = path.stat()
        strangers(1, os.getegid())
        status, _ = ask_json(path, request("GET", "/v1/switch"))
        strangers(1, 2)
        refused, _ = ask_json(path, request("GET", "/v1/switch"))

    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getegid())
    assert (status, refused) == (200, 403)


def test_root_may_ask_a_users_switch(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(peer, "credentials", lambda _: peer.Credentials(1, 0, 0))

    here, there = socket.socketpair()
    with here, there:
        assert Access(owner=STRANGER).admits(here)


def test_a_group_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="--api-group: no group 'nix' on this host"):
        group_id("nix")


# ---------------------------------------------------------------------- TCP


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_over_tcp_the_token_opens(tcp, host):
    place = tcp(host)

    status, said = ask_json(place, request("GET", "/v1/switch", Authorization=f"Bearer {TOKEN}"))

    assert (status, said["name"]) == (200, "lab")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        TOKEN,
        f"Bearer {TOKEN[:-1]}F",
    ],
)
def test_over_tcp_nothing_else_does(tcp, said):
    place = tcp()
    with connected(place) as connection:
        connection.sendall(request("GET", "/v1/nix", **({"Authorization": said} if said else {})))
        status, headers, body = read_answer(connection)

    assert (status, json.loads(body)["code"]) == (401, "unauthorized")
    assert headers["www-authenticate"] == 'Bearer realm="vswitch"'


def test_over_tcp_events_are_told_to_who_says_the_token(tcp, token_file):
    remote = Remote.at(f"http://{inet.text(tcp())}", token_file)
    switch = tcp.lab.switch

    def happen():
        wait_for(lambda: switch.observer._subscriptions, "somebody who watches")
        switch.pin(STATION, "a")

    thread = threading.Thread(target=happen)
    thread.start()
    with connect(remote=remote) as client:
        event = next(client.watch(kinds="pinned"))
    thread.join()

    assert (event.kind, event.mac, event.port) == ("pinned", STATION.hex(":"), "a")


@pytest.mark.parametrize("token", ["", f"Bearer {TOKEN[::-1]}"])
def test_over_tcp_events_are_told_to_nobody_else(tcp, token):
    said = {"Authorization": token} if token else {}
    with connected(tcp()) as connection:
        connection.sendall(
            request(
                "GET", "/v1/events", Connection="Upgrade", Upgrade="websocket",
                Sec_WebSocket_Version="13", Sec_WebSocket_Key="MDEyMzQ1Njc4OWFiY2RlZg==", **said,
            )
        )  # fmt: skip
        status, _, body = read_answer(connection)

    assert (status, json.loads(body)["code"]) == (401, "unauthorized")
    assert tcp.lab.switch.observer._subscriptions == []


def test_a_wrong_token_is_no_traceback_for_who_watches(tcp, token_file):
    token_file.write_text(TOKEN[::-1])
    remote = Remote.at(f"http://{inet.text(tcp())}", token_file)

    with connect(remote=remote) as client, pytest.raises(ApiError, match="cannot watch") as e:
        next(client.watch())

    assert "401" in str(e.value)
    assert TOKEN[::-1] not in str(e.value)


def test_without_the_token_a_body_is_not_looked_at(tcp):
    status, _ = ask_json(tcp(), request("POST", "/v1/ports", b"nonsense"))

    assert status == 401


@pytest.mark.parametrize(
    ("content", "mode", "error"),
    [
        ("", 0o600, "is empty"),
        (" \n", 0o600, "is empty"),
        ("short", 0o600, "is not a line of 16 to 1024 characters"),
        ("x" * 1025, 0o600, "is not a line of 16 to 1024 characters"),
        (f"{TOKEN}\n{TOKEN}", 0o600, "is not a line of 16 to 1024 characters"),
        ("ä" * 16, 0o600, "is not a line of 16 to 1024 characters"),
        (TOKEN, 0o604, r"is open to others \(mode 0604\)"),
        (TOKEN, 0o620, r"is open to others \(mode 0620\)"),
    ],
)
def test_a_token_that_is_none_is_refused(token_file, content, mode, error):
    token_file.write_text(content)
    token_file.chmod(mode)

    with pytest.raises(ConfigError, match=error):
        read_token(token_file)


def test_a_group_may_read_a_token(token_file):
    token_file.chmod(0o440)  # as systemd hands out credentials

    assert read_token(token_file) == TOKEN


def test_a_token_is_in_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(ConfigError, match="is not a file"):
        read_token(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"cannot read the token in .*: No such file"):
        read_token(tmp_path / "nix")


def test_a_token_is_in_no_text_of_ours():
    assert TOKEN not in repr(Access(token=TOKEN)) + repr(Remote("h", 1, TOKEN))


# ---------------------------------------------------------------------- the command line


def test_the_command_asks_over_tcp(tcp, token_file, capsys, monkeypatch):
    url = f"http://{inet.text(tcp('::1'))}"

    assert main(["show", "-j", "--api", url, "--api-token-file", str(token_file)]) == 0
    monkeypatch.setenv("VSWITCH_API_TOKEN_FILE", str(token_file))
    assert main(["fdb", "show", "--api", url]) == 0
    assert json.loads(capsys.readouterr().out)["switch"]["name"] == "lab"


def test_the_command_passes_on_that_the_token_is_another(tcp, token_file, capsys):
    token_file.write_text(TOKEN[::-1])

    url = f"http://{inet.text(tcp())}"

    assert main(["show", "--api", url, "--api-token-file", str(token_file)]) == 1
    assert "this needs the token of the switch\nhint: " in capsys.readouterr().err


def test_nobody_at_the_other_end_is_said(token_file, capsys):
    with inet.listening(("127.0.0.1", 0), 1) as gone:
        url = f"http://{inet.text(gone.getsockname())}"

    assert main(["show", "--api", url, "--api-token-file", str(token_file)]) == 1
    assert f"no switch answers at {url}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("run --port a --api-listen h:1", "--api-listen needs --api-token-file: over TCP anybody"),
        ("run --port a --api-token-file /f", "--api-token-file needs --api-listen"),
        ("show --api http://localhost:80", "http://localhost:80 wants to hear a token"),
        ("show --api http://x --api-token-file /f", "--api: not HOST:PORT: 'x'"),
        ("show --api https://x:1", "--api is a path or http://HOST:PORT, not 'https://x:1'"),
        ("show -S x --api http://x:1 --api-token-file {t}", "-S and --api exclude one another"),
    ],
)
def test_options_that_cannot_be_are_refused_in_a_sentence(
    line, error, token_file, capsys, monkeypatch
):
    monkeypatch.delenv("VSWITCH_API_TOKEN_FILE", raising=False)

    assert main(line.format(t=token_file).split()) == 2
    assert f"vswitch: {error}" in capsys.readouterr().err


def test_a_port_of_tcp_that_is_taken_is_said(token_file, tmp_path):
    with inet.listening(("127.0.0.1", 0), 1) as other:
        place = inet.text(other.getsockname())
        wanted = doors.Wanted(listen=place, token_file=token_file)

        with pytest.raises(ConfigError, match=f"cannot listen at {place}: Address already in use"):
            doors.opened(tmp_path / "s", "lab", wanted).__enter__()

    assert not (tmp_path / "s").exists()
