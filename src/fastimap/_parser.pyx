# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True, binding=True
"""The parser in Cython: the twin of ``_parser_py.py``, which is its readable specification.

Both hold the same names in the same order and give equal output, or an equal exception, for any octets
however they are cut. The interface is documented in :mod:`fastimap.parser`.

Memory stays sound even where one reader is wrongly shared between threads: no pointer into a buffer is held
while Python code could run, unless with a reference to its memory; receive buffers are replaced and never resized
while a view of them lives; and positions are checked before use.
"""

import re

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport datetime_new, import_datetime, timedelta_new, timezone_new
from cpython.list cimport PyList_Append
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.string cimport memchr, memcmp, memcpy, memmove

from . import _fetch
from .errors import (
    LineTooLong,
    LiteralTooLarge,
    NestingTooDeep,
    ParseError,
    ProtocolError,
    ResponseTooLarge,
    TooManyLiterals,
)
from .limits import DEFAULT_LIMITS
from .model.message import PRESENT_OTHER, Address, BodyStructure, Envelope, FetchedMessage, Streamed

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** octets, Py_ssize_t size) except -1
    PyObject* _new_bytes "PyBytes_FromStringAndSize"(const char* octets, Py_ssize_t size) except NULL
    char* _bytes_data "PyBytes_AS_STRING"(PyObject* octets)
    Py_ssize_t _bytes_size "PyBytes_GET_SIZE"(PyObject* octets)
    void Py_XDECREF(PyObject* obj)
    void PyObject_GC_Track(void* obj)
    void PyObject_GC_UnTrack(void* obj)


cdef extern from *:
    """
    /* A new tuple of a subclass, its items not set, which the cyclic garbage collector does not visit. */
    static inline PyObject *fastimap_new_row(PyObject *type, Py_ssize_t size) {
        PyTupleObject *row = PyObject_GC_NewVar(PyTupleObject, (PyTypeObject *)type, size);
        if (row != NULL) {
    #if PY_VERSION_HEX >= 0x030E0000
            row->ob_hash = -1;  /* not known yet */
    #endif
            memset(row->ob_item, 0, size * sizeof(PyObject *));
        }
        return (PyObject *)row;
    }

    /* None for each item that is not set. */
    static inline void fastimap_complete_row(PyObject *row) {
        for (Py_ssize_t index = Py_SIZE(row) - 1; index >= 0; index--) {
            if (PyTuple_GET_ITEM(row, index) == NULL) {
                PyTuple_SET_ITEM(row, index, Py_NewRef(Py_None));
            }
        }
    }
    """
    object _new_row "fastimap_new_row"(object type, Py_ssize_t size)
    void _complete_row "fastimap_complete_row"(object row)


cdef extern from *:
    """
    /* Inline wherever `size` is known: then the comparison is one of integers. */
    #if defined(__GNUC__)
    __attribute__((always_inline))
    #endif
    static inline int fastimap_skip(const char **at, const char *end, const char *text, Py_ssize_t size) {
        if (end - *at < size || memcmp(*at, text, size) != 0) {
            return 0;
        }
        *at += size;
        return 1;
    }
    """
    bint _skip "fastimap_skip"(const char** at, const char* end, const char* text, Py_ssize_t size) noexcept

__all__ = ["ResponseReader", "fetch", "split_rows", "tokenize"]

# One receive buffer a connection: more gains nothing against real servers (they write 4 to 32 KiB at a time).
cdef Py_ssize_t _BUFFER_SIZE = 256 * 1024
# A literal of at most this size is received with the lines around it and copied once; that costs no more
# than receiving it in place, and saves system calls.
cdef Py_ssize_t _IN_PLACE = 64 * 1024
# The memory of such a literal: this much to begin with, then this many times what has arrived, however much is
# announced. Each step may make the allocator copy what is there.
cdef Py_ssize_t _FIRST_ROOM = 1024 * 1024
cdef Py_ssize_t _GROWTH = 4
cdef long long _MAX_SIZE = 0x7FFFFFFFFFFFFFFF
cdef Py_ssize_t _SHOWN = 80
# A sink is shown this much of the lines before the one at hand: room for the items that servers put first.
cdef Py_ssize_t _LEAD = 1024


# What the response that is half framed is for.
cdef enum _Mode:
    _RESPONSES
    _BATCH
    _DRAIN


# Positions in a FetchedMessage.
cdef enum:
    _SEQUENCE_NUMBER
    _UID
    _FLAGS
    _SIZE
    _INTERNAL_DATE
    _MOD_SEQUENCE
    _ENVELOPE
    _BODY_STRUCTURE
    _BODY
    _ITEMS
    _DEFECTS
    _PRESENT
    _POSITIONS


@cython.final
@cython.no_gc
@cython.internal
cdef class _Memory:
    """Memory for octets from the network: a bytes object that nobody else has seen yet, and its writable views."""

    cdef PyObject* octets
    cdef char* data
    cdef Py_ssize_t capacity
    cdef Py_ssize_t offset  # where the next view begins
    cdef Py_ssize_t stop  # and ends: before this position, or with the memory where it is 0
    cdef Py_ssize_t exports

    def __cinit__(self, Py_ssize_t capacity):
        self.octets = _new_bytes(NULL, capacity)
        self.data = _bytes_data(self.octets)
        self.capacity = capacity

    def __dealloc__(self):
        Py_XDECREF(self.octets)

    @cython.critical_section
    def __getbuffer__(self, Py_buffer* view, int flags):
        # What a sink gets to see is read-only.
        cdef Py_ssize_t stop = self.stop or self.capacity
        if not 0 <= self.offset <= stop <= self.capacity:
            raise BufferError("the reader was used by several threads at once")
        PyBuffer_FillInfo(view, self, self.data + self.offset, stop - self.offset, self.stop != 0, flags)
        self.exports += 1

    @cython.critical_section
    def __releasebuffer__(self, Py_buffer* view):
        self.exports -= 1

    @cython.critical_section
    cdef bint grow(self, Py_ssize_t capacity) except -1:
        """Resize in place; for large blocks the allocator moves pages, not octets. False while a view lives."""
        if self.exports:
            return False
        self.data = NULL
        self.capacity = self.offset = self.stop = 0
        _PyBytes_Resize(&self.octets, capacity)
        self.data = _bytes_data(self.octets)
        self.capacity = capacity
        return True

# FETCH responses, decoded by the thousand. What is plain is decoded here, straight from the memory in which it lies;
# at anything else _Odd is raised and _fetch.py, which knows what servers do, decodes the response from its fragments.
# Under a reader that is wrongly shared that memory may change at any time: so each octet is read once, or every
# reading is checked against the end by itself.


class _Odd(Exception):
    """The response is not plain."""


# Part of a response: a line without the announcement, and the literal behind it.
cdef struct _Segment:
    const char* text
    Py_ssize_t length
    const char* literal
    Py_ssize_t literal_length
    PyObject* fragment  # the literal as an object, borrowed; or NULL


cdef enum:
    _SEGMENTS = 16
    _SLOTS = 256  # of a cache
    _CACHED = 64  # octets of the longest key
    _PLAIN_DEPTH = 32  # of body structures
    _PLAIN_PARTS = 1000
    _PILE = 1000  # items of all lists that are half read

cdef unsigned int _PRESENT_OTHER = PRESENT_OTHER
cdef long long _MAX_UID = 0xFFFFFFFF
cdef object _Address = Address
cdef object _BodyStructure = BodyStructure
cdef object _Envelope = Envelope
cdef object _FetchedMessage = FetchedMessage
cdef object _Streamed = Streamed
cdef unsigned int[12] _MONTHS
cdef const char* _MONTH_DAYS = b"\x1f\x1d\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"
cdef dict _SYSTEM_FLAGS = {
    flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent")
}
cdef frozenset _NO_FLAGS = frozenset()
# Words that decide what follows in a body structure: a word equal to one of these is that very object.
cdef str _TEXT = "text"
cdef str _MULTIPART = "multipart"
cdef str _MESSAGE = "message"
cdef str _RFC822 = "rfc822"
cdef str _GLOBAL = "global"
cdef dict _WORDS = {word: word for word in (_TEXT, _MULTIPART, _MESSAGE, _RFC822, _GLOBAL)}

import_datetime()


cdef int _fill_months() except -1:
    cdef const char* names = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef int month
    for month in range(12):
        _MONTHS[month] = _three(names + 3 * month)
    return 0


_fill_months()


@cython.final
@cython.internal
@cython.no_gc
cdef class _Cache:
    """Values by the octets that they were made from; a new one takes the place of another with the same slot."""

    cdef PyObject* keys[_SLOTS]
    cdef PyObject* values[_SLOTS]

    def __dealloc__(self):
        for slot in range(_SLOTS):
            Py_XDECREF(self.keys[slot])
            Py_XDECREF(self.values[slot])

    cdef object get(self, const char* text, Py_ssize_t length):
        """The value, or None."""
        cdef Py_ssize_t slot = _slot(text, length)
        cdef PyObject* key = self.keys[slot]
        if key == NULL or _bytes_size(key) != length or memcmp(_bytes_data(key), text, length) != 0:
            return None
        return <object> self.values[slot]

    cdef int put(self, bytes key, object value) except -1:
        cdef Py_ssize_t slot = _slot(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        cdef PyObject* old_key = self.keys[slot]
        cdef PyObject* old_value = self.values[slot]
        Py_INCREF(key)
        Py_INCREF(value)
        self.keys[slot] = <PyObject*> key
        self.values[slot] = <PyObject*> value
        Py_XDECREF(old_key)
        Py_XDECREF(old_value)
        return 0


cdef inline Py_ssize_t _slot(const char* text, Py_ssize_t length) noexcept:
    cdef unsigned long long first = 0
    cdef unsigned long long middle = 0
    cdef unsigned long long last = 0
    if length >= 8:
        memcpy(&first, text, 8)
        memcpy(&middle, text + (length - 8) // 2, 8)
        memcpy(&last, text + length - 8, 8)
    else:
        memcpy(&first, text, length)
    first = (first ^ (middle << 7) ^ (middle >> 57) ^ (last << 23) ^ (last >> 41) ^ <unsigned long long> length)
    return <Py_ssize_t> ((first * <unsigned long long> 0x9E3779B97F4A7C15) >> 56)


cdef object _item(str name, object value):
    cdef tuple item = (name, value)
    if type(value) is not _Streamed:  # that one may hold an exception, which can be in a cycle
        PyObject_GC_UnTrack(<void*> item)
    return item


# What is in a row are octets, numbers and rows: these can be in no cycle, so the garbage collector need not see them.
# Nobody else sees a row of which an item is not set.
cdef inline void _set(object row, Py_ssize_t index, object value) noexcept:
    Py_INCREF(value)
    PyTuple_SET_ITEM(row, index, value)


@cython.final
@cython.internal
cdef class _Decoder:
    """Decodes plain FETCH responses, and remembers what comes again and again."""

    cdef bint busy
    cdef _Segment* segments  # of the response at hand
    cdef Py_ssize_t count  # of segments
    cdef Py_ssize_t index  # of the segment at hand
    cdef const char* at  # the next octet
    cdef const char* end  # of the segment's text
    cdef const char* escape  # no backslash stands before this position
    cdef PyObject* pile[_PILE]  # the items read so far of each list that is half read, inner lists behind outer ones
    cdef Py_ssize_t height  # of the pile
    cdef unsigned int present  # of the row at hand
    cdef bint streamed  # whether a literal went to a sink
    cdef Py_ssize_t body_parts
    cdef _Cache flags
    cdef _Cache words
    cdef _Cache names
    cdef _Cache parameters
    cdef _Cache parts
    cdef list zones
    cdef int[64] zone_minutes

    def __init__(self):
        self.flags = _Cache()
        self.words = _Cache()
        self.names = _Cache()
        self.parameters = _Cache()
        self.parts = _Cache()
        self.zones = [None] * 64

    @cython.critical_section
    cdef object from_fragments(self, tuple fragments):
        """The FETCH response in `fragments`, or None where it is not plain."""
        cdef Py_ssize_t index, length
        cdef bytes line
        cdef _Segment[_SEGMENTS] segments
        cdef _Segment* segment
        cdef Py_ssize_t count = len(fragments)
        if count % 2 == 0 or count > 2 * _SEGMENTS:
            return None
        for index in range(0, count, 2):
            if type(fragments[index]) is not bytes:
                return None
            line = <bytes> fragments[index]
            length = PyBytes_GET_SIZE(line)
            segment = &segments[index // 2]
            segment.text = PyBytes_AS_STRING(line)
            segment.fragment = NULL
            if index + 1 < count:
                length = _before_announcement(segment.text, length)
                if length < 0:
                    return None
                segment.fragment = <PyObject*> fragments[index + 1]
            segment.length = length
        return self.decode(segments, (count + 1) // 2)

    cdef object decode(self, _Segment* segments, Py_ssize_t count):
        """The FETCH response in the segments, or None where it is not plain."""
        if self.busy:
            return None  # with the response of another thread, where a reader is wrongly shared
        self.busy = True
        self.segments = segments
        self.count = count
        try:
            return self._response()
        except _Odd:
            return None
        finally:
            while self.height:
                self.height -= 1
                Py_XDECREF(self.pile[self.height])
            self.segments = NULL
            self.busy = False

    cdef inline int _push(self, object item) except -1:
        """Put an item on the pile."""
        if self.height == _PILE:
            raise _Odd
        Py_INCREF(item)
        self.pile[self.height] = <PyObject*> item
        self.height += 1
        return 0

    cdef tuple _pop(self, Py_ssize_t first):
        """Take a list from the pile: all from its first item on."""
        cdef Py_ssize_t index
        cdef Py_ssize_t size = self.height - first
        cdef tuple items
        if size == 0:
            return ()
        items = PyTuple_New(size)
        for index in range(size):
            PyTuple_SET_ITEM(items, index, <object> self.pile[first + index])
        self.height = first
        PyObject_GC_UnTrack(<void*> items)  # like the rows
        return items

    cdef inline void _go_to(self, Py_ssize_t index) noexcept:
        self.index = index
        self.at = self.segments[index].text
        self.end = self.at + self.segments[index].length
        self._find_escape(self.at)

    cdef inline void _find_escape(self, const char* start) noexcept:
        """Most lines have no backslash in a string: looking once spares looking in each string."""
        self.escape = <const char*> memchr(start, c"\\", self.end - start) if start < self.end else NULL
        if self.escape == NULL:
            self.escape = self.end

    cdef inline bint _next_is(self, char octet) noexcept:
        return self.at < self.end and self.at[0] == octet

    cdef inline int _expect(self, char octet) except -1:
        if self.at >= self.end or self.at[0] != octet:
            raise _Odd
        self.at += 1
        return 0

    cdef long long _number(self) except -1:
        cdef const char* at = self.at
        cdef const char* end = self.end if self.end - at < 20 else at + 20
        cdef unsigned long long number = 0
        cdef unsigned int digit
        while at < end:
            digit = <unsigned int> (<unsigned char> at[0]) - c"0"
            if digit > 9:
                break
            number = 10 * number + digit
            at += 1
        if not 0 < at - self.at < 20 or number > <unsigned long long> _MAX_SIZE:
            raise _Odd
        self.at = at
        return <long long> number

    cdef object _quoted(self):
        cdef const char* text = self.at + 1
        cdef const char* stop
        cdef bytes octets
        if self.at >= self.end or self.at[0] != c'"':
            raise _Odd
        stop = <const char*> memchr(text, c'"', self.end - text)
        if stop == NULL:
            raise _Odd
        if self.escape < stop:
            if self.escape < text:
                self._find_escape(text)
            if self.escape < stop:
                return self._escaped()
        octets = PyBytes_FromStringAndSize(text, stop - text)
        self.at = stop + 1
        return octets

    cdef object _escaped(self):
        """A quoted string with escapes."""
        cdef const char* text = self.at + 1
        cdef PyObject* octets
        cdef char* out
        cdef Py_ssize_t size = 0
        cdef char octet
        while True:  # first the end, so that not the whole rest of the response is allocated
            if text >= self.end:
                raise _Odd
            if text[0] == c'"':
                break
            text += 2 if text[0] == c"\\" else 1
        octets = _new_bytes(NULL, text - self.at)
        out = _bytes_data(octets)
        self.end, stop = text, self.end
        text = self.at + 1
        while text < self.end:
            octet = text[0]
            text += 1
            if octet == c"\\" and text < self.end:
                octet = text[0]
                text += 1
                if octet != c'"' and octet != c"\\":
                    self.end = stop
                    Py_XDECREF(octets)
                    raise _Odd
            out[size] = octet
            size += 1
        self.at = self.end + 1
        self.end = stop
        _PyBytes_Resize(&octets, size)
        result = <object> octets
        Py_XDECREF(octets)
        return result

    cdef object _literal(self):
        cdef _Segment* segment = &self.segments[self.index]
        if self.at != self.end or self.index + 1 >= self.count:
            raise _Odd
        self._go_to(self.index + 1)
        if segment.fragment != NULL:
            value = <object> segment.fragment
            if type(value) is not bytes:
                if type(value) is not _Streamed:
                    raise _Odd
                self.streamed = True
            return value
        return PyBytes_FromStringAndSize(segment.literal, segment.literal_length)

    cdef object _nstring(self):
        if self.at < self.end:
            if self.at[0] == c'"':
                return self._quoted()
            if _skip(&self.at, self.end, b"NIL", 3):
                return None
            raise _Odd
        value = self._literal()
        if type(value) is not bytes:
            raise _Odd  # gone to a sink
        return value

    cdef object _response(self):
        cdef object row = _new_row(_FetchedMessage, _POSITIONS)
        cdef tuple others = ()
        cdef long long number
        self.streamed = False
        self.present = 0
        self._go_to(0)
        if not _skip(&self.at, self.end, b"* ", 2):
            raise _Odd
        number = self._number()
        if not 0 < number <= _MAX_UID:
            raise _Odd
        if _skip(&self.at, self.end, b" FETCH (", 8):
            _set(row, _SEQUENCE_NUMBER, number)
        elif _skip(&self.at, self.end, b" UIDFETCH (", 11):
            self._once(_UID)
            _set(row, _UID, number)
        else:
            raise _Odd
        while True:
            if self.end - self.at < 4:
                raise _Odd
            if self.at[0] == c"U" and _skip(&self.at, self.end, b"UID ", 4):
                self._once(_UID)
                number = self._number()
                if not 0 < number <= _MAX_UID:
                    raise _Odd
                _set(row, _UID, number)
            elif self.at[0] == c"F" and _skip(&self.at, self.end, b"FLAGS (", 7):
                self._once(_FLAGS)
                _set(row, _FLAGS, self._flags())
            elif self.at[0] == c"R" and _skip(&self.at, self.end, b"RFC822.SIZE ", 12):
                self._once(_SIZE)
                _set(row, _SIZE, self._number())
            elif self.at[0] == c"I" and _skip(&self.at, self.end, b"INTERNALDATE ", 13):
                self._once(_INTERNAL_DATE)
                _set(row, _INTERNAL_DATE, self._date())
            elif self.at[0] == c"E" and _skip(&self.at, self.end, b"ENVELOPE ", 9):
                self._once(_ENVELOPE)
                _set(row, _ENVELOPE, self._envelope())
            elif self.at[0] == c"M" and _skip(&self.at, self.end, b"MODSEQ (", 8):
                self._once(_MOD_SEQUENCE)
                _set(row, _MOD_SEQUENCE, self._number())
                self._expect(c")")
            elif self.at[0] == c"B" and _skip(&self.at, self.end, b"BODY[] ", 7):
                others = self._whole("BODY[]", row, others)
            elif self.at[0] == c"B" and (
                _skip(&self.at, self.end, b"BODYSTRUCTURE ", 14) or _skip(&self.at, self.end, b"BODY ", 5)
            ):
                self._once(_BODY_STRUCTURE)
                self.body_parts = 0
                _set(row, _BODY_STRUCTURE, self._body("", 0, 0))
            elif self.at[0] == c"R" and _skip(&self.at, self.end, b"RFC822 ", 7):
                others = self._whole("RFC822", row, others)
            else:
                others = self._with_other(others)
            if not self._next_is(c" "):
                break
            self.at += 1
        self._expect(c")")
        if self.at != self.end or self.index + 1 != self.count:
            raise _Odd
        if others and not self.streamed:
            PyObject_GC_UnTrack(<void*> others)
        _set(row, _ITEMS, others)
        _set(row, _DEFECTS, ())
        _set(row, _PRESENT, self.present)
        _complete_row(row)
        if self.streamed:
            PyObject_GC_Track(<void*> row)
        return row

    cdef inline int _once(self, int position) except -1:
        """Take down that the item for this position is there; in a plain response it is there once."""
        cdef unsigned int presence = 1 << (position - 1)  # one of PRESENT_UID, PRESENT_FLAGS, ...
        if self.present & presence:
            raise _Odd
        self.present |= presence
        return 0

    cdef tuple _whole(self, str name, object row, tuple others):
        """The whole message: it goes into the row, or into the other items where it went to a sink."""
        self._once(_BODY)
        value = self._section()
        if type(value) is _Streamed:
            return others + (_item(name, value),)
        _set(row, _BODY, value)
        return others

    cdef tuple _with_other(self, tuple others):
        cdef object other = self._other()
        for item in others:
            if (<tuple> item)[0] == (<tuple> other)[0]:
                raise _Odd
        if len(others) == _SEGMENTS:
            raise _Odd
        self.present |= _PRESENT_OTHER
        return others + (other,) if others else (other,)

    cdef object _section(self):
        """What stands for a section: octets, or what stands for those that went to a sink."""
        if self.at == self.end:
            return self._literal()
        return self._nstring()

    cdef object _other(self):
        """Any other data item with its value."""
        cdef const char* name = self.at
        cdef const char* stop
        cdef object key, value
        if _skip(&self.at, self.end, b"X-GM-MSGID ", 11):
            value = self._number()
            key = "X-GM-MSGID"
        elif _skip(&self.at, self.end, b"X-GM-THRID ", 11):
            value = self._number()
            key = "X-GM-THRID"
        else:
            if _skip(&self.at, self.end, b"BODY[", 5):
                stop = <const char*> memchr(self.at, c"]", self.end - self.at)
                if stop == NULL:
                    raise _Odd
                stop += 1
                if stop < self.end and stop[0] == c"<":
                    stop = <const char*> memchr(stop, c">", self.end - stop)
                    if stop == NULL:
                        raise _Odd
                    stop += 1
                self.at = stop
            elif not (
                _skip(&self.at, self.end, b"RFC822.HEADER", 13) or _skip(&self.at, self.end, b"RFC822.TEXT", 11)
            ):
                raise _Odd
            key = self._name(name, self.at - name)
            self._expect(c" ")
            value = self._section()
        return _item(key, value)

    cdef str _name(self, const char* text, Py_ssize_t length):
        """The name of a section, upper case."""
        cdef bytes octets
        cdef str name
        if length > _CACHED:
            raise _Odd
        cached = self.names.get(text, length)
        if cached is not None:
            return <str> cached
        octets = PyBytes_FromStringAndSize(text, length)
        name = _canonical_name(octets)
        self.names.put(octets, name)
        return name

    cdef object _flags(self):
        """A list of flags, behind its opening parenthesis."""
        cdef const char* stop = <const char*> memchr(self.at, c")", self.end - self.at)
        cdef Py_ssize_t length
        cdef bytes octets
        if stop == NULL:
            raise _Odd
        length = stop - self.at
        if length == 0:
            self.at = stop + 1
            return _NO_FLAGS
        if length <= _CACHED:
            cached = self.flags.get(self.at, length)
            if cached is not None:
                self.at = stop + 1
                return cached
        octets = PyBytes_FromStringAndSize(self.at, length)
        flags = _flags_of(octets)
        if length <= _CACHED:
            self.flags.put(octets, flags)
        self.at = stop + 1
        return flags

    cdef object _date(self):
        """INTERNALDATE: "dd-Mon-yyyy hh:mm:ss +zzzz" (RFC 9051, section 9, date-time)."""
        cdef char[28] text
        cdef int month, year, offset
        cdef unsigned int day, hour, minute, second, zone_hours, zone_minutes, name
        if self.end - self.at < 28:
            raise _Odd
        memcpy(text, self.at, 28)
        self.at += 28
        if text[1] == c" ":
            text[1] = c"0"  # a day of one digit
        if (
            text[0] != c'"' or text[3] != c"-" or text[7] != c"-" or text[12] != c" " or text[15] != c":"
            or text[18] != c":" or text[21] != c" " or text[27] != c'"' or (text[22] != c"+" and text[22] != c"-")
        ):
            raise _Odd
        month = 0
        name = _three(text + 4)
        while month < 12 and _MONTHS[month] != name:
            month += 1
        # What is not two digits makes a number larger than any that is allowed.
        day = _two_digits(text + 1)
        year = <int> (100 * _two_digits(text + 8) + _two_digits(text + 10))
        hour = _two_digits(text + 13)
        minute = _two_digits(text + 16)
        second = _two_digits(text + 19)
        zone_hours = _two_digits(text + 23)
        zone_minutes = _two_digits(text + 25)
        if month == 12 or not 1 <= year <= 9999 or hour > 23 or minute > 59 or second > 59:
            raise _Odd
        if zone_hours > 23 or zone_minutes > 59 or not 1 <= day <= <unsigned int> _MONTH_DAYS[month]:
            raise _Odd
        if month == 1 and day == 29 and (year % 4 != 0 or (year % 100 == 0 and year % 400 != 0)):
            raise _Odd
        offset = <int> (60 * zone_hours + zone_minutes)
        if text[22] == c"-":
            offset = -offset
        return datetime_new(year, month + 1, day, hour, minute, second, 0, self._zone(offset))

    cdef object _zone(self, int minutes):
        cdef Py_ssize_t slot = <unsigned int> (minutes // 15) % 64
        if self.zones[slot] is None or self.zone_minutes[slot] != minutes:
            self.zones[slot] = timezone_new(timedelta_new(0, 60 * minutes, 0))
            self.zone_minutes[slot] = minutes
        return self.zones[slot]

    cdef object _envelope(self):
        cdef object row = _new_row(_Envelope, 10)
        cdef const char* text
        cdef Py_ssize_t index, length, position
        self._expect(c"(")
        _set(row, 0, self._nstring())  # date
        self._expect(c" ")
        _set(row, 1, self._nstring())  # subject
        self._expect(c" ")
        # Mostly From, Sender and Reply-To are the same: then they become one object.
        text = self.at
        index = self.index
        _set(row, 2, self._addresses())
        length = self.at - text if self.index == index else -1
        for position in range(3, 8):  # sender, reply_to, to, cc, bcc
            self._expect(c" ")
            if position < 5 and self._repeats(text, length):
                _set(row, position, (<tuple> row)[2])
            else:
                _set(row, position, self._addresses())
        self._expect(c" ")
        _set(row, 8, self._nstring())  # in_reply_to
        self._expect(c" ")
        _set(row, 9, self._nstring())  # message_id
        self._expect(c")")
        return row

    cdef inline bint _repeats(self, const char* text, Py_ssize_t length) noexcept:
        return length > 0 and _skip(&self.at, self.end, text, length)

    cdef tuple _addresses(self):
        cdef Py_ssize_t first = self.height
        if _skip(&self.at, self.end, b"NIL", 3):
            return ()
        self._expect(c"(")
        while True:
            self._push(self._address())
            if self._next_is(c")"):
                break
            if self._next_is(c" "):
                self.at += 1
        self.at += 1
        return self._pop(first)

    cdef object _address(self):
        cdef object row = _new_row(_Address, 4)
        self._expect(c"(")
        _set(row, 0, self._nstring())  # name
        self._expect(c" ")
        _set(row, 1, self._nstring())  # route
        self._expect(c" ")
        _set(row, 2, self._nstring())  # mailbox
        self._expect(c" ")
        _set(row, 3, self._nstring())  # host
        self._expect(c")")
        return row

    cdef str _word(self):
        """A quoted string in which case does not matter, in lower case."""
        cdef const char* text = self.at + 1
        cdef const char* stop
        cdef bytes octets
        cdef str word
        self._expect(c'"')
        stop = <const char*> memchr(text, c'"', self.end - text)
        if stop == NULL or stop - text > _CACHED:
            raise _Odd
        self.at = stop + 1
        cached = self.words.get(text, stop - text)
        if cached is not None:
            return <str> cached
        octets = PyBytes_FromStringAndSize(text, stop - text)
        if not octets.isascii() or b"\\" in octets or octets != octets.strip():
            raise _Odd
        word = octets.decode("ascii").lower()
        word = _WORDS.get(word, word)
        self.words.put(octets, word)
        return word

    cdef object _parameters(self):
        """Pairs of a name and its octets (RFC 9051, section 9, body-fld-param)."""
        cdef const char* text = self.at
        cdef Py_ssize_t index = self.index
        cdef Py_ssize_t first = self.height
        cdef const char* stop
        cdef object name, value, cached
        cdef tuple pair, result
        if _skip(&self.at, self.end, b"NIL", 3):
            return ()
        self._expect(c"(")
        # Mostly it is ("charset" "utf-8") and the like; but a parenthesis in a string ends no list.
        stop = <const char*> memchr(text, c")", self.end - text)
        if stop != NULL and stop - text <= 32:
            cached = self.parameters.get(text, stop - text + 1)
            if cached is not None:
                self.at = stop + 1
                return cached
        while True:
            name = self._word()
            self._expect(c" ")
            value = self._nstring()
            if value is None:
                raise _Odd
            pair = (name, value)
            PyObject_GC_UnTrack(<void*> pair)
            self._push(pair)
            if self._next_is(c")"):
                break
            self._expect(c" ")
        self.at += 1
        result = self._pop(first)
        if self.index == index and stop == self.at - 1 and stop - text <= 32:
            self.parameters.put(PyBytes_FromStringAndSize(text, stop - text + 1), result)
        return result

    cdef str _part(self, str parent, Py_ssize_t number):
        """The path of a part: that of its parent and its number."""
        cdef char[_CACHED] text
        cdef Py_ssize_t length = 0
        cdef Py_ssize_t digits = 1
        cdef Py_ssize_t rest = number
        cdef bytes octets
        if parent:
            octets = (<str> parent).encode("ascii")
            length = PyBytes_GET_SIZE(octets)
            if length > _CACHED - 8:
                raise _Odd
            memcpy(text, PyBytes_AS_STRING(octets), length)
            text[length] = c"."
            length += 1
        while rest >= 10:
            rest //= 10
            digits += 1
        if digits > 6:
            raise _Odd
        length += digits
        rest = number
        for digits in range(1, digits + 1):
            text[length - digits] = <char> (c"0" + rest % 10)
            rest //= 10
        cached = self.parts.get(text, length)
        if cached is not None:
            return <str> cached
        octets = PyBytes_FromStringAndSize(text, length)
        part = octets.decode("ascii")
        self.parts.put(octets, part)
        return part

    cdef object _body(self, str parent, Py_ssize_t number, Py_ssize_t depth):
        """A body structure: part `number` in `parent`, or where that is 0 the whole of the message that `parent` is."""
        cdef object row = _new_row(_BodyStructure, 16)
        cdef object lines = None, md5
        cdef tuple parts
        cdef str kind, subtype, encoding, part
        cdef Py_ssize_t first = self.height
        self.body_parts += 1
        if depth >= _PLAIN_DEPTH or self.body_parts > _PLAIN_PARTS:
            raise _Odd
        self._expect(c"(")
        if self._next_is(c"("):
            part = self._part(parent, number) if number else parent
            kind = "multipart"
            while self._next_is(c"("):
                self._push(self._body(part, self.height - first + 1, depth + 1))
                if self._next_is(c" ") and self.at + 1 < self.end and self.at[1] == c"(":
                    self.at += 1
            _set(row, 10, self._pop(first))  # parts
            self._expect(c" ")
            subtype = self._word()
            if self._next_is(c" "):
                self.at += 1
                _set(row, 3, self._parameters())
            else:
                _set(row, 3, ())
            _set(row, 6, "")  # encoding
        else:
            part = self._part(parent, number or 1)
            kind = self._word()
            self._expect(c" ")
            subtype = self._word()
            self._expect(c" ")
            _set(row, 3, self._parameters())
            self._expect(c" ")
            _set(row, 4, self._nstring())  # content_id
            self._expect(c" ")
            _set(row, 5, self._nstring())  # description
            self._expect(c" ")
            encoding = self._word()
            if not encoding:
                raise _Odd
            _set(row, 6, encoding)
            self._expect(c" ")
            _set(row, 7, self._number())  # size
            parts = ()
            if kind is _TEXT:
                self._expect(c" ")
                lines = self._number()
            elif kind is _MESSAGE and (subtype is _RFC822 or subtype is _GLOBAL):
                self._expect(c" ")
                _set(row, 9, self._envelope())
                self._expect(c" ")
                parts = (self._body(part, 0, depth + 1),)
                PyObject_GC_UnTrack(<void*> parts)
                self._expect(c" ")
                lines = self._number()
            elif kind is _MULTIPART:
                raise _Odd  # a multipart without parts, as Courier 5.0 sends it
            _set(row, 8, lines)
            _set(row, 10, parts)
            if self._next_is(c" "):
                self.at += 1
                md5 = self._nstring()
                _set(row, 11, md5)
                if lines is None and md5 is not None and md5.strip(b" ").isdigit():
                    raise _Odd  # lines, of a part that should have none
        if not kind or not subtype:
            raise _Odd
        _set(row, 0, part)
        _set(row, 1, kind)
        _set(row, 2, subtype)
        language = ()
        if self._next_is(c" "):
            self.at += 1
            _set(row, 12, self._disposition())
            if self._next_is(c" "):
                self.at += 1
                language = self._language()
                if self._next_is(c" "):
                    self.at += 1
                    _set(row, 14, self._nstring())  # location
        self._expect(c")")
        _set(row, 13, language)
        _set(row, 15, ())  # extensions
        _complete_row(row)
        return row

    cdef object _disposition(self):
        cdef tuple disposition
        if _skip(&self.at, self.end, b"NIL", 3):
            return None
        self._expect(c"(")
        kind = self._word()
        self._expect(c" ")
        disposition = (kind, self._parameters())
        self._expect(c")")
        PyObject_GC_UnTrack(<void*> disposition)
        return disposition

    cdef object _language(self):
        cdef Py_ssize_t first = self.height
        if _skip(&self.at, self.end, b"NIL", 3):
            return ()
        if self._next_is(c'"'):
            self._push(self._tag())
            return self._pop(first)
        self._expect(c"(")
        self._push(self._tag())
        while not self._next_is(c")"):
            self._expect(c" ")
            self._push(self._tag())
        self.at += 1
        return self._pop(first)

    cdef str _tag(self):
        cdef bytes octets = self._quoted()
        if not octets.isascii():
            raise _Odd
        return octets.decode("ascii")


cdef inline unsigned int _three(const char* text) noexcept:
    return <unsigned char> text[0] << 16 | <unsigned char> text[1] << 8 | <unsigned char> text[2]


cdef inline unsigned int _two_digits(const char* text) noexcept:
    cdef unsigned int tens = <unsigned int> (<unsigned char> text[0]) - c"0"
    cdef unsigned int ones = <unsigned int> (<unsigned char> text[1]) - c"0"
    return 10 * tens + ones if tens < 10 and ones < 10 else 100_000


cdef frozenset _flags_of(bytes octets):
    cdef list flags = []
    cdef str flag
    if not octets.isascii():
        raise _Odd
    for flag in octets.decode("ascii").split(" "):
        if not _is_plain_flag(flag):
            raise _Odd
        flags.append(_SYSTEM_FLAGS.get(flag.lower(), flag))
    return frozenset(flags)


cdef bint _is_plain_flag(str flag):
    """Whether it is an atom, perhaps with a backslash in front of it, and not NIL."""
    cdef Py_UCS4 character
    if flag.startswith("\\"):
        flag = flag[1:]
    if not flag or flag.upper() == "NIL":
        return False
    for character in flag:
        if character <= 32 or character >= 127 or character in '(){}%*"\\[]':
            return False
    return True


cdef str _canonical_name(bytes octets):
    """The name of a section in upper case; _Odd where that alone does not make it canonical."""
    cdef str name
    if not octets.isascii():
        raise _Odd
    name = octets.decode("ascii").upper()
    if _PLAIN_NAME.fullmatch(name) is None:
        raise _Odd
    return name


# The specifiers of a section, and names of header fields without anything that has to be quoted.
_PLAIN_NAME = re.compile(
    r"""RFC822\.(?:HEADER|TEXT)
    | BODY\[ (?: [1-9][0-9]*(?:\.[1-9][0-9]*)*
             | (?:[1-9][0-9]*\.)* (?: HEADER | TEXT | MIME
                | HEADER\.FIELDS(?:\.NOT)? [ ]\( [-!#-'*+,./0-9<-Z^_`|~]+ (?:[ ][-!#-'*+,./0-9<-Z^_`|~]+)* \) ) )? \]
      (?: < (?:0|[1-9][0-9]{0,17}) > )?""",
    re.VERBOSE,
)
cdef _Decoder _shared_decoder = _Decoder()  # of fetch()


@cython.final
cdef class ResponseReader:
    """Frames the octets of one connection into responses; see :mod:`fastimap.parser`."""

    cdef Py_ssize_t line_limit
    cdef unsigned long long literal_limit
    cdef unsigned long long other_literal_limit
    cdef Py_ssize_t response_limit
    cdef Py_ssize_t literals_limit
    cdef _Decoder decoder
    cdef _Memory memory
    cdef Py_ssize_t start  # first octet that nobody has taken
    cdef Py_ssize_t scanned  # no LF stands before this position
    cdef Py_ssize_t end  # behind the last octet received
    cdef Py_ssize_t offered  # octets of room that the last get_buffer() gave
    cdef bint offered_in_place
    cdef _Memory in_place  # the literal that is received into its final memory
    cdef Py_ssize_t in_place_size
    cdef Py_ssize_t received
    # The response that is half framed.
    cdef _Mode mode
    cdef list fragments
    cdef str type
    cdef bytes head
    cdef Py_ssize_t literal_size
    cdef Py_ssize_t literals
    cdef Py_ssize_t octets
    cdef Py_ssize_t depth
    cdef Py_ssize_t depth_counted
    cdef bint in_fetch
    # Literals for a sink.
    cdef object sink
    cdef bint calling
    cdef bytes lead  # the first of the response's lines, as far as a sink has been shown them
    cdef object write  # the literal at hand goes there
    cdef object error  # of the sink or of write()
    cdef Py_ssize_t streamed
    cdef object failure

    def __init__(self, limits=DEFAULT_LIMITS):
        self.line_limit = min(limits.line, _MAX_SIZE)
        self.literal_limit = min(limits.literal, _MAX_SIZE)
        self.other_literal_limit = min(limits.other_literal, self.literal_limit)
        self.response_limit = min(limits.response, _MAX_SIZE)
        self.literals_limit = min(limits.literals, _MAX_SIZE)
        self.decoder = _Decoder()
        self.memory = _Memory(_BUFFER_SIZE)
        self.start = self.scanned = self.end = self.offered = 0
        self.offered_in_place = False
        self.in_place = None
        self.in_place_size = self.received = 0
        self.mode = _RESPONSES
        self.fragments = []
        self.type = ""
        self.head = b""
        self.literal_size = -1
        self.literals = self.octets = self.depth = self.depth_counted = 0
        self.in_fetch = self.calling = False
        self.sink = self.write = self.error = None
        self.lead = b""
        self.streamed = 0
        self.failure = None

    # Octets in.

    @property
    def buffered(self):
        return self.end - self.start + self.received

    @property
    def in_response(self):
        return self._in_response()

    cdef inline bint _in_response(self) noexcept:
        return self.literal_size >= 0 or len(self.fragments) > 0

    @cython.critical_section
    def get_buffer(self, size_hint=-1):
        cdef _Memory memory
        self._check_call()
        self.offered_in_place = self.in_place is not None and self.received < self.in_place_size
        if self.offered_in_place:
            memory = self._literal_room()
            memory.offset = self.received
        else:
            self._check_positions()
            if self.start == self.end:
                self.start = self.scanned = self.end = 0
            elif self.memory.capacity - self.end < _BUFFER_SIZE // 4:
                self._make_room()
            memory = self.memory
            memory.offset = self.end
        self.offered = memory.capacity - memory.offset
        return PyMemoryView_FromObject(memory)

    @cython.critical_section
    def buffer_updated(self, Py_ssize_t nbytes):
        if not 0 < nbytes <= self.offered:
            raise ValueError(f"buffer_updated({nbytes}) after get_buffer() gave {self.offered} octets")
        self.offered = 0
        if self.offered_in_place:
            self.received += nbytes
        else:
            self.end += nbytes

    @cython.critical_section
    def take_rest(self):
        cdef bytes rest = b""
        self._check_call()
        self._check_positions()
        if self.in_place is not None:
            rest = PyBytes_FromStringAndSize(self.in_place.data, self.received)
            self.in_place = None
            self.received = 0
        rest += PyBytes_FromStringAndSize(self.memory.data + self.start, self.end - self.start)
        self.start = self.scanned = self.end = self.offered = 0
        return rest

    cdef int _check_positions(self) except -1:
        if not 0 <= self.start <= self.scanned <= self.end <= self.memory.capacity or (
            self.in_place is not None and not 0 <= self.received <= self.in_place.capacity
        ):
            raise ProtocolError("the reader was used by several threads at once")
        return 0

    cdef int _make_room(self) except -1:
        """Move what is left to the front; twice the memory when that is half full."""
        cdef Py_ssize_t kept = self.end - self.start
        cdef _Memory memory = self.memory
        if kept > memory.capacity // 2:
            # A new object: views of the old one may be alive, and those must stay valid.
            memory = _Memory(2 * memory.capacity)
        memmove(memory.data, self.memory.data + self.start, kept)
        self.memory = memory
        self.scanned -= self.start
        self.start = 0
        self.end = kept
        return 0

    cdef _Memory _literal_room(self):
        cdef _Memory memory = self.in_place
        cdef _Memory larger
        cdef Py_ssize_t capacity
        self._check_positions()
        if self.received == memory.capacity:
            capacity = memory.capacity
            capacity = self.in_place_size if capacity > self.in_place_size // _GROWTH else _GROWTH * capacity
            try:
                if not memory.grow(capacity):  # somebody still holds the last view
                    larger = _Memory(capacity)
                    memcpy(larger.data, memory.data, self.received)
                    self.in_place = memory = larger
            except MemoryError:
                self.in_place = None
                self.received = 0
                self.failure = ProtocolError(f"no memory for a literal of {self.in_place_size} octets")
                raise
        return memory

    # Lines and literals out.

    @cython.critical_section
    def readline(self, Py_ssize_t limit=0):
        cdef Py_ssize_t stop
        self._check_readable()
        stop = self._find_line(limit or self.line_limit)
        return None if stop < 0 else self._take(stop)

    @cython.critical_section
    def read(self, size):
        self._check_readable()
        if size < 0:
            raise ValueError("read() needs a size of at least 0 octets")
        if self.in_place is not None and self.in_place_size != size:
            raise ProtocolError(f"a literal of {self.in_place_size} octets is half read")
        self._check_literal(size, self.literal_limit)
        return self._take_literal(size)

    cdef int _check_call(self) except -1:
        if self.calling:
            raise RuntimeError("a sink called the reader that called it")
        return 0

    cdef int _check_failure(self) except -1:
        self._check_call()
        if self.failure is not None:
            raise self.failure.with_traceback(None)  # not with the frames of all who were told before
        return 0

    cdef int _check_readable(self) except -1:
        self._check_failure()
        if self._in_response():
            raise ProtocolError("a response is half read")
        return 0

    cdef Py_ssize_t _find_line(self, Py_ssize_t limit) except -2:
        """Return the position behind the LF that ends the line at start, or -1."""
        cdef char* lf
        cdef Py_ssize_t stop
        if self.in_place is not None:
            raise ProtocolError(f"a literal of {self.in_place_size} octets is half read")
        self._check_positions()
        lf = <char*> memchr(self.memory.data + self.scanned, c"\n", self.end - self.scanned)
        stop = lf - self.memory.data + 1 if lf != NULL else self.end
        if stop - self.start > limit:
            raise LineTooLong(f"got more than {limit} bytes")
        if lf == NULL:
            self.scanned = self.end
            return -1
        return stop

    cdef inline bytes _take(self, Py_ssize_t stop):
        cdef bytes octets = PyBytes_FromStringAndSize(self.memory.data + self.start, stop - self.start)
        self.start = self.scanned = stop
        return octets

    cdef int _check_literal(self, size, unsigned long long limit) except -1:
        if size > limit:
            announced = str(size) if size <= _MAX_SIZE else "2**63 or more"
            raise LiteralTooLarge(f"literal of {announced} octets, more than {limit}")
        return 0

    cdef bytes _take_literal(self, Py_ssize_t size):
        cdef bytes literal
        cdef Py_ssize_t have
        if self.in_place is not None:
            if self.received < size:
                return None
            literal = <bytes> self.in_place.octets
            self.in_place = None
            self.received = 0
            return literal
        self._check_positions()
        have = self.end - self.start
        if have >= size:
            return self._take(self.start + size)
        if size > _IN_PLACE:
            self.in_place = _Memory(min(size, max(have, _FIRST_ROOM)))
            memcpy(self.in_place.data, self.memory.data + self.start, have)
            self.in_place_size = size
            self.received = have
            self.start = self.scanned = self.end = self.offered = 0
        return None

    # Responses out.

    @cython.critical_section
    def set_sink(self, sink):
        self.sink = sink

    cdef int _begin(self, _Mode mode) except -1:
        self._check_failure()
        if self.mode != mode and self._in_response():
            raise ProtocolError("a response is half read")
        self.mode = mode
        return 0

    @cython.critical_section
    def responses(self):
        cdef list batch = []
        cdef tuple response
        self._begin(_RESPONSES)
        try:
            while True:
                response = self._next_response()
                if response is None:
                    break
                batch.append(response)
        except ProtocolError as exc:
            self.failure = exc
            if not batch:
                raise
        return batch

    @cython.critical_section
    def batch(self, Py_ssize_t most=0):
        cdef list batch = []
        cdef list rows = None
        cdef tuple response
        cdef Py_ssize_t count = 0
        self._begin(_BATCH)
        try:
            while not most or count < most:
                row = self._whole_row()
                if row is None:
                    response = self._next_response()
                    if response is None:
                        break
                    row = self.decoder.from_fragments(response)
                    if row is None:
                        row = _fetched(response)
                    if row is None:
                        rows = None
                        batch.append(response)
                        count += 1
                        continue
                if rows is None:
                    rows = []
                    batch.append(rows)
                PyList_Append(rows, row)
                count += 1
        except ProtocolError as exc:
            self.failure = exc
            if not batch:
                raise
        return batch

    @cython.critical_section
    def drain(self, untagged, Py_ssize_t limit=0):
        if type(untagged) is not dict:
            raise TypeError("drain() needs a dict")
        self._begin(_DRAIN)
        try:
            return self._drain(untagged, limit or self.line_limit)
        except ProtocolError as exc:
            self.failure = exc
            raise

    cdef bytes _drain(self, dict untagged, Py_ssize_t limit):
        cdef Py_ssize_t stop, length, size, name, name_end, data, number_end
        cdef const char* line
        cdef bytes octets
        # The last response's type: mostly the next has the same.
        cdef object target = None  # its list in untagged; None where that is yet to be looked up
        cdef str type_name = None
        cdef char[32] last
        cdef Py_ssize_t last_length = -1
        while True:
            if self._in_response():
                if not self._next_fragment(limit):
                    return None
                if target is None:
                    target = self._target(untagged, self.type)
                if type(target) is list:
                    for fragment in self.fragments:
                        PyList_Append(target, fragment)
                else:
                    target.extend(self.fragments)
                self.fragments.clear()
                continue
            stop = self._find_line(limit)
            if stop < 0:
                return None
            line = self.memory.data + self.start
            length = stop - self.start

            # "* " [number " "] type [" " data] CRLF
            if length < 5 or line[0] != c"*" or line[1] != c" " or line[length - 2] != c"\r":
                return self._take(stop)
            length -= 2
            name = 2
            while name < length and c"0" <= line[name] <= c"9":
                name += 1
            number_end = name
            if name > 2:
                if name == length or line[name] != c" ":
                    return self._take(stop)
                name += 1
            name_end = name
            while name_end < length and (c"A" <= line[name_end] <= c"Z" or line[name_end] == c"-"):
                name_end += 1
            if name_end == name or (name_end < length and line[name_end] != c" "):
                return self._take(stop)
            if _is_status(line + name, name_end - name):
                return self._take(stop)

            data = name_end + 1 if name_end < length else length
            size = -1
            if length > data and line[length - 1] == c"}":
                size = self._literal_after(line + data, length - data)
            if number_end == 2:
                octets = PyBytes_FromStringAndSize(line + data, length - data)
            elif data == length:
                octets = PyBytes_FromStringAndSize(line + 2, number_end - 2)
            else:
                octets = _joined(line + 2, number_end - 2, line + data, length - data)
            if last_length != name_end - name or memcmp(last, line + name, last_length) != 0:
                type_name = PyUnicode_DecodeASCII(line + name, name_end - name, NULL)
                target = None
                last_length = name_end - name if name_end - name <= 32 else -1
                if last_length > 0:
                    memcpy(last, line + name, last_length)
            self.start = self.scanned = stop
            if size >= 0:
                self.type = type_name
                self._open(length + 2, octets, size, type_name == "FETCH")
                continue
            if target is None:
                target = self._target(untagged, type_name)
            if type(target) is list:
                PyList_Append(target, octets)
            else:
                target.append(octets)

    cdef object _target(self, dict untagged, str name):
        target = untagged.get(name)
        if target is None:
            untagged[name] = target = []
        return target

    cdef tuple _next_response(self):
        cdef Py_ssize_t stop, length, size
        cdef const char* line
        cdef bytes text
        cdef list flat
        while not self._in_response():
            stop = self._find_line(self.line_limit)
            if stop < 0:
                return None
            line = self.memory.data + self.start
            length = stop - self.start - 1
            if length > 0 and line[length - 1] == c"\r":
                length -= 1
            if length == 0:
                self.start = self.scanned = stop
                continue
            size = -1
            if line[0] == c"*" and line[length - 1] == c"}":
                size = self._literal_after(line, length)
            text = PyBytes_FromStringAndSize(line, length)
            length = stop - self.start
            self.start = self.scanned = stop
            if size < 0:
                return (text,)
            self._open(length, text, size, _is_fetch(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)))
        if not self._next_fragment(self.line_limit):
            return None
        flat = []
        for fragment in self.fragments:
            if isinstance(fragment, tuple):
                flat += fragment
            else:
                flat.append(fragment)
        self.fragments = []
        return tuple(flat)

    cdef object _whole_row(self):
        """The FETCH response at start, when all of it has arrived and it is plain; else None, and nothing is taken."""
        cdef _Memory memory = self.memory
        cdef _Segment[_SEGMENTS] segments
        cdef _Segment* segment = segments
        cdef const char* lf
        cdef const char* end
        cdef Py_ssize_t stop, length, size
        cdef Py_ssize_t count = 0
        if self._in_response():
            return None
        stop = self._find_line(self.line_limit)
        if stop < 0:
            return None
        segment.text = memory.data + self.start
        end = memory.data + self.end
        length = stop - self.start - 1
        # The shortest is "* 1 FETCH ()"; by its fifth octet on, FETCH tells itself from EXISTS and the like.
        if length < 12 or segment.text[0] != c"*" or not c"0" <= segment.text[2] <= c"9":
            return None
        while True:
            if length > 0 and segment.text[length - 1] == c"\r":
                length -= 1
            if length == 0:
                return None
            count += 1
            segment.fragment = NULL
            segment.length = length
            if segment.text[length - 1] != c"}":
                break
            size = _announced(segment.text, length)
            if size < 0 or count == _SEGMENTS or count > self.literals_limit:
                return None
            if <unsigned long long> size > self.other_literal_limit or self.sink is not None:
                return None  # a question for _announce()
            segment.length = _before_announcement(segment.text, length)
            segment.literal = memory.data + stop
            segment.literal_length = size
            if segment.length < 0 or end - segment.literal <= size:
                return None
            segment += 1
            segment.text = memory.data + stop + size
            lf = <const char*> memchr(segment.text, c"\n", end - segment.text)
            if lf == NULL or lf + 1 - segment.text > self.line_limit:
                return None
            length = lf - segment.text
            stop = lf + 1 - memory.data
        if count > 1 and stop - self.start > self.response_limit:
            return None
        row = self.decoder.decode(segments, count)
        if row is not None:
            self.start = self.scanned = stop
        return row

    cdef Py_ssize_t _literal_after(self, const char* text, Py_ssize_t length) except -2:
        """Return the size that a literal's announcement at the end of `text` gives, or -1."""
        cdef Py_ssize_t size = _announced(text, length)
        if size == _TOO_LARGE:
            self._check_literal(_MAX_SIZE + <object> 1, self.literal_limit)
        return size

    cdef int _open(self, Py_ssize_t octets, bytes head, Py_ssize_t size, bint in_fetch) except -1:
        self.literals = 0
        self.octets = octets
        self.depth = self.depth_counted = 0
        self.in_fetch = in_fetch
        self.lead = b""
        return self._announce(head, size)

    cdef int _announce(self, bytes head, Py_ssize_t size) except -1:
        """Get ready for the literal of `size` octets that `head` announces."""
        self.literals += 1
        if self.literals > self.literals_limit:
            raise TooManyLiterals(f"response with more than {self.literals_limit} literals")
        self.head = head
        self.literal_size = size
        if self.in_fetch and self.mode == _BATCH and self.sink is not None:
            self._ask_sink()
        if self.write is None:
            self._check_literal(size, self._limit_of(PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head), size))
            self._count_octets(size)
        return 0

    cdef unsigned long long _limit_of(self, const char* head, Py_ssize_t length, Py_ssize_t size) noexcept:
        """The limit for a literal of `size` octets that `head` announces."""
        if self.in_fetch and <unsigned long long> size > self.other_literal_limit and _ends_in_section(head, length):
            return self.literal_limit
        return self.other_literal_limit

    cdef int _ask_sink(self) except -1:
        cdef bytes head = self.lead + self.head
        self.lead = head[:_LEAD]
        self.streamed = 0
        self.calling = True
        try:
            self.write = self.sink(head, self.literal_size)
        except Exception as exc:
            self.error = exc
            self.write = _discard
        except BaseException:
            self.failure = ProtocolError("a sink was interrupted")
            raise
        finally:
            self.calling = False
        return 0

    cdef object _take_streamed(self):
        """Hand on what has arrived of the literal; the fragment in its place once it is complete."""
        cdef _Memory memory = self.memory
        cdef Py_ssize_t size
        self._check_positions()
        size = min(self.end - self.start, self.literal_size - self.streamed)
        if size < 0:
            raise ProtocolError("the reader was used by several threads at once")
        if size and self.error is None:
            memory.offset = self.start
            memory.stop = self.start + size
            try:
                view = PyMemoryView_FromObject(memory)
            finally:
                memory.stop = 0
            self.calling = True
            try:
                with view:
                    self.write(view)
            except Exception as exc:
                self.error = exc
            except BaseException:
                self.failure = ProtocolError("a sink was interrupted")
                raise
            finally:
                self.calling = False
        self.start += size
        self.scanned = self.start
        self.streamed += size
        if self.streamed < self.literal_size:
            return None
        streamed = Streamed(self.literal_size)
        if self.error is not None:
            streamed.error = self.error
        self.write = self.error = None
        return streamed

    cdef int _count_octets(self, Py_ssize_t octets) except -1:
        if octets > self.response_limit - self.octets:
            raise ResponseTooLarge(f"response of more than {self.response_limit} octets")
        self.octets += octets
        return 0

    cdef bint _next_fragment(self, Py_ssize_t limit) except -1:
        """Go on with the half framed response; whether it is complete."""
        cdef Py_ssize_t stop, length, size
        cdef const char* line
        cdef bytes text
        cdef object literal
        cdef tuple pair
        while True:
            if self.literal_size >= 0:
                literal = self._take_literal(self.literal_size) if self.write is None else self._take_streamed()
                if literal is None:
                    return False
                pair = (self.head, literal)
                if type(literal) is bytes:
                    PyObject_GC_UnTrack(<void*> pair)  # bytes alone can be in no cycle
                PyList_Append(self.fragments, pair)
                self.literal_size = -1
            stop = self._find_line(limit)
            if stop < 0:
                return False
            length = stop - self.start
            self._count_octets(length)
            line = self.memory.data + self.start
            length -= 1
            if length > 0 and line[length - 1] == c"\r":
                length -= 1
            elif self.mode == _DRAIN:
                text = self._take(stop)
                raise ProtocolError(f"unterminated line: {_shown(text)}")
            text = PyBytes_FromStringAndSize(line, length)
            size = -1
            if length > 0 and line[length - 1] == c"}":
                size = self._literal_after(line, length)
            self.start = self.scanned = stop
            if length == 0 and self._open_parentheses() > 0:
                continue  # some servers send an empty line behind a literal; the list goes on after it
            if size < 0:
                PyList_Append(self.fragments, text)
                return True
            self._announce(text, size)

    cdef Py_ssize_t _open_parentheses(self):
        cdef Py_ssize_t index
        for index in range(self.depth_counted, len(self.fragments)):
            self.depth += _net_parentheses(self.fragments[index][0])
        self.depth_counted = len(self.fragments)
        return self.depth


cdef object _fetched(tuple fragments):
    return _fetch.fetch(fragments)


def _discard(octets):
    pass


cdef bint _is_fetch(const char* text, Py_ssize_t length) noexcept:
    cdef Py_ssize_t position = 1
    cdef Py_ssize_t number
    if length == 0 or text[0] != c"*":
        return False
    position = _behind_spaces(text, length, 1)
    number = position
    while position < length and c"0" <= text[position] <= c"9":
        position += 1
    if number == 1 or position == number:
        return False
    number = position
    position = _behind_spaces(text, length, position)
    if position == number:
        return False
    if _begins_with(text + position, length - position, b"uid"):
        position += 3
    if not _begins_with(text + position, length - position, b"fetch"):
        return False
    position = _behind_spaces(text, length, position + 5)
    return position < length and text[position] == c"("


cdef inline Py_ssize_t _behind_spaces(const char* text, Py_ssize_t length, Py_ssize_t position) noexcept:
    while position < length and text[position] == c" ":
        position += 1
    return position


cdef bint _ends_in_section(const char* text, Py_ssize_t length) noexcept:
    """Whether `text` announces a literal with a part of the message, as against one in an ENVELOPE, say."""
    cdef Py_ssize_t stop = _before_announcement(text, length)
    if stop < 2 or text[stop - 1] != c" ":
        return False
    if text[stop - 2] == c"]" or text[stop - 2] == c">":
        return True
    return (
        (stop >= 7 and _begins_with(text + stop - 7, 7, b"rfc822 "))
        or (stop >= 14 and _begins_with(text + stop - 14, 14, b"rfc822.header "))
        or (stop >= 12 and _begins_with(text + stop - 12, 12, b"rfc822.text "))
    )


# What _announced() says of a size that is 2**63 or more.
cdef enum:
    _TOO_LARGE = -3


cdef Py_ssize_t _announced(const char* text, Py_ssize_t length) noexcept:
    """Return the size that a literal's announcement at the end of `text` gives, or -1."""
    cdef Py_ssize_t position = length - 2
    cdef Py_ssize_t last
    cdef unsigned long long size = 0
    if position >= 0 and text[position] == c"+":
        position -= 1
    last = position
    while position >= 0 and c"0" <= text[position] <= c"9":
        position -= 1
    if position == last or position < 0 or text[position] != c"{":
        return -1
    position += 1
    while position < last and text[position] == c"0":
        position += 1
    if last - position >= 19:
        return _TOO_LARGE
    while position <= last:
        size = 10 * size + <unsigned long long> (text[position] - c"0")
        position += 1
    return _TOO_LARGE if size > <unsigned long long> _MAX_SIZE else <Py_ssize_t> size


cdef inline bint _is_status(const char* name, Py_ssize_t length) noexcept:
    if length == 2:
        return memcmp(name, b"OK", 2) == 0 or memcmp(name, b"NO", 2) == 0
    if length == 3:
        return memcmp(name, b"BAD", 3) == 0 or memcmp(name, b"BYE", 3) == 0
    return length == 7 and memcmp(name, b"PREAUTH", 7) == 0


cdef inline bytes _joined(const char* number, Py_ssize_t digits, const char* data, Py_ssize_t length):
    cdef bytes octets = PyBytes_FromStringAndSize(NULL, digits + 1 + length)
    cdef char* out = PyBytes_AS_STRING(octets)
    memcpy(out, number, digits)
    out[digits] = c" "
    memcpy(out + digits + 1, data, length)
    return octets


cdef Py_ssize_t _net_parentheses(bytes octets):
    """Return the opening less the closing parentheses of `octets` that stand outside quoted strings."""
    cdef const char* text = PyBytes_AS_STRING(octets)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(octets)
    cdef Py_ssize_t net = 0
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t end
    cdef bint quotes = True
    cdef char octet
    while position < length:
        octet = text[position]
        position += 1
        if octet == c"(":
            net += 1
        elif octet == c")":
            net -= 1
        elif octet == c'"' and quotes:
            end = _end_of_quoted(text, length, position)
            if end < 0:
                quotes = False  # no later quote can be closed either
            else:
                position = end
    return net


cdef Py_ssize_t _end_of_quoted(const char* text, Py_ssize_t length, Py_ssize_t position) noexcept:
    """Return the position behind the quote that closes the string opened before `position`, or -1."""
    while position < length:
        if text[position] == c'"':
            return position + 1
        position += 2 if text[position] == c"\\" else 1
    return -1


cdef str _shown(bytes octets):
    return repr(octets) if len(octets) <= _SHOWN else repr(octets[:_SHOWN]) + "..."


def tokenize(fragments, depth=DEFAULT_LIMITS.depth):
    """Return the values in `fragments`; see :mod:`fastimap.parser`."""
    cdef list values = []
    cdef list lists = []
    cdef bytes octets
    cdef const char* text
    cdef Py_ssize_t count = len(fragments)
    cdef Py_ssize_t index, length, position, stop
    cdef Py_ssize_t max_depth = min(depth, _MAX_SIZE)
    cdef bint sections
    cdef const char* bracket
    cdef char octet
    for index in range(0, count, 2):
        octets = fragments[index]
        text = PyBytes_AS_STRING(octets)
        length = PyBytes_GET_SIZE(octets)
        if index + 1 < count:
            length = _before_announcement(text, length)
            if length < 0:
                raise ParseError(f"line {index // 2} announces no literal: {_shown(octets)}")
        position = 0
        sections = True
        while position < length:
            octet = text[position]
            if octet == c" ":
                position += 1
            elif octet == c"(":
                if len(lists) >= max_depth:
                    raise NestingTooDeep(f"parentheses nested deeper than {max_depth}")
                lists.append(values)
                values = []
                position += 1
            elif octet == c")":
                if not lists:
                    raise ParseError(f"unexpected ')' at octet {position} of line {index // 2}")
                done = tuple(values)
                values = <list> lists.pop()
                values.append(done)
                position += 1
            elif octet == c'"':
                stop = _end_of_string(text, length, position + 1)
                if stop < 0:
                    raise ParseError(f"quoted string not closed at octet {position} of line {index // 2}")
                values.append(_string(text + position + 1, stop - position - 2))
                position = stop
            else:
                stop = _end_of_atom(text, length, position)
                if sections and _is_section(text + position, length - position):
                    bracket = <const char*> memchr(text + position, c"]", length - position)
                    if bracket == NULL:
                        sections = False  # nor does a later section in this line end
                    else:
                        stop = _end_of_atom(text, length, bracket - text)
                values.append(_atom(text + position, stop - position))
                position = stop
        if index + 1 < count:
            values.append(fragments[index + 1])
    if lists:
        raise ParseError(f"{len(lists)} parentheses not closed")
    return tuple(values)


cdef Py_ssize_t _before_announcement(const char* text, Py_ssize_t length) noexcept:
    """Return the length of `text` without ``~{n+}`` and the like at its end, or -1."""
    cdef Py_ssize_t position = length - 1
    cdef Py_ssize_t last
    if position < 0 or text[position] != c"}":
        return -1
    position -= 1
    if position >= 0 and text[position] == c"+":
        position -= 1
    last = position
    while position >= 0 and c"0" <= text[position] <= c"9":
        position -= 1
    if position == last or position < 0 or text[position] != c"{":
        return -1
    return position - 1 if position > 0 and text[position - 1] == c"~" else position


cdef Py_ssize_t _end_of_string(const char* text, Py_ssize_t length, Py_ssize_t position) noexcept:
    # A quote that neither a space, a parenthesis nor the end follows is taken as part of the string: servers
    # send unescaped quotes, and no grammar puts two strings side by side.
    while position < length:
        if text[position] == c"\\":
            position += 2
            continue
        position += 1
        if text[position - 1] == c'"' and (position == length or text[position] in b" ()"):
            return position
    return -1


cdef bytes _string(const char* text, Py_ssize_t length):
    cdef bytes plain
    cdef char* out
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t kept = 0
    if length == 0 or memchr(text, c"\\", length) == NULL:
        return PyBytes_FromStringAndSize(text, length)
    # First how many octets stay, then the octets: a string is copied once.
    while position < length:
        position += 2 if _is_escape(text, length, position) else 1
        kept += 1
    plain = PyBytes_FromStringAndSize(NULL, kept)
    out = PyBytes_AS_STRING(plain)
    position = 0
    while position < length:
        if _is_escape(text, length, position):
            position += 1
        out[0] = text[position]
        out += 1
        position += 1
    return plain


cdef inline bint _is_escape(const char* text, Py_ssize_t length, Py_ssize_t position) noexcept:
    return (
        text[position] == c"\\"
        and position + 1 < length
        and (text[position + 1] == c'"' or text[position + 1] == c"\\")
    )


cdef inline Py_ssize_t _end_of_atom(const char* text, Py_ssize_t length, Py_ssize_t position) noexcept:
    while position < length and text[position] != c" " and text[position] != c"(" and text[position] != c")":
        position += 1
    return position


cdef bint _is_section(const char* text, Py_ssize_t length) noexcept:
    cdef Py_ssize_t kind
    if length < 5 or (text[0] | 32) != c"b":
        return False
    for kind in range(5):
        if _begins_with(text, length, _SECTIONS[kind]):
            return True
    return False


cdef const char** _SECTIONS = [b"body[", b"body.peek[", b"binary[", b"binary.peek[", b"binary.size["]


cdef bint _begins_with(const char* text, Py_ssize_t length, const char* lower) noexcept:
    cdef Py_ssize_t position = 0
    cdef char octet
    while lower[position] != 0:
        if position == length:
            return False
        octet = text[position]
        if c"A" <= octet <= c"Z":
            octet |= 32
        if octet != lower[position]:
            return False
        position += 1
    return True


cdef object _atom(const char* text, Py_ssize_t length):
    cdef Py_ssize_t position = 0
    cdef unsigned long long number = 0
    while position < length and c"0" <= text[position] <= c"9":
        position += 1
    if position == length:
        position = 0
        while position < length and text[position] == c"0":
            position += 1
        if length - position <= 19:
            while position < length:
                number = 10 * number + <unsigned long long> (text[position] - c"0")
                position += 1
            if number <= <unsigned long long> _MAX_SIZE:
                return number
    elif length == 3 and (text[0] | 32) == c"n" and (text[1] | 32) == c"i" and (text[2] | 32) == c"l":
        return None
    return PyUnicode_DecodeUTF8(text, length, b"surrogateescape")


def fetch(fragments):
    """Return the FETCH response in `fragments`, or None; see :mod:`fastimap.parser`."""
    row = _shared_decoder.from_fragments(tuple(fragments))
    return _fetch.fetch(fragments) if row is None else row


def split_rows(list rows, bint by_uid, tuple ranges, unsigned int need):
    """Return the rows that lie in `ranges` and have all of `need`, and the others; see :mod:`fastimap.parser`."""
    cdef list claimed = []
    cdef list others = []
    cdef Py_ssize_t count = len(ranges)
    cdef Py_ssize_t low, high, middle
    cdef long long number
    cdef long long* bounds = <long long*> PyMem_Malloc(2 * max(count, 1) * sizeof(long long))
    if bounds == NULL:
        raise MemoryError
    try:
        for middle in range(count):
            bounds[2 * middle], bounds[2 * middle + 1] = ranges[middle]
        for row in rows:
            if type(row) is not _FetchedMessage or len(<tuple> row) != 12:
                raise TypeError(f"a FetchedMessage is needed, not {type(row).__name__}")
            value = (<tuple> row)[_UID if by_uid else _SEQUENCE_NUMBER]
            if value is not None and (<unsigned int> (<tuple> row)[_PRESENT] & need) == need:
                number = value
                low = 0
                high = count
                while low < high:  # bisect by the lower bounds
                    middle = (low + high) // 2
                    if bounds[2 * middle] <= number:
                        low = middle + 1
                    else:
                        high = middle
                if low > 0 and number <= bounds[2 * low - 1]:
                    PyList_Append(claimed, row)
                    continue
            PyList_Append(others, row)
    finally:
        PyMem_Free(bounds)
    return claimed, others
