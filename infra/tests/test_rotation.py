"""Rotation: the next credential is beside the present one, then in its place, then alone."""

from typing import cast

import pytest

from stackproof_infra.config import InvalidConfiguration
from stackproof_infra.rotation import Generations, alternate_user, generations, of_generation
from tests.cloud import MANAGED_LOCK, PASSWORD, SECRET_KEYS, Graph, deploy, lay_foundation

ALTERNATE = "Capital-City-9"


def stack(database: str, api_keys: str = "v1") -> Graph:
    changes = {"rotation": {"database": database, "apiKeys": api_keys}, "databasePasswordAlternate": ALTERNATE}
    return deploy(changes, secret_keys=[*SECRET_KEYS, "stackproof-infra:databasePasswordAlternate"])


def names(graph: Graph, type_: str) -> list[str]:
    """Returns the names in order: what does not depend on each other registers in any."""
    return sorted(made.name for made in graph.all(type_))


def login(graph: Graph) -> tuple[object, object]:
    container = graph.the("containers/container:Container")
    plain = cast("dict[str, str]", container["environmentVariables"])
    secret = cast("dict[str, str]", container["secretEnvironmentVariables"])
    return plain["DATABASE_USER"], secret["DATABASE_PASSWORD"]


def versions(graph: Graph, secret: str) -> dict[str, object]:
    return {
        made.name: made["data"]
        for made in graph.all("secrets/version:Version")
        if made["secretId"] == graph.named(f"{secret}-secret").id
    }


@pytest.mark.parametrize(
    ("text", "in_use", "valid"), [("v1", 1, (1,)), ("v1+v2", 1, (1, 2)), ("v2+v1", 2, (2, 1)), ("v10", 10, (10,))]
)
def test_generations_are_read(text: str, in_use: int, valid: tuple[int, ...]) -> None:
    assert (generations(text).in_use, generations(text).valid) == (in_use, valid)


@pytest.mark.parametrize("text", ["", "1", "v0", "v01", "v1+v3", "v1+v1", "v1+v2+v3", "v1 + v2", "v1000000"])
def test_what_is_no_generation_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="must be a generation such as v1"):
        deploy({"rotation": {"database": text}})


def test_a_refused_generation_reads_as_the_first() -> None:
    assert generations("") == Generations()


def test_the_first_generation_has_the_names_from_before() -> None:
    assert (of_generation("key", 1), of_generation("key", 2)) == ("key", "key-v2")


def test_an_alternate_name_is_one_that_postgresql_takes() -> None:
    assert (alternate_user("app"), len(alternate_user("a" * 63))) == ("app_alternate", 63)


@pytest.mark.parametrize(
    ("database", "user", "password", "stored"),
    [
        ("v1", "app", PASSWORD, {"database-password-version": PASSWORD}),
        (
            "v1+v2",
            "app",
            PASSWORD,
            {"database-password-version": PASSWORD, "database-password-version-v2": ALTERNATE},
        ),
        (
            "v2+v1",
            "app_alternate",
            ALTERNATE,
            {"database-password-version": PASSWORD, "database-password-version-v2": ALTERNATE},
        ),
        ("v2", "app_alternate", ALTERNATE, {"database-password-version-v2": ALTERNATE}),
        ("v3", "app", PASSWORD, {"database-password-version-v3": PASSWORD}),
    ],
)
def test_two_users_are_signed_in_as_in_turn(database: str, user: str, password: str, stored: dict[str, object]) -> None:
    graph = stack(database)
    assert names(graph, "databases/user:User") == ["database-user", "database-user-alternate"]
    assert login(graph) == (user, password)
    assert versions(graph, "database-password") == stored


def test_the_alternate_user_has_the_same_permission_and_waits_for_its_turn() -> None:
    graph = stack("v1+v2")
    user, privilege = graph.named("database-user-alternate"), graph.named("database-privilege-alternate")
    assert (user["name"], user["password"], user["isAdmin"]) == ("app_alternate", ALTERNATE, False)
    assert privilege["permission"] == graph.named("database-privilege")["permission"]
    assert privilege["userName"] == "app_alternate"
    assert "database-privilege" in privilege.after


def test_a_password_is_told_once_somebody_can_sign_in_with_it() -> None:
    assert "database-privilege-alternate" in stack("v1+v2").named("database-password-version-v2").after


def test_there_is_one_user_until_the_first_rotation(graph: Graph) -> None:
    assert names(graph, "databases/user:User") == ["database-user"]


def test_an_even_generation_needs_the_alternate_password() -> None:
    with pytest.raises(InvalidConfiguration, match="databasePasswordAlternate: is required and encrypted"):
        deploy({"rotation": {"database": "v1+v2"}})


@pytest.mark.parametrize(
    ("api_keys", "keys"),
    [
        ("v1", ["application-api-key"]),
        ("v1+v2", ["application-api-key", "application-api-key-v2"]),
        ("v2+v1", ["application-api-key-v2", "application-api-key"]),
        ("v3", ["application-api-key-v3"]),
    ],
)
def test_each_generation_of_the_api_key_is_a_key_and_a_version(api_keys: str, keys: list[str]) -> None:
    graph = stack("v1", api_keys)
    assert names(graph, "iam/apiKey:ApiKey") == sorted(keys)
    assert sorted(name.replace("version", "api-key") for name in versions(graph, "application-key")) == sorted(
        key.replace("application-api-key", "application-key-api-key") for key in keys
    )


@pytest.mark.parametrize(("rotation", "user"), [("v1+v2", "deployers"), ("v2+v1", "deployers_alternate")])
def test_the_deployers_have_two_logins_while_theirs_is_rotated(rotation: str, user: str) -> None:
    graph = lay_foundation({**MANAGED_LOCK, "rotation": {"deployers": rotation}, "lockPasswordAlternate": ALTERNATE})
    assert names(graph, "iam/apiKey:ApiKey") == ["deployers-api-key", "deployers-api-key-v2"]
    assert sorted(versions(graph, "deployers-key")) == ["deployers-key-version", "deployers-key-version-v2"]
    logins = versions(graph, "lock-login")
    assert f'"user": "{user}"' in str(logins["lock-login-version" if user == "deployers" else "lock-login-version-v2"])
    assert f'"password": "{ALTERNATE}"' in str(logins["lock-login-version-v2"])


def test_a_serverless_lock_is_signed_in_to_with_each_key() -> None:
    graph = lay_foundation({"rotation": {"deployers": "v2+v1"}})
    assert sorted(versions(graph, "lock-login")) == ["lock-login-version", "lock-login-version-v2"]
