"""What makes the reference a reference: it can be read, and it stands alone."""

from __future__ import annotations

import ast
import doctest
import inspect

from vswitch import reference


def test_the_example_at_its_top_is_true():
    failed, attempted = doctest.testmod(reference)

    assert attempted
    assert not failed


def test_it_is_short_enough_to_be_read():
    assert len(inspect.getsource(reference).splitlines()) <= 400


def test_it_shares_nothing_with_the_compiled_side():
    tree = ast.parse(inspect.getsource(reference))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {m for m in modules if m.startswith("vswitch")} == {"vswitch.errors"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
