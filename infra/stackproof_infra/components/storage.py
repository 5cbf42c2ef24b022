"""A bucket that forgets nothing at once and opens to nobody who is not named.

Seed: FR-003 buckets for static assets and for state, FR-004 least privilege, FR-011 encryption at rest, FR-012
versioning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumiverse_scaleway import object as storage

from stackproof_infra.place import Place

# The dialect of Scaleway's bucket policies; the older 2012-10-17 is deprecated there.
_DIALECT = "2023-04-17"

# Parts of uploads that nobody finished cost money and cannot be listed as objects.
_DAYS_FOR_AN_UPLOAD = 7


@dataclass(frozen=True, kw_only=True)
class PrivateBucketArgs:
    """What a caller decides; everything else is policy and lives in `PrivateBucket`.

    Principals are written `user_id:<uuid>` or `application_id:<uuid>`.
    """

    place: Place
    deployers: Sequence[pulumi.Input[str]]
    """Who manages the bucket. A bucket policy shuts out everybody it does not name, whoever applies it included."""
    writers: Sequence[pulumi.Input[str]]
    readers: Sequence[pulumi.Input[str]]
    noncurrent_expiration_days: int
    """How long an overwritten or deleted object can be had back."""
    expiration_days: int | None = None
    """How long any object is kept at all; without it, for ever."""
    force_destroy: bool
    """Whether a destroy deletes the objects too. Without it a bucket that holds anything stops the destroy."""

    def __post_init__(self) -> None:
        """Refuses a policy that would lock its own deployers out of the bucket."""
        if not self.deployers:
            raise ValueError("deployers must name at least one principal, or nobody could manage the bucket again")


class PrivateBucket(pulumi.ComponentResource):
    """A private, encrypted, versioned bucket with a policy that lists who may do what."""

    bucket: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    """The bucket's own address."""
    api_endpoint: pulumi.Output[str]
    """Where the S3 API of its region answers, such as `https://s3.fr-par.scw.cloud`."""

    def __init__(self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Creates the bucket, its default encryption, and its policy last, when everything else is in place."""
        super().__init__("stackproof:storage:PrivateBucket", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        # Known before the bucket exists: a policy's resources can be read in a preview.
        bucket_name = args.place.name(name)
        bucket = storage.Bucket(
            f"{name}-bucket",
            name=bucket_name,
            project_id=args.place.project_id,
            region=args.place.region,
            force_destroy=args.force_destroy,
            versioning=storage.BucketVersioningArgs(enabled=True),
            lifecycle_rules=_lifecycle(args),
            opts=own,
        )
        encryption = storage.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.name,
            project_id=args.place.project_id,
            region=args.place.region,
            rules=[
                storage.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        storage.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="AES256"
                        )
                    )
                )
            ],
            opts=own,
        )
        storage.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.name,
            project_id=args.place.project_id,
            region=args.place.region,
            policy=pulumi.Output.json_dumps(_policy(bucket_name, args)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[encryption]),
        )
        self.bucket = bucket.name
        self.endpoint = bucket.endpoint
        self.api_endpoint = bucket.api_endpoint
        self.register_outputs({"bucket": self.bucket, "endpoint": self.endpoint, "api_endpoint": self.api_endpoint})


def _lifecycle(args: PrivateBucketArgs) -> list[storage.BucketLifecycleRuleArgs]:
    rules = [
        storage.BucketLifecycleRuleArgs(
            id="expire-what-is-not-current",
            enabled=True,
            abort_incomplete_multipart_upload_days=_DAYS_FOR_AN_UPLOAD,
            noncurrent_version_expiration=storage.BucketLifecycleRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=args.noncurrent_expiration_days
            ),
        )
    ]
    if args.expiration_days is not None:
        rules.append(
            storage.BucketLifecycleRuleArgs(
                id="expire-what-is-old",
                enabled=True,
                expiration=storage.BucketLifecycleRuleExpirationArgs(days=args.expiration_days),
            )
        )
    return rules


def _policy(bucket: str, args: PrivateBucketArgs) -> dict[str, object]:
    """Returns the policy document: deployers everything, writers and readers what their work takes."""
    reading = ["s3:GetObject", "s3:ListBucket"]
    allowed = [
        ("Deployers", args.deployers, ["s3:*"]),
        ("Writers", args.writers, [*reading, "s3:PutObject"]),
        ("Readers", args.readers, reading),
    ]
    statements = [
        {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"SCW": list(principals)},
            "Action": actions,
            "Resource": [bucket, f"{bucket}/*"],
        }
        for sid, principals, actions in allowed
        if principals
    ]
    return {"Version": _DIALECT, "Id": bucket, "Statement": statements}
