"""The tickets that customers send."""

import uuid
from collections.abc import Iterator
from random import Random

from devtools.load.customers import Submission

_CONTENTS = (
    "I was charged twice for my subscription this month. Please refund one of the payments.",
    "I cannot log in since this morning. I tried to reset my password but the reset link has expired.",
    "The export crashes with an error whenever the report has more than 1000 rows.",
    "How do I add a colleague to my workspace? I could not find it in the documentation.",
    "Mi pedido todavía no ha llegado y el número de seguimiento no dice nada desde el lunes.",
    "Bonjour, ma facture de mai est fausse : j'ai été prélevé deux fois. Merci de me rembourser.",
)


def submissions(random: Random) -> Iterator[Submission]:
    """An endless series of ordinary submissions, each with its own key."""
    while True:
        key = uuid.UUID(int=random.getrandbits(128), version=4)
        yield Submission(str(key), random.choice(_CONTENTS), None)
