"""Nodes as the rehearsal has them, raised anew in the fork of each case."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2

from tests.rehearsal import launcher
from tests.rehearsal.hosts import host
from tests.rehearsal.hosts.network import GATEWAY
from tests.rehearsal.hosts.standins.workbench.cluster import STALE_SECONDS

PATIENCE = 20
"""Wall seconds that a node may take to answer."""
WANTED = "the recorded configuration"
NODE_TABLE = """
    select case when last_seen < now() - %s * interval '1 second' then 'Offline' else status end from node
"""


class Hosts(host.Hosts):
    """Hosts that begin in a fork. Their network is the fork's."""

    aws: Any

    def wake(self, aws: Any) -> None:
        self.aws = aws
        self.endpoint = aws.node_endpoint = f"http://{GATEWAY}:{aws.port}"
        self.start()
        aws.server.listen(launcher.listening(GATEWAY, aws.port))

    def described(self, cluster: str, configuration: str) -> Iterator[str]:
        for machine in self.aws.machines.by_id.values():
            if machine.host and machine.all_tags.get("benchwright:cluster") == cluster:
                found = machine.host.run("cat /var/lib/benchwright/configuration", timeout=PATIENCE).stdout
                yield f"files on a node of {cluster}: {WANTED if found == configuration else found}"
        for name, server in self.aws.postgres.items():
            if f"-{cluster}-foundation-" in name:
                with contextlib.suppress(psycopg2.OperationalError, psycopg2.errors.UndefinedTable):
                    for (status,) in server.execute(NODE_TABLE, STALE_SECONDS, database="rstudio"):
                        yield f"row of {cluster} {status}"
