"""A function with one thing changed: a constant, a comparison, an operator or an index.

Every place is tried, not a few by lot: a check that lets one of them pass is not a check.
"""

import ast
import copy
import inspect
import sys
import textwrap
from typing import NamedTuple

SWAPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip
OPPOSITES = {
    "maximum": "minimum", "minimum": "maximum", "amax": "amin", "amin": "amax",
    "argmax": "argmin", "argmin": "argmax", "max": "min", "min": "max",
}  # fmt: skip


def perturbations(function):
    """Every version of a function with one thing changed, by what was changed."""
    function = inspect.unwrap(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    tree.body[0].decorator_list = []
    found = {}
    for place in range(len(spots(tree))):
        changed = copy.deepcopy(tree)
        node = spots(changed)[place]
        before = ast.unparse(node.statement)
        change(node.node)
        after = ast.unparse(node.statement)
        found[f"{first_line(before, after)} -> {first_line(after, before)}"] = compiled(
            changed, function
        )
    return found


class Spot(NamedTuple):
    """A node that can be changed, and the statement it stands in."""

    node: ast.AST
    statement: ast.AST


def spots(tree):
    """What can be changed, in the order of the text: defaults and body, no annotations or words."""
    function = tree.body[0]
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return [
        Spot(node, part)
        for part in [*function.args.defaults, *body]
        for node in ast.walk(part)
        if not within_raise(part, node) and changeable(node)
    ]


def within_raise(statement, node):
    """Words of an error are no behaviour that a case compares."""
    raises = [part for part in ast.walk(statement) if isinstance(part, ast.Raise)]
    return any(node is inner for part in raises for inner in ast.walk(part))


def changeable(node):
    """A number, a yes or no, a comparison, an operation of two, or a least for a most."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    if isinstance(node, ast.Attribute):
        return node.attr in OPPOSITES
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in SWAPS
    return isinstance(node, ast.BinOp) and type(node.op) in SWAPS


def change(node):
    """Change it in place."""
    if isinstance(node, ast.Attribute):
        node.attr = OPPOSITES[node.attr]
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node, ast.Constant):
        node.value = node.value + 1 if isinstance(node.value, int) else node.value * 1.5 + 0.1
    elif isinstance(node, ast.Compare):
        node.ops[0] = SWAPS[type(node.ops[0])]()
    else:
        node.op = SWAPS[type(node.op)]()


def compiled(tree, function):
    """The changed function, among the names of the module it comes from."""
    names = dict(vars(sys.modules[function.__module__]))
    exec(compile(ast.fix_missing_locations(tree), "<perturbed>", "exec"), names)
    return names[function.__name__]


def first_line(text, other):
    """The line that differs."""
    pairs = zip(text.splitlines(), other.splitlines(), strict=True)
    return next((line.strip() for line, other_line in pairs if line != other_line), text)
