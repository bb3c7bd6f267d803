"""Tables of `saccade eval`."""

import io

from rich.console import Console
from rich.table import Table

from lab.cli.eval_tables import eval_tables


def shown(table: Table) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def evaluated(level: str) -> dict[str, object]:
    fit = {"cases": 12, "j": 0.701, "f": 0.801, "j_and_f": 0.751}
    words = {"overall": fit, "by_kind": {"motion": fit}, "absent_refused": 0.952, "wrongly_refused": 0.023}
    followed = {"j_and_f": 0.851, "j_and_f_copy": 0.123, "found_again": None, "silent": 0.964, "clips": 40}
    right = {"questions": 7, "right": 0.905, "commonest": 0.305}
    return {
        "level": level,
        "referring": {"unseen": words, "look_alikes": words | {"by_kind": {}}},
        "following": followed,
        "answering": {"overall": right, "by_kind": {"count": right}},
        "describing": {"captions": 3, "grounded": 0.806},
    }


def test_a_single_level_is_shown_by_kind() -> None:
    found = eval_tables({"levels": [evaluated("world")], "footage": None, "live": None})
    first, text = shown(found[0]), "".join(map(shown, found))
    assert all(figure in first for figure in ("world", "0.751", "0.952", "0.851", "0.905", "0.806"))
    assert all(word in text for word in ("motion", "look-alikes", "count", "0.305", "found_again"))
    assert "None" not in text, "where there was no case"


def test_several_levels_are_rows_of_one_table() -> None:
    found = eval_tables({"levels": [evaluated("plain"), evaluated("world")], "footage": None, "live": None})
    assert len(found) == 1 and found[0].row_count == 2


def test_real_clips_are_shown_beside_the_copied_mask() -> None:
    clip = {"frames": 50, "j": 0.612, "j_copy": 0.512}
    footage = {"films": {"cows": clip}, "j": 0.632, "j_copy": 0.532}
    text = shown(eval_tables({"levels": [evaluated("world")], "footage": footage, "live": None})[-1])
    assert all(figure in text for figure in ("cows", "50", "0.612", "0.512", "0.632", "0.532"))


def test_photographs_are_shown_by_name_and_by_kind() -> None:
    fit = {"cases": 70, "j": 0.78, "f": 0.8, "j_and_f": 0.791}
    score = {
        "photographs": 44,
        "phrases": 901,
        "common_names": fit | {"j_and_f": 0.652},
        "by_name": {"person": fit},
        "by_kind": {"clothing": fit, "size": fit},
        "wrongly_refused": 0.077,
        "absent_refused": 0.933,
        "absent_refused_by_kind": {"size": 0.888},
    }
    report = {"levels": [evaluated("world")], "footage": None, "photographs": score, "live": None}
    text = "".join(map(shown, eval_tables(report)))
    for figure in ("person", "clothing", "0.791", "0.652", "44", "901", "0.077", "0.933", "0.888"):
        assert figure in text
    assert "None" not in text


def test_live_streams_are_shown_by_kind_or_with_the_reason_why_they_were_left_out() -> None:
    fit = {"cases": 70, "j": 0.78, "f": 0.8, "j_and_f": 0.791}
    live = {"words": 9, "overall": fit, "by_kind": {"relation": fit}, "unmasked": 0.111, "silent": None}
    text = shown(eval_tables({"levels": [evaluated("world")], "footage": None, "live": live})[-1])
    assert all(figure in text for figure in ("overall", "relation", "0.791", "0.111", "9"))
    assert "None" not in text
    left_out = {"left_out": "No RTSP server is installed here."}
    text = shown(eval_tables({"levels": [evaluated("world")], "footage": None, "live": left_out})[-1])
    assert "No RTSP server" in text


def test_the_table_of_levels_fits_a_narrow_terminal() -> None:
    (table,) = eval_tables(
        {"levels": [evaluated("movement"), evaluated("surfaces")], "footage": None, "live": None}
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table)
    assert "\u2026" not in console.export_text(), "no word is cut"
