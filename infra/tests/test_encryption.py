"""The key: strong, renewed, and hard to lose; and what else encrypts what it keeps."""

import pytest

from stackproof_infra.components.encryption import EncryptionArgs
from stackproof_infra.place import Place
from tests.cloud import Graph, deploy

PLACE = Place(prefix="acme-shop", stack="test", project_id="p", region="fr-par")


def test_it_is_symmetric_and_renewed_every_90_days(graph: Graph) -> None:
    key = graph.the("keymanager/key:Key")
    assert (key["usage"], key["algorithm"]) == ("symmetric_encryption", "aes_256_gcm")
    assert key["rotationPolicy"] == {"rotationPeriod": "2160h"}


def test_it_is_renewed_as_configured() -> None:
    key = deploy({"encryption": {"rotationDays": 1}}).the("keymanager/key:Key")
    assert key["rotationPolicy"] == {"rotationPeriod": "24h"}


@pytest.mark.parametrize("protected", [True, False])
def test_it_can_be_deleted_only_when_configured(protected: bool) -> None:
    key = deploy({"encryption": {"protected": protected}}).the("keymanager/key:Key")
    assert (key["unprotected"], key.protected) == (not protected, protected)


def test_it_is_protected_unless_configured_and_nothing_else_is(whole: Graph) -> None:
    assert [made.name for made in whole.resources() if made.protected] == ["encryption-key"]


@pytest.mark.parametrize("days", [0, 366])
def test_a_component_refuses_a_rotation_that_key_manager_would(days: int) -> None:
    with pytest.raises(ValueError, match=f"rotation_days must be 1 to 365, not {days}"):
        EncryptionArgs(place=PLACE, description="d", rotation_days=days, protected=True)


@pytest.mark.parametrize("days", [1, 365])
def test_a_component_takes_the_shortest_and_the_longest_rotation(days: int) -> None:
    assert EncryptionArgs(place=PLACE, description="d", rotation_days=days, protected=True).rotation_days == days


def test_everything_that_keeps_data_encrypts_it(whole: Graph) -> None:
    """Each type that keeps data, and what makes it encrypt; a new one fails until it is said here."""
    said = {
        "databases/instance:Instance": whole.the("databases/instance:Instance")["encryptionAtRest"],
        "object/bucket:Bucket": len(
            whole.all("object/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
        )
        == len(whole.all("object/bucket:Bucket")),
        # Encrypted by the product, which takes no setting for it.
        "databases/serverlessDatabase:ServerlessDatabase": True,
        "secrets/secret:Secret": True,
        "observability/source:Source": True,
    }
    keeping = ("databases/", "object/bucket:", "secrets/secret:", "observability/source:")
    parts = ("databases/database:", "databases/user:", "databases/privilege:")
    types = {made.type.removeprefix("scaleway:") for made in whole.resources()}
    assert {type_ for type_ in types if type_.startswith(keeping) and not type_.startswith(parts)} == set(said)
    assert set(said.values()) == {True}
