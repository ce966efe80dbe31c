"""The scripts of infra/nodes.yaml, as CloudFormation would hand them to an instance."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "infra" / "nodes.yaml"


class _Loader(yaml.SafeLoader):
    """YAML with the short forms of intrinsic functions."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix: value}


_Loader.add_multi_constructor("!", _intrinsic)


def _resolved(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_resolved(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Sub": str(text)}:
            return re.sub(r"\$\{([A-Za-z:]+)\}", lambda found: names[found[1]], text)
        case {"Ref": str(name)}:
            return names.get(name, name)
        case {"Join": [separator, parts]}:
            return separator.join(_resolved(parts, names))
        case {"Fn::Base64": text}:
            return _resolved(text, names)
    return {key: _resolved(item, names) for key, item in value.items()}


def _resource(name: str, names: Mapping[str, str]) -> Any:
    template = yaml.load(TEMPLATE.read_text(), _Loader)
    return _resolved(template["Resources"][name]["Properties"], names)


def user_data(names: Mapping[str, str]) -> str:
    """The launch template's user data; `names` are the values of parameters and pseudo parameters."""
    text: str = _resource("LaunchTemplate", names)["LaunchTemplateData"]["UserData"]
    return text


def document_script(names: Mapping[str, str]) -> str:
    """What the SSM document runs, joined as the agent does: it fetches the node script, and runs that."""
    lines: list[str] = _resource("ConfigurationDocument", names)["Content"]["mainSteps"][0]["inputs"]["runCommand"]
    return "\n".join(lines)
