"""Secrets: all of them kept, none of them shown, each readable by those who need it."""

import re
from typing import cast

import pytest

from tests.cloud import (
    ADMIN_PASSWORD,
    OPERATORS_ID,
    PASSWORD,
    PROJECT_ID,
    SECRET_KEY,
    SECRET_KEYS,
    TOKEN,
    Graph,
    deploy,
)

# Input names that bear a secret, whatever the resource.
BEARING = re.compile("password|secret.*(key|variables)|^data$|token|credential", re.IGNORECASE)


def stored(graph: Graph, name: str) -> object:
    """Returns the value of the version that lies in the secret of this logical name."""
    secret = graph.named(f"{name}-secret")
    (version,) = (made for made in graph.all("secrets/version:Version") if made["secretId"] == secret.id)
    return version["data"]


def test_every_secret_bearing_input_is_marked_secret(whole: Graph) -> None:
    bearing = [(made, key) for made in whole.resources() for key in made.asked if BEARING.search(key)]
    assert sorted(f"{made.name}.{key}" for made, key in bearing) == [
        "application-key-version.data",
        "caller-key-version.data",
        "database-admin-password-version.data",
        "database-instance.password",
        "database-password-version.data",
        "database-user.password",
        "telemetry-token-version.data",
        "web-container.secretEnvironmentVariables",
    ]
    assert [f"{made.name}.{key}" for made, key in bearing if not made.is_secret(key)] == []


def test_no_secret_stands_in_an_input_that_is_not_marked(whole: Graph) -> None:
    secrets = (PASSWORD, ADMIN_PASSWORD, SECRET_KEY, TOKEN)
    plain = [(made, key, str(made[key])) for made in whole.resources() for key in made.asked if not made.is_secret(key)]
    assert [f"{made.name}.{key}" for made, key, value in plain if any(secret in value for secret in secrets)] == []


def test_of_the_exports_secret_key_and_token_alone_are_secret(whole: Graph) -> None:
    assert whole.secret_exports == {"secret_key", "telemetry_token"}
    secrets = (PASSWORD, ADMIN_PASSWORD, SECRET_KEY, TOKEN)
    shown = {name: str(value) for name, value in whole.exports.items() if name not in whole.secret_exports}
    assert [name for name, value in shown.items() if any(secret in value for secret in secrets)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database-password", PASSWORD),
        ("application-key", SECRET_KEY),
        ("telemetry-token", TOKEN),
        ("caller-key", SECRET_KEY),
    ],
)
def test_every_credential_of_the_stack_is_in_secret_manager(whole: Graph, name: str, value: str) -> None:
    assert stored(whole, name) == value


def test_the_administrators_password_is_kept_where_the_application_cannot_read(graph: Graph, whole: Graph) -> None:
    assert [made.name for made in graph.resources() if "admin" in made.name] == []
    assert {made["projectId"] for made in graph.all("secrets/secret:Secret")} == {PROJECT_ID}
    assert stored(whole, "database-admin-password") == ADMIN_PASSWORD
    admin = whole.named("database-admin-password-secret")
    assert (admin["projectId"], admin["description"]) == (OPERATORS_ID, "Password of the database's administrator.")


def test_secrets_say_what_they_are_for(whole: Graph) -> None:
    assert {made.name: made["description"] for made in whole.all("secrets/secret:Secret")} == {
        "database-password-secret": "Password of the application's database user.",
        "database-admin-password-secret": "Password of the database's administrator.",
        "application-key-secret": "Secret key of the application's API key.",
        "telemetry-token-secret": "Token that the application sends its telemetry with.",
        "caller-key-secret": "Key to call the application with.",
    }
    assert {made["type"] for made in whole.all("secrets/secret:Secret")} == {"opaque"}


def test_secrets_lie_in_the_stacks_own_folder(whole: Graph) -> None:
    assert {made["path"] for made in whole.all("secrets/secret:Secret")} == {"/acme-shop/test"}


def test_an_encrypted_variable_makes_all_of_the_teams_own_secret() -> None:
    own = {"container": {"environment": {"LOG_LEVEL": "info", "PAYMENT": "s3cr3t-of-acme"}}}
    container = deploy(own, secret_keys=[*SECRET_KEYS, "stackproof-infra:container"]).the(
        "containers/container:Container"
    )
    plain = cast("dict[str, str]", container["environmentVariables"])
    secret = cast("dict[str, str]", container["secretEnvironmentVariables"])
    assert {"LOG_LEVEL", "PAYMENT"}.isdisjoint(plain)
    assert (secret["LOG_LEVEL"], secret["PAYMENT"]) == ("info", "s3cr3t-of-acme")
