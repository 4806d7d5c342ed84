"""The package as others get it: its version, its types, its page and what is in its archives."""

import re
import runpy
import subprocess
import tomllib
from importlib.metadata import metadata

import skipgrid
from cli_support import ROOT
from skipgrid.rtl.register_map import VERSION

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOME = "https://github.com/skipgrid/skipgrid"


def test_the_version_stands_in_one_place() -> None:
    assert ".".join(map(str, VERSION)) == skipgrid.__version__ == metadata("skipgrid")["Version"]
    assert "version" in PROJECT["project"]["dynamic"]


def test_types_are_seen_by_users_of_the_package() -> None:
    assert (ROOT / "package" / "py.typed").exists()
    assert PROJECT["tool"]["setuptools"]["package-data"]["skipgrid"] == ["py.typed"]


def test_every_package_is_in_the_archive() -> None:
    folders = PROJECT["tool"]["setuptools"]["package-dir"]
    assert set(folders) == set(PROJECT["tool"]["setuptools"]["packages"])
    written = {
        path.parent.relative_to(ROOT).as_posix()
        for path in ROOT.glob("*/**/__init__.py")
        if path.relative_to(ROOT).parts[0] not in ("build", "testbench")  # tests come with the sources alone
    }
    assert {folder for folder in written if not folder.startswith(".")} == set(folders.values())
    assert all(url.startswith(HOME) for url in PROJECT["project"]["urls"].values())


def test_links_of_the_page_lead_to_the_projects_home() -> None:
    page = runpy.run_path(str(ROOT / "setup.py"))["page"]
    assert page("![a picture](docs/a.png) and [a page](docs/x.md#y), [here](#z), [there](https://x.org)") == (
        f"![a picture]({HOME}/raw/main/docs/a.png) and [a page]({HOME}/blob/main/docs/x.md#y), [here](#z), [there](https://x.org)"
    )
    text = page((ROOT / "README.md").read_text(encoding="utf-8"))
    assert all(target.startswith(("https://", "#")) for target in re.findall(r"\]\(([^)\s]+)\)", text))


def test_the_source_archive_holds_every_file_of_the_project() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False).stdout.splitlines()
    rules = [line.split() for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    grafted = {words[1] for words in rules if words[0] == "graft"}
    included = {name for words in rules if words[0] == "include" for name in words[1:]} | {"pyproject.toml", "setup.py", "MANIFEST.in"}
    for path in listed:  # none where this is the archive, unpacked
        top, _, rest = path.partition("/")
        assert top in grafted or (not rest and (top in included or top.endswith(".md"))), f"{path} is not in MANIFEST.in"
