"""Secrets in what programs print."""

import pytest

from netboot.model.hidden import without_secrets


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
        ("root:$6$salt$hash/hash.:19000:0", "root:hidden"),
        ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", "hidden"),
        ('{"auths": {"r.example": {"auth":"dXNlcjpwYXNz"}}}', '{"auths": {"r.example": {"auth":"hidden"}}}'),
        (r'{"user":"a","userPassword" : "a\"b","n":1}', '{"user":"a","userPassword" : "hidden","n":1}'),
    ],
)
def test_each_form_of_a_secret_is_hidden(line: str, expected: str):
    assert without_secrets(line) == expected
