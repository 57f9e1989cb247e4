"""What the API says to a request that cannot be: the field, in a sentence, as JSON."""

import json

import pytest

from support.raw_http import ask, ask_json, connected, read_answer, request
from support.served import served
from vswitch.portconfig import LIVE

JSON = {"Content_Type": "application/json"}


@pytest.fixture
def api(lab, tmp_path):
    made = lab("a", "b")
    with served(made.switch, tmp_path / "lab.sock") as path:
        yield path


@pytest.mark.parametrize(
    ("method", "target", "body", "error"),
    [
        ("POST", "/v1/ports", b"", "the body is empty"),
        ("POST", "/v1/ports", b" \n", "the body is empty"),
        ("POST", "/v1/ports", b"port=a", "the body is not JSON: invalid character (byte 0)"),
        ("POST", "/v1/ports", b'{"port":"a"', "the body is not JSON: input data was truncated"),
        ("POST", "/v1/ports", b'{"port":"\xff"}', "the body is not UTF-8"),
        ("POST", "/v1/ports", b'["a"]', "the body must be an object, not a list"),
        ("POST", "/v1/ports", b"{}", "field 'port' is missing"),
        ("POST", "/v1/ports", b'{"port":1}', "port must be a string, not a whole number"),
        ("POST", "/v1/ports", b'{"port":null}', "port must be a string, not null"),
        ("POST", "/v1/ports", b'{"port":"a","x":1}', "there is no field 'x'"),
        ("POST", "/v1/ports", b'{"port":"a"}', "port a is there already"),
        ("PATCH", "/v1/ports/a", b'{"learning":1}', "learning must be true or false, not a"),
        ("PATCH", "/v1/ports/a", b'{"fdb_limit":-1}', "fdb_limit must be at least 0"),
        ("PATCH", "/v1/ports/a", b'{"fdb_limit":1e400}', "fdb_limit: number out of range"),
        ("PATCH", "/v1/ports/a", b'{"fdb_limit":99999999999999999999}', "fdb_limit must be at m"),
        ("PATCH", "/v1/switch", b'{"forward":["stp",1]}', "forward[1] must be a string, not a w"),
        ("PATCH", "/v1/switch", b'{"forward":' + b"[" * 9999, "forward[0] must be a string, not"),
        ("GET", "/v1/ports", b"{}", "GET /v1/ports takes no body"),
        ("GET", "/v1/fdb?vid=x", None, "vid must be a whole number, not a string"),
        ("GET", "/v1/fdb?static=maybe", None, "static must be true or false, not a string"),
        ("GET", "/v1/fdb?mac=ff:ff:ff:ff:ff:ff", None, "mac: a station's address is unicast and"),
    ],
)
def test_an_error_names_the_field_in_a_sentence(api, method, target, body, error):
    status, said = ask_json(api, request(method, target, body, **JSON))

    assert 400 <= status <= 409
    assert said["error"].startswith(error), said


def test_an_unknown_field_is_answered_with_those_there_are(api):
    _, said = ask_json(api, request("PATCH", "/v1/ports/a", b'{"learn":true}', **JSON))

    assert said["hint"] == f"fields are: {', '.join(LIVE)}"
    assert said["hint"].startswith("fields are: learning, forwarding, ")


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "application/jsonp", "nonsense"]
)
def test_a_body_of_another_type_is_refused(api, kind):
    status, said = ask_json(api, request("POST", "/v1/ports", b'{"port":"a"}', Content_Type=kind))

    assert (status, said["code"], said["hint"]) == (415, "bad-type", "with curl: --json '{...}'")


@pytest.mark.parametrize("kind", [{}, {"Content_Type": "application/json; charset=utf-8"}, JSON])
def test_a_body_of_json_is_read_however_that_is_said(api, kind):
    status, _ = ask_json(api, request("PATCH", "/v1/ports/a", b'{"learning":false}', **kind))

    assert status == 200


@pytest.mark.parametrize(
    ("target", "status", "error"),
    [
        ("/v1/ports/a%2Fb", 404, "no port a/b"),
        ("/v1/ports/%2e%2e", 404, "no port .."),
        ("/v1/ports/%00", 404, "no port \0"),
        ("/v1/ports/%ff", 404, "no port %ff"),
        ("/v1/ports/%61", 200, None),
        ("/v1/ports/", 404, "nothing at /v1/ports/"),
        ("/v1/../v1/ports", 404, "nothing at /v1/../v1/ports"),
        ("//v1/ports", 404, "nothing at //v1/ports"),
        ("http://elsewhere/v1/ports/a", 200, None),
    ],
)
def test_escapes_in_a_path_are_read_once(api, target, status, error):
    answered, said = ask_json(api, request("GET", target))

    assert (answered, said.get("error")) == (status, error)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad-input"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad-input"),  # TLS
        (b"GET /v1/ports HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400, "bad-input"),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "too-large"),
        (request("GET", "/v1/ports", X="y" * 5000), 431, "too-large"),
        (request("GET", "/v1/ports", **{f"X{i}": "y" for i in range(99)}), 400, "bad-input"),
        (request("GET", "/v1/ports", Expect="miracles"), 417, "bad-input"),
        (request("POST", "/v1/ports", b"x" * 65537, **JSON), 413, "too-large"),
        (request("POST", "/v1/ports", b"xy", Content_Encoding="gzip", **JSON), 415, "bad-type"),
        (request("POST", "/v1/ports", Transfer_Encoding="chunked") + b"zz\r\n", 400, "bad-input"),
        (b"GET /v1/ports/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad-input"),
        (request("OPTIONS", "*"), 404, "not-found"),
        (request("OPTIONS", "/v1/ports"), 405, "bad-method"),
        (request("BREW", "/v1/ports"), 400, "bad-input"),
        (request("CONNECT", "localhost:80"), 404, "not-found"),
        (request("GET", "/v1/nix", Upgrade="websocket", Connection="upgrade"), 404, "not-found"),
    ],
    ids=range(16),
)
def test_what_is_hardly_http_is_answered_with_json(api, sent, status, code):
    answered, said = ask_json(api, sent)

    assert (answered, said["code"]) == (status, code), said
    assert "\n" not in said["error"]


def test_head_is_get_without_the_body(api):
    _, asked, _ = ask(api, request("GET", "/v1/switch"))
    with connected(api) as connection:
        connection.sendall(request("HEAD", "/v1/switch") + request("GET", "/v1/ports/a"))
        status, headers, _ = read_answer(connection, head_only=True)
        _, _, following = read_answer(connection)

    assert (status, headers["content-type"]) == (200, asked["content-type"])
    assert json.loads(following)["name"] == "a"


def test_a_bug_of_ours_is_said_without_its_words(api, monkeypatch, caplog):
    monkeypatch.setattr("vswitch.switch.Switch.port_statuses", lambda _: 1 / 0)

    status, said = ask_json(api, request("GET", "/v1/ports"))

    assert (status, said["code"]) == (500, "internal")
    assert "division" not in said["error"]
    assert "ZeroDivisionError" in caplog.text
