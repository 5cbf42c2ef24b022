"""The check without a cloud: what it says of good, bad and broken files, and with which exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from stackproof_infra.check import main
from tests.cloud import IMAGE, INFRA, PROJECT_ID

GOOD = f"""\
encryptionsalt: v1:x
config:
  scaleway:projectId: {PROJECT_ID}
  stackproof-infra:prefix: acme-shop
  deployers:
    - user_id:33333333-3333-4333-8333-333333333333
  stackproof-infra:databasePassword:
    secure: v1:abc
  stackproof-infra:config:databaseAdminPassword:
    secure: v1:def
  stackproof-infra:container:
    image: {IMAGE}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "Pulumi.shop.yaml"
    file.write_text(GOOD)
    return file


def check(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Runs the command without an environment, and returns its code and what it printed."""
    code = main([str(argument) for argument in arguments], environment={})
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def document(text: str) -> dict[str, object]:
    return cast("dict[str, object]", json.loads(text))


def test_a_good_file_has_no_fault(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    assert check(capsys, file) == (0, "The configuration of stack shop has no fault.\n", "")


def test_a_good_file_is_a_document_too(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    code, out, _ = check(capsys, file, "--json")
    assert (code, document(out)) == (0, {"schema": 1, "stack": "shop", "ok": True, "faults": []})


def test_all_faults_of_a_file_are_said_at_once(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text(GOOD.replace("acme-shop", "Acme", 1) + "    maxScale: 0\n  colour: red\n")
    code, out, err = check(capsys, file)
    assert (code, err) == (1, "")
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "The configuration of stack shop has 3 faults",
        '  prefix = "Acme"',
        "  container.maxScale = 0",
        "  colour",
    ]


def test_faults_as_a_document_have_key_value_rule_and_example(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text(GOOD + "    maxScale: 0\n")
    code, out, _ = check(capsys, file, "--json")
    assert (code, document(out)) == (
        1,
        {
            "schema": 1,
            "stack": "shop",
            "ok": False,
            "faults": [
                {
                    "key": "container.maxScale",
                    "value": "0",
                    "rule": "must be a whole number from 1 to 50",
                    "example": "5",
                }
            ],
        },
    )


def test_several_files_are_one_document(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    other = file.with_name("Pulumi.test.yaml")
    other.write_text(GOOD + "    maxScale: 0\n")
    code, out, _ = check(capsys, file, other, "--json")
    found = document(out)
    stacks = cast("list[dict[str, object]]", found["stacks"])
    assert (code, found["schema"], found["ok"]) == (1, 1, False)
    assert [(stack["stack"], stack["ok"]) for stack in stacks] == [("shop", True), ("test", False)]
    assert check(capsys, file, file)[0] == 0
    assert document(check(capsys, file, file, "--json")[1])["ok"] is True


def test_several_files_are_told_one_after_the_other(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    other = file.with_name("Pulumi.test.yaml")
    other.write_text(GOOD)
    said = "The configuration of stack shop has no fault.\nThe configuration of stack test has no fault.\n"
    assert check(capsys, file, other) == (0, said, "")


def test_the_stack_may_be_named(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    assert check(capsys, file, "--stack", "prod")[1] == "The configuration of stack prod has no fault.\n"
    elsewhere = file.rename(file.with_name("copy"))
    assert check(capsys, elsewhere, "--stack", "prod")[0] == 0
    assert check(capsys, file.with_name("copy"), "--stack", "Prod!")[0] == 1


def test_one_name_does_not_fit_several_files(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        check(capsys, file, file, "--stack", "prod")
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(": error: --stack names one stack, and so goes with one file\n")


def test_without_a_file_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        check(capsys)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: python -m stackproof_infra.check ")
    assert "FILE" in said


def test_help_says_what_everything_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        check(capsys, "--help")
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert " Check stacks' files. positional arguments: " in said
    assert "FILE a Pulumi.<stack>.yaml" in said
    assert "--stack NAME the stack's name, where the file's does not say it" in said
    assert "--json print one JSON document" in said
    assert "--given KEY a key that whoever deploys adds if it is missing" in said


def test_an_encrypted_value_counts_as_given_whatever_it_holds(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    secret = """\
  stackproof-infra:prefix:
    secure: v1:a
  stackproof-infra:database:
    volumeGb: {secure: v1:b}
    highAvailability: {secure: v1:c}
    settings: {secure: v1:d}
  stackproof-infra:storage:
    readers: {secure: v1:e}
  stackproof-infra:network: {secure: v1:f}
  stackproof-infra:observability:
    contacts: [{secure: v1:g}, {secure: v1:h}]
"""
    plain = "".join(line for line in GOOD.splitlines(keepends=True) if "prefix" not in line)
    file.write_text(plain + "    environment: {PAYMENT: {secure: v1:i}}\n" + secret)
    assert check(capsys, file) == (0, "The configuration of stack shop has no fault.\n", "")


def test_faults_beside_an_encrypted_value_are_found_and_show_nothing(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_text(GOOD + "    maxScale: 0\n    environment: {PAYMENT: {secure: v1:i}}\n")
    code, out, _ = check(capsys, file)
    assert code == 1
    assert "  container.maxScale: must be" in out


def test_a_password_in_the_clear_is_refused_and_not_shown(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text(GOOD.replace("\n    secure: v1:abc", " Springfield-7"))
    code, out, err = check(capsys, file)
    assert code == 1
    assert "databasePassword: must be encrypted" in out
    assert "Springfield" not in out + err


def test_project_and_region_come_from_the_environment(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text("".join(line for line in GOOD.splitlines(keepends=True) if "projectId" not in line))
    assert check(capsys, file)[0] == 1
    assert main([str(file)], environment={"SCW_DEFAULT_PROJECT_ID": PROJECT_ID}) == 0


def test_a_foundations_file_is_checked_as_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: stackproof-foundation\nruntime: python\n")
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(f"config: {{prefix: acme-shop, scaleway:projectId: {PROJECT_ID}, colour: red}}\n")
    assert (
        check(capsys, file)[1].splitlines()[1] == "  colour: is not a key of this stack, for example "
        "deployers or lock or prefix or registry or rotation or state"
    )


@pytest.mark.parametrize("content", ["", "# Nothing yet.\n", "config:\n", "{}", "config: {}"])
def test_a_file_that_says_nothing_lacks_what_is_required(
    capsys: pytest.CaptureFixture[str], file: Path, content: str
) -> None:
    file.write_text(content)
    code, out, _ = check(capsys, file)
    assert code == 1
    assert out.startswith("The configuration of stack shop has 6 faults:\n  prefix: is required")


# What is in the file, and what is said of it after its name.
BROKEN = {
    "no YAML": (
        "config: [",
        "is not YAML: expected the node content, but found '<stream end>' in line 1. Next: mend the",
    ),
    "a stray tab": (
        "config:\n\t- 1",
        "is not YAML: found character '\\t' that cannot start any token in line 2. Next: mend",
    ),
    "a control character": (
        "a: \x01",
        "is not YAML: unacceptable character #x0001: special characters are not allowed",
    ),
    "a list": ("- a", "does not hold keys where a stack's file should. Next: write `key: value`, one a line."),
    "a text": ("hello", "does not hold keys where a stack's file should. Next: write `key: value`, one a line."),
    "config is a list": ("config: [1]", "does not hold keys where its config should. Next: write `key: value`, one"),
    "a number for a key": ("config: {1: 2}", "does not hold keys where its config should. Next: write `key: value`"),
    "misspelt top": (
        "conifg: {}",
        "has 'conifg' at its top. Next: use one of config, encryptedkey, encryptionsalt, environment, secretsprovider.",
    ),
    "a key twice": (
        "config:\n  prefix: a\n  prefix: b",
        "is not YAML: 'prefix' comes twice in line 3. Next: mend the line.",
    ),
    "a key twice by two names": (
        "config: {prefix: a, stackproof-infra:prefix: b}",
        "has stackproof-infra:prefix twice, once without its project's name. Next: remove one of the two.",
    ),
    "an environment of ESC": (
        "environment: [shop/prod]",
        "imports environments, which only Pulumi's own service can read. Next: write their values into its config.",
    ),
    "a value within itself": (
        "config: {network: &n {a: *n}}",
        "has a value that contains itself: stackproof-infra:network. Next: write it out.",
    ),
    "a tag of Python's": (
        "config: {a: !!python/object:os.system {}}",
        "is not YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object:os.system' in line 1. Next: mend the line.",
    ),
    "nested too deeply": (
        "[" * 5000,
        "is not YAML: maximum recursion depth exceeded",
    ),
    "a key that is a list": (
        "config: {? [a] : b}",
        "is not YAML: found unhashable key in line 1. Next: mend the line.",
    ),
}


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_told_with_the_next_step(
    capsys: pytest.CaptureFixture[str], file: Path, content: str, said: str
) -> None:
    file.write_text(content)
    code, out, err = check(capsys, file)
    assert (code, out) == (2, "")
    assert err.startswith(f"{file} {said}")
    assert err.endswith((". Next: mend the line.\n", ". Next: write it anew.\n")) or ". Next: " in said


def test_a_file_that_is_not_there_is_said_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.none.yaml"
    said = f"{path} cannot be read: No such file or directory. Next: check its name and its permissions.\n"
    assert check(capsys, path) == (2, "", said)
    assert check(capsys, tmp_path)[2].startswith(f"{tmp_path} cannot be read: Is a directory.")


def test_a_file_that_may_not_be_read_is_said_so_before_its_name_is_looked_at(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert check(capsys, tmp_path / "none")[2].startswith(f"{tmp_path / 'none'} cannot be read: No such file")


def test_a_file_in_another_encoding_is_said_so(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_bytes("config: {prefix: größer}".encode("latin-1"))
    assert check(capsys, file) == (2, "", f"{file} is not a text in UTF-8. Next: save it as one.\n")


def test_a_file_that_does_not_name_its_stack_is_said_so(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    moved = file.rename(file.with_name("stack.yaml"))
    said = f"{moved} is not named Pulumi.<stack>.yaml. Next: say which stack's it is: --stack NAME.\n"
    assert check(capsys, moved) == (2, "", said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "name: other\n",
            "{file} belongs to project other. Next: name a file of stackproof-infra or stackproof-foundation.",
        ),
        ("runtime: python\n", "{project} names no project. Next: give it a name, such as stackproof-infra."),
        ("- a\n", "{project} does not hold keys where a project's file should. Next: write `key: value`, one a line."),
    ],
)
def test_a_file_of_another_project_is_said_so(
    capsys: pytest.CaptureFixture[str], file: Path, content: str, said: str
) -> None:
    project = file.with_name("Pulumi.yaml")
    project.write_text(content)
    assert check(capsys, file) == (2, "", said.format(file=file, project=project) + "\n")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("yes", "yes"),
        ("2030-01-31", "2030-01-31"),
        ("12:30", "12:30"),
        ("0o17", "0o17"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("True", "true"),
        ("FALSE", "false"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("-1", "-1"),
        ("+7", "7"),
        ("1e3", "1000.0"),
        ("", ""),
        ("~", ""),
        ("null", ""),
        ("[a, 1, Null]", '["a", 1, null]'),
        ("{a: {b: yes}}", '{"a": {"b": "yes"}}'),
    ],
)
def test_values_are_read_as_the_engine_reads_them(
    capsys: pytest.CaptureFixture[str], file: Path, written: str, read: str
) -> None:
    """No value is a good id, so the fault shows how each was read."""
    file.write_text(f"config: {{operatorsProjectId: {written}}}")
    faults = cast("list[dict[str, str]]", document(check(capsys, file, "--json")[1])["faults"])
    (shown,) = (fault["value"] for fault in faults if fault["key"] == "operatorsProjectId")
    assert json.loads(shown) == read


def test_a_moment_is_a_text(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text(GOOD + "  identity: {keyExpiresAt: 2030-01-31T00:00:00Z}\n")
    assert check(capsys, file)[0] == 0


def test_what_several_places_share_may_be_merged(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text(GOOD + "    <<: {maxScale: 0}\n")
    assert "container.maxScale = 0" in check(capsys, file)[1]


def test_it_runs_as_a_module_without_pulumi() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SCW_", "PULUMI_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "stackproof_infra.check", "Pulumi.dev.yaml", "--json"],
        cwd=INFRA,
        env={**environment, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    faults = cast("list[dict[str, str]]", document(ended.stdout)["faults"])
    assert (ended.returncode, ended.stderr) == (1, "")
    assert [fault["key"] for fault in faults] == [
        "scaleway:projectId",
        "databasePassword",
        "databaseAdminPassword",
        "deployers",
        "container.image",
    ]


def test_a_key_that_will_be_added_may_be_missing_but_not_wrong(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text(GOOD.replace("  stackproof-infra:prefix: acme-shop\n", "", 1))
    assert check(capsys, file)[0] == 1
    assert check(capsys, file, "--given", "prefix")[0] == 0
    file.write_text(GOOD.replace("acme-shop", "Acme", 1))
    assert check(capsys, file, "--given", "prefix")[0] == 1
