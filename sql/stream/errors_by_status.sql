-- Which HTTP statuses errors have, of a hundred errors and of a hundred events.
-- Grain: a status. Reads what view errors does; bound by event_date.
WITH statuses AS (
  SELECT
    status_code,
    SUM(errors) AS errors,
    SUM(SUM(events)) OVER () AS all_events
  FROM clickstream_analytics.errors AS counts
  GROUP BY status_code
)
SELECT
  status_code,
  errors,
  ROUND(100.0 * errors / SUM(errors) OVER (), 2) AS percent_of_errors,
  ROUND(100.0 * errors / all_events, 2) AS percent_of_events
FROM statuses
WHERE errors > 0
ORDER BY errors DESC, status_code
