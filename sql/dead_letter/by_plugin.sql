-- Which version of a plugin refuses records: whether a new one began to. Table plugin_sets says which
-- version a digest is.
-- Grain: a stage and plugin digest, which is null where no plugin refused. A record counts once, as it was
-- refused last.
-- Reads what view dead_letters does: the whole table, which keeps ninety days.
SELECT
  stage,
  plugin_digest,
  COUNT(*) AS records,
  COUNT(DISTINCT code) AS codes,
  MIN(timestamp) AS oldest,
  MAX(timestamp) AS newest
FROM clickstream_analytics.dead_letters
GROUP BY stage, plugin_digest
ORDER BY records DESC, stage, plugin_digest
