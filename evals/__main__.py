"""`python -m evals`: measure a model on labelled tickets, and write results.json, report.md and report.html.

The options are variables in the environment (evals.options). Progress goes to the standard error output.
Answers are kept in .evals/cache, so that the next run asks only what is missing.

Exit codes: 0 measured; 1 the model cannot be used, or the report is partial: tickets have no answer, such as
when the spending cap was reached; 2 an option or a file is wrong; 130 stopped by Ctrl-C.
"""

import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from evals import dataset, gold, report, results
from evals.budget import Budget
from evals.cache import Answer, AnswerCache
from evals.errors import EvalError, UsageError
from evals.example import Dataset
from evals.language import LanguageDetector
from evals.models import Model, Usage, open_model
from evals.options import BASELINE, Options
from evals.results import Run
from evals.runner import Outcome, Runner
from evals.scoring import Scored, Scorer

FOLDER = Path(".evals")


def main(environment: Mapping[str, str] = os.environ, gold_folder: Path = gold.FOLDER) -> int:
    """Run with the options in the environment; return the exit code."""
    try:
        return _run(Options.parse(environment), gold_folder)
    except EvalError as error:
        _say(str(error))
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        _say("Stopped. The answers so far are kept: run it again to continue.")
        return 130


def _run(options: Options, gold_folder: Path) -> int:
    tickets = _dataset(options, gold_folder)
    run = _baseline(options, tickets) if options.model == BASELINE else _model(options, tickets)
    if not run.scored:
        raise EvalError(f"No ticket was answered: {_reasons(run.unanswered)}.")
    out = options.out or FOLDER / "runs" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{_slug(run.model)}"
    document = results.to_document(run)
    report.write(out, document, tickets, run.replies)
    sys.stdout.write(f"{report.headline(document)}\nReport: {out / report.HTML}\n")
    if run.is_partial:
        _say(f"The report is partial: {_reasons(run.unanswered)}. Run it again to continue.")
    return 1 if run.is_partial else 0


def _dataset(options: Options, gold_folder: Path) -> Dataset:
    if options.data:
        tickets = dataset.load(options.data, options.columns, options.taxonomy)
    else:
        tickets = gold.load(gold_folder / (gold.HELD_OUT if options.held_out else gold.TICKETS))
    return tickets.limited_to(options.limit) if options.limit else tickets


def _model(options: Options, tickets: Dataset) -> Run:
    with open_model(
        options.model, options.model_id, tickets.categories, options.prices, options.concurrency
    ) as model:
        cache = AnswerCache(FOLDER / "cache", model.key, model.prompt_version)
        budget = Budget(options.max_usd)
        runner = Runner(model, cache, budget, concurrency=options.concurrency, report=_say)
        _say(f"{model.name}: {runner.estimate(tickets.examples)} The cap is {options.max_usd:g} USD.")
        outcome = runner.run(tickets.examples)
        return _scored(options, tickets, outcome, model, budget.spent)


def _baseline(options: Options, tickets: Dataset) -> Run:
    from evals import baseline  # noqa: PLC0415 - scikit-learn takes seconds to import

    training = dataset.load(options.train, options.columns, options.taxonomy) if options.train else None
    answers = baseline.answers(tickets.examples, training.examples if training else None)
    return _scored(options, tickets, Outcome(answers), None, 0)


def _scored(options: Options, tickets: Dataset, outcome: Outcome, model: Model | None, spent: float) -> Run:
    scorer = Scorer(LanguageDetector({example.language for example in tickets.examples if example.language}))

    def score(example_id: str, answer: Answer) -> Scored:
        usd = model.cost(Usage(answer.input_tokens, answer.output_tokens)) if model else 0
        return scorer.score(by_id[example_id], answer, usd)

    by_id = {example.id: example for example in tickets.examples}
    return Run(
        model=model.name if model else "the baseline (TF-IDF, logistic regression)",
        is_stand_in=model is not None and model.is_stand_in,
        is_baseline=model is None,
        prompt_version=model.prompt_version if model else "",
        dataset=tickets.name,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        threshold=options.threshold,
        target=options.target,
        spent_usd=spent,
        unanswered=outcome.unanswered,
        scored=[score(name, outcome.answers[name]) for name in by_id if name in outcome.answers],
        replies={
            name: answer.document["response"]
            for name, answer in outcome.answers.items()
            if answer.document and "response" in answer.document
        },
    )


def _reasons(unanswered: Mapping[str, int]) -> str:
    return ", ".join(
        f"{number} tickets without an answer ({reason})" for reason, number in unanswered.items()
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
