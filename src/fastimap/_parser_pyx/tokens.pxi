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
cdef long long _MAX_SIZE = 0x7FFFFFFFFFFFFFFF
cdef Py_ssize_t _SHOWN = 80


cdef str _shown(bytes octets):
    return repr(octets) if len(octets) <= _SHOWN else repr(octets[:_SHOWN]) + "..."


def tokenize(fragments, depth=DEFAULT_LIMITS.depth):
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
                values.append(_new_atom(_Atom, text + position, stop - position))
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
