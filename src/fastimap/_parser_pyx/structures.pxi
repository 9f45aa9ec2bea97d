# Envelopes and body structures.

cdef extern from "Python.h":
    ctypedef object (*getter)(object, void*)

    ctypedef struct PyGetSetDef:
        const char* name
        getter get
        void* closure

    object PyDescr_NewGetSet(PyTypeObject* type, PyGetSetDef* field)


cdef enum:
    _PLAIN_DEPTH = 32  # of body structures
    _PLAIN_PARTS = 1000
    _PLAIN_TEXT = 512  # octets of a field with encoded words, and of an address

cdef PyGetSetDef[8] _FIELDS  # that are read in C

# Their types, once there is need of them: the drop-in has none. None until _load_types().
cdef object _Address = None
cdef object _BodyStructure = None
cdef object _Envelope = None
cdef object _PlainAddress = None
cdef object _PlainEnvelope = None
cdef object _LOADING = allocate_lock()
cdef object _decoded_field = None
cdef object _mail_date = None
cdef object _plain_text = None
# Words that decide what follows in a body structure: a word equal to one of these is that very object.
cdef str _TEXT = "text"
cdef str _MULTIPART = "multipart"
cdef str _MESSAGE = "message"
cdef str _RFC822 = "rfc822"
cdef str _GLOBAL = "global"
cdef dict _WORDS = {word: word for word in (_TEXT, _MULTIPART, _MESSAGE, _RFC822, _GLOBAL)}


cdef int _load_types() except -1:
    """Import the types, before any pointer is held: an import runs Python code."""
    global _Address, _BodyStructure, _Envelope, _PlainAddress, _PlainEnvelope, _decoded_field, _mail_date, _plain_text
    if _Envelope is not None:
        return 0
    from .model._dates import mail_date
    from .model.message import Address, BodyStructure, Envelope
    from .model.text import decoded_field, plain_text

    with _LOADING:
        if _Envelope is not None:  # another thread was faster
            return 0
        _decoded_field = decoded_field
        _mail_date = mail_date
        _plain_text = plain_text
        _PlainAddress = Address
        _PlainEnvelope = Envelope
        address = _read_in_c(Address)
        _add_field(address, 0, b"name", _text_field, 0)
        _add_field(address, 1, b"mailbox", _mailbox_field, 2)
        _add_field(address, 2, b"host", _mailbox_field, 3)
        _add_field(address, 3, b"email", _email_field, 0)
        envelope = _read_in_c(Envelope)
        _add_field(envelope, 4, b"date", _date_field, 0)
        _add_field(envelope, 5, b"subject", _text_field, 1)
        _add_field(envelope, 6, b"in_reply_to", _plain_field, 8)
        _add_field(envelope, 7, b"message_id", _plain_field, 9)
        _fill_tables()
        _Address = address
        _BodyStructure = BodyStructure
        _Envelope = envelope
    return 0


cdef object _read_in_c(object base):
    """A class like `base`, for fields that are read in C; its objects are pickled and copied as those of `base`."""
    return type(base)(base.__name__, (base,), {
        "__slots__": (), "__module__": base.__module__, "__doc__": base.__doc__, "__reduce__": _reduced,
    })


def _reduced(self):
    return _PlainEnvelope if isinstance(self, _PlainEnvelope) else _PlainAddress, tuple(self)


cdef int _add_field(object made, Py_ssize_t slot, const char* name, getter get, Py_ssize_t index) except -1:
    """Have `get` read the field `name`, from the item at `index`."""
    cdef PyGetSetDef* field = &_FIELDS[slot]
    field.name = name
    field.get = get
    field.closure = <void*> index
    setattr(made, name.decode("ascii"), PyDescr_NewGetSet(<PyTypeObject*> made, field))
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


# What is read of an envelope. What is plain is decoded here; all else by Python, in `model`.

cdef object _plain_value(object octets):
    if type(octets) is bytes and _is_ascii(PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets)):
        return _ascii_text(octets)
    return _plain_text(octets)


cdef inline bint _is_ascii(const char* text, Py_ssize_t length) noexcept:
    cdef unsigned long long eight
    while length >= 8:
        memcpy(&eight, text, 8)
        if eight & <unsigned long long> 0x8080808080808080:
            return False
        text += 8
        length -= 8
    while length:
        length -= 1
        if text[length] & 0x80:
            return False
    return True


cdef inline object _ascii_text(object octets):
    cdef Py_ssize_t length = PyBytes_GET_SIZE(octets)
    text = PyUnicode_New(length, 127)
    memcpy(PyUnicode_DATA(text), PyBytes_AS_STRING(octets), length)
    return text


cdef inline object _field_at(object self, Py_ssize_t index):
    """An item of a tuple, which `tuple.__new__()` makes of any length."""
    if index >= PyTuple_GET_SIZE(self):
        raise IndexError("tuple index out of range")
    return (<tuple> self)[index]


cdef object _plain_field(object self, void* closure):
    octets = _field_at(self, <Py_ssize_t> closure)
    return None if octets is None else _plain_value(octets)


cdef object _text_field(object self, void* closure):
    """A field that may have encoded words."""
    cdef const char* at
    cdef const char* end
    octets = _field_at(self, <Py_ssize_t> closure)
    if type(octets) is not bytes:
        return _decoded_field(octets)
    at = PyBytes_AS_STRING(octets)
    end = at + PyBytes_GET_SIZE(octets)
    while at < end:
        if at[0] & 0x80 or at[0] == c"\n":
            return _decoded_field(octets)
        if at[0] == c"=" and at + 1 < end and at[1] == c"?":
            found = _usual_words(PyBytes_AS_STRING(octets), end)
            return _decoded_field(octets) if found is None else found
        at += 1
    return _ascii_text(octets)


cdef object _usual_words(const char* at, const char* end):
    """US-ASCII with encoded words of UTF-8 in it, as text; None where it is anything else."""
    cdef char[_PLAIN_TEXT] text
    cdef char* out = text
    cdef const char* stop
    cdef const char* payload
    cdef char* after_word = NULL  # where text after a word began
    cdef bint blank = True  # there are only spaces since then
    cdef int octet
    if end - at > _PLAIN_TEXT:
        return None
    while at < end:
        octet = at[0]
        if octet != c"=" or end - at < 2 or at[1] != c"?":
            if octet < 32 or octet > 126:
                return None
            blank = blank and octet == c" "
            out[0] = octet
            out += 1
            at += 1
            continue
        if end - at < 12 or not _is_utf_8(at + 2) or at[7] != c"?" or at[9] != c"?":
            return None
        if after_word != NULL and blank:
            if out == after_word:
                return None
            out = after_word  # spaces between words are not shown
        payload = at + 10
        stop = <const char*> memchr(payload, c"?", end - payload)
        if stop == NULL or stop == payload or end - stop < 2 or stop[1] != c"=":
            return None
        if at[8] == c"Q" or at[8] == c"q":
            out = _decode_q(payload, stop, out)
        elif at[8] == c"B" or at[8] == c"b":
            out = _decode_base64(payload, stop, out)
        else:
            return None
        if out == NULL:
            return None
        at = stop + 2
        after_word = out
        blank = True
    if memchr(text, c"\n", out - text) != NULL:
        return None
    try:
        return PyUnicode_DecodeUTF8(text, out - text, NULL)
    except UnicodeDecodeError:
        return None


cdef inline bint _is_utf_8(const char* text) noexcept:
    return (text[0] | 32) == c"u" and (text[1] | 32) == c"t" and (text[2] | 32) == c"f" and text[3] == c"-" and (
        text[4] == c"8"
    )


cdef char* _decode_q(const char* at, const char* stop, char* out) noexcept:
    """Decode the Q encoding (RFC 2047, section 4.2), to the position after what was written; NULL if it is odd."""
    cdef int octet, high, low
    while at < stop:
        octet = at[0]
        at += 1
        if octet == c"=":
            if stop - at < 2:
                return NULL
            high = _hexadecimal(at[0])
            low = _hexadecimal(at[1])
            if high < 0 or low < 0:
                return NULL
            octet = 16 * high + low
            at += 2
        elif octet == c"_":
            octet = c" "
        elif octet <= 32 or octet > 126:
            return NULL
        out[0] = <char> octet
        out += 1
    return out


cdef inline int _hexadecimal(int octet) noexcept:
    if c"0" <= octet <= c"9":
        return octet - c"0"
    octet |= 32
    return octet - c"a" + 10 if c"a" <= octet <= c"f" else -1


cdef char* _decode_base64(const char* at, const char* stop, char* out) noexcept:
    """Decode base64 that is whole, to the position after what was written; NULL if it is not."""
    cdef unsigned int group
    cdef int index, digit, padding = 0
    if (stop - at) % 4 != 0:
        return NULL
    if (stop - 1)[0] == c"=":
        padding = 2 if (stop - 2)[0] == c"=" else 1
    while at < stop:
        group = 0
        for index in range(4):
            digit = _BASE64[<unsigned char> at[index]]
            if digit < 0:
                if at + index < stop - padding:
                    return NULL
                digit = 0
            group = group << 6 | <unsigned int> digit
        at += 4
        out[0] = <char> (group >> 16)
        out[1] = <char> (group >> 8)
        out[2] = <char> group
        out += 3
    return out - padding


cdef object _date_field(object self, void* closure):
    cdef _Date date
    octets = _field_at(self, <Py_ssize_t> closure)
    if octets is None:
        return None
    if type(octets) is bytes and _usual_date(PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets), &date):
        return _moment(&date)
    return _mail_date(octets)


cdef object _mailbox_field(object self, void* closure):
    """The mailbox of an address, or its host."""
    mailbox = _field_at(self, 2)
    if mailbox is None or (type(mailbox) is bytes and PyBytes_AS_STRING(mailbox)[0] != c"<"):
        return _plain_field(self, closure)
    return (_PlainAddress.mailbox if <Py_ssize_t> closure == 2 else _PlainAddress.host).fget(self)


cdef object _email_field(object self, void* closure):
    cdef char[_PLAIN_TEXT] text
    cdef Py_ssize_t before, after
    mailbox = _field_at(self, 2)
    host = _field_at(self, 3)
    if type(mailbox) is bytes and type(host) is bytes:
        before = PyBytes_GET_SIZE(mailbox)
        after = PyBytes_GET_SIZE(host)
        if before + 1 + after <= _PLAIN_TEXT:
            memcpy(text, PyBytes_AS_STRING(mailbox), before)
            text[before] = c"@"
            memcpy(text + before + 1, PyBytes_AS_STRING(host), after)
            if _is_dotted(text, before, _IN_ATOM) and _is_dotted(text + before + 1, after, _IN_LABEL):
                return PyUnicode_DecodeASCII(text, before + 1 + after, NULL)
    return _PlainAddress.email.fget(self)


cdef bint _is_dotted(const char* text, Py_ssize_t length, const bint* among) noexcept:
    """Whether it is words of these octets, with dots between them."""
    cdef Py_ssize_t index
    cdef bint word = False
    for index in range(length):
        if among[<unsigned char> text[index]]:
            word = True
        elif word and text[index] == c".":
            word = False
        else:
            return False
    return word


cdef bint[256] _IN_ATOM  # octets of an address's mailbox (RFC 5322, section 3.2.3, atext)
cdef bint[256] _IN_LABEL  # and of its host
cdef signed char[256] _BASE64  # what the digits mean; -1


cdef int _fill_tables() except -1:
    cdef int octet
    cdef bytes digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for octet in range(256):
        _BASE64[octet] = digits.find(octet)
        _IN_LABEL[octet] = octet in b"_-" or (octet < 128 and chr(octet).isalnum())
        _IN_ATOM[octet] = _IN_LABEL[octet] or octet in b"!#$%&'*+/=?^`{|}~"
    return 0
