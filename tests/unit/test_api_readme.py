"""The curl lines of README.md, as requests to a switch."""

import argparse
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from support.raw_http import ask, request
from support.served import served
from vswitch import MemoryPort
from vswitch.control.handlers import ROUTES
from vswitch.service import Service

README = Path(__file__).parents[2] / "README.md"
NAME = "http://vswitch"


def lines():
    """The lines of curl, without "ask"."""
    section = README.read_text().split("### The API\n", 1)[1].split("\n#", 1)[0]
    return re.findall(r"^\$ ask (.*)$", section, re.MULTILINE)


def asked(line):
    """(method, target, body) as curl(1) reads its command line."""
    curl = argparse.ArgumentParser()
    curl.add_argument("-X", dest="method")
    curl.add_argument("--json")
    curl.add_argument("url")
    given = curl.parse_args(shlex.split(line, comments=True))
    assert given.url.startswith(f"{NAME}/")
    body = None if given.json is None else given.json.encode()
    return given.method or ("POST" if body else "GET"), given.url.removeprefix(NAME), body


def test_every_line_does_what_it_says(lab, tmp_path):
    made = lab("tap0")
    service = Service(
        made.switch, made.switch.config, opener=lambda config: MemoryPort(config.name)
    )
    with served(service, tmp_path / "s") as path:
        for line in lines():
            method, target, body = asked(line)
            kind = {} if body is None else {"Content_Type": "application/json"}
            status, _, said = ask(path, request(method, target, body, **kind))

            assert status in (200, 201), (line, said)


def test_every_noun_has_a_line():
    gets = [route.path for route in ROUTES if route.method == "GET"]
    nouns = {path.split("/")[2] for path in gets if path.startswith("/v1/")}

    assert nouns <= {urlsplit(asked(line)[1]).path.split("/")[2] for line in lines()}
