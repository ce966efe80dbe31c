"""Instances, each with its host while it runs."""

import base64
import functools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import efs, work
from rehearsal.hosts.host import Completed, FileSystems, Host, HostError

from . import node_faults
from .images import Images

logger = logging.getLogger(__name__)

GROUP_TAG = "aws:autoscaling:groupName"
# AWS seconds.
RUNNING_SECONDS = 15  # hashicorp/packer#4704
# An assumption: from "running" 30 to several minutes (DataDog/stratus-red-team#108), now and then more than 120
# (CIROH-UA/ngen-datastream#362).
ONLINE_SECONDS = 75
# Until the system log of a boot is posted: 120 (canonical/pycloudlib#143) to 300 (coreos/coreos-assembler#1580).
CONSOLE_SECONDS = 240
CONNECTION_LOST_SECONDS = 300  # an agent says that it lives every five minutes (aws/amazon-ssm-agent#479)
# The median of sixteen public logs of Terraform, which looks every 10: 20 to 81 (81: bshehram/myservice-devops-aws-tf,
# SAMPLE_TF_DESTROY.md).
TERMINATING_SECONDS = 32
# Cloud-init waits for ever, a rehearsal does not.
USER_DATA_SECONDS = 3600


class Machine:
    """One instance: moto's record of it, and its host while it runs. It is the instance's own metadata, too."""

    def __init__(self, aws: LocalAws, instance: Any, role: Any, user_data: str) -> None:
        self._aws = aws
        self.instance = instance
        self.role_arn: str | None = role.arn if role else None
        self.role_name: str = role.name if role else ""
        self.user_data = user_data
        self.console: list[str] = []  # lines of the system log
        self.posted: list[str] = []  # those that EC2 shows to who does not ask for the latest
        self.host: Host | None = None
        self.online = False  # the agent has registered, and Systems Manager has heard of it lately
        self.connected = True  # the instance reaches the network
        self.ending = False
        self.faults: set[str] = set()  # words of faults that have begun on it
        self.gone = threading.Event()
        self.lifecycle_state: Callable[[], str] = lambda: ""  # Auto Scaling knows it
        self._credentials: dict[str, str] | None = None

    @property
    def instance_id(self) -> str:
        return str(self.instance.id)

    @property
    def id(self) -> str:
        return self.instance_id

    @property
    def image_id(self) -> str:
        return str(self.instance.image_id)

    @property
    def instance_type(self) -> str:
        return str(self.instance.instance_type)

    @property
    def address(self) -> str:
        return str(self.instance.private_ip_address)

    @property
    def name(self) -> str:
        """The host name that EC2 gives: ip-10-0-1-5."""
        return f"ip-{self.address.replace('.', '-')}"

    @property
    def availability_zone(self) -> str:
        return str(self.instance.placement.zone)

    @property
    def tags(self) -> dict[str, str]:
        """Only shown in the metadata when the instance allows it."""
        if self.instance.metadata_options.instance_metadata_tags != "enabled":
            return {}
        return self.all_tags

    @property
    def reachable(self) -> bool:
        """Whether Systems Manager and the agent hear of one another."""
        return self.online and self.connected and not self.ending

    @functools.cached_property
    def group(self) -> str | None:
        """The Auto Scaling group that launched it: EC2 tags an instance with it at launch, and for ever."""
        return self.all_tags.get(GROUP_TAG)

    @property
    def all_tags(self) -> dict[str, str]:
        return dict(self.instance.ec2_backend.tags.get(self.id, {}))

    def credentials(self) -> dict[str, str]:
        """Keys of the instance's role; calls made with them stand in calls.jsonl under the instance's id."""
        if self._credentials is None and self.role_arn:
            keys = self._aws.assume(self.role_arn, self.id)
            self._credentials = {
                "AccessKeyId": keys.access_key,
                "SecretAccessKey": keys.secret_key,
                "Token": keys.token or "",
            }
        return self._credentials or {}

    def run(
        self, script: str, *, environment: Mapping[str, str] | None = None, timeout: float, directory: str = ""
    ) -> Completed:
        """Run a script on the host, as root, for at most `timeout` AWS seconds. A host that is no more answers with
        exit status 255.

        The caller holds the clock, as background work does: it runs at the speed of the wall while the script works,
        and at its own speed while the script only sleeps.
        """
        host = self.host
        if host is None:
            return Completed(255, "", f"{self.id} is not running\n")
        clock = self._aws.clock
        return host.run(script, environment=environment or {}, timeout=timeout, directory=directory, clock=clock)


class Machines:
    """All instances of the account."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._backend = ec2_backends[aws.account][aws.region]
        self._run_instances = self._backend.run_instances
        self._backend.run_instances = self._run
        self._backend.terminate_instances = self._terminate
        self.images = Images(aws, self._backend)
        self.by_id: dict[str, Machine] = {}
        self.watchers: list[Callable[[Machine], None]] = []

    def launch(
        self,
        *,
        image_id: str,
        instance_type: str,
        subnet_id: str | None,
        security_group_ids: Sequence[str] = (),
        profile: str | None = None,
        user_data: Any = None,
        tags: Mapping[str, str] | None = None,
        **attributes: Any,
    ) -> Machine:
        """Start one instance on behalf of a service of AWS. `profile` is a name or an ARN."""
        named = "iam_instance_profile_arn" if profile and profile.startswith("arn:") else "iam_instance_profile_name"
        reservation = self._run(
            image_id,
            1,
            user_data,
            [],
            instance_type=instance_type,
            is_instance_type_default=False,
            region_name=self._aws.region,
            subnet_id=subnet_id,
            security_group_ids=list(security_group_ids),
            tags={"instance": dict(tags or {})},
            **{named: profile},
            **attributes,
        )
        machine = self.by_id[reservation.instances[0].id]
        if profile:
            with self._aws.server.moto_lock:
                self._backend.associate_iam_instance_profile(instance_id=machine.id, **{named: profile})
        return machine

    def disconnect(self, machine: Machine) -> None:
        """Pull the network cable of an instance out; after a while Systems Manager misses its agent."""
        if machine.host and machine.connected:
            machine.connected = False
            machine.host.connect(connected=False)
            work.start(self._aws.clock, functools.partial(self._miss, machine))

    def reconnect(self, machine: Machine) -> None:
        """Plug the cable in again: the agent reports at once what it could not report."""
        if machine.host and not machine.connected:
            machine.host.connect(connected=True)
            machine.connected = machine.online = True
            self._notify(machine)

    def _miss(self, machine: Machine) -> None:
        if not self._aws.clock.sleep(CONNECTION_LOST_SECONDS, lambda: machine.connected or machine.ending):
            machine.online = False
            self._notify(machine)

    def terminate(self, instance_id: str) -> None:
        """Begin to end an instance; nothing happens to one that is ending already."""
        self._terminate([instance_id])

    def get_console_output(self, call: Call) -> Mapping[str, Any]:
        """The system log as it is, or as it was posted some minutes after the boot."""
        machine = self.by_id.get(call["InstanceId"])
        if machine is None:
            raise ServiceError("InvalidInstanceID.NotFound", f"The instance ID '{call['InstanceId']}' does not exist")
        output = base64.b64encode(
            "\r\n".join(machine.console if call.get("Latest") else machine.posted).encode()
        ).decode()
        return {"InstanceId": machine.id, "Timestamp": self._aws.clock.datetime(), "Output": output}

    def drop_unused_layers(self) -> None:
        in_use = {machine.image_id for machine in list(self.by_id.values()) if not machine.gone.is_set()}
        self.images.drop_unused(in_use)

    def end(self) -> None:
        for machine in list(self.by_id.values()):
            machine.ending = True
            if machine.host:
                machine.host.stop()

    def _run(self, image_id: str, count: int, user_data: Any, security_group_names: Any, **attributes: Any) -> Any:
        """RunInstances: moto's, for images that exist, and then a host for each instance."""
        template = attributes.get("launch_template")
        data = self._backend._get_template_from_args(template).data if template else {}
        image_id = image_id or data.get("ImageId", "")
        self.images.layer(image_id)
        given = data.get("IamInstanceProfile") or {}
        profile = self._profile(
            attributes.get("iam_instance_profile_name") or given.get("Name"),
            attributes.get("iam_instance_profile_arn") or given.get("Arn"),
        )
        devices = attributes.get("block_device_mappings") or data.get("BlockDeviceMappings")
        if devices:
            attributes["block_device_mappings"] = [self.images.sized(device, image_id) for device in devices]
        with self._aws.server.moto_lock:  # a group launches without a request
            reservation = self._run_instances(image_id, count, user_data, security_group_names, **attributes)
        for instance in reservation.instances:
            instance._state.name, instance._state.code = "pending", 0
            text = base64.b64decode(str(instance.user_data or "")).decode()
            machine = Machine(self._aws, instance, profile.roles[0] if profile and profile.roles else None, text)
            self.by_id[instance.id] = machine
            work.start(self._aws.clock, functools.partial(self._boot, machine))
        return reservation

    def _profile(self, name: str | None, arn: str | None) -> Any:
        if not name and not arn:
            return None
        for profile in list(iam_backends[self._aws.account]["aws"].instance_profiles.values()):
            if profile.arn == arn or profile.name == name:
                return profile
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({arn or name}) for parameter iamInstanceProfile is invalid. "
            f"Invalid IAM Instance Profile {'ARN' if arn else 'name'}",
        )

    def _boot(self, machine: Machine) -> None:
        with self._aws.operations.during("boot", machine.group or machine.id):
            self._start(machine)

    def _start(self, machine: Machine) -> None:
        clock = self._aws.clock
        begun = clock.now()
        if clock.sleep(RUNNING_SECONDS, lambda: machine.ending):
            return
        try:
            with clock.busy(), clock.processor():
                machine.host = self._aws.hosts.boot(
                    machine.name,
                    machine.address,
                    image=self.images.layer(machine.image_id),
                    metadata=machine,
                    file_systems=self._file_systems(machine),
                )
        except (HostError, OSError) as error:
            logger.exception("the instance %s cannot be started", machine.id)
            machine.instance.state_reason.code = "Server.InternalError"
            machine.instance.state_reason.message = f"Server.InternalError: {error}"
            self.terminate(machine.id)
            return
        machine.instance._state.name, machine.instance._state.code = "running", 16
        self._notify(machine)
        with clock.busy():
            node_faults.begin(self._aws, machine, "boot")
            machine.console.append(f"{machine.name} begins to boot")
            with clock.processor():
                machine.host.run_boot()
        work.start(clock, functools.partial(self._end_boot, machine))  # the agent does not wait for its end
        work.start(clock, functools.partial(self._post_console, machine))
        if clock.sleep(begun + ONLINE_SECONDS - clock.now(), lambda: machine.ending):
            return
        if machine.role_arn is None:
            return  # an agent without credentials does not register
        if node_faults.take(self._aws, machine, "ssm-offline"):
            return
        machine.online = True
        self._notify(machine)

    def _end_boot(self, machine: Machine) -> None:
        self._run_user_data(machine)
        machine.console.append(f"{machine.name} has booted")

    def _post_console(self, machine: Machine) -> None:
        self._aws.clock.sleep(CONSOLE_SECONDS, lambda: machine.ending)
        machine.posted = list(machine.console)

    def _run_user_data(self, machine: Machine) -> None:
        """As cloud-init's last stage does, after the units: a script, once, as root, its output in a log."""
        if not machine.user_data.strip():
            return
        if not machine.user_data.startswith("#!"):
            raise ValueError(f"user data of {machine.id} is no script: {machine.user_data[:40]!r}")
        completed = machine.run(machine.user_data, timeout=USER_DATA_SECONDS)
        log = completed.stdout + completed.stderr
        machine.console += [f"cloud-init: {line}" for line in log.splitlines()]
        machine.run(
            f"cat > /var/log/cloud-init-output.log <<'END-OF-CLOUD-INIT-OUTPUT'\n{log}\nEND-OF-CLOUD-INIT-OUTPUT\n",
            timeout=10,
        )
        if completed.returncode:
            logger.warning("user data of %s ended with %s: %s", machine.id, completed.returncode, log[-2000:])

    def _file_systems(self, machine: Machine) -> FileSystems:
        if self._aws.directory not in efs.INSTALLED:
            return FileSystems()
        return efs.file_systems(self._aws, machine.role_arn)

    def _terminate(self, instance_ids: list[str]) -> list[tuple[Any, Any]]:
        """TerminateInstances: answers at once, the shutdown follows."""
        if not instance_ids:
            raise ServiceError("InvalidParameterCombination", "No instances specified")
        answer = []
        for instance_id in instance_ids:
            if instance_id not in self.by_id:
                raise ServiceError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        for instance_id in instance_ids:
            machine = self.by_id[instance_id]
            state = machine.instance._state
            answer.append((machine.instance, type(state)(state.name, state.code)))
            if not machine.ending:
                machine.ending = True
                state.name, state.code = "shutting-down", 32
                work.start(self._aws.clock, functools.partial(self._shut_down, machine))
        return answer

    def _shut_down(self, machine: Machine) -> None:
        machine.online = False
        self._notify(machine)
        with self._aws.clock.busy(), self._aws.clock.processor():
            if machine.host:
                machine.host.stop()
                machine.host = None
        self._aws.clock.sleep(TERMINATING_SECONDS)
        reason = machine.instance.state_reason
        machine.instance.terminate()
        if reason.code:
            machine.instance.state_reason = reason
        machine.gone.set()
        self._notify(machine)
        self.drop_unused_layers()

    def _notify(self, machine: Machine) -> None:
        for watcher in list(self.watchers):
            watcher(machine)
        self._aws.clock.wake()
