"""Errors that say what happened, where, what was found, what was expected and what to do.

The runtime deploys without the compiler, so this is a twin of the compiler's family, not a child.
"""

from __future__ import annotations

import re

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")


_CALLED = ("sardonyx.runtime.", "onnxruntime.", "torch.utils.dlpack.")
"""Modules whose functions are under way during a call."""


def ort_words(error: object) -> str:
    """What ONNX Runtime says in an error, without the numbers it puts in front."""
    return _PREFIX.sub("", str(error)).strip()


def is_from_handler(error: BaseException) -> bool:
    """Whether a signal handler raised it: not ONNX Runtime, and nothing that is called with it."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    module = "" if step is None else step.tb_frame.f_globals.get("__name__", "")
    return not f"{module}.".startswith(_CALLED)


class SardonyxError(Exception):
    """Base of every error the runtime raises on purpose.

    Args:
        what: One sentence that says what went wrong.
        where: The model, input, output or setting it is about.
        found: What was found there.
        expected: What would have been right.
        remedy: What the reader can do next.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.found = found
        self.expected = expected
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        details = {
            "where": self.where,
            "found": self.found,
            "expected": self.expected,
            "try": self.remedy,
        }
        rows = [f"  {label}: {text}" for label, text in details.items() if text]
        return "\n".join([self.what, *rows])


class LoadError(SardonyxError):
    """The model cannot be loaded: missing, damaged, not ONNX, or refused by ONNX Runtime."""


class IntegrityError(LoadError):
    """A model that Sardonyx wrote, or its weights, are not as they were written."""


class ProviderError(LoadError):
    """An execution provider that was asked for does not exist, does not start, or is not used."""


class SettingsError(LoadError):
    """A session setting, of the caller or of the artifact, is not valid."""


class InputError(SardonyxError):
    """A call does not fit the model's inputs; the model was not run.

    Attributes:
        input: Name of the input it is about, if there is one.
        kind: ``missing``, ``unknown``, ``duplicate``, ``type``, ``dtype``, ``rank``, ``dim``,
            ``value`` or ``device``.
    """

    def __init__(
        self,
        what: str,
        *,
        kind: str = "value",
        input: str | None = None,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.kind = kind
        self.input = input
        super().__init__(what, where=where, found=found, expected=expected, remedy=remedy)


class RunError(SardonyxError):
    """ONNX Runtime failed while it ran the model; the session stays usable."""


class RunTimeoutError(RunError, TimeoutError):
    """The call did not end in the time it was given; it was stopped."""


class OutOfMemoryError(RunError):
    """The device, or the limit that was set for it, has no room for this call; smaller ones run."""


class NotPicklableError(SardonyxError, TypeError):
    """A session belongs to its process, and cannot be sent to another one."""


class BatchError(SardonyxError):
    """Requests to this model cannot be gathered into batches, or not be padded."""


class QueueFullError(SardonyxError):
    """More requests wait than the queue may hold; the request was not taken."""


class ClosedError(SardonyxError):
    """The batcher was closed; the request was not taken."""
