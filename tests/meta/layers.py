"""Who may import whom. The picture of these tables is in ARCHITECTURE.md."""

from __future__ import annotations

from fnmatch import fnmatch

from tests.meta.imports import Import

# A part of the compiler (a folder or file below sardonyx/compiler) and the parts it may import.
# "api" is the package itself: what `from sardonyx import compiler` shows.
COMPILER = {
    "errors": "",
    "ir": "errors",
    "ops": "errors ir",
    "opset": "errors ir ops",
    "contrib": "errors ir ops opset",
    "targets": "errors ir ops opset contrib",
    "analysis": "errors ir ops",
    "rewrite": "errors ir ops analysis",
    "rules": "errors ir ops analysis rewrite",
    "passes": "errors ir ops analysis rewrite rules targets",
    "export": "errors ir ops opset contrib targets",
    "explanation": "errors ir ops rewrite rules passes",
    "proof": "errors ir ops targets passes export",
    "divergence": "errors ir proof",
    "program": "errors ir ops rewrite opset contrib targets passes export explanation proof",
    "pipeline": (
        "errors ir ops opset analysis rewrite rules targets passes export program explanation proof"
    ),
    "testing": "errors ir rewrite passes",
    "api": "errors ir targets passes explanation proof program pipeline",
}

# What each of the three packages may import of the others.
PACKAGES = {
    "sardonyx.compiler": set(),
    "sardonyx.runtime": set(),
    "sardonyx.frontends": {"sardonyx.compiler", "sardonyx.runtime"},
}

# A third-party library and the modules that may import it.
THIRD_PARTY = {
    "numpy": ["*"],
    "ml_dtypes": ["*"],
    "onnx": ["sardonyx.compiler.*", "sardonyx.frontends.*"],
    "onnx_ir": ["sardonyx.compiler.*", "sardonyx.frontends.*"],
    "onnx_shape_inference": ["sardonyx.compiler.*"],
    "networkx": ["sardonyx.compiler.*"],
    "sympy": ["sardonyx.compiler.ir.inference_rules"],
    "onnxruntime": ["sardonyx.runtime.*", "sardonyx.compiler.proof.worker"],
    "safetensors": ["sardonyx.frontends.dsl.files"],
    "torch": ["sardonyx.frontends.torch*"],
    "onnxscript": ["sardonyx.frontends.torch*"],
    "typer": ["sardonyx.frontends.cli*"],
    "click": ["sardonyx.frontends.cli*"],
    "rich": ["sardonyx.frontends.cli*"],
}


def compiler_part(name: str) -> str:
    """``sardonyx.compiler.ir.text`` belongs to ``ir``; the package itself to ``api``."""
    rest = name.removeprefix("sardonyx.compiler").lstrip(".").split(".")[0]
    return rest if rest in COMPILER else "api"


def package_of(name: str) -> str:
    """The first two parts of a dotted name: ``sardonyx.compiler``."""
    return ".".join(name.split(".")[:2])


def complaint(found: Import) -> str | None:
    """Why an import is not allowed, or None."""
    top = found.target.split(".")[0]
    if top != "sardonyx":
        return _third_party_complaint(found, top)
    here, there = package_of(found.importer), package_of(found.target)
    if there != here:
        allowed = PACKAGES[here]
        return None if there in allowed else f"{here} may import of the others: {sorted(allowed)}"
    if here != "sardonyx.compiler":
        return None
    importer, target = compiler_part(found.importer), compiler_part(found.target)
    allowed_parts = COMPILER[importer].split()
    if importer == target or target in allowed_parts:
        return None
    return f"compiler part {importer!r} may import: {allowed_parts}"


def _third_party_complaint(found: Import, library: str) -> str | None:
    patterns = THIRD_PARTY.get(library)
    if patterns is None:
        return f"{library} is not a dependency of the three packages (tests/meta/layers.py)"
    # The package itself counts too: `sardonyx.compiler` matches `sardonyx.compiler.*`.
    if any(fnmatch(found.importer, p) or fnmatch(found.importer + ".", p) for p in patterns):
        return None
    return f"{library} may be imported by: {patterns}"
