/* The functions of skbpool in a Python extension. Included by skbpool.h after <Python.h>. */
#ifndef SKBPOOL_PYTHON_H
#define SKBPOOL_PYTHON_H

#define SKBPOOL_API_CAPSULE "skbpool._native._C_API"
#define SKBPOOL_OBJECTS_CAPSULE "skbpool._skb_batch._C_API"
#define SKBPOOL_OBJECTS_MAJOR 1

/* Between C values and the objects that Python sees. All need the interpreter lock; on failure they
 * set an exception. Entries are appended, never moved or removed. */
struct skbpool_objects {
    uint32_t major; /* SKBPOOL_OBJECTS_MAJOR of the library */
    uint32_t size;  /* bytes of the library's table */

    PyObject *(*skb_to_object)(skb_t *skb);
    skb_t *(*skb_of_object)(PyObject *object);
    int (*skb_from_object)(skb_t *out, PyObject *object);
    PyObject *(*skb_batch_to_object)(skb_batch **batch);
    skb_batch *(*skb_batch_of_object)(PyObject *object);
    const skb_pool *(*skb_pool_of_object)(PyObject *object);
    void (*skb_settle)(void);
};

static const struct skbpool_objects *skbpool_objects_table;

/* Moves a view into a new skbpool.Skb; NULL on failure, and the view stays where it was. */
static inline PyObject *skb_to_object(skb_t *skb)
{
    return skbpool_objects_table->skb_to_object(skb);
}

/* The view inside an skbpool.Skb, to look at while the object lives; NULL: not an Skb. */
static inline skb_t *skb_of_object(PyObject *object)
{
    return skbpool_objects_table->skb_of_object(object);
}

/* Moves the view out of an skbpool.Skb, which is released for Python; -1 if that is not an Skb, was
 * released before, or has memoryviews. */
static inline int skb_from_object(skb_t *out, PyObject *object)
{
    return skbpool_objects_table->skb_from_object(out, object);
}

/* Moves a batch into a new skbpool.SkbBatch and nulls `*batch`; NULL on failure. */
static inline PyObject *skb_batch_to_object(skb_batch **batch)
{
    return skbpool_objects_table->skb_batch_to_object(batch);
}

/* The batch inside an skbpool.SkbBatch, while the object lives; NULL: not an SkbBatch. */
static inline skb_batch *skb_batch_of_object(PyObject *object)
{
    return skbpool_objects_table->skb_batch_of_object(object);
}

/* The pool inside an skbpool.Pool, while the object lives; NULL: not a Pool. */
static inline const skb_pool *skb_pool_of_object(PyObject *object)
{
    return skbpool_objects_table->skb_pool_of_object(object);
}

/* Gives back the reference that Python keeps of a slice that is gone, for the next one; before another
 * view of its buffer is asked whether it is shared. Cannot fail. */
static inline void skb_settle(void)
{
    skbpool_objects_table->skb_settle();
}

/* A table from its capsule, if it has the major version and the entries this file was compiled for. */
static inline const void *skbpool_capsule(const char *name, uint32_t major, size_t size)
{
    const uint32_t *table = (const uint32_t *)PyCapsule_Import(name, 0);
    if (table == NULL)
        return NULL;
    if (table[0] != major) {
        PyErr_Format(PyExc_ImportError,
                     "%s has version %u of its C functions and this module was built for version %u: "
                     "build it again against the skbpool that is installed",
                     name, (unsigned)table[0], (unsigned)major);
        return NULL;
    }
    if (table[1] < size) {
        PyErr_Format(PyExc_ImportError,
                     "%s lacks C functions that this module was built for: upgrade skbpool", name);
        return NULL;
    }
    return table;
}

/* Fetches the functions without those that take Python objects; 0, or -1 with an exception set. */
static inline int import_skbpool_core(void)
{
    const void *api = skbpool_capsule(SKBPOOL_API_CAPSULE, SKBPOOL_API_MAJOR,
                                      sizeof(struct skbpool_api));
    if (api == NULL)
        return -1;
    skbpool_table = (const struct skbpool_api *)api;
    return 0;
}

/* Fetches all functions, importing skbpool; 0, or -1 with an exception set (ImportError for another
 * major version). Each C file calls it once, when its module is initialised. */
static inline int import_skbpool(void)
{
    const void *objects;
    PyObject *package = PyImport_ImportModule("skbpool");
    if (package == NULL)
        return -1;
    Py_DECREF(package);
    if (import_skbpool_core() != 0)
        return -1;
    objects = skbpool_capsule(SKBPOOL_OBJECTS_CAPSULE, SKBPOOL_OBJECTS_MAJOR,
                              sizeof(struct skbpool_objects));
    if (objects == NULL)
        return -1;
    skbpool_objects_table = (const struct skbpool_objects *)objects;
    return 0;
}

#endif
