"""Errors that say what happened, where, what was found, what was expected and what to do."""

from __future__ import annotations


class SardonyxError(Exception):
    """Base of every error the compiler and the frontends raise on purpose.

    Args:
        what: One sentence that says what went wrong.
        where: File, source line, module path, node or value it is about.
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
        super().__init__(str(self))

    def __str__(self) -> str:
        details = {
            "where": self.where,
            "found": self.found,
            "expected": self.expected,
            "try": self.remedy,
        }
        rows = [f"  {label}: {text}" for label, text in details.items() if text]
        return "\n".join([self.what, *rows])


class InvalidModelError(SardonyxError):
    """The model, or the file that holds it, is not a valid ONNX model."""


class UnsupportedError(SardonyxError):
    """The model is valid, but asks for something that cannot be done here."""


class CaptureError(SardonyxError):
    """A PyTorch module could not be captured or lowered to ONNX."""


class VerifyError(SardonyxError):
    """The graph breaks a well-formedness rule; raised by the verifier.

    Attributes:
        rule: The number and name of the rule, for example ``V03 defined-before-use``.
        excerpt: The lines of the graph around the offender, which has a mark.
    """

    def __init__(
        self,
        rule: str,
        what: str,
        *,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        excerpt: str = "",
    ) -> None:
        self.rule = rule
        self.excerpt = excerpt
        super().__init__(f"[{rule}] {what}", where=where, found=found, expected=expected)

    def __str__(self) -> str:
        lines = [f"    {line}" for line in self.excerpt.splitlines()]
        return "\n".join([super().__str__(), *lines])


class RewriteError(SardonyxError):
    """A rule or pass did something that the engine refuses."""


class ExportError(SardonyxError):
    """The model cannot be written in the form that was asked for."""
