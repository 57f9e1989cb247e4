"""``vswitch config`` and ``vswitch reload``, asking a switch that was made from a file."""

import json
import stat
from types import SimpleNamespace

import pytest

from support.configured import dgram, from_file
from support.served import served
from vswitch import cli, configfile
from vswitch.cli import run
from vswitch.control import client
from vswitch.errors import ApiError


@pytest.fixture
def vswitch(capsys):
    """Run a command line; returns (status, standard output, standard error)."""

    def run(*argv):
        status = cli.main([str(word) for word in argv])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "lab.toml"
    made.write_text("# mine\n[switch]\nageing = 5\n" + dgram(tmp_path, "one"))
    return made


@pytest.fixture
def service(file):
    made = from_file(file)
    yield made
    made.switch.close()


@pytest.fixture
def api(service, tmp_path):
    with served(service, tmp_path / "api.sock") as path:
        yield ("--api", str(path))


@pytest.fixture
def ask(api):
    with client.connect(path=api[1]) as asking:
        yield asking


# ---------------------------------------------------------------------- check


def test_a_good_file_is_not_talked_about(vswitch, file):
    assert vswitch("config", "check", file) == (0, "", "")


def test_each_mistake_is_a_line(vswitch, file):
    file.write_text("[switch]\nmtu = 1\nx = 1\n")

    status, out, err = vswitch("config", "check", file)

    assert (status, out) == (2, "")
    assert [line.rpartition(":")[0] for line in err.splitlines()] == [
        f"{file}:2",
        f"{file}:3: switch has no option 'x' (options are",
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("log-format = 'xml'", "run.log-format: 'xml' is not one of 'text', 'json'"),
        ("verbose = 1", "run.verbose is true or false"),
        ("api = true", "run.api is text or a number"),
        ("stats = 0", "run.stats: 0.0 is not in the range x>=0.1"),
        ("user = 'nosuchuser'", "run.user: no such user: 'nosuchuser'"),
        ("user = '0:nosuch'", "run.user: no such group: 'nosuch'"),
        ("user = '4000001'", "run.user: 4000001 has no group of its own"),
        ("lock = 'yes'", "run.lock is true or false"),
        ("seccomp = 'maybe'", "run.seccomp: 'maybe' is not one of 'auto', 'on', 'off'"),
        ("seccomp = true", "run.seccomp is text or a number"),
        ("port = 'a'", "run has no option 'port'"),
        ("ageing = 5", "run has no option 'ageing'"),
    ],
)
def test_how_it_is_run_is_checked_by_the_command_line(vswitch, file, line, sentence):
    file.write_text(f"[run]\n{line}\n")

    status, _, err = vswitch("config", "check", file)

    assert status == 2
    assert err.startswith(f"{file}:2: {sentence}")


def test_run_refuses_the_same_file_with_the_same_words(vswitch, file):
    file.write_text("[run]\nverbose = 1\n")

    assert vswitch("run", "--config", file) == (
        2, "", f"vswitch: {file}:2: run.verbose is true or false\n",
    )  # fmt: skip


@pytest.fixture
def started(monkeypatch):
    """What ``vswitch run`` would have started: the arguments of `daemon.run`."""
    calls = []
    daemon = SimpleNamespace(run=lambda config, **options: calls.append(options))
    monkeypatch.setattr(run, "load", lambda name: daemon)
    monkeypatch.setattr("vswitch.logs.set_up", lambda **options: None)
    return calls


def given_up(started):
    confinement = started[-1]["confinement"]
    account = confinement.account
    return account and account.uid, confinement.lock, confinement.seccomp


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], (1, True, "off")),
        (["--no-lock"], (1, False, "off")),
        (["--seccomp", "auto"], (1, True, "auto")),
        (["--user", "0:0"], (0, True, "off")),
    ],
)
def test_what_is_given_up_is_said_in_the_file_and_the_command_line_wins(
    vswitch, file, started, monkeypatch, options, wanted
):
    monkeypatch.setattr("vswitch.linux.privilege.held", lambda: {6, 7})  # who may become anybody
    with file.open("a") as more:
        more.write('[run]\nuser = "1:1"\nlock = true\nseccomp = "off"\n')

    assert vswitch("run", "--config", file, *options) == (0, "", "")
    assert given_up(started) == wanted


def test_run_refuses_every_mistake_in_a_line_of_its_own(vswitch, file):
    file.write_text("[switch]\nmtu = 1\nageing = 'soon'\n")

    status, out, err = vswitch("run", "--config", file)

    assert (status, out) == (2, "")
    assert [line.partition(": switch.")[0] for line in err.splitlines()] == [
        f"vswitch: {file}:2",
        f"{file}:3",
    ]


# ---------------------------------------------------------------------- show, diff, reload


def test_show_is_a_file_that_means_the_same(vswitch, api, service):
    status, out, err = vswitch("config", "show", *api)

    assert (status, err) == (0, "")
    assert configfile.loads(out).config() == service.config
    assert vswitch("config", *api)[1] == out


def test_show_as_json_has_the_tables(vswitch, api, tmp_path):
    _, out, _ = vswitch("config", "show", "-j", *api)

    said = json.loads(out)
    assert said["switch"] == {"name": "vswitch", "ageing": 5}
    assert said["port"][0]["remote"] == f"{tmp_path}/one-peer"


def test_diff_ends_as_diff_does(vswitch, api, file):
    same = vswitch("config", "diff", *api)
    file.write_text(file.read_text().replace("ageing = 5", "ageing = 7"))
    other = vswitch("config", "diff", *api)
    named = vswitch("config", "diff", file, *api)
    listed = vswitch("config", "diff", "-j", *api)

    assert same == (0, "", "")
    assert (other[0], other[2]) == (1, "")
    assert "-ageing = 5\n+ageing = 7\n" in other[1]
    assert named[1].splitlines()[2:] == other[1].splitlines()[2:]
    assert listed == (1, '["switch: ageing 5 -> 7"]\n', "")


def test_trouble_with_a_diff_is_status_2(vswitch, api, file, tmp_path):
    file.write_text(file.read_text().replace("ageing = 5", "pollers = 2"))

    assert vswitch("config", "diff", *api)[0] == 2
    assert vswitch("config", "diff", file, *api)[0] == 2
    assert vswitch("config", "diff", "--api", tmp_path / "nobody")[0] == 2


def test_a_diff_changes_nothing(vswitch, api, file, service, tmp_path):
    before = service.config
    file.write_text(dgram(tmp_path, "two"))

    vswitch("config", "diff", *api)

    assert service.config == before


def test_reload_says_what_it_changed(vswitch, api, file, tmp_path):
    file.write_text(file.read_text() + dgram(tmp_path, "two"))

    assert vswitch("reload", *api) == (0, "port two: opened\n", "")
    assert vswitch("reload", *api) == (0, "nothing to change\n", "")
    assert vswitch("reload", "-j", *api) == (0, "[]\n", "")


def test_a_reload_that_cannot_be_is_refused_with_the_line(vswitch, api, file):
    file.write_text("[switch]\nmtu = 1\n")

    assert vswitch("reload", *api) == (
        2, "", f"vswitch: {file}:2: switch.mtu must be in 68..65521, not 1\n",
    )  # fmt: skip


def test_a_port_that_cannot_be_opened_is_a_refusal(ask, file, tmp_path):
    (tmp_path / "two").mkdir()
    file.write_text(file.read_text() + dgram(tmp_path, "two"))

    with pytest.raises(ApiError) as caught:
        ask.reload()

    assert caught.value.code == "refused"
    assert ask.config().tables["port"][0]["name"] == "one"


# ---------------------------------------------------------------------- save


def test_save_replaces_the_file_and_keeps_its_mode(vswitch, api, file, service):
    file.chmod(0o640)
    service.set_switch(ageing_s=9)

    saved = vswitch("config", "save", *api)

    assert saved == (0, "", "")
    assert configfile.load(file).config() == service.config
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert vswitch("config", "diff", *api)[0] == 0


def test_save_may_be_repeated(vswitch, api, service):
    for ageing_s in (8, 9):
        service.set_switch(ageing_s=ageing_s)
        assert vswitch("config", "save", *api)[0] == 0


def test_save_keeps_a_link(vswitch, api, file, tmp_path):
    link = tmp_path / "link.toml"
    link.symlink_to(file)

    assert vswitch("config", "save", link, *api)[0] == 0
    assert link.is_symlink()
    assert "# mine" not in file.read_text()


def test_what_the_switch_has_not_read_is_not_replaced(vswitch, api, file, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text("precious")
    file.write_text(file.read_text() + "# edited\n")

    for path in (file, other):
        status, _, err = vswitch("config", "save", path, *api)
        assert (status, path.read_text().endswith(("# edited\n", "precious"))) == (2, True)
        assert "hint: replace it all the same: --force" in err
    assert vswitch("config", "save", "--force", other, *api) == (0, "", "")
    assert "[switch]" in other.read_text()


def test_a_reload_that_failed_has_not_read_the_file(vswitch, api, file):
    file.write_text(file.read_text() + "x = 1\n")

    assert vswitch("reload", *api)[0] == 2
    assert vswitch("config", "save", *api)[0] == 2


def test_a_switch_whose_file_is_gone_is_saved(vswitch, api, file, tmp_path):
    file.unlink()
    other = tmp_path / "other.toml"

    assert vswitch("config", "save", other, *api) == (0, "", "")
    assert "ageing = 5" in other.read_text()
    status, _, err = vswitch("config", "save", other, *api)
    assert (status, "the switch has not read it" in err) == (2, True)
    assert vswitch("config", "save", *api) == (0, "", ""), "where it was"
    assert file.read_text() == other.read_text()


def test_a_save_that_fails_leaves_the_file_and_nothing_else(vswitch, api, file, monkeypatch):
    before, folder = file.read_text(), sorted(file.parent.iterdir())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    status, _, err = vswitch("config", "save", *api)

    assert (status, "No space left" in err) == (1, True)
    assert (file.read_text(), sorted(file.parent.iterdir())) == (before, folder)


def test_a_folder_that_is_not_there_is_said_with_the_file_that_was_named(vswitch, api, tmp_path):
    path = tmp_path / "none" / "lab.toml"

    status, _, err = vswitch("config", "save", path, *api)

    assert (status, err) == (1, f"vswitch: {path}: No such file or directory\n")


def test_a_folder_is_not_a_file_to_save_to(vswitch, api, tmp_path):
    status, _, err = vswitch("config", "save", "--force", tmp_path, *api)

    assert (status, f"{tmp_path} is a folder" in err) == (2, True)
