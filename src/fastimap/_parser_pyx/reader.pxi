# The reader: octets in, lines, literals and responses out.

# One receive buffer a connection: more gains nothing against real servers (they write 4 to 32 KiB at a time).
cdef Py_ssize_t _BUFFER_SIZE = 256 * 1024
# A literal of at most this size is received with the lines around it and copied once; that costs no more
# than receiving it in place, and saves system calls.
cdef Py_ssize_t _IN_PLACE = 64 * 1024
# The memory of such a literal: this much to begin with, then this many times what has arrived, however much is
# announced. Each step may make the allocator copy what is there.
cdef Py_ssize_t _FIRST_ROOM = 1024 * 1024
cdef Py_ssize_t _GROWTH = 4
# So far is a line of a FETCH response looked for the end of a quoted string in which a line break stands.
cdef Py_ssize_t _JOINED = 64 * 1024


# What the response that is half framed is for.
cdef enum _Mode:
    _RESPONSES
    _BATCH
    _DRAIN


@cython.final
cdef class ResponseReader:
    """Frames the octets of one connection into responses; see :mod:`fastimap.parser`."""

    cdef Py_ssize_t line_limit
    cdef unsigned long long literal_limit
    cdef unsigned long long other_literal_limit
    cdef Py_ssize_t response_limit
    cdef Py_ssize_t literals_limit
    cdef Py_ssize_t depth_limit
    cdef _Decoder decoder
    cdef _Memory memory
    cdef Py_ssize_t start  # first octet that nobody has taken
    cdef Py_ssize_t scanned  # no LF stands before this position
    cdef Py_ssize_t end  # after the last octet received
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
    cdef bint in_fetch
    cdef _Outline outline
    cdef Py_ssize_t outlined  # lines that it has
    # A line that may go on after a line break inside a quoted string.
    cdef Py_ssize_t joined  # octets of it that the outline has; 0 where there is none
    cdef _Outline unjoined  # the outline of its beginning
    cdef Py_ssize_t not_joined  # no line that begins before this position goes on in this way
    cdef object tags
    # Literals for a sink.
    cdef object sink
    cdef bint calling
    cdef object write  # the literal at hand goes there
    cdef object error  # of the sink or of write()
    cdef Py_ssize_t streamed
    cdef object failure

    def __init__(self, limits=READER_LIMITS):
        self.line_limit = min(limits.line, _MAX_SIZE)
        self.literal_limit = min(limits.literal, _MAX_SIZE)
        self.other_literal_limit = min(limits.other_literal, self.literal_limit)
        self.response_limit = min(limits.response, _MAX_SIZE)
        self.literals_limit = min(limits.literals, _MAX_SIZE)
        self.depth_limit = min(limits.depth, _MAX_SIZE)
        self.decoder = _Decoder(self.depth_limit)
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
        self.literals = self.octets = self.outlined = self.joined = self.not_joined = 0
        self.in_fetch = self.calling = False
        self.outline = _Outline()
        self.outline._reset()
        self.unjoined = self.outline
        self.tags = None
        self.sink = self.write = self.error = None
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
                self.start = self.scanned = self.end = self.not_joined = 0
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
        self.start = self.scanned = self.end = self.offered = self.not_joined = self.joined = 0
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
        self.not_joined = max(0, self.not_joined - self.start)
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
        self._forget_joined()
        return 0

    cdef Py_ssize_t _find_line(self, Py_ssize_t limit) except -2:
        """Return the position after the LF that ends the line at start, or -1."""
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
            self.start = self.scanned = self.end = self.offered = self.not_joined = 0
        return None

    # Responses out.

    @cython.critical_section
    def set_sink(self, sink):
        self.sink = sink

    @cython.critical_section
    def set_tags(self, tags):
        self.tags = tags

    cdef int _begin(self, _Mode mode) except -1:
        self._check_failure()
        if self.mode != mode and self._in_response():
            raise ProtocolError("a response is half read")
        if self.mode != mode:
            self._forget_joined()
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
                        row = _fetch(response, self.depth_limit)
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
            data = name_end + 1 if name_end < length else length
            if _is_status(line + name, name_end - name) and not (
                number_end == 2
                and _is_condition(line + name, name_end - name)
                and length > data
                and line[data] != c"["
                and line[length - 1] != c"}"
            ):
                return self._take(stop)
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
        cdef Py_ssize_t stop, size, octets
        cdef bytes text
        cdef list flat
        cdef bint in_fetch
        while not self._in_response():
            stop = self.start + self.joined
            if not self.joined:
                stop = self._find_line(self.line_limit)
                if stop < 0:
                    return None
            text = self._text(stop)
            if not text:
                self.start = self.scanned = stop
                continue
            if PyBytes_AS_STRING(text)[0] != c"*" or _is_status_line(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)):
                self.start = self.scanned = stop
                return (text,)
            in_fetch = self.joined > 0 or self.outline.begin(text)
            if in_fetch and self.outline.quoted:
                stop = self._join(stop, self.line_limit)
                if stop < 0:
                    return None
                text = self._text(stop)
            size = self._literal_after(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            octets = stop - self.start
            self.start = self.scanned = stop
            if size < 0:
                return (text,)
            self._open(octets, text, size, in_fetch)
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

    cdef bytes _text(self, Py_ssize_t stop):
        """Return the line at start without its end."""
        cdef Py_ssize_t length = stop - self.start - 1
        cdef const char* line
        if length < 0 or not 0 <= self.start <= stop <= self.end <= self.memory.capacity:
            raise ProtocolError("the reader was used by several threads at once")
        line = self.memory.data + self.start
        if length > 0 and line[length - 1] == c"\r":
            length -= 1
        return PyBytes_FromStringAndSize(line, length)

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

    cdef object _whole_row(self):
        """The FETCH response at start, when all of it has arrived and it is plain; else None, and nothing is taken."""
        cdef _Memory memory = self.memory
        cdef _Segment[_SEGMENTS] segments
        cdef _Segment* segment = segments
        cdef const char* lf
        cdef const char* end
        cdef Py_ssize_t stop, length, size
        cdef Py_ssize_t count = 0
        if self._in_response() or self.joined:
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
        cdef Py_ssize_t size = -1
        if length > 0 and text[length - 1] == c"}":
            size = _announced(text, length)
        if size == _TOO_LARGE:
            self._check_literal(_MAX_SIZE + <object> 1, self.literal_limit)
        return size

    cdef int _open(self, Py_ssize_t octets, bytes head, Py_ssize_t size, bint in_fetch) except -1:
        self.literals = 0
        self.octets = octets
        self.in_fetch = in_fetch
        self.outlined = in_fetch and self.mode != _DRAIN
        return self._announce(head, size)

    cdef int _announce(self, bytes head, Py_ssize_t size) except -1:
        """Get ready for the literal of `size` octets that `head` announces."""
        cdef unsigned long long limit
        self.literals += 1
        if self.literals > self.literals_limit:
            raise TooManyLiterals(f"response with more than {self.literals_limit} literals")
        self.head = head
        self.literal_size = size
        if self.in_fetch and self.mode == _BATCH and self.sink is not None and self.outline.is_part():
            self._ask_sink()
        if self.write is None:
            limit = self.other_literal_limit
            if self.in_fetch and <unsigned long long> size > limit and self._outline_so_far().is_part():
                limit = self.literal_limit
            self._check_literal(size, limit)
            self._count_octets(size)
        return 0

    cdef _Outline _outline_so_far(self):
        """Return the outline of all lines of the response; drain() seldom needs one."""
        cdef bytes line
        if self.outlined == 0:
            self.outline = _Outline()
            self.outline._reset()
        for fragment in self.fragments[self.outlined:]:
            if isinstance(fragment, tuple):
                line = (<tuple> fragment)[0]
                self.outline.feed(line, 0)
                self.outlined += 1
        if self.literal_size >= 0 and self.outlined <= len(self.fragments):
            self.outline.feed(self.head, 0)
            self.outlined += 1
        return self.outline

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

    cdef bint _next_fragment(self, Py_ssize_t limit) except -1:
        """Go on with the half framed response; whether it is complete."""
        cdef Py_ssize_t stop, size, length
        cdef const char* line
        cdef bytes text
        cdef object literal
        cdef tuple pair
        cdef bint outlines = self.in_fetch and self.mode != _DRAIN
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
                if self.in_fetch and self.outline.section is not None and type(literal) is bytes:
                    self.outline.add_literal(literal)
            stop = self.start + self.joined
            if not self.joined:
                stop = self._find_line(limit)
                if stop < 0:
                    return False
                line = self.memory.data + self.start
                length = stop - self.start
                if line[0] != c")" and line[0] != c" " and line[0] != c"\r":
                    text = PyBytes_FromStringAndSize(line, length)
                    if text.startswith(b"* ") or _is_tagged(text, self.tags):
                        PyList_Append(self.fragments, b"")  # the rest was left out: this is another response
                        return True
                    self._check_positions()
                    if stop > self.end or stop - self.start != length:
                        raise ProtocolError("the reader was used by several threads at once")
                    line = self.memory.data + self.start
                if self.mode == _DRAIN and (length < 2 or line[length - 2] != c"\r"):
                    text = self._take(stop)
                    raise ProtocolError(f"unterminated line: {_shown(text)}")
                text = self._text(stop)
                if outlines and text:
                    self.outline.feed(text, 0)
                    self.outlined += 1
            if outlines and self.outline.quoted:
                stop = self._join(stop, limit)
                if stop < 0:
                    return False
                text = self._text(stop)
            self._count_octets(stop - self.start)
            self.start = self.scanned = stop
            if not text and self._outline_so_far().depth > 0:
                continue  # some servers send an empty line after a literal; the list goes on after it
            size = self._literal_after(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            if size < 0:
                PyList_Append(self.fragments, text)
                return True
            self._announce(text, size)


def _discard(octets):
    pass


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
