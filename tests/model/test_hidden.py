"""Secrets in what programs print."""

import random

import pytest

from netboot.model import hidden
from netboot.model.hidden import without_secrets, without_secrets_in


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nothing to hide", "nothing to hide"),
        ("commit 7f0a1c" + "0" * 58, "commit 7f0a1c" + "0" * 58),
        ("GET http://user:word@192.0.2.1/x", "GET http://hidden@192.0.2.1/x"),
        ('Environment=REGISTRY_PASSWORD="a b" x', "Environment=REGISTRY_PASSWORD=hidden x"),
        (
            "kubeadm join 192.0.2.100:6443 --token abcdef.0123456789abcdef \\",
            "kubeadm join 192.0.2.100:6443 --token hidden \\",
        ),
        ("[bootstrap-token] using abcdef.0123456789abcdef", "[bootstrap-token] using hidden"),
        ("  --control-plane --certificate-key " + "ab" * 32, "  --control-plane --certificate-key hidden"),
        ("ab" * 32, "hidden"),
        ("Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.abc", "Authorization: Bearer hidden"),
        ("curl: (22) nb_" + "aZ0_-" * 8 + "abc: 401", "curl: (22) hidden: 401"),
        ("root:$6$salt$hash/hash.:19000:0", "root:hidden"),
        ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", "hidden"),
        ('{"auths": {"r.example": {"auth":"dXNlcjpwYXNz"}}}', '{"auths": {"r.example": {"auth":"hidden"}}}'),
        (r'{"user":"a","userPassword" : "a\"b","n":1}', '{"user":"a","userPassword" : "hidden","n":1}'),
        ("rootpw --plaintext pass/word", "rootpw --plaintext hidden"),
        ("rootpw --lock", "rootpw --lock"),
        ("x: rootpw pass,word # comment", "x: rootpw hidden # comment"),
        ("rootpw --iscrypted $6$salt$hash", "rootpw --iscrypted hidden"),
        ("user --name=ops --iscrypted --password='a b' --lock", "user --name=ops --iscrypted --password=hidden --lock"),
        ('part / --encrypted --passphrase=a"b c"d --grow', "part / --encrypted --passphrase=hidden --grow"),
        ("certificateKey: " + "ab" * 32, "certificateKey: hidden"),
        ("kubeadm: - token: abc def", "kubeadm: - token: hidden"),
        ("cannot read the token: no such file", "cannot read the token: no such file"),
        ("caCertHashes: sha256:" + "ab" * 32, "caCertHashes: sha256:" + "ab" * 32),
        ("https://files.example.org/x?sig=abc&b=1 200", "https://files.example.org/x?sig=hidden 200"),
        ("rd.iscsi.password=abc console=ttyS0", "rd.iscsi.password=hidden console=ttyS0"),
        (
            '"source": "data:text/plain;charset=utf-8;base64,c2VjcmV0", "x": 1',
            '"source": "data:text/plain;charset=utf-8;base64,hidden", "x": 1',
        ),
        ("echo $1$unwritten", "echo $1$unwritten"),
        ("PWD=/root SIGNAL=1 design=x", "PWD=/root SIGNAL=1 design=x"),
    ],
)
def test_each_form_of_a_secret_is_hidden(line: str, expected: str):
    assert without_secrets(line) == expected


def test_a_document_keeps_certificates_and_its_lines():
    document = f"rootpw abc\n\n{'aB' * 32}\n\u2028data:,x\r\n"

    assert without_secrets_in(document) == f"rootpw hidden\n\n{'aB' * 32}\n\u2028data:,x\r\n"


def test_a_form_is_found_in_every_line_that_has_it_among_others():
    parts = (
        *("a ", '"', "'", "=", " --token ", "--password=", "x@", "http://u:p@", "Bearer abcdefgh1 ", "password=w "),
        *("token: v", 'k"auth": "v"', "\n", "rootpw p ", "nb_" + "a" * 43, "abcdef.0123456789abcdef ", "$6$s$h ", "- "),
    )
    draw = random.Random(15)
    for _ in range(20_000):
        line = "".join(draw.choices(parts, k=draw.randint(1, 6))).replace("\n", " ")
        expected = line
        for _, hide in hidden._FORMS:
            expected = hide(expected)
        assert without_secrets(line) == expected, line
