"""The root certificates that create_database trusts."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

BUNDLE = Path(__file__).parents[2] / "layers/psycopg2/certificates/global-bundle.pem"
CERTIFICATES = x509.load_pem_x509_certificates(BUNDLE.read_bytes())


def name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def test_none_has_expired_and_all_will_outlive_the_next_five_years() -> None:
    soon = datetime.now(UTC) + timedelta(days=5 * 365)
    assert [name(certificate) for certificate in CERTIFICATES if certificate.not_valid_after_utc < soon] == []


def test_all_are_roots_of_amazon_rds() -> None:
    for certificate in CERTIFICATES:
        assert certificate.subject == certificate.issuer
        certificate.verify_directly_issued_by(certificate)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.value.ca
        assert re.fullmatch(r"Amazon RDS [a-z]+-[a-z]+-\d Root CA (RSA2048|RSA4096|ECC384) G1", name(certificate))


def test_each_region_has_its_three_roots() -> None:
    regions = [name(certificate).split()[2] for certificate in CERTIFICATES]
    assert {region: regions.count(region) for region in regions} == dict.fromkeys(regions, 3)
    assert {"us-east-1", "us-west-2", "eu-central-1", "ap-southeast-2"} <= set(regions)
