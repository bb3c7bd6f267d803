"""The examples of the RFCs, to the digit."""

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
    authoriser = mufasa()
    assert authoriser.learn([RFC_7616.format(algorithm=algorithm)])
    header = authoriser.header("GET", "/dir/index.html")
    assert f'response="{response}"' in header
    assert "nc=00000001" in header
    assert f"algorithm={algorithm}" in header
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in header
    assert "nc=00000002" in authoriser.header("GET", "/dir/index.html")


def test_digest_without_qop_answers_as_cameras_ask():
    authoriser = Authenticator("Mufasa", "Circle Of Life")
    assert authoriser.learn(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'])
    # RFC 2617's example, less its qop: the response of RFC 2069, §2.4 as corrected.
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in authoriser.header("GET", "/dir/index.html")


def test_basic_is_given_only_where_no_digest_is_asked_for():
    authoriser = Authenticator("user", "pass:word")
    assert authoriser.learn(['Basic realm="x"'])
    assert authoriser.header("PLAY", "u") == "Basic dXNlcjpwYXNzOndvcmQ="
    assert authoriser.learn(['Basic realm="x"', 'Digest realm="x", nonce="1"'])
    assert authoriser.header("PLAY", "u").startswith("Digest ")


def test_nothing_is_told_before_it_is_asked_for():
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
    assert not mufasa().learn([challenge])
    assert mufasa().header("PLAY", "u") is None


def test_without_a_user_there_is_no_answer_and_without_a_password_there_is():
    assert not Authenticator("", "").learn(['Basic realm="x"'])
    assert Authenticator("admin", "").learn(['Basic realm="x"'])


def test_quotes_in_a_name_stay_within_their_quotes():
    authoriser = Authenticator('a"b\\c', "p")
    authoriser.learn(['Digest realm="x", nonce="1"'])
    assert r'username="a\"b\\c"' in authoriser.header("PLAY", "u")
