"""The walls of the house, held by machine."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

from metastra.testing.architecture import FLOORS, JUDGING_SIDE, imports_of, violations

SOURCE = Path(__file__).resolve().parents[2] / "src" / "metastra"
MODULES = sorted(SOURCE.rglob("*.py"))
BLOCK_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("torch is blocked")
sys.meta_path.insert(0, NoTorch())
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )


def test_every_import_goes_down():
    """A module imports its own package or a lower floor, never a sibling or an upper one."""
    assert list(violations(SOURCE)) == []


def test_no_modules_import_each_other_in_a_circle():
    """Inside a package too, and also through imports inside functions, nothing runs in a circle."""
    names = {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
    }
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        me = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        )
        graph[me] = {
            name for name in _imported(path) if name in names and name not in (me, "metastra")
        }
    # a package's __init__ gathers its modules; a module naming its own package is the circle
    order = graphlib.TopologicalSorter(graph)

    order.prepare()


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_walk_sees_an_import_that_goes_up(tmp_path):
    """An upward import inside a function and a sideways one are both found."""
    for room, text in {
        "survival": "def f():\n    from metastra.cohort import x\n",
        "stats": "import metastra.survival.outcome\n",
        "evaluation": "def f():\n    import torch\n",
        "cohort": "from metastra import load_study\n",
        "lobby": "",
    }.items():
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text(text)

    found = "\n".join(violations(tmp_path))

    assert "survival imports cohort" in found
    assert "stats imports survival" in found
    assert "must not import torch" in found
    assert "'load_study', which has no floor" in found
    assert "'lobby' has no floor" in found


def test_a_room_stands_on_one_floor_only():
    """No package is on two floors."""
    rooms = [room for floor in FLOORS for room in floor.packages]

    assert sorted(set(rooms)) == sorted(rooms)


@pytest.mark.parametrize("room", sorted(room for room in JUDGING_SIDE if (SOURCE / room).is_dir()))
def test_the_judging_side_loads_without_torch(room):
    """Every module of a judging package imports while torch cannot be imported."""
    names = [
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((SOURCE / room).rglob("*.py"))
        if path.stem != "__main__"
    ]
    code = f"{BLOCK_TORCH}\nimport importlib\nfor n in {names!r}: importlib.import_module(n)\n"
    code += "assert 'torch' not in sys.modules"

    result = run_python(code)

    assert result.returncode == 0, result.stderr


def test_importing_metastra_loads_nothing_heavy():
    """`import metastra` loads none of numpy, pandas, scipy, matplotlib or torch."""
    code = (
        "import sys, metastra\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'torch', 'matplotlib', 'numba', 'pydantic'}\n"
        "found = heavy & set(sys.modules)\n"
        "assert not found, found\n"
        "assert callable(metastra.load_study)"
    )

    result = run_python(code)

    assert result.returncode == 0, result.stderr


def test_no_module_is_longer_than_a_reader_can_hold():
    """Modules have at most 400 lines and functions at most 60."""
    too_long = []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > 400:
            too_long.append(f"{path.relative_to(SOURCE)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - _body_start(node) + 1
                if length > 60:
                    too_long.append(
                        f"{path.relative_to(SOURCE)}:{node.lineno} {node.name} {length}"
                    )

    assert too_long == []


def _body_start(node: ast.FunctionDef) -> int:
    """First line after the docstring: documentation does not count as length."""
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1:
        return node.body[1].lineno
    return first.lineno


def test_no_pickle_no_eval_no_print_outside_the_door():
    """Nothing that runs code from a file, and nothing is printed outside the command line."""
    found = []
    for path in MODULES:
        relative = path.relative_to(SOURCE)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [
            f"{relative}:{item.line} {item.package}"
            for item in imports_of(path)
            if item.package in {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                talks = node.func.id == "print" and relative.parts[0] not in ("cli", "testing")
                if talks or node.func.id in {"eval", "exec"}:
                    found.append(f"{relative}:{node.lineno} {node.func.id}")
            if isinstance(node, ast.Assert) and relative.parts[0] != "testing":
                found.append(f"{relative}:{node.lineno} assert")

    assert found == []


def test_every_public_name_is_documented():
    """Public modules, classes, functions and methods have a docstring."""
    bare = []
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            bare.append(f"{path.relative_to(SOURCE)}")
        bare += [f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}" for node in _bare(tree)]

    assert bare == []


def _bare(body: ast.Module | ast.ClassDef) -> list[ast.ClassDef | ast.FunctionDef]:
    """Public definitions without a docstring; private rooms are not entered."""
    found = []
    for node in body.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not _is_overload(node):
            found.append(node)
        if isinstance(node, ast.ClassDef):
            found += _bare(node)
    return found


def _is_overload(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in decorators)
