"""Every fault of a template or a value ends in one sentence: operation, object, place, cure."""

from pathlib import Path

import pytest

from netboot.errors import RenderError
from netboot.render.template_engine import Engine


def an_engine(tmp_path: Path, text: str, name: str = "kickstart/site.ks.j2") -> Engine:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return Engine([tmp_path])


def rendering(engine: Engine, **context: object) -> str:
    return engine.render("kickstart/site.ks.j2", subject="cp1", context=context)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "a\nb\n{{ disk }}\n",
            "cannot render kickstart for cp1: template kickstart/site.ks.j2:3 "
            "uses undefined 'disk'; set hosts.cp1.disk",
            id="a-setting-of-the-host",
        ),
        pytest.param(
            "{% if disk %}x{% endif %}",
            "cannot render kickstart for cp1: template kickstart/site.ks.j2:1 "
            "uses undefined 'disk'; set hosts.cp1.disk",
            id="a-setting-in-a-condition",
        ),
        pytest.param(
            "\n{{ dosk }}",
            "cannot render kickstart for cp1: template kickstart/site.ks.j2:2 "
            "uses undefined 'dosk'; correct the template",
            id="a-word-that-nothing-has",
        ),
        pytest.param(
            "{{ name.colour }}",
            "cannot render kickstart for cp1: template kickstart/site.ks.j2:1 uses undefined 'colour'; "
            "correct the template",
            id="an-attribute-that-nothing-has",
        ),
        pytest.param(
            "{{ name.__class__ }}",
            "cannot render kickstart for cp1: template kickstart/site.ks.j2:1: "
            "access to attribute '__class__' of 'str' object is unsafe.; correct the template",
            id="a-way-out-of-the-sandbox",
        ),
        pytest.param(
            "\n{% if %}",
            "cannot render kickstart for cp1: template kickstart/site.ks.j2:2: "
            "Expected an expression, got 'end of statement block'; correct the template",
            id="a-syntax-error",
        ),
        pytest.param(
            "{{ 1 // zero }}",
            "cannot render kickstart for cp1: template kickstart/site.ks.j2:1: "
            "integer division or modulo by zero; correct the template",
            id="a-template-that-trips",
        ),
        pytest.param(
            "x\n{{ two_lines }}",
            "cannot render kickstart for cp1: template kickstart/site.ks.j2:2: "
            r"the value 'a\nrm -rf /' has a control character; write it on one line of plain text",
            id="a-value-that-breaks-its-line",
        ),
    ],
)
def test_a_fault_names_operation_host_place_and_cure(tmp_path: Path, text: str, message: str):
    engine = an_engine(tmp_path, text)

    with pytest.raises(RenderError) as refused:
        rendering(engine, name="cp1", zero=0, two_lines="a\nrm -rf /")

    assert str(refused.value) == message


def test_a_fault_in_an_included_template_names_that_template(tmp_path: Path):
    an_engine(tmp_path, "\n{{ disk }}", name="kickstart/pre.ks.j2")
    engine = an_engine(tmp_path, "{% include 'kickstart/pre.ks.j2' %}")

    with pytest.raises(RenderError, match=r"template kickstart/pre\.ks\.j2:2 uses undefined 'disk'"):
        rendering(engine)


def test_a_missing_template_names_the_directories_that_were_searched(tmp_path: Path):
    with pytest.raises(RenderError) as refused:
        rendering(Engine([tmp_path / "etc", tmp_path / "assets"]))

    assert str(refused.value) == (
        "cannot render kickstart for cp1: no template kickstart/site.ks.j2 "
        f"in {tmp_path}/etc, {tmp_path}/assets; restore it"
    )


def test_the_first_directory_wins(tmp_path: Path):
    an_engine(tmp_path / "etc", "the site's")
    an_engine(tmp_path / "assets", "ours")

    assert rendering(Engine([tmp_path / "etc", tmp_path / "assets"])) == "the site's"


def test_a_template_may_print_several_lines_when_it_says_so(tmp_path: Path):
    an_engine(tmp_path, "{% block body %}one\ntwo\n{% endblock %}", name="kickstart/base.ks.j2")
    text = "{% extends 'kickstart/base.ks.j2' %}{% block body %}{{ super() | lines }}three\n{% endblock %}"

    assert rendering(an_engine(tmp_path, text)) == "one\ntwo\nthree\n"


def test_nothing_is_escaped_for_html(tmp_path: Path):
    assert rendering(an_engine(tmp_path, "{{ value }}"), value='<a href="x">&') == '<a href="x">&'


def test_a_template_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "ks").mkdir()
    (tmp_path / "ks" / "x.j2").symlink_to("/proc/self/mem")  # opens, and its first byte is an I/O error

    with pytest.raises(RenderError, match=r"cannot read template ks/x\.j2: Input/output error; restore it"):
        Engine([tmp_path]).render("ks/x.j2", subject="cp1", context={})
