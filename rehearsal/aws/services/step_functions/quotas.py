"""Quotas: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""

from typing import Final

PAYLOAD_BYTES: Final = 262_144
"""Of an execution's or a state's input or output."""

HISTORY_EVENTS: Final = 25_000
"""Of an execution."""
