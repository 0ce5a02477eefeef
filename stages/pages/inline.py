"""Pages of a single file: their content security policy lets a browser run what stands in them and request nothing."""

import base64
import hashlib


def source(text: str) -> str:
    """What the policy calls an inline style or script by (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
