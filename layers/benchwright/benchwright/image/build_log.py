"""The last lines of a CloudWatch log, for the cause of a failed execution."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from benchwright.aws import client
from benchwright.observability import logger

# Characters: an event of CloudWatch holds up to 256 KiB, the cause of an execution 32,768 characters.
LONGEST_LINE = 500


def last_lines(group: str, count: int) -> list[str]:
    """Return the last lines of the newest stream of a log group; empty when there is none or it may not be read.

    A failure is being explained: not to find its log must not hide it, so errors of the log are only noted.
    """
    logs = client("logs")
    try:
        streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=1)[
            "logStreams"
        ]
        if not streams:
            return []
        events = logs.get_log_events(
            logGroupName=group, logStreamName=streams[0]["logStreamName"], limit=count, startFromHead=False
        )["events"]
    except (BotoCoreError, ClientError) as error:
        logger.warning("log not readable", group=group, reason=str(error))
        return []
    return [event["message"].rstrip()[:LONGEST_LINE] for event in events]
