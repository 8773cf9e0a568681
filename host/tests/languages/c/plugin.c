// What the SDK can, in one plugin: the same in each language, with the same golden cases.
#include "sdk/clickmill.h"

#include <ctype.h>
#include <string.h>

static const char CONFIG_SCHEMA[] =
    "{\"type\": \"object\", \"properties\": {"
    "\"most\": {\"type\": \"integer\", \"description\": \"How many items are believed.\"},"
    "\"key\": {\"type\": \"string\", \"description\": \"A secret.\"}}}";

static int64_t most;
static cm_text key;

static void configure(cm_config *config) {
  most = cm_field_of(cm_config_value(config), "most").integer;
  cm_value secret = cm_field_of(cm_config_value(config), "key");
  key = secret.kind == CM_IS_TEXT ? secret.text : cm_str("");
  cm_reads(config, "what", CM_TEXT);
  cm_reads(config, "country", CM_TEXT);
  cm_reads(config, "number", CM_INT64);
  cm_reads(config, "day", CM_DATE);
  cm_reads(config, "flag", CM_BOOLEAN);
  cm_reads(config, "ratio", CM_FLOAT64);
  cm_reads(config, "clock", CM_TIME);
  cm_reads(config, "local", CM_DATETIME);
  cm_reads(config, "instant", CM_TIMESTAMP);
  cm_reads(config, "document", CM_JSON);
  cm_reads(config, "blob", CM_BLOB);
  cm_reads(config, "user", CM_RECORD);
  cm_reads_list(config, "items", CM_RECORD);
  cm_writes(config, "country", CM_TEXT);
  cm_writes(config, "number", CM_INT64);
  cm_writes(config, "day", CM_DATE);
  cm_writes(config, "flag", CM_BOOLEAN);
  cm_writes(config, "ratio", CM_FLOAT64);
  cm_writes(config, "clock", CM_TIME);
  cm_writes(config, "local", CM_DATETIME);
  cm_writes(config, "instant", CM_TIMESTAMP);
  cm_writes(config, "document", CM_JSON);
  cm_writes(config, "blob", CM_BLOB);
  cm_writes(config, "seen", CM_TIMESTAMP);
  cm_writes(config, "user.email", CM_TEXT);
  cm_writes(config, "items.total", CM_DECIMAL);
  cm_writes(config, "total", CM_DECIMAL);
  cm_writes_list(config, "words", CM_TEXT);
  cm_looks_up(config, "countries");
  cm_multiplies(config);
}

static cm_text lower(cm_text text) {
  char *to = cm_alloc(text.length);
  for (uint32_t i = 0; i < text.length; i++) to[i] = tolower((unsigned char)text.bytes[i]);
  return (cm_text){to, text.length};
}

static cm_value words_of(cm_text text) {
  cm_value *words = cm_alloc((text.length + 1) * sizeof(cm_value));
  uint32_t count = 0;
  for (uint32_t at = 0; at < text.length;) {
    uint32_t begin = at;
    while (at < text.length && text.bytes[at] != ' ') at++;
    if (at > begin) words[count++] = cm_text_value((cm_text){text.bytes + begin, at - begin});
    at++;
  }
  return cm_list(words, count);
}

static void row(cm_row *row) {
  cm_text what = cm_get_text(row, "what");
  int64_t number = 0;
  if (cm_equal(what, cm_str("fail"))) {
    cm_reject(row, "exception", NULL, "as asked");
    return;
  }
  if (cm_equal(what, cm_str("drop"))) {
    cm_filter_out(row);
    return;
  }
  if (cm_equal(what, cm_str("now"))) cm_set(row, "seen", cm_integer(cm_ingest_time(row)));
  if (cm_equal(what, cm_str("next"))) {
    if (!cm_get_int64(row, "number", &number)) {
      cm_reject(row, "required", "number", "`number` is missing");
      return;
    }
    if (number == INT64_MAX) {
      cm_reject(row, "exception", NULL, "%lld is the last of its kind", (long long)number);
      return;
    }
    cm_set(row, "number", cm_integer(number + 1));
  }
  if (cm_equal(what, cm_str("secret"))) cm_set(row, "number", cm_integer(key.length));
  if (cm_equal(what, cm_str("twice"))) {
    cm_value words[] = {cm_text_value(cm_str("first")), cm_text_value(cm_str("second"))};
    cm_get_int64(row, "number", &number);
    cm_set(row, "words", cm_list(&words[0], 1));
    cm_emit(row);
    cm_set(row, "number", cm_integer(number + 1));
    cm_set(row, "words", cm_list(&words[1], 1));
    cm_emit(row);
    return;
  }
  if (cm_equal(what, cm_str("many"))) {
    for (int i = 0; i < 1001; i++) {
      cm_set(row, "number", cm_integer(i));
      cm_emit(row);
    }
    return;
  }
  if (cm_equal(what, cm_str("wide"))) {
    cm_text wide = {memset(cm_alloc(1500000), 'x', 1500000), 1500000};
    cm_value word = cm_text_value(wide);
    cm_set(row, "words", cm_list(&word, 1));
  }
  if (what.length >= 5 && memcmp(what.bytes, "words", 5) == 0) cm_set(row, "words", words_of(what));
  cm_text country = cm_get_text(row, "country");
  if (country.bytes) {
    cm_text found;
    cm_find("countries", "name", &country, 1, &found);
    cm_set_text(row, "country", found);
  }
  if (cm_get_int64(row, "day", &number)) cm_set(row, "day", cm_integer(number + 1));
  bool flag;
  if (cm_get_boolean(row, "flag", &flag)) cm_set(row, "flag", cm_boolean(!flag));
  double ratio;
  if (cm_get_float64(row, "ratio", &ratio)) cm_set(row, "ratio", cm_float64(ratio * 2));
  static const char *const times[] = {"clock", "local", "instant"};
  for (int i = 0; i < 3; i++) {
    if (cm_get_int64(row, times[i], &number)) cm_set(row, times[i], cm_integer(number + 1));
  }
  cm_text document = cm_get_text(row, "document");
  if (document.bytes) cm_set_text(row, "document", cm_format("[%.*s]", (int)document.length, document.bytes));
  cm_text blob = cm_get_text(row, "blob");
  if (blob.bytes) {
    char *turned = cm_alloc(blob.length);
    for (uint32_t i = 0; i < blob.length; i++) turned[i] = blob.bytes[blob.length - 1 - i];
    cm_set_text(row, "blob", (cm_text){turned, blob.length});
  }
  cm_text email = cm_get_text(row, "user.email");
  if (email.bytes) cm_set_text(row, "user.email", lower(email));
  cm_value items = cm_get(row, "items");
  if (items.length > most) {
    cm_reject(row, "too_many", "items", "has %u items, wanted %lld at most", items.length, (long long)most);
    return;
  }
  __int128 sum = 0;
  cm_value *totals = cm_alloc((items.length + 1) * sizeof(cm_value));
  for (uint32_t i = 0; i < items.length; i++) {
    cm_value price = cm_field_of(items.elements[i], "price");
    if (price.kind != CM_IS_DECIMAL) {
      cm_text path = cm_format("items[%u].price", i);
      cm_reject(row, "required", path.bytes, "`%s` is missing", path.bytes);
      return;
    }
    __int128 total;
    int64_t quantity = cm_field_of(items.elements[i], "quantity").integer;
    if (!cm_decimal_times(price.decimal, quantity, &total) || !cm_decimal_plus(sum, total, &sum)) {
      cm_reject(row, "exception", NULL, "more than 38 digits");
      return;
    }
    totals[i] = cm_decimal(total);
  }
  cm_set(row, "items.total", cm_list(totals, items.length));
  cm_set(row, "total", cm_decimal(sum));
}

static const cm_secret SECRETS[] = {{"key", 20}};

const cm_plugin clickmill_plugin = {
    .name = "orders",
    .version = "1.2.3",
    .description = "What the SDK can",
    .config_schema = CONFIG_SCHEMA,
    .secrets = SECRETS,
    .secret_count = 1,
    .configure = configure,
    .row = row,
};
