"""`make dashboard`: draws the dashboard of the running local stack as a picture."""

import sys
from datetime import timedelta

from devtools.dashboard import data, picture, widgets
from local.settings import Settings, StackError
from local.stack import Stack

_SHOWN = timedelta(hours=3)


def main() -> int:
    """Draw the last hours of the metrics in STACK_DIR/dashboard.png; return the exit code."""
    folder = Settings.from_environment().folder
    try:
        stack = Stack.load(folder)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    client = stack.client("cloudwatch")
    # Describing the alarms makes the emulator measure the queues.
    client.describe_alarms()
    shown = widgets.parse(client.get_dashboard(DashboardName=stack.stack_name)["DashboardBody"])
    metrics = [metric for widget in shown for metric in widget.metrics]
    path = folder / "dashboard.png"
    picture.draw(shown, dict(zip(metrics, data.read(client, metrics, _SHOWN), strict=True)), path)
    print(f"The dashboard is in {path}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
