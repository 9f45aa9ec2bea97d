# The reader: responses out of the octets of one connection.

# So far is a line of a FETCH response looked for the end of a quoted string in which a line break stands.
cdef Py_ssize_t _JOINED = 64 * 1024


# What the response that is half framed is for.
cdef enum _Mode:
    _RESPONSES
    _BATCH
    _DRAIN


# Where in the first line of an untagged response its parts end: "* " [number " "] type [" " data].
cdef struct _Head:
    Py_ssize_t number_end  # 2 where there is none
    Py_ssize_t name
    Py_ssize_t name_end
    Py_ssize_t data


@cython.final
cdef class ResponseReader(_Buffer):
    """Frames the octets of one connection into responses; see :mod:`fastimap.parser`."""

    cdef Py_ssize_t line_limit
    cdef unsigned long long literal_limit
    cdef unsigned long long other_literal_limit
    cdef Py_ssize_t response_limit
    cdef Py_ssize_t literals_limit
    cdef Py_ssize_t depth_limit
    cdef _Decoder decoder
    # The response that is half framed.
    cdef _Mode mode
    cdef list fragments  # a line and in turn a literal and the line after it
    cdef Py_ssize_t literal_size  # of the literal that comes next
    cdef Py_ssize_t octets
    cdef bint in_fetch
    cdef _Outline outline
    cdef _Outline unjoined  # the outline of the beginning of a line that may go on; see _join()
    cdef object tags
    # Literals for a sink.
    cdef object sink
    cdef object write  # the literal at hand goes there
    cdef object error  # of the sink or of write()
    cdef Py_ssize_t streamed

    def __init__(self, limits=READER_LIMITS):
        _Buffer.__init__(self)
        self.line_limit = min(limits.line, _MAX_SIZE)
        self.literal_limit = min(limits.literal, _MAX_SIZE)
        self.other_literal_limit = min(limits.other_literal, self.literal_limit)
        self.response_limit = min(limits.response, _MAX_SIZE)
        self.literals_limit = min(limits.literals, _MAX_SIZE)
        self.depth_limit = min(limits.depth, _MAX_SIZE)
        self.decoder = _Decoder(self.depth_limit)
        self.mode = _RESPONSES
        self.fragments = []
        self.literal_size = -1
        self.octets = 0
        self.in_fetch = False
        self.outline = _Outline()
        self.outline.reset()
        self.unjoined = self.outline
        self.tags = None
        self.sink = self.write = self.error = None
        self.streamed = 0

    @property
    def in_response(self):
        return len(self.fragments) > 0

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

    cdef int _check_failure(self) except -1:
        self._check_call()
        if self.failure is not None:
            raise self.failure.with_traceback(None)  # not with the frames of all who were told before
        return 0

    cdef int _check_readable(self) except -1:
        self._check_failure()
        if len(self.fragments):
            raise ProtocolError("a response is half read")
        self._forget_joined()
        return 0

    cdef int _check_literal(self, size, unsigned long long limit) except -1:
        if size > limit:
            announced = str(size) if size <= _MAX_SIZE else "2**63 or more"
            raise LiteralTooLarge(f"literal of {announced} octets, more than {limit}")
        return 0

    # Responses out.

    @cython.critical_section
    def set_sink(self, sink):
        self.sink = sink

    @cython.critical_section
    def set_tags(self, tags):
        self.tags = tags

    cdef int _begin(self, _Mode mode) except -1:
        self._check_failure()
        if self.mode != mode and len(self.fragments):
            raise ProtocolError("a response is half read")
        if self.mode != mode:
            self._forget_joined()
        self.mode = mode
        return 0

    @cython.critical_section
    def responses(self):
        cdef list batch = []
        self._begin(_RESPONSES)
        try:
            while self._next_fragment(self.line_limit):
                batch.append(self._taken())
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
                    if not self._next_fragment(self.line_limit):
                        break
                    response = self._taken()
                    if not self.in_fetch:
                        rows = None
                        batch.append(response)
                        count += 1
                        continue
                    _load_types()
                    row = self.decoder.from_fragments(response)
                    if row is None:
                        row = _tolerant(response, self.depth_limit)
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
        cdef _Memory memory  # what the segments point into
        cdef _Segment[_SEGMENTS] segments
        cdef _Head head
        cdef Py_ssize_t length, count
        cdef Py_ssize_t stop = 0
        cdef const char* line
        cdef bytes data
        # The last response's type: mostly the next has the same.
        cdef object target = None  # its list in untagged; None where that is yet to be looked up
        cdef str type_name = None
        cdef char[32] last
        cdef Py_ssize_t last_length = -1
        while True:
            count = 0
            if len(self.fragments) == 0:
                stop = self._find_line(limit)
                if stop < 0:
                    return None
                line = self.memory.data + self.start
                length = stop - self.start - 2
                if length < 3 or line[length] != c"\r" or not _data_response(line, length, &head):
                    return self._take(stop)
                count = 1
                if line[length - 1] == c"}":
                    memory = self.memory
                    count = self._frame(segments, &stop, limit)
            if count == 0:
                if not self._next_fragment(limit):
                    return None
                line = PyBytes_AS_STRING(<bytes> self.fragments[0])
                length = PyBytes_GET_SIZE(<bytes> self.fragments[0])
                if not _data_response(line, length, &head):
                    raise ProtocolError("the reader was used by several threads at once")
            # imaplib has a number before the data, and no type.
            if head.number_end == 2:
                data = PyBytes_FromStringAndSize(line + head.data, length - head.data)
            elif head.data == length:
                data = PyBytes_FromStringAndSize(line + 2, head.number_end - 2)
            else:
                data = _joined(line + 2, head.number_end - 2, line + head.data, length - head.data)
            if last_length != head.name_end - head.name or memcmp(last, line + head.name, last_length) != 0:
                type_name = PyUnicode_DecodeASCII(line + head.name, head.name_end - head.name, NULL)
                target = None
                last_length = head.name_end - head.name if head.name_end - head.name <= 32 else -1
                if last_length > 0:
                    memcpy(last, line + head.name, last_length)
            if target is None:
                target = untagged.get(type_name)
                if target is None:
                    untagged[type_name] = target = []
            if count:
                self.start = self.scanned = stop
                if count > 1:
                    data = _append_pairs(target, data, segments, count)
            else:
                data = self._append_fragments(target, data)
            if type(target) is list:
                PyList_Append(target, data)
            else:
                target.append(data)

    cdef bytes _append_fragments(self, object target, bytes line):
        """Append the framed response's (line, literal) pairs to `target`, the first with this line; return the last."""
        cdef list fragments = self.fragments
        cdef Py_ssize_t index
        cdef tuple pair
        self.fragments = []
        for index in range(1, len(fragments), 2):
            pair = (line, fragments[index])
            PyObject_GC_UnTrack(<void*> pair)  # bytes alone can be in no cycle
            target.append(pair)
            line = <bytes> fragments[index + 1]
        return line

    cdef tuple _taken(self):
        """Return the response that is framed."""
        cdef tuple fragments = tuple(self.fragments)
        self.fragments = []
        return fragments

    cdef object _whole_row(self):
        """The FETCH response at start, when all of it has arrived and it is plain; else None, and nothing is taken.

        A program's first one is None, too: its types are imported when it has been taken.
        """
        cdef _Memory memory = self.memory  # what the segments point into
        cdef _Segment[_SEGMENTS] segments
        cdef const char* line
        cdef Py_ssize_t stop, count
        if _Envelope is None or len(self.fragments) or self.joined:
            return None
        stop = self._find_line(self.line_limit)
        if stop < 0:
            return None
        line = memory.data + self.start
        # The shortest is "* 1 FETCH ()"; by its fifth octet on, FETCH tells itself from EXISTS and the like.
        if stop - self.start < 13 or line[0] != c"*" or not c"0" <= line[2] <= c"9":
            return None
        count = self._frame(segments, &stop, self.line_limit)
        if count == 0:
            return None
        row = self.decoder.decode(segments, count)
        if row is not None:
            self.start = self.scanned = stop
        return row

    cdef inline Py_ssize_t _frame(self, _Segment* segment, Py_ssize_t* stop, Py_ssize_t limit) noexcept:
        """Frame the response at start, whose first line ends at `stop`, without taking or copying anything.

        Return the number of its segments, and in `stop` where it ends; 0 where it has not all arrived, or where a line
        or a literal of it is a question for _next_fragment().
        """
        cdef _Memory memory = self.memory
        cdef const char* end = memory.data + self.end
        cdef const char* text = memory.data + self.start
        cdef const char* after = memory.data + stop[0]
        cdef const char* lf
        cdef Py_ssize_t length, size
        cdef Py_ssize_t count = 0
        while True:
            length = after - text - 1
            if length > 0 and text[length - 1] == c"\r":
                length -= 1
            elif self.mode == _DRAIN:
                return 0
            if length == 0 or (count > 0 and text[0] != c")" and text[0] != c" "):
                return 0
            count += 1
            segment.text = text
            segment.length = segment.whole_length = length
            segment.fragment = NULL
            size = -1
            if text[length - 1] == c"}":
                size = _announced(text, length)
            if size == -1:
                break
            if size < 0 or count == _SEGMENTS or count > self.literals_limit:
                return 0
            if <unsigned long long> size > self.other_literal_limit or (self.mode == _BATCH and self.sink is not None):
                return 0
            segment.length = _before_announcement(text, length)
            if end - after <= size:
                return 0
            segment.literal = after
            segment.literal_length = size
            segment += 1
            text = after + size
            lf = <const char*> memchr(text, c"\n", end - text)
            if lf == NULL or lf + 1 - text > limit:
                return 0
            after = lf + 1
        if count > 1 and after - memory.data - self.start > self.response_limit:
            return 0
        stop[0] = after - memory.data
        return count

    cdef bint _next_fragment(self, Py_ssize_t limit) except -1:
        """Go on with the response at hand, line by line and literal by literal; whether all its fragments are there."""
        cdef Py_ssize_t stop, size
        cdef const char* line
        cdef bytes text
        cdef object literal
        while True:
            if self.literal_size >= 0:
                literal = self._take_literal(self.literal_size) if self.write is None else self._take_streamed()
                if literal is None:
                    return False
                PyList_Append(self.fragments, literal)
                self.literal_size = -1
                if self.outline.section is not None and type(literal) is bytes:
                    self.outline.add_literal(literal)
            stop = self.start + self.joined
            if not self.joined:
                stop = self._find_line(limit)
                if stop < 0:
                    return False
                text = self._text(stop)
                line = PyBytes_AS_STRING(text)
                if len(self.fragments) == 0:
                    if not text:
                        self.start = self.scanned = stop
                        continue
                    if line[0] != c"*" or _is_status_line(line, PyBytes_GET_SIZE(text)):
                        self.in_fetch = False
                        self.start = self.scanned = stop
                        PyList_Append(self.fragments, text)
                        return True
                    self.in_fetch = self.outline.begin(text)
                elif text.startswith(b"* ") or _is_tagged(text, self.tags):
                    PyList_Append(self.fragments, b"")  # the rest was left out: this is another response
                    return True
                elif self.mode == _DRAIN and not self._ends_in_crlf(stop):
                    raise ProtocolError(f"unterminated line: {_shown(self._take(stop))}")
                elif text:
                    self.outline.feed(text, 0)
            if self.in_fetch and self.outline.quoted and self.mode != _DRAIN:
                stop = self._join(stop, limit)
                if stop < 0:
                    return False
                text = self._text(stop)
            size = self._literal_after(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            if len(self.fragments):
                self._count_octets(stop - self.start)
            else:
                self.octets = stop - self.start
            self.start = self.scanned = stop
            if not text and self.outline.depth > 0:
                continue  # some servers send an empty line after a literal; the list goes on after it
            if size < 0:
                PyList_Append(self.fragments, text)
                return True
            if not self.in_fetch and len(self.fragments) == 0:
                self.outline.feed(text, 0)
            self._announce(text, size)

    cdef bint _ends_in_crlf(self, Py_ssize_t stop) except -1:
        self._check_positions()
        if not self.start < stop <= self.end:
            raise ProtocolError("the reader was used by several threads at once")
        return stop - self.start >= 2 and self.memory.data[stop - 2] == c"\r"

    cdef Py_ssize_t _join(self, Py_ssize_t stop, Py_ssize_t limit) except -2:
        """Return where a line of a FETCH response ends of which the part up to `stop` ends inside a quoted string.

        That is after a later line, where one closes the string and with it the response, or ends in a part of the
        message; so nothing in the string passes for a response. Else it is `stop`; -1 where more octets are needed.
        """
        cdef _Outline outline = self.outline
        cdef Py_ssize_t begin, length
        cdef const char* lf
        cdef bytes line
        if not self.joined:
            if self.start < self.not_joined:
                outline.quoted = False
                return stop
            self.unjoined = outline.copy()
            self.joined = stop - self.start
        limit = min(limit, _JOINED)
        while outline.quoted:
            self._check_positions()
            begin = self.start + self.joined
            if begin > self.end:
                raise ProtocolError("the reader was used by several threads at once")
            length = max(begin, self.scanned)
            lf = <const char*> memchr(self.memory.data + length, c"\n", self.end - length)
            stop = lf - self.memory.data + 1 if lf != NULL else self.end
            if stop - self.start > limit:
                break
            if lf == NULL:
                self.scanned = self.end
                return -1
            line = PyBytes_FromStringAndSize(self.memory.data + begin, stop - begin)
            if _is_tagged(line, self.tags):
                break
            length = stop - begin - 1
            line = line[: length - 1 if length > 0 and PyBytes_AS_STRING(line)[length - 1] == c"\r" else length]
            outline.feed(line, 0)
            self.joined = stop - self.start
            if not outline.quoted and (
                outline.is_part()
                if _announced(PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line)) != -1
                else outline.depth == 0
            ):
                self.joined = 0
                return stop
        # Not later than here, so that each line is looked at once.
        self.not_joined = self.start + self.joined
        self.outline = self.unjoined
        self.outline.quoted = False
        return self._forget_joined()

    cdef Py_ssize_t _forget_joined(self) except -2:
        """Take a line for what it is up to its line break; return where it ends."""
        cdef const char* lf
        if not self.joined:
            return self.start
        self._check_positions()
        self.joined = 0
        self.scanned = self.start
        lf = <const char*> memchr(self.memory.data + self.start, c"\n", self.end - self.start)
        if lf == NULL:
            raise ProtocolError("the reader was used by several threads at once")
        return lf - self.memory.data + 1

    cdef Py_ssize_t _literal_after(self, const char* text, Py_ssize_t length) except -2:
        """Return the size that a literal's announcement at the end of `text` gives, or -1."""
        cdef Py_ssize_t size = -1
        if length > 0 and text[length - 1] == c"}":
            size = _announced(text, length)
        if size == _TOO_LARGE:
            self._check_literal(_MAX_SIZE + <object> 1, self.literal_limit)
        return size

    cdef int _announce(self, bytes line, Py_ssize_t size) except -1:
        """Get ready for the literal of `size` octets that `line` announces."""
        cdef bint of_message
        if len(self.fragments) // 2 >= self.literals_limit:
            raise TooManyLiterals(f"response with more than {self.literals_limit} literals")
        PyList_Append(self.fragments, line)
        self.literal_size = size
        of_message = self.in_fetch and self.outline.is_part()
        if of_message and self.mode == _BATCH and self.sink is not None:
            self._ask_sink()
        if self.write is None:
            self._check_literal(size, self.literal_limit if of_message else self.other_literal_limit)
            self._count_octets(size)
        return 0

    cdef int _ask_sink(self) except -1:
        cdef _Outline outline = self.outline
        cdef object name = self.decoder.section_name(outline.name)
        cdef object number = None if outline.by_uid else outline.number
        cdef object uid = outline.number if outline.by_uid else (None if outline.uid < 0 else outline.uid)
        self.streamed = 0
        self.calling = True
        try:
            self.write = self.sink(number, uid, name, self.literal_size)
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


def _discard(octets):
    pass


cdef inline bint _data_response(const char* line, Py_ssize_t length, _Head* head) noexcept:
    """Whether this is the first line, without its end, of a response that drain() stores; `head` has its parts."""
    cdef Py_ssize_t name = 2
    cdef Py_ssize_t name_end
    if length < 3 or line[0] != c"*" or line[1] != c" ":
        return False
    while name < length and c"0" <= line[name] <= c"9":
        name += 1
    head.number_end = name
    if name > 2:
        if name == length or line[name] != c" ":
            return False
        name += 1
    name_end = name
    while name_end < length and (c"A" <= line[name_end] <= c"Z" or line[name_end] == c"-"):
        name_end += 1
    if name_end == name or (name_end < length and line[name_end] != c" "):
        return False
    head.name = name
    head.name_end = name_end
    head.data = name_end + 1 if name_end < length else length
    return not _is_status(line + name, name_end - name) or (
        head.number_end == 2
        and _is_condition(line + name, name_end - name)
        and length > head.data
        and line[head.data] != c"["
        and line[length - 1] != c"}"
    )


cdef bytes _append_pairs(object target, bytes line, _Segment* segment, Py_ssize_t count):
    """Append the (line, literal) pairs of these segments to `target`, the first with this line; return the last."""
    cdef tuple pair
    while count > 1:
        pair = (line, PyBytes_FromStringAndSize(segment.literal, segment.literal_length))
        PyObject_GC_UnTrack(<void*> pair)  # bytes alone can be in no cycle
        target.append(pair)
        count -= 1
        segment += 1
        line = PyBytes_FromStringAndSize(segment.text, segment.whole_length)
    return line


cdef inline bint _is_status(const char* name, Py_ssize_t length) noexcept:
    if length == 2:
        return memcmp(name, b"OK", 2) == 0 or memcmp(name, b"NO", 2) == 0
    if length == 3:
        return memcmp(name, b"BAD", 3) == 0 or memcmp(name, b"BYE", 3) == 0
    return length == 7 and memcmp(name, b"PREAUTH", 7) == 0


cdef inline bint _is_condition(const char* name, Py_ssize_t length) noexcept:
    return memcmp(name, b"BAD", length) == 0 if length == 3 else length == 2


cdef inline bytes _joined(const char* number, Py_ssize_t digits, const char* data, Py_ssize_t length):
    cdef bytes octets = PyBytes_FromStringAndSize(NULL, digits + 1 + length)
    cdef char* out = PyBytes_AS_STRING(octets)
    memcpy(out, number, digits)
    out[digits] = c" "
    memcpy(out + digits + 1, data, length)
    return octets
