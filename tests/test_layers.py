"""The order of the layers, and the habits that a reader of the source can rely on."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "imprior"
FILES = sorted(SOURCE.rglob("*.py"))

# A part may import parts of its own row and of the rows above it.
ROWS = (
    {"distributions"},
    {"base", "denoisers", "provenance"},
    {"data", "transforms"},
    {"nn"},
    {"models"},
    {"checkpoint", "codec", "inference"},
    {"train", "tasks", "presets"},
    {"report"},
    {"arguments", "cli"},
    {"__main__"},
)
RANK = {part: rank for rank, row in enumerate(ROWS) for part in row}
MAX_LINES = 300
HEAVY = ("torch", "numba", "numpy", "scipy", "matplotlib", "skimage", "PIL", "jinja2", "lightning")


def part_of(module: str) -> str:
    """`imprior.data.images` belongs to the part `data`."""
    return module.split(".")[1]


def module_of(path: Path) -> str:
    names = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but what only type checkers see."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from run_time(node)


def imports_of(path: Path) -> Iterator[str]:
    """The modules of imprior that a file imports, wherever in the file it does so."""
    for node in run_time(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            module = node.module or ""
            modules = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in modules if name.startswith("imprior."))


def parts_imported() -> dict[str, set[str]]:
    """The parts that each part imports, itself left out; the lazy `__init__` is no part."""
    graph: dict[str, set[str]] = {}
    for path in FILES:
        if path == SOURCE / "__init__.py":
            continue
        part = part_of(module_of(path))
        imported = {part_of(name) for name in imports_of(path)} - {"__version__", part}
        graph.setdefault(part, set()).update(imported)
    return graph


def modules_after(code: str) -> set[str]:
    """The heavy packages that are loaded once a fresh Python has run `code`."""
    script = f"{code}\nimport sys\nprint(*(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=SOURCE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_every_part_has_a_row() -> None:
    assert set(parts_imported()) <= set(RANK)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_one_way(path: Path) -> None:
    if path == SOURCE / "__init__.py":
        return
    rank = RANK[part_of(module_of(path))]
    for name in imports_of(path):
        part = part_of(name)
        assert part == "__version__" or RANK[part] <= rank, f"{module_of(path)} imports {name}"


def test_parts_do_not_import_each_other_in_circles() -> None:
    assert list(TopologicalSorter(parts_imported()).static_order())


@pytest.mark.parametrize("code", ["import imprior", "import imprior.cli"])
def test_import_loads_nothing_heavy(code: str) -> None:
    assert not modules_after(code)


def test_help_loads_nothing_heavy() -> None:
    code = """
import runpy, sys
sys.argv = ["imprior", "--help"]
try:
    runpy.run_module("imprior", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
"""
    assert not modules_after(code)


def test_public_names_are_where_the_package_says() -> None:
    import imprior

    tree = ast.parse((SOURCE / "__init__.py").read_text())
    typed = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imprior.")
        for alias in node.names
    }
    assert typed == imprior._HOMES
    for name in typed:
        assert getattr(imprior, str(name)).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = imprior.nonsense


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_file_is_quiet_and_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    if path != SOURCE / "cli" / "terminal.py":
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        printed = [call.lineno for call in calls if ast.unparse(call.func) == "print"]
        assert not printed, f"prints in line {printed}"


def test_there_is_no_drawer_for_everything() -> None:
    assert not [path for path in FILES if path.stem in ("utils", "util", "helpers", "misc")]
