"""State machines, functions, stacks, roles and images."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from rehearsal.judges.policies.authorization import UNKNOWN_ID, Authorization, Call, Value
from rehearsal.judges.policies.mapping.registry import on, without_resource

LOOKED_UP = {
    "ami": "DescribeImages",
    "sg": "DescribeSecurityGroups",
    "subnet": "DescribeSubnets",
    "vpc": "DescribeVpcs",
}
"""How CreateChangeSet looks up parameters of AWS's own types, by how their values begin."""


@on("lambda", "Invoke")
def invocation(call: Call) -> Iterator[Authorization]:
    yield call.ask("lambda:InvokeFunction", call.known(call["FunctionName"])["arn"])


@on("stepfunctions", "StartExecution")
def start(call: Call) -> Iterator[Authorization]:
    yield call.ask("states:StartExecution", call["stateMachineArn"])


@on("stepfunctions", "DescribeExecution", "DescribeStateMachineForExecution", "GetExecutionHistory")
def execution(call: Call) -> Iterator[Authorization]:
    yield call.ask(f"states:{call.operation}", call["executionArn"])


@on(
    "cloudformation",
    "CancelUpdateStack",
    "CreateChangeSet",
    "DeleteChangeSet",
    "DeleteStack",
    "DescribeChangeSet",
    "DescribeStackEvents",
    "DescribeStackResources",
    "DescribeStacks",
    "ExecuteChangeSet",
    "GetTemplate",
    "ListChangeSets",
    "UpdateTerminationProtection",
)
def stack(call: Call) -> Iterator[Authorization]:
    name = call["StackName"]
    arn = name if name.startswith("arn:") else call.arn("cloudformation", f"stack/{name}/{UNKNOWN_ID}")
    yield call.ask_tagged(f"cloudformation:{call.operation}", arn)
    yield from call.ask_tagging("cloudformation:TagResource", arn)
    if role := call.get("RoleARN"):
        yield call.ask_pass_role(role, "cloudformation.amazonaws.com")
    if url := call.get("TemplateURL"):
        # The engine reads it with the role of the stack; no page of AWS says that it is not read as who calls.
        place = urlsplit(url)
        bucket = f"arn:aws:s3:::{(place.hostname or '').partition('.')[0]}"
        version = "Version" if "versionId=" in place.query else ""
        yield call.ask(f"s3:GetObject{version}", f"{bucket}{place.path}", policy=bucket)
    given = [value for each in call.get("Parameters") or [] for value in each.get("ParameterValue", "").split(",")]
    for prefix, action in LOOKED_UP.items():
        if any(value.startswith(f"{prefix}-") for value in given):
            yield call.ask(f"ec2:{action}")


@on("cloudformation", "DescribeEvents")
def validation(call: Call) -> Iterator[Authorization]:
    yield call.ask("cloudformation:DescribeEvents", call["ChangeSetName"])


@on("iam", "CreateRole")
def new_role(call: Call) -> Iterator[Authorization]:
    arn = f"arn:aws:iam::{call.account}:role{call['Path']}{call['RoleName']}"
    asked = call.ask_tagged("iam:CreateRole", arn)
    yield asked.knowing(_boundary(call.get("PermissionsBoundary")))
    yield from call.ask_tagging("iam:TagRole", arn)


@on(
    "iam",
    "AttachRolePolicy",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "ListAttachedRolePolicies",
    "ListRolePolicies",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "TagRole",
    "UntagRole",
    "UpdateAssumeRolePolicy",
    "UpdateRole",
)
def role(call: Call) -> Iterator[Authorization]:
    """The boundary that is asked for is the one that the role has, or is to have."""
    found = call.known(call["RoleName"])
    boundary = call.get("PermissionsBoundary") or found["boundary"]
    yield call.ask(f"iam:{call.operation}", found["arn"], _boundary(boundary))


def _boundary(arn: str | None) -> dict[str, Value]:
    return {"iam:PermissionsBoundary": arn} if arn else {}


@on("iam", "CreateInstanceProfile")
def new_profile(call: Call) -> Iterator[Authorization]:
    arn = f"arn:aws:iam::{call.account}:instance-profile{call['Path']}{call['InstanceProfileName']}"
    yield call.ask("iam:CreateInstanceProfile", arn)
    yield from call.ask_tagging("iam:TagInstanceProfile", arn)


@on("iam", "AddRoleToInstanceProfile", "DeleteInstanceProfile", "GetInstanceProfile", "RemoveRoleFromInstanceProfile")
def profile(call: Call) -> Iterator[Authorization]:
    yield call.ask(f"iam:{call.operation}", call.known(call["InstanceProfileName"])["arn"])
    if call.operation == "AddRoleToInstanceProfile":
        yield call.ask_pass_role(call.known(call["RoleName"])["arn"], "ec2.amazonaws.com")


@on("imagebuilder", "CreateComponent")
def new_component(call: Call) -> Iterator[Authorization]:
    arn = call.arn("imagebuilder", f"component/{call['name']}/{call['semanticVersion']}/1")
    yield call.ask_tagged("imagebuilder:CreateComponent", arn)
    yield from call.ask_tagging("imagebuilder:TagResource", arn)


@on("imagebuilder", "CreateImageRecipe")
def new_recipe(call: Call) -> Iterator[Authorization]:
    """Image Builder looks up what the recipe names with the permissions of the caller."""
    arn = call.arn("imagebuilder", f"image-recipe/{call['name']}/{call['semanticVersion']}")
    yield call.ask_tagged("imagebuilder:CreateImageRecipe", arn)
    yield from call.ask_tagging("imagebuilder:TagResource", arn)
    for component in call["components"]:
        yield call.ask("imagebuilder:GetComponent", component["componentArn"])
    assert call["parentImage"].startswith("ami-"), "another kind of parent image asks for other permissions"
    yield call.ask("ec2:DescribeImages")


@on("imagebuilder", "CreateImage")
def new_image(call: Call) -> Iterator[Authorization]:
    recipe = call["imageRecipeArn"]
    arn = recipe.replace(":image-recipe/", ":image/") + "/1"
    yield call.ask_tagged("imagebuilder:CreateImage", arn)
    yield from call.ask_tagging("imagebuilder:TagResource", arn)
    yield call.ask("imagebuilder:GetImageRecipe", recipe)
    yield call.ask("imagebuilder:GetInfrastructureConfiguration", call["infrastructureConfigurationArn"])
    # Of a build that names no workflow: Image Builder's own (Service Authorization Reference, dependent actions).
    yield call.ask(
        "imagebuilder:GetWorkflow", f"arn:aws:imagebuilder:{call.region}:aws:workflow/build/build-image/1.0.2/1"
    )
    yield call.ask_service_role("imagebuilder.amazonaws.com", "AWSServiceRoleForImageBuilder")


@on(
    "imagebuilder",
    "CancelImageCreation",
    "DeleteComponent",
    "DeleteImage",
    "DeleteImageRecipe",
    "GetComponent",
    "GetImage",
    "GetImageRecipe",
    "ListComponentBuildVersions",
    "ListImageBuildVersions",
)
def image(call: Call) -> Iterator[Authorization]:
    arns = ("imageBuildVersionArn", "componentBuildVersionArn", "imageRecipeArn")
    if call.operation.startswith("List"):
        arn = f"{call.get('imageVersionArn') or call['componentVersionArn']}/*"
    else:
        arn = next(call[name] for name in arns if call.get(name))
    yield call.ask(f"imagebuilder:{call.operation}", arn)


without_resource("imagebuilder", "imagebuilder", "ListComponents", "ListImageRecipes", "ListImages")
