// Write clickmill plugins in C: a function over a row.
//
// A plugin is one file, `plugin.c`, that defines `clickmill_plugin`. The SDK walks the batch, keeps the contract
// with the host (`wit/plugin.wit`) and owns all memory: what it hands out lives until the row ends, what
// `cm_alloc` gives in `configure` until the call ends. A mistake in the plugin, such as a column that is set but
// not announced, ends the call with a message and its line; the host then finds the guilty row and refuses it.
#ifndef CLICKMILL_H
#define CLICKMILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Text or bytes, not ended by a zero: nothing for `str…`, but for `memcmp`, `cm_equal` and `%.*s`. A text that is not
// there has a null pointer; an empty one has not.
typedef struct {
  const char *bytes;
  uint32_t length;
} cm_text;

// The type of a column's values, in the contract's order.
typedef enum {
  CM_BOOLEAN,
  CM_INT64,
  CM_FLOAT64,
  CM_DECIMAL,   // an exact number times 1,000,000,000
  CM_DATE,      // days since 1970-01-01
  CM_TIME,      // microseconds since midnight
  CM_DATETIME,  // microseconds since 1970-01-01T00:00:00, in no zone
  CM_TIMESTAMP, // microseconds since 1970-01-01T00:00:00Z
  CM_TEXT,
  CM_JSON,      // a JSON value, as text
  CM_BLOB,
  CM_RECORD,
} cm_type;

// What a value is made of. Dates and times are integers.
typedef enum { CM_IS_NULL, CM_IS_BOOLEAN, CM_IS_INTEGER, CM_IS_FLOAT64, CM_IS_DECIMAL, CM_IS_TEXT, CM_IS_LIST, CM_IS_RECORD } cm_kind;

typedef struct cm_value cm_value;
typedef struct cm_field cm_field;

// A value of any type: of a column, of the configuration, or to be set.
struct cm_value {
  cm_kind kind;
  uint32_t length; // of a list: its elements; of a record: its fields
  union {
    bool boolean;
    int64_t integer;
    double float64;
    __int128 decimal;
    cm_text text;
    cm_value *elements;
    cm_field *fields;
  };
};

// A field of a record.
struct cm_field {
  cm_text name;
  cm_value value;
};

// --- Values

cm_text cm_str(const char *zero_ended);
bool cm_equal(cm_text a, cm_text b);
cm_value cm_null(void);
cm_value cm_boolean(bool);
cm_value cm_integer(int64_t); // also of dates and times
cm_value cm_float64(double);
cm_value cm_decimal(__int128 billionths);
// A sum, and an exact number taken so many times; false where they have more than 38 digits.
bool cm_decimal_plus(__int128 a, __int128 b, __int128 *sum);
bool cm_decimal_times(__int128 number, int64_t times, __int128 *product);
cm_value cm_text_value(cm_text); // null where the text is not there
cm_value cm_list(cm_value *elements, uint32_t length);
cm_value cm_record(cm_field *fields, uint32_t length);
// The field of a record, or of a record in a record by path; null where there is none.
cm_value cm_field_of(cm_value record, const char *path);

// Memory that is given back by itself. Never null: where there is none, the call ends.
void *cm_alloc(size_t bytes);
// Text as `printf` writes it.
cm_text cm_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

// --- Configuration

typedef struct cm_config cm_config;

// What is set for a key, by path: `limits.words`. A value of another type than the function's is a problem, which is told
// with the others; then, as where nothing is set, the text, list or record is not there, and `to` stays as it is.
// A secret is a text, as a field of its name.
cm_text cm_config_text(cm_config *, const char *path);
bool cm_config_int64(cm_config *, const char *path, int64_t *to);
bool cm_config_float64(cm_config *, const char *path, double *to); // an integer too
bool cm_config_boolean(cm_config *, const char *path, bool *to);
// A list or a record, with any names, whose values are all `of` one kind. Of `CM_IS_FLOAT64` integers are too.
cm_value cm_config_list(cm_config *, const char *path, cm_kind of);
cm_value cm_config_record(cm_config *, const char *path, cm_kind of);
// Says that a key has to be set.
void cm_config_requires(cm_config *, const char *path);
// Says that there are no other keys than those that were asked for by the functions above: a misspelt one is a problem.
void cm_config_no_others(cm_config *);
// The configuration as the pipeline file has it, a record, with the secrets filled in as texts: for what has no fixed
// type. Look at the `kind` of each value before you read it.
cm_value cm_config_value(const cm_config *);
// Says what is wrong with it; several are told at once. The text is as `printf` writes it.
void cm_problem(cm_config *, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Whether the granted columns have one of that path and type.
bool cm_available(const cm_config *, const char *path, cm_type type);
// What the plugin reads and writes, by path: `user.email`. Of a record that is read, all below it is. Where a
// record is written, its fields are written behind it.
void cm_reads(cm_config *, const char *path, cm_type);
void cm_reads_list(cm_config *, const char *path, cm_type);
void cm_writes(cm_config *, const char *path, cm_type);
void cm_writes_list(cm_config *, const char *path, cm_type);
// A lookup table that it asks.
void cm_looks_up(cm_config *, const char *table);
// Says that a row may become several: see `cm_emit`.
void cm_multiplies(cm_config *);

// --- Rows

typedef struct cm_row cm_row;

// The row's value in a column. Null, or not there, where it is null. To ask for one that `configure` does not announce,
// or as another type than it has, is a mistake of the plugin: it ends the call.
cm_text cm_get_text(const cm_row *, const char *path); // of text, JSON and blobs
bool cm_get_int64(const cm_row *, const char *path, int64_t *to); // also of dates and times
bool cm_get_float64(const cm_row *, const char *path, double *to);
bool cm_get_boolean(const cm_row *, const char *path, bool *to);
cm_value cm_get(const cm_row *, const char *path); // of any type: lists and records too
// When the host took the row in, in microseconds since 1970-01-01T00:00:00Z: the plugin's "now".
int64_t cm_ingest_time(const cm_row *);

// Sets a column that was announced. One that is not set keeps what was read of it, or is null. A field that is
// announced without its record is set by path; where that leads through a list, with a list that has a value
// for each element. What it is set to is copied. A record has no other fields than were announced, and the days of a date
// have 32 bits: else it ends the call.
void cm_set(cm_row *, const char *path, cm_value);
void cm_set_text(cm_row *, const char *path, cm_text); // null where the text is not there

// Refuses the row: it goes to the dead-letter table. `code` is a stable word for counting (`a-z`, `0-9`, `_`),
// `column` the path of the one at fault, or null.
void cm_reject(cm_row *, const char *code, const char *column, const char *format, ...) __attribute__((format(printf, 4, 5)));
// Filters the row out: counted, not dead-lettered.
void cm_filter_out(cm_row *);
// Ends a row of those that become of this one, with what is set, refused or filtered out. Where the function
// refuses the row behind it, those that were emitted are forgotten.
void cm_emit(cm_row *);

// --- Host

void cm_log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cm_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cm_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cm_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Counts values of a column, written by this plugin, that could not be read and are null instead.
void cm_unreadable(const char *column, uint32_t values);
// Field `field` of a lookup table's rows for these keys: into `found`, which has as many places; a text is not
// there where the table has no such key. Ends the call where the table was not granted or has no such field.
void cm_find(const char *table, const char *field, const cm_text *keys, uint32_t count, cm_text *found);
// Ends the call, with a message and the line.
_Noreturn void cm_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// --- The plugin

// A secret that the plugin wants, as a field of the configuration.
typedef struct {
  const char *name;
  uint32_t min_bytes;
} cm_secret;

typedef struct {
  const char *name, *version, *description;
  const char *config_schema; // JSON Schema
  const cm_secret *secrets;
  uint32_t secret_count;
  // Checks the configuration, says what is read and written, and keeps what `row` wants to know of it. It is
  // called before the rows of each batch too.
  void (*configure)(cm_config *);
  // Transforms one row.
  void (*row)(cm_row *);
} cm_plugin;

// Defined by the plugin.
extern const cm_plugin clickmill_plugin;

// --- Where in the plugin's source a mistake is

void cm_at(const char *file, int line);
#ifndef CLICKMILL_SDK
#define cm_get(row, path) (cm_at(__FILE__, __LINE__), cm_get(row, path))
#define cm_get_text(row, path) (cm_at(__FILE__, __LINE__), cm_get_text(row, path))
#define cm_get_int64(row, path, to) (cm_at(__FILE__, __LINE__), cm_get_int64(row, path, to))
#define cm_get_float64(row, path, to) (cm_at(__FILE__, __LINE__), cm_get_float64(row, path, to))
#define cm_get_boolean(row, path, to) (cm_at(__FILE__, __LINE__), cm_get_boolean(row, path, to))
#define cm_set(row, path, ...) (cm_at(__FILE__, __LINE__), cm_set(row, path, __VA_ARGS__))
#define cm_set_text(row, path, ...) (cm_at(__FILE__, __LINE__), cm_set_text(row, path, __VA_ARGS__))
#define cm_emit(row) (cm_at(__FILE__, __LINE__), cm_emit(row))
#define cm_find(...) (cm_at(__FILE__, __LINE__), cm_find(__VA_ARGS__))
#define cm_fail(...) (cm_at(__FILE__, __LINE__), cm_fail(__VA_ARGS__))
#endif

#endif
