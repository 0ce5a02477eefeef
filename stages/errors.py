"""The one error that a user of the benchmark can cause."""


class InputError(Exception):
    """Something outside the code is wrong: a file, a key of params.yaml, a checkpoint.

    The message is one sentence that names the file or the key and says what to do. `stages.command.run` prints it
    without a traceback.
    """
