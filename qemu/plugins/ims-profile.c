/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * TCG plugin: where a guest's kernel spends its instructions
 *
 * The guest brackets what is to be measured with two no-ops that nothing else
 * has: nopl 0x42494d01(%rax) begins a region and nopl 0x42494d02(%rax) ends
 * it. For each region the plugin writes to the file out=
 *
 *   region NUMBER TOTAL
 *   insn ADDRESS COUNT                   each instruction that was executed
 *   node ID PARENT ADDRESS CALLS INCLUSIVE
 *                                        a function, in the tree of calls
 *   end NUMBER
 *
 * and at last
 *
 *   regions HOWMANY
 *
 * Addresses are hexadecimal; 0 stands for whatever is no kernel code. IDs
 * count from 1, and PARENT is 0 for what was called by a function that was
 * entered before the region began. INCLUSIVE has what is executed until the
 * function returns, interrupts and other tasks as well. Functions are known
 * by their addresses, which the file funcs= has at the start of its lines, of
 * whatever length; without it there are no nodes.
 *
 * A region is from the first rdtsc after the beginning, with it, to the last
 * one before the end, without it, so that with -icount shift=0 its total is
 * their difference. What lies between that and the end is left out again; it
 * has to be a few instructions in a row.
 *
 * Instructions are counted one by one, not by blocks: an exception, an
 * interrupt or an access to a device leaves a block in its middle. What faults
 * and is executed again is counted twice.
 *
 * Frames of the shadow stack are found by the address where a call has left
 * its return address, so that neither a task switch nor an interrupt
 * confuses them. A function that is jumped to, not called, is taken as called
 * by the one that jumped, and returns together with it.
 *
 * Only for one CPU: counters are plain memory.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <glib.h>

#include <qemu-plugin.h>

/* Kernel addresses of x86_64 */
#define KERNEL_START 0xffff800000000000ULL

/* The most that can be in a row between the last rdtsc and the end */
#define TAIL_SIZE 256

/* Kernel stacks are this big, and aligned to it */
#define STACK_SHIFT 14

typedef struct Counter {
    uint64_t address;
    uint64_t count;
    uint64_t before;
} Counter;

/* A function with all that led to it: parent is NULL where that is unknown */
typedef struct Node {
    struct Node *parent;
    uint64_t address;
    unsigned int id;
    uint64_t calls;
    uint64_t inclusive;
} Node;

/* A call. node is NULL until a known function is entered */
typedef struct Frame {
    uint64_t sp;
    uint64_t start;
    Node *node;
} Frame;

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static const uint8_t mark_begin[] = {
    0x0f, 0x1f, 0x80, 0x01, 0x4d, 0x49, 0x42
};
static const uint8_t mark_end[] = {
    0x0f, 0x1f, 0x80, 0x02, 0x4d, 0x49, 0x42
};

static FILE *out;
static GHashTable *counters;
static GHashTable *funcs;
static GHashTable *nodes;
static GHashTable *stacks;
/* The stack that was used last, and its number */
static GArray *stack;
static uint64_t stack_number;

/* Instructions since the start, and when the region began */
static uint64_t total;
static uint64_t total_before;
/* The beginning was met, and the rdtsc after it */
static bool armed;
static bool active;
static unsigned int regions;
/* The last rdtsc: where it is, and the total in front of it */
static uint64_t read_at;
static uint64_t total_read;

/* The access to the stack by the call or return that is executed */
static unsigned int awaited;

static Counter outside;

static Counter *counter_of(uint64_t address)
{
    Counter *counter;

    if (address < KERNEL_START) {
        return &outside;
    }
    counter = g_hash_table_lookup(counters, &address);
    if (!counter) {
        counter = g_new0(Counter, 1);
        counter->address = address;
        g_hash_table_insert(counters, &counter->address, counter);
    }
    return counter;
}

static void frame_pop(void)
{
    Frame *frame = &g_array_index(stack, Frame, stack->len - 1);

    if (frame->node) {
        frame->node->inclusive += total - frame->start;
    }
    g_array_set_size(stack, stack->len - 1);
}

/* Make the stack that sp is on the current one, without what has gone */
static void stack_use(uint64_t sp)
{
    uint64_t number = sp >> STACK_SHIFT;

    if (!stack || number != stack_number) {
        stack = g_hash_table_lookup(stacks, GSIZE_TO_POINTER(number));
        if (!stack) {
            stack = g_array_new(FALSE, FALSE, sizeof(Frame));
            g_hash_table_insert(stacks, GSIZE_TO_POINTER(number), stack);
        }
        stack_number = number;
    }
    while (stack->len && g_array_index(stack, Frame, stack->len - 1).sp <= sp) {
        frame_pop();
    }
}

static void stacks_clear(void)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, stacks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        stack = value;
        while (stack->len) {
            frame_pop();
        }
    }
    stack = NULL;
}

/* A call or a return: its access to the stack comes next */
static void on_branch(unsigned int cpu, void *udata)
{
    awaited = GPOINTER_TO_UINT(udata);
}

/*
 * QEMU 7.2 confuses reads with writes when it looks for callbacks, and leaves
 * them in place for what is done outside of generated code after the block.
 * So both kinds are asked for, and what is not awaited is left alone.
 */
static void on_access(unsigned int cpu, qemu_plugin_meminfo_t info,
                      uint64_t vaddr, void *udata)
{
    Frame frame = { .sp = vaddr, .start = total };
    unsigned int access = qemu_plugin_mem_is_store(info) ? QEMU_PLUGIN_MEM_W
                                                         : QEMU_PLUGIN_MEM_R;

    if (!active || access != awaited) {
        return;
    }
    awaited = 0;
    stack_use(vaddr);
    if (access == QEMU_PLUGIN_MEM_W) {
        g_array_append_val(stack, frame);
    }
}

static guint node_hash(gconstpointer key)
{
    const Node *node = key;

    return g_direct_hash(node->parent) * 31 + g_int64_hash(&node->address);
}

static gboolean node_equal(gconstpointer a, gconstpointer b)
{
    const Node *one = a;
    const Node *two = b;

    return one->parent == two->parent && one->address == two->address;
}

static Node *node_below(Node *parent, uint64_t address)
{
    Node key = { .parent = parent, .address = address };
    Node *node = g_hash_table_lookup(nodes, &key);

    if (!node) {
        node = g_new0(Node, 1);
        node->parent = parent;
        node->address = address;
        node->id = g_hash_table_size(nodes) + 1;
        g_hash_table_insert(nodes, node, node);
    }
    return node;
}

static void on_entry(unsigned int cpu, void *udata)
{
    uint64_t *address = udata;
    Node *parent = NULL;
    Frame *frame;
    guint at;

    if (!active || !stack || !stack->len) {
        return;
    }
    frame = &g_array_index(stack, Frame, stack->len - 1);
    if (frame->node) {
        /* A jump to another function: returns when this one would have */
        Frame jumped = { .sp = frame->sp, .start = total };

        if (frame->node->address == *address) {
            return;
        }
        g_array_append_val(stack, jumped);
    }
    for (at = stack->len - 1; at > 0 && !parent; at--) {
        parent = g_array_index(stack, Frame, at - 1).node;
    }
    frame = &g_array_index(stack, Frame, stack->len - 1);
    frame->node = node_below(parent, *address);
    frame->node->calls++;
}

static void on_begin(unsigned int cpu, void *udata)
{
    if (armed) {
        fprintf(out, "error region %u has not ended\n", regions);
        return;
    }
    armed = true;
}

static void region_start(void)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, counters);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        ((Counter *)value)->before = ((Counter *)value)->count;
    }
    outside.before = outside.count;
    g_hash_table_remove_all(nodes);
    regions++;
    total_before = total;
    active = true;
}

static void on_rdtsc(unsigned int cpu, void *udata)
{
    if (!armed) {
        return;
    }
    if (!active) {
        region_start();
    }
    read_at = ((Counter *)udata)->address;
    total_read = total;
}

/* Leave out what was executed since the last rdtsc, once each and in a row */
static bool tail_drop(uint64_t end)
{
    uint64_t left = total - total_read;
    uint64_t address;

    if (end < read_at || end - read_at > TAIL_SIZE) {
        return false;
    }
    for (address = read_at; address < end; address++) {
        Counter *counter = g_hash_table_lookup(counters, &address);

        if (counter && counter->count != counter->before) {
            counter->count--;
            left--;
        }
    }
    total = total_read;
    return !left;
}

static void write_insn(Counter *counter)
{
    if (counter->count != counter->before) {
        fprintf(out, "insn %" PRIx64 " %" PRIu64 "\n", counter->address,
                counter->count - counter->before);
    }
    counter->before = counter->count;
}

static void on_end(unsigned int cpu, void *udata)
{
    GHashTableIter iter;
    gpointer value;

    /* An end that is passed outside of regions as well */
    if (!active) {
        return;
    }
    armed = false;
    active = false;
    if (!tail_drop(((Counter *)udata)->address)) {
        fprintf(out, "error region %u ends too far from its last rdtsc\n",
                regions);
    }
    stacks_clear();
    fprintf(out, "region %u %" PRIu64 "\n", regions, total - total_before);
    write_insn(&outside);
    g_hash_table_iter_init(&iter, counters);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        write_insn(value);
    }
    g_hash_table_iter_init(&iter, nodes);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Node *node = value;

        fprintf(out,
                "node %u %u %" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
                node->id, node->parent ? node->parent->id : 0, node->address,
                node->calls, node->inclusive);
    }
    fprintf(out, "end %u\n", regions);
    fflush(out);
}

/* call rel32 and call r/m64, the latter with any prefixes that are one byte */
static bool is_call(const uint8_t *data, size_t size)
{
    while (size > 1 && (data[0] == 0x2e || data[0] == 0x3e ||
                        (data[0] & 0xf0) == 0x40)) {
        data++;
        size--;
    }
    return data[0] == 0xe8 ||
           (size > 1 && data[0] == 0xff && (data[1] & 0x38) == 0x10);
}

static bool is_ret(const uint8_t *data, size_t size)
{
    return data[0] == 0xc3 || data[0] == 0xc2 ||
           (size > 1 && data[0] == 0xf3 && data[1] == 0xc3);
}

static bool is_mark(const uint8_t *mark, const uint8_t *data, size_t size)
{
    return size == sizeof(mark_begin) && !memcmp(mark, data, size);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t count = qemu_plugin_tb_n_insns(tb);

    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        const uint8_t *data = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        Counter *counter = counter_of(address);
        unsigned int awaited_here;
        uint64_t *func;

        /* The marks themselves do not count */
        if (is_mark(mark_begin, data, size)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_begin,
                                                   QEMU_PLUGIN_CB_NO_REGS,
                                                   NULL);
            continue;
        }
        if (is_mark(mark_end, data, size)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end,
                                                   QEMU_PLUGIN_CB_NO_REGS,
                                                   counter);
            continue;
        }
        if (size == 2 && data[0] == 0x0f && data[1] == 0x31) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_rdtsc,
                                                   QEMU_PLUGIN_CB_NO_REGS,
                                                   counter);
        }
        qemu_plugin_register_vcpu_insn_exec_inline(
            insn, QEMU_PLUGIN_INLINE_ADD_U64, &counter->count, 1);
        qemu_plugin_register_vcpu_insn_exec_inline(
            insn, QEMU_PLUGIN_INLINE_ADD_U64, &total, 1);
        if (counter == &outside || !g_hash_table_size(funcs)) {
            continue;
        }
        func = g_hash_table_lookup(funcs, &address);
        if (func) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_entry,
                                                   QEMU_PLUGIN_CB_NO_REGS,
                                                   func);
        }
        awaited_here = is_call(data, size) ? QEMU_PLUGIN_MEM_W :
                       is_ret(data, size) ? QEMU_PLUGIN_MEM_R : 0;
        if (awaited_here) {
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, on_branch, QEMU_PLUGIN_CB_NO_REGS,
                GUINT_TO_POINTER(awaited_here));
            qemu_plugin_register_vcpu_mem_cb(insn, on_access,
                                             QEMU_PLUGIN_CB_NO_REGS,
                                             QEMU_PLUGIN_MEM_RW, NULL);
        }
    }
}

static void at_exit(qemu_plugin_id_t id, void *udata)
{
    if (armed) {
        fprintf(out, "error region %u has not ended\n", regions);
    }
    fprintf(out, "regions %u\n", regions);
    fclose(out);
}

static bool read_funcs(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;

    if (!file) {
        fprintf(stderr, "ims-profile: cannot read %s\n", path);
        return false;
    }
    while (getline(&line, &size, file) > 0) {
        uint64_t *address = g_new(uint64_t, 1);

        *address = g_ascii_strtoull(line, NULL, 16);
        g_hash_table_add(funcs, address);
    }
    free(line);
    fclose(file);
    return true;
}

QEMU_PLUGIN_EXPORT
int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
                        int argc, char **argv)
{
    if (!info->system_emulation || strcmp(info->target_name, "x86_64") ||
        info->system.max_vcpus != 1) {
        fprintf(stderr, "ims-profile: wants an x86_64 machine with one CPU\n");
        return -1;
    }
    counters = g_hash_table_new(g_int64_hash, g_int64_equal);
    funcs = g_hash_table_new(g_int64_hash, g_int64_equal);
    nodes = g_hash_table_new_full(node_hash, node_equal, NULL, g_free);
    stacks = g_hash_table_new(NULL, NULL);
    for (int i = 0; i < argc; i++) {
        g_auto(GStrv) words = g_strsplit(argv[i], "=", 2);

        if (!g_strcmp0(words[0], "out") && words[1] && !out) {
            out = fopen(words[1], "w");
            if (!out) {
                fprintf(stderr, "ims-profile: cannot write %s\n", words[1]);
                return -1;
            }
        } else if (!g_strcmp0(words[0], "funcs") && words[1]) {
            if (!read_funcs(words[1])) {
                return -1;
            }
        } else {
            fprintf(stderr, "ims-profile: unknown option %s\n", argv[i]);
            return -1;
        }
    }
    if (!out) {
        fprintf(stderr, "ims-profile: wants out=FILE\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
