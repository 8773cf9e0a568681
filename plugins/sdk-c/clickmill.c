// The contract's side of the SDK: memory, values, columns in and out, and the three functions that the host
// calls. The records of `wit/plugin.wit` are laid out here as they cross the boundary, with 32-bit pointers.
#define CLICKMILL_SDK
#include "clickmill.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What checks find in the plugin is told with its line, and that is none of the SDK's.
#ifdef __wasm__
#pragma clang attribute push(__attribute__((no_sanitize("undefined"))), apply_to = function)
#endif

// --- Memory: what a call takes is given back together, and before that what a row takes.

typedef struct block {
  struct block *before;
  size_t used, size;
} block;
typedef struct { block *last; } arena;

static arena call, row_only, *arena_now = &call;

static void *alloc_in(arena *in, size_t bytes) {
  bytes = (bytes + 15) & ~(size_t)15;
  if (!in->last || bytes > in->last->size - in->last->used) {
    size_t size = bytes > (64 << 10) ? bytes : 64 << 10;
    block *next = malloc(sizeof(block) + 16 + size);
    if (!next) __builtin_trap();
    *next = (block){in->last, 0, size};
    in->last = next;
  }
  char *start = (char *)(((uintptr_t)(in->last + 1) + 15) & ~(uintptr_t)15);
  in->last->used += bytes;
  return start + in->last->used - bytes;
}

void *cm_alloc(size_t bytes) { return alloc_in(arena_now, bytes); }

// Gives all back but a block to begin with.
static void clear(arena *of) {
  while (of->last && of->last->before) {
    block *before = of->last->before;
    free(of->last);
    of->last = before;
  }
  if (of->last) of->last->used = 0;
}

// Natively a test plays the host's part: see `testing`.
#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(name)))
#define HOST(interface, function) __attribute__((import_module("clickmill:plugin/" interface "@0.2.0"), import_name(function)))
#else
#define EXPORT(name)
#define HOST(interface, function)
#endif

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  if (size == 0) return (void *)align;
  void *place = alloc_in(&call, size);
  return old_size ? memcpy(place, old, old_size < size ? old_size : size) : place;
}

// Bytes that grow, and live as long as the call.
typedef struct {
  char *bytes;
  size_t length, size;
} buffer;

static void *grow(buffer *b, size_t bytes) {
  if (b->length + bytes > b->size) {
    b->size = (b->length + bytes) * 2;
    char *wider = alloc_in(&call, b->size);
    if (b->length) memcpy(wider, b->bytes, b->length);
    b->bytes = wider;
  }
  void *place = b->bytes + b->length;
  b->length += bytes;
  return place;
}

#define PUSH(buffer, type, value) (*(type *)grow(buffer, sizeof(type)) = (value))

// --- What crosses the boundary.

typedef struct { void *at; uint32_t length; } list;
typedef struct { uint8_t is_there; list value; } option_list;
typedef struct { list offsets; list bytes; } text_column;
typedef struct { list indices; text_column values; } dictionary;
enum { BOOLEANS, INT64S, FLOAT64S, DECIMALS, DATES, TIMES, DATETIMES, TIMESTAMPS, TEXTS, DICTIONARY, JSONS, BLOBS, RECORDS };
typedef struct {
  cm_text name;
  struct { uint8_t is_there; uint32_t at; } parent;
  option_list offsets;
  struct { uint8_t tag; union { list fixed; text_column texts; dictionary dictionary; }; } values;
  option_list validity;
} column;
typedef struct { cm_text path; uint8_t type; bool repeated; } column_spec;
typedef struct { cm_text name; uint32_t min_bytes; } secret;
typedef struct { cm_text name, version, description, config_schema; list secrets; } manifest;
typedef struct { list reads, writes, lookups; uint8_t multiplies; } needs;
typedef struct { uint8_t is_error; union { struct { needs needs; list prepared; }; list problems; }; } configured;
typedef struct { uint32_t row; cm_text code, message; struct { uint8_t is_there; cm_text value; } column; } rejection;
typedef struct { uint8_t is_error; union { struct { option_list came_from; list columns, rejections, dropped; }; cm_text fault; }; } answer;
typedef struct { uint8_t is_error; union { column found; struct { uint8_t why; list what; } error; }; } looked_up;
#ifdef __wasm__
_Static_assert(sizeof(column) == 68 && sizeof(column_spec) == 12 && sizeof(manifest) == 40, "as in the contract");
_Static_assert(sizeof(configured) == 40 && sizeof(rejection) == 32 && sizeof(answer) == 40, "as in the contract");
_Static_assert(sizeof(looked_up) == 72, "as in the contract");
#endif

HOST("log", "write") void host_log(uint32_t level, const char *text, uint32_t bytes);
HOST("log", "unreadable") void host_unreadable(const char *column, uint32_t bytes, uint32_t values);
HOST("lookup", "find") void host_find(const char *table, uint32_t table_bytes, const char *field, uint32_t field_bytes,
    const uint32_t *offsets, uint32_t offset_count, const char *bytes, uint32_t byte_count, looked_up *to);

// --- Values

cm_text cm_str(const char *text) { return (cm_text){text, text ? strlen(text) : 0}; }
bool cm_equal(cm_text a, cm_text b) {
  return a.length == b.length && !a.bytes == !b.bytes && memcmp(a.bytes, b.bytes, a.length) == 0;
}
cm_value cm_null(void) { return (cm_value){CM_IS_NULL}; }
cm_value cm_boolean(bool b) { return (cm_value){CM_IS_BOOLEAN, .boolean = b}; }
cm_value cm_integer(int64_t n) { return (cm_value){CM_IS_INTEGER, .integer = n}; }
cm_value cm_float64(double x) { return (cm_value){CM_IS_FLOAT64, .float64 = x}; }
cm_value cm_decimal(__int128 n) { return (cm_value){CM_IS_DECIMAL, .decimal = n}; }
static const __int128 GREATEST_DECIMAL = (__int128)10000000000000000000u * 10000000000000000000u - 1;
bool cm_decimal_plus(__int128 a, __int128 b, __int128 *sum) {
  if (__builtin_add_overflow(a, b, sum)) return false;
  return -GREATEST_DECIMAL <= *sum && *sum <= GREATEST_DECIMAL;
}
bool cm_decimal_times(__int128 number, int64_t times, __int128 *product) {
  __int128 size = number < 0 ? -number : number, most = times < 0 ? -(__int128)times : times;
  if (most && size > GREATEST_DECIMAL / most) return false;
  *product = number * times;
  return true;
}
cm_value cm_text_value(cm_text t) { return t.bytes ? (cm_value){CM_IS_TEXT, .text = t} : cm_null(); }
cm_value cm_list(cm_value *elements, uint32_t length) { return (cm_value){CM_IS_LIST, length, .elements = elements}; }
cm_value cm_record(cm_field *fields, uint32_t length) { return (cm_value){CM_IS_RECORD, length, .fields = fields}; }

// The first name of a path; `rest` is behind it, or null.
static cm_text first_name(const char *path, const char **rest) {
  const char *dot = strchr(path, '.');
  *rest = dot ? dot + 1 : NULL;
  return (cm_text){path, dot ? (uint32_t)(dot - path) : strlen(path)};
}

static cm_value *field_at(cm_value record, cm_text name) {
  if (record.kind == CM_IS_RECORD)
    for (uint32_t i = 0; i < record.length; i++)
      if (cm_equal(record.fields[i].name, name)) return &record.fields[i].value;
  return NULL;
}

cm_value cm_field_of(cm_value value, const char *path) {
  while (path) {
    cm_value *field = field_at(value, first_name(path, &path));
    if (!field) return cm_null();
    value = *field;
  }
  return value;
}

static cm_text format(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, again);
  char *text = cm_alloc(length + 1);
  vsnprintf(text, length + 1, format, arguments);
  return (cm_text){text, length};
}

#define FORMAT(text, from) va_list arguments; va_start(arguments, from); cm_text text = format(from, arguments); va_end(arguments)

cm_text cm_format(const char *form, ...) { FORMAT(text, form); return text; }

// The bytes of the character of UTF-8 that begins there; 0 where none does.
static uint32_t character_at(const char *text, uint32_t left) {
  const unsigned char *at = (const unsigned char *)text, c = *at;
  uint32_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  unsigned char least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  if (length > left) return 0;
  for (uint32_t i = 1; i < length; i++, least = 0x80, most = 0xbf)
    if (at[i] < least || at[i] > most) return 0;
  return length;
}

// What is told is UTF-8, or the host refuses the call: where a character is cut, there is a replacement character.
static cm_text well_formed(cm_text text) {
  static const char replacement[] = "\xef\xbf\xbd";
  char *made = cm_alloc(text.length * (sizeof(replacement) - 1) + 1), *to = made;
  for (uint32_t at = 0; at < text.length;) {
    uint32_t length = character_at(text.bytes + at, text.length - at), bytes = length ? length : sizeof(replacement) - 1;
    memcpy(to, length ? text.bytes + at : replacement, bytes);
    to += bytes;
    at += length ? length : 1;
  }
  *to = 0;
  return (cm_text){made, to - made};
}

static void tell(uint32_t level, cm_text text) {
  text = well_formed(text);
  host_log(level, text.bytes, text.length);
}

void cm_log_debug(const char *form, ...) { FORMAT(text, form); tell(0, text); }
void cm_log_info(const char *form, ...) { FORMAT(text, form); tell(1, text); }
void cm_log_warn(const char *form, ...) { FORMAT(text, form); tell(2, text); }
void cm_log_error(const char *form, ...) { FORMAT(text, form); tell(3, text); }

// Where the plugin is that is at fault; nowhere while the file is null.
typedef struct { const char *file; int line; } place;
static place place_now;
void cm_at(const char *file, int line) { place_now = (place){file, line}; }

// What has more bytes stands behind its line, since the host cuts a long message at its end.
enum { CM_LONG = 500 };

// The host takes the last line of that level for the reason of what ends here.
_Noreturn void cm_fail(const char *form, ...) {
  FORMAT(text, form);
  if (place_now.file) {
    const char *slash = strrchr(place_now.file, '/');
    const char *file = slash ? slash + 1 : place_now.file;
    text = text.length > CM_LONG ? cm_format("(%s, line %d) %.*s", file, place_now.line, (int)text.length, text.bytes)
                                 : cm_format("%.*s (%s, line %d)", (int)text.length, text.bytes, file, place_now.line);
  }
  tell(3, text);
  __builtin_trap();
}
void cm_unreadable(const char *column, uint32_t values) { host_unreadable(column, strlen(column), values); }

// --- JSON, which the host has checked.

typedef struct { const char *at, *end; } json;

static char json_next(json *in) {
  while (in->at < in->end && strchr(" \t\n\r,:", *in->at)) in->at++;
  return in->at < in->end ? *in->at : 0;
}

static uint32_t json_hex(json *in) {
  char digits[5] = {0};
  memcpy(digits, in->at, 4);
  in->at += 4;
  return strtoul(digits, NULL, 16);
}

static cm_text json_text(json *in) {
  const char *end = in->at + 1;
  while (*end != '"') end += *end == '\\' ? 2 : 1;
  char *text = cm_alloc(end - in->at), *to = text; // no longer than it is written
  for (in->at++; *in->at != '"';) {
    char c = *in->at++;
    if (c != '\\') { *to++ = c; continue; }
    c = *in->at++;
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *name = strchr(names, c);
    if (c != 'u') { *to++ = name ? meant[name - names] : c; continue; }
    uint32_t point = json_hex(in);
    if (point >> 10 == 0x36) {
      in->at += 2; // the second half, of another \u
      point = 0x10000 + ((point & 0x3ff) << 10) + (json_hex(in) & 0x3ff);
    }
    if (point < 0x80) { *to++ = point; continue; }
    int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    *to++ = (0xff00 >> (more + 1) & 0xff) | point >> 6 * more;
    while (more--) *to++ = 0x80 | (point >> 6 * more & 0x3f);
  }
  in->at++;
  return (cm_text){text, to - text};
}

static cm_value json_value(json *in) {
  char c = json_next(in);
  if (c == '"') return cm_text_value(json_text(in));
  if (c == 't' || c == 'f' || c == 'n') {
    in->at += c == 'f' ? 5 : 4;
    return c == 'n' ? cm_null() : cm_boolean(c == 't');
  }
  if (c == '[' || c == '{') {
    buffer inside = {0};
    in->at++;
    for (uint32_t length = 0;; length++) {
      char next = json_next(in);
      if (next == ']' || next == '}' || !next) {
        in->at++;
        return c == '[' ? cm_list((cm_value *)inside.bytes, length) : cm_record((cm_field *)inside.bytes, length);
      }
      if (c == '[') {
        PUSH(&inside, cm_value, json_value(in));
      } else {
        cm_text name = json_text(in);
        PUSH(&inside, cm_field, ((cm_field){name, json_value(in)}));
      }
    }
  }
  size_t length = strspn(in->at, "+-0123456789.eE");
  cm_text digits = cm_format("%.*s", (int)length, in->at);
  in->at += length;
  return strpbrk(digits.bytes, ".eE") ? cm_float64(strtod(digits.bytes, NULL)) : cm_integer(strtoll(digits.bytes, NULL, 10));
}

// --- Configuration

struct cm_config {
  cm_value value;
  const column_spec *available;
  uint32_t available_count;
  buffer problems, keys, reads, writes, lookups; // of cm_text and column_spec
  bool multiplies;
};

static cm_config config_of(const char *bytes, uint32_t length, const column_spec *available, uint32_t count) {
  char *copy = memcpy(cm_alloc(length + 1), bytes, length);
  copy[length] = 0;
  json in = {copy, copy + length};
  cm_config config = {.value = json_value(&in), .available = available, .available_count = count};
  clickmill_plugin.configure(&config);
  return config;
}

cm_value cm_config_value(const cm_config *config) { return config->value; }
void cm_problem(cm_config *config, const char *form, ...) { FORMAT(text, form); PUSH(&config->problems, cm_text, well_formed(text)); }
static cm_text joined(const cm_text *problems, uint32_t count) {
  cm_text all = cm_str("");
  for (uint32_t i = 0; i < count; i++) all = cm_format("%s%s%s", all.bytes, i ? "; " : "", problems[i].bytes);
  return all;
}

// A value as JSON has it, for people: the beginning of it.
static cm_text told(cm_value v) {
  cm_text all = cm_str(v.kind == CM_IS_LIST ? "[" : "{");
  switch (v.kind) {
  case CM_IS_NULL: return cm_str("null");
  case CM_IS_BOOLEAN: return cm_str(v.boolean ? "true" : "false");
  case CM_IS_INTEGER: return cm_format("%lld", (long long)v.integer);
  case CM_IS_FLOAT64: {
    cm_text digits = cm_format("%.15g", v.float64);
    if (strtod(digits.bytes, NULL) != v.float64) digits = cm_format("%.17g", v.float64);
    return cm_format(strpbrk(digits.bytes, ".en") ? "%s" : "%s.0", digits.bytes);
  }
  case CM_IS_TEXT: return cm_format("\"%.*s\"", (int)v.text.length, v.text.bytes);
  default: break;
  }
  for (uint32_t i = 0; i < v.length && all.length < 80; i++) {
    cm_text name = v.kind == CM_IS_LIST ? cm_str("") : cm_format("\"%.*s\": ", (int)v.fields[i].name.length, v.fields[i].name.bytes);
    cm_text value = told(v.kind == CM_IS_LIST ? v.elements[i] : v.fields[i].value);
    all = cm_format("%.*s%s%.*s%.*s", (int)all.length, all.bytes, i ? ", " : "", (int)name.length, name.bytes, (int)value.length, value.bytes);
  }
  return cm_format("%.*s%s", (int)all.length, all.bytes, v.kind == CM_IS_LIST ? "]" : "}");
}

// Whether a value is of a kind. Another one is a problem.
static bool is_config_of(cm_config *config, cm_text path, cm_value *value, cm_kind kind) {
  static const char *const wanted[] = {[CM_IS_BOOLEAN] = "true or false", [CM_IS_INTEGER] = "an integer", [CM_IS_FLOAT64] = "a number", [CM_IS_TEXT] = "a text", [CM_IS_LIST] = "a list", [CM_IS_RECORD] = "a table"};
  if (kind == CM_IS_FLOAT64 && value->kind == CM_IS_INTEGER) *value = cm_float64((double)value->integer);
  if (value->kind == kind) return true;
  for (uint32_t i = 0; i < clickmill_plugin.secret_count; i++)
    if (cm_equal(path, cm_str(clickmill_plugin.secrets[i].name))) {
      // The beginning of it the host would not know for a secret.
      cm_problem(config, "the secret `%.*s` is a text, wanted %s", (int)path.length, path.bytes, wanted[kind]);
      return false;
    }
  cm_text is = told(*value);
  uint32_t length = is.length;
  if (length > 80) for (length = 79; (is.bytes[length] & 0xc0) == 0x80;) length--;
  cm_problem(config, "`%.*s` is %.*s%s, wanted %s", (int)path.length, path.bytes, (int)length, is.bytes, length < is.length ? "…" : "", wanted[kind]);
  return false;
}

// What is set for a key, of a kind; else null.
static cm_value config_at(cm_config *config, const char *path, cm_kind kind) {
  PUSH(&config->keys, cm_text, cm_str(path));
  cm_value value = cm_field_of(config->value, path);
  return value.kind != CM_IS_NULL && is_config_of(config, cm_str(path), &value, kind) ? value : cm_null();
}

cm_text cm_config_text(cm_config *config, const char *path) {
  cm_value value = config_at(config, path, CM_IS_TEXT);
  return value.kind == CM_IS_TEXT ? value.text : (cm_text){0};
}

#define CONFIG_AT(kind_of, member) \
  cm_value value = config_at(config, path, kind_of); \
  if (value.kind == kind_of) *to = value.member; \
  return value.kind == kind_of
bool cm_config_int64(cm_config *config, const char *path, int64_t *to) { CONFIG_AT(CM_IS_INTEGER, integer); }
bool cm_config_float64(cm_config *config, const char *path, double *to) { CONFIG_AT(CM_IS_FLOAT64, float64); }
bool cm_config_boolean(cm_config *config, const char *path, bool *to) { CONFIG_AT(CM_IS_BOOLEAN, boolean); }

cm_value cm_config_list(cm_config *config, const char *path, cm_kind of) {
  cm_value list = config_at(config, path, CM_IS_LIST);
  bool fits = true;
  for (uint32_t i = 0; i < list.length; i++) fits &= is_config_of(config, cm_format("%s[%u]", path, i), &list.elements[i], of);
  return fits ? list : cm_null();
}

cm_value cm_config_record(cm_config *config, const char *path, cm_kind of) {
  cm_value record = config_at(config, path, CM_IS_RECORD);
  bool fits = true;
  for (uint32_t i = 0; i < record.length; i++) {
    cm_text name = record.fields[i].name;
    fits &= is_config_of(config, cm_format("%s.%.*s", path, (int)name.length, name.bytes), &record.fields[i].value, of);
  }
  return fits ? record : cm_null();
}

void cm_config_requires(cm_config *config, const char *path) {
  if (cm_field_of(config->value, path).kind == CM_IS_NULL) cm_problem(config, "missing field `%s`", path);
}

static void no_others(cm_config *config, cm_value record, const char *above) {
  const cm_text *keys = (cm_text *)config->keys.bytes;
  uint32_t count = config->keys.length / sizeof(cm_text);
  for (uint32_t i = 0; i < record.length; i++) {
    cm_text path = cm_format("%s%.*s", above, (int)record.fields[i].name.length, record.fields[i].name.bytes);
    bool is_known = false, is_above = false;
    for (uint32_t k = 0; k < count; k++) {
      is_known |= cm_equal(keys[k], path);
      is_above |= keys[k].length > path.length && keys[k].bytes[path.length] == '.' && !memcmp(keys[k].bytes, path.bytes, path.length);
    }
    if (is_known || (is_above && record.fields[i].value.kind == CM_IS_NULL)) continue;
    if (is_above) {
      if (is_config_of(config, path, &record.fields[i].value, CM_IS_RECORD)) no_others(config, record.fields[i].value, cm_format("%s.", path.bytes).bytes);
      continue;
    }
    cm_text known = cm_str("");
    for (uint32_t k = 0; k < count; k++) known = cm_format("%s%s`%s`", known.bytes, k ? ", " : "", keys[k].bytes);
    cm_problem(config, "unknown field `%s`, expected one of: %s", path.bytes, count ? known.bytes : "none");
  }
}

void cm_config_no_others(cm_config *config) { no_others(config, config->value, ""); }

bool cm_available(const cm_config *config, const char *path, cm_type type) {
  for (uint32_t i = 0; i < config->available_count; i++)
    if (cm_equal(config->available[i].path, cm_str(path)) && config->available[i].type == type) return true;
  return false;
}
static void add(buffer *to, const char *path, cm_type type, bool repeated) {
  PUSH(to, column_spec, ((column_spec){cm_format("%s", path), type, repeated}));
}
void cm_reads(cm_config *config, const char *path, cm_type type) { add(&config->reads, path, type, false); }
void cm_reads_list(cm_config *config, const char *path, cm_type type) { add(&config->reads, path, type, true); }
void cm_writes(cm_config *config, const char *path, cm_type type) { add(&config->writes, path, type, false); }
void cm_writes_list(cm_config *config, const char *path, cm_type type) { add(&config->writes, path, type, true); }
void cm_looks_up(cm_config *config, const char *table) { PUSH(&config->lookups, cm_text, cm_format("%s", table)); }
void cm_multiplies(cm_config *config) { config->multiplies = true; }

// --- Columns in

typedef struct {
  const column *columns;
  uint32_t count;
} batch;

static bool is_valid(const column *c, uint32_t index) {
  return !c->validity.is_there || ((uint8_t *)c->validity.value.at)[index / 8] >> index % 8 & 1;
}

static const column *column_in(const batch *in, const column *parent, cm_text name) {
  for (uint32_t i = 0; i < in->count; i++) {
    const column *c = &in->columns[i];
    if ((c->parent.is_there ? &in->columns[c->parent.at] : NULL) == parent && cm_equal(c->name, name)) return c;
  }
  return NULL;
}

// The column of a path, through records that are no lists; null where one of them is null.
static const column *column_at(const batch *in, const char *path, uint32_t index) {
  const char *rest = path;
  for (const column *c = NULL;;) {
    c = column_in(in, c, first_name(rest, &rest));
    if (c && !rest) return c;
    if (!c || c->offsets.is_there || c->values.tag != RECORDS)
      cm_fail("`%s` is not read: add `cm_reads(config, \"%s\", …)` to `configure`", path, path);
    if (!is_valid(c, index)) return NULL;
  }
}

static cm_text text_at(const text_column *texts, uint32_t index) {
  const uint32_t *offsets = texts->offsets.at;
  return (cm_text){(char *)texts->bytes.at + offsets[index], offsets[index + 1] - offsets[index]};
}

// A value that is not null and no record.
static cm_value scalar(const column *c, uint32_t index) {
  const void *at = c->values.fixed.at;
  switch (c->values.tag) {
  case BOOLEANS: return cm_boolean(((uint8_t *)at)[index]);
  case FLOAT64S: return cm_float64(((double *)at)[index]);
  case DECIMALS: {
    const uint64_t *words = (uint64_t *)at + 2 * index;
    return cm_decimal((__int128)((unsigned __int128)words[1] << 64 | words[0]));
  }
  case DATES: return cm_integer(((int32_t *)at)[index]);
  case TEXTS: case JSONS: case BLOBS: return cm_text_value(text_at(&c->values.texts, index));
  case DICTIONARY: return cm_text_value(text_at(&c->values.dictionary.values, ((uint32_t *)c->values.dictionary.indices.at)[index]));
  default: return cm_integer(((int64_t *)at)[index]);
  }
}

static cm_value value_at(const batch *in, const column *c, uint32_t index);

static cm_value element_at(const batch *in, const column *c, uint32_t index) {
  if (!is_valid(c, index)) return cm_null();
  if (c->values.tag != RECORDS) return scalar(c, index);
  cm_field *fields = cm_alloc(in->count * sizeof(cm_field));
  uint32_t length = 0;
  for (uint32_t i = 0; i < in->count; i++) {
    const column *field = &in->columns[i];
    if (field->parent.is_there && &in->columns[field->parent.at] == c)
      fields[length++] = (cm_field){field->name, value_at(in, field, index)};
  }
  return cm_record(fields, length);
}

static cm_value value_at(const batch *in, const column *c, uint32_t index) {
  if (!c->offsets.is_there) return element_at(in, c, index);
  const uint32_t *offsets = c->offsets.value.at;
  uint32_t length = offsets[index + 1] - offsets[index];
  cm_value *elements = cm_alloc(length * sizeof(cm_value) + 1);
  for (uint32_t i = 0; i < length; i++) elements[i] = element_at(in, c, offsets[index] + i);
  return cm_list(elements, length);
}

// --- Columns out

// A column in the making. What is not announced is a record that was given, of which fields are written.
typedef struct node {
  cm_text name;
  const char *path;
  uint8_t type;
  bool repeated, announced, kept;
  uint32_t count;                      // of values; of the lists, those in `offsets`
  buffer offsets, values, ends, validity;
  bool has_nulls;
  struct node *fields, *next;
} node;

static node *node_in(node **fields, cm_text name) {
  while (*fields && !cm_equal((*fields)->name, name)) fields = &(*fields)->next;
  if (!*fields) {
    *fields = memset(cm_alloc(sizeof(node)), 0, sizeof(node));
    (*fields)->name = name;
    (*fields)->type = CM_RECORD;
  }
  return *fields;
}

static uint8_t type_of(const column *c) {
  static const uint8_t types[] = {CM_BOOLEAN, CM_INT64, CM_FLOAT64, CM_DECIMAL, CM_DATE, CM_TIME, CM_DATETIME, CM_TIMESTAMP, CM_TEXT, CM_TEXT, CM_JSON, CM_BLOB, CM_RECORD};
  return types[c->values.tag];
}

// The columns of the batch, with those below them, that are written.
static node *nodes_of(const cm_config *config, const batch *in) {
  node *roots = NULL;
  const column_spec *writes = (column_spec *)config->writes.bytes;
  for (uint32_t i = 0; i < config->writes.length / sizeof(column_spec); i++) {
    const char *path = writes[i].path.bytes;
    const column *given = NULL;
    bool is_given = true;
    node *at = NULL;
    for (node **fields = &roots; path; fields = &at->fields) {
      at = node_in(fields, first_name(path, &path));
      given = is_given ? column_in(in, given, at->name) : NULL;
      is_given = given != NULL;
      if (path && !at->announced) {
        if (!given || given->values.tag != RECORDS) cm_fail("`%s` is written, but there is no record to write it to", writes[i].path.bytes);
        at->repeated = given->offsets.is_there;
      }
    }
    at->path = writes[i].path.bytes;
    at->type = writes[i].type;
    at->repeated = writes[i].repeated;
    at->announced = true;
    at->kept = given && type_of(given) == at->type && given->offsets.is_there == at->repeated;
  }
  return roots;
}

static void push_value(node *to, cm_value value, const char *root);

static void push_null(node *to, const char *root) {
  for (node *field = to->fields; field; field = field->next) push_value(field, cm_null(), root);
  if (to->type == CM_TEXT || to->type == CM_JSON || to->type == CM_BLOB) PUSH(&to->ends, uint32_t, to->values.length);
  else if (to->type == CM_BOOLEAN) PUSH(&to->values, uint8_t, 0);
  else if (to->type == CM_DATE) PUSH(&to->values, int32_t, 0);
  else if (to->type == CM_DECIMAL) PUSH(&to->values, __int128, 0);
  else if (to->type != CM_RECORD) PUSH(&to->values, int64_t, 0);
}

static void push_element(node *to, cm_value value, const char *root) {
  if (to->count % 8 == 0) PUSH(&to->validity, uint8_t, 0);
  uint32_t index = to->count++;
  if (value.kind == CM_IS_NULL) {
    to->has_nulls = true;
    push_null(to, root);
    return;
  }
  to->validity.bytes[index / 8] |= 1 << index % 8;
  static const uint8_t wanted[] = {CM_IS_BOOLEAN, CM_IS_INTEGER, CM_IS_FLOAT64, CM_IS_DECIMAL, CM_IS_INTEGER, CM_IS_INTEGER, CM_IS_INTEGER, CM_IS_INTEGER, CM_IS_TEXT, CM_IS_TEXT, CM_IS_TEXT, CM_IS_RECORD};
  if (value.kind != wanted[to->type]) cm_fail("`%s` is announced with another type than a value that it is set to", root);
  switch (to->type) {
  case CM_BOOLEAN: PUSH(&to->values, uint8_t, value.boolean); break;
  case CM_FLOAT64: PUSH(&to->values, double, value.float64); break;
  case CM_DECIMAL: PUSH(&to->values, __int128, value.decimal); break;
  case CM_DATE:
    if (value.integer != (int32_t)value.integer) cm_fail("`%s` is set to %lld, wanted days since 1970-01-01 of 32 bits", root, (long long)value.integer);
    PUSH(&to->values, int32_t, (int32_t)value.integer);
    break;
  case CM_TEXT: case CM_JSON: case CM_BLOB:
    memcpy(grow(&to->values, value.text.length), value.text.bytes, value.text.length);
    PUSH(&to->ends, uint32_t, to->values.length);
    break;
  case CM_RECORD:
    for (node *field = to->fields; field; field = field->next) {
      cm_value *of = field_at(value, field->name);
      push_value(field, of ? *of : cm_null(), root);
    }
    break;
  default: PUSH(&to->values, int64_t, value.integer);
  }
}

static void push_value(node *to, cm_value value, const char *root) {
  if (!to->repeated) {
    push_element(to, value, root);
    return;
  }
  if (value.kind != CM_IS_LIST && value.kind != CM_IS_NULL) cm_fail("`%s` is a list, and is set to another value", root);
  for (uint32_t i = 0; i < value.length; i++) push_element(to, value.elements[i], root);
  PUSH(&to->offsets, uint32_t, to->count);
}

// The lists begin at 0, and so do the texts.
static list from_zero(const buffer *ends) {
  uint32_t *offsets = cm_alloc(ends->length + 4);
  offsets[0] = 0;
  memcpy(offsets + 1, ends->bytes, ends->length);
  return (list){offsets, ends->length / 4 + 1};
}

static void finish(const node *fields, int64_t parent, buffer *columns) {
  static const uint8_t tags[] = {BOOLEANS, INT64S, FLOAT64S, DECIMALS, DATES, TIMES, DATETIMES, TIMESTAMPS, TEXTS, JSONS, BLOBS, RECORDS};
  static const uint8_t sizes[] = {1, 8, 8, 8, 4, 8, 8, 8};
  for (; fields; fields = fields->next) {
    column out = {.name = fields->name, .values = {.tag = tags[fields->type]}};
    if (parent >= 0) { out.parent.is_there = 1; out.parent.at = parent; }
    if (fields->repeated) out.offsets = (option_list){1, from_zero(&fields->offsets)};
    if (fields->type < CM_TEXT) out.values.fixed = (list){fields->values.bytes, fields->values.length / sizes[fields->type]};
    else if (fields->type < CM_RECORD) out.values.texts = (text_column){from_zero(&fields->ends), {fields->values.bytes, fields->values.length}};
    if (fields->has_nulls) out.validity = (option_list){1, {fields->validity.bytes, fields->validity.length}};
    int64_t at = columns->length / sizeof(column);
    PUSH(columns, column, out);
    finish(fields->fields, at, columns);
  }
}

// --- Rows

// A value that was set: where, to what, and by which line.
typedef struct { const char *path; cm_value value; place by; } set;

// What is set of a row in the making, and what becomes of it.
typedef struct {
  set *sets;
  uint32_t count;
  bool dropped, refused;
  rejection rejection;
} made;

struct cm_row {
  batch in;
  uint32_t index;
  int64_t ingest_time;
  const cm_config *config;
  made now;
  buffer emitted; // of made
};

cm_value cm_get(const cm_row *row, const char *path) {
  const column *c = column_at(&row->in, path, row->index);
  return c ? value_at(&row->in, c, row->index) : cm_null();
}
// The value in a column of single values of a kind.
static cm_value get(const cm_row *row, const char *path, cm_kind kind) {
  const column *c = column_at(&row->in, path, row->index);
  if (!c) return cm_null();
  bool single = !c->offsets.is_there && c->values.tag != RECORDS;
  if (single && !is_valid(c, row->index)) return cm_null();
  cm_value value = single ? scalar(c, row->index) : cm_null();
  if (value.kind != kind) cm_fail("`%s` has values of another type than it is read as", path);
  return value;
}
cm_text cm_get_text(const cm_row *row, const char *path) {
  cm_value value = get(row, path, CM_IS_TEXT);
  return value.kind == CM_IS_TEXT ? value.text : (cm_text){0};
}
bool cm_get_int64(const cm_row *row, const char *path, int64_t *to) {
  cm_value value = get(row, path, CM_IS_INTEGER);
  return value.kind == CM_IS_INTEGER && (*to = value.integer, true);
}
bool cm_get_float64(const cm_row *row, const char *path, double *to) {
  cm_value value = get(row, path, CM_IS_FLOAT64);
  return value.kind == CM_IS_FLOAT64 && (*to = value.float64, true);
}
bool cm_get_boolean(const cm_row *row, const char *path, bool *to) {
  cm_value value = get(row, path, CM_IS_BOOLEAN);
  return value.kind == CM_IS_BOOLEAN && (*to = value.boolean, true);
}
int64_t cm_ingest_time(const cm_row *row) { return row->ingest_time; }

// A value as it is now, whatever becomes of the memory that it lies in.
static cm_value copy(cm_value value) {
  if (value.kind == CM_IS_TEXT) value.text.bytes = memcpy(cm_alloc(value.text.length), value.text.bytes, value.text.length);
  if (value.kind == CM_IS_LIST) {
    value.elements = memcpy(cm_alloc(value.length * sizeof(cm_value)), value.elements, value.length * sizeof(cm_value));
    for (uint32_t i = 0; i < value.length; i++) value.elements[i] = copy(value.elements[i]);
  }
  if (value.kind == CM_IS_RECORD) {
    value.fields = memcpy(cm_alloc(value.length * sizeof(cm_field)), value.fields, value.length * sizeof(cm_field));
    for (uint32_t i = 0; i < value.length; i++) value.fields[i].value = copy(value.fields[i].value);
  }
  return value;
}

// Ends the call where a record that is set has a field that is not announced: it would be lost.
static void check_fields(const cm_config *config, const column_spec *of, cm_value value) {
  const column_spec *writes = (column_spec *)config->writes.bytes;
  uint32_t count = config->writes.length / sizeof(column_spec);
  if (of->type != CM_RECORD) return;
  if (value.kind == CM_IS_LIST)
    for (uint32_t i = 0; i < value.length; i++) check_fields(config, of, value.elements[i]);
  if (value.kind == CM_IS_RECORD)
    for (uint32_t i = 0; i < value.length; i++) {
      cm_text path = cm_format("%s.%.*s", of->path.bytes, (int)value.fields[i].name.length, value.fields[i].name.bytes);
      uint32_t at = 0;
      while (at < count && !cm_equal(writes[at].path, path)) at++;
      if (at == count) cm_fail("`%s` is set but not announced: add `cm_writes(config, \"%s\", …)` to `configure`", path.bytes, path.bytes);
      check_fields(config, &writes[at], value.fields[i].value);
    }
}

void cm_set(cm_row *row, const char *path, cm_value value) {
  value = copy(value);
  const column_spec *writes = (column_spec *)row->config->writes.bytes;
  uint32_t count = row->config->writes.length / sizeof(column_spec), at = 0;
  while (at < count && !cm_equal(writes[at].path, cm_str(path))) at++;
  if (at == count) cm_fail("`%s` is set but not announced: add `cm_writes(config, \"%s\", …)` to `configure`", path, path);
  check_fields(row->config, &writes[at], value);
  if (!row->now.sets) row->now.sets = cm_alloc(count * sizeof(set));
  for (uint32_t i = 0; i < row->now.count; i++)
    if (row->now.sets[i].path == writes[at].path.bytes) { row->now.sets[i] = (set){writes[at].path.bytes, value, place_now}; return; }
  row->now.sets[row->now.count++] = (set){writes[at].path.bytes, value, place_now};
}
void cm_set_text(cm_row *row, const char *path, cm_text text) { cm_set(row, path, cm_text_value(text)); }
void cm_reject(cm_row *row, const char *code, const char *column, const char *form, ...) {
  FORMAT(text, form);
  row->now.refused = true;
  row->now.rejection = (rejection){.code = cm_format("%s", code), .message = well_formed(text)};
  if (column) {
    row->now.rejection.column.is_there = 1;
    row->now.rejection.column.value = cm_format("%s", column);
  }
}
void cm_filter_out(cm_row *row) { row->now.dropped = true; }
void cm_emit(cm_row *row) {
  if (!row->config->multiplies) cm_fail("a row is emitted, but `configure` does not call `cm_multiplies`");
  PUSH(&row->emitted, made, row->now);
  row->now = (made){0};
}

// A value that was given, with one that is set in its place at the end of a path.
static cm_value overlay(cm_value given, const char *path, cm_value value, const char *whole) {
  if (!path) return value;
  if (given.kind == CM_IS_LIST) {
    if (value.kind != CM_IS_LIST || value.length != given.length) cm_fail("`%s` lies in a list: set a list with a value for each element", whole);
    for (uint32_t i = 0; i < given.length; i++) given.elements[i] = overlay(given.elements[i], path, value.elements[i], whole);
    return given;
  }
  if (given.kind == CM_IS_NULL) {
    if (value.kind != CM_IS_NULL) cm_fail("`%s` is set where its record is null", whole);
    return given;
  }
  cm_text name = first_name(path, &path);
  cm_value *field = field_at(given, name);
  if (field) {
    *field = overlay(*field, path, value, whole);
    return given;
  }
  cm_field *fields = cm_alloc((given.length + 1) * sizeof(cm_field));
  memcpy(fields, given.fields, given.length * sizeof(cm_field));
  fields[given.length] = (cm_field){name, value};
  return cm_record(fields, given.length + 1);
}

// Rejections and dropped rows, with texts that outlive the row.
typedef struct { node *roots; buffer came_from, rejections, dropped; uint32_t rows; } output;

static cm_text kept(cm_text text) { return (cm_text){memcpy(alloc_in(&call, text.length), text.bytes, text.length), text.length}; }

static void end_row(output *out, const cm_row *row, made *made) {
  for (node *root = out->roots; root; root = root->next) {
    const column *given = root->kept || !root->announced ? column_in(&row->in, NULL, root->name) : NULL;
    cm_value value = given ? value_at(&row->in, given, row->index) : cm_null();
    place_now.file = NULL;
    for (uint32_t i = 0; i < made->count; i++) {
      const char *rest;
      if (!cm_equal(first_name(made->sets[i].path, &rest), root->name)) continue;
      place_now = made->sets[i].by;
      value = overlay(value, rest, made->sets[i].value, made->sets[i].path);
    }
    push_value(root, value, root->announced ? root->path : root->name.bytes);
  }
  if (made->refused) {
    rejection *r = &made->rejection;
    r->row = out->rows;
    r->code = kept(r->code);
    r->message = kept(r->message);
    if (r->column.is_there) r->column.value = kept(r->column.value);
    PUSH(&out->rejections, rejection, *r);
  } else if (made->dropped) {
    PUSH(&out->dropped, uint32_t, out->rows);
  }
  PUSH(&out->came_from, uint32_t, row->index);
  out->rows++;
}

void cm_find(const char *table, const char *field, const cm_text *keys, uint32_t count, cm_text *found) {
  uint32_t *offsets = cm_alloc((count + 1) * sizeof(uint32_t));
  offsets[0] = 0;
  for (uint32_t i = 0; i < count; i++) offsets[i + 1] = offsets[i] + keys[i].length;
  char *bytes = cm_alloc(offsets[count] + 1);
  for (uint32_t i = 0; i < count; i++) memcpy(bytes + offsets[i], keys[i].bytes, keys[i].length);
  looked_up answer;
  host_find(table, strlen(table), field, strlen(field), offsets, count + 1, bytes, offsets[count], &answer);
  if (answer.is_error && answer.error.why == 0) cm_fail("no lookup table `%s`: name it under `lookups` in the pipeline file", table);
  if (answer.is_error && answer.error.why == 1) cm_fail("lookup table `%s` has no field `%s`", table, field);
  if (answer.is_error) cm_fail("malformed lookup keys: %.*s", (int)answer.error.what.length, (char *)answer.error.what.at);
  for (uint32_t i = 0; i < count; i++) {
    cm_value value = is_valid(&answer.found, i) ? scalar(&answer.found, i) : cm_null();
    found[i] = value.kind == CM_IS_TEXT ? value.text : (cm_text){0};
  }
}

// --- What the host calls. What it is answered lives until it says that it has taken it.

static union { manifest manifest; configured configured; answer answer; } answered;

EXPORT("describe") manifest *describe(void) {
  const cm_plugin *p = &clickmill_plugin;
  secret *secrets = cm_alloc(p->secret_count * sizeof(secret) + 1);
  for (uint32_t i = 0; i < p->secret_count; i++) secrets[i] = (secret){cm_str(p->secrets[i].name), p->secrets[i].min_bytes};
  answered.manifest = (manifest){cm_str(p->name), cm_str(p->version), cm_str(p->description), cm_str(p->config_schema), {secrets, p->secret_count}};
  return &answered.manifest;
}

EXPORT("configure") configured *configure(const char *text, uint32_t length, const column_spec *available, uint32_t count) {
  cm_config c = config_of(text, length, available, count);
  if (!clickmill_plugin.row) cm_problem(&c, "`clickmill_plugin` has no function: set `.row`");
  memset(&answered, 0, sizeof(answered));
  configured *to = &answered.configured;
  if (c.problems.length) {
    to->is_error = 1;
    to->problems = (list){c.problems.bytes, c.problems.length / sizeof(cm_text)};
    return to;
  }
  to->needs = (needs){
    {c.reads.bytes, c.reads.length / sizeof(column_spec)},
    {c.writes.bytes, c.writes.length / sizeof(column_spec)},
    {c.lookups.bytes, c.lookups.length / sizeof(cm_text)},
    c.multiplies,
  };
  return to;
}

EXPORT("process") answer *process(const char *text, uint32_t length, const uint8_t *prepared, uint32_t prepared_length,
    uint32_t rows, int64_t ingest_time, const column *columns, uint32_t count) {
  (void)prepared, (void)prepared_length;
  cm_config config = config_of(text, length, NULL, 0);
  memset(&answered, 0, sizeof(answered));
  if (config.problems.length) {
    // Only what the host has made up was looked at before, in place of secrets.
    answered.answer.is_error = 1;
    answered.answer.fault = joined((cm_text *)config.problems.bytes, config.problems.length / sizeof(cm_text));
    return &answered.answer;
  }
  place_now.file = NULL;
  cm_row row = {.in = {columns, count}, .ingest_time = ingest_time, .config = &config};
  output out = {.roots = nodes_of(&config, &row.in)};
  arena_now = &row_only;
  for (row.index = 0; row.index < rows; row.index++) {
    row.now = (made){0};
    row.emitted.length = 0;
    place_now.file = NULL;
    clickmill_plugin.row(&row);
    uint32_t emitted = row.emitted.length / sizeof(made);
    if (row.now.refused || emitted == 0) {
      end_row(&out, &row, &row.now);
    } else {
      if (row.now.count || row.now.dropped) cm_fail("a row is set or filtered out after the last one was emitted: call `cm_emit` behind it");
      for (uint32_t i = 0; i < emitted; i++) end_row(&out, &row, (made *)row.emitted.bytes + i);
    }
    clear(&row_only);
  }
  arena_now = &call;
  buffer made_columns = {0};
  finish(out.roots, -1, &made_columns);
  answer *to = &answered.answer;
  if (config.multiplies) to->came_from = (option_list){1, {out.came_from.bytes, out.came_from.length / 4}};
  to->columns = (list){made_columns.bytes, made_columns.length / sizeof(column)};
  to->rejections = (list){out.rejections.bytes, out.rejections.length / sizeof(rejection)};
  to->dropped = (list){out.dropped.bytes, out.dropped.length / 4};
  return to;
}

// What was answered is taken. An instance may be called again.
EXPORT("cabi_post_describe") void post_describe(void *taken) { (void)taken; clear(&call); }
EXPORT("cabi_post_configure") void post_configure(void *taken) { (void)taken; clear(&call); }
EXPORT("cabi_post_process") void post_process(void *taken) { (void)taken; clear(&call); }

// --- What the checks find that `clickmill plugin build` has compiled into the plugin. The compiler calls these by their
// names, and hands over first where the check stands.

#ifdef __wasm__
typedef struct { const char *file; uint32_t line, column; } checked;
#define CHECK(name, what, ...) \
  _Noreturn void __ubsan_handle_##name##_abort(const checked *at, __VA_ARGS__); \
  _Noreturn void __ubsan_handle_##name##_abort(const checked *at, __VA_ARGS__) { \
    cm_at(at->file, at->line); \
    cm_fail(what); \
  }
CHECK(divrem_overflow, "division by zero", uintptr_t a, uintptr_t b)
CHECK(out_of_bounds, "an array is accessed beyond its end", uintptr_t index)
CHECK(type_mismatch_v1, "a null pointer is followed", uintptr_t pointer)
#pragma clang attribute pop
#endif
