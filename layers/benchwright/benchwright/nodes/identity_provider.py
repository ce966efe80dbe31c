"""What a node gets of the identity provider, as infra/node/identity_provider.sh prints it."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """What a node got of the identity provider. problem: why it could not be read; then nothing else is known.

    issuer: of a discovery document. bindings, expires, signed_requests: of SAML metadata: how it takes requests, when
    its certificates end, in seconds since 1970, and whether it takes signed requests alone.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    method: str
    place: str
    problem: str = ""
    issuer: str = ""
    bindings: list[str] = []
    expires: list[int] = []
    signed_requests: bool = False
