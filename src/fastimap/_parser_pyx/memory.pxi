# Memory: receive buffers, rows, and values that come again and again.

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

# FETCH responses, decoded by the thousand. What is plain is decoded here, straight from the memory in which it lies;


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
