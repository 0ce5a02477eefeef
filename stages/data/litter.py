"""What operating systems leave beside the files of a data set: no image, no case, and no reason for anything."""

_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information"})


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is none of a data set's: hidden, or an operating system's own.

    >>> [is_litter(name) for name in ("._BraTS20_Training_001_t1.nii", "__MACOSX", "Thumbs.db", "BraTS20_Training_001")]
    [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in _NAMES
