/* A plain C extension on the functions of skbpool. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "skbpool.h"

static PyObject *swap_ends(PyObject *self, PyObject *object)
{
    uint8_t *data, first;
    skb_t *skb = skb_of_object(object);
    (void)self;
    if (skb == NULL)
        return NULL;
    if (skb_data_mut(skb, &data) != SKB_OK) {
        char text[200];
        skb_last_error(text, sizeof text);
        PyErr_SetString(PyExc_BufferError, text);
        return NULL;
    }
    first = data[0];
    data[0] = data[skb->len - 1];
    data[skb->len - 1] = first;
    Py_RETURN_NONE;
}

static PyObject *twice(PyObject *self, PyObject *object)
{
    skb_batch *batch = skb_batch_create();
    skb_t first, second;
    PyObject *made = NULL;
    (void)self;
    if (skb_from_object(&first, object) == 0) {
        if (skb_clone(&second, &first) == SKB_OK) {
            skb_batch_push(batch, &second);
            skb_batch_push(batch, &first);
            made = skb_batch_to_object(&batch);
        }
        skb_release(&first);
    }
    skb_batch_free(&batch);
    return made;
}

static PyMethodDef methods[] = {
    {"swap_ends", swap_ends, METH_O, "Swap the first and the last byte of an Skb."},
    {"twice", twice, METH_O, "Move an Skb into a batch that has it twice."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "plain_extension", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_plain_extension(void)
{
    if (import_skbpool() != 0)
        return NULL;
    return PyModule_Create(&definition);
}
