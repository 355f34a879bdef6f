#include "engine/cost.h"

#include "engine/memory.h"
#include "engine/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { CHUNK = 512 };

static void published(dr_config *c, const char *name)
{
    char path[128];
    dr_buf json = {0};
    dr_error err = {0};
    snprintf(path, sizeof path, "tests/engine/configs/%s.json", name);
    if (dr_read_file(&json, path, 1 << 20, &err) != DR_OK ||
        dr_config_parse(c, dr_buf_view(&json), path, &err) != DR_OK)
        fail_msg("%s", err.msg);
    dr_buf_free(&json);
}

static dr_cost cost_of(const char *name, int64_t context)
{
    dr_config c;
    dr_cost cost;
    dr_ops ops;
    dr_error err = {0};
    dr_ops_init_ref(&ops);
    published(&c, name);
    if (dr_cost_compute(&cost, &c, &ops, context, CHUNK, &err) != DR_OK)
        fail_msg("%s", err.msg);
    dr_config_fini(&c);
    return cost;
}

static void near(double found, double expected, double within, const char *what)
{
    if (!(fabs(found - expected) <= within))
        fail_msg("%s: %.6g, expected %.6g", what, found, expected);
}

/* spec 1.3, in billions */
static void cost__parameters(void **state)
{
    static const struct {
        const char *name;
        double total, active, attention, routed, shared, hyper, head, mtp;
    } cases[] = {{"flash", 284.33, 13.27, 5.085, 6.493, 1.127, 0.034, 0.530, 6.61},
                 {"pro", 1572.99, 48.85, 19.463, 24.178, 4.198, 0.084, 0.927, 25.84}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const dr_cost c = cost_of(cases[i].name, 4096);
        const dr_cost_parameters *p = &c.parameters;
        near((double)p->total / 1e9, cases[i].total, 0.011, "total");
        near((double)p->active / 1e9, cases[i].active, 0.006, "active");
        near((double)p->attention / 1e9, cases[i].attention, 0.0006, "attention");
        near((double)p->routed / 1e9, cases[i].routed, 0.0006, "routed");
        near((double)p->shared / 1e9, cases[i].shared, 0.0006, "shared");
        near((double)p->hyper / 1e9, cases[i].hyper, 0.0006, "mHC");
        near((double)p->head / 1e9, cases[i].head, 0.0006, "head");
        near((double)p->mtp / 1e9, cases[i].mtp, 0.006, "MTP");
    }
}

/* spec 7, GFLOP a token */
static void cost__flops_of_a_token(void **state)
{
    static const struct {
        const char *name;
        int64_t context;
        double linear, attention, indexer, total;
    } cases[] = {{"flash", 4096, 26.5, 2.2, 0.4, 29.1},      {"flash", 131072, 26.5, 4.8, 11.3, 42.6},
                 {"flash", 1048576, 26.5, 23.6, 90.2, 140.3}, {"pro", 4096, 97.7, 10.4, 0.5, 108.6},
                 {"pro", 131072, 97.7, 18.4, 16.1, 132.2},    {"pro", 1048576, 97.7, 76.7, 128.8, 303.2}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const dr_cost c = cost_of(cases[i].name, cases[i].context);
        near(c.decode.linear / 1e9, cases[i].linear, 0.06, "linear");
        near(c.decode.attention / 1e9, cases[i].attention, 0.06, "attention");
        near(c.decode.indexer / 1e9, cases[i].indexer, 0.06, "indexer");
        near(dr_cost_flops_sum(&c.decode) / 1e9, cases[i].total, 0.11, "total");
    }
}

/* spec 6.2 and 7: the published ratios at 1M, and V3.2's own figures. */
static void cost__ratios_to_v32(void **state)
{
    const dr_cost flash = cost_of("flash", 1048576), pro = cost_of("pro", 1048576);

    (void)state;
    near(flash.v32_decode.linear / 1e9, 75.0, 0.06, "V3.2 linear");
    near(flash.v32_decode.attention / 1e9, 34.8, 0.06, "V3.2 attention");
    near(flash.v32_decode.indexer / 1e9, 1048.0, 0.6, "V3.2 indexer");
    near(flash.flops_share * 100, 12.1, 0.06, "plain");
    near(pro.flops_share * 100, 26.2, 0.06, "plain");
    near(flash.fp8_share * 100, 10.0, 0.06, "FP8-equivalent");
    near(pro.fp8_share * 100, 26.5, 0.06, "FP8-equivalent");
    near(flash.kv_share * 100, 7.3, 0.06, "KV");
    near(pro.kv_share * 100, 10.5, 0.06, "KV");
}

/* spec 6.2 */
static void cost__rows(void **state)
{
    static const struct {
        const char *name;
        double a_token, window, at_4k, at_128k, at_1m;
    } cases[] = {{"flash", 3514.25, 3.065, 16.8, 442, 3517}, {"pro", 5031.44, 4.349, 24.0, 633, 5036}};
    const double mib = 1 << 20;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const dr_cost short_one = cost_of(cases[i].name, 4096), middle = cost_of(cases[i].name, 131072),
                      longest = cost_of(cases[i].name, 1048576);
        near(longest.kv.csa + longest.kv.csa_index + longest.kv.hca, cases[i].a_token, 0.006, "bytes a token");
        near((double)longest.kv.window / mib, cases[i].window, 0.0006, "window");
        near((double)short_one.kv.total / mib, cases[i].at_4k, 0.06, "4K");
        near((double)middle.kv.total / mib, cases[i].at_128k, 0.6, "128K");
        near((double)longest.kv.total / mib, cases[i].at_1m, 0.6, "1M");
    }
}

/* spec 7: bytes read by a token at batch 1, in GB and MB */
static void cost__bytes_read(void **state)
{
    const dr_cost flash = cost_of("flash", 4096), pro = cost_of("pro", 4096);

    (void)state;
    near(flash.weights.fp8 / 1e9, 5.86, 0.006, "FP8");
    near(flash.weights.bf16 / 1e9, 1.77, 0.006, "BF16");
    near(flash.weights.f32 / 1e9, 0.13, 0.02, "F32");
    near(flash.weights.fp4 / 1e9, 3.45, 0.006, "FP4");
    near(pro.weights.fp8 / 1e9, 22.7, 0.06, "FP8");
    near(pro.weights.bf16 / 1e9, 3.77, 0.006, "BF16");
    near(pro.weights.fp4 / 1e9, 12.85, 0.006, "FP4");
    near(flash.kv.read / 1e6, 11, 0.6, "KV at 4K");
    near(cost_of("flash", 131072).kv.read / 1e6, 68, 0.6, "KV at 128K");
    near(cost_of("flash", 1048576).kv.read / 1e6, 480, 1, "KV at 1M");
    near(cost_of("pro", 1048576).kv.read / 1e6, 706, 1, "KV at 1M");
}

/* The mean over a prompt, summed by hand. */
static void cost__prefill_is_the_mean_over_the_prompt(void **state)
{
    enum { N = 600, TOPK = 64 }; /* past the point where the best are chosen */
    dr_config c;
    dr_cost one, last;
    dr_ops ops;
    double attention = 0, indexer = 0;

    (void)state;
    dr_ops_init_ref(&ops);
    published(&c, "pro");
    c.n_experts = c.n_active; /* attention does not ask how many */
    c.index_topk = TOPK;
    for (int64_t n = 1; n <= N; n++) {
        assert_int_equal(dr_cost_compute(&one, &c, &ops, n, CHUNK, NULL), DR_OK);
        attention += one.decode.attention / N;
        indexer += one.decode.indexer / N;
    }
    assert_int_equal(dr_cost_compute(&last, &c, &ops, N, CHUNK, NULL), DR_OK);
    near(last.prefill.attention / attention, 1, 1e-9, "attention");
    near(last.prefill.indexer / indexer, 1, 1e-9, "indexer");
    dr_config_fini(&c);
}

static void cost__memory_plan_counts_two_bytes_a_packed_value(void **state)
{
    const dr_cost c = cost_of("flash", 1048576);
    const double values = (double)(c.parameters.total - c.parameters.embedding + c.parameters.mtp);

    (void)state;
    near((double)c.memory.packed / (2 * values), 1, 0.01, "packed");
    assert_true(c.memory.kv >= c.kv.total - c.kv.window);
    assert_true(c.memory.kv < c.kv.total + (16 << 20));
    assert_true(c.memory.total == c.memory.packed + c.memory.vectors + c.memory.kv + c.memory.scratch);
}

static void cost__predictions_are_roofs_times_a_share(void **state)
{
    const dr_cost c = cost_of("flash", 131072);
    size_t n;
    const dr_cost_device *d = dr_cost_devices(&n);

    (void)state;
    assert_true(n >= 5);
    for (size_t i = 0; i < n; i++) {
        const dr_cost_speed s = dr_cost_predict(&c, &d[i]);
        assert_true(s.decode > 0 && s.prefill > s.decode);
        assert_true((s.n_devices == 0) == (d[i].memory == 0));
        if (s.n_devices)
            assert_true((double)s.n_devices * d[i].memory > (double)c.tensor_bytes);
    }
}

/* Absurd but allowed sizes are summed without overflow; impossible ones are refused. */
static void cost__large_sizes_do_not_overflow(void **state)
{
    dr_config c;
    dr_cost cost;
    dr_ops ops;
    dr_error err = {0};

    (void)state;
    dr_ops_init_ref(&ops);
    published(&c, "pro");
    c.vocab = 1 << 24;
    c.dim = 1 << 16;
    c.expert_dim = 1 << 16;
    c.q_rank = 1 << 16;
    c.n_heads = 1024;
    c.head_dim = 4096;
    assert_int_equal(dr_cost_compute(&cost, &c, &ops, INT64_C(1) << 24, CHUNK, &err), DR_OK);
    assert_true(cost.tensor_bytes > (UINT64_C(1) << 46) && cost.tensor_bytes < (UINT64_C(1) << 62));
    assert_true(cost.memory.packed > cost.tensor_bytes);
    c.n_experts = 1 << 16;
    assert_int_equal(dr_cost_compute(&cost, &c, &ops, 4096, CHUNK, &err), DR_ERR_FORMAT);
    dr_config_fini(&c);
}

/* ---- memory ---- */

static char root[64];

static void put(const char *path, const char *text)
{
    char full[256];
    dr_error err = {0};
    snprintf(full, sizeof full, "%s%s", root, path);
    char *slash = strrchr(full, '/');
    *slash = 0;
    if (dr_make_dirs(full, 0700, &err) != DR_OK)
        fail_msg("%s", err.msg);
    *slash = '/';
    if (dr_write_file(full, text, strlen(text), &err) != DR_OK)
        fail_msg("%s", err.msg);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/deepread-memory-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static void memory__is_what_the_system_calls_available(void **state)
{
    (void)state;
    assert_int_equal(dr_memory_look(root).available, 0);
    put("/proc/meminfo", "MemTotal:       24000000 kB\nMemFree:  100 kB\nMemAvailable:   20000000 kB\n");
    const dr_memory m = dr_memory_look(root);
    assert_int_equal(m.available, 20000000ULL << 10);
    assert_int_equal(m.total, 24000000ULL << 10);
    assert_false(m.limited);
    assert_true(dr_memory_look("").available > 0); /* Linux says it */
}

/* The smallest of the groups above the process; its page cache is not in the way. */
static void memory__control_groups_limit_it(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: 24000000 kB\nMemAvailable: 20000000 kB\n");
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/memory.max", "max\n");
    put("/sys/fs/cgroup/a/memory.max", "8000000000\n");
    put("/sys/fs/cgroup/a/memory.current", "7000000000\n");
    put("/sys/fs/cgroup/a/memory.stat", "anon 1000000000\nactive_file 2500000000\ninactive_file 3500000000\n");
    dr_memory m = dr_memory_look(root);
    assert_int_equal(m.available, 7000000000ULL);
    assert_int_equal(m.total, 8000000000ULL);
    assert_true(m.limited);
    put("/sys/fs/cgroup/a/b/memory.max", "500000000\n");
    put("/sys/fs/cgroup/a/b/memory.current", "600000000\n");
    m = dr_memory_look(root);
    assert_int_equal(m.available, 1);
    assert_int_equal(m.total, 500000000);
}

static void memory__the_first_version_of_control_groups_too(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: 24000000 kB\nMemAvailable: 20000000 kB\n");
    put("/proc/self/cgroup", "5:cpu:/x\n4:memory:/job\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "2000000000\n");
    put("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1500000000\n");
    put("/sys/fs/cgroup/memory/job/memory.stat", "cache 1\ntotal_active_file 500000000\ntotal_inactive_file 0\n");
    const dr_memory m = dr_memory_look(root);
    assert_int_equal(m.available, 1000000000);
    assert_true(m.limited);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cost__parameters),
        cmocka_unit_test(cost__flops_of_a_token),
        cmocka_unit_test(cost__ratios_to_v32),
        cmocka_unit_test(cost__rows),
        cmocka_unit_test(cost__bytes_read),
        cmocka_unit_test(cost__prefill_is_the_mean_over_the_prompt),
        cmocka_unit_test(cost__memory_plan_counts_two_bytes_a_packed_value),
        cmocka_unit_test(cost__predictions_are_roofs_times_a_share),
        cmocka_unit_test(cost__large_sizes_do_not_overflow),
        cmocka_unit_test_setup_teardown(memory__is_what_the_system_calls_available, make_root, remove_root),
        cmocka_unit_test_setup_teardown(memory__control_groups_limit_it, make_root, remove_root),
        cmocka_unit_test_setup_teardown(memory__the_first_version_of_control_groups_too, make_root, remove_root),
    };
    return cmocka_run_group_tests_name("cost", tests, NULL, NULL);
}
