"""Nodes as the rehearsal has them, raised again in the fork of each case."""

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg2

from rehearsal import launcher
from rehearsal.hosts import host
from rehearsal.hosts.network import GATEWAY
from rehearsal.hosts.standins.rskey import Key, KeyFileError
from rehearsal.hosts.standins.workbench.cluster import STALE_SECONDS
from rehearsal.judges import secrets
from tests.faults.made_up import MADE_UP

PATIENCE = 60
"""Wall seconds that a node may take to answer."""
WANTED = "the recorded configuration"
FILES = """#!/bin/bash
{
  cat /var/lib/benchwright/files
  find /etc /var/lib/rstudio-server /efs/home -name '.benchwright.*'
} | while read -r path; do
  printf '%s ' "$(stat -c '%a %U:%G' "$path")" "$path"
  base64 -w 0 "$path" 2>/dev/null
  echo
done
"""
"""Mode, owner, path and content of every file of the configuration, and of what a script may have left."""
KEY_FILE = "/etc/rstudio/secure-cookie-key"
PASSWORD = re.compile(r"^password=(.*)$", re.MULTILINE)
"""Encrypted with another initialisation vector each time."""
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
        known = secrets.stored(self.aws.client)
        for machine in list(self.aws.machines.by_id.values()):
            if machine.host and machine.all_tags.get("benchwright:cluster") == cluster:
                found = machine.host.run("cat /var/lib/benchwright/configuration", timeout=PATIENCE).stdout
                yield f"files on a node of {cluster}: {WANTED if found == configuration else found}"
                yield from _files(cluster, machine.host, known)
        for name, server in list(self.aws.postgres.items()):
            if f"-{cluster}-foundation-" in name:
                with contextlib.suppress(psycopg2.OperationalError, psycopg2.errors.UndefinedTable):
                    for (status,) in server.execute(NODE_TABLE, STALE_SECONDS, database="rstudio"):
                        yield f"row of {cluster} {status}"


def _files(cluster: str, node: host.Host, known: Iterable[secrets.Secret]) -> Iterator[str]:
    """Each file with a digest of its content. Secrets are listed by their names; what AWS makes up, and the name of
    the cluster, do not count.
    """
    lines = [line.split(" ", 3) for line in node.run(FILES, timeout=PATIENCE).stdout.splitlines()]
    contents = {path: base64.b64decode(encoded) for _, _, path, encoded in lines}
    for mode, owner, path, _ in lines:
        text = contents[path].decode().replace(node.address, "its address")
        with contextlib.suppress(KeyError, KeyFileError):
            text = PASSWORD.sub(lambda found: Key(contents[KEY_FILE]).decrypt(found[1]), text)
        text = text.replace(f"-{cluster}-", "-its cluster-")
        for secret in known:
            text = text.replace(secret.value, f"<{secret.name.replace(f'/{cluster}/', '/its cluster/')}>")
        digest = hashlib.sha256(MADE_UP.sub("*", text).encode()).hexdigest()[:10]
        yield f"file on a node of {cluster}: {mode} {owner} {path}: {digest}"
