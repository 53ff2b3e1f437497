"""Which log events the program can write: read off its source."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
METHODS = {"debug", "info", "warning", "error", "critical", "exception"}
POSITION = {"_notice": 1, "_complain": 2, "_failed": 0}
"""Helpers that log, or have a daemon log, an event that they are given: which argument it is."""


def events() -> dict[str, str]:
    """Each event's name, and a file that logs it.

    Raises:
        AssertionError: for a call whose event cannot be read off; give it a literal name.
    """
    found: dict[str, str] = {}
    for folder in ("daemon", "learner", "replay", "rvsense"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for function in _functions(ast.parse(path.read_text())):
                for name in _events_of(function, path):
                    found.setdefault(name, str(path.relative_to(ROOT)))
    return found


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _events_of(function: ast.FunctionDef, path: Path) -> Iterator[str]:
    given = {argument.arg for argument in function.args.args}
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or (place := _place(node)) is None:
            continue
        event = node.args[place] if len(node.args) > place else None
        if isinstance(event, ast.Name) and event.id in given:
            continue  # a helper of POSITION: its callers name the event
        names = list(_literals(event, function))
        assert names or _is_foreign(event), f"{path}:{node.lineno}: which event?"
        yield from names


def _place(call: ast.Call) -> int | None:
    """Which argument of a call is an event's name, if it logs."""
    match call.func:
        case ast.Attribute(attr=name, value=logger) if name in METHODS:
            return 0 if "log" in ast.unparse(logger) else None
        case ast.Attribute(attr=name) if name in POSITION:
            return POSITION[name]
        case ast.Call(func=ast.Name(id="getattr"), args=[logger, *_]):
            return 0 if "log" in ast.unparse(logger) else None
    return None


def _literals(event: ast.expr | None, function: ast.FunctionDef) -> Iterator[str]:
    match event:
        case ast.Constant(value=str(name)):
            yield name
        case ast.IfExp(body=one, orelse=other):
            yield from _literals(one, function)
            yield from _literals(other, function)
        case ast.Name(id=variable):
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and variable in map(ast.unparse, node.targets):
                    yield from _literals(node.value, function)


def _is_foreign(event: ast.expr | None) -> bool:
    """What a learner, a library or a counter of repeats has named already."""
    return event is not None and ast.unparse(event) in FOREIGN


FOREIGN = {"event", "words(values['event'])", "message", "str(repeated)", "error.reason"}
"""A learner's notice; a library's text; an event told again with its count; a reason of the wire,
which has the name that messages_rejected counts it by."""
