"""The keys of `rotation`: where each credential stands. Written by `stackproof rotate`, and by nobody else."""

from dataclasses import dataclass

from stackproof_infra.config.given import SecretText
from stackproof_infra.reader import Section
from stackproof_infra.rotation import GENERATIONS, Generations, generations, is_alternate
from stackproof_infra.rules import Rule


@dataclass(frozen=True, kw_only=True)
class RotationSettings:
    """The keys of `rotation`."""

    database: Generations
    api_keys: Generations


def read_rotation(rotation: Section) -> RotationSettings:
    """Reads the section of a stack."""
    settings = RotationSettings(
        database=read_generations(rotation, "database"),
        api_keys=read_generations(rotation, "apiKeys"),
    )
    rotation.refuse_unknown()
    return settings


def read_generations(rotation: Section, key: str) -> Generations:
    """Reads one credential's key; the first generation where it was never rotated."""
    return generations(rotation.text(key, GENERATIONS, "v1"))


def read_alternate(top: Section, key: str, rule: Rule, valid: Generations) -> SecretText | None:
    """Reads the password of a database's alternate user, which is there from the first rotation on."""
    given = SecretText(top.encrypted(key, rule)) if top.has(key) else None
    top.agree(
        (key,),
        "is required and encrypted, since an even generation is valid",
        f"pulumi config set --secret {key}",
        holds=given is not None or not any(is_alternate(generation) for generation in valid.valid),
    )
    return given
