"""Image Builder of the local AWS: immutable versions, tokens, and builds that really run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.ec2.images import PARENT_PARAMETER
from rehearsal.aws.services.imagebuilder import component_document
from tests.shared_images import shared_by_accounts
from tests.unit.rehearsal.fake_hosts import instance_profile, local_aws, subnets

DOCUMENT = """\
name: install
schemaVersion: 1.0
parameters:
  - Version: {type: string}
phases:
  - name: build
    steps:
      - name: Install
        action: ExecuteBash
        inputs:
          commands:
            - echo installing {{ Version }}
            - echo {{ Version }} > installed
  - name: validate
    steps:
      - name: Look
        action: ExecuteBash
        inputs:
          commands: [test -s installed]
  - name: test
    steps:
      - name: LookAgain
        action: ExecuteBash
        inputs:
          commands: ['grep {{ Version }} installed']
"""
FAILING = """\
schemaVersion: 1.0
phases:
  - name: build
    steps:
      - name: Break
        action: ExecuteBash
        inputs:
          commands: ['echo no such package >&2; exit 7']
"""


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[LocalAws]:
    with local_aws(tmp_path) as local:
        instance_profile(local, "builder")
        yield local


@pytest.fixture
def client(aws: LocalAws) -> Any:
    return aws.client("imagebuilder")


def code(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def component(client: Any, data: str = DOCUMENT, name: str = "install", token: str = "one") -> str:
    answer = client.create_component(name=name, semanticVersion="1.0.0", platform="Linux", data=data, clientToken=token)
    return str(answer["componentBuildVersionArn"])


def recipe(client: Any, data: str = DOCUMENT, version: str = "1.0.0", **more: Any) -> str:
    parameters = {"parameters": [{"name": "Version", "value": ["4.5"]}]} if "{{ Version }}" in data else {}
    answer = client.create_image_recipe(
        name="workbench",
        semanticVersion=version,
        parentImage=f"ssm:{PARENT_PARAMETER}",
        components=[{"componentArn": component(client, data), **parameters}],
        blockDeviceMappings=[{"deviceName": "/dev/sda1", "ebs": {"volumeSize": 40, "encrypted": True}}],
        amiTags={"benchwright:cluster": "workbench"},
        clientToken=f"recipe {version}",
        **more,
    )
    return str(answer["imageRecipeArn"])


def infrastructure(aws: LocalAws) -> str:
    known = aws.client("ec2").describe_subnets(Filters=[{"Name": "cidrBlock", "Values": ["10.0.0.0/24"]}])["Subnets"]
    subnet = known[0]["SubnetId"] if known else subnets(aws)[0]
    answer = aws.client("imagebuilder").create_infrastructure_configuration(
        name="builds", instanceProfileName="builder", subnetId=subnet, clientToken="one"
    )
    return str(answer["infrastructureConfigurationArn"])


def build(aws: LocalAws, recipe_arn: str, token: str = "build", *, inventory: bool = False) -> str:
    answer = aws.client("imagebuilder").create_image(
        imageRecipeArn=recipe_arn,
        infrastructureConfigurationArn=infrastructure(aws),
        enhancedImageMetadataEnabled=inventory,
        clientToken=token,
    )
    return str(answer["imageBuildVersionArn"])


def state(client: Any, arn: str) -> dict[str, Any]:
    return dict(client.get_image(imageBuildVersionArn=arn)["image"]["state"])


def ended(aws: LocalAws, client: Any, arn: str, *, every: float = 30) -> Any:
    """The state of a build once it has ended; what it really runs takes its own time. every: AWS seconds."""
    while (found := state(client, arn))["status"] not in ("AVAILABLE", "CANCELLED", "FAILED"):
        aws.clock.sleep(every)
    return found


def test_a_component_version_is_immutable(client: Any) -> None:
    arn = component(client)
    assert arn == "arn:aws:imagebuilder:us-east-1:123456789012:component/install/1.0.0/1"
    assert component(client) == arn  # the same call again: the original answer
    assert code(component, client=client, data=FAILING) == (
        "IdempotentParameterMismatchException",
        "You have specified a client token 'one' that was used with other parameters.",
    )
    assert code(component, client=client, data=FAILING, token="two")[1] == (
        f"The following resource 'Component' already exists: '{arn}'."
    )
    shown = client.get_component(componentBuildVersionArn=arn)["component"]
    assert (shown["data"], shown["type"], shown["parameters"]) == (
        DOCUMENT,
        "BUILD",
        [{"name": "Version", "type": "string"}],
    )


def test_what_does_not_exist_is_not_found(client: Any) -> None:
    arn = "arn:aws:imagebuilder:us-east-1:123456789012:component/install/1.0.0/1"
    assert code(client.get_component, componentBuildVersionArn=arn)[0] == "ResourceNotFoundException"
    arn = "arn:aws:imagebuilder:us-east-1:123456789012:image-recipe/workbench/1.0.0"
    assert code(client.get_image_recipe, imageRecipeArn=arn)[0] == "ResourceNotFoundException"


def test_a_component_document_has_at_most_16000_characters(client: Any) -> None:
    refused, message = code(component, client=client, data=DOCUMENT + "#" * 16_000)
    assert refused == "InvalidParameterValueException"
    assert "less than or equal to 16000" in message


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("schemaVersion: 1.0", "schemaVersion: 2.0", "schemaVersion is 2.0; the only one is 1.0"),
        ("action: ExecuteBash", "action: RunBash", "phase build, step 'Install': there is no action 'RunBash'"),
        ("name: build", "name: prepare", "a phase is named one of build, validate, test"),
        ("{{ Version }}", "{{ Vresion }}", "{{ Vresion }} is neither a parameter nor a constant"),
        ("        inputs:\n", "        timeout: 5\n        inputs:\n", "unknown key 'timeout'"),
        ("{type: string}", "{type: number}", "parameters: Version must have type string"),
    ],
)
def test_a_component_document_is_checked(old: str, new: str, problem: str) -> None:
    with pytest.raises(component_document.DocumentError) as refused:
        component_document.parse(DOCUMENT.replace(old, new))
    assert problem in str(refused.value)


def test_a_recipe_refers_to_what_exists_with_the_parameters_it_has(client: Any) -> None:
    arn = component(client)
    wanted = {"name": "workbench", "semanticVersion": "1.0.0", "parentImage": f"ssm:{PARENT_PARAMETER}"}
    refused, message = code(
        client.create_image_recipe,
        **wanted,
        components=[{"componentArn": arn, "parameters": [{"name": "Colour", "value": ["red"]}]}],
    )
    assert (refused, message) == (
        "InvalidParameterValueException",
        (
            "The value supplied for parameter 'components[0].parameters' is not valid. "
            "The following parameters are not defined in the provided component: Colour"
        ),
    )
    refused, message = code(client.create_image_recipe, **wanted, components=[{"componentArn": arn}])
    assert message.endswith("The following parameters of the component have no value: Version")
    absent = arn.replace("install", "absent")
    refused, message = code(client.create_image_recipe, **wanted, components=[{"componentArn": absent}])
    assert message.endswith(f"The component '{absent}' does not exist.")
    assert code(client.create_image_recipe, **wanted, components=[{"componentArn": arn}] * 21)[0] == (
        "ServiceQuotaExceededException"
    )


def test_a_recipe_version_exists_once_and_x_takes_the_next(client: Any) -> None:
    arn = recipe(client)
    refused, message = code(
        client.create_image_recipe,
        name="workbench",
        semanticVersion="1.0.0",
        parentImage=f"ssm:{PARENT_PARAMETER}",
        components=[{"componentArn": component(client), "parameters": [{"name": "Version", "value": ["4.5"]}]}],
        clientToken="another",
    )
    assert (refused, message) == (
        "ResourceAlreadyExistsException",
        f"The following resource 'ImageRecipe' already exists: '{arn}'.",
    )
    assert recipe(client, version="1.0.x").endswith("/1.0.1")
    assert recipe(client, version="2.x.x").endswith("/2.0.0")


def test_an_infrastructure_configuration_needs_its_profile(aws: LocalAws, client: Any) -> None:
    refused, message = code(
        client.create_infrastructure_configuration, name="builds", instanceProfileName="nobody", clientToken="one"
    )
    assert refused == "InvalidParameterValueException"
    assert "The provided instance profile does not exist." in message
    arn = infrastructure(aws)
    client.update_infrastructure_configuration(
        infrastructureConfigurationArn=arn, instanceProfileName="builder", instanceTypes=["c6i.large"]
    )
    shown = client.get_infrastructure_configuration(infrastructureConfigurationArn=arn)["infrastructureConfiguration"]
    assert (shown["name"], shown["instanceTypes"], "subnetId" in shown) == ("builds", ["c6i.large"], False)


def test_a_build_runs_the_components_and_makes_an_ami(aws: LocalAws, client: Any) -> None:
    arn = build(aws, recipe(client))
    assert arn == "arn:aws:imagebuilder:us-east-1:123456789012:image/workbench/1.0.0/1"
    seen = []
    while "AVAILABLE" not in seen:
        status = state(client, arn)["status"]
        if status not in seen:
            seen.append(status)
        aws.clock.sleep(5)
    assert seen == ["PENDING", "CREATING", "BUILDING", "TESTING", "DISTRIBUTING", "AVAILABLE"]
    image = client.get_image(imageBuildVersionArn=arn)["image"]
    (ami,) = image["outputResources"]["amis"]
    assert (ami["region"], ami["accountId"]) == ("us-east-1", "123456789012")
    (shown,) = aws.client("ec2").describe_images(Owners=["self"])["Images"]
    tags = {tag["Key"]: tag["Value"] for tag in shown["Tags"]}
    assert (shown["ImageId"], shown["State"], tags) == (
        ami["image"],
        "available",
        {
            "benchwright:cluster": "workbench",
            "CreatedBy": "EC2 Image Builder",
            "Ec2ImageBuilderArn": arn,
        },
    )
    assert shown["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 40
    assert (aws.machines.images.layer(ami["image"]) / "installed").read_text() == "4.5\n"
    built, tested = aws.hosts.booted
    assert (built.image, tested.image) == (None, aws.machines.images.layer(ami["image"]))
    assert built.stopped
    assert tested.stopped
    assert client.list_images(owner="Self")["imageVersionList"][0]["arn"] == arn.rpartition("/")[0]
    (listed,) = client.list_image_build_versions(imageVersionArn=arn.rpartition("/")[0])["imageSummaryList"]
    assert listed["outputResources"]["amis"] == [ami]


def test_a_build_takes_its_time_and_writes_its_log(aws: LocalAws, client: Any) -> None:
    begun = aws.clock.now()
    arn = build(aws, recipe(client))
    ended(aws, client, arn, every=5)
    assert 1425 <= aws.clock.now() - begun <= 1450
    events = aws.client("logs").get_log_events(logGroupName="/aws/imagebuilder/workbench", logStreamName="1.0.0/1")
    lines = [event["message"].split(" ", 2)[2] for event in events["events"]]
    assert "installing 4.5" in lines


def test_accounts_of_a_test_run_share_what_the_same_components_have_built(tmp_path: Path) -> None:
    newer = DOCUMENT.replace("echo installing", "date; echo installing")
    found = []
    for number, data in enumerate((DOCUMENT, DOCUMENT, newer)):
        with shared_by_accounts(tmp_path), local_aws(tmp_path / f"account-{number}") as aws:
            instance_profile(aws, "builder")
            client = aws.client("imagebuilder")
            arn = build(aws, recipe(client, data))
            status = ended(aws, client, arn)["status"]
            (ami,) = client.get_image(imageBuildVersionArn=arn)["image"]["outputResources"]["amis"]
            layer = aws.machines.images.layer(ami["image"])
            events = aws.client("logs").get_log_events(
                logGroupName="/aws/imagebuilder/workbench", logStreamName="1.0.0/1"
            )
            ran = any("installing 4.5" in event["message"] for event in events["events"])
            found.append((status, (layer / "installed").read_text(), len(aws.hosts.booted), ran))
    assert found == [("AVAILABLE", "4.5\n", 2, True), ("AVAILABLE", "4.5\n", 2, False), ("AVAILABLE", "4.5\n", 2, True)]


def test_a_failed_build_says_where_and_why_and_leaves_no_ami(aws: LocalAws, client: Any) -> None:
    recipe_arn = recipe(client, FAILING)
    arn = build(aws, recipe_arn)
    failed = ended(aws, client, arn)
    assert failed["status"] == "FAILED"
    assert failed["failureContext"]["componentFailure"] == {
        "componentArn": "arn:aws:imagebuilder:us-east-1:123456789012:component/install/1.0.0/1",
        "phaseName": "build",
        "stepName": "Break",
        "action": "ExecuteBash",
        "errorMessage": "no such package",
    }
    assert "with status = 'Failed' in state = 'BUILDING' and failure message = 'Document " in failed["reason"]
    assert aws.client("ec2").describe_images(Owners=["self"])["Images"] == []
    assert build(aws, recipe_arn, token="again").endswith("/1.0.0/2")


def test_a_fault_fails_the_step_that_it_names(tmp_path: Path) -> None:
    with local_aws(tmp_path, "image:step=Look,reason=the mirror is away") as aws:
        instance_profile(aws, "builder")
        client = aws.client("imagebuilder")
        arn = build(aws, recipe(client))
        component_failure = ended(aws, client, arn)["failureContext"]["componentFailure"]
        assert (component_failure["phaseName"], component_failure["errorMessage"]) == ("validate", "the mirror is away")


def test_one_build_of_a_recipe_at_a_time_and_the_same_token_joins_it(aws: LocalAws, client: Any) -> None:
    recipe_arn = recipe(client)
    arn = build(aws, recipe_arn)
    assert build(aws, recipe_arn) == arn
    assert code(build, aws=aws, recipe_arn=recipe_arn, token="other")[0] == "ResourceInUseException"


def test_a_build_can_be_cancelled(aws: LocalAws, client: Any) -> None:
    arn = build(aws, recipe(client))
    aws.clock.sleep(300)
    client.cancel_image_creation(imageBuildVersionArn=arn)
    assert ended(aws, client, arn)["status"] == "CANCELLED"
    assert aws.client("ec2").describe_images(Owners=["self"])["Images"] == []


def test_a_build_that_asks_ssm_inventory_does_not_end(aws: LocalAws, client: Any) -> None:
    arn = build(aws, recipe(client), inventory=True)
    aws.clock.sleep(3000)
    assert state(client, arn)["status"] == "BUILDING"
    client.cancel_image_creation(imageBuildVersionArn=arn)
    assert ended(aws, client, arn)["status"] == "CANCELLED"


@pytest.mark.parametrize(("with_snapshots", "left"), [(True, 0), (False, 1)])
def test_a_deregistered_ami_is_gone_with_its_files_and_where_that_is_wanted_with_its_snapshots(
    aws: LocalAws, client: Any, with_snapshots: bool, left: int
) -> None:
    arn = build(aws, recipe(client))
    ended(aws, client, arn)
    image = client.get_image(imageBuildVersionArn=arn)["image"]
    ami = image["outputResources"]["amis"][0]["image"]
    layer = aws.machines.images.layer(ami)
    assert layer.exists()
    ec2, of_image = aws.client("ec2"), [{"Name": "tag:Ec2ImageBuilderArn", "Values": [arn]}]
    answer = ec2.deregister_image(ImageId=ami, DeleteAssociatedSnapshots=with_snapshots)
    assert [each["ReturnCode"] for each in answer.get("DeleteSnapshotResults", [])] == ["success"] * (1 - left)
    client.delete_image(imageBuildVersionArn=arn)
    assert not layer.exists()
    assert len(ec2.describe_snapshots(Filters=of_image)["Snapshots"]) == left
    assert code(client.get_image, imageBuildVersionArn=arn)[0] == "ResourceNotFoundException"
