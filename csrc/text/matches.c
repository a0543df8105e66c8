/* Texts that match what is typed, the most popular ones first: texts or their words begin with it, with or without a typing
 * error. A set of matches is a list of ranges of sorted entries. */
#include "base/bitset.h"
#include "base/span.h"
#include "skxmr.h"

#include <string.h>

/* The first eight bytes are compared as a number, which is faster: an entry is three memory accesses away. */
enum { HEAD = 8 };

typedef struct {
    const uint8_t *bytes;
    int64_t n;
    uint64_t head; /* the first bytes, the first one most significant, then zeros */
    bool plain;    /* none of these bytes is zero */
} string_t;

typedef struct {
    span *items;
    int64_t n, capacity;
    bool failed; /* memory was short */
} range_list;

/* A heap with the smallest key on top. A key is the best rank below a node, and the node. */
typedef struct {
    uint64_t *keys;
    int64_t n, capacity;
    bool failed; /* memory was short */
} heap_t;

static string_t string_of(const uint8_t *bytes, int64_t n)
{
    string_t s = {bytes, n, 0, true};
    for (int64_t i = 0; i < HEAD && i < n; i++) {
        s.head |= (uint64_t)bytes[i] << (56 - 8 * i);
        s.plain = s.plain && bytes[i] != 0;
    }
    return s;
}

static string_t string_from(string_t s, int64_t begin) { return string_of(s.bytes + begin, s.n - begin); }

/* ---- entries ---- */

typedef struct {
    const uint8_t *bytes;
    int64_t n;
} entry_t;

/* @return the bytes of an entry; none if its pointers lead outside. */
static entry_t entry_at(const skx_text_index *index, int64_t i)
{
    const skx_texts *texts = index->texts;
    const entry_t none = {NULL, 0};
    int64_t t = index->text ? index->text[i] : i, offset = index->offset ? index->offset[i] : 0;
    if (t < 0 || t >= texts->n_texts) return none;
    span bytes = span_of(texts->ptr, t, texts->n_bytes);
    if (offset < 0 || offset > bytes.end - bytes.begin) return none;
    return (entry_t){texts->bytes + bytes.begin + offset, bytes.end - bytes.begin - offset};
}

/* Compare the bytes of an entry from `depth` on with a string.
 * @return 0 if they begin with the string, -1 if they come before such bytes, 1 if they come after them. */
static int compare_at(const skx_text_index *index, int64_t i, int64_t depth, const string_t *s)
{
    if (depth < HEAD && s->n > 0) {
        int64_t n = HEAD - depth < s->n ? HEAD - depth : s->n;
        uint64_t have = index->head[i] << (8 * depth) >> (64 - 8 * n), want = s->head >> (64 - 8 * n);
        if (have != want) return have < want ? -1 : 1;
        if (n == s->n && s->plain) return 0;
    }
    entry_t entry = entry_at(index, i);
    int64_t length = entry.n - depth;
    if (length < 0) return -1;
    int64_t n = length < s->n ? length : s->n;
    int order = n > 0 ? memcmp(entry.bytes + depth, s->bytes, (size_t)n) : 0;
    if (order == 0) return length < s->n ? -1 : 0;
    return order < 0 ? -1 : 1;
}

/* @return the first entry of a range for which compare_at is more than `below`. */
static int64_t bisect(const skx_text_index *index, span range, int64_t depth, string_t s, int below)
{
    while (range.begin < range.end) {
        int64_t middle = range.begin + (range.end - range.begin) / 2;
        if (compare_at(index, middle, depth, &s) <= below)
            range.begin = middle + 1;
        else
            range.end = middle;
    }
    return range.begin;
}

/* @return the entries of a range, which agree in their first `depth` bytes, that go on with a string. */
static span narrow(const skx_text_index *index, span range, int64_t depth, string_t s)
{
    int64_t begin = bisect(index, range, depth, s, -1);
    if (begin == range.end || compare_at(index, begin, depth, &s) != 0) return (span){begin, begin};
    return (span){begin, bisect(index, (span){begin + 1, range.end}, depth, s, 0)};
}

/* @return the same for an entry that begins with the string and those after it, in steps that become longer. */
static int64_t end_of_run(const skx_text_index *index, span range, int64_t depth, string_t s)
{
    int64_t step = 1, last = range.begin;
    while (last + step < range.end && compare_at(index, last + step, depth, &s) == 0) {
        last += step;
        step *= 2;
    }
    int64_t end = last + step < range.end ? last + step : range.end;
    return bisect(index, (span){last + 1, end}, depth, s, 0);
}

/* ---- typing errors ---- */

/* @return the number of bytes of the first character of a string, or all bytes if they are fewer. */
static int64_t character_length(string_t s)
{
    uint8_t lead = s.bytes[0];
    int64_t length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return length < s.n ? length : s.n;
}

static void list_add(range_list *list, span range)
{
    if (range.begin >= range.end || list->failed) return;
    if (list->n == list->capacity) {
        int64_t capacity = 2 * list->capacity + 16;
        span *items = realloc(list->items, (size_t)capacity * sizeof *items);
        list->failed = items == NULL;
        if (list->failed) return;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = range;
}

/* Add the entries of a range that go on with the rest of the typed text after its first two characters are exchanged. */
static void add_exchanged(const skx_text_index *index, span range, int64_t depth, string_t rest, range_list *list)
{
    int64_t first = character_length(rest);
    string_t others = string_from(rest, first);
    int64_t second = character_length(others);
    range = narrow(index, range, depth, string_of(others.bytes, second));
    range = narrow(index, range, depth + second, string_of(rest.bytes, first));
    list_add(list, narrow(index, range, depth + first + second, string_from(others, second)));
}

/* Add the entries of a range with one more character, or with another one instead of the first character, before the rest of
 * the typed text. */
static void add_other_characters(const skx_text_index *index, span range, int64_t depth, string_t rest, range_list *list)
{
    string_t others = string_from(rest, character_length(rest));
    for (int64_t i = range.begin, end; i < range.end; i = end) {
        entry_t entry = entry_at(index, i);
        end = i + 1;
        if (entry.n <= depth) continue;
        string_t character = string_of(entry.bytes + depth, entry.n - depth);
        character = string_of(character.bytes, character_length(character));
        end = end_of_run(index, (span){i, range.end}, depth, character);
        list_add(list, narrow(index, (span){i, end}, depth + character.n, others));
        list_add(list, narrow(index, (span){i, end}, depth + character.n, rest));
    }
}

/* Add the entries that begin with a string within one error of the typed text, after its first n_exact characters. */
static void add_near(const skx_text_index *index, string_t typed, int64_t n_exact, range_list *list)
{
    int64_t depth = 0;
    for (int64_t i = 0; i < n_exact && depth < typed.n; i++) depth += character_length(string_from(typed, depth));
    span range = narrow(index, (span){0, index->n_entries}, 0, string_of(typed.bytes, depth));
    while (range.begin < range.end && depth < typed.n) {
        string_t rest = string_from(typed, depth);
        int64_t length = character_length(rest);
        if (length == rest.n) { /* whatever follows, the last character is the error */
            list_add(list, range);
            return;
        }
        list_add(list, narrow(index, range, depth, string_from(rest, length)));
        add_exchanged(index, range, depth, rest, list);
        add_other_characters(index, range, depth, rest, list);
        range = narrow(index, range, depth, string_of(rest.bytes, length));
        depth += length;
    }
}

static int compare_ranges(const void *left, const void *right)
{
    const span *a = left, *b = right;
    return (a->begin > b->begin) - (a->begin < b->begin);
}

/* Join ranges that overlap. */
static void list_join(range_list *list)
{
    if (list->n < 2) return;
    qsort(list->items, (size_t)list->n, sizeof *list->items, compare_ranges);
    int64_t kept = 0;
    for (int64_t i = 1; i < list->n; i++) {
        span *last = &list->items[kept];
        if (list->items[i].begin > last->end)
            list->items[++kept] = list->items[i];
        else if (list->items[i].end > last->end)
            last->end = list->items[i].end;
    }
    list->n = kept + 1;
}

/* ---- the most popular entries ---- */

static void heap_push(heap_t *heap, const skx_text_index *index, int64_t node)
{
    if (heap->failed) return;
    if (heap->n == heap->capacity) {
        int64_t capacity = 2 * heap->capacity + 64;
        uint64_t *keys = realloc(heap->keys, (size_t)capacity * sizeof *keys);
        heap->failed = keys == NULL;
        if (heap->failed) return;
        heap->keys = keys;
        heap->capacity = capacity;
    }
    uint64_t key = (uint64_t)(uint32_t)index->best[node] << 32 | (uint64_t)node;
    int64_t i = heap->n++;
    for (; i > 0 && heap->keys[(i - 1) / 2] > key; i = (i - 1) / 2) heap->keys[i] = heap->keys[(i - 1) / 2];
    heap->keys[i] = key;
}

/* @return the node on top, which is removed. */
static int64_t heap_pop(heap_t *heap)
{
    int64_t node = (int64_t)(heap->keys[0] & UINT32_MAX), i = 0;
    uint64_t last = heap->keys[--heap->n];
    for (int64_t child = 1; child < heap->n; child = 2 * i + 1) {
        if (child + 1 < heap->n && heap->keys[child + 1] < heap->keys[child]) child++;
        if (heap->keys[child] >= last) break;
        heap->keys[i] = heap->keys[child];
        i = child;
    }
    heap->keys[i] = last;
    return node;
}

static void push_range(heap_t *heap, const skx_text_index *index, int64_t begin, int64_t end)
{
    begin += index->n_entries;
    end += index->n_entries;
    for (; begin < end; begin /= 2, end /= 2) {
        if (begin & 1) heap_push(heap, index, begin++);
        if (end & 1) heap_push(heap, index, --end);
    }
}

/* Push a range; where entries are texts, without those that are not wanted. */
static void push_wanted(heap_t *heap, const skx_text_index *index, const skx_match_params *params, span range)
{
    int64_t begin = params->skip_begin, end = params->skip_end;
    if (index->text || begin >= end || end <= range.begin || begin >= range.end) {
        push_range(heap, index, range.begin, range.end);
        return;
    }
    if (begin > range.begin) push_range(heap, index, range.begin, begin);
    if (end < range.end) push_range(heap, index, end, range.end);
}

static bool bit_is_set(const bitset *set, int64_t i) { return set->words[i >> 6] >> (i & 63) & 1; }

/* @return whether a text may be found. */
static bool is_wanted(const skx_text_index *index, const skx_match_params *params, const bitset *skipped, int64_t text)
{
    if (text < 0 || text >= index->texts->n_texts) return false;
    return (text < params->skip_begin || text >= params->skip_end) && !bit_is_set(skipped, text);
}

/* Write the most popular texts of the entries in the ranges. @return SKX_OK, or SKX_ENOMEM. */
static int take_best(const skx_text_index *index, const range_list *list, const skx_match_params *params, int32_t *found,
                     int64_t *n_found)
{
    bitset skipped;
    heap_t heap = {0};
    *n_found = 0;
    bool ready = bitset_init(&skipped, index->texts->n_texts);
    for (int64_t i = 0; ready && i < params->n_skipped; i++)
        if (params->skipped[i] >= 0 && params->skipped[i] < index->texts->n_texts) bitset_add(&skipped, params->skipped[i]);
    for (int64_t i = 0; ready && i < list->n; i++) push_wanted(&heap, index, params, list->items[i]);
    while (ready && !heap.failed && heap.n > 0 && *n_found < params->k) {
        int64_t node = heap_pop(&heap), entry = node - index->n_entries;
        if (entry < 0) {
            heap_push(&heap, index, 2 * node);
            heap_push(&heap, index, 2 * node + 1);
            continue;
        }
        int64_t text = index->text ? index->text[entry] : entry;
        if (!is_wanted(index, params, &skipped, text)) continue;
        bitset_add(&skipped, text);
        found[(*n_found)++] = (int32_t)text;
    }
    ready = ready && !heap.failed;
    free(heap.keys);
    bitset_free(&skipped);
    return ready ? SKX_OK : SKX_ENOMEM;
}

/* ---- interface ---- */

int skx_matches_find(const skx_text_index *index, const uint8_t *typed, int64_t n_typed, const skx_match_params *params,
                     int32_t *found, int64_t *n_found)
{
    if (index->n_entries < 0 || index->n_entries > INT32_MAX / 2 || n_typed < 0) return SKX_EARG;
    if (params->n_errors < 0 || params->n_errors > 1 || params->n_exact < 0) return SKX_EARG;
    range_list list = {0};
    string_t string = string_of(typed, n_typed);
    if (params->n_errors > 0)
        add_near(index, string, params->n_exact, &list);
    else
        list_add(&list, narrow(index, (span){0, index->n_entries}, 0, string));
    list_join(&list);
    int status = list.failed ? SKX_ENOMEM : take_best(index, &list, params, found, n_found);
    free(list.items);
    return status;
}

int skx_matches_of_ranges(const skx_text_index *index, const int64_t *range, int64_t n_ranges, const skx_match_params *params,
                          int32_t *found, int64_t *n_found)
{
    if (index->n_entries < 0 || index->n_entries > INT32_MAX / 2) return SKX_EARG;
    range_list list = {0};
    for (int64_t i = 0; i < n_ranges; i++) {
        if (range[2 * i] < 0 || range[2 * i + 1] > index->n_entries) {
            free(list.items);
            return SKX_EARG;
        }
        list_add(&list, (span){range[2 * i], range[2 * i + 1]});
    }
    list_join(&list);
    int status = list.failed ? SKX_ENOMEM : take_best(index, &list, params, found, n_found);
    free(list.items);
    return status;
}
