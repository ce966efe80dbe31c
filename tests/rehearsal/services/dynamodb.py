"""DynamoDB: one request at a time, since a conditional write looks and writes at once.

In moto another request may come in between: then two would hold a lock that only one can hold, or an item would change
while moto copies it.
"""

from moto.dynamodb.responses import DynamoHandler

from tests.rehearsal.aws import LocalAws
from tests.rehearsal.services.atomic import one_at_a_time


def install(_aws: LocalAws) -> None:
    one_at_a_time(DynamoHandler, "call_action")
