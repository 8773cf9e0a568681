-- What went wrong last, and since when and how often it does.
-- Grain: an error message and status, at most 20. Reads what view errors does; bound by event_date.
SELECT
  error_message,
  status_code,
  SUM(errors) AS errors,
  MIN(oldest) AS oldest,
  MAX(newest) AS newest
FROM clickstream_analytics.errors AS counts
WHERE errors > 0
GROUP BY error_message, status_code
ORDER BY newest DESC, error_message, status_code
LIMIT 20
