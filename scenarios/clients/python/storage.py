"""Object Storage through boto3: buckets and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from life import Life, MissingError, demand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

    from place import Place

T = TypeVar("T")


@dataclass(frozen=True)
class Bucket:
    """What is seen of a bucket."""

    name: str
    tags: dict[str, str]


@dataclass(frozen=True)
class Item:
    """What is seen of an object."""

    key: str
    content: bytes
    type_: str


def object_storage(place: Place) -> Sequence[Life[Any]]:
    """Returns the life of a bucket, and within it of an object."""
    s3: S3Client = boto3.client(  # pyright: ignore[reportUnknownMemberType] (it has an overload for every product of AWS)
        "s3",
        region_name=place.region,
        endpoint_url=f"https://s3.{place.region}.scw.cloud",
        # An access key stands for its default project; with a project behind it, for that one.
        aws_access_key_id=f"{place.client.access_key}@{place.project_id}",
        aws_secret_access_key=place.client.secret_key,
        config=Config(retries={"total_max_attempts": 1}),
    )

    def read(name: str) -> Bucket:
        tags = _present(lambda: s3.get_bucket_tagging(Bucket=name))["TagSet"]
        return Bucket(name, {tag["Key"]: tag["Value"] for tag in tags})

    def tag(name: str, when: str) -> Bucket:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "when", "Value": when}]})
        return read(name)

    def create(name: str) -> Bucket:
        s3.create_bucket(Bucket=name)
        return tag(name, "created")

    return [
        Life(
            "object.bucket",
            create=create,
            read=lambda it: read(it.name),
            listed=lambda: [read(one.get("Name", "")) for one in s3.list_buckets().get("Buckets", [])],
            change=lambda it: tag(it.name, "changed"),
            delete=lambda it: s3.delete_bucket(Bucket=it.name),
            key=lambda it: it.name,
            shows=lambda it: it.tags,
            given={"when": "created"},
            changed={"when": "changed"},
            within=lambda it: [_object(s3, it.name), _large(s3, it.name)],
        )
    ]


def _object(s3: S3Client, bucket: str) -> Life[Item]:
    def read(key: str) -> Item:
        answer = _present(lambda: s3.get_object(Bucket=bucket, Key=key))
        return Item(key, answer["Body"].read(), answer["ContentType"])

    def put(key: str, content: bytes) -> Item:
        s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType="text/plain")
        return read(key)

    return Life(
        "object.object",
        create=lambda _: put("notes/first note.txt", b"created"),
        read=lambda it: read(it.key),
        listed=lambda: [read(key) for key in _keys(s3, bucket)],
        change=lambda it: put(it.key, b"changed"),
        delete=lambda it: s3.delete_object(Bucket=bucket, Key=it.key),
        key=lambda it: it.key,
        shows=lambda it: (it.content, it.type_),
        given=(b"created", "text/plain"),
        changed=(b"changed", "text/plain"),
        also=lambda it: demand("the folder's keys", _keys(s3, bucket, prefix="notes/"), [it.key]),
    )


def _large(s3: S3Client, bucket: str) -> Life[str]:
    """Returns the life of an object that comes in two parts."""
    parts = [bytes([number]) * (5 * 1024 * 1024) for number in (1, 2)]

    def create(key: str) -> str:
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        sent = [
            s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part)["ETag"]
            for number, part in enumerate(parts, 1)
        ]
        told: list[CompletedPartTypeDef] = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(sent, 1)]
        s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": told})
        return key

    def read(key: str) -> str:
        _present(lambda: s3.head_object(Bucket=bucket, Key=key))
        return key

    def shows(key: str) -> object:
        middle = s3.get_object(Bucket=bucket, Key=key, Range="bytes=5242878-5242881")["Body"].read()
        return s3.head_object(Bucket=bucket, Key=key)["ContentLength"], middle

    return Life(
        "object.multipart",
        create=create,
        read=read,
        listed=lambda: _keys(s3, bucket),
        delete=lambda it: s3.delete_object(Bucket=bucket, Key=it),
        key=lambda it: it,
        shows=shows,
        given=(10 * 1024 * 1024, b"\x01\x01\x02\x02"),
    )


def _keys(s3: S3Client, bucket: str, prefix: str = "") -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [one.get("Key", "") for page in pages for one in page.get("Contents", [])]


def _present(ask: Callable[[], T]) -> T:
    """Returns the answer, or says that what was asked for is not there."""
    try:
        return ask()
    except ClientError as refusal:
        if refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
            raise MissingError from refusal
        raise
