"""The API's own description, and schemathesis, which believes and tries it."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from support.budget import examples
from support.raw_http import ask, request
from support.served import answering, served
from vswitch import MemoryPort
from vswitch.control import doors
from vswitch.control.access import Access
from vswitch.control.handlers import ROUTES
from vswitch.linux import inet
from vswitch.service import Service

TOKEN = "0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
EXAMPLES = examples(3)  # of each operation, right ones and wrong ones
NAMES = st.sampled_from([None, "a", "b", "tap7", "tap8"])  # or what it makes up
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture
def document(lab, tmp_path):
    with served(lab("a").switch, tmp_path / "s") as path:
        _, _, body = ask(path, request("GET", "/v1/openapi.json"))
    return json.loads(body)


def test_every_route_is_described_and_nothing_else(document):
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }

    assert described == {(route.method, route.path) for route in ROUTES}


def test_every_reference_leads_somewhere(document):
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}

    assert names == set(document["components"]["schemas"])


def test_every_operation_says_what_it_takes_and_how_it_fails(document):
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["summary"]
            assert {"400", "403", "431", "500", "503"} < set(operation["responses"])
    listed = document["paths"]["/v1/fdb"]["get"]
    assert [p["name"] for p in listed["parameters"]] == ["port", "mac", "vid", "static", "at"]
    assert "every parameter" in listed["description"]
    codes = document["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    assert {"bad-input", "not-found", "busy"} < set(codes)


def test_no_two_operations_have_one_name(document):
    names = [op["operationId"] for item in document["paths"].values() for op in item.values()]

    assert len(names) == len(set(names))


def test_what_is_described_is_what_happens(lab):
    """Every port that is opened here is one of memory, whatever it is asked to be."""
    made = lab("a", "b")
    made.switch.pin(bytes([2, 0, 0, 0, 0, 2]), "b")
    service = Service(
        made.switch, made.switch.config, opener=lambda config: MemoryPort(config.name)
    )
    with inet.listening(("127.0.0.1", 0), 50) as listener:
        opened = doors.Doors((listener,), Access(token=TOKEN))
        with answering(service, opened):
            _drive(f"http://{inet.text(listener.getsockname())}")


def _drive(url):
    document = schemathesis.openapi.from_url(f"{url}/v1/openapi.json", headers=HEADERS)
    document.config.update(base_url=url)
    for found in document.get_all_operations():
        operation = found.ok()
        _try(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), NAMES)
        if operation.body or operation.query:  # where any string will do, nothing can be wrong
            _try(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), st.none())


def _try(cases, names):
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, name=names)
    def asked(case, name):
        for part in (case.path_parameters, case.query, case.body):
            if name and isinstance(part, dict) and "port" in part:
                part["port"] = name
        case.validate_response(case.call(headers=HEADERS), headers=HEADERS, checks=CHECKS)

    asked()


def test_a_parameter_says_its_range_and_what_it_is_by_default(document):
    parameters = document["paths"]["/v1/events/history"]["get"]["parameters"]
    [limit] = [one for one in parameters if one["name"] == "limit"]

    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 110000, "default": 1000}
    assert not limit["required"]
