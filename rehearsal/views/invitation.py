"""What a person reads when the local AWS is up: where it is, and what to type next."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from rehearsal.application import ROOT
from rehearsal.aws.local_aws import LocalAws

CLUSTER: Final = "workbench"
"""The cluster that the input {} makes."""

HTTPS: Final = 443
MACHINE: Final = "--state-machine-arn $DEPLOY_STATE_MACHINE_ARN"
DESTROY: Final = "--state-machine-arn $DESTROY_STATE_MACHINE_ARN"
DRY_RUN: Final = """'{"dry_run": true}'"""
ON_NODES: Final = "--document-name AWS-RunShellScript --parameters commands='rstudio-server list-nodes'"
PRODUCTION: Final = ROOT / "events/production.json"
MESSAGES: Final = "'events[].message' --output text"
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


def show_address(
    console: Console, places: Mapping[str, tuple[str, int]], authority: Path, people: Sequence[str]
) -> None:
    """Print how a person opens a cluster that has an address in a browser of this machine, and signs in there.

    places: the cluster's name and then that of its people's identity provider, each with the address and port of this
    machine that lead there. people: whom the provider knows. Workbench leads to addresses without a port, so localhost
    alone does where the port is that of HTTPS; but a provider leads back to the cluster's name alone.
    """
    name, provider = places
    rules = ", ".join(f"MAP {host} {address}:{port}" for host, (address, port) in places.items())
    *others, last = people
    lines = [
        Text.assemble("\nWorkbench will be at ", (f"https://{name}/", "bold green"), " when the execution has ended."),
        Text("  Open it in a browser of this machine:"),
        Text(f"    chromium --host-resolver-rules='{rules}' https://{name}/", style="cyan"),
        Text(f"  The browser warns of the certificate: it does not know the authority {authority}. Continue."),
        Text(f"  With auth.method oidc, choose {', '.join(others)} or {last} on the page of {provider}: no password."),
        Text("  Without auth, sign in with a name of `users` and the password in its secret."),
    ]
    if places[name][1] == HTTPS:
        lines.append(Text("  https://localhost/ leads there, too, but for passwords alone."))
    for line in lines:
        console.print(line, soft_wrap=True)
    console.print()


def chapters(application: str, environment: str) -> dict[str, list[str]]:
    """Commands by what they are for."""
    secret = f"aws secretsmanager get-secret-value --secret-id {application}/{CLUSTER}/database"
    return {
        "In another terminal": [
            f"source {environment}",
            f"aws stepfunctions start-execution {MACHINE}",
            f"make --silent --directory {shlex.quote(str(ROOT))} watch",
        ],
        "Instead, with an address and a sign-in": [
            f"aws stepfunctions start-execution {MACHINE} --input file://{PRODUCTION}",
        ],
        "To see first what it would do, and change nothing": [
            f"aws stepfunctions start-execution {MACHINE} --input {DRY_RUN}",
        ],
        "While it runs, a minute": [
            f"aws stepfunctions list-executions {MACHINE}",
            f"aws cloudformation describe-stack-events --stack-name {application}-{CLUSTER}-foundation",
            f"aws logs filter-log-events --log-group-name /aws/lambda/{application}-deploy-stack --query {MESSAGES}",
        ],
        "When there is a cluster": [
            f"aws ssm send-command {ON_NODES} --targets Key=tag:benchwright:cluster,Values={CLUSTER}",
            "aws ssm list-command-invocations --details",
            f"export PGPASSWORD=$({secret} --query SecretString --output text | {FIELD})",
            "psql -U rstudio -c 'table node'",
        ],
        "To destroy it, and keep its data": [
            f"aws stepfunctions start-execution {DESTROY} --input {shlex.quote(json.dumps({'cluster': CLUSTER}))}",
        ],
    }
