"""Pairing, statistics, table and command line of the benchmark; no root, no timing."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

# The files there are scripts beside one another, not a package; the path is theirs only for now.
sys.path.insert(0, str(BENCHMARKS))
try:
    compare, rounds, table, targets, streams, idle_ports, guests = map(
        import_module,
        ("compare", "rounds", "table", "targets", "streams", "idle_ports", "guests"),
    )
finally:
    sys.path.remove(str(BENCHMARKS))


def samples_of(metric: str, **values: list[float | None]) -> list:
    """One sample per contestant and round; None stands for a round without a result."""
    return [
        rounds.Sample(number, "figure", name.replace("_", "-"), {metric: value})
        for name, per_round in values.items()
        for number, value in enumerate(per_round)
        if value is not None
    ]


def test_the_order_turns_round_in_every_second_round():
    assert rounds.order(["a", "b", "c"], 0) == ["a", "b", "c"]
    assert rounds.order(["a", "b", "c"], 1) == ["c", "b", "a"]
    assert rounds.order(["a", "b", "c"], 2) == ["a", "b", "c"]


def test_contestants_of_one_figure_follow_one_another():
    calls = []

    def measure(figure, contestant):
        calls.append((figure, contestant))
        return {"m": 1.0}

    rounds.play_rounds(["f", "g"], ["a", "b"], rounds=2, measure=measure)

    first = [("f", "a"), ("f", "b"), ("g", "a"), ("g", "b")]
    second = [("f", "b"), ("f", "a"), ("g", "b"), ("g", "a")]
    assert calls == first + second


def test_a_figure_that_does_not_apply_leaves_no_sample():
    def measure(figure, contestant):
        return None if contestant == "b" else {"m": 1.0}

    played = rounds.play_rounds(["f"], ["a", "b"], rounds=2, measure=measure)

    assert [(s.round, s.contestant) for s in played] == [(0, "a"), (1, "a")]


def test_the_ratio_is_the_median_of_the_ratios_within_rounds():
    # The quotient of the medians would be 20 / 10 = 2.
    samples = samples_of("m", a=[10, 20, 90], b=[10, 40, 10])

    pair = rounds.ratio(samples, "m", "a", "b")

    assert pair.per_round == [1.0, 0.5, 9.0]
    assert (pair.median, pair.low, pair.high) == (1.0, 0.5, 9.0)
    assert (pair.subject_median, pair.reference_median) == (20, 10)


def test_drift_that_hits_both_does_not_change_the_ratio():
    samples = samples_of("m", a=[8, 4, 2, 1], b=[16, 8, 4, 2])

    assert rounds.ratio(samples, "m", "a", "b").per_round == [0.5] * 4


def test_a_round_that_lacks_one_side_is_no_pair():
    samples = samples_of("m", a=[1, 2, 3], b=[2, None, 3])

    assert rounds.ratio(samples, "m", "a", "b").per_round == [0.5, 1.0]


def test_a_reference_of_zero_is_no_pair():
    samples = samples_of("m", a=[1, 2], b=[0, 4])

    assert rounds.ratio(samples, "m", "a", "b").per_round == [0.5]


def test_without_a_common_round_there_is_no_ratio():
    samples = samples_of("m", a=[1, None], b=[None, 1])

    assert rounds.ratio(samples, "m", "a", "b") is None
    assert rounds.ratio(samples, "other", "a", "b") is None


def test_the_table_shows_value_ratio_range_and_target():
    samples = samples_of("tcp_gbps", vswitch=[9.0, 9.5, 8.0], bare=[10.0, 10.0, 10.0])

    text = table.render(samples, subject="vswitch", references=["bare"], left_out={})

    row = next(line for line in text.splitlines() if line.startswith("TCP Gbit/s"))
    assert row.split() == ["TCP", "Gbit/s", "9.00", "bare", "10.00", "0.90", "0.80-0.95",
                           ">=0.95", "(1)"]  # fmt: skip


def test_an_absolute_target_has_a_row_without_reference():
    samples = samples_of("start_s", vswitch=[0.2, 0.4, 0.3])

    text = table.render(samples, subject="vswitch", references=[], left_out={})

    row = next(line for line in text.splitlines() if line.startswith("start s"))
    assert row.split() == ["start", "s", "0.300", "0.200-0.400", "<0.5", "(0.2)"]


def test_a_contestant_alone_is_shown_with_its_values():
    samples = samples_of("rtt_p50_us", bare=[10.0, 12.0, 11.0])

    text = table.render(samples, subject="bare", references=[], left_out={})

    row = next(line for line in text.splitlines() if line.startswith("RTT p50 us"))
    assert row.split() == ["RTT", "p50", "us", "11.0", "10.0-12.0"]


def test_a_folder_that_does_not_exist_is_noticed_before_measuring(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(compare.os, "geteuid", lambda: 0)
    monkeypatch.setattr(compare.shutil, "which", lambda program: program)

    status = compare.main(["--json", str(tmp_path / "absent" / "result.json")])

    assert status == compare.CANNOT_MEASURE
    assert "is not a folder (create it first)" in capsys.readouterr().err


@pytest.mark.parametrize("tool", sorted(path.stem for path in BENCHMARKS.glob("*.c")))
def test_the_c_programs_compile_without_a_warning(tool, tmp_path):
    flags = ["-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
    source = str(BENCHMARKS / f"{tool}.c")

    done = subprocess.run(
        ["cc", *flags, "-o", str(tmp_path / tool), source], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


def widest(metric) -> tuple[float, ...]:
    """Two rounds, the first with five digits in print."""
    return 99_999 / 10**metric.digits / metric.scale, 1e-3


def test_the_table_says_who_was_left_out_and_fits_80_columns():
    names = [name.replace("-", "_") for name in compare.CONTESTANTS]
    samples = [
        sample
        for metric in targets.METRICS
        for sample in samples_of(metric.name, **dict.fromkeys(names, widest(metric)))
    ]
    why = "no datagram crossed the contestant " * 4

    text = table.render(
        samples, subject="vswitch", references=list(compare.CONTESTANTS)[1:], left_out={"vde": why}
    )

    assert "left out: vde: no datagram crossed" in text
    assert why.strip() in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_only_vswitch_has_targets():
    assert targets.target_text("tcp_gbps", "bare") == ">=0.95 (1)"
    assert targets.target_text("tcp_gbps", "bare", "bridge") == ""
    assert targets.target_text("tcp_gbps", "bridge") == ""


def test_a_subject_on_veths_has_targets_of_its_own():
    assert targets.target_text("fps60", "bare-ring", targets.VETH) == ">=0.95 (1)"
    assert targets.target_text("fps60", "bare-ring") == ""
    assert targets.target_text("fps60", "bare", targets.VETH) == ""


def test_every_c_program_is_compiled():
    processes = sys.modules["processes"]

    assert set(processes.TOOLS) == {path.stem for path in BENCHMARKS.glob("*.c")}


def test_silent_ports_are_compared_with_none_of_them_round_by_round():
    samples = [
        rounds.Sample(number, "stream60", vms, {"stream60": value})
        for number, values in enumerate([(100, 90), (50, 50), (80, 76)])
        for vms, value in zip(("2", "64"), values, strict=True)
    ]

    alone, many = idle_ports.ratios(samples, "stream60")

    assert (alone.median, many.median, many.low, many.high) == (1.0, 0.95, 0.9, 1.0)
    assert "stream60       64         0      0.95    0.90-1.00" in idle_ports.table(samples)
    assert idle_ports.svg(samples).count("<polyline") == 2


def test_smoke_of_the_streams_is_one_short_round():
    options = streams.parse(["--smoke", "--rounds", "9"])

    assert (options.rounds, options.seconds) == (1, 0.5)
    assert options.contestants == list(streams.CONTESTANTS)


def test_an_unknown_contestant_of_the_streams_ends_with_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        streams.parse(["--contestants", "vswitch,nobody"])

    assert ended.value.code == 2
    assert "no contestant 'nobody'" in capsys.readouterr().err


def test_every_target_names_a_printed_metric_and_a_contestant():
    printed = {metric.name for metric in targets.METRICS}

    assert {target.metric for target in targets.TARGETS} <= printed
    contestants = {*compare.CONTESTANTS, *streams.CONTESTANTS, *guests.CONTESTANTS}
    assert {t.reference for t in targets.TARGETS if t.reference} <= contestants


def test_the_defaults_are_known_names():
    options = compare.parse([])

    assert set(options.contestants) <= set(compare.CONTESTANTS)
    assert set(options.figures) <= set(compare.FIGURES)
    assert options.contestants[0] == targets.SUBJECT


def test_smoke_is_one_short_round_against_the_bare_loop():
    options = compare.parse(["--smoke", "--rounds", "9"])

    assert (options.rounds, options.seconds) == (1, 1.0)
    assert options.contestants == ["vswitch", "bare"]


@pytest.mark.parametrize(
    "arguments", [["--contestants", "bare,nobody"], ["--figures", ""], ["--rounds", "0"]]
)
def test_a_wrong_argument_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        compare.parse(arguments)

    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_without_root_one_sentence_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(compare.os, "geteuid", lambda: 1000)

    status = compare.main(["--smoke"])

    assert status == compare.CANNOT_MEASURE
    assert capsys.readouterr().err == (
        "compare.py: network namespaces need root (run it with sudo)\n"
    )
