import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table, TableEntry, find
from netboot.yamlfile.positions import DEPTH_LIMIT, NODE_LIMIT, parse, parse_documents


def read(text: str) -> Node | None:
    faults = Faults()
    tree = parse(text, "f.yaml", faults)
    assert [str(problem) for problem in faults.problems] == []
    return tree


def faults_of(text: str) -> list[str]:
    faults = Faults()
    parse(text, "f.yaml", faults)
    return [str(problem) for problem in faults.problems]


def at(line: int, column: int) -> Place:
    return Place("f.yaml", line, column)


def test_everything_knows_its_line_and_column():
    assert read("hosts:\n  cp1: {mac: [a, 'b']}\n") == Table(
        at(1, 1),
        {
            "hosts": TableEntry(
                Scalar(at(1, 1), "hosts"),
                Table(
                    at(2, 3),
                    {
                        "cp1": TableEntry(
                            Scalar(at(2, 3), "cp1"),
                            Table(
                                at(2, 8),
                                {
                                    "mac": TableEntry(
                                        Scalar(at(2, 9), "mac"),
                                        Listing(
                                            at(2, 14),
                                            (Scalar(at(2, 15), "a"), Scalar(at(2, 18), "b", plain=False)),
                                        ),
                                    )
                                },
                            ),
                        )
                    },
                ),
            )
        },
    )


@pytest.mark.parametrize("text", ["52:54:00:12:34:56", "1.30", "no", "on", "2026-11-21", "0o17", "1_000", "yes", "010"])
def test_a_scalar_stays_what_the_operator_wrote(text):
    assert read(text) == Scalar(at(1, 1), text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("17", 17), ("-3", -3), ("+3", 3), ("0o17", 15), ("0x1F", 31), ("010", 10), ("1_000", None), ("1.0", None),
     ("52:54", None), ("'17'", None), ("!!str 17", None), ("0b1", None), ("9" * 31, None), ("٣", None)],
)  # fmt: skip
def test_whole_numbers_are_those_of_yaml_1_2(text, number):
    scalar = read(text)

    assert isinstance(scalar, Scalar)
    assert scalar.as_integer() == number


@pytest.mark.parametrize(
    ("text", "boolean"),
    [("true", True), ("FALSE", False), ("yes", None), ("on", None), ("off", None), ("n", None), ("'true'", None)],
)
def test_booleans_are_those_of_yaml_1_2(text, boolean):
    scalar = read(text)

    assert isinstance(scalar, Scalar)
    assert scalar.as_boolean() is boolean


@pytest.mark.parametrize(("text", "null"), [("", True), ("~", True), ("null", True), ("''", False), ("nil", False)])
def test_nothing_is_null_and_an_empty_quotation_is_not(text, null):
    scalar = read(text)

    assert isinstance(scalar, Scalar)
    assert scalar.is_null is null


def test_an_alias_is_what_its_anchor_is():
    tree = read("a: &net {gateway: 192.0.2.1}\nb: *net\n")

    assert isinstance(tree, Table)
    assert tree.entries["b"].value is tree.entries["a"].value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "a:\n  b: 1\n  c: 2\n  b: 3\n",
            ["f.yaml:4:3: a.b: is there already (f.yaml:2:3); keep one of the two"],
            id="a-key-written-twice-names-both-places",
        ),
        pytest.param(
            "a: &x {k: 1}\nb:\n  <<: *x\n",
            ["f.yaml:3:3: b.<<: merge keys (<<) are not YAML 1.2; put what machines share under defaults or roles"],
            id="a-merge-key",
        ),
        pytest.param(
            "a: 1\n---\nb: 2\n",
            ["f.yaml:2:1: a second document starts here; keep one document in a file"],
            id="two-documents",
        ),
        pytest.param("a:\n\tb: 1\n", ["f.yaml:2:1: a tab cannot indent YAML; use spaces"], id="a-tab"),
        pytest.param("a: @b\n", ["f.yaml:1:4: a value cannot begin with '@'; put it in quotes"], id="an-at-sign"),
        pytest.param(
            "a: b: c\n",
            ["f.yaml:1:5: a second `: ` in one line; put the value in quotes, or begin a new line"],
            id="two-colons",
        ),
        pytest.param(
            "a: [1\nb: 2\n",
            [
                "f.yaml:2:2: is not YAML (expected ',' or ']', but got ':'); "
                "correct the indentation, quotes or brackets here or just above"
            ],
            id="an-open-bracket",
        ),
        pytest.param("a: *x\n", ["f.yaml:1:4: a: *x has no anchor &x before it; write the value out"], id="no-anchor"),
        pytest.param(
            "a: &x [*x]\n", ["f.yaml:1:8: a[0]: *x would hold itself; write the value out"], id="an-alias-in-itself"
        ),
        pytest.param(
            "a: !!python/object:os.system x\n",
            ["f.yaml:1:4: a: the tag 'tag:yaml.org,2002:python/object:os.system' is not used here; remove it"],
            id="a-tag",
        ),
        pytest.param("? [1, 2]\n: 3\n", ["f.yaml:1:3: a key must be a word; write `name: value`"], id="a-list-as-key"),
        pytest.param("'': 1\n", ["f.yaml:1:1: a key must be a word; write `name: value`"], id="a-key-of-nothing"),
        pytest.param(
            'a: "x\\ny"\n',
            [
                "f.yaml:1:4: a: 'x\\ny' holds a line end or control character (U+000A); "
                "write it on one line, without"
            ],
            id="a-line-end-in-a-value",
        ),
        pytest.param(
            '"\\e[31m": 1\n',
            [
                "f.yaml:1:1: '\\x1b[31m' holds a line end or control character (U+001B); "
                "write it on one line, without"
            ],
            id="an-escape-in-a-key",
        ),
        pytest.param("a: |\n  x\n", [
            "f.yaml:1:4: a: 'x\\n' holds a line end or control character (U+000A); write it on one line, without"
        ], id="a-block-of-lines"),
        pytest.param("a: b\u202ec\n", ["f.yaml:1:5: has an invisible character (U+202E); remove it"], id="a-direction"),
        pytest.param("a: 1\nb: \x00\n", ["f.yaml:2:4: has an invisible character (U+0000); remove it"], id="a-zero"),
        pytest.param(
            "[" * 100, [f"f.yaml:1:33: {'[0]' * 32}: is nested more than {DEPTH_LIMIT} deep; "
                        "nothing here needs that; correct it"], id="a-deep-nest",
        ),
    ],
)  # fmt: skip
def test_text_that_is_no_plain_yaml_is_reported_with_its_place(text, expected):
    assert faults_of(text) == expected


def test_a_billion_laughs_are_refused_before_they_are_read():
    laughs = ["a0: &a0 [" + "lol, " * 9 + "lol]"]
    laughs += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 10)]

    [fault] = faults_of("\n".join(laughs))

    assert f"grows beyond {NODE_LIMIT} values here; write less by aliases, or split the file" in fault


def test_every_key_written_twice_is_reported_at_once():
    assert faults_of("a: 1\na: 2\nb: 1\nb: 2\n") == [
        "f.yaml:2:1: a: is there already (f.yaml:1:1); keep one of the two",
        "f.yaml:4:1: b: is there already (f.yaml:3:1); keep one of the two",
    ]


_PIECES = (
    *("a", "b1", "é", "𐀀", "\\u0041", "\\x41", "~", "null", "0", "<<: "),
    *(": ", ":", "- ", "-", "[", "]", "{", "}", ", ", ",", "? ", "?", "&x ", "*x", "!", "!!str "),
    *("\n", "\n  ", "\n    ", " ", "\t", "'", '"', "#", " #", "|", "|+\n", ">"),
    *("%", "%YAML 1.1\n---\n", "---\n", "...\n", "@", "`"),
)


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(_PIECES), max_size=14).map("".join))
def test_libyaml_and_pyyaml_read_every_text_alike(monkeypatch: pytest.MonkeyPatch, text: str):
    read_by = []
    for has_libyaml in (True, False):
        monkeypatch.setattr(yaml, "__with_libyaml__", has_libyaml)
        faults = Faults()
        tree = parse(text, "f.yaml", faults)
        read_by.append((tree, faults.problems))

    assert read_by[0] == read_by[1]


def test_this_python_has_libyaml():
    assert yaml.__with_libyaml__


def read_foreign(text: str) -> tuple[list[Node], list[str]]:
    faults = Faults()
    documents = parse_documents(text, "f.yaml", faults)
    return documents, [str(problem) for problem in faults.problems]


def test_a_file_of_another_program_has_any_number_of_documents_and_texts_of_several_lines():
    documents, faults = read_foreign("a: |\n  one\n  two\n---\n---\n- ''\n...\n")

    assert faults == []
    assert [type(each) for each in documents] == [Table, Scalar, Listing]
    assert find(documents[0], ("a",)) == Scalar(at(1, 4), "one\ntwo\n", plain=False)
    assert read_foreign("") == ([], [])


def test_an_anchor_of_one_document_is_not_known_in_the_next():
    assert read_foreign("&a x\n---\n*a\n")[1] == ["f.yaml:3:1: *a has no anchor &a before it; write the value out"]


def test_all_documents_together_have_a_limit():
    bomb = f"a: &a [{'1,' * 1000}]\nb: [{'*a,' * 150}]\n"

    assert read_foreign(bomb)[1] == []
    assert [fault.partition(": ")[2] for fault in read_foreign(f"{bomb}---\n{bomb}")[1]] == [
        f"b[47]: grows beyond {NODE_LIMIT} values here; write less by aliases, or split the file"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            'p: "secret\\u0007"',
            "1:4: p: a value holds a line end or control character (U+0007); write it on one line, without",
        ),
        ("a: &a {b: 1}\nc: {<<: *a}\n", "2:5: c.<<: merge keys (<<) are not YAML 1.2; write the keys out"),
        ("a: secret\x07", "1:10: has an invisible character (U+0007); remove it"),
        ("a: !!binary c2VjcmV0", "1:4: a: the tag 'tag:yaml.org,2002:binary' is not used here; remove it"),
    ],
)  # fmt: skip
def test_a_fault_of_another_programs_file_shows_no_value(text, fault):
    assert read_foreign(text)[1] == [f"f.yaml:{fault}"]
