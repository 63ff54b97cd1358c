"""One address of the repository, in every place that needs it, written by one command."""

import importlib.util
import json
import re
import shutil
import tomllib

import pytest
import yaml

from tests.notebooks.notebook import CHAPTERS, ROOT

script = ROOT / "book" / "scripts" / "set_repository.py"
spec = importlib.util.spec_from_file_location("set_repository", script)
set_repository = importlib.util.module_from_spec(spec)
spec.loader.exec_module(set_repository)


def address(root=ROOT) -> str:
    return "https://github.com/{}/{}".format(*set_repository.current(root))


def test_every_place_says_the_same():
    package = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert package["project"]["urls"]["Repository"] == address()
    readme = (ROOT / "README.md").read_text("utf-8")
    assert address() in readme
    for chapter in CHAPTERS:
        owner_and_name = address().removeprefix("https://github.com/")
        assert f'"llmlib @ git+{address()}"' in chapter.code[0].source, chapter.path.name
        link = f"https://colab.research.google.com/github/{owner_and_name}/blob/main/notebooks/"
        assert f"({link}{chapter.path.name})" in chapter.markdown


def test_no_file_names_another_owner():
    _, name = set_repository.current()
    named = re.compile(rf"github(?:\.com)?/([\w.-]+)/{re.escape(name)}\b")
    for path in set_repository.text_files():
        found = set(named.findall(path.read_text("utf-8")))
        assert found <= {set_repository.current()[0]}, path


def test_one_command_rewrites_them_all(tmp_path):
    copy = tmp_path / "copy"
    for path in set_repository.text_files():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    old = "/".join(set_repository.current(copy))
    changed = set_repository.rewrite(copy, "ada-lovelace", "engine.notes")
    assert {"_config.yml", "README.md", "pyproject.toml"} <= {p.name for p in changed}
    assert address(copy) == "https://github.com/ada-lovelace/engine.notes"
    assert not [p for p in set_repository.text_files(copy) if old in p.read_text("utf-8")]
    yaml.safe_load((copy / "_config.yml").read_text("utf-8"))
    for path in (copy / "notebooks").glob("*.ipynb"):
        json.loads(path.read_text("utf-8"))
    assert set_repository.rewrite(copy, "ada-lovelace", "engine.notes") == []


@pytest.mark.parametrize(
    "wrong", ["", "you/book", "https://example.org/you/book", "git@github.com"]
)
def test_a_wrong_address_changes_nothing_and_says_what_one_looks_like(wrong):
    with pytest.raises(ValueError, match=r"https://github\.com/you/your-book"):
        set_repository.parse(wrong)


def test_usual_forms_of_an_address_are_understood():
    for form in (
        "https://github.com/a-b/c.d",
        "https://github.com/a-b/c.d/",
        " https://github.com/a-b/c.d.git",
    ):
        assert set_repository.parse(form) == ("a-b", "c.d")
