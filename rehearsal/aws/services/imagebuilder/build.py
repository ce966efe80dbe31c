"""One build of an image: what Image Builder does between CreateImage and AVAILABLE, on real hosts and on the clock.

It is never cached, not even for a recipe that was built before: a build is the proof that the components still run.
"""

import dataclasses
import datetime
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from rehearsal.aws.services.ec2.instances import Machine
from rehearsal.aws.services.logs import LogStream
from rehearsal.hosts import awstoe

from . import component_document

FINAL = frozenset({"AVAILABLE", "FAILED", "CANCELLED"})

# AWS seconds of a build whose components take no time. 15 to 45 minutes in all (aws/agent-toolkit-for-aws,
# image-builder); how they divide is an assumption. Seen: less than 1 CREATING (amazonlinux/amazon-linux-2023#1054); 559
# for an image whose component does nothing, 197 to 371 more with TESTING (hashicorp/terraform-provider-aws#43540); from
# the first component (they take 152) to the end of TESTING 1217, and 13 DISTRIBUTING in one Region
# (kakarot404/jenkins-ec2-image-imagebuilder, README). So BUILDING has about 500 to 900 without components, and 200 to
# 600 for ours. Of FAILING and LAUNCH nothing is published.
PENDING_SECONDS = 5
CREATING_SECONDS = 30
BUILDING_SECONDS = 1080
FAILING_SECONDS = 420
TESTING_SECONDS = 300
DISTRIBUTING_SECONDS = 13
LAUNCH_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class ComponentUse:
    """A component in a recipe: its ARN, its document, the parameters that the recipe gives."""

    arn: str
    document: Mapping[str, Any]
    parameters: Mapping[str, str]


@dataclasses.dataclass
class Image:
    """A build version of an image, as GetImage shows it."""

    arn: str
    recipe: Mapping[str, Any]
    infrastructure: Mapping[str, Any]
    uses: Sequence[ComponentUse]
    tests: bool
    inventory: bool
    """Whether the build asks SSM Inventory of its instance. This account has associations of its own for that, as many
    have: then it waits for an answer that never comes."""
    tags: Mapping[str, str]
    created: datetime.datetime
    status: str = "PENDING"
    reason: str = ""
    failure: Mapping[str, Any] | None = None
    ami: Mapping[str, Any] | None = None
    cancelled: bool = False

    @property
    def version(self) -> str:
        """Recipe version and build, `1.2.3/4`."""
        return "/".join(self.arn.split("/")[-2:])

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"status": self.status}
        if self.reason:
            state["reason"] = self.reason[:1024]
        if self.failure:
            state["failureContext"] = self.failure
        return state


class BuildFailed(Exception):
    """The build cannot go on; carries the context of the failure."""

    def __init__(self, message: str, failure: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.failure = failure


class Cancelled(Exception):
    """Someone called CancelImageCreation."""


class ImageBuild:
    """Takes one image through its life."""

    def __init__(self, aws: Any, image: Image) -> None:
        self._aws = aws
        self._image = image
        self._machines = aws.machines
        self._stream = LogStream(aws, f"/aws/imagebuilder/{image.recipe['name']}", image.version)
        self._workflow = f"wf-{uuid.uuid4()}"

    def run(self) -> None:
        """From PENDING to a final status."""
        with self._aws.operations.during("image", self._image.recipe["name"]):
            self._run()

    def _run(self) -> None:
        image = self._image
        ended = "AVAILABLE"
        try:
            self._pass("PENDING", PENDING_SECONDS)
            self._pass("CREATING", CREATING_SECONDS)
            self._build()
            if image.tests:
                self._test()
            self._pass("DISTRIBUTING", DISTRIBUTING_SECONDS)
            self._log("Distribution is complete")
        except Cancelled:
            ended, image.reason = "CANCELLED", "Image creation was cancelled."
        except BuildFailed as error:
            ended, image.reason, image.failure = "FAILED", str(error), error.failure
        if ended != "AVAILABLE" and image.ami:
            self._machines.images.deregister(image.ami["image"])
            image.ami = None
        image.status = ended

    def _build(self) -> None:
        """Boots the parent image, runs build and validate, and makes the AMI of what they left behind."""
        image = self._image
        image.status = "BUILDING"
        begun = self._aws.clock.now()
        end = begun + BUILDING_SECONDS
        parent = self._machines.images.resolve(image.recipe["parentImage"])
        machine = self._launch(parent, "Build")
        try:
            for phase in ("build", "validate"):
                self._run_phase(machine, phase, begun, end)
            while image.inventory and self._aws.initial_account.inventory:
                self._wait(3600)
            with self._until(end):
                ami = self._machines.images.capture(
                    machine.host,
                    name=f"{image.recipe['name']} {image.created:%Y-%m-%dT%H-%M-%S.000Z}",
                    description=image.recipe.get("description", ""),
                    tags={
                        **image.recipe.get("amiTags", {}),
                        "CreatedBy": "EC2 Image Builder",
                        "Ec2ImageBuilderArn": image.arn,
                    },
                    block_devices=image.recipe.get("blockDeviceMappings", []),
                )
        finally:
            self._machines.terminate(machine.id)
        image.ami = {
            "region": self._aws.region,
            "image": ami.id,
            "name": ami.name,
            "description": ami.description,
            "accountId": self._aws.account,
        }
        self._wait(end - self._aws.clock.now())
        self._log(f"Created {ami.id} from {parent}")

    def _test(self) -> None:
        """Boots the new AMI and runs the test phases on it."""
        image = self._image
        assert image.ami
        image.status = "TESTING"
        begun = self._aws.clock.now()
        end = begun + TESTING_SECONDS
        machine = self._launch(image.ami["image"], "Test")
        try:
            self._run_phase(machine, "test", begun, end)
        finally:
            self._machines.terminate(machine.id)
        self._wait(end - self._aws.clock.now())

    def _launch(self, ami: str, purpose: str) -> Machine:
        infrastructure = self._image.infrastructure
        machine: Machine = self._machines.launch(
            image_id=ami,
            instance_type=(infrastructure.get("instanceTypes") or ["m5.large"])[0],
            subnet_id=infrastructure.get("subnetId"),
            security_group_ids=infrastructure.get("securityGroupIds", []),
            profile=infrastructure["instanceProfileName"],
            tags={
                **infrastructure.get("resourceTags", {}),
                "Name": f"{purpose} instance for {self._image.recipe['name']}",
                "CreatedBy": "EC2 Image Builder",
                "Ec2ImageBuilderArn": self._image.arn,
            },
        )
        online = self._aws.clock.sleep(LAUNCH_SECONDS, lambda: machine.online or self._image.cancelled)
        if not online or self._image.cancelled:
            self._machines.terminate(machine.id)
            if self._image.cancelled:
                raise Cancelled
            raise self._failed(
                "Step timed out while step is verifying the SSM Agent availability on the target instance(s)."
            )
        self._log(f"{purpose} instance {machine.id} is running from {ami}")
        return machine

    def _run_phase(self, machine: Machine, phase: str, begun: float, end: float) -> None:
        """begun, end: of the image's state that the phase belongs to, where nothing fails."""
        for use in self._image.uses:
            if phase not in [entry["name"] for entry in use.document["phases"]]:
                continue
            if self._image.cancelled:
                raise Cancelled
            self._log(f"Document {use.arn} ; Phase {phase}")
            assert machine.host
            # What is to fail does so after the same time, however long the scripts before it take here.
            fails = self._aws.faults.awaits("image")
            with self._until(begun + FAILING_SECONDS if fails else end):
                failure = awstoe.run_phase(
                    machine.host,
                    use.document,
                    phase,
                    {**_defaults(use.document), **use.parameters},
                    before_step=self._fault,
                    log=self._log,
                )
            if failure:
                self._wait(begun + FAILING_SECONDS - self._aws.clock.now())
                component = {
                    "componentArn": use.arn,
                    "phaseName": phase,
                    "stepName": failure.step,
                    "action": failure.action,
                    "errorMessage": failure.message,
                }
                raise self._failed(f"Document {use.arn} failed!", component)

    def _fault(self, step: str) -> str | None:
        fault = self._aws.faults.take("image", step=step)
        return None if fault is None else str(fault.get("reason", f"the step {step} fails on order of the rehearsal"))

    def _failed(self, message: str, component: Mapping[str, str] | None = None) -> BuildFailed:
        """The sentence in which Image Builder reports a failed SSM execution, and its context."""
        image = self._image
        execution = uuid.uuid4()
        failure: dict[str, Any] = {
            "imageStatus": image.status,
            "workflowExecutionId": self._workflow,
            "stepExecutionId": f"step-{execution}",
            "failedStep": "ApplyBuildComponents" if image.status == "BUILDING" else "ApplyTestComponents",
        }
        if component:
            failure["componentFailure"] = component
        return BuildFailed(
            f"SSM execution '{execution}' failed for image arn: '{image.arn}' with status = 'Failed' in state = "
            f"'{image.status}' and failure message = '{message}'",
            failure,
        )

    def _log(self, line: str) -> None:
        self._stream.write(f"{self._aws.clock.datetime():%Y-%m-%d %H:%M:%S} {line}")

    def _until(self, end: float) -> AbstractContextManager[None]:
        """Real work that is done in an account at that time."""
        return self._aws.clock.within(end - self._aws.clock.now())

    def _pass(self, status: str, seconds: float) -> None:
        self._image.status = status
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        if self._aws.clock.sleep(seconds, lambda: self._image.cancelled):
            raise Cancelled


def _defaults(document: Mapping[str, Any]) -> dict[str, str]:
    parameters = component_document.parameters(document)
    return {name: attributes["default"] for name, attributes in parameters.items() if "default" in attributes}
