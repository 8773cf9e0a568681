-- Who refuses records, and how many of those are not resolved yet.
-- Grain: a stage. A record counts once, as it was refused last.
-- Reads what view dead_letters does: the whole table, which keeps ninety days.
SELECT
  stage,
  COUNT(*) AS records,
  COUNTIF(resolved_at IS NULL) AS unresolved,
  MIN(timestamp) AS oldest,
  MAX(timestamp) AS newest
FROM clickstream_analytics.dead_letters
GROUP BY stage
ORDER BY records DESC, stage
