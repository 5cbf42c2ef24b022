"""Buckets."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from stackproof_policy.catalog import Parameters
from stackproof_policy.resource import UNKNOWN, Resource, member

BUCKET = "scaleway:object/bucket:Bucket"
ENCRYPTION = "scaleway:object/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
POLICY = "scaleway:object/bucketPolicy:BucketPolicy"

_ALGORITHMS = ("AES256", "aws:kms")


def encrypted(bucket: Resource, others: Sequence[Resource], _: Parameters) -> Iterator[str]:
    """Finds buckets without a default encryption."""
    mine = [other for other in others if other.type == ENCRYPTION and _is_of(other, bucket)]
    if not any(one.get("rules") is UNKNOWN or any(map(_encrypts, one.items("rules"))) for one in mine):
        yield "no BucketServerSideEncryptionConfiguration encrypts what is put into it"


def versioned(bucket: Resource, _: Parameters) -> Iterator[str]:
    """Finds buckets that forget."""
    if not bucket.is_on("versioning.enabled"):
        yield "versioning is not on"


def opens_to_no_stranger(resource: Resource, _: Parameters) -> Iterator[str]:
    """Finds ACLs for everybody, and policies that name everybody or that nobody can read."""
    acl = resource.get("acl")
    if isinstance(acl, str) and acl != "private":
        yield f"its ACL is {acl}, not private"
    if resource.type != POLICY:
        return
    policy = resource.get("policy")
    if not isinstance(policy, str):
        return
    try:
        document: object = json.loads(policy)
    except ValueError:
        yield "its policy is no JSON"
        return
    for sid in strangers(document):
        yield f"statement {sid} of its policy allows everybody"


def has_policy(bucket: Resource, others: Sequence[Resource], _: Parameters) -> Iterator[str]:
    """Finds buckets without a policy, which are open to every key of their project."""
    if bucket.type == BUCKET and not any(other.type == POLICY and _is_of(other, bucket) for other in others):
        yield "no BucketPolicy says who may use it"


def strangers(document: object) -> list[str]:
    """Returns the statements of a policy that allow something to everybody, by their names."""
    statements = member(document, "Statement")
    listed: list[object] = cast("list[object]", statements) if isinstance(statements, list) else [statements]
    return [
        str(member(statement, "Sid") or f"number {position}")
        for position, statement in enumerate(listed, start=1)
        if member(statement, "Effect") == "Allow" and _names_everybody(member(statement, "Principal"))
    ]


def _names_everybody(principal: object) -> bool:
    if isinstance(principal, Mapping):
        return any(_names_everybody(one) for one in cast("Mapping[str, object]", principal).values())
    if isinstance(principal, list):
        return any(_names_everybody(one) for one in cast("list[object]", principal))
    return principal == "*"


def _is_of(other: Resource, bucket: Resource) -> bool:
    """Returns whether something is of this bucket, which it names by its name or by its id, or may."""
    named, name = other.get("bucket"), bucket.get("name")
    if named is UNKNOWN or name is UNKNOWN or name is None:
        return True
    return isinstance(named, str) and named.rpartition("/")[2] == name


def _encrypts(rule: object) -> bool:
    default = member(rule, "applyServerSideEncryptionByDefault")
    return default is UNKNOWN or member(default, "sseAlgorithm") in (*_ALGORITHMS, UNKNOWN)
