"""The bucket: versioned, encrypted, and open to those who are named and to nobody else."""

import json
from typing import cast

import pytest

from stackproof_infra.components.storage import PrivateBucketArgs
from stackproof_infra.place import Place
from tests.cloud import DEPLOYER, Graph, deploy

READER = "application_id:55555555-5555-4555-8555-555555555555"
WRITES = ["ObjectStorageObjectsRead", "ObjectStorageObjectsWrite"]


def policy(graph: Graph) -> dict[str, object]:
    return cast("dict[str, object]", json.loads(cast("str", graph.the("object/bucketPolicy:BucketPolicy")["policy"])))


def may(graph: Graph) -> dict[str, list[str]]:
    """Returns what each principal may do with the bucket and its objects."""
    allowed: dict[str, list[str]] = {}
    for statement in cast("list[dict[str, object]]", policy(graph)["Statement"]):
        assert statement["Effect"] == "Allow"
        assert statement["Resource"] == ["acme-shop-test-assets", "acme-shop-test-assets/*"]
        for principal in cast("dict[str, list[str]]", statement["Principal"])["SCW"]:
            allowed[principal] = cast("list[str]", statement["Action"])
    return allowed


def test_it_keeps_old_versions(graph: Graph) -> None:
    assert graph.the("object/bucket:Bucket")["versioning"] == {"enabled": True}


def test_it_drops_old_versions_and_unfinished_uploads_in_time() -> None:
    changed = deploy({"storage": {"noncurrentExpirationDays": 90}})
    assert changed.the("object/bucket:Bucket")["lifecycleRules"] == [
        {
            "id": "expire-what-is-not-current",
            "enabled": True,
            "abortIncompleteMultipartUploadDays": 7,
            "noncurrentVersionExpiration": {"noncurrentDays": 90},
        }
    ]


def test_what_it_keeps_is_encrypted(graph: Graph) -> None:
    encryption = graph.the("object/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
    assert encryption["bucket"] == graph.the("object/bucket:Bucket")["name"]
    assert encryption["rules"] == [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]


def test_every_bucket_has_a_policy(graph: Graph) -> None:
    buckets = {made["name"] for made in graph.all("object/bucket:Bucket")}
    assert {made["bucket"] for made in graph.all("object/bucketPolicy:BucketPolicy")} == buckets


def test_the_policy_speaks_scaleways_present_dialect(graph: Graph) -> None:
    assert policy(graph)["Version"] == "2023-04-17"


def test_the_policy_opens_the_bucket_to_nobody_in_general(graph: Graph) -> None:
    assert [principal for principal in may(graph) if "*" in principal] == []


def test_deployers_keep_every_right_so_that_they_cannot_lock_themselves_out() -> None:
    other = "application_id:66666666-6666-4666-8666-666666666666"
    allowed = may(deploy({"deployers": [DEPLOYER, other]}))
    assert (allowed[DEPLOYER], allowed[other]) == (["s3:*"], ["s3:*"])


def test_the_application_reads_objects_and_writes_them_where_it_may(graph: Graph) -> None:
    application = f"application_id:{graph.the('iam/application:Application').id}"
    assert may(graph) == {DEPLOYER: ["s3:*"], application: ["s3:GetObject", "s3:ListBucket"]}
    changed = deploy({"identity": {"permissionSets": WRITES}})
    assert may(changed) == {DEPLOYER: ["s3:*"], application: ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]}


def test_readers_only_read() -> None:
    assert may(deploy({"storage": {"readers": [READER]}}))[READER] == ["s3:GetObject", "s3:ListBucket"]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_destroy_takes_the_objects_only_when_configured(wanted: bool) -> None:
    assert deploy({"storage": {"forceDestroy": wanted}}).the("object/bucket:Bucket")["forceDestroy"] is wanted


def test_a_component_refuses_a_bucket_without_deployers() -> None:
    with pytest.raises(
        ValueError, match=r"^deployers must name at least one principal, or nobody could manage the buck"
    ):
        PrivateBucketArgs(
            place=Place(prefix="acme-shop", stack="test", project_id="p", region="fr-par"),
            deployers=[],
            writers=[],
            readers=[],
            noncurrent_expiration_days=30,
            force_destroy=False,
        )


def test_the_policy_comes_last_since_it_may_shut_out_whoever_deploys(graph: Graph) -> None:
    assert "assets-encryption" in graph.the("object/bucketPolicy:BucketPolicy").after


def test_statements_say_whom_they_are_for() -> None:
    graph = deploy({"storage": {"readers": [READER]}, "identity": {"permissionSets": WRITES}})
    said = [statement["Sid"] for statement in cast("list[dict[str, object]]", policy(graph)["Statement"])]
    assert said == ["Deployers", "Writers", "Readers"]
    assert policy(graph)["Id"] == graph.the("object/bucket:Bucket")["name"]
