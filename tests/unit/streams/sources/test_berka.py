"""Berka's files, in small."""

import json
from collections import Counter
from pathlib import Path

import pytest

from streams.sources.berka import parse_row, read_berka
from streams.sources.record import SourceError

HEAD = '"trans_id";"account_id";"date";"type";"operation";"amount";"balance";"k_symbol";"bank";"account"'
CUT = '9;7;930331;"PRIJE'


def write(path: Path, *rows: str) -> Path:
    path.write_bytes("\r\n".join([HEAD, *rows]).encode())
    return path


def row(trans_id: int, account: int, date: str, signed: str, balance: str, symbol: str = "") -> str:
    type_ = "VYDAJ" if signed.startswith("-") else "PRIJEM"
    return f'{trans_id};{account};{date};"{type_}";"VKLAD";{signed.lstrip("-")};{balance};"{symbol}";;'


def values(path: Path, **options: object) -> list[dict[str, str]]:
    return [json.loads(r.value or b"") for r in read_berka(path, "Asia/Shanghai", **options) if r.key]  # type: ignore[arg-type]


def test_a_day_is_put_into_the_order_of_its_balances(tmp_path: Path) -> None:
    path = write(
        tmp_path / "trans.asc",
        row(5, 7, "930101", "700.00", "700.00"),
        row(1, 7, "930102", "-30.10", "869.90"),
        row(2, 7, "930102", "200.00", "900.00"),
    )
    read = values(path)
    assert [value["event_id"] for value in read] == ["5", "2", "1"]
    times = [value["occurred_at"] for value in read]
    assert times == sorted(times)
    assert times[1:] == ["1993-01-02T08:00:00+08:00", "1993-01-02T08:00:01+08:00"]


def test_a_row_becomes_a_transaction_of_the_account(tmp_path: Path) -> None:
    path = write(tmp_path / "trans.asc", row(5, 7, "930101", "700.05", "700.05", "UROK"))
    assert values(path) == [
        {
            "event_id": "5",
            "customer_id": "7",
            "occurred_at": "1993-01-01T08:00:00+08:00",
            "account_id": "7",
            "direction": "credit",
            "amount": "700.05",
            "balance_after": "700.05",
            "kind": "interest",
        }
    ]
    assert values(path, prefix="berka-")[0]["customer_id"] == "berka-7"


def test_a_day_that_does_not_chain_keeps_its_order_and_is_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "trans.asc",
        row(1, 7, "930101", "700.00", "700.00"),
        row(3, 7, "930102", "1.00", "5.00"),
        row(2, 7, "930102", "1.00", "9.00"),
        row(4, 7, "930103", "1.00", "10.00"),
    )
    notes: Counter[str] = Counter()
    assert [value["event_id"] for value in values(path, notes=notes)] == ["1", "3", "2", "4"]
    assert +notes == {"account-days": 3, "chained": 2, "unchained": 1}


def test_interest_may_miss_the_chain_by_ten_hellers_and_no_more(tmp_path: Path) -> None:
    for miss, chained in (("700.10", 1), ("700.11", 0)):
        opening = write(tmp_path / "trans.asc", row(1, 7, "930101", "700.00", "700.00"))
        balance = f"{float(miss) + 1:.2f}"
        write(opening, row(1, 7, "930101", "700.00", "700.00"), row(2, 7, "930102", "1.00", balance))
        notes: Counter[str] = Counter()
        values(opening, notes=notes)
        assert notes["chained"] - 1 == chained


def test_a_cut_row_is_passed_on_as_it_stands(tmp_path: Path) -> None:
    path = write(tmp_path / "trans.asc", row(5, 7, "930101", "700.00", "700.00"), CUT)
    records = list(read_berka(path, "Asia/Shanghai"))
    assert [record.value for record in records][1:] == [CUT.encode()]
    assert records[1].key is None


@pytest.mark.parametrize(
    "line",
    [
        CUT,
        row(1, 7, "931301", "1.00", "1.00"),
        row(1, 7, "930101", "1.001", "1.00"),
        row(1, 7, "930101", "1.00", "1.00").replace("PRIJEM", "KREDIT"),
        row(1, 7, "930101", "1.00", "1.00") + ";",
        "",
    ],
)
def test_a_broken_row_is_no_row(line: str) -> None:
    assert parse_row(line.encode()) is None


def test_a_profile_tells_of_the_owner_on_the_day_the_account_opened(tmp_path: Path) -> None:
    write(tmp_path / "trans.asc", row(5, 7, "930105", "700.00", "700.00"))
    (tmp_path / "account.asc").write_text(
        '"account_id";"district_id";"frequency";"date"\r\n7;1;"M";930105\r\n8;1;"M";970101\r\n'
    )
    (tmp_path / "disp.asc").write_text(
        '"disp_id";"client_id";"account_id";"type"\r\n1;2;7;"DISPONENT"\r\n2;3;7;"OWNER"\r\n3;2;8;"OWNER"\r\n'
    )
    (tmp_path / "client.asc").write_text(
        '"client_id";"birth_number";"district_id"\r\n2;"450204";1\r\n3;"706213";1\r\n'
    )
    (tmp_path / "district.asc").write_text("A1;A2;A3\r\n1;Praha;Prague\r\n")
    first, second = values(tmp_path, profiles=True)
    assert first == {
        "event_id": "opened-7",
        "customer_id": "7",
        "occurred_at": "1993-01-05T00:00:00+08:00",
        "opened_on": "1993-01-05",
        "birth_date": "1970-12-13",
        "gender": "f",
        "region": "Prague",
    }
    assert second["event_id"] == "5"  # account 8 opens after the last transaction: nothing is known of it


def test_another_file_is_an_error_that_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "trans.asc").write_text("a,b,c\n")
    with pytest.raises(SourceError, match=r"trans\.asc: expected Berka's first line .*, got 'a,b,c'"):
        values(tmp_path)
