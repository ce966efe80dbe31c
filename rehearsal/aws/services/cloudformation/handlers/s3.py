"""S3 buckets and their policies."""

from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler
from ..service_call import call


class Bucket(Handler):
    type = "AWS::S3::Bucket"
    seconds = 20
    deletes = ("DeleteBucket", "Bucket")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("BucketName") or context.name(63, lower=True)
        region = context.region
        where = None if region == "us-east-1" else {"LocationConstraint": region}
        call(context.client("s3"), "CreateBucket", Bucket=name, CreateBucketConfiguration=where)
        context.identify(name)
        self._configure(context, name, properties, set(properties))
        return Made(
            name,
            {
                "Arn": f"arn:aws:s3:::{name}",
                "DomainName": f"{name}.s3.amazonaws.com",
                "DualStackDomainName": f"{name}.s3.dualstack.{region}.amazonaws.com",
                "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
                "WebsiteURL": f"http://{name}.s3-website-{region}.amazonaws.com",
            },
        )

    def _configure(self, context: Context, name: str, properties: Properties, changed: set[str]) -> None:
        s3 = context.client("s3")
        for key in sorted(changed & set(properties)):
            value = properties[key] if key in _CONFIGURATIONS or key == "Tags" else None
            if key == "Tags":
                s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": value})
            elif key in _CONFIGURATIONS:
                operation, member = _CONFIGURATIONS[key]
                call(s3, operation, Bucket=name, **{member: _adapted(key, value)})
            elif key == "BucketName":
                properties.read.add(key)

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        self._configure(context, physical_id, new, {key for key in new if dict.get(old, key) != dict.get(new, key)})
        return {}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        s3 = context.client("s3")
        try:
            tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=physical_id)["TagSet"]}
        except s3.exceptions.ClientError:
            tags = {}
        tags = {key: value for key, value in (tags | new).items() if key not in removed}
        call(s3, "PutBucketTagging", Bucket=physical_id, Tagging={"TagSet": tags})


_CONFIGURATIONS = {
    "BucketEncryption": ("PutBucketEncryption", "ServerSideEncryptionConfiguration"),
    "LifecycleConfiguration": ("PutBucketLifecycleConfiguration", "LifecycleConfiguration"),
    "OwnershipControls": ("PutBucketOwnershipControls", "OwnershipControls"),
    "PublicAccessBlockConfiguration": ("PutPublicAccessBlock", "PublicAccessBlockConfiguration"),
    "VersioningConfiguration": ("PutBucketVersioning", "VersioningConfiguration"),
}
"""Properties of a bucket, each with the operation that sets it and the member of its request."""


def _adapted(name: str, value: Any) -> Any:
    if name == "BucketEncryption":
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
                "BucketKeyEnabled": rule.get("BucketKeyEnabled", False),
            }
            for rule in value["ServerSideEncryptionConfiguration"]
        ]
        return {"Rules": rules}
    if name == "LifecycleConfiguration":
        return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}
    return value


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule of the template's form, whose conditions are flat, in the form of the API."""
    rest = dict(rule)
    request = {"Filter": {"Prefix": rest.pop("Prefix", "")}}
    if "ExpirationInDays" in rest:
        request["Expiration"] = {"Days": rest.pop("ExpirationInDays")}
    if "ExpiredObjectDeleteMarker" in rest:
        request["Expiration"] = {"ExpiredObjectDeleteMarker": rest.pop("ExpiredObjectDeleteMarker")}
    return request | rest


class BucketPolicy(Handler):
    type = "AWS::S3::BucketPolicy"
    deletes = ("DeleteBucketPolicy", "Bucket")

    def create(self, context: Context, properties: Properties) -> Made:
        bucket = properties["Bucket"]
        call(context.client("s3"), "PutBucketPolicy", Bucket=bucket, Policy=properties["PolicyDocument"])
        return Made(bucket)

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        call(context.client("s3"), "PutBucketPolicy", Bucket=physical_id, Policy=new["PolicyDocument"])
        return {}
