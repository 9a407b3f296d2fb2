"""The whole template: template.yaml together with its parts in infra/parts. `python -m infra.assemble`

CloudFormation includes at most one file in a section (AWS::Include), `sam build` does not build functions of
an included file, and cfn-lint does not read it. So the parts are put together before sam and cfn-lint see the
template: every section of a part (Parameters, Conditions, Resources, …) is added to that of template.yaml.
"""

from pathlib import Path
from typing import Any

import yaml

type Template = dict[str, Any]

PROJECT = Path(__file__).parent.parent
_WHOLE = ".template.yaml"


def whole_template(project: Path = PROJECT) -> Template:
    """Return the template with its parts; short forms become long ones, as in read_template.

    Raises:
        ValueError: two files have an entry of the same name.
    """
    template = read_template(project / "template.yaml")
    for path in sorted((project / "infra" / "parts").glob("*.yaml")):
        for section, entries in read_template(path).items():
            if twice := template.setdefault(section, {}).keys() & entries:
                raise ValueError(f"{path.name}: another file has {', '.join(sorted(twice))}, too.")
            template[section].update(entries)
    return template


def write_whole_template(project: Path = PROJECT) -> Path:
    """Write the whole template beside template.yaml, because it names other files by relative paths."""
    path = project / _WHOLE
    path.write_text(yaml.dump(whole_template(project), Dumper=_Dumper, sort_keys=False))
    return path


def read_template(path: Path) -> Template:
    """Read a template or a part of one: `!GetAtt A.B` becomes `{"Fn::GetAtt": ["A", "B"]}`, and so on.

    Raises:
        yaml.YAMLError: it is not YAML, or has an entry twice.
    """
    with path.open() as file:
        return dict(yaml.load(file, _Loader))  # noqa: S506 - it is a SafeLoader


class _Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms; refuses duplicate keys, of which YAML keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(
                None, None, f"duplicate keys: {sorted(twice)}", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Template:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: node.value.split(".", 1) if suffix == "GetAtt" else node.value}


_Loader.add_multi_constructor("!", _long_form)


class _Dumper(yaml.SafeDumper):
    """Writes out what the files have once under an anchor, because CloudFormation supports no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


if __name__ == "__main__":
    write_whole_template()
