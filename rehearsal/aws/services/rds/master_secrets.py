"""Secrets of masters: made, rotated, and read."""

import json
import re
import string
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from moto.secretsmanager.models import secretsmanager_backends

from rehearsal.aws.calls import PROCEED, Call, Proceed
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.postgres import Refusal

from .model import Cluster, Databases, characters

APPLICATION_SECRET = re.compile(r"/database(-\w{6})?$")
"""Name or ARN of the secret with which Workbench, and create_database on its behalf, logs in."""


# RDS takes all printable ASCII but these into a master password.
PASSWORD = "".join(character for character in string.printable[:94] if character not in "/@\"'")
REFUSALS: Mapping[str, Refusal] = {"refuse": "rejected", **{how: how for how in get_args(Refusal)}}
"""The words of `--fault postgres:WORD`, and how the server then refuses."""


@dataclass(frozen=True)
class MasterSecrets:
    aws: LocalAws
    databases: Databases

    def rotate_secret(self, call: Call) -> Mapping[str, Any] | Proceed:
        cluster = self._by_secret(call["SecretId"])
        if cluster is None:
            return PROCEED
        version = self.rotate(cluster)
        return {"ARN": cluster.secret, "Name": self._secret(cluster).name, "VersionId": version}

    def get_secret_value(self, call: Call) -> Proceed:
        """The moment before a program logs in: here `--fault postgres` takes hold, and here it lets go."""
        cluster = self._by_secret(call["SecretId"])
        if cluster is not None:
            self._refuse(cluster, ("refuse", "rejected", "busy"))
        elif APPLICATION_SECRET.search(call["SecretId"]):
            for each in self.databases.clusters.values():
                self._refuse(each, ("stopped",))
        return PROCEED

    def rotate(self, cluster: Cluster) -> str:
        """Give the master a new password; returns the version of its secret."""
        password = characters(28, PASSWORD)
        if cluster.postgres.running:
            with self.aws.clock.busy():
                cluster.postgres.change_master_password(password)
        else:
            cluster.postgres.master_password = password
        self.aws.recorder.register_secret(password)
        secret, backend = self._secret(cluster), self._secrets
        backend._add_secret(
            secret.name,
            secret_string=json.dumps({"username": cluster.document["MasterUsername"], "password": password}),
            description=secret.description,
            tags=secret.tags,
        )
        return str(secret.default_version_id)

    @property
    def _secrets(self) -> Any:
        return self.aws.moto_backend(secretsmanager_backends)

    def _secret(self, cluster: Cluster) -> Any:
        return self._secrets.secrets[cluster.secret]

    def _by_secret(self, secret_id: str) -> Cluster | None:
        for cluster in self.databases.clusters.values():
            if cluster.secret and (cluster.secret == secret_id or self._secret(cluster).name == secret_id):
                return cluster
        return None

    def create(self, cluster: Cluster, key: str | None) -> dict[str, str]:
        document = cluster.document
        password = {"username": document["MasterUsername"], "password": cluster.postgres.master_password}
        secret = self._secrets.create_managed_secret(
            service_name="rds",
            secret_id=f"rds!cluster-{uuid.uuid4()}",
            secret_string=json.dumps(password),
            description=f"The secret associated with the primary RDS DB cluster: {document['DBClusterArn']}",
            kms_key_id=key,
            tags=[{"Key": "aws:rds:primaryDBClusterArn", "Value": document["DBClusterArn"]}],
        )
        return {"SecretArn": secret.arn, "SecretStatus": "creating", **({"KmsKeyId": key} if key else {})}

    def _refuse(self, cluster: Cluster, words: Iterable[str]) -> None:
        if not (cluster.postgres.running or cluster.refuses):
            return
        name = cluster.document["DBClusterIdentifier"]
        fault = next(filter(None, (self.aws.faults.take(f"postgres:{word}", cluster=name) for word in words)), None)
        how = REFUSALS[fault["word"]] if fault else None
        if how == cluster.refuses:
            return
        with self.aws.clock.busy():
            if cluster.refuses:
                cluster.postgres.accept()
            if how:
                cluster.postgres.refuse(how)
        cluster.refuses = how
