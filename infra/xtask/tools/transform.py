"""What SAM makes of template.yaml, without AWS: the plain CloudFormation template as JSON, or with --count how much of
CloudFormation's bounds it takes. Packaging, which puts code into S3 and ECR, is only named here."""

import collections
import json
import logging
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

# Of CloudFormation's own bounds (500 resources, 200 parameters, 200 outputs, 1 MB) what we allow ourselves: a stack that
# stands at the bound can take no further endpoint.
BOUNDS = {"resources": 450, "parameters": 180, "outputs": 180, "bytes": 900_000}


class NoManagedPolicies:
    """SAM asks AWS for the names of managed policies. We name none."""

    def load(self):
        return {}


def packaged(template):
    """The template as `sam package` writes it: code and definitions lie somewhere in S3, images in ECR."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::StateMachine":
            properties["DefinitionUri"] = "s3://packaged/definition"
        elif resource["Type"] == "AWS::Serverless::Function" and properties.get("PackageType") == "Image":
            properties["ImageUri"] = "000000000000.dkr.ecr.us-east-1.amazonaws.com/packaged:image"
        elif resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://packaged/code"
    return template


def values(template):
    """Every parameter's default; what a deployment has to give is ten digits, as Release is."""
    return {name: parameter.get("Default", "0123456789") for name, parameter in template["Parameters"].items()}


def main():
    logging.disable(logging.CRITICAL)
    with open("template.yaml", encoding="utf-8") as file:
        template = packaged(yaml_parse(file.read()))
    plain = transform(template, values(template), NoManagedPolicies())
    text = json.dumps(plain, indent=1, default=str)
    if sys.argv[1:] != ["--count"]:
        print(text)
        return 0
    kinds = collections.Counter(resource["Type"] for resource in plain["Resources"].values())
    for kind, count in kinds.most_common():
        print(f"{count:7} {kind}")
    taken = {
        "resources": kinds.total(),
        "parameters": len(plain["Parameters"]),
        "outputs": len(plain["Outputs"]),
        "bytes": len(json.dumps(plain, separators=(",", ":"), default=str)),
    }
    for what, bound in BOUNDS.items():
        print(f"{taken[what]:7} {what}, at most {bound}")
    return int(any(taken[what] > bound for what, bound in BOUNDS.items()))


if __name__ == "__main__":
    sys.exit(main())
