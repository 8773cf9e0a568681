// Unit tests, which run natively: `sh tests/unit`.
#include "../plugin.c"
#include "../sdk/testing/testing.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char CONFIG[] = "{\"max_chars\": 12, \"spellings\": {\"fb\": \"facebook\"}}";

// Runs the plugin over one row, in which the last column has this value and those before it have none.
static cm_outcome run(const char *value) {
  cm_text rows = cm_format("[{\"%s\": \"%s\"}]", READS[READS_COUNT - 1], value);
  return cm_test(CONFIG, rows.bytes).of[0];
}

static void values_are_in_one_spelling(void) {
  static const char *const cases[][2] = {
      {"  News \t Letter ", "news letter"},
      {"FB", "facebook"},
      {"", NULL},
      {"   ", NULL},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    cm_value got = cm_field_of(run(cases[i][0]).row, WRITES);
    const char *wanted = cases[i][1];
    if (wanted) assert(got.kind == CM_IS_TEXT && cm_equal(got.text, cm_str(wanted)));
    else assert(got.kind == CM_IS_NULL);
  }
}

static void what_is_too_long_is_refused(void) {
  assert(!run("aaaaaaaaaaaa").code);
  cm_outcome refused = run("aaaaaaaaaaaaa");
  assert(refused.code && !strcmp(refused.code, "too_long"));
  assert(!strcmp(refused.column, READS[READS_COUNT - 1]));
}

static void a_configuration_is_checked_whole(void) {
  assert(!cm_test_problems(CONFIG));
  const char *problems = cm_test_problems("{\"max_chars\": 0, \"spellings\": {\"FB\": \"facebook\"}}");
  assert(problems && strstr(problems, "`max_chars`") && strstr(problems, "`spellings`"));
}

static void a_configuration_of_other_types_is_refused(void) {
  static const char *const cases[][2] = {
      {"{\"max_char\": 5}", "unknown field `max_char`, expected one of: `max_chars`, `spellings`"},
      {"{\"max_chars\": \"5\"}", "`max_chars` is \"5\", wanted an integer"},
      {"{\"max_chars\": 1.5}", "`max_chars` is 1.5, wanted an integer"},
      {"{\"max_chars\": -5}", "`max_chars` is -5, wanted at least 1"},
      {"{\"spellings\": [\"a\"]}", "`spellings` is [\"a\"], wanted a table"},
      {"{\"spellings\": {\"fb\": 3}}", "`spellings.fb` is 3, wanted a text"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const char *problems = cm_test_problems(cases[i][0]);
    assert(problems && !strcmp(problems, cases[i][1]));
  }
}

int main(void) {
  values_are_in_one_spelling();
  what_is_too_long_is_refused();
  a_configuration_is_checked_whole();
  a_configuration_of_other_types_is_refused();
  puts("4 tests pass");
  return 0;
}
