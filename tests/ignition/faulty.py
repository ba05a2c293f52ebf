"""Ignition files, sound and faulty, each with the program that refuses it and our reason."""

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Judge(Enum):
    """Who refuses a file beside us."""

    VALIDATE = "ignition-validate"
    IGNITION = "ignition --stage=fetch and --stage=files"
    LATER = "Ignition 2.16, which OCK 1.33 has; Debian's 2.14 does not look"
    NOBODY = "nobody: Go's decoder repairs it silently, so another configuration than the written one is installed"


@dataclass(frozen=True)
class Faulty:
    judge: Judge
    data: bytes
    reason: str  # the whole text of our first problem


def document(version: str = "3.3.0", **sections: Any) -> bytes:
    head = sections.pop("ignition", {})
    return json.dumps({"ignition": {"version": version, **head}, **sections}).encode()


def files(*entries: dict[str, Any], version: str = "3.3.0", **other: Any) -> bytes:
    return document(version, storage={"files": list(entries), **other})


def file(path: str = "/etc/tested", source: str = "data:,plain", **contents: Any) -> dict[str, Any]:
    return {"path": path, "contents": {"source": source, **contents}}


def units(*entries: dict[str, Any]) -> bytes:
    return document(systemd={"units": list(entries)})


def users(*entries: dict[str, Any]) -> bytes:
    return document(passwd={"users": list(entries)})


def data(content: bytes) -> str:
    return "data:;base64," + base64.b64encode(content).decode()


def packed(text: bytes) -> str:
    return data(gzip.compress(text, mtime=0))


def sha512(text: bytes) -> dict[str, str]:
    return {"hash": f"sha512-{hashlib.sha512(text).hexdigest()}"}


def in_other_encoding(name: str) -> str:
    cure = f"iconv -f {name} -t UTF-8 FILE converts it (PowerShell 5 redirects as UTF-16)"
    return f"is {name}, and Ignition takes UTF-8; {cure}"


V, F, L, N = Judge.VALIDATE, Judge.IGNITION, Judge.LATER, Judge.NOBODY
GIVE = "give what `ocne cluster start` or `ocne cluster join` printed on stdout"
ENCODE = "encode the content again, or remove the file"
SIMPLE = "write a full, simplified path"
SOURCE = "/storage/files/0/contents/source"
PLAIN = document()
CERTIFICATE = b"""-----BEGIN CERTIFICATE-----
MIIBcTCCARegAwIBAgIUbS58wF6FY5kIAogUUy/pddpV8/MwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI4MTk1OTU1WhgPMjEyNjExMDQxOTU5NTVa
MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIiLVXP9e
fa6NrIx1duXxon8R9WDC8/JtnJN7SGETjFnLjbt2/IVQugjrCZjVQ3Y3lU3uJdtS
giOmdUMF938naKNTMFEwHQYDVR0OBBYEFC6lIGkWe3gCImpQf0jt9FPApr0vMB8G
A1UdIwQYMBaAFC6lIGkWe3gCImpQf0jt9FPApr0vMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSAAwRQIgXq/nPf5wzv8BZUME82YTGT0ImGkBIMjOhTcmKUHY
7v8CIQCmn4Dte69tqBmPrvhUv2gznHEI97VnUmqSajUfOO6yZA==
-----END CERTIFICATE-----
"""

FAULTY = {
    "empty": Faulty(V, b"", f"is empty; {GIVE}"),
    "nul-bytes": Faulty(V, bytes(4096), f"holds nothing but NUL bytes; {GIVE}"),
    "blank": Faulty(V, b" \n", f"is empty; {GIVE}"),
    "gzip": Faulty(V, gzip.compress(PLAIN, mtime=0), "is compressed with gzip; gunzip -c FILE > NEW unpacks it"),
    "utf-16-le-bom": Faulty(
        V,
        PLAIN.decode().encode("utf-16"),
        in_other_encoding("UTF-16"),
    ),
    "utf-16-be-without-bom": Faulty(
        V,
        PLAIN.decode().encode("utf-16-be"),
        in_other_encoding("UTF-16BE"),
    ),
    "utf-32": Faulty(
        V,
        PLAIN.decode().encode("utf-32"),
        in_other_encoding("UTF-32"),
    ),
    "utf-8-bom": Faulty(
        V,
        b"\xef\xbb\xbf" + PLAIN,
        r"begins with a UTF-8 byte order mark, which Ignition refuses; sed -i '1s/^\xEF\xBB\xBF//' FILE removes it",
    ),
    "latin-1": Faulty(
        N,
        users({"name": "ocne", "gecos": "X"}).replace(b'"X"', b'"J\xf6rg"'),
        "line 1, column 85: is not UTF-8 (byte 0xf6); save it as UTF-8; iconv -f LATIN1 -t UTF-8 FILE converts Latin-1",
    ),
    "nan": Faulty(
        V,
        b'{"ignition": {"version": "3.3.0"},\n "a": ["NaN", NaN]}',
        "line 2, column 15: NaN is not a JSON value; write a number or remove the key",
    ),
    "infinity": Faulty(
        V,
        b'{"ignition": {"version": "3.3.0"}, "a": -Infinity}',
        "line 1, column 41: -Infinity is not a JSON value; write a number or remove the key",
    ),
    "trailing-data": Faulty(V, PLAIN + b" {}", f"line 1, column 36: is not JSON (Extra data); {GIVE}"),
    "cut": Faulty(
        V, PLAIN[:-1], f"line 1, column 34: is not JSON (Expecting ',' delimiter); {GIVE}"
    ),
    "instructions-in-front": Faulty(
        V, b"Run these commands\n" + PLAIN, f"line 1, column 1: is not JSON (Expecting value); {GIVE}"
    ),
    "a-list": Faulty(V, b"[]", f"holds a list instead of an object; {GIVE}"),
    "null": Faulty(V, b"null", f"holds null instead of an object; {GIVE}"),
    "too-deep": Faulty(V, b"[" * 20_000, f"is not JSON that can be read (nested too deeply); {GIVE}"),
    "number-with-thousands-of-digits": Faulty(
        V, files({"path": "/a", "mode": 1}).replace(b": 1}", b": " + b"1" * 5000 + b"}"),
        f"is not JSON that can be read (a number is too long); {GIVE}",
    ),
    "number-for-an-object": Faulty(
        V, document(storage=1), "/storage: is a number instead of an object; write an object"
    ),
    "true-for-a-string": Faulty(
        V, files({"path": True}), "/storage/files/0/path: is true or false instead of a string; write a string"
    ),
    "null-in-a-list": Faulty(
        V, document(storage={"files": [None]}), f"/storage/files/0/path: '' is not a path; {SIMPLE}"
    ),
    "key-twice": Faulty(
        N,
        b'{"ignition": {"version": "3.3.0"}, "storage": {"files": [], "Files": []}}',
        "/storage: has the key 'files' twice; keep one of the two",
    ),
    "no-version": Faulty(
        V, b"{}", "has no ignition.version; give an Ignition file, not Butane or another configuration"
    ),
    "version-2": Faulty(V, document("2.2.0"), "is Ignition '2.2.0'; give one of spec 3.0.0 to 3.6.0, as ocne writes"),
    "version-3.9": Faulty(V, document("3.9.0"), "is Ignition '3.9.0'; give one of spec 3.0.0 to 3.6.0, as ocne writes"),
    "version-3": Faulty(V, document("3.3"), "is Ignition '3.3'; give one of spec 3.0.0 to 3.6.0, as ocne writes"),
    "string-for-a-mode": Faulty(
        V, files({"path": "/a", "mode": "0644"}),
        "/storage/files/0/mode: is a string instead of a whole number; write a whole number",
    ),
    "fraction-for-a-mode": Faulty(
        V, files({"path": "/a", "mode": 420.5}),
        "/storage/files/0/mode: is a fraction or out of range instead of a whole number; write a whole number",
    ),
    "object-for-a-list": Faulty(
        V, document(storage={"files": {}}), "/storage/files: is an object instead of a list; write a list"
    ),
    "string-for-true": Faulty(
        V, units({"name": "a.service", "enabled": "yes"}),
        "/systemd/units/0/enabled: is a string instead of true or false; write true or false",
    ),
    "bad-mode": Faulty(
        V, files({"path": "/a", "mode": 4096}),
        "/storage/files/0/mode: 4096 is not a file mode; "
        "write the mode as a decimal number from 0 to 4095 (0644 is 420)",
    ),
    "negative-mode": Faulty(
        V, document(storage={"directories": [{"path": "/a", "mode": -1}]}),
        "/storage/directories/0/mode: -1 is not a file mode; "
        "write the mode as a decimal number from 0 to 4095 (0644 is 420)",
    ),
    "id-and-name": Faulty(
        V, files({"path": "/a", "user": {"id": 0, "name": "root"}}),
        "/storage/files/0/user: has both id and name; keep one of the two",
    ),
    "relative-path": Faulty(
        V, files({"path": "etc/a"}), f"/storage/files/0/path: 'etc/a' is not absolute; {SIMPLE}"
    ),
    "no-path": Faulty(V, files({}), f"/storage/files/0/path: '' is not a path; {SIMPLE}"),
    "path-with-dots": Faulty(
        V, files({"path": "/etc/../a"}),
        f"/storage/files/0/path: '/etc/../a' is not simplified: it has //, /./, /../ or a / at its end; {SIMPLE}",
    ),
    "path-with-nul": Faulty(
        F, files({"path": "/etc/a\0b"}),
        f"/storage/files/0/path: '/etc/a\\x00b' has a NUL or a name of more than 255 bytes; {SIMPLE}",
    ),
    "path-with-a-long-name": Faulty(
        F, files({"path": "/etc/" + "a" * 256}),
        f"/storage/files/0/path: '/etc/{'a' * 54}…' has a NUL or a name of more than 255 bytes; {SIMPLE}",
    ),
    "the-root-as-a-file": Faulty(
        F, files({"path": "/"}), f"/storage/files/0/path: '/' is the root directory; {SIMPLE}"
    ),
    "overwrite-without-source": Faulty(
        V, files({"path": "/a", "overwrite": True}),
        "/storage/files/0/overwrite: is true without contents.source; add contents or remove overwrite",
    ),
    "path-twice": Faulty(
        V, files(file(), file()),
        "/storage/files/1: has the same path as /storage/files/0; keep one of the two",
    ),
    "file-and-directory": Faulty(
        V, files(file(), directories=[{"path": "/etc/tested"}]),
        "/storage/files/0: has the same path as /storage/directories/0; keep one of the two",
    ),
    "file-and-link": Faulty(
        V, files(file(), links=[{"path": "/etc/tested", "target": "/a"}]),
        "/storage/links/0: has the same path as /storage/files/0; keep one of the two",
    ),
    "below-a-file": Faulty(
        F, files(file(), file("/etc/tested/below")),
        "/storage/files/1: '/etc/tested/below' lies below the file '/etc/tested' (/storage/files/0); "
        "make '/etc/tested' a directory, or move one of them",
    ),
    "directory-below-a-file": Faulty(
        F, files(file(), directories=[{"path": "/etc/tested/a/b"}]),
        "/storage/directories/0: '/etc/tested/a/b' lies below the file '/etc/tested' (/storage/files/0); "
        "make '/etc/tested' a directory, or move one of them",
    ),
    "link-below-a-file": Faulty(
        F, files(file(), links=[{"path": "/etc/tested/a", "target": "/b"}]),
        "/storage/links/0: '/etc/tested/a' lies below the file '/etc/tested' (/storage/files/0); "
        "make '/etc/tested' a directory, or move one of them",
    ),
    "below-a-link": Faulty(
        V, files(file("/etc/a/b"), links=[{"path": "/etc/a", "target": "/b"}]),
        "/storage/files/0: '/etc/a/b' lies below the link '/etc/a' (/storage/links/0); "
        "make '/etc/a' a directory, or move one of them",
    ),
    "unit-below-a-file": Faulty(
        F,
        document(
            storage={"files": [file("/etc/systemd/system/a.service.d")]},
            systemd={"units": [{"name": "a.service", "dropins": [{"name": "b.conf", "contents": "[Unit]\n"}]}]},
        ),
        "/systemd/units/0/dropins/0: '/etc/systemd/system/a.service.d/b.conf' lies below the file "
        "'/etc/systemd/system/a.service.d' (/storage/files/0); "
        "make '/etc/systemd/system/a.service.d' a directory, or move one of them",
    ),
    "unit-and-file": Faulty(
        L,
        document(
            storage={"files": [file("/etc/systemd/system/a.service")]},
            systemd={"units": [{"name": "a.service", "contents": "[Unit]\n"}]},
        ),
        "/storage/files/0/path: '/etc/systemd/system/a.service' is a unit of this file too; keep one of the two",
    ),
    "link-without-target": Faulty(
        V, document(storage={"links": [{"path": "/a"}]}),
        "/storage/links/0/target: is missing; write what the link leads to",
    ),
    "hard-link-to-a-directory": Faulty(
        V,
        document(storage={"directories": [{"path": "/d"}], "links": [{"path": "/a", "target": "/d", "hard": True}]}),
        "/storage/links/0/target: '/d' is a directory; make the link symbolic",
    ),
    "unknown-scheme": Faulty(
        V, files(file(source="gopher://x/y")),
        f"{SOURCE}: is a URL with 'gopher'; use one of data, http, https, tftp, s3, gs",
    ),
    "no-scheme": Faulty(
        V, files(file(source="plain")),
        f"{SOURCE}: is a URL with no scheme; use one of data, http, https, tftp, s3, gs",
    ),
    "gs-in-3.1": Faulty(
        V, files(file(source="gs://x/y"), version="3.1.0"),
        f"{SOURCE}: is a URL with 'gs'; use one of data, http, https, tftp, s3",
    ),
    "arn-in-3.3": Faulty(
        V, files(file(source="arn:aws:s3:::bucket/key")),
        f"{SOURCE}: is a URL with 'arn'; use one of data, http, https, tftp, s3, gs",
    ),
    "url-with-a-bad-port": Faulty(
        V, files(file(source="http://192.0.2.1:port/x")), f"{SOURCE}: is a URL that cannot be read; correct it"
    ),
    "url-with-a-bad-escape": Faulty(
        V, files(file(source="http://192.0.2.1/%zz")),
        f"{SOURCE}: is a URL that has a blank or a faulty % escape; correct it",
    ),
    "unknown-compression": Faulty(
        V, files(file(compression="xz")),
        "/storage/files/0/contents/compression: 'xz' is not a compression that Ignition supports; "
        'write "gzip" or ""',
    ),
    "plain-as-gzip": Faulty(
        F, files(file(compression="gzip")), f"{SOURCE}: is not gzip, although compression states it; {ENCODE}"
    ),
    "empty-as-gzip": Faulty(
        F,
        files(file(source="data:,", compression="gzip")),
        f"{SOURCE}: is not gzip, although compression states it; {ENCODE}",
    ),
    "cut-gzip": Faulty(
        F, files(file(source=packed(b"text")[:-12], compression="gzip")), f"{SOURCE}: is gzip that is cut; {ENCODE}"
    ),
    "gzip-with-a-tail": Faulty(
        F,
        files(file(source=data(gzip.compress(b"a") + b"tail"), compression="gzip")),
        f"{SOURCE}: is not gzip, although compression states it; {ENCODE}",
    ),
    "gzip-with-a-false-checksum": Faulty(
        F,
        files(
            file(source=data(gzip.compress(b"a")[:-8] + bytes(8)), compression="gzip")
        ),
        f"{SOURCE}: is gzip that is damaged; {ENCODE}",
    ),
    "appended-plain-as-gzip": Faulty(
        F, files({"path": "/etc/a", "append": [{"source": "data:,a"}, {"source": "data:,b", "compression": "gzip"}]}),
        f"/storage/files/0/append/1/source: is not gzip, although compression states it; {ENCODE}",
    ),
    "not-the-hash": Faulty(
        F, files(file(verification=sha512(b"other"))),
        "/storage/files/0/contents/verification/hash: is not the hash of the content; "
        "write the file again where it was made",
    ),
    "hash-of-the-compressed": Faulty(
        F, files(file(source=packed(b"a"), compression="gzip", verification=sha512(gzip.compress(b"a", mtime=0)))),
        "/storage/files/0/contents/verification/hash: is not the hash of the content after decompression; "
        "write the file again where it was made",
    ),
    "hash-without-function": Faulty(
        V, files(file(verification={"hash": "0" * 128})),
        "/storage/files/0/contents/verification/hash: names no hash that Ignition knows; "
        "write sha512-HEX or sha256-HEX",
    ),
    "md5": Faulty(
        V, files(file(verification={"hash": "md5-" + "0" * 32})),
        "/storage/files/0/contents/verification/hash: names no hash that Ignition knows; "
        "write sha512-HEX or sha256-HEX",
    ),
    "sha256-in-3.0": Faulty(
        V, files(file(verification={"hash": "sha256-" + "0" * 64}), version="3.0.0"),
        "/storage/files/0/contents/verification/hash: names no hash that Ignition knows; write sha512-HEX",
    ),
    "short-hash": Faulty(
        V, files(file(verification={"hash": "sha512-00"})),
        "/storage/files/0/contents/verification/hash: is not a sha512: 2 characters follow; "
        "write 128 hexadecimal digits",
    ),
    "hash-with-other-letters": Faulty(
        F, files(file(verification={"hash": "sha256-" + "z" * 64})),
        "/storage/files/0/contents/verification/hash: is not a sha256: 64 characters follow; "
        "write 64 hexadecimal digits",
    ),
    "hash-without-source": Faulty(
        V, files({"path": "/a", "contents": {"verification": sha512(b"")}}),
        "/storage/files/0/contents/verification/hash: is given without a source; remove it",
    ),
    "cut-base64": Faulty(V, files(file(source="data:;base64,QUI")), f"{SOURCE}: is not base64, or is cut; {ENCODE}"),
    "no-base64": Faulty(V, files(file(source="data:;base64,QU_-")), f"{SOURCE}: is not base64, or is cut; {ENCODE}"),
    "escaped-base64": Faulty(
        V, files(file(source="data:;base64,QQ%3D%3D")), f"{SOURCE}: is not base64, or is cut; {ENCODE}"
    ),
    "base64-with-a-line-break": Faulty(
        V, files(file(source="data:;base64,QUJD\nREVG")),
        f"{SOURCE}: has a line break or control character; {ENCODE}",
    ),
    "bad-escape": Faulty(
        V, files(file(source="data:,50%")), f"{SOURCE}: is a data URL with a faulty % escape at character 9; {ENCODE}"
    ),
    "blank-in-data": Faulty(
        V, files(file(source="data:,a b")),
        f"{SOURCE}: is a data URL with a character that must be escaped at character 8; {ENCODE}",
    ),
    "umlaut-in-data": Faulty(
        V, files(file(source="data:,ä")),
        f"{SOURCE}: is a data URL with a character that must be escaped at character 7; {ENCODE}",
    ),
    "data-without-comma": Faulty(
        V, files(file(source="data:plain")),
        f"{SOURCE}: is a data URL that cannot be read before its data; "
        "write data:,TEXT with percent escapes, or data:;base64,DATA",
    ),
    "upper-case-data": Faulty(
        V, files(file(source="DATA:,a")),
        f"{SOURCE}: is a data URL that cannot be read before its data; "
        "write data:,TEXT with percent escapes, or data:;base64,DATA",
    ),
    "headers-of-data": Faulty(
        V, files(file(httpHeaders=[{"name": "A", "value": "b"}])),
        "/storage/files/0/contents/httpHeaders: are for http and https alone; remove them",
    ),
    "header-without-name": Faulty(
        V, files(file(source="http://192.0.2.1/", httpHeaders=[{"value": "b"}])),
        "/storage/files/0/contents/httpHeaders/0/name: is empty; write it",
    ),
    "header-with-an-empty-value": Faulty(
        V, files(file(source="http://192.0.2.1/", httpHeaders=[{"name": "A", "value": ""}])),
        "/storage/files/0/contents/httpHeaders/0/value: is empty; write it",
    ),
    "arn-of-no-object": Faulty(
        V, files(file(source="arn:aws:s3:::bucket"), version="3.4.0"),
        f"{SOURCE}: is a URL that names no S3 object; correct it",
    ),
    "unit-without-suffix": Faulty(
        V, units({"name": "kubelet"}),
        "/systemd/units/0/name: 'kubelet' is not a unit name; "
        "end it in .service, .socket, .device, .mount, .automount, "
        ".swap, .target, .path, .timer, .snapshot, .slice, .scope",
    ),
    "unit-twice": Faulty(
        V, units({"name": "a.service"}, {"name": "a.service"}),
        "/systemd/units/1: has the same name as /systemd/units/0; keep one of the two",
    ),
    "unit-with-a-loose-line": Faulty(
        V, units({"name": "a.service", "contents": "[Unit]\nDescription\n"}),
        "/systemd/units/0/contents: has a line in a section that is not KEY=VALUE; correct the unit",
    ),
    "unit-with-an-open-section": Faulty(
        V, units({"name": "a.service", "contents": "[Unit\nA=b\n"}),
        "/systemd/units/0/contents: has a section without ]; correct the unit",
    ),
    "unit-with-text-behind-a-section": Faulty(
        V, units({"name": "a.service", "contents": "[Unit] A=b\n"}),
        "/systemd/units/0/contents: has text behind a section's ]; correct the unit",
    ),
    "unit-with-a-long-line": Faulty(
        V, units({"name": "a.service", "contents": f"[Service]\nEnvironment={'a' * 3000}\n"}),
        "/systemd/units/0/contents: has a line of 2048 bytes or more; correct the unit",
    ),
    "dropin-without-suffix": Faulty(
        V, units({"name": "a.service", "dropins": [{"name": "b"}]}),
        "/systemd/units/0/dropins/0/name: 'b' is not a drop-in name; end it in .conf",
    ),
    "dropin-twice": Faulty(
        V, units({"name": "a.service", "dropins": [{"name": "b.conf"}, {"name": "b.conf"}]}),
        "/systemd/units/0/dropins/1: has the same name as /systemd/units/0/dropins/0; keep one of the two",
    ),
    "faulty-dropin": Faulty(
        V, units({"name": "a.service", "dropins": [{"name": "b.conf", "contents": "[Service]\nloose"}]}),
        "/systemd/units/0/dropins/0/contents: has a line in a section that is not KEY=VALUE; correct the drop-in",
    ),
    "user-twice": Faulty(
        V, users({"name": "a"}, {"name": "a"}),
        "/passwd/users/1: has the same name as /passwd/users/0; keep one of the two",
    ),
    "key-of-a-user-twice": Faulty(
        V, users({"name": "a", "sshAuthorizedKeys": ["ssh-rsa A", "ssh-rsa A"]}),
        "/passwd/users/0/sshAuthorizedKeys/1: has the same value as /passwd/users/0/sshAuthorizedKeys/0; "
        "keep one of the two",
    ),
    "group-twice": Faulty(
        V, document(passwd={"groups": [{"name": "a"}, {"name": "a"}]}),
        "/passwd/groups/1: has the same name as /passwd/groups/0; keep one of the two",
    ),
    "user-without-name": Faulty(F, users({}), "/passwd/users/0/name: '' is not an account's name; correct it"),
    "user-with-a-colon": Faulty(
        F, users({"name": "a:b"}), "/passwd/users/0/name: 'a:b' is not an account's name; correct it"
    ),
    "user-with-a-blank": Faulty(
        F, users({"name": "a b"}), "/passwd/users/0/name: 'a b' is not an account's name; correct it"
    ),
    "negative-uid": Faulty(
        F, users({"name": "a", "uid": -1}), "/passwd/users/0/uid: is out of range; write 0 to 4294967294"
    ),
    "relative-home": Faulty(
        F, users({"name": "a", "homeDir": "home/a"}),
        "/passwd/users/0/homeDir: 'home/a' is not an absolute path; correct it",
    ),
    "relative-shell": Faulty(
        F, users({"name": "a", "shell": "bash"}), "/passwd/users/0/shell: 'bash' is not an absolute path; correct it"
    ),
    "hash-with-a-colon": Faulty(
        F, users({"name": "a", "passwordHash": "$6$a:b"}),
        "/passwd/users/0/passwordHash: has a colon or line break, which /etc/shadow cannot hold; "
        "write what mkpasswd prints",
    ),
    "kernel-argument-twice": Faulty(
        V, document(kernelArguments={"shouldExist": ["a"], "shouldNotExist": ["a"]}),
        "/kernelArguments/shouldNotExist/0: has the same value as /kernelArguments/shouldExist/0; keep one of the two",
    ),
    "merge-without-source": Faulty(
        V, document(ignition={"config": {"merge": [{}]}}),
        "/ignition/config/merge/0/source: is missing; write a URL or remove the entry",
    ),
    "merged-data-that-is-faulty": Faulty(
        F, document(ignition={"config": {"merge": [{"source": "data:,%7B%7D"}]}}),
        "/ignition/config/merge/0/source: holds a configuration that Ignition refuses: has no ignition.version; "
        "give an Ignition file, not Butane or another configuration",
    ),
    "no-certificate": Faulty(
        F, document(ignition={"security": {"tls": {"certificateAuthorities": [{"source": "data:,PEM"}]}}}),
        "/ignition/security/tls/certificateAuthorities/0/source: holds no PEM certificate; write one or more",
    ),
    "ftp-proxy": Faulty(
        V, document(ignition={"proxy": {"httpProxy": "ftp://192.0.2.1"}}),
        "/ignition/proxy/httpProxy: is not an http or https URL; write http://HOST:PORT",
    ),
}  # fmt: skip

SOUND = {
    "plain": PLAIN,
    "of-3.0": document("3.0.0"),
    "with-unknown-keys": document(storage={"files": [{**file(), "colour": 1}], "colour": {"a": 1}}, colour=None),
    "with-nulls": document(storage=None, systemd={"units": None}, passwd={"users": [{"name": "a", "uid": None}]}),
    "with-keys-in-other-case": b'{"Ignition": {"VERSION": "3.3.0"}, "Storage": {"FILES": [{"Path": "/a"}]}}',
    "with-headers-before-they-came": files(file(httpHeaders=7), version="3.0.0"),
    "with-a-file-without-contents": files({"path": "/etc/a", "mode": 0o644}),
    "with-an-empty-source": files(file(source="")),
    "with-a-media-type": files(file(source="data:text/plain;charset=utf-8;base64,QQ==")),
    "with-a-quoted-parameter": files(file(source='data:text/plain;a="b;c",x')),
    "with-a-plus": files(file(source="data:,1+1%20=%3d2?&;")),
    "with-gzip": files(file(source=packed(b"text"), compression="gzip", verification=sha512(b"text"))),
    "with-two-gzip-members": files(
        file(source=data(gzip.compress(b"a") + gzip.compress(b"b")), compression="gzip", verification=sha512(b"ab"))
    ),
    "with-an-upper-case-hash": files(
        file(verification={"hash": "sha256-" + hashlib.sha256(b"plain").hexdigest().upper()})
    ),
    "with-a-path-beside-another": files(file("/etc/a"), file("/etc/a.d/b"), directories=[{"path": "/etc/a.d"}]),
    "with-a-link-to-a-file": files(file("/etc/a"), links=[{"path": "/etc/b", "target": "a"}]),
    "with-a-unit": units(
        {"name": "a@b.service", "contents": "# text\n[Unit]\nA=b\\\n c\n; text \\\nmore\n\n[Install]\nB=\n"},
        {"name": "c.path", "mask": True, "dropins": [{"name": "d.conf", "contents": "loose\n[Service]\nE="}]},
    ),
    "with-a-long-line-that-the-buffer-hides": units(
        {"name": "a.service", "contents": f"[Service]\nA={'b' * 2036}\nC={'d' * 3000}\n"}
    ),
    "with-a-longer-line-that-the-buffer-hides": units(
        {"name": "a.service", "contents": f"[Service]\nA={'b' * 2036}\nC={'d' * 9000}\n"}
    ),
    "with-a-null-argument": document(kernelArguments={"shouldExist": [None]}),
    "with-a-certificate": document(
        ignition={"security": {"tls": {"certificateAuthorities": [{"source": data(CERTIFICATE)}]}}}
    ),
    "with-merged-data": document(
        ignition={"config": {"merge": [{"source": data(PLAIN)}]}}
    ),
    "with-empty-merged-data": document(ignition={"config": {"merge": [{"source": "data:,"}]}}),
    "with-a-user": users(
        {"name": "core.user", "homeDir": "/home/core", "shell": "", "passwordHash": "$6$a$b", "uid": 1234}
    ),
    "with-a-setuid-file": files({**file(), "mode": 0o4755}),
}  # fmt: skip
