# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True, binding=True
"""The parser in Cython: the twin of ``_parser_py.py``, which is its readable specification.

Both hold the same names in the same order and give equal output, or an equal exception, for any octets
however they are cut. The interface is documented in :mod:`fastimap.parser`.

Memory stays sound even where one reader is wrongly shared between threads: no pointer into a buffer is held
while Python code could run, receive buffers are replaced and never resized while a view of them lives, and
positions are checked before use.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_Append
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.string cimport memchr, memcmp, memcpy, memmove

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

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** octets, Py_ssize_t size) except -1
    PyObject* _new_bytes "PyBytes_FromStringAndSize"(const char* octets, Py_ssize_t size) except NULL
    char* _bytes_data "PyBytes_AS_STRING"(PyObject* octets)
    void Py_XDECREF(PyObject* obj)
    void PyObject_GC_UnTrack(void* obj)

__all__ = ["ResponseReader", "tokenize"]

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


@cython.final
@cython.no_gc
@cython.internal
cdef class _Memory:
    """Memory for octets from the network: a bytes object that nobody else has seen yet, and its writable views."""

    cdef PyObject* octets
    cdef char* data
    cdef Py_ssize_t capacity
    cdef Py_ssize_t offset  # where the next view begins
    cdef Py_ssize_t exports

    def __cinit__(self, Py_ssize_t capacity):
        self.octets = _new_bytes(NULL, capacity)
        self.data = _bytes_data(self.octets)
        self.capacity = capacity

    def __dealloc__(self):
        Py_XDECREF(self.octets)

    @cython.critical_section
    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.data + self.offset, self.capacity - self.offset, 0, flags)
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
        self.capacity = self.offset = 0
        _PyBytes_Resize(&self.octets, capacity)
        self.data = _bytes_data(self.octets)
        self.capacity = capacity
        return True


@cython.final
cdef class ResponseReader:
    """Frames the octets of one connection into responses; see :mod:`fastimap.parser`."""

    cdef Py_ssize_t line_limit
    cdef unsigned long long literal_limit
    cdef Py_ssize_t response_limit
    cdef Py_ssize_t literals_limit
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
    cdef bint draining  # by drain(), not by responses()
    cdef list fragments
    cdef str type
    cdef bytes head
    cdef Py_ssize_t literal_size
    cdef Py_ssize_t literals
    cdef Py_ssize_t octets
    cdef Py_ssize_t depth
    cdef Py_ssize_t depth_counted
    cdef object failure

    def __init__(self, limits=DEFAULT_LIMITS):
        self.line_limit = min(limits.line, _MAX_SIZE)
        self.literal_limit = min(limits.literal, _MAX_SIZE)
        self.response_limit = min(limits.response, _MAX_SIZE)
        self.literals_limit = min(limits.literals, _MAX_SIZE)
        self.memory = _Memory(_BUFFER_SIZE)
        self.start = self.scanned = self.end = self.offered = 0
        self.offered_in_place = False
        self.in_place = None
        self.in_place_size = self.received = 0
        self.draining = False
        self.fragments = []
        self.type = ""
        self.head = b""
        self.literal_size = -1
        self.literals = self.octets = self.depth = self.depth_counted = 0
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
        self._check_literal(size)
        return self._take_literal(size)

    cdef int _check_failure(self) except -1:
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

    cdef int _check_literal(self, size) except -1:
        if size > self.literal_limit:
            announced = str(size) if size <= _MAX_SIZE else "2**63 or more"
            raise LiteralTooLarge(f"literal of {announced} octets, more than {self.literal_limit}")
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
    def responses(self):
        cdef list batch = []
        cdef tuple response
        self._check_failure()
        if self.draining and self._in_response():
            raise ProtocolError("a response is half read")
        self.draining = False
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
    def drain(self, untagged, Py_ssize_t limit=0):
        if type(untagged) is not dict:
            raise TypeError("drain() needs a dict")
        self._check_failure()
        if not self.draining and self._in_response():
            raise ProtocolError("a response is half read")
        self.draining = True
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
            if length == 2 and line[0] == c"\r":
                self.start = self.scanned = stop
                continue

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
                self._open(length + 2, octets, size)
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
            self._open(length, text, size)
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

    cdef Py_ssize_t _literal_after(self, const char* text, Py_ssize_t length) except -2:
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
            size = 0x8000000000000000
        else:
            while position <= last:
                size = 10 * size + <unsigned long long> (text[position] - c"0")
                position += 1
        if size > <unsigned long long> _MAX_SIZE or size > self.literal_limit:
            self._check_literal(size)
        return <Py_ssize_t> size

    cdef int _open(self, Py_ssize_t octets, bytes head, Py_ssize_t size) except -1:
        self.head = head
        self.literal_size = size
        self.literals = 1
        self.octets = octets
        self.depth = self.depth_counted = 0
        return self._count_octets(size)

    cdef int _count_octets(self, Py_ssize_t octets) except -1:
        if octets > self.response_limit - self.octets:
            raise ResponseTooLarge(f"response of more than {self.response_limit} octets")
        self.octets += octets
        return 0

    cdef bint _next_fragment(self, Py_ssize_t limit) except -1:
        """Go on with the half framed response; whether it is complete."""
        cdef Py_ssize_t stop, length, size
        cdef const char* line
        cdef bytes literal, text
        cdef tuple pair
        while True:
            if self.literal_size >= 0:
                literal = self._take_literal(self.literal_size)
                if literal is None:
                    return False
                pair = (self.head, literal)
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
            elif self.draining:
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
            self.literals += 1
            if self.literals > self.literals_limit:
                raise TooManyLiterals(f"response with more than {self.literals_limit} literals")
            self._count_octets(size)
            self.head = text
            self.literal_size = size

    cdef Py_ssize_t _open_parentheses(self):
        cdef Py_ssize_t index
        for index in range(self.depth_counted, len(self.fragments)):
            self.depth += _net_parentheses(self.fragments[index][0])
        self.depth_counted = len(self.fragments)
        return self.depth


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
