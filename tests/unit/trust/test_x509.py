from __future__ import annotations

import pytest
from cryptography.x509 import DNSName, SubjectAlternativeName, load_pem_x509_certificate

from sentinel.errors import PeerError
from sentinel.trust import x509
from sentinel.trust.x509 import Identity, Role

NOW = 1_790_000_000_000
DAY = 86_400_000
CA = x509.new_authority("prod", NOW)
WEB1 = Identity(site="prod", role=Role.AGENT, name="web1")


def pair(ca=CA, who=WEB1, now_ms=NOW, **more):
    key = x509.new_key()
    return x509.Pair(key=key, certificate=x509.issue(ca, x509.request(key), who, now_ms, **more))


def leaf(**more):
    return pair(**more).certificate


def test_the_identity_is_the_spiffe_uri():
    found = x509.details(leaf())
    assert found.identity == WEB1
    assert found.identity.uri == "spiffe://prod/agent/web1"
    assert found.not_after_ms - NOW == 7 * DAY


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://prod/root/web1",
        "spiffe://prod/agent/",
        "spiffe://prod/agent/a/b",
        "spiffe://prod/agent/UPPER",
        "spiffe://prod/agent/..",
        "https://prod/agent/web1",
        "spiffe://prod/agent/web1\n",
    ],
)
def test_a_foreign_uri_is_no_identity(uri):
    with pytest.raises(PeerError, match="not an identity"):
        x509.parse_uri(uri)


def test_a_good_certificate_passes_its_own_check():
    assert x509.check(pair(), CA.certificate, NOW).identity == WEB1


def test_an_expired_certificate_names_the_date_and_the_remedy():
    with pytest.raises(PeerError, match="expired at 2026-09-28") as error:
        x509.check(pair(), CA.certificate, NOW + 8 * DAY)
    assert "sentinel-agent join" in error.value.hint


def test_a_certificate_from_the_future_points_at_the_clock():
    with pytest.raises(PeerError, match="is not valid before") as error:
        x509.check(pair(), CA.certificate, NOW - 2 * DAY)
    assert "clock" in error.value.hint


def test_a_certificate_of_another_ca_is_told_apart():
    other = x509.new_authority("prod", NOW)
    with pytest.raises(PeerError, match="not signed by this hub's CA"):
        x509.check(pair(other), CA.certificate, NOW)


def test_a_leaf_cannot_sign():
    with pytest.raises(PeerError, match="not signed"):
        x509.check(pair(pair()), CA.certificate, NOW)


def test_a_certificate_for_another_key_is_told_apart():
    mixed = x509.Pair(key=x509.new_key(), certificate=leaf())
    with pytest.raises(PeerError, match="not for the private key beside it"):
        x509.check(mixed, CA.certificate, NOW)


def test_a_key_that_cannot_be_read_is_told_apart():
    with pytest.raises(PeerError, match="private key cannot be read"):
        x509.check(x509.Pair(key=b"x", certificate=leaf()), CA.certificate, NOW)


def test_a_hubs_certificate_does_not_dial():
    hub = Identity(site="prod", role=Role.HUB, name="hub")
    with pytest.raises(PeerError, match="not one that may dial"):
        x509.check(pair(who=hub), CA.certificate, NOW)


def test_a_ca_that_has_expired_is_told_apart():
    old = x509.new_authority("prod", NOW - x509.CA_LIFE_MS)
    with pytest.raises(PeerError, match="CA expired"):
        x509.check(pair(old), old.certificate, NOW + 1000)


def test_only_a_hub_gets_the_name_that_clients_demand():
    name = x509.hub_name(CA.certificate)
    assert name == "hub.prod.sentinel"
    hub = Identity(site="prod", role=Role.HUB, name="hub")
    assert name in dns_names(leaf(who=hub, names=("127.0.0.1", "hub1")))
    assert dns_names(leaf()) == []


def dns_names(certificate):
    found = load_pem_x509_certificate(certificate).extensions
    names = found.get_extension_for_class(SubjectAlternativeName).value
    return names.get_values_for_type(DNSName)


def test_a_ca_that_is_not_a_hubs_is_told_apart():
    with pytest.raises(PeerError, match="not the CA of a hub"):
        x509.hub_name(leaf())


def test_renewal_is_due_at_half_life():
    found = x509.details(leaf())
    assert not x509.renewal_due(found, NOW + 3 * DAY)
    assert x509.renewal_due(found, NOW + 4 * DAY)


def test_a_request_whose_signature_is_broken_is_refused():
    csr = bytearray(x509.request(x509.new_key()))
    middle = len(csr) // 2
    csr[middle] = ord("A") if csr[middle] != ord("A") else ord("B")
    with pytest.raises(PeerError):
        x509.issue(CA, bytes(csr), WEB1, NOW)


def test_garbage_is_refused_as_a_peer_error():
    with pytest.raises(PeerError, match="cannot be read"):
        x509.details(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(PeerError, match="signing request cannot be read"):
        x509.issue(CA, b"x", WEB1, NOW)
