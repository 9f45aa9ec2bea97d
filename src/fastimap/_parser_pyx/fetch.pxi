# FETCH responses, decoded by the thousand. What is plain is decoded here; all else by the Python twin, which knows what
# servers do, from the fragments.

cdef long long _MAX_UID = 0xFFFFFFFF
cdef unsigned int[12] _MONTHS
cdef signed char[63] _MONTH_BY_SUM  # the only month of which the second and the third letter have this sum
cdef const char* _MONTH_DAYS = b"\x1f\x1d\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"
cdef dict _SYSTEM_FLAGS = {flag.lower(): flag for flag in SYSTEM_FLAGS}
cdef frozenset _NO_FLAGS = frozenset()


cdef int _fill_months() except -1:
    cdef bytes names = "".join(MONTHS).encode("ascii")
    cdef int month
    for month in range(12):
        _MONTHS[month] = _three(PyBytes_AS_STRING(names) + 3 * month)
        _MONTH_BY_SUM[(names[3 * month + 1] & 31) + (names[3 * month + 2] & 31)] = month
    return 0


_fill_months()


@cython.final
@cython.internal
cdef class _Decoder(_Structures):
    """Decodes plain FETCH responses, and remembers what comes again and again."""

    cdef bint busy
    cdef unsigned int present  # of the row at hand
    cdef Py_ssize_t depth_limit
    cdef _Cache flags
    cdef _Cache names
    cdef _Cache odd_names  # of sections that go to a sink: not for plain responses, which may not have them

    def __init__(self, Py_ssize_t depth_limit):
        self.depth_limit = depth_limit
        _Structures.__init__(self, depth_limit)
        self.flags = _Cache()
        self.names = _Cache()
        self.odd_names = _Cache()

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
        """Note that the item with this bit is there; in a plain response it is there once."""
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
        cdef const char* text = PyBytes_AS_STRING(octets)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(octets)
        cached = self.names.get(text, length)
        if cached is None:
            cached = self.odd_names.get(text, length)
        if cached is not None:
            return <str> cached
        try:
            return self._name(text, length)
        except _Odd:
            pass
        from ._parser_py.fetch import _Decoder as TolerantDecoder

        name = TolerantDecoder(self.depth_limit).section_name(octets)
        if length <= _CACHED:
            self.odd_names.put(octets, name)
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
        cdef unsigned int day, hour, minute, second, zone_hours, zone_minutes
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
        month = _month(text + 4)
        # What is not two digits makes a number larger than any that is allowed.
        day = _two_digits(text + 1)
        year = <int> (100 * _two_digits(text + 8) + _two_digits(text + 10))
        hour = _two_digits(text + 13)
        minute = _two_digits(text + 16)
        second = _two_digits(text + 19)
        zone_hours = _two_digits(text + 23)
        zone_minutes = _two_digits(text + 25)
        if not 1 <= year <= 9999 or hour > 23 or minute > 59 or second > 59:
            raise _Odd
        if zone_hours > 23 or zone_minutes > 59 or not _is_day(year, month, day):
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

cdef inline unsigned int _three(const char* text) noexcept:
    return <unsigned char> text[0] << 16 | <unsigned char> text[1] << 8 | <unsigned char> text[2]


cdef inline int _month(const char* text) noexcept:
    """The month by its name, from 0; 12 where it is none."""
    cdef int month = _MONTH_BY_SUM[(text[1] & 31) + (text[2] & 31)]
    return month if _MONTHS[month] == _three(text) else 12


cdef inline bint _is_day(int year, int month, unsigned int day) noexcept:
    if month == 12 or not 1 <= day <= <unsigned int> _MONTH_DAYS[month]:
        return False
    return month != 1 or day != 29 or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


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
_PLAIN_NAME = pattern(
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
    _load_types()
    if depth >= _shared_decoder.depth_limit:
        row = _shared_decoder.from_fragments(tuple(fragments))
    return _tolerant(fragments, depth) if row is None else row


cdef object _tolerant(fragments, depth):
    """The FETCH response in `fragments` by the Python twin, imported once there is need of it."""
    from ._parser_py.fetch import fetch as tolerant

    return tolerant(fragments, depth)


def mail_seconds(dates):
    """Return the seconds since 1970 of Date fields; see :mod:`fastimap.parser`."""
    cdef list found = []
    cdef long long seconds
    for octets in dates:
        if isinstance(octets, bytes) and _mail_seconds(PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets), &seconds):
            found.append(seconds)
        else:
            found.append(None)
    return found


cdef bint _mail_seconds(const char* at, Py_ssize_t size, long long* seconds) noexcept:
    """Whether a Date field is as nearly all mail writes it; see _usual_date()."""
    cdef _Date date
    if not _usual_date(at, size, &date):
        return False
    seconds[0] = _seconds(&date)
    return True


cdef bint _usual_date(const char* at, Py_ssize_t size, _Date* date) noexcept:
    """Whether a Date field, with the NUL after it, is as nearly all mail writes it; the twin of DATE in _dates.py."""
    cdef const char* end = at + size
    cdef int month, year, offset
    cdef unsigned int day, hour, minute, second, zone_hours, zone_minutes, length, letters
    if _is_upper(at[0]) and _is_lower(at[1]) and _is_lower(at[2]) and at[3] == c",":
        at += 4
        if at[0] == c" ":
            at += 1
    if end - at < 25:  # "1 Nov 1997 09:55:06 -0600"
        return False
    if at[1] == c" ":
        day = <unsigned int> (<unsigned char> at[0]) - c"0"
        if day > 9:
            return False
        at += 1
    else:
        day = _two_digits(at)
        at += 2
    if not 24 <= end - at <= 32 or at[0] != c" " or at[4] != c" " or at[9] != c" " or at[12] != c":" or at[15] != c":":
        return False
    if at[18] != c" " or (at[19] != c"+" and at[19] != c"-"):
        return False
    month = _month(at + 1)
    year = <int> (100 * _two_digits(at + 5) + _two_digits(at + 7))
    hour = _two_digits(at + 10)
    minute = _two_digits(at + 13)
    second = _two_digits(at + 16)
    zone_hours = _two_digits(at + 20)
    zone_minutes = _two_digits(at + 22)
    if not 1000 <= year <= 9999 or hour > 23 or minute > 59 or second > 59:
        return False
    if zone_hours > 14 or zone_minutes > 59 or not _is_day(year, month, day):
        return False
    length = <unsigned int> (end - at) - 24
    if length:  # " (CET)"
        if length < 4 or at[24] != c" " or at[25] != c"(" or at[23 + length] != c")":
            return False
        for letters in range(26, 24 + length - 1):
            if not _is_upper(at[letters]) and not _is_lower(at[letters]):
                return False
    offset = <int> (60 * zone_hours + zone_minutes)
    date.year = <short> year
    date.month = <signed char> (month + 1)
    date.day = <signed char> day
    date.hour = <signed char> hour
    date.minute = <signed char> minute
    date.second = <signed char> second
    date.offset = <short> (-offset if at[19] == c"-" else offset)
    return True


cdef inline bint _is_upper(char octet) noexcept:
    return c"A" <= octet <= c"Z"


cdef inline bint _is_lower(char octet) noexcept:
    return c"a" <= octet <= c"z"
