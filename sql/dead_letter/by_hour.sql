-- When records are rejected: a burst has a cause, and its codes say which.
-- Grain: an hour and code. A record counts once, as it was refused last.
-- Reads what view dead_letters does: the whole table, which keeps ninety days.
SELECT
  TIMESTAMP_TRUNC(timestamp, HOUR) AS hour,
  code,
  COUNT(*) AS records
FROM clickstream_analytics.dead_letters
GROUP BY 1, 2
ORDER BY 1, 2
