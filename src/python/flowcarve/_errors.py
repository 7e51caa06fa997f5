# SPDX-License-Identifier: MIT
"""Exceptions: one class a code of the library."""
import os

from ._flowcarve import ffi, lib

NO_OFFSET = 2 ** 64 - 1


class Error(Exception):
    """What failed, and where.

    file: the capture or index, None when none; offset: bytes in it, None when none; cause: a sentence without a full stop.
    """

    code = 0

    def __init__(self, cause, file=None, offset=None, text=None):
        super().__init__(text or cause)
        self.cause, self.file, self.offset = cause, file, offset


class OutOfMemory(Error, MemoryError):
    """There is not enough memory."""


class InputError(Error):
    """A file or an interface cannot be opened, read or written; the cause says why."""


class FormatError(Error):
    """The file is no capture."""


class DamagedError(Error):
    """The file cannot be read on."""


class UsageError(Error, ValueError):
    """An argument is out of its range, or the object is closed."""


class DatabaseError(Error):
    """Something that SQLite says of the index."""


class SchemaError(Error):
    """The file is no index, or one of another version of flowcarve."""


class ChangedError(Error):
    """A capture has changed since it was indexed."""


class MissingError(Error):
    """A capture or an index is not there."""


class Interrupted(Error):
    """It was stopped."""


class MismatchError(Error):
    """Index and captures disagree."""


class LimitError(Error):
    """A limit of the system or of the library is exceeded."""


class OutputClosed(Error):
    """Who reads the output is gone."""


class BusyError(Error):
    """Another process writes the index."""


class FilterError(Error, ValueError):
    """A filter that cannot be understood, or that the index or interface has no answer to.

    filter: its text; offset and length: the characters that are wrong, None when that is not known. str() of it shows them with a
    caret below.
    """

    def __init__(self, cause, filter=None, offset=None, length=None, text=None):
        super().__init__(cause, None, offset, text or _with_caret(cause, filter, offset, length))
        self.filter, self.length = filter, length


def _with_caret(cause, filter, offset, length):
    cause, shown = ("".join(c if c.isprintable() else " " for c in t) for t in (cause, filter or ""))
    if filter is None or offset is None:
        return cause
    return "%s\n%s\n%s^%s" % (cause, shown, " " * offset, "~" * (max(1, length or 1) - 1))


_CLASSES = {
    lib.FC_E_NOMEM: OutOfMemory, lib.FC_E_IO: InputError, lib.FC_E_FORMAT: FormatError, lib.FC_E_DAMAGED: DamagedError,
    lib.FC_E_USAGE: UsageError, lib.FC_E_FILTER: FilterError, lib.FC_E_DB: DatabaseError, lib.FC_E_SCHEMA: SchemaError,
    lib.FC_E_CHANGED: ChangedError, lib.FC_E_MISSING: MissingError, lib.FC_E_INTERRUPTED: Interrupted,
    lib.FC_E_MISMATCH: MismatchError, lib.FC_E_LIMIT: LimitError, lib.FC_E_PIPE: OutputClosed, lib.FC_E_BUSY: BusyError,
}
for _code, _class in _CLASSES.items():
    _class.code = _code


def text_of(pointer):
    """A string of the library's; bytes that are no UTF-8 as in names of files. None for NULL."""
    return None if pointer == ffi.NULL else os.fsdecode(ffi.string(pointer))


def error_of(err):
    """The exception that a struct fc_error tells of."""
    buffer = ffi.new("char[]", lib.FC_ERROR_TEXT_MAX)
    text = ffi.string(lib.fc_error_text(err, buffer, lib.FC_ERROR_TEXT_MAX)).decode(errors="replace")
    cause = ffi.string(err.cause).decode(errors="replace")
    kind = _CLASSES.get(err.code, Error)
    if kind is FilterError:
        return FilterError(cause, text=text)
    return kind(cause, os.fsdecode(ffi.string(err.file)) or None, None if err.off == NO_OFFSET else err.off, text)


def check(rc, err):
    """rc, or the exception that it means."""
    if rc < 0:
        err.code = rc
        raise error_of(err)
    return rc


def new_error():
    err = ffi.new("struct fc_error *")
    err.off = NO_OFFSET
    return err


def usage(cause):
    return UsageError(cause)


def encoded(text, what):
    """Text for the library; a NUL in it would cut it short."""
    data = text if isinstance(text, bytes) else os.fsencode(text)
    if b"\0" in data:
        raise UsageError("%s has a NUL in it" % what)
    return data
