"""docs/map.md: every hop is a function of the module at the arrow's head, and the one at its tail names it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
TEXT = (ROOT / "docs/map.md").read_text()
WAYS = re.findall(r"^## (.+?)\n.*?```mermaid\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)
# Callbacks: what the module at the tail knows its callee by.
CALLED_AS = {"_patch_state": "handler", "_stream": "pieces", "Intake.serve": "on_publish", "Api.changed": "on_change"}
NAME = re.compile(r"\w+(?:\.\w+)?")


def defined(path):
    """Names of functions and classes in a module, and of methods with their class's."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            functions = (ast.FunctionDef, ast.AsyncFunctionDef)
            yield from (f"{node.name}.{one.name}" for one in node.body if isinstance(one, functions))


def hops(diagram):
    """(path of the tail, path of the head, names) of each call."""
    modules = {alias: FIRMWARE / path for alias, path in re.findall(r"participant (\w+) as (\S+)", diagram)}
    for tail, head, label in re.findall(r"(\w+)->>(\w+): (.+)", diagram):
        names = [part.split()[0] for part in label.split(" (")[0].split(", ") if NAME.fullmatch(part)]
        yield modules[tail], modules[head], names


def faults(diagram):
    for tail, head, names in hops(diagram):
        if not names:
            yield f"an arrow from {tail.name} to {head.name} names no function"
        for name in names:
            if name not in defined(head):
                yield f"{head.name} has no {name}"
            if CALLED_AS.get(name, name.rpartition(".")[2]) not in tail.read_text():
                yield f"{tail.name} does not name {name}"


def test_there_are_six_ways():
    ways = ["A token", "A key set", "A token list", "A pairing", "A release", "A state change"]
    assert [name for name, _ in WAYS] == ways
    assert all(len(list(hops(diagram))) > 8 for _, diagram in WAYS)


@pytest.mark.parametrize("name, diagram", WAYS, ids=[name for name, _ in WAYS])
def test_every_hop_is_a_function_that_is_there(name, diagram):
    assert list(faults(diagram)) == []


def test_a_hop_that_is_not_there_is_found():
    participants = "participant a as latchkey/jws.py\nparticipant b as latchkey/verifier.py\n"
    wrong = ["a->>b: Verifier.absent", "b->>a: nothing", "a->>b: Verifier._recall", "a->>b: (no name)"]
    assert all(list(faults(participants + line)) for line in wrong)
