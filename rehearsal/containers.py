"""Where containers of `sam local invoke` find the local AWS, and the cluster that events/ speak of.

That cluster is made when the first container asks, which waits for it meanwhile: no one else needs it, and an account
in which nothing was deployed yet is an empty one.
"""

import logging
import socket
import threading
from collections.abc import Callable

from pyroute2 import IPRoute

from rehearsal import local_invoke
from rehearsal.application import Application
from rehearsal.aws.local_aws import LocalAws
from rehearsal.forwarder import Forwarder

BRIDGE = "docker0"

logger = logging.getLogger(__name__)


def bridge_address() -> str | None:
    """The address of this machine on Docker's bridge; None without one."""
    with IPRoute() as netlink:
        for index in netlink.link_lookup(ifname=BRIDGE):
            for address in netlink.get_addr(family=socket.AF_INET, index=index):
                return str(address.get_attr("IFA_ADDRESS"))
    return None


class Containers:
    """Leads `api` to the local AWS and `database` to the database of that cluster, and writes local.yaml.

    Both sockets were opened at the bridge's address. `report` shows a sentence to the person.
    """

    def __init__(
        self,
        aws: LocalAws,
        installed: Application,
        api: socket.socket,
        database: socket.socket,
        report: Callable[[str], object],
    ) -> None:
        self._aws, self._installed, self._report = aws, installed, report
        self._lock = threading.Lock()
        self._asked = False
        self.database: tuple[str, int] | None = None
        """Address and port inside; None until a container has asked."""
        local_invoke.write_template(aws, installed)
        Forwarder(api, self._find_api)
        Forwarder(database, self._find_database)

    def _find_api(self) -> tuple[str, int] | None:
        return ("127.0.0.1", self._aws.port) if self._find_database() else None

    def _find_database(self) -> tuple[str, int] | None:
        with self._lock:
            if not self._asked:
                self._asked = True
                try:
                    self.database = local_invoke.prepare(self._aws, self._installed)
                except Exception as error:  # a thread for one connection: whoever connects is hung up on
                    logger.exception("the cluster of events/ could not be made")
                    self._report(f"The cluster of events/ could not be made, so no container gets an answer: {error}")
            return self.database
