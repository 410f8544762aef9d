"""The tables of a module's README, in the form of terraform-docs (without escapes), from its variables and outputs."""

import json
import re

import terraform

BEGIN, END = "<!-- BEGIN_TF_DOCS -->", "<!-- END_TF_DOCS -->"


def tables(folder):
    inputs = terraform.blocks("variable", folder)
    outputs = terraform.blocks("output", folder)
    resources = terraform.blocks("resource", folder)
    lines = ["## Resources", "", "| Name | Type |", "|------|------|"]
    for kind, name in sorted(resources):
        page = f"https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/{kind.removeprefix('aws_')}"
        lines.append(f"| [{kind}.{name}]({page}) | resource |")
    lines += ["", "## Inputs", "", "| Name | Description | Type | Default | Required |"]
    lines.append("|------|-------------|------|---------|:--------:|")
    for (name,), body in sorted(inputs.items()):
        default = f"`{value(body['default'])}`" if "default" in body else "n/a"
        required = "no" if "default" in body else "yes"
        cells = [link("input", name), cell(unquoted(body["description"])), f"`{kind_of(body['type'])}`", default, required]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Outputs", "", "| Name | Description |", "|------|-------------|"]
    for (name,), body in sorted(outputs.items()):
        lines.append(f"| {link('output', name)} | {cell(unquoted(body['description']))} |")
    return "\n".join(lines)


def section(text):
    return text.split(BEGIN)[1].split(END)[0].strip("\n")


def with_tables(text, folder):
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{tables(folder)}\n{END}{after}"


def link(kind, name):
    return f'<a id="{kind}_{name}"></a> [{name}](#{kind}_{name})'


def cell(text):
    return text.replace("|", "\\|")


def unquoted(text):
    return json.loads(text) if text.startswith('"') else text


def kind_of(text):
    return re.sub(r"^\$\{(.*)\}$", r"\1", text)


def value(given):
    if isinstance(given, str):
        return given if given.startswith('"') else json.dumps(given)
    if isinstance(given, dict):
        given = {key.strip('"'): each for key, each in given.items() if not key.startswith("__")}
        return "{ " + ", ".join(f"{key} = {value(each)}" for key, each in given.items()) + " }" if given else "{}"
    return json.dumps(given)
