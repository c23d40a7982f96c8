"""Keys: made, kept where nobody else reads them, refused with a remedy, told to the DNS as it wants them."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from newsletter.errors import ConflictError, InvalidError
from newsletter.mail.dkim_keys import (
    KeyKind,
    check_domain,
    check_selector,
    key_record,
    load_key,
    load_signer,
    make_key,
    save_key,
)

RFC_8463_KEY = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""


@pytest.fixture(scope="module")
def rsa_key():
    return make_key(KeyKind.RSA)


def pem(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def test_a_saved_key_is_its_owners_alone_and_comes_back(tmp_path, rsa_key):
    save_key(rsa_key, tmp_path / "key.pem")

    assert 0o600 == stat.S_IMODE((tmp_path / "key.pem").stat().st_mode)
    assert pem(rsa_key) == pem(load_key(tmp_path / "key.pem"))


def test_a_key_is_never_overwritten(tmp_path, rsa_key):
    path = tmp_path / "key.pem"
    path.write_bytes(b"precious")

    with pytest.raises(ConflictError, match="never overwritten"):
        save_key(rsa_key, path)
    assert b"precious" == path.read_bytes()


def test_a_folder_that_is_not_there_is_named(tmp_path, rsa_key):
    with pytest.raises(InvalidError, match=r"keys/key\.pem cannot be written: No such file or directory"):
        save_key(rsa_key, tmp_path / "keys/key.pem")


def test_a_key_of_openssls_older_form_is_read(tmp_path, rsa_key):
    """`openssl genrsa -traditional`, which many mail servers' guides say."""
    content = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "key.pem").write_bytes(content)

    assert pem(rsa_key) == pem(load_key(tmp_path / "key.pem"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda _: b"", "holds no private key in PEM form; `newsletter dkim keygen` makes one"),
        (lambda _: b"\xff\0", "holds no private key"),
        (lambda key: pem(key)[:400], "holds no private key"),
        (lambda key: pem(key)[:300] + b"AAAAAAAA" + pem(key)[308:], "holds no private key"),
        (
            lambda key: key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "holds no private key",
        ),
        (lambda key: pem(key, BestAvailableEncryption(b"x")), "locked by a password; unlock it: openssl pkey"),
        (lambda _: pem(ec.generate_private_key(ec.SECP256R1())), "neither an RSA nor an Ed25519 key"),
        (lambda _: pem(rsa.generate_private_key(65537, 1024)), "1024 bits, .* want 2048; make another"),
    ],
    ids=["empty", "binary", "cut", "damaged", "public", "locked", "elliptic", "short"],
)
def test_a_file_that_cannot_sign_is_named_with_the_remedy(tmp_path, rsa_key, content, why):
    path = tmp_path / "key.pem"
    path.write_bytes(content(rsa_key))

    with pytest.raises(InvalidError, match=f"key.pem .*{why}"):
        load_signer([("s1", path)])


def test_a_file_that_is_not_there_or_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidError, match=r"nowhere\.pem does not exist; make a key with `newsletter dkim keygen`"):
        load_key(Path("nowhere.pem"))
    with pytest.raises(InvalidError, match="cannot be read: Is a directory"):
        load_key(tmp_path)


def test_the_record_of_rfc_8463(tmp_path):
    """Appendix A.2 prints the public key of this private one."""
    (tmp_path / "key.pem").write_text(RFC_8463_KEY)
    record = key_record(load_key(tmp_path / "key.pem"), selector="brisbane", domain="football.example.com")

    assert "brisbane._domainkey.football.example.com" == record.name
    assert "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" == record.value
    assert f'{record.name}. IN TXT ( "{record.value}" )' == record.zone_line


def test_a_long_record_is_told_in_strings_that_the_dns_can_hold(rsa_key):
    record = key_record(rsa_key, selector="s1", domain="Example.org")

    assert "s1._domainkey.example.org" == record.name
    assert record.value.startswith("v=DKIM1; k=rsa; p=MIIB")
    assert [255, len(record.value) - 255] == [len(string) for string in record.strings]
    assert record.value == "".join(record.strings)
    assert f'( "{record.strings[0]}" "{record.strings[1]}" )' in record.zone_line


@pytest.mark.parametrize("selector", ["news2026", "a.b", "x" * 63, "2026-03"])
def test_selectors_of_letters_digits_and_hyphens_are_taken(selector):
    assert selector == check_selector(selector)


@pytest.mark.parametrize("selector", ["", "a b", "-a", "a-", "a..b", "ä", "x" * 64, "a;b", "a\n"])
def test_what_is_no_selector_is_refused(selector, tmp_path, rsa_key):
    save_key(rsa_key, tmp_path / "key.pem")

    with pytest.raises(InvalidError, match="is no selector; use letters"):
        load_signer([(selector, tmp_path / "key.pem")])


@pytest.mark.parametrize("domain", ["", "localhost", "example.org.", "пример.рф", "a b.org", "*.org", "a.org\n"])
def test_what_is_no_domain_is_refused(domain):
    with pytest.raises(InvalidError, match="is no domain such as"):
        check_domain(domain)
