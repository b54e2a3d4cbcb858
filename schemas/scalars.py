"""The scalars of the contract: how text becomes instants, days and money, and what each may look like.

One definition for both ways of decoding: the pydantic models validate with these functions, and the hot path
converts with them, so that the two cannot disagree on a syntax. Every function raises `ValueError` whose text
says what was expected; it never quotes what came.
"""

import re
from datetime import UTC, date, datetime

from schemas.bankday import epoch_ms
from schemas.money import FEN_PER_YUAN, parse_fen

# Instants a bank can mean; far-past ones are late, not bad, but they must stay representable in every zone.
FIRST_YEAR, LAST_YEAR = 1900, 2199
MIN_INSTANT_MS = epoch_ms(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))
MAX_INSTANT_MS = epoch_ms(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC))
MIN_DAY = date(1800, 1, 1).toordinal()
# Leaves room for calendar arithmetic: the day, month or year after it still is a date.
MAX_DAY = date(2999, 12, 31).toordinal()
MAX_NAME_CHARS = 64
MAX_AMOUNT_FEN = 10**11 * FEN_PER_YUAN
# Balances and yearly sums; with any rate the settings allow, what comes of them is checked again (`Rates.to_fen`).
MAX_MONEY_FEN = 10**15 * FEN_PER_YUAN

INSTANT_PATTERN = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
DAY_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
AMOUNT_PATTERN = r"^[0-9]{1,17}(\.[0-9]{1,2})?$"
MONEY_PATTERN = r"^-?[0-9]{1,17}(\.[0-9]{1,2})?$"
CUSTOMER_ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,64}$"
WORD_PATTERN = r"^[a-z][a-z0-9_-]{0,31}$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"

# `fullmatch` below, because Python's `$` lets a newline follow.
_INSTANT = re.compile(INSTANT_PATTERN, re.ASCII)
_DAY = re.compile(DAY_PATTERN, re.ASCII)
_AMOUNT = re.compile(AMOUNT_PATTERN, re.ASCII)
_CUSTOMER_ID = re.compile(CUSTOMER_ID_PATTERN, re.ASCII)
_WORD = re.compile(WORD_PATTERN, re.ASCII)
_CURRENCY = re.compile(CURRENCY_PATTERN, re.ASCII)

_INSTANT_EXPECTED = "an RFC 3339 time with an offset, such as 2026-03-04T10:00:00+08:00, from 1900 to 2199"
_DAY_EXPECTED = "a date written 2026-03-04, from 1800-01-01 to 2999-12-31"
_AMOUNT_EXPECTED = 'a decimal string such as "60000.00": digits, at most two decimals, > 0, at most 100000000000'
_MONEY_EXPECTED = 'a decimal string such as "-12.50": digits, at most two decimals, within ±10^15'

_SECOND_MS = {f"{second:02d}": second * 1000 for second in range(60)}
# Minutes seen lately, written as in the record less its seconds → their first millisecond. A memo: it changes
# cost and never results. One entry a minute and offset; emptied when full.
_MINUTE_MS: dict[str, int] = {}
_MAX_MINUTES = 65_536
_LENGTHS_TO_REMEMBER = (20, 25)  # with Z, with an offset; fractions would fill the memo for nothing


def parse_instant(text: str) -> int:
    """Read an RFC 3339 time as epoch milliseconds, cut below a millisecond.

    `T` and `Z` may be lower case, a fraction has one to nine digits; a leap second (`:60`) is refused.

    Raises:
        ValueError: it is no such time, has no offset, or lies outside 1900 to 2199 (UTC).
    """
    minute = text[:17] + text[19:]
    start = _MINUTE_MS.get(minute)
    if start is not None:
        second = _SECOND_MS.get(text[17:19])
        if second is not None:
            return start + second
    ms = _parse_any_instant(text)
    if len(text) in _LENGTHS_TO_REMEMBER:
        if len(_MINUTE_MS) >= _MAX_MINUTES:
            _MINUTE_MS.clear()
        _MINUTE_MS[minute] = ms - _SECOND_MS[text[17:19]]
    return ms


def _parse_any_instant(text: str) -> int:
    if not _INSTANT.fullmatch(text):
        raise ValueError(_INSTANT_EXPECTED)
    try:
        ms = epoch_ms(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):  # 30 February; year 0
        raise ValueError(_INSTANT_EXPECTED) from None
    if not MIN_INSTANT_MS <= ms < MAX_INSTANT_MS:
        raise ValueError(_INSTANT_EXPECTED)
    return ms


def parse_day(text: str) -> int:
    """Read an ISO date as its proleptic ordinal.

    Raises:
        ValueError: it is no such date, or lies outside `MIN_DAY` to `MAX_DAY`, both included.
    """
    if not _DAY.fullmatch(text):
        raise ValueError(_DAY_EXPECTED)
    try:
        day = date.fromisoformat(text).toordinal()
    except ValueError:
        raise ValueError(_DAY_EXPECTED) from None
    if not MIN_DAY <= day <= MAX_DAY:
        raise ValueError(_DAY_EXPECTED)
    return day


def parse_amount(text: str) -> int:
    """Read a transaction's amount in hundredths of its currency, > 0.

    Leading zeros are fine ("00.10" is 10, mainframes pad); a sign, an exponent, a blank, a bare point or a
    third decimal is not.

    Raises:
        ValueError: it is no such decimal string, is 0, or is above 10^11.
    """
    hundredths = _plain_hundredths(text)
    if hundredths < 0:
        if not _AMOUNT.fullmatch(text):
            raise ValueError(_AMOUNT_EXPECTED)
        hundredths = parse_fen(text)
    if not 0 < hundredths <= MAX_AMOUNT_FEN:
        raise ValueError(_AMOUNT_EXPECTED)
    return hundredths


def parse_money(text: str) -> int:
    """Read a signed sum of money in hundredths; the syntax of `parse_amount` with an optional minus.

    Raises:
        ValueError: it is no such decimal string, or lies beyond ±10^15.
    """
    hundredths = _plain_hundredths(text)
    if hundredths < 0:
        try:
            hundredths = parse_fen(text)
        except ValueError:
            raise ValueError(_MONEY_EXPECTED) from None
    if not -MAX_MONEY_FEN <= hundredths <= MAX_MONEY_FEN:
        raise ValueError(_MONEY_EXPECTED)
    return hundredths


def _plain_hundredths(text: str) -> int:
    """What "123.45" says, at a third of the pattern's cost; -1 for any other form, good or bad."""
    if text[-3:-2] == "." and 4 <= len(text) <= 20:
        digits = text.replace(".", "", 1)
        if digits.isdigit() and digits.isascii():
            return int(digits)
    return -1


def check_customer_id(text: str) -> str:
    """Return a customer's id.

    Raises:
        ValueError: it is not 1 to 64 of `[A-Za-z0-9_.:-]`.
    """
    # The first test is three times as fast as the pattern, and true of most ids.
    if (text.isascii() and text.isalnum() and len(text) <= 64) or _CUSTOMER_ID.fullmatch(text):
        return text
    raise ValueError("1 to 64 characters of A-Z a-z 0-9 _ . : -")


def check_word(text: str) -> str:
    """Return a lower-case word.

    Raises:
        ValueError: it is not a letter a-z followed by at most 31 of `[a-z0-9_-]`.
    """
    if (text.isascii() and text.isalpha() and text.islower() and len(text) <= 32) or _WORD.fullmatch(text):
        return text
    raise ValueError("a lower-case word: a letter a-z, then at most 31 of a-z 0-9 _ -")


def check_currency(text: str) -> str:
    """Return a currency's code.

    Raises:
        ValueError: it is not three capital letters (ISO 4217).
    """
    if text == "CNY" or _CURRENCY.fullmatch(text):
        return text
    raise ValueError("a currency code of three capital letters (ISO 4217)")
