"""The classical baseline: TF-IDF of words and of character n-grams, with logistic regression.

What a model has to beat. Without a training set, each ticket is predicted by a classifier that was trained on
the other four fifths (stratified), so that no ticket is predicted from itself. The same set always gives the
same answers.
"""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline, make_union

from evals.cache import Answer
from evals.errors import UsageError
from evals.example import Example

_FOLDS = 5


def answers(examples: Sequence[Example], training: Sequence[Example] | None = None) -> dict[str, Answer]:
    """The baseline's answer to each ticket, by id; the urgency only if all tickets have one.

    Raises:
        UsageError: a category or urgency has too few tickets to learn from.
    """
    started = time.perf_counter()
    labelled = [*examples, *(training or [])]
    names = ["category", *(["urgency"] if all(example.urgency for example in labelled) else [])]
    predicted = {name: _predict(name, examples, training) for name in names}
    latency = round((time.perf_counter() - started) * 1000 / len(examples))
    return {
        example.id: Answer(
            document={name: labels[index] for name, (labels, _) in predicted.items()}
            | {"confidence": float(np.prod([certain[index] for _, certain in predicted.values()]))},
            latency_ms=latency,
        )
        for index, example in enumerate(examples)
    }


def _predict(
    name: str, examples: Sequence[Example], training: Sequence[Example] | None
) -> tuple[list[str], Any]:
    """The predicted label of each ticket, and its probability."""
    texts = np.array([example.text for example in examples], dtype=object)
    labels = np.array([getattr(example, name) for example in examples], dtype=object)
    if training is not None:
        return _fit_predict(
            [example.text for example in training], [getattr(example, name) for example in training], texts
        )
    predicted, certain = np.empty(len(texts), dtype=object), np.empty(len(texts))
    folds = StratifiedKFold(_folds(name, labels), shuffle=True, random_state=0)
    for train, test in folds.split(texts, labels):
        predicted[test], certain[test] = _fit_predict(texts[train], labels[train], texts[test])
    return predicted.tolist(), certain


def _folds(name: str, labels: Any) -> int:
    rarest, number = Counter(labels).most_common()[-1]
    if number < 2 or len(set(labels)) < 2:
        raise UsageError(
            f"The baseline cannot learn the {name} {rarest}: it needs at least two values of {name}, with at "
            "least two tickets each. Add tickets, or set TRAIN=<file>."
        )
    return min(_FOLDS, number)


def _fit_predict(texts: Any, labels: Any, unseen: Any) -> tuple[list[str], Any]:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode")
    characters = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2, strip_accents="unicode"
    )
    classifier = make_pipeline(make_union(words, characters), LogisticRegression(C=20, max_iter=1000))
    classifier.fit(texts, labels)
    probabilities = classifier.predict_proba(unseen)
    best = probabilities.argmax(axis=1)
    return [str(classifier.classes_[index]) for index in best], probabilities.max(axis=1)
