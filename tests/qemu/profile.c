/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests/test_qemu.py: which functions the profiler's plugin finds in a file */
#include "ims-profile.c"

int main(int argc, char **argv)
{
    GHashTableIter iter;
    gpointer key;

    funcs = g_hash_table_new(g_int64_hash, g_int64_equal);
    if (argc != 2 || !read_funcs(argv[1])) {
        return 1;
    }
    g_hash_table_iter_init(&iter, funcs);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        printf("%" PRIx64 "\n", *(uint64_t *)key);
    }
    return 0;
}
