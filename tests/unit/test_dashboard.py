"""contrib/grafana: a dashboard that asks for what there is."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.command import ROOT
from vswitch import metrics

# What Grafana's import wants of a dashboard, and of a panel (its schema version 39).
DASHBOARD = {"title", "uid", "schemaVersion", "panels", "templating", "time", "refresh", "version"}
PANEL = {"id", "type", "title", "gridPos"}
WIDTH = 24


@pytest.fixture(scope="module")
def dashboard():
    return json.loads((ROOT / "contrib" / "grafana" / "vswitch.json").read_text())


@pytest.fixture
def samples(lab):
    """Names of samples to the names of their labels."""
    text = metrics.exposition(lab("a").switch)[0].decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def queries(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def named(query):
    return set(re.findall(r"\b(?:vswitch|process)_\w+", query))


def test_the_dashboard_is_one(dashboard):
    assert dashboard.keys() >= DASHBOARD
    assert all(panel.keys() >= PANEL for panel in dashboard["panels"])
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_no_panel_lies_on_another(dashboard):
    taken = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        places = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not places & taken, panel["title"]
        assert at["x"] + at["w"] <= WIDTH, panel["title"]
        taken |= places


def test_every_metric_it_asks_for_exists(dashboard, samples):
    for query in queries(dashboard):
        assert named(query), query
        assert named(query) <= samples.keys(), query


def test_every_label_it_asks_for_exists(dashboard, samples):
    for query in queries(dashboard):
        known = set().union(*(samples[name] for name in named(query)))
        by = {
            label for found in re.findall(r"by \(([^)]*)\)", query) for label in found.split(", ")
        }
        matched = {label for found in re.findall(r"{([^}]*)}", query)
                   for label in re.findall(r"(\w+)=~", found)}  # fmt: skip
        assert by | matched <= known, query


def test_every_metric_of_the_switch_is_on_it(dashboard, samples):
    shown = set().union(*map(named, queries(dashboard)))

    assert {name for name in samples if name.startswith("vswitch_")} <= shown
