# What the framing of responses asks about lines.

cdef Py_ssize_t _SECTION_ROOM = 8 * 1024  # of the name of a section that is cut by literals


@cython.final
@cython.internal
@cython.no_gc
cdef class _Outline:
    """What the lines of a response come to so far: open parentheses, an open quoted string; and of a FETCH response
    the message, and the item whose value comes next."""

    cdef Py_ssize_t depth
    cdef bint quoted  # whether a quoted string is open at the end of the last line
    cdef bytes section  # the beginning of a section that is open there
    cdef bytes name  # the atom at the end of the last line
    cdef long long number  # the one before FETCH
    cdef long long uid  # -1 where it is not known
    cdef bint by_uid  # UIDFETCH (RFC 9586)

    cdef void reset(self) noexcept:
        self.depth = 0
        self.quoted = False
        self.section = None
        self.name = b""
        self.number = 0
        self.uid = -1
        self.by_uid = False

    cdef bint begin(self, bytes line) except -1:
        """Take a response's first line, without its end; whether it is a FETCH response."""
        cdef const char* text = PyBytes_AS_STRING(line)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(line)
        cdef Py_ssize_t position = 1
        cdef Py_ssize_t number, number_end
        cdef bint by_uid = False
        self.reset()
        if length == 0 or text[0] != c"*":
            return False
        number = _after_spaces(text, length, 1)
        position = number
        while position < length and c"0" <= text[position] <= c"9":
            position += 1
        number_end = position
        position = _after_spaces(text, length, position)
        if number == 1 or number_end == number or position == number_end:
            return False
        if _begins_with(text + position, length - position, b"uid"):
            by_uid = True
            position += 3
        if not _begins_with(text + position, length - position, b"fetch"):
            return False
        position = _after_spaces(text, length, position + 5)
        if position >= length or text[position] != c"(":
            return False
        self.depth = 1
        self.number = _small_number(text + number, number_end - number)
        if self.number < 0:
            self.number = 0
        self.by_uid = by_uid
        self.feed(line, position + 1)
        return True

    cdef int feed(self, bytes line, Py_ssize_t position) except -1:
        """Take a line without its end: the one after a literal, or after a line break inside a quoted string."""
        cdef const char* text = PyBytes_AS_STRING(line)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(line)
        cdef Py_ssize_t stop = _before_announcement(text, length)
        cdef Py_ssize_t depth = self.depth
        cdef bint quoted = self.quoted
        cdef bytes section = self.section
        cdef long long uid = self.uid
        if stop >= 0:
            length = stop
        self._scan(text, length, position, False)
        # A string that nothing closes, though a quote after a backslash might: some servers escape no backslash.
        if self.quoted and _has_lone_backslash(text, length):
            depth, self.depth = self.depth, depth
            section, self.section = self.section, section
            uid, self.uid = self.uid, uid
            self.quoted = quoted
            self._scan(text, length, position, True)
            if self.quoted or not (self.depth == 0 or (self.depth == 1 and self.is_part())):
                self.quoted = True
                self.depth = depth
                self.section = section
                self.uid = uid
                self.name = b""
        return 0

    cdef int add_literal(self, bytes octets) except -1:
        """Take the literal after the line: header fields in the name of a section may be literals."""
        if self.section is not None and len(self.section) + len(octets) <= _SECTION_ROOM:
            self.section += b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        return 0

    cdef int _scan(self, const char* text, Py_ssize_t length, Py_ssize_t position, bint lone_backslash) except -1:
        cdef bint uid_is_next = False
        cdef Py_ssize_t name = 0
        cdef Py_ssize_t name_length = 0
        cdef Py_ssize_t stop
        cdef long long number
        cdef const char* bracket
        cdef char octet
        self.name = b""
        if self.section is not None:
            bracket = <const char*> memchr(text, c"]", length)
            if bracket == NULL:
                if len(self.section) <= _SECTION_ROOM:
                    self.section += PyBytes_FromStringAndSize(text, length)
                return 0
            position = _end_of_atom(text, length, bracket - text)
            self.name = self.section + PyBytes_FromStringAndSize(text, position)
            self.section = None
        while position < length:
            octet = text[position]
            if self.quoted or octet == c'"':
                stop = _end_of_string(text, length, position if self.quoted else position + 1, lone_backslash)
                self.quoted = stop < 0
                self.name = b""
                name_length = 0
                uid_is_next = False
                if self.quoted:
                    return 0
                position = stop
            elif octet == c" ":
                position += 1
            elif octet == c"(" or octet == c")":
                self.depth += 1 if octet == c"(" else -1
                self.name = b""
                name_length = 0
                uid_is_next = False
                position += 1
            else:
                stop = _end_of_atom(text, length, position)
                if _is_section(text + position, length - position):
                    bracket = <const char*> memchr(text + position, c"]", length - position)
                    if bracket == NULL:
                        self.section = PyBytes_FromStringAndSize(text + position, length - position)
                        self.name = b""
                        return 0
                    stop = _end_of_atom(text, length, bracket - text)
                name = position
                name_length = stop - position
                if uid_is_next and self.uid < 0:
                    self.uid = _small_number(text + name, name_length)
                uid_is_next = self.depth == 1 and name_length == 3 and _begins_with(text + name, 3, b"uid")
                position = stop
        if name_length:
            self.name = PyBytes_FromStringAndSize(text + name, name_length)
        return 0

    cdef _Outline copy(self):
        cdef _Outline other = _Outline()
        other.depth = self.depth
        other.quoted = self.quoted
        other.section = self.section
        other.name = self.name
        other.number = self.number
        other.uid = self.uid
        other.by_uid = self.by_uid
        return other

    cdef bint is_part(self) noexcept:
        """Whether the item at the end of the last line is a part of the message itself, as against ENVELOPE, say."""
        cdef const char* text = PyBytes_AS_STRING(self.name)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(self.name)
        cdef Py_ssize_t position
        cdef const char* bracket
        if length == 0:
            return False
        if _begins_with(text, length, b"rfc822"):
            text += 6
            length -= 6
            return (
                length == 0
                or (length == 2 and text[0] == c"[" and text[1] == c"]")
                or (length == 7 and _begins_with(text, length, b".header"))
                or (length == 5 and _begins_with(text, length, b".text"))
            )
        if _begins_with(text, length, b"body"):
            position = 4
        elif _begins_with(text, length, b"binary"):
            position = 6
        else:
            return False
        if _begins_with(text + position, length - position, b".peek"):
            position += 5
        if position >= length or text[position] != c"[":
            return False
        bracket = <const char*> memchr(text + position, c"]", length - position)
        if bracket == NULL:
            return False
        position = bracket - text + 1
        if position == length:
            return True
        if text[position] != c"<" or text[length - 1] != c">":
            return False
        for position in range(position + 1, length - 1):
            if not (c"0" <= text[position] <= c"9" or text[position] == c"."):
                return False
        return True


cdef bint _has_lone_backslash(const char* text, Py_ssize_t length) noexcept:
    cdef Py_ssize_t position
    for position in range(length - 1):
        if text[position] == c"\\" and text[position + 1] == c'"':
            return True
    return False


cdef long long _small_number(const char* text, Py_ssize_t length) noexcept:
    """Return the number of at most ten digits that `text` is, or -1."""
    cdef long long number = 0
    cdef Py_ssize_t position
    if not 0 < length <= 10:
        return -1
    for position in range(length):
        if not c"0" <= text[position] <= c"9":
            return -1
        number = 10 * number + (text[position] - c"0")
    return number


cdef inline Py_ssize_t _after_spaces(const char* text, Py_ssize_t length, Py_ssize_t position) noexcept:
    while position < length and text[position] == c" ":
        position += 1
    return position


# What _announced() says of a size that is 2**63 or more.
cdef enum:
    _TOO_LARGE = -3


cdef Py_ssize_t _announced(const char* text, Py_ssize_t length) noexcept:
    """Return the size that a literal's announcement at the end of `text` gives, or -1."""
    cdef Py_ssize_t position = length - 2
    cdef Py_ssize_t last
    cdef unsigned long long size = 0
    if position < 0 or text[length - 1] != c"}":
        return -1
    if text[position] == c"+":
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


cdef bint _is_tagged(bytes line, tags) except -1:
    """Whether `line` answers a command: by its tag where those in flight are known, else by its status."""
    cdef const char* text = PyBytes_AS_STRING(line)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(line)
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t stop
    while position < length and text[position] not in b' +*(){%"\\\r\n':
        position += 1
    if position == 0 or position == length or text[position] != c" ":
        return False
    if _begins_with(text + position, length - position, b" ok"):
        stop = position + 3
    elif _begins_with(text + position, length - position, b" no"):
        stop = position + 3
    elif _begins_with(text + position, length - position, b" bad"):
        stop = position + 4
    else:
        return False
    if stop < length and text[stop] not in b" [\r\n":
        return False
    return tags is None or PyBytes_FromStringAndSize(text, position) in tags


cdef bint _is_status_line(const char* text, Py_ssize_t length) noexcept:
    """Whether it is OK, NO, BAD, BYE or PREAUTH, untagged: no literal ends these."""
    cdef Py_ssize_t position
    if length < 4 or text[0] != c"*" or text[1] != c" ":
        return False
    position = _after_spaces(text, length, 1)
    text += position
    length -= position
    if _begins_with(text, length, b"ok") or _begins_with(text, length, b"no"):
        position = 2
    elif _begins_with(text, length, b"bad") or _begins_with(text, length, b"bye"):
        position = 3
    elif _begins_with(text, length, b"preauth"):
        position = 7
    else:
        return False
    return position == length or text[position] in b" ["
