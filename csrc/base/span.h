/* The begin and end of a list in an array of lists. */
#ifndef SKX_SPAN_H
#define SKX_SPAN_H
#include <stdint.h>

/* The entries ptr[i] .. ptr[i + 1]; none if they lead outside, because a mapped file may hold any numbers. */
typedef struct {
    int64_t begin, end;
} span;

static inline span span_of(const int64_t *ptr, int64_t i, int64_t n)
{
    span s = {ptr[i], ptr[i + 1]};
    return s.begin < 0 || s.begin > s.end || s.end > n ? (span){0, 0} : s;
}

#endif
