"""docs/architecture.md agrees with the import contracts and with the files."""

import re
import tomllib
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
TEXT: Final = (REPOSITORY / "docs/architecture.md").read_text()
OTHER_PLACES: Final = ("assets", "docs", "tests", "Makefile")
ELSEWHERE: Final = ("/etc/",)  # paths of an installed box


def named_paths() -> list[str]:
    """List what the page's tables name in backticks as a file or directory."""
    rows = "\n".join(line for line in TEXT.splitlines() if line.startswith("|"))
    words = re.findall(r"`([A-Za-z_.][\w./-]*|/[\w./-]*)`", rows)
    return [word for word in words if word not in NO_PATHS]


NO_PATHS: Final = {
    *(
        "BY_ADDRESS",
        "COUNTERS",
        "GAUGES",
        "HISTOGRAMS",
        "LEARNING",
        "LOCAL_BOOTS",
        "NEWEST_VERSION",
        "TRANSITIONS",
        "UNLIMITED",
        "VARIANTS",
        "_EXPLAIN",
    ),
    *("InstallTarget", "Registry", "_options", "last_and_counted", "loading", "parts", "readings"),
}


def test_the_picture_has_the_packages_in_the_order_of_the_import_contract():
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract.get("containers") == ["netboot"]]
    picture = re.search(r"```\n(.*?)```", TEXT, re.DOTALL)

    assert picture is not None
    drawn = [re.split(r"\s{2,}", line)[0] for line in picture[1].splitlines() if not line.startswith(" ")]
    assert drawn == layers


def test_each_file_and_directory_that_the_tables_name_exists():
    paths = named_paths()
    missing = [
        path
        for path in paths
        if not path.startswith(ELSEWHERE)
        and not (REPOSITORY / ("" if path.startswith(OTHER_PLACES) else "netboot") / path).exists()
    ]

    assert len(paths) > 40
    assert missing == []


def test_only_this_page_draws_the_packages():
    pages = [page for page in (REPOSITORY / "docs").rglob("*.md") if "yamlfile  " in page.read_text()]

    assert pages == [REPOSITORY / "docs/architecture.md"]
