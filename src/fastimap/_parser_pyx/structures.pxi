# Envelopes and body structures.

cdef enum:
    _PLAIN_DEPTH = 32  # of body structures
    _PLAIN_PARTS = 1000

# Their types, once there is need of them: the drop-in has none. None until _load_types().
cdef object _Address = None
cdef object _BodyStructure = None
cdef object _Envelope = None
# Words that decide what follows in a body structure: a word equal to one of these is that very object.
cdef str _TEXT = "text"
cdef str _MULTIPART = "multipart"
cdef str _MESSAGE = "message"
cdef str _RFC822 = "rfc822"
cdef str _GLOBAL = "global"
cdef dict _WORDS = {word: word for word in (_TEXT, _MULTIPART, _MESSAGE, _RFC822, _GLOBAL)}


cdef int _load_types() except -1:
    """Import the types, before any pointer is held: an import runs Python code."""
    global _Address, _BodyStructure, _Envelope
    if _Envelope is None:
        from .model.message import Address, BodyStructure, Envelope

        _Address = Address
        _BodyStructure = BodyStructure
        _Envelope = Envelope
    return 0


@cython.internal
cdef class _Structures(_Scanner):
    """Octets to types, and what comes again and again in them."""

    cdef Py_ssize_t body_parts
    cdef Py_ssize_t plain_depth  # of body structures
    cdef _Cache words
    cdef _Cache parameters
    cdef _Cache parts

    def __init__(self, Py_ssize_t depth_limit):
        # Four lists may be open beside a part and those around it: the row's, and those of an address in its envelope.
        self.plain_depth = min(depth_limit - 4, _PLAIN_DEPTH)
        self.words = _Cache()
        self.parameters = _Cache()
        self.parts = _Cache()

    @cython.final
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

    @cython.final
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

    @cython.final
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

    @cython.final
    cdef inline bint _repeats(self, const char* text, Py_ssize_t length) noexcept:
        return length > 0 and _skip(&self.at, self.end, text, length)

    @cython.final
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

    @cython.final
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

    @cython.final
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

    @cython.final
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

    @cython.final
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

    @cython.final
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

    @cython.final
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

    @cython.final
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

    @cython.final
    cdef str _tag(self):
        cdef bytes octets = self._quoted()
        if not octets.isascii():
            raise _Odd
        return octets.decode("ascii")
