"""Digest authentication gives the responses of the RFCs' examples."""

import pytest

from streaming.rtsp import auth
from streaming.rtsp.auth import Authenticator

RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def mufasa():
    return Authenticator("Mufasa", "Circle of Life")


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_answers_as_rfc_7616_says(monkeypatch, algorithm, response):
    own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    monkeypatch.setattr(auth.secrets, "token_hex", lambda _: own)
    authenticator = mufasa()
    assert authenticator.set_challenges([RFC_7616.format(algorithm=algorithm)])
    header = authenticator.header("GET", "/dir/index.html")
    assert f'response="{response}"' in header
    assert "nc=00000001" in header
    assert f"algorithm={algorithm}" in header
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in header
    assert "nc=00000002" in authenticator.header("GET", "/dir/index.html")


def test_digest_without_qop_answers_as_cameras_ask():
    authenticator = Authenticator("Mufasa", "Circle Of Life")
    assert authenticator.set_challenges(
        ['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"']
    )
    # RFC 2617's example, less its qop: the response of RFC 2069, §2.4 as corrected.
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in authenticator.header("GET", "/dir/index.html")


def test_basic_is_used_only_without_a_digest_challenge():
    authenticator = Authenticator("user", "pass:word")
    assert authenticator.set_challenges(['Basic realm="x"'])
    assert authenticator.header("PLAY", "u") == "Basic dXNlcjpwYXNzOndvcmQ="
    assert authenticator.set_challenges(['Basic realm="x"', 'Digest realm="x", nonce="1"'])
    assert authenticator.header("PLAY", "u").startswith("Digest ")


def test_no_credentials_are_sent_before_a_challenge():
    assert mufasa().header("OPTIONS", "u") is None


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Digest",
        "Digest nonsense",
        'Digest realm="x"',
        "Negotiate x",
        'Digest realm="x", nonce="1", qop="auth-int"',
        'Digest realm="x", nonce="1", algorithm=MD5-sess',
    ],
)
def test_a_challenge_that_cannot_be_met_is_not(challenge):
    assert not mufasa().set_challenges([challenge])
    assert mufasa().header("PLAY", "u") is None


def test_without_a_user_there_is_no_answer_and_without_a_password_there_is():
    assert not Authenticator("", "").set_challenges(['Basic realm="x"'])
    assert Authenticator("admin", "").set_challenges(['Basic realm="x"'])


def test_quotes_in_a_name_stay_within_their_quotes():
    authenticator = Authenticator('a"b\\c', "p")
    authenticator.set_challenges(['Digest realm="x", nonce="1"'])
    assert r'username="a\"b\\c"' in authenticator.header("PLAY", "u")
