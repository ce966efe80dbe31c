"""DynamoDB: one write of an item at a time, since a conditional write looks and writes at once.

In moto another request may write in between: then two would hold a lock that only one can hold.
"""

from moto.dynamodb.models import DynamoDBBackend

from tests.rehearsal.aws import LocalAws
from tests.rehearsal.services.atomic import one_at_a_time


def install(_aws: LocalAws) -> None:
    one_at_a_time(DynamoDBBackend, "put_item", "update_item", "delete_item", "transact_write_items")
