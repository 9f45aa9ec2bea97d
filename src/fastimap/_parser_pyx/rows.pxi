# Rows: a class of fixed size that the garbage collector does not visit, as what it holds can be in no cycle; and which
# rows a command claims. Numbers and dates become objects when they are read. A row never changes, so it needs no lock.

cdef enum:  # the bits PRESENT_UID, PRESENT_FLAGS, ...
    _HAS_UID = 1
    _HAS_FLAGS = 2
    _HAS_SIZE = 4
    _HAS_DATE = 8
    _HAS_MOD_SEQUENCE = 16
    _HAS_ENVELOPE = 32
    _HAS_STRUCTURE = 64
    _HAS_BODY = 128
    _HAS_OTHERS = 256


cdef struct _Date:
    short year
    short offset  # of the zone, in minutes
    signed char month
    signed char day
    signed char hour
    signed char minute
    signed char second


cdef object _FetchedMessage = FetchedMessage
cdef object _no_uid = no_uid
# Names of fields are interned, here and where they are read.
cdef str _UID = "uid"
cdef str _FLAGS = "flags"
cdef str _SIZE = "size"
cdef str _INTERNAL_DATE = "internal_date"
cdef str _ENVELOPE = "envelope"
cdef enum:
    _FARTHEST = 24 * 60 - 1  # minutes of a zone
cdef list _ZONES = [None] * (2 * _FARTHEST + 1)  # by minutes, the farthest west of UTC first


import_datetime()


@cython.internal
@cython.no_gc
@cython.freelist(256)
cdef class _Values:
    """The values of a row. An extension class needs one of its own as its first base; the second may be Python's."""

    cdef long long c_number  # 0 where there is none
    cdef long long c_uid
    cdef long long c_size
    cdef long long c_mod_sequence
    cdef _Date c_date
    cdef unsigned int c_present
    cdef object c_flags
    cdef object c_envelope
    cdef object c_structure
    cdef object c_body
    cdef tuple c_items  # None where there are no others


@cython.final
@cython.internal
@cython.no_gc
cdef class _Row(_Values, FetchedMessage):
    """One plain FETCH response."""

    def __getattribute__(self, name):
        # What is read most at once: looking an attribute up takes longer than making its value.
        if name is _UID:
            return self._read_uid()
        if name is _FLAGS:
            return self.c_flags
        if name is _SIZE:
            return self.c_size if self.c_present & _HAS_SIZE else None
        if name is _INTERNAL_DATE:
            return self._read_internal_date()
        if name is _ENVELOPE:
            return self.c_envelope
        return PyObject_GenericGetAttr(self, name)

    @property
    def sequence_number(self):
        return self.c_number or None

    @property
    def uid(self):
        return self._read_uid()

    cdef object _read_uid(self):
        if not self.c_present & _HAS_UID:
            raise _no_uid(self)
        return self.c_uid

    @property
    def flags(self):
        return self.c_flags

    @property
    def size(self):
        return self.c_size if self.c_present & _HAS_SIZE else None

    @property
    def internal_date(self):
        return self._read_internal_date()

    cdef object _read_internal_date(self):
        return _moment(&self.c_date) if self.c_present & _HAS_DATE else None

    @property
    def _internal_seconds(self):
        return _seconds(&self.c_date) if self.c_present & _HAS_DATE else None

    @property
    def mod_sequence(self):
        return self.c_mod_sequence if self.c_present & _HAS_MOD_SEQUENCE else None

    @property
    def envelope(self):
        return self.c_envelope

    @property
    def body_structure(self):
        return self.c_structure

    @property
    def body(self):
        return self.c_body

    @property
    def items(self):
        return () if self.c_items is None else self.c_items

    @property
    def defects(self):
        return ()

    @property
    def _sequence_number(self):
        return self.c_number or None

    @property
    def _uid(self):
        return self.c_uid or None

    @property
    def _size(self):
        return self.size

    @property
    def _present(self):
        return self.c_present

    def _values(self):
        return (
            self._sequence_number, self._uid, self.c_flags, self.size, self.internal_date, self.mod_sequence,
            self.c_envelope, self.c_structure, self.c_body, self.items, (), self.c_present,
        )

    def __setattr__(self, name, value):
        raise AttributeError(f"a FetchedMessage does not change: {name}")

    def __delattr__(self, name):
        raise AttributeError(f"a FetchedMessage does not change: {name}")

    def __contains__(self, name):
        return _FetchedMessage.__contains__(self, name)

    def __eq__(self, other):
        return _FetchedMessage.__eq__(self, other)

    def __hash__(self):
        return _FetchedMessage.__hash__(self)

    def __repr__(self):
        return _FetchedMessage.__repr__(self)

    def __reduce__(self):
        return _FetchedMessage.__reduce__(self)


(<PyTypeObject*> _Row).tp_name = "FetchedMessage"  # for Python's own messages, which say the class


cdef object _moment(_Date* date):
    return datetime_new(
        date.year, date.month, date.day, date.hour, date.minute, date.second, 0, _zone(date.offset)
    )


cdef long long _seconds(_Date* date) noexcept:
    """The same in seconds since 1970."""
    # Days since 1 March of the year 0, so that a leap day is a year's last one.
    cdef long long years = date.year - 1 if date.month < 3 else date.year
    cdef long long days = 365 * years + years // 4 - years // 100 + years // 400
    days += (153 * ((date.month + 9) % 12) + 2) // 5 + date.day - 1
    return 86400 * (days - 719468) + 3600 * date.hour + 60 * (date.minute - date.offset) + date.second


cdef object _zone(int minutes):
    """The zone with this offset. What is in the list stays in it, so that it can be read without a lock."""
    zone = _ZONES[minutes + _FARTHEST]
    if zone is None:
        made = timezone_new(timedelta_new(0, 60 * minutes, 0))
        with cython.critical_section(_ZONES):
            zone = _ZONES[minutes + _FARTHEST]
            if zone is None:
                zone = _ZONES[minutes + _FARTHEST] = made
    return zone


def split_rows(list rows, bint by_uid, tuple ranges, unsigned int need):
    """Return the rows that lie in `ranges` and have all of `need`, and the others; see :mod:`fastimap.parser`."""
    cdef list claimed = []
    cdef list others = []
    cdef Py_ssize_t count = len(ranges)
    cdef Py_ssize_t low, high, middle
    cdef long long number
    cdef unsigned int present
    cdef long long* bounds = <long long*> PyMem_Malloc(2 * max(count, 1) * sizeof(long long))
    if bounds == NULL:
        raise MemoryError
    try:
        for middle in range(count):
            bounds[2 * middle], bounds[2 * middle + 1] = ranges[middle]
        for row in rows:
            if type(row) is _Row:
                number = (<_Row> row).c_uid if by_uid else (<_Row> row).c_number
                present = (<_Row> row).c_present
            else:
                number = (row._uid if by_uid else row._sequence_number) or 0
                present = row._present
            if number and present & need == need:
                low = 0
                high = count
                while low < high:  # bisect by the lower bounds
                    middle = (low + high) // 2
                    if bounds[2 * middle] <= number:
                        low = middle + 1
                    else:
                        high = middle
                if low > 0 and number <= bounds[2 * low - 1]:
                    PyList_Append(claimed, row)
                    continue
            PyList_Append(others, row)
    finally:
        PyMem_Free(bounds)
    return claimed, others


def last_ascending(list rows, bint by_uid, long long after):
    """Return the last number of `rows`, if they ascend from `after`; see :mod:`fastimap.parser`."""
    cdef long long number
    for row in rows:
        if type(row) is _Row:
            number = (<_Row> row).c_uid if by_uid else (<_Row> row).c_number
        else:
            number = (row._uid if by_uid else row._sequence_number) or 0
        if number <= after:
            return None
        after = number
    return after
