-- What people are told most often of rejected records.
-- Grain: a message, at most 20. A record counts once, as it was refused last.
-- Reads what view dead_letters does: the whole table, which keeps ninety days.
SELECT
  errorMessage AS message,
  COUNT(*) AS records,
  COUNT(DISTINCT source) AS sources,
  MAX(timestamp) AS newest
FROM clickstream_analytics.dead_letters
GROUP BY errorMessage
ORDER BY records DESC, message
LIMIT 20
