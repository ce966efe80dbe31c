"""How long AWS takes: nearly nothing, so that each loop of the state machine looks a few times and not fifty."""

from typing import Final

from rehearsal.aws.durations import Durations

SHORT: Final[Durations] = {
    "rehearsal.aws.services.rds.clusters": {"CLUSTER_SECONDS": 8},
    "rehearsal.aws.services.rds.instances": {
        "INSTANCE_SECONDS": 8,
        "FURTHER_INSTANCE_SECONDS": 4,
        "INSTANCE_DELETION_SECONDS": 240,
    },
    "rehearsal.aws.services.efs": {"MOUNT_TARGET_SECONDS": 4},
    "rehearsal.aws.services.ec2.instances": {"RUNNING_SECONDS": 2, "ONLINE_SECONDS": 4},
    # Made-up nodes are configured as soon as they run: the hook must hold them from that moment on.
    "rehearsal.aws.services.autoscaling.scaling_activities": {"SEEN_SECONDS": 0},
    "rehearsal.aws.services.imagebuilder.build": {
        "PENDING_SECONDS": 1,
        "CREATING_SECONDS": 1,
        "BUILDING_SECONDS": 10,
        "FAILING_SECONDS": 10,
        "DISTRIBUTING_SECONDS": 5,
    },
}
"""All others are above zero: what begins is never done at once."""
