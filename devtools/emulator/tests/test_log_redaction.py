"""SNS messages do not appear in the emulator's log."""

from devtools.emulator.tests.harness import Emulator, eventually, unique


def test_the_log_names_the_topic_and_not_the_message(emulator: Emulator) -> None:
    sns, name = emulator.client("sns"), unique("topic")
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.publish(TopicArn=topic, Message="what the customer wrote")
    sns.publish(PhoneNumber="+15550100", Message="what the customer wrote")

    def log() -> str:
        return emulator.output.read_text()

    assert eventually(lambda: f"publish to {topic}: …" in log() and "SMS to +15550100: …" in log())
    assert "what the customer wrote" not in log()
