"""What a person reads when the local AWS is up: where it is, and what to type next."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from rehearsal.aws.local_aws import LocalAws

CLUSTER: Final = "workbench"
"""The cluster that the input {} makes."""

HTTPS: Final = 443
MACHINE: Final = "--state-machine-arn $DEPLOY_STATE_MACHINE_ARN"
ON_NODES: Final = "--document-name AWS-RunShellScript --parameters commands='rstudio-server list-nodes'"
FIELD: Final = """python3 -c 'import json, sys; print(json.load(sys.stdin)["password"])'"""


def show(console: Console, aws: LocalAws, chapters: Mapping[str, Sequence[str]], seconds: float) -> None:
    """Print it; what is to be pasted is never folded. `seconds` it took to start."""
    where = f"{aws.endpoint}, account {aws.account}, {aws.region}"
    deployed = Text.assemble(("The application is deployed", "bold green"), f" at {where} ({seconds:.0f} s).")
    console.print(deployed, soft_wrap=True)
    for heading, commands in chapters.items():
        console.print(f"\n  [bold]{heading}[/bold]")
        for command in commands:
            console.print(Text(f"    {command}", style="cyan"), soft_wrap=True)
    console.print()
    for line in (
        f"AWS time runs {aws.clock.speed:g} times faster while something waits, and as on the wall otherwise.",
        "Nodes take commands, no sessions: `aws ssm start-session` needs a service that is not here.",
        "Ctrl-C ends all of it and leaves nothing behind.",
    ):
        console.print(Text(f"  {line}"), soft_wrap=True)
    console.print()


def show_address(console: Console, places: Mapping[str, tuple[str, int]], authority: Path) -> None:
    """Print where a browser of this machine finds a cluster that has an address, and its people's identity provider.

    places: the cluster's name and then the provider's, each with the address and port of this machine that lead there.
    Workbench leads to addresses without a port, so localhost alone does where the port is that of HTTPS; but a provider
    leads back to the cluster's name alone.
    """
    name, provider = places
    console.print(Text.assemble("\nThe load balancer answers for ", (name, "bold green"), "."), soft_wrap=True)
    rules = ", ".join(f"MAP {host} {address}:{port}" for host, (address, port) in places.items())
    commands = [f"chromium --host-resolver-rules='{rules}' https://{name}/"]
    if places[name][1] == HTTPS:
        commands.insert(0, "https://localhost/")
    for command in commands:
        console.print(Text(f"    {command}", style="cyan"), soft_wrap=True)
    console.print(Text(f"  People of the identity provider {provider} come by the name alone."), soft_wrap=True)
    console.print(Text(f"  Its certificate is signed by {authority}, which no browser knows."), soft_wrap=True)
    console.print()


def chapters(application: str, environment: str) -> dict[str, list[str]]:
    """Commands by what they are for."""
    secret = f"aws secretsmanager get-secret-value --secret-id {application}/{CLUSTER}/database"
    return {
        "In another terminal": [
            f"source {environment}",
            f"aws stepfunctions start-execution {MACHINE}",
        ],
        "While it runs, a minute": [
            f"aws stepfunctions list-executions {MACHINE}",
            f"aws cloudformation describe-stack-events --stack-name {application}-{CLUSTER}-foundation",
            f"aws logs tail /aws/lambda/{application}-deploy-stack --follow",
        ],
        "When there is a cluster": [
            f"aws ssm send-command {ON_NODES} --targets Key=tag:benchwright:cluster,Values={CLUSTER}",
            "aws ssm list-command-invocations --details",
            f"export PGPASSWORD=$({secret} --query SecretString --output text | {FIELD})",
            "psql -U rstudio -c 'table node'",
        ],
    }
