/* SPDX-License-Identifier: MIT */
/*
 * The module _rows: packets and sessions as objects. A batch is an iterator of its rows. A row holds no values: each is
 * made from the columns of its batch when it is asked for. Where most rows of a batch were asked for one, Python makes
 * a subclass with slots for these, which rows behind have filled: the interpreter reads a slot without a call.
 */
#include "objects.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTRIBUTES_MAX = 128 };

struct batch {
    PyObject head;
    PyTypeObject *type; /* of the rows */
    allocfunc allocate;
    size_t next, rows;
    const uint8_t *base;
    PyObject *slots;     /* of the type: bytes, the numbers of the attributes that have one, in their order */
    const uint8_t *slot; /* these */
    size_t slot_count;
    uint32_t asked[ATTRIBUTES_MAX];                 /* how often each attribute was asked for, by number */
    const struct fcpy_cell *column[FCPY_NO_COLUMN]; /* by number; NULL: it has none of these */
    PyObject *owner;                                /* what the rows are of */
    PyObject *keep;                                 /* what has the memory of all that is pointed to */
    PyObject *view;                                 /* a memoryview of the bytes of packets, or None */
};

struct row {
    PyObject head;
    struct batch *batch;
    size_t at;
};

/* An attribute of a class of rows; made once and for all. */
struct attribute {
    PyGetSetDef def;
    char name[32];
    unsigned number; /* its place in the list */
    int form;
    PyObject *missing; /* called with owner and name where the column is not there: what the exception says */
    unsigned column;   /* its number; of bytes: how many they are */
    unsigned beside;   /* of addresses: what they are; of bytes: where those of the packet begin */
    unsigned off;      /* of bytes: where in the packet they begin; FCPY_NO_COLUMN: with it */
};

static PyTypeObject *row_type;
static struct attribute *attributes[ATTRIBUTES_MAX];
static unsigned attribute_count;

static int batch_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct batch *batch = (struct batch *)self;

    Py_VISIT(batch->owner);
    Py_VISIT(batch->keep);
    Py_VISIT(batch->view);
    return 0;
}

/* What has the memory is in no ring, and stays as long as there are rows. */
static int batch_clear(PyObject *self)
{
    Py_CLEAR(((struct batch *)self)->owner);
    return 0;
}

static void batch_free(PyObject *self)
{
    struct batch *batch = (struct batch *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)batch->type);
    Py_XDECREF(batch->slots);
    Py_XDECREF(batch->owner);
    Py_XDECREF(batch->keep);
    Py_XDECREF(batch->view);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Slots lie behind what the class has without them, in the order of their names: so classes are made. */
static bool take_slots(struct batch *batch)
{
    char *bytes;
    Py_ssize_t count;
    PyObject *size = PyObject_GetAttrString((PyObject *)batch->type, "__basicsize__");
    size_t has = size ? PyLong_AsSize_t(size) : 0;

    Py_XDECREF(size);
    batch->slots = PyObject_GetAttrString((PyObject *)batch->type, "_values");
    if (!batch->slots || PyBytes_AsStringAndSize(batch->slots, &bytes, &count))
        return false;
    if (has != sizeof(struct row) + (size_t)count * sizeof(PyObject *)) {
        PyErr_SetString(PyExc_TypeError, "rows of this type have other slots");
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if ((uint8_t)bytes[i] >= attribute_count) {
            PyErr_SetString(PyExc_ValueError, "there is no such attribute");
            return false;
        }
    batch->slot = (const uint8_t *)bytes;
    batch->slot_count = (size_t)count;
    return true;
}

/* Batch(type, cells, count, base, rows, owner, keep, view): cells and base are addresses */
static PyObject *batch_new(PyTypeObject *type, PyObject *words, PyObject *named)
{
    unsigned long long cells, base;
    Py_ssize_t count, rows;
    PyObject *rows_are, *owner, *keep, *view;

    if (named || !PyArg_ParseTuple(words, "OKnKnOOO", &rows_are, &cells, &count, &base, &rows, &owner, &keep, &view))
        return named ? PyErr_Format(PyExc_TypeError, "Batch() takes no names") : NULL;
    if (!PyType_Check(rows_are) || !PyType_IsSubtype((PyTypeObject *)rows_are, row_type))
        return PyErr_Format(PyExc_TypeError, "rows of this type cannot be made");
    struct batch *batch = (struct batch *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!batch)
        return NULL;
    Py_INCREF(rows_are);
    Py_INCREF(owner);
    Py_INCREF(keep);
    Py_INCREF(view);
    batch->type = (PyTypeObject *)rows_are;
    batch->allocate = (allocfunc)PyType_GetSlot(batch->type, Py_tp_alloc);
    batch->owner = owner;
    batch->keep = keep;
    batch->view = view;
    batch->rows = (size_t)rows;
    batch->base = (const uint8_t *)(uintptr_t)base;
    for (Py_ssize_t i = 0; i < count; i++) {
        const struct fcpy_cell *cell = (const struct fcpy_cell *)(uintptr_t)cells + i;
        if (cell->field < FCPY_NO_COLUMN)
            batch->column[cell->field] = cell;
    }
    if (!take_slots(batch)) {
        Py_DECREF((PyObject *)batch);
        return NULL;
    }
    return (PyObject *)batch;
}

static PyObject *say_missing(const struct batch *batch, const struct attribute *a)
{
    PyObject *text = PyObject_CallFunction(a->missing, "Os", batch->owner ? batch->owner : Py_None, a->name);

    if (text)
        PyErr_SetObject(PyExc_AttributeError, text);
    Py_XDECREF(text);
    return NULL;
}

static const uint8_t *place(const struct batch *batch, size_t at, unsigned column)
{
    const struct fcpy_cell *cell = column < FCPY_NO_COLUMN ? batch->column[column] : NULL;

    return cell ? batch->base + cell->off + at * cell->stride : NULL;
}

/* A value of 4 or 8 bytes that is not below 0; 0 where there is none. */
static Py_ssize_t number(const struct batch *batch, size_t row, unsigned column)
{
    const uint8_t *at = place(batch, row, column);
    uint32_t half = 0;
    int64_t wide = 0;

    if (at && batch->column[column]->size == sizeof wide)
        memcpy(&wide, at, sizeof wide);
    else if (at)
        memcpy(&half, at, sizeof half);
    return (Py_ssize_t)(wide + half);
}

/* Bytes of a packet, of which nothing is copied. */
static PyObject *bytes_of(const struct batch *batch, size_t at, const struct attribute *a)
{
    Py_ssize_t size = number(batch, at, a->column);
    Py_ssize_t from = size ? number(batch, at, a->beside) + number(batch, at, a->off) : 0;
    PyObject *first = PyLong_FromSsize_t(from), *end = PyLong_FromSsize_t(from + size);
    PyObject *slice = first && end ? PySlice_New(first, end, NULL) : NULL;
    PyObject *bytes = slice ? PyObject_GetItem(batch->view, slice) : NULL;

    Py_XDECREF(first);
    Py_XDECREF(end);
    Py_XDECREF(slice);
    return bytes;
}

/* The value that a row has of an attribute. */
static PyObject *value_of(const struct batch *batch, size_t at, const struct attribute *a)
{
    const struct fcpy_cell *cell = batch->column[a->column];
    const uint8_t *kind = NULL;

    if (!cell)
        return say_missing(batch, a);
    if (a->form == FCPY_AS_BYTES)
        return bytes_of(batch, at, a);
    if (cell->cell == FC_CELL_ADDR)
        kind = place(batch, at, a->beside);
    return fcpy_value(cell, a->form, batch->base + cell->off + at * cell->stride, kind ? *kind : 0);
}

static PyObject *get_value(PyObject *self, void *attribute)
{
    const struct row *row = (const struct row *)self;
    const struct attribute *a = attribute;

    row->batch->asked[a->number] += row->batch->column[a->column] != NULL;
    return value_of(row->batch, row->at, a);
}

/* Threads may share it: nothing of Python's runs between the look at `next` and its step. */
static PyObject *batch_next(PyObject *self)
{
    struct batch *batch = (struct batch *)self;

    if (batch->next == batch->rows)
        return NULL;
    size_t at = batch->next++;
    struct row *row = (struct row *)batch->allocate(batch->type, 0);
    if (!row)
        return NULL;
    Py_INCREF(self);
    row->batch = batch;
    row->at = at;
    PyObject **slot = (PyObject **)(row + 1);
    for (size_t i = 0; i < batch->slot_count; i++)
        if (!(slot[i] = value_of(batch, at, attributes[batch->slot[i]]))) {
            Py_DECREF((PyObject *)row);
            return NULL;
        }
    return (PyObject *)row;
}

/* The numbers of attributes that half of the rows were asked for, as bytes. */
static PyObject *batch_asked(PyObject *self, PyObject *nothing)
{
    const struct batch *batch = (const struct batch *)self;
    char number[ATTRIBUTES_MAX];
    Py_ssize_t count = 0;

    (void)nothing;
    for (unsigned i = 0; i < attribute_count; i++)
        if (batch->asked[i] && batch->asked[i] >= batch->rows / 2)
            number[count++] = (char)i;
    return PyBytes_FromStringAndSize(number, count);
}

static PyObject *batch_left(PyObject *self, PyObject *nothing)
{
    const struct batch *batch = (const struct batch *)self;

    (void)nothing;
    return PyLong_FromSize_t(batch->rows - batch->next);
}

static int row_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT((PyObject *)((struct row *)self)->batch);
    return 0;
}

static void row_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)((struct row *)self)->batch);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *row_new(PyTypeObject *type, PyObject *words, PyObject *named)
{
    (void)type, (void)words, (void)named;
    return PyErr_Format(PyExc_TypeError, "these are made by what gives them alone");
}

static PyObject *row_owner(PyObject *self, void *unused)
{
    PyObject *owner = ((struct row *)self)->batch->owner;

    (void)unused;
    if (!owner)
        return PyErr_Format(PyExc_ReferenceError, "it is being collected");
    Py_INCREF(owner);
    return owner;
}

/* attribute(type, name, form, missing, column, beside, off): gives a class of rows one more, whose number it returns */
static PyObject *add_attribute(PyObject *module, PyObject *words)
{
    struct attribute *a = calloc(1, sizeof *a);
    PyTypeObject *type;
    const char *name;

    (void)module;
    if (!a)
        return PyErr_NoMemory();
    if (!PyArg_ParseTuple(words, "O!siOIII", &PyType_Type, &type, &name, &a->form, &a->missing, &a->column, &a->beside,
                          &a->off) ||
        attribute_count == ATTRIBUTES_MAX || a->column >= FCPY_NO_COLUMN) {
        free(a);
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "there are too many attributes");
    }
    snprintf(a->name, sizeof a->name, "%s", name);
    a->number = attribute_count;
    a->def = (PyGetSetDef){.name = a->name, .get = get_value, .closure = a};
    Py_INCREF(a->missing);
    attributes[attribute_count++] = a;
    PyObject *made = PyDescr_NewGetSet(type, &a->def);
    int failed = !made || PyObject_SetAttrString((PyObject *)type, name, made);
    Py_XDECREF(made);
    return failed ? NULL : PyLong_FromUnsignedLong(a->number);
}

static PyMethodDef batch_methods[] = {
    {"__length_hint__", batch_left, METH_NOARGS, NULL}, {"asked", batch_asked, METH_NOARGS, NULL}, {0}};
static PyType_Slot batch_slots[] = {
    {Py_tp_new, batch_new},           {Py_tp_dealloc, batch_free},
    {Py_tp_traverse, batch_traverse}, {Py_tp_clear, batch_clear},
    {Py_tp_iter, PyObject_SelfIter},  {Py_tp_iternext, batch_next},
    {Py_tp_methods, batch_methods},   {0},
};
static PyType_Spec batch_spec = {"flowcarve._rows.Batch", sizeof(struct batch), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, batch_slots};

static PyGetSetDef row_getset[] = {{"_owner", row_owner, NULL, NULL, NULL}, {0}};
static PyType_Slot row_slots[] = {
    {Py_tp_new, row_new}, {Py_tp_dealloc, row_free}, {Py_tp_traverse, row_traverse}, {Py_tp_getset, row_getset}, {0},
};
static PyType_Spec row_spec = {"flowcarve._rows.Row", sizeof(struct row), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, row_slots};

static PyMethodDef methods[] = {{"attribute", add_attribute, METH_VARARGS, NULL}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_rows", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit__rows(void);

/* Where the library of the module _flowcarve is loaded as this one. */
__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__rows(void)
{
    PyObject *made = PyModule_Create(&module), *batch = made ? PyType_FromSpec(&batch_spec) : NULL;
    PyObject *row = batch ? PyType_FromSpec(&row_spec) : NULL;

    if (!row || PyModule_AddObject(made, "Batch", batch) || PyModule_AddObject(made, "Row", row)) {
        Py_XDECREF(made);
        return NULL;
    }
    row_type = (PyTypeObject *)row;
    return made;
}
