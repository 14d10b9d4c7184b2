from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from gwbench.reporting.escape import LONGEST, csv_text, latex, markdown, plain
from gwbench.reporting.formats import FORMATS
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.columns import letters
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Leaderboard
from tests.reporting.synthetic_runs import write_run

EVIL = (
    '=1|2 <b onload="x">&amp; \x1b[2J\x9b31m [link](http://a.b) \\input{/etc/passwd} '
    "$x$ %c #d ~e ^f {g} `h` *i*\n# j\u202e_k"
)
"""What may be in a name that comes from elsewhere."""


def renamed(name: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["spec"]["pairing"]["name"] = name
        document["spec"]["dataset"]["name"] = name
        document["spec"]["encoder"]["parameters"]["evil"] = name

    return change


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    """Three objectives with three seeds, one seed missing, one failed, at two shares of labels."""
    root = tmp_path_factory.mktemp("runs")
    for objective, quality in (("barlow", 1.0), ("simclr", 1.0), ("vicreg", 2.5)):
        for seed in range(3 if objective != "simclr" else 2):
            write_run(root, objective=objective, quality=quality, seed=seed)
    write_run(root, objective="simclr", seed=2, failed="RuntimeError: no")
    write_run(root, objective="barlow", quality=0.5, fraction=0.01)
    write_run(root, objective="barlow", quality=0.5, data="other", data_seed=1)
    return build([root], Options())


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    root = tmp_path_factory.mktemp("evil")
    write_run(root, edit=renamed(EVIL))
    write_run(root, edit=renamed("+other"), objective="simclr")
    (root / "a|b<i>\x1b[1m" / "record.json").parent.mkdir()
    (root / "a|b<i>\x1b[1m" / "record.json").write_text("{")
    return build([root], Options(group_by="pairing"))


def markdown_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_markdown_holds_every_figure(board: Leaderboard) -> None:
    text = FORMATS["md"](board)
    head, _, *rows = markdown_rows(text)
    found = [dict(zip(head, row, strict=True)) for row in rows if len(row) == len(head)]
    best, first, second = found[:3]
    assert best["method"].endswith("vicreg") and best["rank"] == "1"
    estimate = board.tables[0].rows[0].cell.estimate
    assert estimate is not None and estimate.sd is not None
    assert best["ROC-AUC"] == f"{estimate.mean:.4f} ± {estimate.sd:.4f}"
    assert best["95 % interval"] == f"{estimate.low:.4f} to {estimate.high:.4f}"
    assert (best["group"], best["against the best"], best["seeds"]) == ("a", "best", "3")
    assert {first["group"], second["group"]} == {"b"}
    by_method = {row["method"].rpartition(" ")[2]: row for row in (first, second)}
    assert by_method["simclr"]["seeds"] == "2 of 3 (1 failed)"
    assert by_method["simclr"]["rank"].endswith("*")
    assert by_method["simclr"]["at 1 % labels"] == "missing"
    assert re.fullmatch(r"0\.\d{3}", by_method["barlow"]["at 1 % labels"])
    assert re.fullmatch(r"−0\.\d{4} \(p &lt; 0\.001\)", by_method["barlow"]["against the best"])
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert len(headings) == 2
    assert all(re.search(r"\(data [0-9a-f]{12}, protocol 1, record schema 1\)$", line) for line in headings)


def test_csv_is_for_programs(board: Leaderboard) -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](board))))
    assert len(rows) == sum(len(table.rows) for table in board.tables) == 4
    first, expected = rows[0], board.tables[0].rows[0]
    assert expected.cell.estimate is not None
    assert float(first["mean"]) == pytest.approx(expected.cell.estimate.mean, rel=1e-9)
    assert (first["objective"], first["rank"], first["metric"]) == ("vicreg", "1", "auc")
    failed = next(row for row in rows if row["objective"] == "simclr")
    assert (failed["seeds"], failed["seeds_expected"], failed["seeds_failed"]) == ("2", "3", "1")
    assert (failed["mean_at_0.01"], failed["seeds_at_0.01"], failed["seeds_expected_at_0.01"]) == ("", "0", "1")
    assert failed["tpr_at_0.001_mean"] == ""  # what is not known is empty


def test_json_is_the_structure(board: Leaderboard) -> None:
    text = FORMATS["json"](board)
    found = Leaderboard.model_validate_json(text)
    assert FORMATS["json"](found) == text
    assert FORMATS["md"](found) == FORMATS["md"](board)
    numbers = re.findall(r"[0-9]+\.[0-9]+(?:e-?[0-9]+)?", text)
    assert max(len(number.partition("e")[0].replace(".", "").strip("0")) for number in numbers) == 10
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def test_latex_has_as_many_cells_in_every_row(board: Leaderboard) -> None:
    text = FORMATS["latex"](board)
    for body in re.findall(r"\\toprule\n(.*?)\\bottomrule", text, flags=re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        (count,) = {len(re.findall(r"(?<!\\)&", line)) for line in rows}
        assert count >= 8
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert r"$\pm$" in text and "±" not in text
    braces = re.sub(r"\\[{}]", "", text)
    assert braces.count("{") == braces.count("}")


def visible(text: str) -> bool:
    return all(character == "\n" or unicodedata.category(character) not in ("Cc", "Cf") for character in text)


@pytest.mark.parametrize("form", list(FORMATS))
def test_names_of_records_move_no_cursor(evil: Leaderboard, form: str) -> None:
    assert visible(FORMATS[form](evil))


def test_names_of_records_are_no_markdown(evil: Leaderboard) -> None:
    text = FORMATS["md"](evil)
    assert {len(row) for row in markdown_rows(text)} == {len(markdown_rows(text)[0])}
    assert "<" not in text and "http://" not in text
    assert not re.search(r"(?<!\\)[`\]\[$]", text)
    assert len([line for line in text.splitlines() if line.startswith("#")]) == 1  # our heading
    assert "1 of 3 records were passed over" in text


def test_names_of_records_are_no_formulas(evil: Leaderboard) -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](evil))))
    cells = [cell for row in rows for cell in row.values()]
    assert any(cell.startswith("'=1|2") for cell in cells)
    assert any(cell == "'+other" for cell in cells)
    for cell in cells:
        assert not re.match(r"\s*[=+@\t]", cell)
        assert not re.match(r"\s*-(?!\d)", cell)  # a negative number is no formula


def test_names_of_records_are_no_latex(evil: Leaderboard) -> None:
    text = FORMATS["latex"](evil)
    assert r"\input" not in text
    assert r"\textbackslash{}input\{/etc/passwd\} \$x\$ \%c \#d" in text
    for body in re.findall(r"\\toprule\n(.*?)\\bottomrule", text, flags=re.DOTALL):
        counts = {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if " & " in line}
        assert len(counts) == 1
    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert any("passed over" in line for line in comments)


def test_json_escapes_what_a_terminal_would_obey(evil: Leaderboard) -> None:
    text = FORMATS["json"](evil)
    assert text.isascii()
    assert Leaderboard.model_validate_json(text).tables[0].dataset in (EVIL, "+other")


def test_escapes_one_by_one() -> None:
    assert plain("a\x1b[2Jb\x9bc\u202ed\u2028e\u200bf\ng") == r"a\x1b[2Jb\x9bc\u202ed\u2028e\u200bf\x0ag"
    assert plain("x" * (LONGEST + 50)) == "x" * LONGEST + "..."
    assert markdown("a|b") == r"a\|b"
    assert markdown("encoder.embed_dim=64") == "encoder.embed_dim=64"
    assert markdown("_x_ <script> [a](b) www.c.d") == r"\_x\_ &lt;script&gt; \[a\](b) www&#46;c.d"
    assert latex("50 % & [x]_1^2") == r"50 \% \& {[}x{]}\_1\textasciicircum{}2"
    for text in ("=1", "+1", "-1", "@x", " =1", "＝1"):
        assert csv_text(text).startswith("'")
    assert csv_text("cnn1d + barlow") == "cnn1d + barlow"


def test_groups_have_letters() -> None:
    assert [letters(number) for number in (0, 25, 26, 27, 51, 52, 701, 702)] == [
        "a",
        "z",
        "aa",
        "ab",
        "az",
        "ba",
        "zz",
        "aaa",
    ]
