// The host's part in tests. What is handed out here lives as long as the test.
#include "../clickmill.c"
#include "testing.h"

static cm_value tables;

void host_log(uint32_t level, const char *text, uint32_t bytes) {
  static const char *const words[] = {"debug", "info", "warn", "error"};
  fprintf(stderr, "%s: %.*s\n", words[level], (int)bytes, text);
}

void host_unreadable(const char *column, uint32_t bytes, uint32_t values) {
  fprintf(stderr, "unreadable: %u of %.*s\n", (unsigned)values, (int)bytes, column);
}

void host_find(const char *table, uint32_t table_bytes, const char *field, uint32_t field_bytes,
    const uint32_t *offsets, uint32_t offset_count, const char *bytes, uint32_t byte_count, looked_up *to) {
  (void)byte_count;
  memset(to, 0, sizeof(*to));
  cm_value *rows = field_at(tables, (cm_text){table, table_bytes});
  if (!rows) {
    to->is_error = 1;
    return;
  }
  node found = {.name = {field, field_bytes}, .type = CM_TEXT};
  for (uint32_t i = 0; i + 1 < offset_count; i++) {
    cm_value *row = field_at(*rows, (cm_text){bytes + offsets[i], offsets[i + 1] - offsets[i]});
    cm_value *value = row ? field_at(*row, found.name) : NULL;
    push_value(&found, value ? *value : cm_null(), "a field of a lookup table");
  }
  buffer columns = {0};
  finish(&found, -1, &columns);
  to->found = *(column *)columns.bytes;
}

static cm_value parsed(const char *text) {
  json in = {text, text + strlen(text)};
  return json_value(&in);
}

void cm_test_tables(const char *text) { tables = parsed(text); }

const char *cm_test_problems(const char *config) {
  configured *answer = configure(config, strlen(config), NULL, 0);
  if (!answer->is_error) return NULL;
  return joined(answer->problems.at, answer->problems.length).bytes;
}

// The columns that are read, without what they hold.
static node *read_by(const cm_config *config) {
  node *roots = NULL;
  const column_spec *reads = (column_spec *)config->reads.bytes;
  for (uint32_t i = 0; i < config->reads.length / sizeof(column_spec); i++) {
    node **fields = &roots, *at = NULL;
    for (const char *path = reads[i].path.bytes; path; fields = &at->fields) at = node_in(fields, first_name(path, &path));
    at->type = reads[i].type;
    at->repeated = reads[i].repeated;
    at->announced = true;
  }
  return roots;
}

static node *node_at(node *fields, cm_text name) {
  while (fields && !cm_equal(fields->name, name)) fields = fields->next;
  return fields;
}

// What is not announced is told by its values: whether a record on the way is a list, and, within a record that is
// read whole, which fields there are.
static void infer(node *of, cm_value value, bool whole) {
  static const uint8_t types[] = {[CM_IS_BOOLEAN] = CM_BOOLEAN, [CM_IS_INTEGER] = CM_INT64, [CM_IS_FLOAT64] = CM_FLOAT64, [CM_IS_TEXT] = CM_TEXT};
  if (value.kind == CM_IS_LIST) {
    if (!of->announced) of->repeated = true;
    for (uint32_t i = 0; i < value.length; i++) infer(of, value.elements[i], whole);
  } else if (value.kind == CM_IS_RECORD) {
    for (uint32_t i = 0; i < value.length; i++) {
      cm_text name = value.fields[i].name;
      node *field = whole ? node_in(&of->fields, name) : node_at(of->fields, name);
      if (field) infer(field, value.fields[i].value, whole || (field->announced && field->type == CM_RECORD));
    }
  } else if (value.kind != CM_IS_NULL && whole && !of->announced) {
    if (value.kind != CM_IS_INTEGER || of->type != CM_FLOAT64) of->type = types[value.kind];
  }
}

// A value of JSON as one of the column's type.
static cm_value typed(const node *to, cm_value value) {
  if (value.kind == CM_IS_LIST)
    for (uint32_t i = 0; i < value.length; i++) value.elements[i] = typed(to, value.elements[i]);
  if (value.kind == CM_IS_RECORD)
    for (uint32_t i = 0; i < value.length; i++) {
      const node *field = node_at(to->fields, value.fields[i].name);
      if (field) value.fields[i].value = typed(field, value.fields[i].value);
    }
  if (value.kind == CM_IS_INTEGER && to->type == CM_FLOAT64) return cm_float64((double)value.integer);
  if (value.kind == CM_IS_INTEGER && to->type == CM_DECIMAL) return cm_decimal((__int128)value.integer * 1000000000);
  if (value.kind == CM_IS_FLOAT64 && to->type == CM_DECIMAL) return cm_decimal((__int128)(value.float64 * 1e9 + (value.float64 < 0 ? -0.5 : 0.5)));
  return value;
}

// Where no text has any bytes, they lie somewhere all the same: an empty text is no null.
static void place_texts(column *columns, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    uint8_t tag = columns[i].values.tag;
    bool is_text = tag == TEXTS || tag == JSONS || tag == BLOBS;
    if (is_text && !columns[i].values.texts.bytes.at) columns[i].values.texts.bytes.at = "";
  }
}

static const char *zero_ended(cm_text text) { return cm_format("%.*s", (int)text.length, text.bytes).bytes; }

cm_outcomes cm_test(const char *config, const char *text) {
  const char *problems = cm_test_problems(config);
  if (problems) cm_fail("the configuration is refused: %s", problems);
  cm_value rows = parsed(text);
  if (rows.kind != CM_IS_LIST) cm_fail("rows are a list of records");
  cm_config needs = config_of(config, strlen(config), NULL, 0);
  node *given = read_by(&needs);
  for (node *root = given; root; root = root->next) {
    for (uint32_t i = 0; i < rows.length; i++)
      infer(root, cm_field_of(rows.elements[i], zero_ended(root->name)), root->announced && root->type == CM_RECORD);
    for (uint32_t i = 0; i < rows.length; i++)
      push_value(root, typed(root, cm_field_of(rows.elements[i], zero_ended(root->name))), zero_ended(root->name));
  }
  buffer columns = {0};
  finish(given, -1, &columns);
  uint32_t count = columns.length / sizeof(column);
  place_texts((column *)columns.bytes, count);
  answer *made = process(config, strlen(config), NULL, 0, rows.length, 0, (column *)columns.bytes, count);
  place_texts(made->columns.at, made->columns.length);

  batch out = {made->columns.at, made->columns.length};
  cm_outcomes outcomes = {.count = made->came_from.is_there ? made->came_from.value.length : rows.length};
  outcomes.of = memset(cm_alloc(outcomes.count * sizeof(cm_outcome)), 0, outcomes.count * sizeof(cm_outcome));
  for (uint32_t i = 0; i < outcomes.count; i++) {
    cm_field *fields = cm_alloc(out.count * sizeof(cm_field));
    uint32_t length = 0;
    for (uint32_t c = 0; c < out.count; c++)
      if (!out.columns[c].parent.is_there) fields[length++] = (cm_field){out.columns[c].name, value_at(&out, &out.columns[c], i)};
    outcomes.of[i].row = cm_record(fields, length);
  }
  const rejection *rejections = made->rejections.at;
  for (uint32_t i = 0; i < made->rejections.length; i++) {
    cm_outcome *refused = &outcomes.of[rejections[i].row];
    refused->code = zero_ended(rejections[i].code);
    refused->message = zero_ended(rejections[i].message);
    if (rejections[i].column.is_there) refused->column = zero_ended(rejections[i].column.value);
  }
  const uint32_t *dropped = made->dropped.at;
  for (uint32_t i = 0; i < made->dropped.length; i++) outcomes.of[dropped[i]].dropped = true;
  return outcomes;
}
