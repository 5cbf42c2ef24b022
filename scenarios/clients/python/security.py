"""Secret Manager and Key Manager. Both only schedule a deletion: what is deleted can be restored for a while."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from scaleway.key_manager.v1alpha1 import KeyManagerV1Alpha1API
from scaleway.key_manager.v1alpha1.types import KeyAlgorithmSymmetricEncryption, KeyUsage
from scaleway.secret.v1beta1 import SecretV1Beta1API

from life import Life, demand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaleway.key_manager.v1alpha1.types import Key
    from scaleway.secret.v1beta1.types import Secret, SecretVersion

    from place import Place

CONTENT = base64.b64encode(b"what nobody else may know").decode()


def secret_manager(place: Place) -> Sequence[Life[Any]]:
    """Returns the lives of secrets and of their versions."""
    api = SecretV1Beta1API(place.client)
    return [
        Life(
            "secret.secret",
            create=lambda name: api.create_secret(
                name=name, protected=False, description="created", tags=["one"], path="/clients"
            ),
            read=lambda it: api.get_secret(secret_id=it.id),
            listed=lambda: api.list_secrets_all(project_id=place.project_id, scheduled_for_deletion=False),
            change=lambda it: api.update_secret(secret_id=it.id, description="changed"),
            delete=lambda it: api.delete_secret(secret_id=it.id),
            shows=lambda it: (it.description, it.tags, it.path, it.project_id),
            given=("created", ["one"], "/clients", place.project_id),
            changed=("changed", ["one"], "/clients", place.project_id),
            within=lambda it: [_version(api, it)],
            kept=lambda it: it.deletion_requested_at is not None,
        )
    ]


def _version(api: SecretV1Beta1API, inside: Secret) -> Life[SecretVersion]:
    def content(version: SecretVersion) -> None:
        told = api.access_secret_version(secret_id=inside.id, revision=str(version.revision))
        demand("whether the content is what was put in", told.data == CONTENT, expected=True)

    def versions() -> list[SecretVersion]:
        told = api.list_secret_versions_all(secret_id=inside.id)
        return [version for version in told if version.deletion_requested_at is None]

    return Life(
        "secret.version",
        create=lambda _: api.create_secret_version(secret_id=inside.id, data=CONTENT, description="created"),
        read=lambda it: api.get_secret_version(secret_id=inside.id, revision=str(it.revision)),
        listed=versions,
        change=lambda it: api.update_secret_version(
            secret_id=inside.id, revision=str(it.revision), description="changed"
        ),
        delete=lambda it: api.delete_secret_version(secret_id=inside.id, revision=str(it.revision)),
        key=lambda it: it.revision,
        shows=lambda it: (it.description, it.revision, it.latest),
        given=("created", 1, True),
        changed=("changed", 1, True),
        also=content,
        kept=lambda it: it.deletion_requested_at is not None,
    )


def key_manager(place: Place) -> Sequence[Life[Any]]:
    """Returns the life of a key, which encrypts and decrypts while it is there."""
    api = KeyManagerV1Alpha1API(place.client)
    usage = KeyUsage(symmetric_encryption=KeyAlgorithmSymmetricEncryption.AES_256_GCM)

    def encrypts(key: Key) -> None:
        hidden = api.encrypt(key_id=key.id, plaintext=CONTENT)
        shown = api.decrypt(key_id=key.id, ciphertext=hidden.ciphertext)
        demand("whether the text is what was encrypted", shown.plaintext == CONTENT, expected=True)
        demand("how often the key was rotated", api.rotate_key(key_id=key.id).rotation_count, key.rotation_count + 1)

    return [
        Life(
            "key_manager.key",
            create=lambda name: api.create_key(
                name=name, usage=usage, description="created", tags=["one"], unprotected=True
            ),
            read=lambda it: api.get_key(key_id=it.id),
            listed=lambda: api.list_keys_all(project_id=place.project_id, scheduled_for_deletion=False),
            change=lambda it: api.update_key(key_id=it.id, description="changed"),
            delete=lambda it: api.delete_key(key_id=it.id),
            shows=lambda it: (it.description, it.tags, it.protected),
            given=("created", ["one"], False),
            changed=("changed", ["one"], False),
            also=encrypts,
            kept=lambda it: it.deletion_requested_at is not None,
        )
    ]
