"""A setting that cannot be meant ends the command at its start with exit code 2, and says what was expected."""

import pytest
from click.testing import CliRunner, Result

from streams.cli.main import main
from streams.settings import Settings, misspelled


def check_rules(**environment: str) -> Result:
    return CliRunner().invoke(main, ["rules", "check", "rules"], env=environment)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("TAGGER_ZONE", "Mars/Base", "a time zone, such as Asia/Shanghai"),
        ("TAGGER_ZONE", "Asia", "a time zone, such as Asia/Shanghai"),
        ("TAGGER_ZONE", "", "a time zone, such as Asia/Shanghai"),
        ("TAGGER_ZONE", "../etc/localtime", "a time zone, such as Asia/Shanghai"),
        ("TAGGER_BOOTSTRAP", "", "expected host:port"),
        ("TAGGER_BOOTSTRAP", "localhost:port", "expected host:port"),
        ("TAGGER_BOOTSTRAP", "a:1,,b:2", "expected host:port"),
        ("TAGGER_TOPIC_PREFIX", "two words", "expected at most 200 letters"),
        ("TAGGER_CLOCK_TOPICS", '["bank.transaction"]', "expected some of bank.transactions, bank.app-events"),
        ("TAGGER_CLOCK_TOPICS", "[]", "expected some of bank.transactions"),
        ("TAGGER_CLOCK_TOPICS", "bank.transactions", "expected JSON"),
        ("TAGGER_RATES", '{"USD": "-7.1"}', "rate of USD: expected a number > 0"),
        ("TAGGER_RATES", '{"dollar": "7.1"}', "TAGGER_RATES"),
        ("TAGGER_REDIS_URL", "localhost:6379", "expected a URL that begins with one of redis://"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(variable: str, value: str, expected: str) -> None:
    result = check_rules(**{variable: value})
    assert result.exit_code == 2, result.output
    assert variable in result.output
    assert expected in result.output


def test_what_a_redis_url_holds_is_not_shown() -> None:
    result = check_rules(TAGGER_REDIS_URL="redsi://:secret@cache:6379")
    assert result.exit_code == 2
    assert "secret" not in result.output


@pytest.mark.parametrize("value", ["broker", "broker:9092", "10.0.0.1:1, kafka_2.bank:65535", "[::1]:9092"])
def test_addresses_of_every_shape_are_taken(value: str) -> None:
    assert Settings(bootstrap=value).bootstrap == value


def test_a_variable_that_is_nearly_a_setting_is_told() -> None:
    result = check_rules(TAGGER_CLOK="events", TAGGER_SERVICE_HOST="10.0.0.1")
    assert result.exit_code == 0
    assert "TAGGER_CLOK is no setting and was ignored; did you mean TAGGER_CLOCK?" in result.stderr
    assert "SERVICE_HOST" not in result.output


def test_settings_and_other_peoples_variables_are_not_misspelled() -> None:
    known = {f"TAGGER_{name.upper()}": "" for name in Settings.model_fields}
    others = {"TAGGER_CONFIG": "", "TAGGER_FAILPOINTS": "", "TAGGER_PORT": "", "PATH": ""}
    assert misspelled(known | others) == []
