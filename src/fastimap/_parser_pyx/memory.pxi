# Memory: what was received and not taken yet, rows, and values that come again and again.

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** octets, Py_ssize_t size) except -1
    PyObject* _new_bytes "PyBytes_FromStringAndSize"(const char* octets, Py_ssize_t size) except NULL
    char* _bytes_data "PyBytes_AS_STRING"(PyObject* octets)
    Py_ssize_t _bytes_size "PyBytes_GET_SIZE"(PyObject* octets)
    void Py_XDECREF(PyObject* obj)
    void PyObject_GC_Track(void* obj)
    void PyObject_GC_UnTrack(void* obj)


cdef extern from *:
    """
    /* A new object of a subclass of bytes that adds nothing to it. */
    static inline PyObject *fastimap_new_atom(PyObject *type, const char *octets, Py_ssize_t size) {
        PyObject *atom = ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, size);
        if (atom != NULL) {
            /* The hash, not known yet; by its name it is deprecated. */
            memset((char *)atom + offsetof(PyBytesObject, ob_sval) - sizeof(Py_hash_t), 0xff, sizeof(Py_hash_t));
            memcpy(PyBytes_AS_STRING(atom), octets, size);
            PyBytes_AS_STRING(atom)[size] = 0;
        }
        return atom;
    }

    /* A new tuple of a subclass, its items not set, which the cyclic garbage collector does not visit. */
    static inline PyObject *fastimap_new_row(PyObject *type, Py_ssize_t size) {
        PyTupleObject *row = PyObject_GC_NewVar(PyTupleObject, (PyTypeObject *)type, size);
        if (row != NULL) {
    #if PY_VERSION_HEX >= 0x030E0000
            row->ob_hash = -1;  /* not known yet */
    #endif
            memset(row->ob_item, 0, size * sizeof(PyObject *));
        }
        return (PyObject *)row;
    }

    /* None for each item that is not set. */
    static inline void fastimap_complete_row(PyObject *row) {
        for (Py_ssize_t index = Py_SIZE(row) - 1; index >= 0; index--) {
            if (PyTuple_GET_ITEM(row, index) == NULL) {
                PyTuple_SET_ITEM(row, index, Py_NewRef(Py_None));
            }
        }
    }
    """
    object _new_atom "fastimap_new_atom"(object type, const char* octets, Py_ssize_t size)
    object _new_row "fastimap_new_row"(object type, Py_ssize_t size)
    void _complete_row "fastimap_complete_row"(object row)


@cython.final
@cython.no_gc
@cython.internal
cdef class _Memory:
    """Memory for octets from the network: a bytes object that nobody else has seen yet, and its writable views."""

    cdef PyObject* octets
    cdef char* data
    cdef Py_ssize_t capacity
    cdef Py_ssize_t offset  # where the next view begins
    cdef Py_ssize_t stop  # and ends: before this position, or with the memory where it is 0
    cdef Py_ssize_t exports

    def __cinit__(self, Py_ssize_t capacity):
        self.octets = _new_bytes(NULL, capacity)
        self.data = _bytes_data(self.octets)
        self.capacity = capacity

    def __dealloc__(self):
        Py_XDECREF(self.octets)

    @cython.critical_section
    def __getbuffer__(self, Py_buffer* view, int flags):
        # What a sink gets to see is read-only.
        cdef Py_ssize_t stop = self.stop or self.capacity
        if not 0 <= self.offset <= stop <= self.capacity:
            raise BufferError("the reader was used by several threads at once")
        PyBuffer_FillInfo(view, self, self.data + self.offset, stop - self.offset, self.stop != 0, flags)
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
        self.capacity = self.offset = self.stop = 0
        _PyBytes_Resize(&self.octets, capacity)
        self.data = _bytes_data(self.octets)
        self.capacity = capacity
        return True

cdef enum:
    _SLOTS = 256  # of a cache
    _CACHED = 64  # octets of the longest key


@cython.final
@cython.internal
@cython.no_gc
cdef class _Cache:
    """Values by the octets that they were made from; a new one takes the place of another with the same slot."""

    cdef PyObject* keys[_SLOTS]
    cdef PyObject* values[_SLOTS]

    def __dealloc__(self):
        for slot in range(_SLOTS):
            Py_XDECREF(self.keys[slot])
            Py_XDECREF(self.values[slot])

    cdef object get(self, const char* text, Py_ssize_t length):
        """The value, or None."""
        cdef Py_ssize_t slot = _slot(text, length)
        cdef PyObject* key = self.keys[slot]
        if key == NULL or _bytes_size(key) != length or memcmp(_bytes_data(key), text, length) != 0:
            return None
        return <object> self.values[slot]

    cdef int put(self, bytes key, object value) except -1:
        cdef Py_ssize_t slot = _slot(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        cdef PyObject* old_key = self.keys[slot]
        cdef PyObject* old_value = self.values[slot]
        Py_INCREF(key)
        Py_INCREF(value)
        self.keys[slot] = <PyObject*> key
        self.values[slot] = <PyObject*> value
        Py_XDECREF(old_key)
        Py_XDECREF(old_value)
        return 0


cdef inline Py_ssize_t _slot(const char* text, Py_ssize_t length) noexcept:
    cdef unsigned long long first = 0
    cdef unsigned long long middle = 0
    cdef unsigned long long last = 0
    if length >= 8:
        memcpy(&first, text, 8)
        memcpy(&middle, text + (length - 8) // 2, 8)
        memcpy(&last, text + length - 8, 8)
    else:
        memcpy(&first, text, length)
    first = (first ^ (middle << 7) ^ (middle >> 57) ^ (last << 23) ^ (last >> 41) ^ <unsigned long long> length)
    return <Py_ssize_t> ((first * <unsigned long long> 0x9E3779B97F4A7C15) >> 56)


cdef tuple _item(str name, object value):
    cdef tuple item = (name, value)
    PyObject_GC_UnTrack(<void*> item)
    return item


cdef inline tuple _added(tuple items, tuple item):
    return (item,) if items is None else items + (item,)


# What is in a row are octets, numbers and rows: these can be in no cycle, so the garbage collector need not see them.
# Nobody else sees a row of which an item is not set.
cdef inline void _set(object row, Py_ssize_t index, object value) noexcept:
    Py_INCREF(value)
    PyTuple_SET_ITEM(row, index, value)


# One receive buffer a connection: more gains nothing against real servers (they write 4 to 32 KiB at a time).
cdef Py_ssize_t _BUFFER_SIZE = 256 * 1024
# A literal of at most this size is received with the lines around it and copied once; that costs no more
# than receiving it in place, and saves system calls.
cdef Py_ssize_t _IN_PLACE = 64 * 1024
# The memory of such a literal: this much to begin with, then this many times what has arrived, however much is
# announced. Each step may make the allocator copy what is there.
cdef Py_ssize_t _FIRST_ROOM = 1024 * 1024
cdef Py_ssize_t _GROWTH = 4


@cython.internal
cdef class _Buffer:
    """The octets that were received and not taken: octets in, lines and literals out."""

    cdef _Memory memory
    cdef Py_ssize_t start  # first octet that was not taken yet
    cdef Py_ssize_t scanned  # no LF stands before this position
    cdef Py_ssize_t end  # after the last octet received
    cdef Py_ssize_t offered  # octets of room that the last get_buffer() gave
    cdef bint offered_in_place
    cdef _Memory in_place  # the literal that is received into its final memory
    cdef Py_ssize_t in_place_size
    cdef Py_ssize_t received
    # Of a line that may go on after a line break inside a quoted string; see ResponseReader._join().
    cdef Py_ssize_t joined  # octets of it that the outline has; 0 where there is none
    cdef Py_ssize_t not_joined  # no line that begins before this position goes on in this way
    cdef bint calling  # a sink
    cdef object failure

    def __init__(self):
        self.memory = _Memory(_BUFFER_SIZE)
        self.start = self.scanned = self.end = self.offered = 0
        self.offered_in_place = False
        self.in_place = None
        self.in_place_size = self.received = 0
        self.joined = self.not_joined = 0
        self.calling = False
        self.failure = None

    @property
    def buffered(self):
        return self.end - self.start + self.received

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

    @cython.final
    cdef int _check_positions(self) except -1:
        if not 0 <= self.start <= self.scanned <= self.end <= self.memory.capacity or (
            self.in_place is not None and not 0 <= self.received <= self.in_place.capacity
        ):
            raise ProtocolError("the reader was used by several threads at once")
        return 0

    @cython.final
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

    @cython.final
    cdef _Memory _literal_room(self):
        cdef _Memory memory = self.in_place
        cdef _Memory larger
        cdef Py_ssize_t capacity
        self._check_positions()
        if self.received == memory.capacity:
            capacity = memory.capacity
            capacity = self.in_place_size if capacity > self.in_place_size // _GROWTH else _GROWTH * capacity
            try:
                if not memory.grow(capacity):  # the last view is still held
                    larger = _Memory(capacity)
                    memcpy(larger.data, memory.data, self.received)
                    self.in_place = memory = larger
            except MemoryError:
                self.in_place = None
                self.received = 0
                self.failure = ProtocolError(f"no memory for a literal of {self.in_place_size} octets")
                raise
        return memory

    @cython.final
    cdef int _check_call(self) except -1:
        if self.calling:
            raise RuntimeError("a sink called the reader that called it")
        return 0

    @cython.final
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

    @cython.final
    cdef inline bytes _take(self, Py_ssize_t stop):
        cdef bytes octets = PyBytes_FromStringAndSize(self.memory.data + self.start, stop - self.start)
        self.start = self.scanned = stop
        return octets

    @cython.final
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

    @cython.final
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
