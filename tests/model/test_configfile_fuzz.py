"""Any configuration, written and read; any text, read."""

import tomllib
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from support.configurations import configurations, fields_left_out
from vswitch import configfile
from vswitch.errors import ConfigError
from vswitch.portconfig import KINDS, OPTIONS
from vswitch.tomltext import written

TABLES = ["switch", "port", "listen", "run", "strange"]
KEYS = sorted({*OPTIONS, "port", "listen", "kind", "address", "ageing", "core", "forward"})
VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.integers(0, 9000)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([*KINDS, "on", "off", "max", "/a/b", "tap0", "tap0,mtu=9000", "1.2.3.4:5"])
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
TABLE = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), VALUES, max_size=5)
DOCUMENTS = st.dictionaries(
    st.sampled_from(TABLES), TABLE | st.lists(TABLE, max_size=3) | VALUES, max_size=4
)


def toml(value):
    """Any value in TOML, with tables inline."""
    if isinstance(value, dict):
        inside = ", ".join(f"{written(key)} = {toml(v)}" for key, v in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return written(value) if isinstance(value, (bool, int, float, str)) else str(value)


def config_or_none(text):
    """What *text* says, None if it is refused; anything else is a mistake of ours."""
    try:
        return configfile.loads(text).config()
    except ConfigError:
        return None


def test_every_field_of_a_port_has_an_option_or_a_place():
    assert fields_left_out() == {"kind", "address", "switch"}


@settings(deadline=None)
@given(configurations())
def test_what_is_written_is_read_as_the_same(config):
    text = configfile.dumps(config)

    assert configfile.loads(text).config() == config
    assert tomllib.loads(text)["switch"]["name"] == config.name


@settings(deadline=None)
@given(DOCUMENTS)
def test_any_document_is_a_configuration_or_refused(document):
    text = "".join(f"{name} = {toml(value)}\n" for name, value in document.items())

    config = config_or_none(text)

    if config is not None:
        assert configfile.loads(configfile.dumps(config)).config() == config


@settings(deadline=None)
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["[", "]", "=", '"', "port", "\n"])).map("".join)
)
def test_any_text_is_a_configuration_or_refused(text):
    config_or_none(text)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_configuration_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)

    with suppress(ConfigError):
        configfile.load(path).config()


def test_what_is_nested_too_deep_or_too_long_is_refused():
    assert config_or_none("[switch]\nname = " + "[" * 100_000) is None
    assert config_or_none("[switch]\nmtu = " + "9" * 5_000) is None
    assert config_or_none("[switch]\nmtu = 0x" + "f" * 50_000) is None
