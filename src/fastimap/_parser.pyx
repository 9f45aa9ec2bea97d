# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True, binding=True
"""The parser in Cython: the twin of the package ``_parser_py``, which is its readable specification.

Both hold the same names in the same order and give equal output, or an equal exception, for any octets
however they are cut. The interface is documented in :mod:`fastimap.parser`.

Memory stays sound even where one reader is wrongly shared between threads: no pointer into a buffer is held
while Python code could run, unless with a reference to its memory; receive buffers are replaced and never resized
while a view of them lives; and positions are checked before use.
"""

import re
from _thread import allocate_lock
from array import array

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport datetime_new, import_datetime, timedelta_new, timezone_new
from cpython.list cimport PyList_Append
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.object cimport PyObject, PyObject_GenericGetAttr, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8, PyUnicode_New
from libc.stdlib cimport qsort
from libc.string cimport memchr, memcmp, memcpy, memmove

from ._errors import (
    LineTooLong,
    LiteralTooLarge,
    NestingTooDeep,
    ParseError,
    ProtocolError,
    ResponseTooLarge,
    TooManyLiterals,
)
from .limits import READER_LIMITS
from .model._patterns import pattern
from .model.row import FetchedMessage, Streamed, no_uid
from .model.tokens import Atom
from .model.words import MONTHS, SYSTEM_FLAGS

__all__ = ["ResponseReader", "fetch", "last_ascending", "mail_seconds", "number_bounds", "split_rows", "tokenize"]

include "_parser_pyx/memory.pxi"
include "_parser_pyx/tokens.pxi"
include "_parser_pyx/outline.pxi"
include "_parser_pyx/rows.pxi"
include "_parser_pyx/structures.pxi"
include "_parser_pyx/fetch.pxi"
include "_parser_pyx/reader.pxi"
