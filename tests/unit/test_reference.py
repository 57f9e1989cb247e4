"""What makes the reference a reference: it can be read, and it stands alone."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect

from vswitch import reference


def test_the_example_at_its_top_is_true():
    failed, attempted = doctest.testmod(reference)

    assert attempted
    assert not failed


def test_it_is_short_enough_to_be_read():
    assert len(inspect.getsource(reference).splitlines()) <= 400


def imported(module):
    """The modules of vswitch that *module* imports, and that those import."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    own = {name for name in found if name.startswith("vswitch.")}
    return own.union(*map(imported, own))


def test_it_shares_nothing_with_the_compiled_side():
    shared = {name.removeprefix("vswitch.") for name in imported("vswitch.reference")}

    assert {name for name in shared if not name.startswith("reference_")} == {
        "errors",
        "guarding",
        "meters",
        "mirrors",
        "neighbours",
        "portsettings",
        "vlans",
        "wire.loop",
        "wire.neighbour",
    }
