"""The one error that a user of the benchmark can cause."""

import re

_LONGEST = 2000
"""Characters of a sentence: what a file holds may be quoted in it, at any length."""


class InputError(Exception):
    """Something outside the code is wrong: a file, a key of params.yaml, a checkpoint.

    The message is one sentence that names the file or the key and says what to do, on one line whatever it quotes
    (file names, what a library says). `stages.command.run` prints it without a traceback. A subclass with words of its
    own overrides `sentence`.
    """

    def sentence(self) -> str:
        """The message as it was put together."""
        return super().__str__()

    def __str__(self) -> str:
        return one_line(self.sentence())


def one_line(text: str) -> str:
    r"""A text without line breaks; what does not print (control characters, bytes that are no UTF-8) is written out.

    >>> print(one_line("expected 3 fields,\n  saw 4 in a\x00b"))
    expected 3 fields, saw 4 in a\x00b
    >>> print(one_line("caf\udce9 and " + repr("caf\udce9")))
    caf\xe9 and 'caf\xe9'
    """
    line = " ".join(part.strip() for part in text.splitlines() if part.strip())
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
    line = re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", line)  # Python's stand-ins for such bytes, in a repr too
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
