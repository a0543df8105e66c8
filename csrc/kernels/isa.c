/* Selection of the table of kernels. */
#include "kernels/kernels.h"

#include <stdbool.h>
#include <string.h>

extern const skx_kernels skx_kernels_baseline;
#ifdef SKX_X86
extern const skx_kernels skx_kernels_avx2, skx_kernels_avx512;
#endif

static bool always(void) { return true; }

#ifdef SKX_X86
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

/* Best first. */
static const struct {
    const skx_kernels *kernels;
    bool (*runs_here)(void);
} implementations[] = {
#ifdef SKX_X86
    {&skx_kernels_avx512, has_avx512},
    {&skx_kernels_avx2, has_avx2},
#endif
    {&skx_kernels_baseline, always},
};

int skx_kernels_find(const char *name, const skx_kernels **out)
{
#ifdef SKX_X86
    __builtin_cpu_init();
#endif
    bool any = name == NULL || name[0] == '\0';
    for (size_t i = 0; i < sizeof implementations / sizeof implementations[0]; i++) {
        if (!any && strcmp(name, implementations[i].kernels->name) != 0) continue;
        if (!implementations[i].runs_here()) continue;
        *out = implementations[i].kernels;
        return SKX_OK;
    }
    return SKX_EISA;
}

const char *skx_kernels_name(const skx_kernels *kernels) { return kernels->name; }
