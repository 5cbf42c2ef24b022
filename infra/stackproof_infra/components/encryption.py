"""A key that never leaves Key Manager: the application has it encrypt, and never sees it.

Seed: FR-011 encryption of data at rest, FR-004 least privilege (who may use the key is said in `__main__.py`).
"""

from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import keymanager

from stackproof_infra.place import Place


@dataclass(frozen=True, kw_only=True)
class EncryptionArgs:
    """What a caller decides; everything else is policy and lives in `Encryption`."""

    place: Place
    description: str
    rotation_days: int
    protected: bool
    """Whether the key can be deleted. What it has encrypted is lost with it, backups included.

    Protection is twofold. Pulumi's stops a destroy before it has deleted anything; it goes when an update has applied
    `protected: false`. Scaleway's stops everybody, and goes by hand only, since the provider applies the setting at
    creation and never again: `scw keymanager key unprotect <id>`.
    """

    def __post_init__(self) -> None:
        """Refuses a rotation that Key Manager would."""
        if not 1 <= self.rotation_days <= 365:
            raise ValueError(f"rotation_days must be 1 to 365, not {self.rotation_days}")


class Encryption(pulumi.ComponentResource):
    """A symmetric key that gets new material regularly; what older material encrypted can still be decrypted."""

    key_id: pulumi.Output[str]

    def __init__(self, name: str, args: EncryptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the key."""
        super().__init__("stackproof:encryption:Encryption", name, {}, opts)
        key = keymanager.Key(
            f"{name}-key",
            name=args.place.name(name),
            project_id=args.place.project_id,
            region=args.place.region,
            description=args.description,
            usage="symmetric_encryption",
            algorithm="aes_256_gcm",
            rotation_policy=keymanager.KeyRotationPolicyArgs(rotation_period=f"{args.rotation_days * 24}h"),
            unprotected=not args.protected,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protected),
        )
        self.key_id = key.id
        self.register_outputs({"key_id": self.key_id})
