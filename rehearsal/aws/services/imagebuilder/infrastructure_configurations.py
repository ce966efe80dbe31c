"""Infrastructure configurations: where and as whom images are built."""

from dataclasses import dataclass

from moto.iam.models import iam_backends

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

from .build import FINAL
from .resources import Answer, Resources, found, idempotent, invalid, refuse_dry_run


@dataclass(frozen=True)
class InfrastructureConfigurations:
    aws: LocalAws
    resources: Resources

    @idempotent
    def create_infrastructure_configuration(self, call: Call) -> Answer:
        arn = self.resources.arn("infrastructure-configuration", call["name"])
        if arn in self.resources.infrastructures:
            raise ServiceError(
                "ResourceAlreadyExistsException",
                f"The following resource 'InfrastructureConfiguration' already exists: '{arn}'.",
            )
        self._check_profile(call)
        refuse_dry_run(call)
        created = {"arn": arn, "dateCreated": self.resources.now()}
        self.resources.infrastructures[arn] = {**created, **_settings(call), "name": call["name"]}
        return {"infrastructureConfigurationArn": arn}

    def get_infrastructure_configuration(self, call: Call) -> Answer:
        arn = call["infrastructureConfigurationArn"]
        return {"infrastructureConfiguration": found(self.resources.infrastructures, arn)}

    def update_infrastructure_configuration(self, call: Call) -> Answer:
        arn = call["infrastructureConfigurationArn"]
        old = found(self.resources.infrastructures, arn)
        self._check_profile(call)
        kept: Answer = {key: old[key] for key in ("arn", "name", "dateCreated", "tags") if key in old}
        self.resources.infrastructures[arn] = {**_settings(call), **kept, "dateUpdated": self.resources.now()}
        return {"infrastructureConfigurationArn": arn}

    def delete_infrastructure_configuration(self, call: Call) -> Answer:
        arn = call["infrastructureConfigurationArn"]
        found(self.resources.infrastructures, arn)
        for image in self.resources.images.values():
            if image.infrastructure["arn"] == arn and image.status not in FINAL:
                raise ServiceError(
                    "ResourceDependencyException", f"Resource '{arn}' is in use by the following: {image.arn}."
                )
        del self.resources.infrastructures[arn]
        return {"infrastructureConfigurationArn": arn}

    def _check_profile(self, call: Call) -> None:
        profiles = list(iam_backends[self.aws.account]["aws"].instance_profiles.values())
        if call["instanceProfileName"] not in {profile.name for profile in profiles}:
            raise invalid(
                "instanceProfileName",
                "The provided instance profile does not exist. "
                "Please specify a different instance profile and try again.",
            )


def _settings(call: Call) -> Answer:
    left_out = ("clientToken", "dryRun", "infrastructureConfigurationArn")
    return {name: value for name, value in call.given().items() if name not in left_out}
