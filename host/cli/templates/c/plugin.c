// The first of some columns that says something, in one spelling.
//
// White space at both ends is taken away, within it becomes one blank, and letters (of ASCII) become small ones. A
// value that is too long to be believed refuses its row. A row in which no column says anything gets a null.
#include "sdk/clickmill.h"

#include <ctype.h>

// The columns that a value is looked for in, one after the other.
static const char *const READS[] = {{{reads}}};
#define READS_COUNT (sizeof(READS) / sizeof(READS[0]))
// The column that it is written to.
static const char WRITES[] = "{{writes}}";

// The configuration, as a pipeline file has it. `clickmill plugin inspect` prints this.
static const char CONFIG_SCHEMA[] =
    "{"
    "  \"type\": \"object\","
    "  \"additionalProperties\": false,"
    "  \"properties\": {"
    "    \"max_chars\": {"
    "      \"description\": \"The longest value that is believed, in characters. A row with a longer one is refused.\","
    "      \"type\": \"integer\", \"minimum\": 1, \"default\": 100"
    "    },"
    "    \"spellings\": {"
    "      \"description\": \"Values in small letters, each with the one that is written in its place.\","
    "      \"type\": \"object\", \"additionalProperties\": {\"type\": \"string\"}, \"default\": {}"
    "    }"
    "  }"
    "}";

static int64_t max_chars;
static cm_value spellings;

static cm_text in_one_spelling(cm_text value) {
  char *words = cm_alloc(value.length);
  uint32_t length = 0;
  bool blank = false;
  for (uint32_t i = 0; i < value.length; i++) {
    unsigned char c = value.bytes[i];
    if (isspace(c)) {
      blank = length > 0;
      continue;
    }
    if (blank) words[length++] = ' ';
    blank = false;
    words[length++] = tolower(c);
  }
  return (cm_text){words, length};
}

// How many characters a text has: bytes that go on with one do not count.
static int64_t chars(cm_text value) {
  int64_t count = 0;
  for (uint32_t i = 0; i < value.length; i++) count += (value.bytes[i] & 0xc0) != 0x80;
  return count;
}

// Looks at the configuration, before any row. What is wrong with it is told all at once.
static void configure(cm_config *config) {
  max_chars = 100;
  cm_config_int64(config, "max_chars", &max_chars);
  if (max_chars < 1) cm_problem(config, "`max_chars` is %lld, wanted at least 1", (long long)max_chars);
  spellings = cm_config_record(config, "spellings", CM_IS_TEXT);
  cm_config_no_others(config);
  for (uint32_t i = 0; i < spellings.length; i++) {
    cm_text spelling = spellings.fields[i].name;
    if (!cm_equal(spelling, in_one_spelling(spelling)))
      cm_problem(config, "`spellings` has `%.*s`, which no value is", (int)spelling.length, spelling.bytes);
  }
  // The columns, with their types. The pipeline file grants no others.
  for (uint32_t i = 0; i < READS_COUNT; i++) cm_reads(config, READS[i], CM_TEXT);
  cm_writes(config, WRITES, CM_TEXT);
}

// Transforms one row, or refuses it: then it is a dead letter, and the others go on.
static void row(cm_row *row) {
  for (uint32_t i = 0; i < READS_COUNT; i++) {
    cm_text value = in_one_spelling(cm_get_text(row, READS[i]));
    int64_t length = chars(value);
    if (length > max_chars) {
      cm_reject(row, "too_long", READS[i], "has %lld characters, wanted %lld at most", (long long)length, (long long)max_chars);
      return;
    }
    if (value.length == 0) continue;
    for (uint32_t s = 0; s < spellings.length; s++) {
      if (cm_equal(spellings.fields[s].name, value)) {
        value = spellings.fields[s].value.text;
        break;
      }
    }
    cm_set_text(row, WRITES, value);
    return;
  }
  cm_set(row, WRITES, cm_null());
}

const cm_plugin clickmill_plugin = {
    .name = "{{name}}",
    .version = "0.1.0",
    .description = "The first of some columns that says something, in one spelling",
    .config_schema = CONFIG_SCHEMA,
    .configure = configure,
    .row = row,
};
