"""Holds the provider built here against the Python package programs are written with.

    python tools/provider/check.py SCHEMA_JSON

Every token the package sends and every property it names must be in the schema the
provider serves: resources and their inputs and outputs, data sources, nested types.
Reads the package's source, so the interpreter must have pulumiverse-scaleway.
What differs and is known to is listed in MISSING; the list may only shrink.
"""

import ast
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path

# The package keeps Pulumi's older names of everything in its top folder, as aliases
# under the module `index`; programs use the modules.
ALIASES = "index"

# What is known to be missing, each with the reason: a token whole, or "*" and a property.
NEWER = "the package was generated from a newer release of the Terraform provider than the Go proxy serves"
MISSING = {
    ("*", "srn"): NEWER,
    ("scaleway:autoscaling/group:Group", ""): NEWER,
    ("scaleway:instance/privateNic:PrivateNic", "projectId"): NEWER,
    ("scaleway:instance/template:Template", ""): NEWER,
}


def main() -> int:
    schema = json.loads(Path(sys.argv[1]).read_text())
    specification = importlib.util.find_spec("pulumiverse_scaleway")
    if specification is None or specification.origin is None:
        print("pulumiverse-scaleway is not installed for this interpreter", file=sys.stderr)
        return 2
    package = Path(specification.origin).parent
    checked, missing = 0, []
    for kind, token, name, direction in sorted(set(expectations(package, schema))):
        if token.split(":")[1].split("/")[0] == ALIASES:
            continue
        checked += 1
        if not resolves(schema, kind, token, name, direction):
            missing.append((token, name, direction))
    excuses = {entry: {(entry[0], entry[1]), (entry[0], ""), ("*", entry[1])} & set(MISSING) for entry in missing}
    surprises = [entry for entry, found in excuses.items() if not found]
    healed = set(MISSING) - set().union(*excuses.values())
    for token, name, direction in surprises:
        print(f"missing: {token} {name} {direction}".rstrip())
    for token, name in sorted(healed):
        print(f"resolves now, take it off the list: {token} {name}".rstrip())
    print(
        f"{checked} tokens and properties checked, {len(missing)} missing, {len(missing) - len(surprises)} of them known"
    )
    return 1 if surprises or healed else 0


def resolves(schema: dict, kind: str, token: str, name: str, direction: str) -> bool:
    found = schema[kind].get(token)
    if found is None:
        return False
    if not name:
        return True
    if kind == "functions":
        found = found.get("inputs" if direction == "input" else "outputs", {})
    return name in found.get("inputProperties" if kind == "resources" and direction == "input" else "properties", {})


def expectations(package: Path, schema: dict) -> Iterator[tuple[str, str, str, str]]:
    """What the package expects of a provider: (kind, token, property, direction)."""
    for file in sorted(package.rglob("*.py")):
        tree = ast.parse(file.read_text())
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        if file.name in ("_inputs.py", "outputs.py"):
            types = nested_types(schema, file.parent.name)
            for name, node in classes.items():
                token = types.get(name.removesuffix("Args").lower())
                for wire in properties(node) if token else ():
                    yield "types", token, wire, ""
            continue
        for name, node in classes.items():
            token = resource_token(node)
            if token is None:
                continue
            yield "resources", token, "", ""
            for wire in properties(classes.get(f"{name}Args")):
                yield "resources", token, wire, "input"
            for wire in properties(node):
                yield "resources", token, wire, "output"
        for token, arguments in invocations(tree):
            yield "functions", token, "", ""
            for wire in arguments:
                yield "functions", token, wire, "input"


def resource_token(node: ast.ClassDef) -> str | None:
    """The token a resource class hands to its base class."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
            for argument in call.args:
                if isinstance(argument, ast.Constant) and str(argument.value).startswith("scaleway:"):
                    return str(argument.value)
    return None


def invocations(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """The tokens functions invoke, each with the arguments it sends."""
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        sent = [
            str(node.slice.value)
            for node in ast.walk(function)
            if isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "__args__"
            and isinstance(node.slice, ast.Constant)
        ]
        for call in ast.walk(function):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr.startswith("invoke")
            ):
                for argument in call.args[:1]:
                    if isinstance(argument, ast.Constant) and str(argument.value).startswith("scaleway:"):
                        yield str(argument.value), sent


def properties(node: ast.ClassDef | None) -> Iterator[str]:
    """The names on the wire of a class's properties."""
    for method in node.body if node else ():
        if not isinstance(method, ast.FunctionDef):
            continue
        for decorator in method.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            target = call.func if call else decorator
            if isinstance(target, ast.Attribute) and target.attr == "getter" and ast.unparse(target.value) == "pulumi":
                given = next(
                    (str(k.value.value) for k in (call.keywords if call else []) if k.arg == "name"), method.name
                )
                yield given


def nested_types(schema: dict, module: str) -> dict[str, str]:
    """The nested types of a module, by their name in lower case."""
    found = {}
    for token in schema["types"]:
        _, path, name = token.split(":")
        if path.split("/")[0] == module:
            found[name.lower()] = token
    return found


if __name__ == "__main__":
    sys.exit(main())
