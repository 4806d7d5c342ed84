"""The configuration: each rule refuses with a sentence, and what follows from it."""

import pytest

from skipgrid.rtl.config import PRESETS, Config, Form, preset


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 3}, "rows must be 1 or an even number up to 16 .*, not 3"),
        ({"rows": 0}, "rows must be 1 or an even number"),
        ({"rows": 18}, "rows must be 1 or an even number"),
        ({"lanes": 6}, "lanes must be a power of two from 4 to 256, not 6"),
        ({"lanes": 512}, "lanes must be a power of two from 4 to 256, not 512"),
        ({"weights": 1000}, "weights must be a power of two from 256 to 32768, not 1000"),
        ({"entries": 128}, "entries must be a power of two from 256 to 65536, not 128"),
        ({"pixels": 63}, "pixels must be a power of two from 64 to 65536, not 63"),
        ({"features": 1 << 17}, "features must be a power of two from 64 to 65536"),
        ({"side": 100}, "side must be a power of two from 16 to 16384, not 100"),
        ({"side": 8}, "side must be a power of two from 16 to 16384, not 8"),
        ({"layers": 1}, "layers must be a power of two from 2 to 256, not 1"),
        ({"sums": 32}, "sums must be a power of two from 1 to 16, not 32"),
        ({"ranges_ahead": 13}, "ranges_ahead must be from 0 to 12, not 13"),
        ({"survivors": 3}, "survivors must be 1 or 2, not 3"),
        ({"survivors": 2, "scan": 1}, r"survivors must be at most scan \(1\), not 2"),
        ({"survivors": 2, "form": Form.SERIAL, "rows": 1, "scan": 1}, "survivors must be"),
        ({"pointers": 3}, "pointers must be 1 or 2 or 4, not 3"),
        ({"pointers": 2, "form": Form.SERIAL, "rows": 1, "scan": 1}, "pointers must be 1 where the form is serial, not 2"),
        ({"scan": 64}, r"scan must be a power of two up to lanes \(32\), not 64"),
        ({"scan": 3}, r"scan must be a power of two up to lanes \(32\), not 3"),
        ({"form": Form.SERIAL}, "rows must be 1 where the form is serial, not 4"),
        ({"form": Form.SERIAL, "rows": 1}, "scan must be 1 where the form is serial, not 16"),
        ({"form": Form.SPREAD, "rows": 1}, "rows must be 2 or more where the form is spread, not 1"),
        ({"soft_lanes": 33}, r"soft_lanes must be from 0 to lanes \(32\), and 0 where the form is serial, not 33"),
        ({"form": Form.SERIAL, "rows": 1, "scan": 1, "soft_lanes": 1}, r"soft_lanes must be .* and 0 where the form is serial, not 1"),
        ({"pool_elements": 100}, "pool_elements must be a power of two from 64 to 65536, or 0 for none, not 100"),
        ({"pool_elements": 32}, "pool_elements must be a power of two from 64 to 65536, or 0 for none, not 32"),
        ({"form": Form.SERIAL, "rows": 1, "scan": 1, "pool_elements": 64}, "pool_elements must be 0 where the form is serial, not 64"),
        ({"functions": 3}, "functions must be a power of two from 1 to 64, or 0 for none, not 3"),
        ({"functions": 128}, "functions must be a power of two from 1 to 64, or 0 for none, not 128"),
        ({"channels": 40}, r"channels must be a multiple of lanes \(32\) up to 65,536, not 40"),
        ({"channels": 0}, "channels must be a multiple of lanes"),
    ],
)
def test_a_size_out_of_range_is_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config().replaced(**changes)


@pytest.mark.parametrize("value", [4.0, "4", None, True])
def test_a_size_that_is_no_integer_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="rows must be an integer, not"):
        Config(rows=value)  # type: ignore[arg-type]


def test_parameters_have_names() -> None:
    with pytest.raises(TypeError):
        Config(*[4, 32])


def test_what_is_built_or_not_is_true_or_false() -> None:
    with pytest.raises(TypeError, match="wide_program must be True or False, not 1"):
        Config(wide_program=1)  # type: ignore[arg-type]


def test_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form must be one of serial, parallel, spread, not 'far'"):
        Config(form="far")  # type: ignore[arg-type]


def test_what_is_not_built_changes_no_hash() -> None:
    assert Config().hash == Config(winners=0).hash != Config(winners=128).hash


def test_presets_are_named_by_rows_and_lanes() -> None:
    assert {"1x8", "2x16", "4x32", "2x64"} <= set(PRESETS)
    for name, config in PRESETS.items():
        assert preset(name) is config
        assert name == f"{config.rows}x{config.lanes}" == config.name


def test_a_preset_that_is_missing_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="there is no preset '3x5'; there are 1x8, 2x16, 4x32, 2x64"):
        preset("3x5")


def test_the_hash_tells_configurations_apart_but_not_their_names() -> None:
    assert Config(name="a").hash == Config(name="b").hash
    assert len({Config().replaced(**change).hash for change in ({}, {"rows": 2}, {"scan": 8}, {"sums": 1})}) == 4


def test_rows_share_a_weight_memory_in_pairs() -> None:
    assert [(Config(rows=rows).weight_copies, Config(rows=rows).weight_ports) for rows in (1, 2, 4)] == [(1, 1), (1, 2), (2, 2)]
