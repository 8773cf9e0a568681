-- Why records are rejected, and how many of those are not resolved yet.
-- Grain: a code and the column at fault. A record counts once, as it was refused last.
-- Reads what view dead_letters does: the whole table, which keeps ninety days.
SELECT
  code,
  `column`,
  COUNT(*) AS records,
  ROUND(100.0 * COUNT(*) / SUM(COUNT(*)) OVER (), 2) AS percent_of_records,
  COUNTIF(resolved_at IS NULL) AS unresolved
FROM clickstream_analytics.dead_letters
GROUP BY code, `column`
ORDER BY records DESC, code, `column`
