# Tokens: the octets of a response as lists, strings and atoms.

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


cdef object _Atom = Atom
cdef object _Streamed = Streamed
cdef long long _MAX_SIZE = 0x7FFFFFFFFFFFFFFF
cdef Py_ssize_t _SHOWN = 80
cdef unsigned long long _LARGEST_NUMBER = 0xFFFFFFFF  # of a message (RFC 9051, section 9, nz-number)


def tokenize(fragments, depth=READER_LIMITS.depth):
    """Return the tokens in `fragments`; see :mod:`fastimap.parser`."""
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
                stop = _end_of_string(text, length, position + 1, False)
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
                values.append(_new_atom(_Atom, text + position, stop - position))
                position = stop
        if index + 1 < count:
            values.append(fragments[index + 1])
    if lists:
        raise ParseError(f"{len(lists)} parentheses not closed")
    return tuple(values)


class _Odd(Exception):
    """The response is not plain."""


# Part of a response: a line without the announcement, and the literal after it.
cdef struct _Segment:
    const char* text
    Py_ssize_t length
    Py_ssize_t whole_length  # with the announcement; where the reader framed it
    const char* literal
    Py_ssize_t literal_length
    PyObject* fragment  # the literal as an object, borrowed; or NULL


cdef enum:
    _SEGMENTS = 16
    _PILE = 1000  # items of all lists that are half read


@cython.internal
cdef class _Scanner:
    """Reads what is plain straight from the memory in which it lies; at anything else _Odd is raised.

    Under a reader that is wrongly shared that memory may change at any time: so each octet is read once, or every
    reading is checked against the end by itself.
    """

    cdef _Segment* segments  # of the response at hand
    cdef Py_ssize_t count  # of segments
    cdef Py_ssize_t index  # of the segment at hand
    cdef const char* at  # the next octet
    cdef const char* end  # of the segment's text
    cdef const char* escape  # no backslash stands before this position
    cdef PyObject* pile[_PILE]  # the items read so far of each list that is half read, inner lists after outer ones
    cdef Py_ssize_t height  # of the pile

    @cython.final
    cdef inline void _go_to(self, Py_ssize_t index) noexcept:
        self.index = index
        self.at = self.segments[index].text
        self.end = self.at + self.segments[index].length
        self._find_escape(self.at)

    @cython.final
    cdef inline void _find_escape(self, const char* start) noexcept:
        """Most lines have no backslash in a string: looking once spares looking in each string."""
        self.escape = <const char*> memchr(start, c"\\", self.end - start) if start < self.end else NULL
        if self.escape == NULL:
            self.escape = self.end

    @cython.final
    cdef inline bint _next_is(self, char octet) noexcept:
        return self.at < self.end and self.at[0] == octet

    @cython.final
    cdef inline int _expect(self, char octet) except -1:
        if self.at >= self.end or self.at[0] != octet:
            raise _Odd
        self.at += 1
        return 0

    @cython.final
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

    @cython.final
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

    @cython.final
    cdef object _literal(self):
        cdef _Segment* segment = &self.segments[self.index]
        if self.at != self.end or self.index + 1 >= self.count:
            raise _Odd
        self._go_to(self.index + 1)
        if segment.fragment != NULL:
            value = <object> segment.fragment
            if type(value) is not bytes:
                # What a sink raised may be in a cycle with the row, which the garbage collector does not visit.
                if type(value) is not _Streamed or value.error is not None:
                    raise _Odd
            return value
        return PyBytes_FromStringAndSize(segment.literal, segment.literal_length)

    @cython.final
    cdef inline int _push(self, object item) except -1:
        """Put an item on the pile."""
        if self.height == _PILE:
            raise _Odd
        Py_INCREF(item)
        self.pile[self.height] = <PyObject*> item
        self.height += 1
        return 0

    @cython.final
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


cdef Py_ssize_t _end_of_string(
    const char* text, Py_ssize_t length, Py_ssize_t position, bint lone_backslash
) noexcept:
    # A quote that neither a space, a parenthesis nor the end follows is taken as part of the string: servers
    # send unescaped quotes, and no grammar puts two strings side by side.
    while position < length:
        if text[position] == c"\\":
            position += 1 if lone_backslash and _closes(text, length, position + 1) else 2
            continue
        if _closes(text, length, position):
            return position + 1
        position += 1
    return -1


cdef inline bint _closes(const char* text, Py_ssize_t length, Py_ssize_t position) noexcept:
    """Whether there is a quote that looks like the end of a string."""
    return (
        position < length
        and text[position] == c'"'
        and (position + 1 == length or text[position + 1] in b" ()")
    )


cdef str _shown(bytes octets):
    return repr(octets) if len(octets) <= _SHOWN else repr(octets[:_SHOWN]) + "..."


cdef struct _Range:
    unsigned int low
    unsigned int high


cdef class _Ranges:
    """Ranges, as many as there are."""

    cdef _Range* bounds
    cdef Py_ssize_t count
    cdef Py_ssize_t room

    def __dealloc__(self):
        PyMem_Free(self.bounds)

    cdef int append(self, unsigned long long low, unsigned long long high) except -1:
        cdef Py_ssize_t room
        cdef _Range* bounds
        if self.count == self.room:
            room = max(16, 2 * self.room)
            bounds = <_Range*> PyMem_Realloc(self.bounds, <size_t> room * sizeof(_Range))
            if bounds == NULL:
                raise MemoryError
            self.bounds = bounds
            self.room = room
        self.bounds[self.count] = _Range(<unsigned int> low, <unsigned int> high)
        self.count += 1
        return 0

    cdef int join(self) except -1:
        """Put them in order, those that overlap or touch made one."""
        cdef Py_ssize_t index
        cdef Py_ssize_t last = 0
        qsort(self.bounds, <size_t> self.count, sizeof(_Range), _by_low)
        for index in range(1, self.count):
            if self.bounds[index].low > <unsigned long long> self.bounds[last].high + 1:
                last += 1
                self.bounds[last] = self.bounds[index]
            elif self.bounds[index].high > self.bounds[last].high:
                self.bounds[last].high = self.bounds[index].high
        self.count = last + 1
        return 0


cdef int _by_low(const void* one, const void* other) noexcept nogil:
    cdef unsigned int ours = (<const _Range*> one).low
    cdef unsigned int theirs = (<const _Range*> other).low
    return (ours > theirs) - (ours < theirs)


def number_bounds(bytes octets):
    """Return the ranges of the numbers of a SEARCH response; see :mod:`fastimap.parser`."""
    cdef const char* text = PyBytes_AS_STRING(octets)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(octets)
    cdef Py_ssize_t position = 0
    cdef _Ranges ranges = _Ranges()
    cdef unsigned long long number
    cdef unsigned long long low = 0
    cdef unsigned long long high = 0  # 0: no range has begun
    cdef bint in_order = True
    cdef bint in_bounds = True
    while True:
        while position < length and text[position] == c" ":
            position += 1
        if position == length:
            break
        number = 0
        if not c"0" <= text[position] <= c"9":
            raise ValueError("not numbers alone")
        while position < length and c"0" <= text[position] <= c"9":
            if number <= _LARGEST_NUMBER:
                number = 10 * number + <unsigned long long> (text[position] - c"0")
            position += 1
        if number == 0 or number > _LARGEST_NUMBER:
            in_bounds = False
        elif number == high + 1 and high:
            high = number
        else:
            if high:
                ranges.append(low, high)
                in_order = in_order and number > high
            low = high = number
    if not in_bounds:
        raise ValueError(f"message numbers go from 1 to {_LARGEST_NUMBER}")
    if high:
        ranges.append(low, high)
    if not in_order:
        ranges.join()
    return array("I", PyBytes_FromStringAndSize(<char*> ranges.bounds, ranges.count * sizeof(_Range)))
