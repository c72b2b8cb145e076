"""What SAM makes of a template, without AWS: the plain CloudFormation template as JSON; or with --count and several of them, how
much of CloudFormation's bounds each takes. Packaging, which puts code into S3 and ECR, is only named here."""

import json
import logging
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

# Of CloudFormation's own bounds (500 resources, 200 parameters, 200 outputs, 1 MB) what we allow ourselves in one stack: an
# area that stands there wants to be two.
BOUNDS = {"resources": 200, "parameters": 100, "outputs": 100, "bytes": 900_000}

# A function behind the API, with its alarm, alias, version, role and deployment group.
RESOURCES_OF_AN_ENDPOINT = 6


class NoManagedPolicies:
    """SAM asks AWS for the names of managed policies. We name none."""

    def load(self):
        return {}


def packaged(template):
    """The template as `sam package` writes it: code and definitions lie somewhere in S3, images in ECR."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Application":
            properties["Location"] = "https://s3.amazonaws.com/packaged/template"
        elif resource["Type"] == "AWS::Serverless::StateMachine":
            properties["DefinitionUri"] = "s3://packaged/definition"
        elif resource["Type"] == "AWS::Serverless::Function" and properties.get("PackageType") == "Image":
            properties["ImageUri"] = "000000000000.dkr.ecr.us-east-1.amazonaws.com/packaged:image"
        elif resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://packaged/code"
    return template


def values(template):
    """Every parameter's default; what a deployment has to give is ten digits, as Release is."""
    return {name: parameter.get("Default", "0123456789") for name, parameter in template["Parameters"].items()}


def plain(path):
    with open(path, encoding="utf-8") as file:
        template = packaged(yaml_parse(file.read()))
    return transform(template, values(template), NoManagedPolicies())


def count(path):
    """Prints what a template becomes; answers whether it is too much, and how many endpoints there is room for."""
    made = plain(path)
    taken = {
        "resources": len(made["Resources"]),
        "parameters": len(made["Parameters"]),
        "outputs": len(made.get("Outputs", {})),
        "bytes": len(json.dumps(made, separators=(",", ":"), default=str)),
    }
    room = (BOUNDS["resources"] - taken["resources"]) // RESOURCES_OF_AN_ENDPOINT
    told = ", ".join(f"{taken[what]} of {bound} {what}" for what, bound in BOUNDS.items())
    print(f"{path}: {told}; room for {room} endpoints")
    return any(taken[what] > bound for what, bound in BOUNDS.items()), room


def main():
    logging.disable(logging.CRITICAL)
    if sys.argv[1] != "--count":
        print(json.dumps(plain(sys.argv[1]), indent=1, default=str))
        return 0
    counted = [count(path) for path in sys.argv[2:]]
    # The root's room is for areas, of which each takes one resource there.
    new = BOUNDS["resources"] // RESOURCES_OF_AN_ENDPOINT - 1
    room = sum(room for _, room in counted[1:])
    print(f"room for {room} endpoints in the areas that there are, and for {new} in each new one")
    return int(any(too_much for too_much, _ in counted))


if __name__ == "__main__":
    sys.exit(main())
