-- How long pages took. Quantiles are approximate, and those of two rows cannot be averaged: for another
-- grain, ask clicks.
-- Grain: an hour and page category; events without a response time are not in it.
-- Reads event_date, event_timestamp, page_category, response_time_ms of clicks; a filter on event_date
-- bounds the days read.
SELECT
  event_date,
  TIMESTAMP_TRUNC(event_timestamp, HOUR) AS hour,
  page_category,
  COUNT(*) AS events,
  APPROX_QUANTILES(response_time_ms, 100)[OFFSET(50)] AS p50_ms,
  APPROX_QUANTILES(response_time_ms, 100)[OFFSET(95)] AS p95_ms,
  APPROX_QUANTILES(response_time_ms, 100)[OFFSET(99)] AS p99_ms,
  MAX(response_time_ms) AS slowest_ms
FROM clickstream_analytics.clicks
WHERE response_time_ms IS NOT NULL
GROUP BY 1, 2, 3
