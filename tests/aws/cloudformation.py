"""Reads a CloudFormation template and works its functions out, as far as ours uses them."""

import re

import yaml


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref X` is {"Ref": "X"}."""


def _short_form(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _short_form)

NO_VALUE = object()


class Template:
    """A template with values for its parameters, and made-up addresses for what it makes."""

    def __init__(self, text, parameters, pseudo, addresses, exports=None):
        self.document = self.load(text)
        self.pseudo, self.addresses, self.exports = pseudo, addresses, exports or {}
        self.parameters = {}
        for name, declared in self.document["Parameters"].items():
            value = parameters.get(name, declared.get("Default"))
            assert value is not None, f"{name} has no default: the test must give it"
            if declared["Type"] == "Number":
                value = int(value)
            elif declared["Type"].startswith(("List", "CommaDelimitedList")):
                value = value if isinstance(value, list) else value.split(",")
            self.parameters[name] = value
        unknown = set(parameters) - set(self.parameters)
        assert not unknown, f"no such parameters: {unknown}"

    @staticmethod
    def load(text):
        return yaml.load(text, _Loader)

    def outputs(self):
        """What other stacks may import, by name."""
        exported = [each for each in self.document["Outputs"].values() if "Export" in each]
        return {self.value(each["Export"]["Name"]): self.value(each["Value"]) for each in exported}

    def resources(self, kind=None):
        """The resources that are made, by logical name, with their properties worked out."""
        return {
            name: self.value(resource.get("Properties", {}))
            for name, resource in self.document["Resources"].items()
            if kind in (None, resource["Type"])
            and ("Condition" not in resource or self.condition(resource["Condition"]))
        }

    def condition(self, name):
        return self.value(self.document["Conditions"][name])

    def value(self, node):
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, argument), = node.items()
            if name == "Ref":
                return self._ref(argument)
            if name == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if name.startswith("Fn::"):
                return getattr(self, "_" + name[4:].lower())(argument)
        worked_out = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in worked_out.items() if value is not NO_VALUE}

    def _ref(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        for known in (self.pseudo, self.parameters, self.addresses):
            if name in known:
                return known[name]
        raise AssertionError(f"!Ref {name}: not known")

    def _getatt(self, path):
        return self.addresses[".".join(path)]

    def _sub(self, argument):
        text, names = argument if isinstance(argument, list) else (argument, {})

        def known(found):
            name = found.group(1)
            return str(self.value(names[name]) if name in names else self._ref(name))

        return re.sub(r"\$\{([A-Za-z_:]+)\}", known, text)

    def _if(self, argument):
        condition, then, otherwise = argument
        return self.value(then if self.condition(condition) else otherwise)

    def _join(self, argument):
        return argument[0].join(self.value(argument[1]))

    def _importvalue(self, argument):
        return self.exports[self.value(argument)]

    def _select(self, argument):
        return self.value(argument[1])[int(argument[0])]

    def _split(self, argument):
        return self.value(argument[1]).split(argument[0])

    def _equals(self, argument):
        first, second = map(self.value, argument)
        return str(first) == str(second)

    def _and(self, argument):
        return all(map(self.value, argument))

    def _not(self, argument):
        return not self.value(argument[0])


class Stacks:
    """A stack and those beside it that import its outputs; each takes the parameters that it declares."""

    def __init__(self, texts, parameters, pseudo, addresses):
        declared = [Template.load(text)["Parameters"] for text in texts]
        unknown = set(parameters) - set().union(*declared)
        assert not unknown, f"no such parameters: {unknown}"
        self.templates, exports = [], {}
        for text, names in zip(texts, declared):
            given = {name: value for name, value in parameters.items() if name in names}
            template = Template(text, given, pseudo, addresses, exports)
            exports = exports | (template.outputs() if "Outputs" in template.document else {})
            self.templates.append(template)

    def resources(self, kind=None):
        found = {}
        for template in self.templates:
            more = template.resources(kind)
            assert not set(found) & set(more), "two stacks make the same"
            found |= more
        return found
