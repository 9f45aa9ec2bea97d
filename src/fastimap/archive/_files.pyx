# cython: language_level=3, freethreading_compatible=True, binding=True
"""Writes files: what ``archive/files.py`` does in Python, where the system calls take less than calling them does."""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport strlen
from posix.types cimport time_t

__all__ = ["write_files"]


cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <stdio.h>
    #include <sys/stat.h>
    #include <sys/time.h>
    #include <unistd.h>

    /* Write a file; return 0, or the number of the error, after which there is none. */
    static int fastimap_write_file(int first, int last, const char *temporary, const char *name,
                                   const char *octets, size_t size, const time_t *seconds) {
        const size_t most = 1 << 30; /* macOS writes no 2 GiB at once */
        int number = 0;
        int file;
        do {
            file = openat(first, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        } while (file < 0 && errno == EINTR);
        if (file < 0) {
            return errno;
        }
        while (size > 0 && number == 0) {
            ssize_t written = write(file, octets, size < most ? size : most);
            if (written >= 0) {
                octets += written;
                size -= (size_t)written;
            } else if (errno != EINTR) {
                number = errno;
            }
        }
        if (number == 0 && seconds != NULL) {
    #ifdef __APPLE__ /* which has the other since 10.13 */
            struct timeval both[2] = {{*seconds, 0}, {*seconds, 0}};
            if (futimes(file, both) != 0) {
    #else
            struct timespec both[2] = {{*seconds, 0}, {*seconds, 0}};
            if (futimens(file, both) != 0) {
    #endif
                number = errno;
            }
        }
        if (close(file) != 0 && errno != EINTR && number == 0) { /* NFS says here that the disk is full */
            number = errno;
        }
        if (number == 0 && renameat(first, temporary, last, name) != 0) {
            number = errno;
        }
        if (number != 0) {
            unlinkat(first, temporary, 0);
        }
        return number;
    }
    """
    int _write_file "fastimap_write_file"(int first, int last, const char* temporary, const char* name,
                                          const char* octets, size_t size, const time_t* seconds) nogil


cdef const char* _octets(bytes octets) except NULL:
    if octets is None:
        raise TypeError("a bytes-like object is required, not 'NoneType'")
    return PyBytes_AS_STRING(octets)


cdef const char* _text(bytes name) except NULL:
    cdef const char* text = _octets(name)
    if strlen(text) != <size_t>PyBytes_GET_SIZE(name):
        raise ValueError("embedded null byte")
    return text


def write_files(int first, int last, files):
    """Write files; see `fastimap.archive.files`."""
    cdef bytes temporary, name, octets
    cdef const char* before
    cdef const char* after
    cdef const char* data
    cdef size_t size
    cdef time_t seconds
    cdef const time_t* dated
    cdef int number
    for temporary, name, octets, date in tuple(files):
        before = _text(temporary)
        after = _text(name)
        data = _octets(octets)
        size = <size_t>PyBytes_GET_SIZE(octets)
        dated = NULL
        if date is not None:
            seconds = date
            dated = &seconds
        with nogil:
            number = _write_file(first, last, before, after, data, size, dated)
        if number:
            raise OSError(number, os.strerror(number), os.fsdecode(name))
