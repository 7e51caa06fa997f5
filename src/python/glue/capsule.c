/* SPDX-License-Identifier: MIT */
#include "capsule.h"
#include "objects.h"

const char fcpy_capsule_name[] = "arrow_array_stream";

void fcpy_capsule_end(void *capsule)
{
    void *stream = PyCapsule_GetPointer(capsule, fcpy_capsule_name);

    if (!stream)
        PyErr_Clear();
    fcpy_arrow_drop(stream);
}
