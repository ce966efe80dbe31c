"""What the SSM agent keeps of the output of a step: of both streams together, and of each.

Source: amazon-ssm-agent, agent/framework/processor/executer/iohandler/iohandler.go (TruncateOutput, whose cases are in
the unit test) and agent/plugins/pluginutil/pluginutil.go (StringPrefix). Both cut bytes; half a character arrives as
U+FFFD.
"""

LISTED_OUTPUT = 2_500
STANDARD_OUTPUT = 24_000
STANDARD_ERROR = 8_000
TITLE = b"\n----------ERROR-------\n"
OUTPUT_CUT = b"\n---Output truncated---"
ERROR_CUT = b"\n---Error truncated----"
PREFIX_CUT = b"--output truncated--"


def both(stdout: str, stderr: str, capacity: int = LISTED_OUTPUT) -> str:
    """Return what ListCommandInvocations shows as Output: each stream may be cut to about half of `capacity` bytes."""
    output, errors = stdout.encode(), stderr.encode()
    title = TITLE if errors else b""
    room = capacity - len(title)
    if len(output) + len(errors) < room:
        kept = output + title + errors
    elif len(output) > room // 2 and len(errors) > room // 2:
        half = (room - len(ERROR_CUT) - len(OUTPUT_CUT)) // 2
        kept = output[:half] + OUTPUT_CUT + title + errors[:half] + ERROR_CUT
    elif len(output) <= room // 2:
        kept = output + title + errors[: room - len(ERROR_CUT) - len(output)] + ERROR_CUT
    else:
        kept = output[: room - len(OUTPUT_CUT) - len(errors)] + OUTPUT_CUT + title + errors
    return kept.decode(errors="replace")


def standard_output(text: str) -> str:
    """Return what GetCommandInvocation shows as StandardOutputContent."""
    content = text.encode()
    kept = content if len(content) < STANDARD_OUTPUT else content[: STANDARD_OUTPUT - len(PREFIX_CUT)] + PREFIX_CUT
    return kept.decode(errors="replace")


def standard_error(text: str) -> str:
    """Return what GetCommandInvocation shows as StandardErrorContent: the first 8,000 characters (API reference)."""
    return text[:STANDARD_ERROR]
