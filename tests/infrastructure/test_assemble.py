"""The whole template contains every entry of every file once."""

from pathlib import Path

import pytest
import yaml

from infra.assemble import PROJECT, read_template, whole_template, write_whole_template

TEMPLATE = """
Parameters:
  A: { Type: String }
Resources:
  Queue: &Queue
    Type: AWS::SQS::Queue
    Properties: { KmsMasterKeyId: !If [HasKey, !GetAtt Key.Arn, !Ref AWS::NoValue] }
"""
PART = """
Conditions:
  HasKey: !Equals [!Ref A, b]
Resources:
  Other:
    Type: AWS::SQS::Queue
    Properties:
      <<: &Settings { DelaySeconds: 1, VisibilityTimeout: 2 }
      DelaySeconds: 3
  Third:
    Type: AWS::SQS::Queue
    Properties: *Settings
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "infra" / "parts").mkdir(parents=True)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "infra" / "parts" / "queues.yaml").write_text(PART)
    return tmp_path


def test_the_sections_of_a_part_are_added_to_those_of_the_template(project: Path) -> None:
    whole = whole_template(project)
    assert list(whole) == ["Parameters", "Resources", "Conditions"]
    assert list(whole["Resources"]) == ["Queue", "Other", "Third"]
    assert whole["Conditions"] == {"HasKey": {"Fn::Equals": [{"Ref": "A"}, "b"]}}
    key = {"Fn::If": ["HasKey", {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "AWS::NoValue"}]}
    assert whole["Resources"]["Queue"]["Properties"] == {"KmsMasterKeyId": key}
    assert whole["Resources"]["Other"]["Properties"] == {"DelaySeconds": 3, "VisibilityTimeout": 2}


def test_the_written_template_is_the_same_without_anchors(project: Path) -> None:
    text = write_whole_template(project).read_text()
    assert yaml.safe_load(text) == whole_template(project)
    assert "&" not in text
    assert "*" not in text


def test_two_files_with_an_entry_of_the_same_name_are_refused(project: Path) -> None:
    (project / "infra" / "parts" / "more.yaml").write_text("Resources:\n  Queue: { Type: AWS::SQS::Queue }\n")
    with pytest.raises(ValueError, match="another file has Queue"):
        whole_template(project)


def test_a_file_with_a_duplicate_entry_is_refused(project: Path) -> None:
    (project / "template.yaml").write_text(TEMPLATE + "  Queue: { Type: AWS::SNS::Topic }\n")
    with pytest.raises(yaml.YAMLError, match="Queue"):
        whole_template(project)


def test_every_entry_of_every_file_is_in_the_whole_template() -> None:
    whole = whole_template()
    files = [PROJECT / "template.yaml", *(PROJECT / "infra").rglob("*.yaml")]
    stacks_of_their_own = [path for path in files[1:] if "AWSTemplateFormatVersion" in read_template(path)]
    assert [path.name for path in stacks_of_their_own] == ["vpc-endpoints.yaml"]
    for path in set(files) - set(stacks_of_their_own):
        for section, entries in read_template(path).items():
            known = whole[section]
            assert known == entries if isinstance(entries, str) else entries.items() <= known.items(), path
