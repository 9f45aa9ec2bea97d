# FETCH responses, decoded by the thousand. What is plain is decoded here, straight from the memory in which it lies;
# at anything else _Odd is raised and the Python twin, which knows what servers do, decodes the response from its
# fragments.
# Under a reader that is wrongly shared that memory may change at any time: so each octet is read once, or every
# reading is checked against the end by itself.


class _Odd(Exception):
    """The response is not plain."""


# Part of a response: a line without the announcement, and the literal after it.
cdef struct _Segment:
    const char* text
    Py_ssize_t length
    const char* literal
    Py_ssize_t literal_length
    PyObject* fragment  # the literal as an object, borrowed; or NULL


cdef enum:
    _SEGMENTS = 16
    _PLAIN_DEPTH = 32  # of body structures
    _PLAIN_PARTS = 1000
    _PILE = 1000  # items of all lists that are half read

cdef long long _MAX_UID = 0xFFFFFFFF
cdef object _Address = Address
cdef object _BodyStructure = BodyStructure
cdef object _Envelope = Envelope
cdef object _Streamed = Streamed
cdef unsigned int[12] _MONTHS
cdef const char* _MONTH_DAYS = b"\x1f\x1d\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"
cdef dict _SYSTEM_FLAGS = {flag.lower(): flag for flag in SYSTEM_FLAGS}
cdef frozenset _NO_FLAGS = frozenset()
# Words that decide what follows in a body structure: a word equal to one of these is that very object.
cdef str _TEXT = "text"
cdef str _MULTIPART = "multipart"
cdef str _MESSAGE = "message"
cdef str _RFC822 = "rfc822"
cdef str _GLOBAL = "global"
cdef dict _WORDS = {word: word for word in (_TEXT, _MULTIPART, _MESSAGE, _RFC822, _GLOBAL)}


cdef int _fill_months() except -1:
    cdef bytes names = "".join(MONTHS).encode("ascii")
    cdef int month
    for month in range(12):
        _MONTHS[month] = _three(PyBytes_AS_STRING(names) + 3 * month)
    return 0


_fill_months()


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
    cdef PyObject* pile[_PILE]  # the items read so far of each list that is half read, inner lists after outer ones
    cdef Py_ssize_t height  # of the pile
    cdef unsigned int present  # of the row at hand
    cdef Py_ssize_t body_parts
    cdef Py_ssize_t depth_limit
    cdef Py_ssize_t plain_depth  # of body structures
    cdef _Cache flags
    cdef _Cache words
    cdef _Cache names
    cdef _Cache parameters
    cdef _Cache parts

    def __init__(self, Py_ssize_t depth_limit):
        self.depth_limit = depth_limit
        # Four lists may be open beside a part and those around it: the row's, and those of an address in its envelope.
        self.plain_depth = min(depth_limit - 4, _PLAIN_DEPTH)
        self.flags = _Cache()
        self.words = _Cache()
        self.names = _Cache()
        self.parameters = _Cache()
        self.parts = _Cache()

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
            if memchr(segment.text, c"\n", length) != NULL:
                return None  # a line break in a quoted string
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
        if self.depth_limit < 4 or self.busy:
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
                # What a sink raised may be in a cycle with the row, which the garbage collector does not visit.
                if type(value) is not _Streamed or value.error is not None:
                    raise _Odd
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

    cdef _Row _response(self):
        cdef _Row row = _Row.__new__(_Row)
        cdef tuple others = None
        cdef long long number
        self.present = 0
        self._go_to(0)
        if not _skip(&self.at, self.end, b"* ", 2):
            raise _Odd
        number = self._number()
        if not 0 < number <= _MAX_UID:
            raise _Odd
        if _skip(&self.at, self.end, b" FETCH (", 8):
            row.c_number = number
        elif _skip(&self.at, self.end, b" UIDFETCH (", 11):
            self._once(_HAS_UID)
            row.c_uid = number
        else:
            raise _Odd
        while True:
            if self.end - self.at < 4:
                raise _Odd
            if self.at[0] == c"U" and _skip(&self.at, self.end, b"UID ", 4):
                self._once(_HAS_UID)
                number = self._number()
                if not 0 < number <= _MAX_UID:
                    raise _Odd
                row.c_uid = number
            elif self.at[0] == c"F" and _skip(&self.at, self.end, b"FLAGS (", 7):
                self._once(_HAS_FLAGS)
                row.c_flags = self._flags()
            elif self.at[0] == c"R" and _skip(&self.at, self.end, b"RFC822.SIZE ", 12):
                self._once(_HAS_SIZE)
                row.c_size = self._number()
            elif self.at[0] == c"I" and _skip(&self.at, self.end, b"INTERNALDATE ", 13):
                self._once(_HAS_DATE)
                self._date(&row.c_date)
            elif self.at[0] == c"E" and _skip(&self.at, self.end, b"ENVELOPE ", 9):
                self._once(_HAS_ENVELOPE)
                row.c_envelope = self._envelope()
            elif self.at[0] == c"M" and _skip(&self.at, self.end, b"MODSEQ (", 8):
                self._once(_HAS_MOD_SEQUENCE)
                row.c_mod_sequence = self._number()
                self._expect(c")")
            elif self.at[0] == c"B" and _skip(&self.at, self.end, b"BODY[] ", 7):
                others = self._whole("BODY[]", row, others)
            elif self.at[0] == c"B" and (
                _skip(&self.at, self.end, b"BODYSTRUCTURE ", 14) or _skip(&self.at, self.end, b"BODY ", 5)
            ):
                self._once(_HAS_STRUCTURE)
                self.body_parts = 0
                row.c_structure = self._body("", 0, 0)
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
        if others is not None:
            PyObject_GC_UnTrack(<void*> others)
            row.c_items = others
        row.c_present = self.present
        return row

    cdef inline int _once(self, unsigned int presence) except -1:
        """Take down that the item with this bit is there; in a plain response it is there once."""
        if self.present & presence:
            raise _Odd
        self.present |= presence
        return 0

    cdef tuple _whole(self, str name, _Row row, tuple others):
        """The whole message: it goes into the row, or into the other items where it went to a sink."""
        self._once(_HAS_BODY)
        value = self._section()
        if type(value) is _Streamed:
            return _added(others, _item(name, value))
        row.c_body = value
        return others

    cdef tuple _with_other(self, tuple others):
        cdef tuple other = self._other()
        if others is not None:
            if len(others) == _SEGMENTS:
                raise _Odd
            for item in others:
                if (<tuple> item)[0] == other[0]:
                    raise _Odd
        self.present |= _HAS_OTHERS
        return _added(others, other)

    cdef object _section(self):
        """What stands for a section: octets, or what stands for those that went to a sink."""
        if self.at == self.end:
            return self._literal()
        return self._nstring()

    cdef tuple _other(self):
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

    cdef str section_name(self, bytes octets):
        """The name of a section, as rows have it."""
        cached = self.names.get(PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets))
        if cached is not None:
            return <str> cached
        name = _section_name(octets)
        if PyBytes_GET_SIZE(octets) <= _CACHED:
            self.names.put(octets, name)
        return name

    cdef object _flags(self):
        """A list of flags, after its opening parenthesis."""
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

    cdef int _date(self, _Date* date) except -1:
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
        date.year = <short> year
        date.month = <signed char> (month + 1)
        date.day = <signed char> day
        date.hour = <signed char> hour
        date.minute = <signed char> minute
        date.second = <signed char> second
        date.offset = <short> offset
        return 0

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
        if depth >= self.plain_depth or self.body_parts > _PLAIN_PARTS:
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
    """Whether it is an atom, perhaps with a backslash before it, and not NIL."""
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
cdef _Decoder _shared_decoder = _Decoder(READER_LIMITS.depth)  # of fetch()


def fetch(fragments, depth=READER_LIMITS.depth):
    """Return the FETCH response in `fragments`, or None; see :mod:`fastimap.parser`."""
    row = None
    if depth >= _shared_decoder.depth_limit:
        row = _shared_decoder.from_fragments(tuple(fragments))
    return _fetch(fragments, depth) if row is None else row
