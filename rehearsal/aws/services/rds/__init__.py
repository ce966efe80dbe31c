"""Aurora PostgreSQL: clusters and instances with their states on AWS time, and behind each cluster a real PostgreSQL.

moto has subnet groups and parameter groups; clusters and instances are kept here, as the documents that the API shows.
A server starts with a cluster's first instance, as Aurora's does: before, the endpoint has a name and no one answers.
"""

import trustme

from rehearsal.aws.local_aws import LocalAws

from .clusters import Clusters
from .engine_versions import EngineVersions
from .instances import Instances
from .master_secrets import MasterSecrets
from .model import Databases
from .snapshots import Snapshots
from .tags import Tags

BUNDLE = "python/certificates/global-bundle.pem"
"""Where create_database's layer has the roots of Amazon RDS, below /opt."""


def install(aws: LocalAws) -> None:
    """Add clusters and instances to the server; functions trust the rehearsal's authority in place of Amazon's."""
    ours = trustme.CA(organization_name="Rehearsal", organization_unit_name="RDS Root CA")
    # Nodes download the mirror's authority as Amazon's bundle.
    databases = Databases(aws, aws.hosts.mirror.authority if aws.hosts is not None else ours)
    certificate = aws.directory / "rds-ca.pem"
    databases.authority.cert_pem.write_to_path(str(certificate))
    aws.binds.append((certificate, BUNDLE))
    secrets = MasterSecrets(aws, databases)
    snapshots = Snapshots(aws, databases)
    clusters = Clusters(aws, databases, secrets, snapshots)
    owners = clusters, snapshots, Instances(aws, databases), EngineVersions(aws), Tags(databases)
    aws.server.serve("rds", *owners, within=databases.settled)
    aws.server.serve("secretsmanager", secrets, within=databases.settled)


def stop(aws: LocalAws) -> None:
    """Stop every server."""
    for postgres in list(aws.postgres.values()):
        postgres.stop()
