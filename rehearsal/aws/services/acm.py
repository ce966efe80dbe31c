"""Certificate Manager: certificates that stay pending until the world's name servers answer with their records.

moto keeps the certificates, and issues each after a minute whatever stands in a zone.
"""

import contextlib
import datetime
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import trustme
from moto.acm.models import CertBundle, acm_backends

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws

# AWS seconds.
RECORD_SECONDS = 8
"""Until DescribeCertificate shows the record that is to be made: "a few seconds" in the reports of many tools."""

ISSUE_SECONDS = 25
"""After the record is in force: 23 seconds from request to certificate were seen in DataBiosphere/azul#8321."""

GIVE_UP_SECONDS = 72 * 3600
"""ACM user guide, "DNS validation": it stops to look after 72 hours."""

VALID = datetime.timedelta(days=198)
"""Of a public certificate since 2026 (infisical.com/docs/documentation/platform/pki/ca/aws-acm-public-ca)."""

LONGEST_FIRST_NAME = 64
MAXIMUM_NAMES = 10
KEY_TYPES = ("RSA_1024", "RSA_2048")
"""What ListCertificates shows without `keyTypes` (API reference, Filters)."""


def install(aws: LocalAws) -> None:
    """Answer what moto answers otherwise than Certificate Manager."""
    certificates = Certificates(aws)
    CertBundle.check = lambda _: None  # a minute after the request, moto calls a certificate issued
    aws.server.serve("acm", certificates, within=certificates.settled)
    aws.certificates = certificates


@dataclass
class Pending:
    """What was asked for: its names, the first of them the certificate's own, and when (AWS time)."""

    names: list[str]
    requested: float
    issued: float | None = None


@dataclass
class Certificates:
    """The certificates of the account."""

    aws: LocalAws
    lock: threading.RLock = field(default_factory=threading.RLock)
    requested: dict[str, Pending] = field(default_factory=dict)
    """Those of Amazon, by ARN."""
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    """The certificates by the idempotency token and the name that they were requested with."""

    @property
    def backend(self) -> Any:
        return self.aws.moto_backend(acm_backends)

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """One operation at a time, each on what there is at its moment."""
        with self.lock:
            self.settle()
            yield

    def settle(self) -> None:
        """Issue what is proven by now, and give up what was not for too long."""
        now = self.aws.clock.now()
        for arn, pending in self.requested.items():
            bundle = self.backend._certificates[arn]
            if bundle.status == "PENDING_VALIDATION":
                proven = self._proven(pending.names)
                if proven is not None and now >= (at := max(proven, pending.requested) + ISSUE_SECONDS):
                    bundle.status, pending.issued = "ISSUED", at
                elif now >= pending.requested + GIVE_UP_SECONDS:
                    bundle.status = "VALIDATION_TIMED_OUT"
            if bundle.status == "ISSUED" and now >= bundle._cert.not_valid_after_utc.timestamp():
                bundle.status = "EXPIRED"

    def status(self, arn: str) -> str | None:
        """The status of a certificate, None where there is none."""
        with self.settled():
            bundle = self.backend._certificates.get(arn)
            return str(bundle.status) if bundle else None

    def request_certificate(self, call: Call) -> Mapping[str, Any]:
        taken = {
            *("DomainName", "SubjectAlternativeNames", "ValidationMethod", "IdempotencyToken", "Tags"),
            *("KeyAlgorithm", "Options"),
        }
        if unknown := sorted(set(call.given()) - taken):
            raise ServiceError("ValidationException", f"The rehearsal's ACM does not know {', '.join(unknown)}.")
        if call.get("ValidationMethod") != "DNS" or call.get("KeyAlgorithm", "RSA_2048") != "RSA_2048":
            raise ServiceError("ValidationException", "The rehearsal's ACM knows validation by DNS, and RSA_2048.")
        first = call["DomainName"].lower()
        names = list(dict.fromkeys([first, *(name.lower() for name in call.get("SubjectAlternativeNames") or [])]))
        if len(first) > LONGEST_FIRST_NAME:
            raise ServiceError(
                "ValidationException",
                f"1 validation error detected: The first domain name can be no longer than {LONGEST_FIRST_NAME} "
                f"characters: '{first}'",
            )
        if len(names) > MAXIMUM_NAMES:
            raise ServiceError(
                "LimitExceededException",
                f"Too many domain names: {len(names)}. The maximum is {MAXIMUM_NAMES}.",
            )
        token = call.get("IdempotencyToken")
        known = self.requested.get(arn := self.tokens.get((token or "", first), ""))
        if token and known and self.aws.clock.now() < known.requested + 3600:
            return {"CertificateArn": arn}
        bundle = self._made(names)
        if call.get("Tags"):
            bundle.tags.add(list(call["Tags"]))
        self.backend._certificates[bundle.arn] = bundle
        self.requested[bundle.arn] = Pending(names, self.aws.clock.now())
        if token:
            self.tokens[token, first] = bundle.arn
        return {"CertificateArn": bundle.arn}

    def describe_certificate(self, call: Call) -> Mapping[str, Any]:
        return {"Certificate": self._described(self._bundle(call["CertificateArn"]))}

    def list_certificates(self, call: Call) -> Mapping[str, Any]:
        statuses = call.get("CertificateStatuses") or []
        includes = call.get("Includes") or {}
        if set(includes) - {"keyTypes"}:
            raise ServiceError("ValidationException", "The rehearsal's ACM filters by keyTypes only.")
        shown = []
        for bundle in list(self.backend._certificates.values()):
            its = self._described(bundle)
            if its["KeyAlgorithm"] not in (includes.get("keyTypes") or KEY_TYPES):
                continue
            if statuses and its["Status"] not in statuses:
                continue
            names = its["SubjectAlternativeNames"]
            kept = ("CertificateArn", "DomainName", "Status", "Type", "KeyAlgorithm", "NotBefore", "NotAfter")
            times = ("CreatedAt", "IssuedAt", "ImportedAt", "RenewalEligibility")
            summary = {name: its[name] for name in (*kept, *times) if name in its}
            summary |= {"SubjectAlternativeNameSummaries": names, "InUse": bool(its["InUseBy"])}
            shown.append(summary)
        start, size = int(call.get("NextToken") or 0), call.get("MaxItems") or 1000
        more = {"NextToken": str(start + size)} if len(shown) > start + size else {}
        return {"CertificateSummaryList": shown[start : start + size], **more}

    def delete_certificate(self, call: Call) -> Mapping[str, Any]:
        arn = call["CertificateArn"]
        self._bundle(arn)
        if self._users(arn):
            raise ServiceError("ResourceInUseException", f"Certificate {arn} in account {self.aws.account} is in use.")
        self.backend.delete_certificate(arn)
        self.requested.pop(arn, None)
        return {}

    def get_certificate(self, call: Call) -> Proceed:
        if self._bundle(call["CertificateArn"]).status == "PENDING_VALIDATION":
            raise ServiceError("RequestInProgressException", f"Certificate {call['CertificateArn']} is not issued yet.")
        return PROCEED

    def _bundle(self, arn: str) -> Any:
        found = self.backend._certificates.get(arn)
        if found is None:
            raise ServiceError(
                "ResourceNotFoundException", f"Could not find certificate {arn} in account {self.aws.account}."
            )
        return found

    def _made(self, names: Sequence[str]) -> Any:
        """A certificate of an authority that nodes trust. Who looks at it knows the time of the wall only, so that it
        is valid from long ago; ACM shows the day of its issue.
        """
        authority = self.aws.hosts.mirror.authority if hasattr(self.aws.hosts, "mirror") else trustme.CA()
        leaf = authority.issue_cert(
            *names, common_name=names[0], not_after=self.aws.clock.datetime() + VALID, key_type=trustme.KeyType.RSA
        )
        first, *chain = [pem.bytes() for pem in leaf.cert_chain_pems]
        return CertBundle(
            self.aws.account,
            first,
            leaf.private_key_pem.bytes(),
            chain=b"".join([*chain, authority.cert_pem.bytes()]),
            region=self.aws.region,
            cert_type="AMAZON_ISSUED",
            cert_status="PENDING_VALIDATION",
        )

    def _proven(self, names: Sequence[str]) -> float | None:
        """Since when every name's record is as it should be (AWS time), None while one is not."""
        moments = []
        for name in names:
            record = validation_record(self.aws.account, name)
            answer = self.aws.zones.public_answer(record["Name"], "CNAME") if self.aws.zones else None
            if answer is None or [value.rstrip(".") for value in answer[0]] != [record["Value"].rstrip(".")]:
                return None
            moments.append(answer[1])
        return max(moments)

    def _users(self, arn: str) -> list[str]:
        """The load balancers whose listeners show a certificate."""
        balancers = self.aws.balancing.backend.load_balancers if self.aws.balancing else {}
        return [
            balancer_arn
            for balancer_arn, balancer in list(balancers.items())
            if any(arn in listener.certificates for listener in list(balancer.listeners.values()))
        ]

    def _described(self, bundle: Any) -> dict[str, Any]:
        """A certificate as DescribeCertificate shows it: nothing of its content before it is issued."""
        described = bundle.describe()["Certificate"] | {"InUseBy": self._users(bundle.arn), "KeyUsages": []}
        pending = self.requested.get(bundle.arn)
        if pending is None:
            return dict(described)
        described |= {
            "DomainName": pending.names[0],
            "SubjectAlternativeNames": pending.names,
            "Subject": f"CN={pending.names[0]}",
            "Issuer": "Amazon",
            "CreatedAt": pending.requested,
            "RenewalEligibility": "ELIGIBLE" if self._users(bundle.arn) else "INELIGIBLE",
            "DomainValidationOptions": [self._validation(name, bundle.status, pending) for name in pending.names],
        }
        if pending.issued is None:
            unknown = ("Serial", "NotBefore", "NotAfter", "IssuedAt", "SignatureAlgorithm", "Issuer")
            return {name: value for name, value in described.items() if name not in unknown}
        issued = datetime.datetime.fromtimestamp(pending.issued, datetime.UTC)
        midnight = issued.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        return described | {"IssuedAt": pending.issued, "NotBefore": midnight}

    def _validation(self, name: str, status: str, pending: Pending) -> dict[str, Any]:
        words = {"ISSUED": "SUCCESS", "EXPIRED": "SUCCESS", "VALIDATION_TIMED_OUT": "FAILED"}
        shown: dict[str, Any] = {
            "DomainName": name,
            "ValidationDomain": name,
            "ValidationMethod": "DNS",
            "ValidationStatus": words.get(status, status),
        }
        if self.aws.clock.now() >= pending.requested + RECORD_SECONDS:
            shown["ResourceRecord"] = validation_record(self.aws.account, name)
        return shown


def validation_record(account: str, name: str) -> dict[str, str]:
    """The record that proves that a name is one's own: the same for each certificate of an account.

    A wildcard is proven with the record of what it stands for (ACM user guide, "DNS validation").
    """
    proven = name.removeprefix("*.")
    digest = hashlib.sha256(f"{account} {proven}".encode()).hexdigest()
    return {
        "Name": f"_{digest[:32]}.{proven}.",
        "Type": "CNAME",
        "Value": f"_{digest[32:]}.{digest[:10]}.acm-validations.aws.",
    }
