"""From an answer of AWS to an error of ours."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from benchwright.errors import AwsCallFailed, TransientError, from_client_error, from_connection_error


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 400, TransientError),
        ("TooManyRequestsException", 429, TransientError),
        ("Anything", 503, TransientError),
        ("AccessDeniedException", 400, AwsCallFailed),
        ("UnauthorizedOperation", 403, AwsCallFailed),
        ("ValidationError", 400, AwsCallFailed),
    ],
)
def test_patience_or_not(code: str, status: int, error: type[Exception]) -> None:
    answer = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    translated = from_client_error(ClientError(answer, "CreateImage"))  # type: ignore[arg-type]
    assert type(translated) is error
    assert str(translated).startswith(f"CreateImage answered {code}: why")


def test_a_call_without_answer_is_tried_again_but_not_one_that_was_never_right() -> None:
    assert isinstance(from_connection_error(EndpointConnectionError(endpoint_url="https://x")), TransientError)
    assert isinstance(from_connection_error(ParamValidationError(report="missing")), AwsCallFailed)
