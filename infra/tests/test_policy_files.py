"""The files of rules and waivers: what is wrong with one is said with its place and what to do."""

from datetime import date
from pathlib import Path

import pytest

from stackproof_policy.catalog import RULES, load_catalog
from stackproof_policy.judge import checks_of, judge
from stackproof_policy.table import InvalidFileError
from stackproof_policy.waivers import Waiver, Waivers, load_waivers

CATALOG = load_catalog()
DAY = date(2027, 6, 1)

WAIVER = """
[[waiver]]
rule = "database-private"
resource = "lock-instance"
owner = "platform lead"
reason = "It has to be reached."
expires = 2027-12-31
"""


def refusal(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidFileError) as refused:
        load_waivers(path) if path.name == "waivers.toml" else load_catalog(path)
    return str(refused.value)


def changed(old: str, new: str) -> str:
    text = RULES.read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WAIVER.replace('owner = "platform lead"\n', ""), "has no owner in [[waiver]] number 1. Next: add owner = …"),
        (WAIVER.replace('"platform lead"', '" "'), "has a owner in [[waiver]] number 1 that must be a text"),
        (WAIVER.replace("2027-12-31", '"2027-12-31"'), "must be a day, such as 2027-12-31"),
        (WAIVER.replace("2027-12-31", "2027-12-31T00:00:00Z"), "must be a day, such as 2027-12-31"),
        (WAIVER + 'ticket = "7"\n', "has ticket in [[waiver]] number 1"),
        (WAIVER + WAIVER.replace("reason", "because"), "has no reason in [[waiver]] number 2"),
        ("[[waivers]]\n", "has waivers at its top. Next: use waiver"),
        ("waiver = 1\n", "begin each with [[waiver]]"),
        ("[[waiver]\n", "is not TOML"),
    ],
)
def test_a_waiver_that_lacks_something_is_refused(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path / "waivers.toml", text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (changed('id = "tagged"', 'id = "region-allowed"'), "has two rules region-allowed"),
        (changed('requirements = ["SC-004"]', "requirements = []"), "must name at least one"),
        (changed('why = "After', 'because = "After'), "has no why in [[rule]] number 3"),
        (changed("secret_age_days = 180", "secret_age_days = 0"), "must be a whole number, at least 1"),
        (changed('packages = ["scaleway"]', 'packages = ["scaleway", "scaleway"]'), "has one text twice"),
        (changed("[parameters]", "[parameter]"), "has parameter at its top"),
        ('[parameters]\nregions = ["fr-par"]\n', "has no rule"),
        ("parameters = 1\n", "has no rule"),
    ],
)
def test_a_catalog_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path / "rules.toml", text)


def test_a_rule_that_looks_at_nothing_is_refused(tmp_path: Path) -> None:
    text = changed('types = []\nlive = ["secret"]', "types = []\nlive = []")
    assert "looks at nothing" in refusal(tmp_path / "rules.toml", text)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"rules\.toml cannot be read: No such file"):
        load_catalog(tmp_path / "rules.toml")


def test_a_rule_without_a_check_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(changed('id = "database-user"', 'id = "database-owner"'), encoding="utf-8")
    with pytest.raises(InvalidFileError, match="database-owner"):
        checks_of(load_catalog(path))


def waiver(rule: str = "database-private", resource: str = "lock-instance") -> Waiver:
    return Waiver(rule=rule, resource=resource, owner="platform lead", reason="a reason", expires=DAY)


def test_a_waiver_is_for_one_rule_one_resource_and_until_its_last_day() -> None:
    waivers = Waivers([waiver()])
    assert waivers.excuse("database-private", "lock-instance", DAY) == waiver()
    assert waivers.excuse("database-private", "lock-instance", date(2027, 6, 2)) is None
    assert waivers.excuse("database-private", "database-instance", DAY) is None
    assert waivers.excuse("database-encrypted", "lock-instance", DAY) is None


@pytest.mark.parametrize(
    ("wrong", "day", "says"),
    [
        (waiver(rule="databases-private"), DAY, "there is no rule databases-private"),
        (waiver(), date(2027, 6, 2), "it ran out on 2027-06-01; platform lead answers for it"),
        (waiver(rule="waiver-valid"), DAY, "waiver-valid cannot be waived"),
    ],
)
def test_a_waiver_can_be_a_finding_itself(wrong: Waiver, day: date, says: str) -> None:
    (finding,) = judge([], CATALOG, Waivers([wrong]), day).findings
    assert (finding.rule, finding.found) == ("waiver-valid", says)
