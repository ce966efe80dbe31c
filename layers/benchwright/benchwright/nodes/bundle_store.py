"""What the nodes of a cluster fetch from the application's bucket: configuration bundles and the node script, each
under its hash, and `current`, which names the configuration that new nodes apply.
"""

from __future__ import annotations

from benchwright import bucket
from benchwright.nodes.archive import unpacked
from benchwright.nodes.bundle import Bundle
from benchwright.nodes.node_script import NodeScript

# In the metadata of `current`: the AMI of the nodes for which it was written, and whether no node has applied it yet.
IMAGE, UNPROVEN = "image", "unproven"


def publish(cluster: str, bundle: Bundle, script: NodeScript, image: str) -> None:
    """Store bundle and script; point `current` at the bundle unless nodes of this image have one that is known to work.

    Nodes of a new image are about to be launched and need the bundle at once, and where none of them could apply the
    one before, they need this one. Otherwise `current` changes when a node has applied the new bundle (point_at).
    """
    bucket.ensure(f"{_folder(cluster)}/node-{script.sha256}.tar.gz", script.archive)
    bucket.ensure(f"{_folder(cluster)}/{bundle.configuration}.tar.gz", bundle.archive)
    wanted = bundle.configuration.encode(), {IMAGE: image, UNPROVEN: "true"}
    found = bucket.read(_current(cluster))
    if found is None or found[1].get(IMAGE) != image or (UNPROVEN in found[1] and found != wanted):
        bucket.write(_current(cluster), *wanted)


def point_at(cluster: str, configuration: str, image: str) -> None:
    """Have new nodes apply this configuration; writes nothing if `current` already names it."""
    if bucket.read(_current(cluster)) != (configuration.encode(), {IMAGE: image}):
        bucket.write(_current(cluster), configuration.encode(), {IMAGE: image})


def applied(cluster: str) -> dict[str, str] | None:
    """Return what the bundle holds that nodes have applied, by path; None where none has applied one."""
    found = bucket.read(_current(cluster))
    if found is None or UNPROVEN in found[1]:
        return None
    bundle = bucket.read(f"{_folder(cluster)}/{found[0].decode()}.tar.gz")
    return unpacked(bundle[0]) if bundle else None


def _current(cluster: str) -> str:
    return f"{_folder(cluster)}/current"


def _folder(cluster: str) -> str:
    return f"clusters/{cluster}/configuration"
