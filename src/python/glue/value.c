/* SPDX-License-Identifier: MIT */
#include "objects.h"
#include "text.h"

#include <limits.h>
#include <string.h>

#define NEVER_INLINE static __attribute__((noinline))

/* Texts that were made last: in captures the same few come again and again. The interpreter's lock guards them. */
enum { PROTOCOLS = 256, ADDRESSES = 1024 };
static struct {
    uint32_t number;
    PyObject *text;
} protocols[PROTOCOLS];
static struct {
    uint8_t addr[16];
    int kind;
    PyObject *text;
} addresses[ADDRESSES];

static PyObject *none(void)
{
    Py_INCREF(Py_None);
    return Py_None;
}

static inline PyObject *number(int64_t value)
{
    return value >= LONG_MIN && value <= LONG_MAX ? PyLong_FromLong((long)value) : PyLong_FromLongLong(value);
}

static inline PyObject *number_or_none(int64_t value)
{
    return value < 0 ? none() : number(value);
}

NEVER_INLINE void keep_protocol(unsigned place, uint32_t number)
{
    char text[FC_TEXT_MAX + 1];

    *fc_text_proto(text, number) = '\0';
    Py_XDECREF(protocols[place].text);
    protocols[place].text = PyUnicode_InternFromString(text);
    protocols[place].number = number;
}

static inline PyObject *protocol(uint32_t number)
{
    unsigned place = number % PROTOCOLS;

    if (!protocols[place].text || protocols[place].number != number)
        keep_protocol(place, number);
    Py_XINCREF(protocols[place].text);
    return protocols[place].text;
}

NEVER_INLINE void keep_address(unsigned place, const uint8_t *addr, int kind)
{
    char text[FCPY_TEXT];

    Py_XDECREF(addresses[place].text);
    addresses[place].text = PyUnicode_FromStringAndSize(text, fcpy_addr_text(text, kind, addr) - text);
    addresses[place].kind = kind;
    memcpy(addresses[place].addr, addr, 16);
}

static inline PyObject *address(const uint8_t *addr, int kind)
{
    uint64_t word[2];

    memcpy(word, addr, sizeof word);
    unsigned place = (unsigned)((word[0] * 31 + word[1]) * UINT64_C(0x9e3779b97f4a7c15) >> 54) % ADDRESSES;
    if (!addresses[place].text || addresses[place].kind != kind || memcmp(addresses[place].addr, addr, 16) != 0)
        keep_address(place, addr, kind);
    Py_XINCREF(addresses[place].text);
    return addresses[place].text;
}

static PyObject *address_in(int form, const uint8_t *addr, int kind)
{
    const char *bytes = (const char *)addr;

    if (kind == FC_ADDR_NONE)
        return none();
    if (form != FCPY_AS_RAW)
        return address(addr, kind);
    if (kind == FC_ADDR_IPV4)
        return PyBytes_FromStringAndSize(bytes + 12, 4);
    return PyBytes_FromStringAndSize(bytes, kind == FC_ADDR_MAC ? 6 : 16);
}

NEVER_INLINE PyObject *link_address(int form, const uint8_t *mac)
{
    static const uint8_t nothing[6];
    char text[FC_TEXT_MAX];

    if (memcmp(mac, nothing, 6) == 0)
        return none();
    if (form == FCPY_AS_RAW)
        return PyBytes_FromStringAndSize((const char *)mac, 6);
    return PyUnicode_FromStringAndSize(text, fc_text_addr(text, FC_ADDR_MAC, mac) - text);
}

NEVER_INLINE PyObject *state(int form, int number)
{
    const char *name = fc_state_name(number);

    if (form == FCPY_AS_NUMBER)
        return PyLong_FromLong(number);
    return name ? PyUnicode_InternFromString(name) : none();
}

NEVER_INLINE PyObject *text(const char *bytes, size_t size)
{
    size_t len = strnlen(bytes, size);

    return len ? PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)len, "replace") : none();
}

PyObject *fcpy_value(const struct fcpy_cell *cell, int form, const uint8_t *at, int kind)
{
    static const char *const senders[] = {"client", "server", "unknown"};
    int64_t wide;
    uint32_t half;
    int32_t port;
    int16_t small;

    switch (cell->cell) {
    case FC_CELL_ID:
        memcpy(&wide, at, sizeof wide);
        return number(wide);
    case FC_CELL_TIME:
        memcpy(&wide, at, sizeof wide);
        return wide == INT64_MIN ? none() : number(wide);
    case FC_CELL_COUNT:
        memcpy(&wide, at, sizeof wide);
        return wide < 0 ? PyLong_FromUnsignedLongLong((uint64_t)wide) : number(wide);
    case FC_CELL_NUMBER:
        memcpy(&wide, at, sizeof wide);
        return number_or_none(wide);
    case FC_CELL_PORT:
        memcpy(&port, at, sizeof port);
        return number_or_none(port);
    case FCPY_CELL_SMALL:
        memcpy(&small, at, sizeof small);
        return number_or_none(small);
    case FCPY_CELL_U32:
        memcpy(&half, at, sizeof half);
        return number(half);
    case FC_CELL_PROTO:
        memcpy(&half, at, sizeof half);
        return form == FCPY_AS_NUMBER ? number(half) : protocol(half);
    case FC_CELL_KIND:
    case FCPY_CELL_BYTE:
        return form == FCPY_AS_TRUTH ? PyBool_FromLong(*at) : PyLong_FromLong(*at);
    case FC_CELL_STATE:
        return state(form, (int8_t)*at);
    case FCPY_CELL_FROM:
        return PyUnicode_InternFromString(senders[*at < 2 ? *at : 2]);
    case FC_CELL_ADDR:
        return address_in(form, at, kind);
    case FC_CELL_MAC:
        return link_address(form, at);
    default:
        return text((const char *)at, cell->size);
    }
}
