"""Secrets: all of them kept, none of them shown, each readable by those who need it."""

import re

from tests.cloud import ADMIN_PASSWORD, OPERATORS_ID, PASSWORD, PROJECT_ID, Graph, deploy

# Input names that bear a secret, whatever the resource.
BEARING = re.compile("password|secretKey|^data$|token|credential", re.IGNORECASE)


def stored(graph: Graph, name: str) -> object:
    """Returns the value of the version that lies in the secret of this logical name."""
    secret = graph.named(f"{name}-secret")
    (version,) = (made for made in graph.all("secrets/version:Version") if made["secretId"] == secret.id)
    return version["data"]


def test_every_secret_bearing_input_is_marked_secret(graph: Graph) -> None:
    bearing = [(made, key) for made in graph.resources() for key in made.asked if BEARING.search(key)]
    assert len(bearing) == 4
    assert [f"{made.name}.{key}" for made, key in bearing if not made.is_secret(key)] == []


def test_no_secret_stands_in_an_input_that_is_not_marked(graph: Graph) -> None:
    secrets = (PASSWORD, ADMIN_PASSWORD, "44444444-4444-4444-8444-444444444444")
    plain = [(made, key, str(made[key])) for made in graph.resources() for key in made.asked if not made.is_secret(key)]
    assert [f"{made.name}.{key}" for made, key, value in plain if any(secret in value for secret in secrets)] == []


def test_of_the_exports_the_secret_key_alone_is_secret(graph: Graph) -> None:
    assert graph.secret_exports == {"secret_key"}


def test_the_applications_credentials_are_in_secret_manager(graph: Graph) -> None:
    assert stored(graph, "database-password") == PASSWORD
    assert stored(graph, "application-key") == "44444444-4444-4444-8444-444444444444"


def test_the_administrators_password_is_kept_where_the_application_cannot_read(graph: Graph) -> None:
    assert [made.name for made in graph.resources() if "admin" in made.name] == []
    apart = deploy({"operatorsProjectId": OPERATORS_ID})
    assert stored(apart, "database-admin-password") == ADMIN_PASSWORD
    assert apart.named("database-admin-password-secret")["projectId"] == OPERATORS_ID
    assert {made["projectId"] for made in graph.all("secrets/secret:Secret")} == {PROJECT_ID}


def test_secrets_lie_in_the_stacks_own_folder(graph: Graph) -> None:
    assert {made["path"] for made in graph.all("secrets/secret:Secret")} == {"/acme-shop/test"}
