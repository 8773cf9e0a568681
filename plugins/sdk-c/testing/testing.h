// Test clickmill plugins natively, with the host's part played here: compile `testing.c` with the test.
#ifndef CLICKMILL_TESTING_H
#define CLICKMILL_TESTING_H

#include "../clickmill.h"

// What became of a row.
typedef struct {
  cm_value row; // the columns that were written, a record
  bool dropped;
  const char *code, *message, *column; // why it is refused; null where it is not
} cm_outcome;

typedef struct {
  cm_outcome *of;
  uint32_t count; // that of the rows, unless the plugin makes several of one
} cm_outcomes;

// Runs the plugin over rows, in a batch of them. The configuration and the rows, a list of records by column, are in
// JSON, which nobody checks: secrets are fields of the configuration; dates and times are integers. A column that a
// row lacks is null, and one that the plugin does not read is left out. The row came in at 1970-01-01T00:00:00Z.
cm_outcomes cm_test(const char *config, const char *rows);

// What is wrong with a configuration, with `; ` between several problems. Null where nothing is.
const char *cm_test_problems(const char *config);

// The lookup tables from now on, in JSON: by name, by key, by field.
void cm_test_tables(const char *tables);

#endif
